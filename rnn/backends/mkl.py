"""torch.backends.mkl: not used; matrix products are OpenBLAS's (see rnn.show_config)."""


def is_available() -> bool:
    """No."""
    return False
