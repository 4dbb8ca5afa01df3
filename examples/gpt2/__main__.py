"""python examples/gpt2 "...": the command line (cli.py)."""

import sys
from pathlib import Path

if __package__:
    from . import main
else:  # run as a folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from gpt2 import main

if __name__ == "__main__":
    sys.exit(main())
