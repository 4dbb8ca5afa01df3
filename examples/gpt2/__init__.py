"""GPT-2 on the scalar engine: the model, its files, its sampling and its command line."""

import signal


def main() -> int:
    """The command line (cli.py). While its modules are imported, Control-C ends it at once: as an
    exception it would print where, or be lost in what an import catches.
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli import main as run

    if usual:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return run()
