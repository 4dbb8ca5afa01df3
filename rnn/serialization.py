"""Saving and loading: rnn.save, rnn.load (torch.serialization).

A file is a zip, as PyTorch's: data.pkl is a pickle in which tensors stand as views of numbered
storages, and data/<number> is the memory of each. Names in the pickle are PyTorch's, so torch.load
reads what rnn.save writes (state dicts, optimizer states, anything of tensors and plain data) and
rnn.load reads what torch.save writes.

A pickle is a program. load() runs none but what is listed here (`_KNOWN`, `_ALLOWED`): tensors,
plain data and rnn's own classes. With weights_only=False it runs anything: only for files that you
trust.
"""

from __future__ import annotations

import _compat_pickle
import codecs
import collections
import contextlib
import io
import os
import pickle
import pickletools
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _c, _config, _dtypes
from rnn._c import E, Handle, adopt, check, lib
from rnn._size import Size, device
from rnn.nn.parameter import Buffer, Parameter
from rnn.ops import _core, shape

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "BFloat16Storage": np.uint16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
_WIDENED = ("HalfStorage", "BFloat16Storage")  # rnn's tensors of floats are float32 and float64
_STORAGE_OF = {np.dtype(kind): name for name, kind in _STORAGES.items() if name not in _WIDENED}

# ---- writing ----------------------------------------------------------------------------------


class _Global:
    """A name in the pickle, of a module that need not be there."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:
        """Callable, as the pickler asks of what rebuilds an object; nobody calls it."""


class _Storage:
    """The memory of one or several tensors, by its number in the file."""

    def __init__(self, number: int, array: Any) -> None:
        self.number, self.array = number, array


_REBUILD_TENSOR = _Global("torch._utils", "_rebuild_tensor_v2")
_REBUILD_PARAMETER = _Global("torch._utils", "_rebuild_parameter")
_SIZE, _DEVICE = _Global("torch", "Size"), _Global("torch", "device")


def _memory(t: Any) -> tuple[Any, int, tuple[int, ...]]:
    """The flat array of all memory that t is a view of, and t's offset and strides in it, in
    elements."""
    if t._h:
        _, code, memory, start, _ = _c.array_parts(t._h)
        dtype = np.dtype(_core.NUMPY_NODE_DTYPES[code])
        return np.frombuffer(memory, dtype), start // dtype.itemsize, t._strides
    array = t._array
    root = array
    while isinstance(root.base, (np.ndarray, shape._Window)):
        root = root.base
    if isinstance(root, shape._Window):
        root = np.asarray(root)
    size = array.itemsize
    if not root.flags.c_contiguous or root.dtype != array.dtype or min((0, *array.strides)) < 0:
        root = array = np.ascontiguousarray(array)
    start = (array.ctypes.data - root.ctypes.data) // size
    return root.reshape(-1), start, tuple(step // size for step in array.strides)


_PurePickler: Any = pickle._Pickler


class _Writer(_PurePickler):  # type: ignore[misc]
    """The pickler in Python: C's wants to import every name that it writes."""

    dispatch: Any = _PurePickler.dispatch.copy()

    def __init__(self, file: Any, protocol: int) -> None:
        super().__init__(file, protocol)
        self.storages: dict[tuple[int, int], _Storage] = {}

    def _save_name(self, obj: _Global) -> None:
        self.write(b"c%s\n%s\n" % (obj.module.encode(), obj.name.encode()))
        self.memoize(obj)

    def _save_dtype(self, obj: _dtypes.dtype) -> None:
        self.write(b"ctorch\n%s\n" % obj.name.encode())
        self.memoize(obj)

    dispatch[_Global] = _save_name
    dispatch[_dtypes.dtype] = _save_dtype

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, _Storage):
            return None
        kind = _Global("torch", _STORAGE_OF[obj.array.dtype])
        return "storage", kind, str(obj.number), "cpu", obj.array.size

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is Parameter:
            state: Any = collections.OrderedDict()
            return _REBUILD_PARAMETER, (obj.detach(), obj.requires_grad, state)
        if isinstance(obj, Handle) and kind.__module__ in ("rnn.tensor", "rnn.nn.parameter"):
            return _REBUILD_TENSOR, self._view(obj)
        if kind is Size:
            return _SIZE, (tuple(obj),)
        if kind is device:
            return _DEVICE, obj.__reduce__()[1]
        return NotImplemented

    def _view(self, t: Any) -> tuple[Any, ...]:
        flat, start, strides = _memory(t)
        if not _STORAGE_OF.get(flat.dtype):
            raise TypeError(f"save: tensors of {flat.dtype} have no storage in a file")
        key = (flat.ctypes.data, flat.nbytes) if flat.size else (0, id(t))
        storage = self.storages.setdefault(key, _Storage(len(self.storages), flat))
        hooks: Any = collections.OrderedDict()
        return storage, start, tuple(t._shape), strides, t.requires_grad, hooks


