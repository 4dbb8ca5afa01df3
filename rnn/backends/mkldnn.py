"""torch.backends.mkldnn: not used."""

enabled = False


def is_available() -> bool:
    """No."""
    return False
