"""The images and the stack: their files held to rules without Docker, and, by `make compose-test`, really run."""
