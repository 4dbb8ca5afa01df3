"""torch.backends.mkl: not used; rnn.show_config says whose the matrix products are."""


def is_available() -> bool:
    """No."""
    return False
