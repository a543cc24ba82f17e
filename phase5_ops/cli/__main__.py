"""`python -m phase5_ops.cli` is the command `phase5`."""

from phase5_ops.cli.app import main

if __name__ == "__main__":
    main()