@contextlib.contextmanager
def _opened(f: Any, mode: str) -> Iterator[Any]:
    if isinstance(f, (str, os.PathLike)):
        with open(f, mode) as file:  # noqa: PTH123 (a path or a name)
            yield file
    else:
        yield f


def _store(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the same bytes whenever it is written
    archive.writestr(info, data, zipfile.ZIP_STORED)


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Writes an object to a file (torch.save): state dicts, tensors, modules, optimizers, plain
    data.

    Args:
        f: a path, or a file that is open for writing bytes.

    Raises:
        pickle.PicklingError, AttributeError: the object holds what cannot be saved (a lambda, a
        local class).

    Example:
        >>> model = rnn.nn.Linear(2, 3)
        >>> rnn.save(model.state_dict(), "model.pt")
        >>> model.load_state_dict(rnn.load("model.pt"))
        <All keys matched successfully>
    """
    buffer = io.BytesIO()
    writer = _Writer(buffer, pickle_protocol)
    writer.dump(obj)
    with _opened(f, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _store(archive, "archive/data.pkl", buffer.getvalue())
        _store(archive, "archive/byteorder", sys.byteorder)
        for storage in writer.storages.values():
            array = storage.array
            data = memoryview(array).cast("B") if array.size else b""
            _store(archive, f"archive/data/{storage.number}", data)
        _store(archive, "archive/version", "3\n")


# ---- rebuilding -------------------------------------------------------------------------------


class _Loaded:
    """A storage that was read: an array, and the nodes made of it when the first tensor asks."""

    def __init__(self, kind: str, data: Any) -> None:
        self.kind = kind
        self.data = data
        self._nodes: Any = None

    def values(self) -> Any:
        """The memory as an array of a dtype that tensors have."""
        array: Any = np.frombuffer(self.data, _STORAGES[self.kind])
        if self.kind == "BFloat16Storage":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(np.float32) if self.kind == "HalfStorage" else array

    def flat(self) -> Any:
        """The whole memory as a tensor."""
        if self._nodes is None:
            array = self.values()
            floats = array.dtype in _core.NUMPY_NODE_DTYPES  # which wrap() copies into nodes
            self._nodes = _core.wrap(array if floats else array.copy())
            self.data = b""
        return self._nodes


def _rebuild_tensor(
    storage: _Loaded, offset: int, size: Any, stride: Any, requires_grad: bool = False, *_: Any
) -> Any:
    flat = storage.flat()
    if flat._h:
        shape, strides = _c.dims(tuple(size)), _c.dims(tuple(stride))
        t = adopt(check(lib.rnn_as_view(E, flat._h, 0, offset, len(size), shape, strides)))
        return t.requires_grad_() if requires_grad else t
    array = flat._array
    steps = [s * array.itemsize for s in stride]
    at = offset * array.itemsize if array.size else 0
    return _core.wrap(np.ndarray(tuple(size), array.dtype, array, at, steps))


def _rebuild_parameter(data: Any, requires_grad: bool, *_: Any) -> Parameter:
    return Parameter(data, requires_grad)


def _rebuild_from_type(rebuild: Callable[..., Any], kind: Any, args: Any, state: Any) -> Any:
    """A tensor subclass of torch's: what it is made of."""
    return rebuild(*args)


_KNOWN: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_from_type,
    ("torch", "Tensor"): Handle,
    ("torch", "Size"): Size,
    ("torch", "device"): device,
    ("torch.nn.parameter", "Parameter"): Parameter,
    ("torch.nn.parameter", "Buffer"): Buffer,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    ("collections", "Counter"): collections.Counter,
    ("_codecs", "encode"): codecs.encode,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{
        (f"numpy.{core}.multiarray", name): rebuild
        for core in ("core", "_core")
        for name, rebuild in (
            ("_reconstruct", np.zeros(0).__reduce__()[0]),
            ("scalar", np.float64(0).__reduce__()[0]),
        )
    },
    **{
        ("builtins", kind.__name__): kind
        for kind in (
            bool, bytearray, bytes, complex, dict, float, frozenset, int, list, range, set, slice,
            str, tuple,
        )
    },
    **{("torch", kind.name): kind for kind in _dtypes._ALL},
}  # fmt: skip
#: functions of rnn's that rebuild objects
_ALLOWED = {
    ("rnn.nn.parameter", "_rebuild_parameter"),
    ("rnn.ops.convert", "rebuild"),
    ("rnn.random", "_rebuild"),
    ("rnn.value", "_rebuild"),
    ("rnn._dtypes", "as_dtype"),
}
_safe: dict[tuple[str, str], Any] = {}


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Lets load() rebuild these classes and functions too; (object, "module.name") where a file
    calls it otherwise.

    Example:
        >>> from fractions import Fraction
        >>> add_safe_globals([Fraction])
        >>> rnn.save(Fraction(1, 3), "third.pt")
        >>> rnn.load("third.pt")
        Fraction(1, 3)
    """
    for found in safe_globals:
        if isinstance(found, tuple):
            one, (module, _, name) = found[0], found[1].rpartition(".")
        else:
            one, module, name = found, found.__module__, found.__qualname__
        _safe[module, name] = one


def get_safe_globals() -> list[Any]:
    """What add_safe_globals added.

    Example:
        >>> isinstance(get_safe_globals(), list)
        True
    """
    return list(_safe.values())


def clear_safe_globals() -> None:
    """Takes away what add_safe_globals added.

    Example:
        >>> clear_safe_globals()
        >>> get_safe_globals()
        []
    """
    _safe.clear()


@contextlib.contextmanager
def safe_globals(safe_globals: list[Any]) -> Iterator[None]:
    """add_safe_globals for a `with` block.

    Example:
        >>> from fractions import Fraction
        >>> rnn.save(Fraction(1, 3), "third.pt")
        >>> with safe_globals([Fraction]):
        ...     rnn.load("third.pt")
        Fraction(1, 3)
    """
    before = dict(_safe)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _safe.clear()
        _safe.update(before)


def _own(module: str, name: str) -> Any:
    """A class of rnn's that may be rebuilt, or a function of nn.functional; None for anything
    else."""
    from rnn.nn.module import Module
    from rnn.nn.utils.rnn import PackedSequence
    from rnn.optim.lr_scheduler import LRScheduler
    from rnn.optim.optimizer import Optimizer
    from rnn.utils.hooks import RemovableHandle

    if module.startswith("torch.nn.modules"):
        found = getattr(sys.modules["rnn.nn"], name, None)
        return found if isinstance(found, type) and issubclass(found, Module) else None
    found = getattr(sys.modules.get(module), name, None)
    if found is None or not module.startswith("rnn.") or found.__module__ != module:
        return None
    kinds = (Module, Optimizer, LRScheduler, Handle, RemovableHandle, PackedSequence, _c.ValueBase)
    if isinstance(found, type):
        return found if issubclass(found, kinds) or found in (Size, device, _dtypes.dtype) else None
    function = module.startswith("rnn.nn.functional") or (module, name) in _ALLOWED
    return found if function else None


class _Reader(pickle.Unpickler):
    """An unpickler that knows storages, and by default no names but the listed ones."""

    def __init__(self, file: Any, read: Callable[[str, int], bytes], anything: bool) -> None:
        super().__init__(file, encoding="utf-8")
        self.read_storage = read
        self.anything = anything
        self.storages: dict[str, _Loaded] = {}

    def find_class(self, module: str, name: str) -> Any:
        old = (
            _compat_pickle.IMPORT_MAPPING.get(module, module),
            name,
        )  # protocol 2 writes Python 2's names
        old = _compat_pickle.NAME_MAPPING.get((module, name), old)
        if old in _KNOWN:
            return _KNOWN[old]
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return name
        if (module, name) in _safe:
            return _safe[module, name]
        found = _own(module, name)
        if found is None and self.anything:
            found = super().find_class(module, name)
        if found is None:
            raise pickle.UnpicklingError(
                f"Weights only load failed: {module}.{name} is not among the names that load() "
                "rebuilds. If you trust the file, load(..., weights_only=False) reads anything "
                f"(it can run any code), and {_dtypes.prefix}serialization.add_safe_globals "
                f"([{name}]) allows this one."
            )
        return found

    def persistent_load(self, pid: Any) -> _Loaded:
        what, kind, key, _, count = pid[:5]
        if what != "storage" or not isinstance(kind, str):
            raise pickle.UnpicklingError(f"unknown object in the file: {what}")
        if key not in self.storages:
            data = self.read_storage(key, count * np.dtype(_STORAGES[kind]).itemsize)
            self.storages[key] = _Loaded(kind, data)
        return self.storages[key]


# ---- reading ----------------------------------------------------------------------------------


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Reads what save() or torch.save() wrote, or a plain pickle (torch.load).

    Args:
        f: a path, or a file that is open for reading bytes.
        map_location, mmap: accepted; there is only the CPU.
        weights_only: tensors, plain data and rnn's own classes only (the default). False: anything,
            which may run any code: only for files that you trust.

    Raises:
        pickle.UnpicklingError: the file names something else, is damaged, or is no such file.

    Example:
        >>> rnn.save({"step": 3, "w": rnn.ones(2)}, "state.pt")
        >>> rnn.load("state.pt")
        {'step': 3, 'w': tensor([1., 1.])}
    """
    anything = weights_only is False
    with _opened(f, "rb") as file, _told_of_damage(f, anything):
        start = file.tell()
        if zipfile.is_zipfile(file):
            file.seek(start)
            return _load_zip(file, anything)
        file.seek(start)
        return _load_pickles(file, anything)


