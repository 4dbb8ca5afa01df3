"""torch.backends.cuda: not used. Its switches can be set, as programs do, without effect."""


class _Matmul:
    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = False
    allow_bf16_reduced_precision_reduction = False


matmul = _Matmul()


def is_built() -> bool:
    """No."""
    return False


def enable_flash_sdp(enabled: bool) -> None:
    """Does nothing."""


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Does nothing."""


def enable_math_sdp(enabled: bool) -> None:
    """Does nothing."""
