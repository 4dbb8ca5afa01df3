"""Random numbers: PyTorch's stream on the CPU. The same seed gives the numbers that torch gives.

The stream itself is in C (csrc/random.h says how exact it is and in which order tensors are
filled). A tensor that is not contiguous is filled in the order of its memory.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _config, _dtypes, _size
from rnn._c import E, Handle, adopt, check, check_room, ffi, lib
from rnn._dtypes import dtype as Dtype
from rnn._shapes import broadcast_shapes, integer
from rnn._shown import show_as
from rnn._size import CPU, check_device
from rnn._warn import warn_user
from rnn.autograd.graph import leaf
from rnn.ops import _core
from rnn.ops._core import CODES, array_of, dtype_of
from rnn.ops.convert import cast
from rnn.ops.create import (
    element_strides,
    empty_like,
    integers,
    memory_order,
    real_dtype,
    refuse,
    sizes,
)
from rnn.ops.selection import where
from rnn.ops.shape import is_contiguous

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_STATE_BYTES = 5056

# ---- generators ----------------------------------------------------------------------------------


class Generator:
    """A stream of random numbers (torch.Generator); generator= of the functions below takes it.

    Example:
        >>> g = rnn.Generator().manual_seed(2147483647)
        >>> rnn.rand(3, generator=g)
        tensor([0.7081, 0.3542, 0.1054])
    """

    __slots__ = ("__weakref__", "_stream")

    def __init__(self, device: Any = "cpu") -> None:
        check_device(device)
        stream = lib.rnn_generator(E, 1)
        if stream == ffi.NULL:
            raise MemoryError("no memory for a generator")
        self._stream = ffi.gc(stream, lib.rnn_generator_free)

    @property
    def device(self) -> _size.device:
        """The CPU."""
        return CPU

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream of this seed; a negative one is taken modulo 2 ** 64.

        Raises:
            RuntimeError: seed is no int. ValueError: it does not fit 64 bits.

        Example:
            >>> g = rnn.Generator().manual_seed(0)
            >>> rnn.rand(2, generator=g)
            tensor([0.4963, 0.7682])
        """
        if not isinstance(seed, (int, np.integer)):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        lib.rnn_generator_seed(E, self._stream, int(seed) % 2**64)
        return self

    def seed(self) -> int:
        """Starts a stream that nobody can foretell, and returns its seed."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self.initial_seed()

    def initial_seed(self) -> int:
        """The seed that the stream started with.

        Example:
            >>> rnn.Generator().manual_seed(7).initial_seed()
            7
        """
        return int(lib.rnn_generator_initial(self._stream))

    def get_state(self) -> Tensor:
        """Where the stream is: 5,056 bytes, which torch understands too.

        Example:
            >>> g = rnn.Generator()
            >>> state = g.get_state()
            >>> x = rnn.rand(2, generator=g)
            >>> _ = g.set_state(state)
            >>> bool((rnn.rand(2, generator=g) == x).all())
            True
        """
        state = np.empty(_STATE_BYTES, np.uint8)
        lib.rnn_generator_get(E, self._stream, ffi.from_buffer("uint8_t[]", state))
        return _core.wrap(state)

    def set_state(self, new_state: Tensor) -> Generator:
        """Goes on from where `new_state` was taken.

        Raises:
            TypeError: it is no tensor of bytes. RuntimeError: it is no state.

        Example:
            >>> g, h = rnn.Generator(), rnn.Generator()
            >>> _ = h.set_state(g.get_state())
            >>> bool((rnn.rand(2, generator=g) == rnn.rand(2, generator=h)).all())
            True
        """
        if not isinstance(new_state, Handle) or dtype_of(new_state) is not _dtypes.uint8:
            raise TypeError(f"RNG state must be a {_dtypes.prefix}ByteTensor")
        state = np.ascontiguousarray(array_of(new_state))
        if state.size != _STATE_BYTES:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {_STATE_BYTES} but found the input RNG "
                f"state size to be {state.size}"
            )
        check(lib.rnn_generator_set(E, self._stream, ffi.from_buffer("uint8_t[]", state)))
        return self

    def clone_state(self) -> Generator:
        """Another generator that goes on from the same place."""
        return Generator().set_state(self.get_state())

    def __reduce__(self) -> Any:
        return _rebuild, (self.get_state(),)


def _rebuild(state: Tensor) -> Generator:
    return Generator().set_state(state)


#: the one that is used where no other is given
default_generator = Generator.__new__(Generator)
default_generator._stream = lib.rnn_generator(E, 0)
default_generator.seed()


def manual_seed(seed: Any) -> Generator:
    """Seeds the default generator (torch.manual_seed) and returns it.

    Example:
        >>> rnn.manual_seed(1337)  # doctest: +ELLIPSIS
        <rnn.random.Generator object at ...>
    """
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Seeds the default generator from the system's entropy; the seed (torch.seed).

    Example:
        >>> isinstance(rnn.seed(), int)
        True
    """
    return default_generator.seed()


