"""torch.backends.mps: Apple's GPU, which is not used."""


def is_available() -> bool:
    """No."""
    return False


def is_built() -> bool:
    """No."""
    return False
