"""torch.backends.openmp: not used; the engine has threads of its own (see rnn.set_num_threads)."""


def is_available() -> bool:
    """No."""
    return False
