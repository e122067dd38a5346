"""``python -m selfmm``: the command line."""

from selfmm.cli import main

if __name__ == "__main__":
    main()