@contextlib.contextmanager
def _told_of_damage(f: Any, anything: bool) -> Iterator[None]:
    """One exception for whatever a damaged file makes the readers of zips and pickles raise. Where
    a file may run any code (anything), what that code raises goes through.
    """
    try:
        yield
    except pickle.UnpicklingError:
        raise
    except Exception as error:
        own_limit = isinstance(error, MemoryError) and str(error)  # the engine's names its reason
        damage = isinstance(error, (zipfile.BadZipFile, EOFError, UnicodeDecodeError))
        if own_limit or (anything and not damage):
            raise
        name = f if isinstance(f, (str, os.PathLike)) else "the file"
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise pickle.UnpicklingError(
            f"{name} is damaged, or not written by {_dtypes.prefix}save ({reason})"
        ) from error


def _load_zip(file: Any, anything: bool) -> Any:
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if not names:
            raise pickle.UnpicklingError("the file is a zip, but none of PyTorch's or rnn's")
        folder = names[0].removesuffix("data.pkl")
        order = (
            archive.read(folder + "byteorder")
            if folder + "byteorder" in archive.namelist()
            else b""
        )
        if order.decode() not in ("", sys.byteorder):
            raise pickle.UnpicklingError("the file was written on a machine of another byte order")

        def read(key: str, size: int) -> bytes:
            data = archive.read(f"{folder}data/{key}")
            if len(data) != size:
                raise pickle.UnpicklingError(
                    f"storage {key} should have {size} bytes, but has {len(data)}"
                )
            return data

        pickled = io.BytesIO(archive.read(names[0]))
        return _read_pickle(_Reader(pickled, read, anything), pickled)


