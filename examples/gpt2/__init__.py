"""GPT-2 on the scalar engine: the model, its files, its sampling and its command line."""


def main() -> int:
    """The command line (cli.py), imported only here: Ctrl-C in the meantime is quiet too."""
    try:
        from .cli import main as run
    except KeyboardInterrupt:
        return 130
    return run()
