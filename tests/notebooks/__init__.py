"""The notebooks are executed, and kept and rendered in one form."""