def initial_seed() -> int:
    """The default generator's seed (torch.initial_seed).

    Example:
        >>> _ = rnn.manual_seed(7)
        >>> rnn.initial_seed()
        7
    """
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default generator's state (torch.get_rng_state).

    Example:
        >>> state = rnn.get_rng_state()
        >>> x = rnn.rand(2)
        >>> rnn.set_rng_state(state)
        >>> bool((rnn.rand(2) == x).all())
        True
    """
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Sets the default generator's state (torch.set_rng_state).

    Example:
        >>> state = rnn.get_rng_state()
        >>> x = rnn.rand(2)
        >>> rnn.set_rng_state(state)
        >>> bool((rnn.rand(2) == x).all())
        True
    """
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(*args: Any, enabled: bool = True, **kwargs: Any) -> Iterator[None]:
    """What is drawn inside does not move the default generator (torch.random.fork_rng).

    Example:
        >>> before = rnn.get_rng_state()
        >>> with fork_rng():
        ...     _ = rnn.rand(3)
        >>> bool((rnn.get_rng_state() == before).all())
        True
    """
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


# ---- filling -------------------------------------------------------------------------------------


def _stream_of(generator: Any) -> Any:
    if generator is None:
        return default_generator._stream
    if not isinstance(generator, Generator):
        raise TypeError(
            f"generator must be a {_dtypes.prefix}Generator, not {type(generator).__name__}"
        )
    return generator._stream


def _short_name(to: Dtype) -> str:
    return to.tensor_type.removesuffix("Tensor")


def _draw(kind: int, count: int, code: int, a: Any, b: Any, generator: Any) -> Any:
    """`count` numbers as a NumPy array."""
    check_room("random", (count,), _core.NUMPY_NODE_DTYPES[code].itemsize)
    out = np.empty(count, _core.NUMPY_NODE_DTYPES[code])
    stream, data = _stream_of(generator), ffi.from_buffer(out)
    check(lib.rnn_random_fill(E, stream, kind, code, count, data, a, b))
    return out


def _draw_ints(
    kind: int, count: int, generator: Any, low: int = 0, high: int = 0, out_type: Any = np.int64
) -> Any:
    check_room("random", (count,), np.dtype(out_type).itemsize)
    out = np.empty(count, out_type)
    stream, data = _stream_of(generator), ffi.from_buffer(out)
    try:
        check(lib.rnn_random_ints(E, stream, kind, count, data, low, high))
    except OverflowError:
        raise ValueError(f"the range from {low} to {high} does not fit 64 bits") from None
    return out


def _new(
    kind: int,
    shape: Sequence[int],
    a: float,
    b: float,
    generator: Any,
    out: Tensor | None,
    dtype: Any,
    device: Any,
    requires_grad: bool,
) -> Tensor:
    """A new float tensor of random numbers; or `out`, filled."""
    if device is not None and device is not CPU:
        check_device(device)
    if out is not None:
        return _refill(out, shape, dtype, kind, a, b, generator)
    to = real_dtype(dtype)
    code = CODES.get(to)
    if code is None:
        raise _not_for(kind, to)
    try:
        h = lib.rnn_random(E, _stream_of(generator), kind, code, len(shape), shape, a, b)
    except OverflowError:
        refuse(shape)
    if h < 0:
        refuse(shape, h)
    return leaf(adopt(h)) if requires_grad else adopt(h)


