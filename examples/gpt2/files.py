"""A model's folder: config.json and *.safetensors, read with every value checked, and written.

What it is: the Hugging Face layout. What it is not: the network (model.py). What is wrong with a
file is an InputError of one line: the file, the field, what was found.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import rnn
from rnn import Tensor

from .model import ACTIVATIONS, GPT2, Config
from .program import InputError

CHUNK = 1 << 22  # elements converted at a time
LONGEST_HEADER = 100_000_000  # bytes: the format's own limit
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PATTERNS = [
    "config.json",
    "model*.safetensors",
    INDEX,
    "tokenizer.json",
    "vocab.json",
]
WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
IGNORED = re.compile(r"h\.\d+\.attn\.(masked_)?bias")  # causal masks, which old checkpoints carry


def find(model: str) -> Path:
    """The folder of a model: a folder as it is, "owner/name" through the Hugging Face Hub (or its
    offline cache).

    Raises:
        InputError: there is no such folder or repository.
    """
    try:
        folder = Path(model).expanduser()
        if folder.is_dir():
            return folder
        known = folder.exists()
    except (OSError, RuntimeError) as problem:  # no permission, too long a name, no such user
        words = getattr(problem, "strerror", None) or str(problem)
        raise InputError(model[:80], "--model", f"cannot be looked up: {words}") from None
    if known or not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", model):
        raise InputError(model, "--model", "is neither a folder nor a repository's owner/name")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise InputError(
            model, "--model", "no such folder; repositories need `pip install huggingface_hub`"
        ) from None
    try:
        return Path(snapshot_download(model, allow_patterns=[*PATTERNS, "merges.txt"]))
    except Exception as problem:  # the Hub's client raises many kinds; each is one line here
        lines = [line for line in str(problem).splitlines() if line] or [type(problem).__name__]
        raise InputError(model, "--model", f"cannot be fetched: {' '.join(lines[:2])}") from None


# ---- config.json ---------------------------------------------------------------------------------


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InputError(path, "file", problem.strerror or "cannot be read") from None
    except (ValueError, RecursionError) as problem:
        raise InputError(path, "file", f"is not JSON: {problem}") from None
    if not isinstance(data, dict):
        raise InputError(path, "file", f"holds a JSON {type(data).__name__}, not an object")
    return data


def read_config(path: Path) -> Config:
    """config.json, every value of it that the network depends on checked.

    Raises:
        InputError: it cannot be read, is not GPT-2's, or a value is missing, of a wrong type or out
        of range.
    """
    data = read_json(path)

    def field(name: str, default: Any, good: Callable[[Any], bool], wanted: str) -> Any:
        value = data.get(name, default)
        if not good(value):
            raise InputError(path, name, f"is {json.dumps(value)[:60]}, but must be {wanted}")
        return value

    def size(name: str, default: int | None = None) -> int:
        number: int = field(
            name, default, lambda v: type(v) is int and 0 < v < 1 << 31, "a positive integer"
        )
        return number

    def switch(name: str, default: bool) -> bool:
        return bool(field(name, default, lambda v: type(v) is bool, "true or false"))

    field("model_type", "gpt2", lambda v: v == "gpt2", '"gpt2"')
    field("add_cross_attention", False, lambda v: v is False, "false (nothing else is supported)")
    config = Config(
        vocab_size=size("vocab_size"),
        n_positions=size("n_positions", data.get("n_ctx")),
        n_embd=size("n_embd"),
        n_layer=size("n_layer"),
        n_head=size("n_head"),
        n_inner=None if data.get("n_inner") is None else size("n_inner"),
        layer_norm_epsilon=field(
            "layer_norm_epsilon",
            1e-5,
            lambda v: type(v) in (int, float) and 0 < v < 1,
            "a number between 0 and 1",
        ),
        activation_function=field(
            "activation_function",
            "gelu_new",
            lambda v: isinstance(v, str) and v in ACTIVATIONS,
            f"one of {', '.join(ACTIVATIONS)}",
        ),
        tie_word_embeddings=switch("tie_word_embeddings", True),
        scale_attn_weights=switch("scale_attn_weights", True),
        scale_attn_by_inverse_layer_idx=switch("scale_attn_by_inverse_layer_idx", False),
    )
    if config.n_embd % config.n_head:
        raise InputError(
            path, "n_head", f"is {config.n_head}, which does not divide n_embd, {config.n_embd}"
        )
    end = field(
        "eos_token_id",
        None,
        lambda v: v is None or (type(v) is int and v >= 0),
        "a token id or null",
    )
    config.eos_token_id = end if end is not None and end < config.vocab_size else None
    return config


# ---- *.safetensors -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Entry:
    """Where a tensor's numbers lie."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int  # in the file
    end: int


