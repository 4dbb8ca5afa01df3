"""python examples/gpt2 "...": the command line (cli.py)."""

import sys
from pathlib import Path

if not __package__:  # run as a folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    __package__ = "gpt2"

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
