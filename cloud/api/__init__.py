"""The HTTP bridge: the same chain for who speaks HTTP, and all that people and programs may ask."""