def read_header(path: Path) -> dict[str, Entry]:
    """The tensors of one safetensors file: 8 bytes of length, a JSON header, the numbers.

    Raises:
        InputError: it is truncated, or its header does not fit it.
    """
    try:
        total = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if total < 8 or length > total - 8:
                raise InputError(path, "header", f"says {length} bytes, but the file has {total}")
            if length > LONGEST_HEADER:
                raise InputError(path, "header", f"says {length} bytes: more than {LONGEST_HEADER}")
            raw = file.read(length)
    except OSError as problem:
        raise InputError(path, "file", problem.strerror or "cannot be read") from None
    try:
        header = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as problem:
        raise InputError(path, "header", f"is not JSON: {problem}") from None
    if not isinstance(header, dict):
        raise InputError(path, "header", "is not a JSON object")
    header.pop("__metadata__", None)
    start = 8 + length
    entries = {name: _entry(path, name, about, start, total) for name, about in header.items()}
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].offset, item[1].end)):
        if entry.offset != start:  # the format knows neither overlaps nor holes
            words = "overlaps the tensor before it" if entry.offset < start else "follows a hole"
            raise InputError(path, name, f"{words}: it begins at byte {entry.offset}, not {start}")
        start = entry.end
    if start != total:
        raise InputError(path, "file", f"has {total} bytes, but its tensors end at {start}")
    return entries


def _entry(path: Path, name: str, about: Any, start: int, total: int) -> Entry:
    def whole(values: Any) -> bool:
        return isinstance(values, list) and all(type(v) is int and 0 <= v < 1 << 63 for v in values)

    if (
        not isinstance(about, dict)
        or not whole(about.get("shape"))
        or not whole(about.get("data_offsets"))
    ):
        raise InputError(path, name, "has no dtype, shape and data_offsets of whole numbers")
    dtype, shape, offsets = about.get("dtype"), tuple(about["shape"]), about["data_offsets"]
    if len(offsets) != 2 or offsets[0] > offsets[1] or start + offsets[1] > total:
        raise InputError(
            path, name, f"data_offsets {offsets} lie outside the {total - start} bytes of numbers"
        )
    width = WIDTHS.get(dtype) if isinstance(dtype, str) else None
    size = math.prod(shape)
    if width is None and not IGNORED.fullmatch(name.removeprefix("transformer.")):
        raise InputError(path, name, f"has dtype {str(dtype)[:20]}, not one of {', '.join(WIDTHS)}")
    if width is not None and offsets[1] - offsets[0] != size * width:
        have = offsets[1] - offsets[0]
        raise InputError(
            path,
            name,
            f"{dtype} {list(shape)} needs {size * width} bytes, but data_offsets give {have}",
        )
    return Entry(path, str(dtype), shape, start + offsets[0], start + offsets[1])


def read_index(folder: Path) -> dict[str, Entry]:
    """All tensors of a folder, in one file or in shards, without the `transformer.` before their
    names.
    """
    single, index = folder / SINGLE, folder / INDEX
    found: dict[str, Entry] = {}
    if single.exists() or not index.exists():
        found = read_header(single)
    else:
        weight_map = read_json(index).get("weight_map")
        if not isinstance(weight_map, dict) or not all(
            isinstance(v, str) for v in weight_map.values()
        ):
            raise InputError(index, "weight_map", "is not an object of file names")
        headers = {}
        for shard in sorted(set(weight_map.values())):
            if Path(shard).name != shard or not shard.isprintable() or not shard:
                raise InputError(
                    index, "weight_map", f"names {shard[:60]!r}, which is no file of this folder"
                )
            headers[shard] = read_header(folder / shard)
        for name, shard in weight_map.items():
            if name not in headers[shard]:
                raise InputError(folder / shard, name, "is missing, though the index names it")
            found[name] = headers[shard][name]
    tensors = {name.removeprefix("transformer."): entry for name, entry in found.items()}
    if len(tensors) < len(found):
        twice = next(name for name in found if f"transformer.{name}" in found)
        raise InputError(found[twice].path, twice, "is there with `transformer.` before it, too")
    return tensors


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The shape that each tensor of the checkpoint must have."""
    wide, inner = config.n_embd, config.n_inner or 4 * config.n_embd
    sizes: dict[str, tuple[int, ...]] = {
        "wte.weight": (config.vocab_size, wide),
        "wpe.weight": (config.n_positions, wide),
    }
    linear = {
        "attn.c_attn": (wide, 3 * wide),
        "attn.c_proj": (wide, wide),
        "mlp.c_fc": (wide, inner),
        "mlp.c_proj": (inner, wide),
    }
    for block in (f"h.{i}." for i in range(config.n_layer)):
        for name, (inputs, outputs) in linear.items():
            sizes |= {f"{block}{name}.weight": (inputs, outputs), f"{block}{name}.bias": (outputs,)}
        sizes |= {
            f"{block}{norm}.{part}": (wide,)
            for norm in ("ln_1", "ln_2")
            for part in ("weight", "bias")
        }
    sizes |= {"ln_f.weight": (wide,), "ln_f.bias": (wide,)}
    return (
        sizes
        if config.tie_word_embeddings
        else sizes | {"lm_head.weight": (config.vocab_size, wide)}
    )


def _check(folder: Path, config: Config, found: dict[str, Entry]) -> None:
    """Whether the tensors are the config's, before any memory is taken for them."""
    numbers = (re.match(r"h\.([0-9]{1,9})\.", name) for name in found)
    last = max((int(number[1]) for number in numbers if number), default=-1)
    if last >= config.n_layer:
        raise InputError(
            folder / "config.json",
            "n_layer",
            f"is {config.n_layer}, but there is a tensor h.{last}",
        )
    layers = min(config.n_layer, last + 2)  # one too many is enough to miss a tensor
    expected = shapes(dataclasses.replace(config, n_layer=layers))
    for name, shape in expected.items():
        entry = found.get(name)
        if entry is None:
            where = folder / (SINGLE if (folder / SINGLE).exists() else INDEX)
            raise InputError(where, name, "is missing")
        if entry.shape != shape:
            raise InputError(
                entry.path,
                name,
                f"has shape {list(entry.shape)}, but config.json asks for {list(shape)}",
            )
    for name, entry in found.items():
        if name not in expected and name != "lm_head.weight" and not IGNORED.fullmatch(name):
            raise InputError(entry.path, name, "is not a tensor of GPT-2")