_UNSAID = {
    lib.RNN_R_UNIFORM: "check_uniform_bounds",
    lib.RNN_R_NORMAL: "normal_kernel_cpu",
    lib.RNN_R_LOG_NORMAL: "log_normal_cpu",
}


def _not_for(kind: int, to: Dtype) -> Exception:
    """Why integers cannot be drawn so."""
    name = _short_name(to)
    if kind in _UNSAID:
        return NotImplementedError(f"\"{_UNSAID[kind]}\" not implemented for '{name}'")
    which = "Exponential" if kind == lib.RNN_R_EXPONENTIAL else "Cauchy"
    return RuntimeError(
        f"{which} distribution is a continuous probability distribution. dtype must be a floating "
        f"point but you specified {name}"
    )


def _refill(
    out: Tensor, shape: Sequence[int], dtype: Any, kind: int, a: float, b: float, generator: Any
) -> Tensor:
    """out=, filled in place."""
    if dtype is not None and real_dtype(dtype) is not dtype_of(out):
        raise RuntimeError(
            f"dtype {_short_name(real_dtype(dtype))} does not match dtype of out parameter "
            f"({_short_name(dtype_of(out))})"
        )
    if tuple(out._shape) != tuple(shape):
        out.resize_(tuple(shape))
    return _fill(out, kind, a, b, generator)


def _is_recorded(t: Tensor) -> bool:
    """Whether writing to t would be recorded.

    Raises:
        RuntimeError: t is a leaf that requires gradients, or a tensor of inference mode.
    """
    check(lib.rnn_check_inplace(E, t._h))
    return bool(lib.rnn_requires_grad(E, t._h)) and bool(lib.rnn_grad_mode())


def _fill(t: Tensor, kind: int, a: float, b: float, generator: Any) -> Tensor:
    """Fills a float tensor in place."""
    if not t._h:
        raise _not_for(kind, dtype_of(t))
    stream, h = _stream_of(generator), t._h
    code, count = lib.rnn_dtype(h), lib.rnn_count(h)
    if not _is_recorded(t) and lib.rnn_is_contiguous(E, h):
        check(lib.rnn_random_fill(E, stream, kind, code, count, lib.rnn_data(E, h), a, b))
        check(lib.rnn_touch(E, h))
        return t
    if kind == lib.RNN_R_NORMAL and not lib.rnn_is_contiguous(E, h):
        kind = lib.RNN_R_NORMAL_SERIAL
    values = _like(t, kind, a, b, generator)
    check(lib.rnn_assign(E, h, values._h))
    return t