def _read_pickle(reader: _Reader, file: Any) -> Any:
    """What the reader loads from the file, which is at the beginning of a pickle; a pickle that
    may run no code is looked through first.
    """
    if not reader.anything:
        start = file.tell()
        _check_memo(file, start)
        file.seek(start)
    return reader.load()


def _check_memo(file: Any, start: int) -> None:
    """A pickle numbers its objects; the unpickler makes a table as long as the largest number.

    Raises:
        pickle.UnpicklingError: a number is larger than any that dump() writes: than the bytes
            before it.
    """
    for opcode, argument, place in pickletools.genops(file):
        if opcode.name not in ("PUT", "BINPUT", "LONG_BINPUT"):
            continue
        if not 0 <= int(argument or 0) <= int(place or 0) - start:
            raise pickle.UnpicklingError(f"the file is damaged: it has an object {argument}")


def _load_pickles(file: Any, anything: bool) -> Any:
    """A plain pickle; or PyTorch's old format: three pickles of what the file is, the object, the
    storages' keys, and then their memory."""

    start = file.tell()
    length = file.seek(0, os.SEEK_END) - start
    file.seek(start)

    def later(key: str, size: int) -> bytes:
        if not 0 <= size <= length:
            raise pickle.UnpicklingError(f"storage {key} of {size} bytes is not in the file")
        return bytes(size)

    first = _read_pickle(_Reader(file, later, anything), file)
    if first != _LEGACY_MAGIC or isinstance(first, bool):
        return first
    for _ in range(2):
        _read_pickle(_Reader(file, later, False), file)
    reader = _Reader(file, later, anything)
    result = _read_pickle(reader, file)
    # the memory comes after the object: tensors are there already
    for key in _read_pickle(_Reader(file, later, False), file):
        storage = reader.storages[key]
        count = int.from_bytes(file.read(8), sys.byteorder)
        storage.data = file.read(count * np.dtype(_STORAGES[storage.kind]).itemsize)
        _core.array_of(storage.flat())[...] = storage.values()
    return result


if not TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> Any:
        raise _config.absent(__name__, name)
