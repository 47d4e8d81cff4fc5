"""`python -m ronda` is the command `ronda`."""

from ronda.cli import main

if __name__ == "__main__":
    main()
