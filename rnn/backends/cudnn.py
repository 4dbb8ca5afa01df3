"""torch.backends.cudnn: not used. Its switches can be set, as programs do, without effect."""

enabled = False
benchmark = False
deterministic = False
allow_tf32 = False


def is_available() -> bool:
    """No."""
    return False


def version() -> int | None:
    """None."""
    return None
