"""torch.backends.cpu: the instruction set that the kernels use."""

from rnn._c import E, ffi, lib


def get_cpu_capability() -> str:
    """ "DEFAULT", "AVX2" or "AVX512"."""
    name: str = ffi.string(lib.rnn_isa(E)).decode()
    return "DEFAULT" if name == "base" else name.upper()