def _like(
    t: Tensor,
    kind: int,
    a: float,
    b: float,
    generator: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random floats of t's shape and order of memory, and of its dtype where none is given."""
    if is_contiguous(t):
        dtype = dtype_of(t) if dtype is None else dtype
        return _new(kind, t._shape, a, b, generator, None, dtype, device, requires_grad)
    check_device(device)
    new = empty_like(t, dtype=dtype)
    if not new._h:
        raise _not_for(kind, dtype_of(new))
    h = new._h
    if kind == lib.RNN_R_NORMAL and not lib.rnn_is_contiguous(E, h):
        kind = lib.RNN_R_NORMAL_SERIAL
    code, count, data = lib.rnn_dtype(h), lib.rnn_count(h), lib.rnn_data(E, h)
    check(lib.rnn_random_fill(E, _stream_of(generator), kind, code, count, data, a, b))
    return new.requires_grad_() if requires_grad else new


def _write(t: Tensor, flat: Any) -> Tensor:
    """Writes a flat array into a tensor, in the order of its memory."""
    target = t
    if t._h:
        _is_recorded(t)
        target = empty_like(t)
    order = memory_order(target._shape, element_strides(target))[::-1]
    shape = target._shape
    array_of(target).transpose(order)[...] = flat.reshape([shape[d] for d in order])
    if t._h:
        check(lib.rnn_assign(E, t._h, target._h))
    return t


# ---- uniform and normal --------------------------------------------------------------------------


def rand(
    *args: Any,
    size: Any = None,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Uniform numbers in [0, 1), of the sizes given one by one or as a tuple (torch.rand).

    Example:
        >>> _ = rnn.manual_seed(0)
        >>> rnn.rand(3)
        tensor([0.4963, 0.7682, 0.0885])
    """
    shape = sizes(args, size, "rand")
    kind = lib.RNN_R_UNIFORM
    return _new(kind, shape, 0.0, 1.0, generator, out, dtype, device, requires_grad)


def randn(
    *args: Any,
    size: Any = None,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Normal numbers, mean 0 and standard deviation 1 (torch.randn).

    Example:
        >>> _ = rnn.manual_seed(0)
        >>> rnn.randn(3)
        tensor([ 1.5410, -0.2934, -2.1788])
    """
    shape = sizes(args, size, "randn")
    kind = lib.RNN_R_NORMAL
    return _new(kind, shape, 0.0, 1.0, generator, out, dtype, device, requires_grad)


def rand_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Uniform numbers in [0, 1), of input's shape and dtype (torch.rand_like).

    Example:
        >>> rnn.rand_like(rnn.ones(2, 3)).shape
        rnn.Size([2, 3])
    """
    kind = lib.RNN_R_UNIFORM
    return _like(input, kind, 0.0, 1.0, generator, dtype, device, requires_grad)


def randn_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Normal numbers of input's shape and dtype (torch.randn_like).

    Example:
        >>> rnn.randn_like(rnn.ones(2, 3)).shape
        rnn.Size([2, 3])
    """
    kind = lib.RNN_R_NORMAL
    return _like(input, kind, 0.0, 1.0, generator, dtype, device, requires_grad)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers (torch.normal): of one mean and std and a size, or of tensors of them.

    The gradient of tensors is 0.

    Raises:
        RuntimeError: a standard deviation is negative, or the shapes do not fit.
        TypeError: neither a size nor a tensor is given.

    Example:
        >>> rnn.normal(0.0, 1.0, (2, 3)).shape
        rnn.Size([2, 3])
    """
    tensors = [x for x in (mean, std) if isinstance(x, Handle)]
    if not tensors:
        if not isinstance(size, (tuple, list)):
            raise TypeError(
                "normal() received an invalid combination of arguments: without tensors it takes "
                f"(float mean, float std, tuple of ints size), not a size of {type(size).__name__}"
            )
        shape, kind = sizes((size,), None, "normal"), lib.RNN_R_NORMAL
        return _new(kind, shape, mean, std, generator, out, dtype, device, requires_grad)
    to = dtype_of(tensors[0])
    code = CODES.get(to)
    if code is None:
        raise _not_for(lib.RNN_R_NORMAL, to)
    centre, spread = [array_of(x) if isinstance(x, Handle) else x for x in (mean, std)]
    several = isinstance(std, Handle)
    if several and not (spread >= 0).all():
        raise RuntimeError("normal expects all elements of std >= 0.0")
    shape = broadcast_shapes(np.shape(centre), np.shape(spread))
    scale, count = 1.0 if several else std, math.prod(shape)
    drawn = _draw(lib.RNN_R_NORMAL, count, code, 0.0, scale, generator).reshape(shape)
    if several:
        drawn *= spread
    drawn += centre
    numbers = 2 * several + isinstance(mean, Handle)
    t = _drawn_of(_core.nodes(drawn), tensors, f"NormalBackward{numbers}")
    return t if out is None else _core.view_as_result(t, out)


def _drawn_of(drawn: Tensor, tensors: Sequence[Tensor], name: str) -> Tensor:
    """What was drawn by the numbers of tensors: it requires grad if they do, and theirs is 0."""
    known = drawn
    if lib.rnn_grad_mode():
        for t in tensors:
            if t.requires_grad:
                known = where(_core.wrap(np.ones((), np.bool_)), known, t)
    return known if known is drawn else show_as(known, name)


def uniform_(
    self: Tensor,
    from_: float = 0.0,
    to: float = 1.0,
    *,
    generator: Generator | None = None,
    **named: float,
) -> Tensor:
    """Fills with uniform numbers in [from, to) (torch.Tensor.uniform_)."""
    low = named.pop("from", from_)
    return _fill(self, lib.RNN_R_UNIFORM, low, to, generator)


def normal_(
    self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fills with normal numbers (torch.Tensor.normal_)."""
    return _fill(self, lib.RNN_R_NORMAL, mean, std, generator)


# ---- integers ------------------------------------------------------------------------------------

_C_TYPES = {
    _dtypes.bool_: "bool",
    _dtypes.uint8: "unsigned char",
    _dtypes.int8: "signed char",
    _dtypes.int16: "short",
    _dtypes.int32: "int",
    _dtypes.int64: "long",
}


def _check_range(to: Dtype, low: int, high: int) -> None:
    """That a dtype holds low and high - 1."""
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    if to.is_floating_point:
        bits = 24 if to is _dtypes.float32 else 53
        for name, x in (("from", low), ("to - 1", high - 1)):
            if not -(2**bits) <= x <= 2**bits:
                warn_user(
                    f"{name} is out of bounds [-(2^{bits}), 2^{bits}]. Due to precision "
                    f"limitations {'float' if bits == 24 else 'double'} can support discrete "
                    "uniform distribution only within this range.",
                )
        return
    info = (0, 1) if to is _dtypes.bool_ else _dtypes.limits(to)
    for name, x in (("from", low), ("to - 1", high - 1)):
        if not info[0] <= x <= info[1]:
            raise RuntimeError(f"{name} is out of bounds for {_C_TYPES[to]}")


def _randint(low: int, high: int, shape: Sequence[int], to: Dtype, generator: Any) -> Any:
    """The numbers, in a flat NumPy array of the dtype."""
    _check_range(to, low, high)
    refuse(shape, 0)
    drawn = _draw_ints(lib.RNN_R_RANGE, math.prod(shape), generator, low, high)
    return drawn.astype(to.storage, copy=False)


def randint(
    *args: Any,
    low: Any = None,
    high: Any = None,
    size: Any = None,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Integers, low <= x < high: randint(high, size) or randint(low, high, size) (torch.randint).

    Args:
        dtype: int64 where none is given.

    Raises:
        RuntimeError: low is not below high, or the dtype does not hold them.
        TypeError: an argument is missing or no int.

    Example:
        >>> _ = rnn.manual_seed(0)
        >>> rnn.randint(0, 10, (4,))
        tensor([4, 9, 3, 0])
    """
    check_device(device)
    given = list(args)
    if size is None and given:
        size = given.pop()
    if given:
        high = given.pop() if high is None else high
    if given:
        low = given.pop()
    if given or high is None or not isinstance(size, (tuple, list)):
        raise TypeError(
            "randint() received an invalid combination of arguments: it takes (int high, tuple of "
            "ints size) or (int low, int high, tuple of ints size)"
        )
    first = 0 if low is None else integer("randint", "low", 1, low)
    last = integer("randint", "high", 1 if low is None else 2, high)
    shape = sizes((size,), None, "randint")
    to = real_dtype(dtype, _dtypes.int64 if out is None else dtype_of(out))
    if out is not None:
        if tuple(out._shape) != tuple(shape):
            out.resize_(tuple(shape))
        return _write(out, _randint(first, last, shape, to, generator))
    return _tensor(_randint(first, last, shape, to, generator).reshape(shape), requires_grad)


def _tensor(array: Any, requires_grad: bool) -> Tensor:
    if array.dtype in _core.NUMPY_NODE_DTYPES:
        t = _core.nodes(array)
        return t.requires_grad_() if requires_grad else t
    return integers(array, requires_grad)


def randint_like(
    input: Tensor,
    *args: Any,
    low: Any = None,
    high: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Integers of input's shape and dtype: randint_like(input, high) or (input, low, high).

    Example:
        >>> rnn.randint_like(rnn.ones(2, 3), 0, 10).shape
        rnn.Size([2, 3])
    """
    check_device(device)
    given = list(args)
    high = given.pop() if high is None else high
    low = given.pop() if given else low
    first = 0 if low is None else integer("randint_like", "low", 2, low)
    last = integer("randint_like", "high", 2 if low is None else 3, high)
    new = empty_like(input, dtype=dtype)
    _write(new, _randint(first, last, new._shape, dtype_of(new), generator))
    return new.requires_grad_() if requires_grad else new


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """0 to n - 1 in random order (torch.randperm); int64 unless dtype says otherwise.

    Example:
        >>> _ = rnn.manual_seed(0)
        >>> rnn.randperm(4)
        tensor([0, 1, 3, 2])
    """
    check_device(device)
    n = integer("randperm", "n", 1, n)
    refuse((n,), 0)
    to = real_dtype(dtype, _dtypes.int64 if out is None else dtype_of(out))
    order = _draw_ints(lib.RNN_R_PERMUTATION, n, generator).astype(to.storage, copy=False)
    t = _tensor(order, requires_grad)
    return t if out is None else _core.view_as_result(t, out)


_TOPS = {_dtypes.float32: 2**24 + 1, _dtypes.float64: 2**53 + 1, _dtypes.bool_: 2}


def random_(
    self: Tensor, *args: Any, generator: Generator | None = None, to: Any = None, **named: Any
) -> Tensor:
    """Fills with integers: random_() with all of the dtype's, random_(to), random_(from, to)."""
    dtype, n = dtype_of(self), self.numel()
    given = list(args)
    last = given.pop() if to is None and given else to
    first = given.pop() if given else named.pop("from", 0)
    if last is not None:
        low, high = integer("random_", "from", 1, first), integer("random_", "to", 2, last)
        return _write(self, _randint(low, high, (n,), dtype, generator))
    top = _TOPS.get(dtype) or _dtypes.iinfo(dtype).max + 1
    if dtype is _dtypes.int64:
        return _write(self, _draw_ints(lib.RNN_R_INT63, n, generator))
    if dtype is not _dtypes.float64:
        words = _draw_ints(lib.RNN_R_WORDS, n, generator, out_type=np.uint32)
        return _write(self, (words % np.uint32(top)).astype(dtype.storage))
    words = _draw_ints(lib.RNN_R_WORDS, 2 * n, generator, out_type=np.uint32).astype(np.uint64)
    whole = words[::2] << np.uint64(32) | words[1::2]
    return _write(self, (whole % np.uint64(top)).astype(np.float64))


# ---- other distributions -------------------------------------------------------------------------


def bernoulli(
    input: Tensor,
    p: Any = None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """1 with probability input, else 0; given p: of input's shape, with that one (torch.bernoulli).

    Raises:
        RuntimeError: a probability is not in [0, 1].
        NotImplementedError: input is of integers.

    Example:
        >>> rnn.bernoulli(rnn.tensor([0.0, 1.0]))
        tensor([0., 1.])
    """
    if p is not None:
        return bernoulli_(empty_like(input), p, generator=generator)
    if not input._h:
        name = _short_name(dtype_of(input))
        raise NotImplementedError(f"\"bernoulli_tensor_cpu_p_\" not implemented for '{name}'")
    t = _drawn_of(_core.nodes(_flips(array_of(input), generator)), [input], "BernoulliBackward0")
    return t if out is None else _core.view_as_result(t, out)


def _flips(p: Any, generator: Any) -> Any:
    """1 where a uniform number is below p, else 0: an array like p."""
    check_room("bernoulli", p.shape, 2 * p.itemsize)
    p = np.asarray(p, order="C")
    code, flips = int(p.dtype == np.float64), np.empty(p.shape, p.dtype)
    data, made = ffi.from_buffer(p), ffi.from_buffer(flips)
    check(lib.rnn_random_flips(E, _stream_of(generator), code, p.size, data, made))
    return flips


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fills with 1 with probability p (a number or a tensor), else 0 (torch.Tensor.bernoulli_)."""
    if isinstance(p, Handle):
        order = memory_order(self._shape, element_strides(self))[::-1]
        odds = array_of(p if p._h else cast(p, _dtypes.get_default_dtype()))
        odds = np.broadcast_to(odds, self._shape).transpose(order)
        return _write(self, _flips(odds, generator).ravel())
    if self._h:
        return _fill(self, lib.RNN_R_BERNOULLI, p, 0.0, generator)
    return _write(self, _draw(lib.RNN_R_BERNOULLI, self.numel(), 1, p, 0.0, generator))


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills with exponentially distributed numbers (torch.Tensor.exponential_)."""
    return _fill(self, lib.RNN_R_EXPONENTIAL, lambd, 0.0, generator)


def cauchy_(
    self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fills with Cauchy distributed numbers (torch.Tensor.cauchy_)."""
    return _fill(self, lib.RNN_R_CAUCHY, median, sigma, generator)


def log_normal_(
    self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None
) -> Tensor:
    """Fills with exp of normal numbers (torch.Tensor.log_normal_)."""
    return _fill(self, lib.RNN_R_LOG_NORMAL, mean, std, generator)


def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fills with the number of trials to the first success (torch.Tensor.geometric_)."""
    if self._h:
        return _fill(self, lib.RNN_R_GEOMETRIC, p, 0.0, generator)
    if dtype_of(self) is _dtypes.bool_:
        raise NotImplementedError("\"geometric_cpu\" not implemented for 'Bool'")
    return _write(self, _draw(lib.RNN_R_GEOMETRIC, self.numel(), 1, p, 0.0, generator))


def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Indices drawn by weight: (n,) gives (num_samples,), (m, n) gives (m, num_samples).

    torch.multinomial.

    Raises:
        RuntimeError: a weight is negative or not finite, all are 0, or more are drawn than there
            are.

    Example:
        >>> rnn.multinomial(rnn.tensor([0.0, 1.0]), 1)
        tensor([1])
    """
    if len(input._shape) not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if not input._h:
        name = _short_name(dtype_of(input))
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {name}"
        )
    k = integer("multinomial", "num_samples", 2, num_samples)
    if k <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    p = array_of(input)
    rows = p.reshape(-1, p.shape[-1])
    if not p.flags.c_contiguous and (k == 1 or not replacement):
        drawn = _race(input, rows, k, generator)
    else:
        check_room("multinomial", (len(rows), k), 8)
        drawn = np.empty((len(rows), k), np.int64)
        rows = np.ascontiguousarray(rows)
        data, made = ffi.from_buffer(rows), ffi.from_buffer("int64_t[]", drawn)
        code, stream = int(rows.dtype == np.float64), _stream_of(generator)
        n, m = rows.shape[1], len(rows)
        check(lib.rnn_random_draws(E, stream, code, data, m, n, k, replacement, made))
    t = _core.wrap(drawn if p.ndim == 2 else drawn[0])
    return t if out is None else _core.view_as_result(t, out)


def _race(input: Tensor, rows: Any, k: int, generator: Any) -> Any:
    """Draws without replacement from weights that do not lie in rows: torch's q lies as they do."""
    if k > rows.shape[1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    if not (rows >= 0).all() or not np.isfinite(rows).all():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if not (rows.sum(1) > 0).all():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    q = array_of(_like(input, lib.RNN_R_EXPONENTIAL, 1.0, 0.0, generator)).reshape(rows.shape)
    return np.argsort(-(rows / q), axis=1, kind="stable")[:, :k].copy()


def dropout_mask(input: Tensor, p: float, generator: Generator | None = None) -> Tensor:
    """What functional.dropout multiplies with: 0 with probability p, else 1 / (1 - p); like input.

    Raises:
        ValueError: p is not in [0, 1].
    """
    return _like(input, lib.RNN_R_DROPOUT, p, 0.0, generator)


if not TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> Any:
        raise _config.absent(__name__, name)
