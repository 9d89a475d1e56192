"""`python -m sense.sweep`."""

from .command import sweep_main

if __name__ == "__main__":
    sweep_main()
