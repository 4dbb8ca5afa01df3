"""Runs every program named on the command line in this process, each in a directory of its own,
and writes what each printed to a JSON file: run_all.py OUT.json program.py ...

`python run_all.py` runs them with PyTorch; `python -m rnn run_all.py` runs them with rnn.
"""

import contextlib
import io
import json
import runpy
import sys
import tempfile
import traceback
import warnings
from pathlib import Path


def run(path):
    text = io.StringIO()
    sys.argv = [str(path)]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        with contextlib.redirect_stdout(text), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                runpy.run_path(str(path), run_name="__main__")
            except BaseException:
                print(traceback.format_exc())
    return text.getvalue()


if __name__ == "__main__":
    out, *programs = [Path(p).resolve() for p in sys.argv[1:]]
    out.write_text(json.dumps({p.stem: run(p) for p in programs}))