def fill(target: np.ndarray, entry: Entry) -> None:
    """Reads a tensor's numbers straight into the parameter's memory; 16-bit ones by way of a small
    buffer.
    """
    flat = target.reshape(-1)
    with entry.path.open("rb", buffering=0) as file:
        file.seek(entry.offset)
        if entry.dtype == "F32" and target.dtype == np.float32:
            _read(file, flat, entry)
            return
        kind = np.dtype({"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}[entry.dtype])
        buffer = np.empty(min(CHUNK, flat.size), kind)
        for start in range(0, flat.size, CHUNK):
            part = flat[start : start + CHUNK]
            piece = buffer[: part.size]
            _read(file, piece, entry)
            if entry.dtype == "BF16":  # the upper half of a float32
                bits = part.view(np.uint32)
                bits[:] = piece
                bits <<= 16
            else:
                part[:] = piece


def _read(file: Any, into: np.ndarray, entry: Entry) -> None:
    room = memoryview(into.view(np.uint8))
    while len(room):
        count = file.readinto(room)
        if not count:
            raise InputError(entry.path, "file", "ends before its last tensor")
        room = room[count:]


def load(folder: Path, progress: Callable[[int, int], None] | None = None) -> GPT2:
    """The model of a folder, in evaluation mode. progress(bytes, all bytes) is called after each
    tensor.

    Raises:
        InputError: a file is missing or wrong.
    """
    config = read_config(folder / "config.json")
    found = read_index(folder)
    _check(folder, config, found)
    model = GPT2(config, initialise=False)
    parameters = list(model.named_parameters())
    total, done = sum(p.numel() * 4 for _, p in parameters), 0
    for name, p in parameters:
        fill(p.detach().numpy(), found[name])
        done += p.numel() * 4
        if progress is not None:
            progress(done, total)
    model.eval()
    return model


def save(model: GPT2, folder: Path, dtype: str = "float32") -> None:
    """Writes config.json and model.safetensors (float32 or float16), so that transformers reads
    them too.
    """
    config, kind = model.config, {"float32": "<f4", "float16": "<f2"}[dtype]
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        **{name: value for name, value in vars(config).items() if name != "dropout"},
        "bos_token_id": config.eos_token_id,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": 0.0,
        "torch_dtype": dtype,
    }
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    arrays = {
        f"transformer.{name}".replace("transformer.lm_head", "lm_head"): p.detach().numpy()
        for name, p in model.named_parameters()
    }
    write_safetensors(folder / SINGLE, {name: a.astype(kind) for name, a in arrays.items()})


def write_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays of float32 and float16 into a safetensors file, whole or not at all."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, array in arrays.items():
        kind = {"float32": "F32", "float16": "F16"}[array.dtype.name]
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    draft = path.with_name(path.name + ".part")
    with draft.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).data)
    draft.replace(path)


def tensor_of(ids: list[list[int]] | np.ndarray) -> Tensor:
    """Token ids as an integer tensor (B, T)."""
    return rnn.tensor(np.asarray(ids, np.int64))
