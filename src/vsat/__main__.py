"""Lets `python -m vsat` do what `vsat` does."""

import sys

from vsat.cli import main

if __name__ == "__main__":
    sys.exit(main())
