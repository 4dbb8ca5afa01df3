"""examples/gpt2: against a reference in torch and against transformers, files good and bad, the
command line, training.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from gpt2 import cli, evaluate, files, sample, tokenizer, train
from gpt2.model import ACTIVATIONS, GPT2, Cache, Config
from torch.nn import functional as TF

import rnn

ROOT = Path(__file__).resolve().parent.parent

SIZES = {"vocab_size": 300, "n_positions": 24, "n_embd": 24, "n_layer": 2, "n_head": 3}
CONFIG = Config(**SIZES)
TEXT = (
    "".join(
        f"The {a} sees the {b}.\nÉté {a}!\n"
        for a in ("cat", "dog", "owl", "fox")
        for b in ("sea", "sun", "elm")
    )
    * 9
)

# ---- models ------------------------------------------------------------


def random_arrays(config: Config = CONFIG, seed: int = 0) -> dict[str, Any]:
    """A checkpoint's tensors, large enough for every part to matter."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in files.shapes(config).items()
    }


def write_model(
    folder: Path, arrays: dict[str, Any] | None = None, config: dict[str, Any] | None = None
) -> Path:
    """A model's folder: config.json and model.safetensors."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(
        json.dumps({"model_type": "gpt2", **SIZES, **(config or {})})
    )
    files.write_safetensors(
        folder / "model.safetensors", random_arrays() if arrays is None else arrays
    )
    return folder


def write_tokenizer(folder: Path) -> Path:
    train.make_tokenizer([TEXT], SIZES["vocab_size"], folder / "tokenizer.json")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def with_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(write_model(tmp_path_factory.mktemp("models") / "tiny"))


def reference(
    p: dict[str, torch.Tensor], tokens: torch.Tensor, config: Config = CONFIG
) -> torch.Tensor:
    """GPT-2's logits (B, T, V) in plain torch."""
    B, T = tokens.shape
    width, heads = config.n_embd, config.n_head

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return TF.layer_norm(
            x, (width,), p[f"{name}.weight"], p[f"{name}.bias"], config.layer_norm_epsilon
        )

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ p[f"{name}.weight"] + p[f"{name}.bias"]

    x = p["wte.weight"][tokens] + p["wpe.weight"][:T]
    for i in range(config.n_layer):
        q, k, v = linear(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").split(width, 2)
        q, k, v = (t.view(B, T, heads, -1).transpose(1, 2) for t in (q, k, v))
        scores = q @ k.transpose(2, 3) / (width // heads) ** 0.5
        weights = scores.masked_fill(torch.ones(T, T).triu(1).bool(), -torch.inf).softmax(-1)
        x = x + linear((weights @ v).transpose(1, 2).reshape(B, T, width), f"h.{i}.attn.c_proj")
        inner = TF.gelu(linear(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc"), approximate="tanh")
        x = x + linear(inner, f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f") @ p["wte.weight"].T


def ids(*shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).integers(0, SIZES["vocab_size"], shape)


def logits_of(model: GPT2, tokens: Any) -> Any:
    with rnn.no_grad():
        return np.array(model(rnn.tensor(tokens)).numpy())


def test_logits_loss_and_gradients_are_the_reference(folder: Path) -> None:
    tokens = ids(2, 20)
    model = files.load(folder)
    loss = model.loss(rnn.tensor(tokens[:, :-1]), rnn.tensor(tokens[:, 1:]))
    loss.backward()
    p = {name: torch.tensor(a, requires_grad=True) for name, a in random_arrays().items()}
    logits = reference(p, torch.tensor(tokens))
    expected = TF.cross_entropy(logits[:, :-1].flatten(0, 1), torch.tensor(tokens[:, 1:]).flatten())
    expected.backward()
    np.testing.assert_allclose(
        logits_of(model, tokens), logits.detach().numpy(), rtol=1e-4, atol=1e-4
    )
    assert abs(loss.item() - expected.item()) < 1e-5
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.numpy(), p[name].grad.numpy(), rtol=1e-3, atol=1e-4, err_msg=name
        )


def test_scalar_resolution_agrees() -> None:
    config = Config(vocab_size=7, n_positions=4, n_embd=4, n_layer=1, n_head=2)
    rnn.manual_seed(0)
    model = GPT2(config)
    tokens, targets = rnn.tensor([[1, 2, 3]]), rnn.tensor([[2, 3, 4]])
    found = []
    for resolution in ("tensor", "scalar"):
        model.zero_grad()
        with rnn.resolution(resolution):
            loss = model.loss(tokens, targets)
            loss.backward()
        found.append([loss.item()] + [p.grad.numpy().copy() for p in model.parameters()])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_the_shipped_model_has_the_same_gradients_at_scalar_resolution() -> None:
    model = files.load(evaluate.SHIPPED)
    tokens, targets = rnn.tensor([[5, 77, 300]]), rnn.tensor([[77, 300, 12]])
    found = []
    for resolution in ("tensor", "scalar"):
        model.zero_grad()
        with rnn.resolution(resolution):
            loss = model.loss(tokens, targets)
            nodes = loss.graph_size()
            loss.backward()
        found.append([loss.item()] + [p.grad.numpy().copy() for p in model.parameters()])
    assert nodes > 2 * 3 * sum(p.numel() for p in model.h.parameters() if p.ndim == 2)
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def of_transformers(**options: Any) -> Any:
    """A random model of transformers."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(**SIZES, initializer_range=0.3, **options)
    return transformers.GPT2LMHeadModel(config).eval()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tie_word_embeddings": False, "n_inner": 40, "layer_norm_epsilon": 0.01},
        {"scale_attn_weights": False},
        {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True},
        *({"activation_function": name} for name in ACTIVATIONS),
    ],
    ids=str,
)
def test_transformers_agrees(tmp_path: Path, options: dict[str, Any]) -> None:
    theirs = of_transformers(**options)
    theirs.save_pretrained(tmp_path)
    ours = files.load(tmp_path)
    tokens = ids(2, 24)
    out = theirs(torch.tensor(tokens), labels=torch.tensor(tokens))
    np.testing.assert_allclose(
        logits_of(ours, tokens), out.logits.detach().numpy(), rtol=1e-4, atol=1e-4
    )
    loss = ours.loss(rnn.tensor(tokens[:, :-1]), rnn.tensor(tokens[:, 1:]))
    loss.backward()
    out.loss.backward()
    assert abs(loss.item() - out.loss.item()) < 1e-4
    gradients = {name.removeprefix("transformer."): p.grad for name, p in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.numpy(), gradients[name].numpy(), atol=1e-4, err_msg=name
        )
    made = theirs.generate(
        torch.tensor([[5, 6, 7]]),
        max_new_tokens=20,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    found = [
        c.token
        for c in sample.generate(sample.Session(ours), [5, 6, 7], sample.Sampling(greedy=True), 20)
    ]
    assert found == made[0, 3:].tolist()


def test_beyond_the_context_each_token_is_transformers(tmp_path: Path) -> None:
    theirs = of_transformers()
    theirs.save_pretrained(tmp_path)
    session, window = sample.Session(files.load(tmp_path)), [5, 6, 7]
    for choice in sample.generate(session, window, sample.Sampling(greedy=True), 60):
        with torch.no_grad():
            assert choice.token == int(theirs(torch.tensor([window])).logits[0, -1].argmax())
        window.append(choice.token)
        window = window[-12:] if len(window) > 24 else window


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shards", [1, 5])
def test_what_transformers_writes_is_read(tmp_path: Path, kind: torch.dtype, shards: int) -> None:
    theirs = of_transformers().to(kind)
    theirs.save_pretrained(
        tmp_path, max_shard_size="1GB" if shards == 1 else 21_000 * kind.itemsize
    )
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shards > 1)
    tokens = ids(1, 24)
    expected = theirs.float()(torch.tensor(tokens)).logits.detach().numpy()
    found = logits_of(files.load(tmp_path), tokens)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_transformers_reads_what_is_saved(folder: Path, tmp_path: Path) -> None:
    for dtype, tolerance in (("float32", 1e-4), ("float16", 3e-2)):
        model = files.load(folder)
        files.save(model, tmp_path / dtype, dtype)
        theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / dtype).float().eval()
        tokens = ids(1, 9)
        expected = theirs(torch.tensor(tokens)).logits.detach().numpy()
        np.testing.assert_allclose(
            logits_of(model, tokens), expected, atol=tolerance, rtol=tolerance
        )


# ---- cache, sampling ------------------------------------------------------------


def test_cache_on_and_off_agree(folder: Path) -> None:
    model, tokens = files.load(folder), ids(1, 24)
    whole = logits_of(model, tokens)
    for sizes in ([1] * 24, [24], [10, 1, 13], [5, 19], [1, 23]):
        cache, parts, at = Cache(model.config), [], 0
        for size in sizes:
            with rnn.no_grad():
                parts.append(np.array(model(rnn.tensor(tokens[:, at : at + size]), cache).numpy()))
            at += size
        np.testing.assert_allclose(
            np.concatenate(parts, 1), whole, rtol=1e-4, atol=1e-4, err_msg=str(sizes)
        )


def test_more_tokens_than_positions_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="25 tokens do not fit the context of 24"):
        logits_of(files.load(folder), ids(1, 25))


def test_beyond_the_context_it_slides(folder: Path) -> None:
    model, how = files.load(folder), sample.Sampling(greedy=True)
    prompt = ids(20).tolist()
    found = [choice.token for choice in sample.generate(sample.Session(model), prompt, how, 60)]
    window, expected = list(prompt), []
    for _ in range(60):  # without a cache, the window cut by the same rule
        expected.append(int(logits_of(model, [window])[0, -1].argmax()))
        window.append(expected[-1])
        window = window[-12:] if len(window) > 24 else window
    assert found == expected


def test_sampling_follows_its_options() -> None:
    logits = np.log(np.array([0.5, 0.25, 0.15, 0.1], np.float32))
    shares = sample.probabilities
    np.testing.assert_allclose(
        shares(logits, sample.Sampling(1.0)), [0.5, 0.25, 0.15, 0.1], rtol=1e-5
    )
    np.testing.assert_allclose(
        shares(logits, sample.Sampling(1.0, top_k=2)), [2 / 3, 1 / 3, 0, 0], rtol=1e-5
    )
    np.testing.assert_allclose(
        shares(logits, sample.Sampling(1.0, top_p=0.74)), [2 / 3, 1 / 3, 0, 0], rtol=1e-5
    )
    np.testing.assert_allclose(shares(logits, sample.Sampling(1.0, top_p=1e-6)), [1, 0, 0, 0])
    np.testing.assert_allclose(
        shares(logits, sample.Sampling(0.5)),
        np.array([0.25, 0.0625, 0.0225, 0.01]) / 0.345,
        rtol=1e-5,
    )
    np.testing.assert_allclose(shares(logits, sample.Sampling(1e-320)), [1, 0, 0, 0])
    random = np.random.default_rng(0)
    drawn = [
        sample.pick(logits, sample.Sampling(1.0, top_k=3), random, 0).token for _ in range(2000)
    ]
    np.testing.assert_allclose(
        np.bincount(drawn, minlength=4) / 2000, [0.555, 0.278, 0.167, 0], atol=0.04
    )
    for how in (sample.Sampling(greedy=True), sample.Sampling(temperature=0)):
        assert sample.pick(logits, how, random, 0).token == 0
    choice = sample.pick(logits, sample.Sampling(greedy=True), random, 2)
    assert [t for t, _ in choice.alternatives] == [0, 1] and abs(choice.probability - 0.5) < 1e-5


def test_top_p_and_the_alternatives_are_those_of_a_stable_sort() -> None:
    random = np.random.default_rng(0)
    for turn in range(500):
        size = int(random.integers(1, 60))
        logits = random.integers(-3, 4, size) if turn % 2 else random.normal(0, 3, size)
        share = float(random.choice([1e-300, 0.1, 0.5, 0.9, 1 - 1e-12]))
        p = np.exp(logits - logits.max())
        p /= p.sum()
        order = np.argsort(-p, kind="stable")
        kept = order[np.cumsum(p[order]) - p[order] < share]
        found = sample.probabilities(logits, sample.Sampling(1.0, top_p=share))
        np.testing.assert_array_equal(np.flatnonzero(found), np.sort(kept))
        np.testing.assert_allclose(found[kept], p[kept] / p[kept].sum(), rtol=1e-12)
        choice = sample.pick(logits, sample.Sampling(greedy=True), random, 5)
        assert [token for token, _ in choice.alternatives] == order[:5].tolist()


def test_it_stops_at_the_end_of_text(folder: Path) -> None:
    model, how = files.load(folder), sample.Sampling(greedy=True)
    tokens = [c.token for c in sample.generate(sample.Session(model), [1, 2], how, 8)]
    end = tokens[4]
    found = [c.token for c in sample.generate(sample.Session(model), [1, 2], how, 8, {end})]
    assert found == tokens[: tokens.index(end)]


# ---- files ------------------------------------------------------------


def test_float16_bfloat16_float64_prefixes_and_shards(tmp_path: Path) -> None:
    arrays = random_arrays()
    from safetensors.torch import save_file

    kinds = {"half": torch.float16, "brain": torch.bfloat16, "double": torch.float64}
    for name, kind in kinds.items():
        folder = write_model(tmp_path / name)
        rounded = {f"transformer.{key}": torch.tensor(a).to(kind) for key, a in arrays.items()}
        save_file(
            {**rounded, "transformer.h.0.attn.bias": torch.ones(1, 1, 24, 24, dtype=torch.bool)},
            folder / "model.safetensors",
        )
        for key, p in files.load(folder).named_parameters():
            np.testing.assert_array_equal(
                p.detach().numpy(), rounded[f"transformer.{key}"].float().numpy()
            )
    folder = write_model(tmp_path / "shards")
    (folder / "model.safetensors").unlink()
    names, weight_map = list(arrays), {}
    for i, part in enumerate((names[:9], names[9:])):
        shard = f"model-0000{i + 1}-of-00002.safetensors"
        save_file({key: torch.tensor(arrays[key]) for key in part}, folder / shard)
        weight_map |= dict.fromkeys(part, shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    for key, p in files.load(folder).named_parameters():
        np.testing.assert_array_equal(p.detach().numpy(), arrays[key])
    weight_map.pop("ln_f.bias")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(files.InputError, match=r"index.json: ln_f.bias: is missing"):
        files.load(folder)
    for name in ("../x.safetensors", "", "a\0b"):
        (folder / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"wte.weight": name}})
        )
        with pytest.raises(files.InputError, match=r"index.json: weight_map: names"):
            files.load(folder)


def test_a_conversion_in_pieces_is_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CHUNK", 100)
    arrays = {name: a.astype(np.float16) for name, a in random_arrays().items()}
    for key, p in files.load(write_model(tmp_path / "m", arrays)).named_parameters():
        np.testing.assert_array_equal(p.detach().numpy(), arrays[key].astype(np.float32))


CONFIGS = {
    "model_type": "llama",
    "n_layer": 0,
    "n_head": 5,
    "n_embd": "24",
    "n_positions": -1,
    "vocab_size": 1 << 40,
    "layer_norm_epsilon": None,
    "activation_function": "sine",
    "tie_word_embeddings": 1,
    "scale_attn_weights": 1,
    "scale_attn_by_inverse_layer_idx": None,
    "add_cross_attention": True,
    "n_inner": 1.5,
    "eos_token_id": "no",
}


@pytest.mark.parametrize("field", CONFIGS)
def test_a_wrong_config_value_is_named(tmp_path: Path, field: str) -> None:
    with pytest.raises(files.InputError, match=f"config.json: {field}: ") as caught:
        files.load(write_model(tmp_path / "m", config={field: CONFIGS[field]}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["vocab_size", "n_positions", "n_embd", "n_layer", "n_head"])
def test_a_missing_config_value_is_named(tmp_path: Path, field: str) -> None:
    folder = write_model(tmp_path / "m")
    (folder / "config.json").write_text(json.dumps({k: v for k, v in SIZES.items() if k != field}))
    with pytest.raises(files.InputError, match=f"config.json: {field}: "):
        files.load(folder)


def test_a_config_that_does_not_fit_the_tensors(tmp_path: Path) -> None:
    for change, words in (
        ({"n_layer": 1}, "n_layer: is 1, but there is a tensor h.1"),
        ({"n_layer": 3}, "h.2.attn.c_attn.weight: is missing"),
        (
            {"vocab_size": 299},
            r"wte.weight: has shape \[300, 24\], but config.json asks for \[299, 24\]",
        ),
        ({"vocab_size": 2**31 - 1}, "wte.weight: has shape"),
        ({"n_layer": 2**31 - 1}, "h.2.attn.c_attn.weight: is missing"),
        ({"tie_word_embeddings": False}, "lm_head.weight: is missing"),
    ):
        with pytest.raises(files.InputError, match=words):
            files.load(write_model(tmp_path / "m", config=change))


def damaged(folder: Path, change: Any) -> Path:
    """The folder with its safetensors' header changed (a function of the dict), or its bytes."""
    path = folder / "model.safetensors"
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    made = change(header)
    new = made if isinstance(made, bytes) else json.dumps(header).encode()
    path.write_bytes(len(new).to_bytes(8, "little") + new + raw[8 + length :])
    return folder


EMPTY = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
HEADERS = {
    "not JSON": (lambda h: b"{...", "header: is not JSON"),
    "a list": (lambda h: b"[]", "header: is not a JSON object"),
    "not UTF-8": (lambda h: b"\xff\xfe", "header: is not JSON"),
    "deep": (lambda h: b"[" * 100_000, "header: is not JSON"),
    "offsets beyond": (
        lambda h: h["wpe.weight"].update(data_offsets=[0, 1 << 40]),
        "wpe.weight: data_offsets",
    ),
    "offsets backwards": (
        lambda h: h["wpe.weight"].update(data_offsets=[8, 4]),
        "wpe.weight: data_offsets",
    ),
    "negative": (lambda h: h["wpe.weight"].update(data_offsets=[-8, 4]), "wpe.weight: has no"),
    "overflow": (lambda h: h["wpe.weight"].update(shape=[1 << 62, 1 << 62]), "wpe.weight: F32"),
    "huge": (lambda h: h["wpe.weight"].update(shape=[1 << 70]), "wpe.weight: has no"),
    "dtype": (lambda h: h["wpe.weight"].update(dtype="I64"), "wpe.weight: has dtype I64"),
    "dtype list": (lambda h: h["wpe.weight"].update(dtype=[1]), "wpe.weight: has dtype"),
    "no shape": (lambda h: h["wpe.weight"].pop("shape") and None, "wpe.weight: has no"),
    "shape": (lambda h: h["wpe.weight"].update(shape=[12, 48]), "wpe.weight: has shape"),
    "missing": (lambda h: h.update(other=h.pop("ln_f.bias")), "ln_f.bias: is missing"),
    "strange": (lambda h: h.update(other=EMPTY), "other: is not a tensor of GPT-2"),
    "overlap": (lambda h: h.update(other=h["ln_f.bias"]), "other: overlaps the tensor before it"),
    "hole": (lambda h: h.pop("ln_f.weight") and None, "ln_f.bias: follows a hole"),
    "rest": (lambda h: h.pop("ln_f.bias") and None, "file: has 9.* but its tensors end at 9"),
    "twice": (
        lambda h: h.update({"transformer.wte.weight": EMPTY}),
        "wte.weight: is there with `transformer.` before it, too",
    ),
    "layer": (lambda h: h.update({f"h.{'9' * 5000}.x": EMPTY}), "h.9*.x: is not a tensor of GPT-2"),
    "line ends": (lambda h: h.update({"a\r\u2028b\x1b": EMPTY}), "a  b : is not a tensor of GPT-2"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_corrupted_header_is_named(tmp_path: Path, case: str) -> None:
    change, words = HEADERS[case]
    with pytest.raises(files.InputError, match=f"model.safetensors: {words}") as caught:
        files.load(damaged(write_model(tmp_path / "m"), change))
    assert len(str(caught.value).splitlines()) == 1


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    raw = (write_model(tmp_path / "m") / "model.safetensors").read_bytes()
    for size in (0, 5, 8, 100, len(raw) // 2, len(raw) - 1):
        (tmp_path / "m" / "model.safetensors").write_bytes(raw[:size])
        with pytest.raises(files.InputError, match=r"model.safetensors: "):
            files.load(tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").write_bytes(b"\xff" * 64)  # a length that overflows
    with pytest.raises(files.InputError, match="header: says 18446744073709551615 bytes"):
        files.load(tmp_path / "m")
    with (tmp_path / "m" / "model.safetensors").open("wb") as file:  # sparse: nothing is written
        file.write((1 << 40).to_bytes(8, "little"))
        file.truncate(1 << 41)
    with pytest.raises(files.InputError, match="header: says 1099511627776 bytes: more than"):
        files.load(tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").unlink()
    with pytest.raises(files.InputError, match=r"model.safetensors: file: No such file"):
        files.load(tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").mkdir()
    with pytest.raises(files.InputError, match=r"model.safetensors: file: Is a directory"):
        files.load(tmp_path / "m")


def test_random_damage_is_an_error_of_one_line(tmp_path: Path) -> None:
    """Bytes of the header and of config.json changed, cut out and put in at random."""
    random = np.random.default_rng(0)
    folder = write_model(tmp_path / "m")
    paths = (folder / "config.json", folder / "model.safetensors")
    config, raw = (path.read_bytes() for path in paths)
    length = int.from_bytes(raw[:8], "little")
    inserts = (b"9" * 30, b"-", b"NaN", b"1e999", b"null", b"[]", b"{}", b'"', b"\\ud800", b"\xff")
    loaded = 0
    for turn in range(400):
        parts = [config, raw[8 : 8 + length]]
        part = bytearray(parts[turn % 2])
        for _ in range(random.integers(1, 4)):
            at = int(random.integers(len(part)))
            part[at : at + int(random.integers(3))] = inserts[random.integers(len(inserts))]
        parts[turn % 2] = bytes(part)
        paths[0].write_bytes(parts[0])
        paths[1].write_bytes(len(parts[1]).to_bytes(8, "little") + parts[1] + raw[8 + length :])
        try:
            files.load(folder)
            loaded += 1
        except files.InputError as problem:
            assert len(str(problem).splitlines()) == 1
    assert loaded < 100


# ---- the tokenizer ------------------------------------------------------------


def test_vocab_and_merges_are_the_same_tokenizer(with_tokenizer: Path, tmp_path: Path) -> None:
    import tokenizers

    one = tokenizer.Tokenizer(with_tokenizer, CONFIG)
    tokenizers.Tokenizer.from_file(str(with_tokenizer / "tokenizer.json")).model.save(str(tmp_path))
    two = tokenizer.Tokenizer(tmp_path, CONFIG)
    assert one.ends == two.ends == {0}
    assert tokenizer.Tokenizer(tmp_path, Config(**SIZES, eos_token_id=7)).ends == {0, 7}
    for text in (TEXT[:100], " a  b\n\n été ☂ 3.5 don't", "x<|endoftext|>y"):
        assert one.encode(text) == two.encode(text)
        assert one.decode(one.encode(text)) == two.decode(two.encode(text)) == text


def test_the_tokenizer_is_transformers(with_tokenizer: Path, tmp_path: Path) -> None:
    from hypothesis import given, settings
    from hypothesis import strategies as st

    ours = tokenizer.Tokenizer(with_tokenizer, CONFIG)
    ours.model.model.save(str(tmp_path))
    two_files = tokenizer.Tokenizer(tmp_path, CONFIG)
    theirs = transformers.GPT2TokenizerFast(
        vocab=str(tmp_path / "vocab.json"),
        merges=str(tmp_path / "merges.txt"),
        tokenizer_file=str(with_tokenizer / "tokenizer.json"),
    )

    @settings(max_examples=60, deadline=None)
    @given(st.text(max_size=40))
    def same(text: str) -> None:
        assert ours.encode(text) == two_files.encode(text) == theirs(text)["input_ids"]
        assert ours.decode(ours.encode(text)) == text

    same()


def test_what_a_tokenizer_says_of_truncation_and_padding_is_for_training(
    with_tokenizer: Path, tmp_path: Path
) -> None:
    ours = tokenizer.Tokenizer(with_tokenizer, CONFIG)
    expected = ours.encode("The cat sees the sea")
    ours.model.enable_truncation(2)
    ours.model.enable_padding(length=30)
    ours.model.save(str(tmp_path / "tokenizer.json"))
    assert tokenizer.Tokenizer(tmp_path, CONFIG).encode("The cat sees the sea") == expected


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("merges.txt", b"a b c\n", "merges.txt: file: is not a tokenizer"),
        ("merges.txt", b"\xff", "merges.txt: file: is not a tokenizer"),
        ("merges.txt", b"#version: 0.2\nzz qq\n", "merges.txt: file: is not a tokenizer"),
        ("vocab.json", b"{", "vocab.json: file: is not JSON"),
        ("vocab.json", b'{"a": -1}', "vocab.json: 'a': has an id that is no whole number"),
        ("vocab.json", b'{"a": "b"}', "vocab.json: 'a': has an id that is no whole number"),
    ],
)
def test_the_wrong_one_of_two_files_is_named(
    with_tokenizer: Path, tmp_path: Path, name: str, raw: bytes, words: str
) -> None:
    tokenizer.Tokenizer(with_tokenizer, CONFIG).model.model.save(str(tmp_path))
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(files.InputError, match=words):
        tokenizer.Tokenizer(tmp_path, CONFIG)


def test_streamed_text_is_the_whole_text(with_tokenizer: Path) -> None:
    ours = tokenizer.Tokenizer(with_tokenizer, CONFIG)
    for text in ("Été ☂ 🦊 the cat", "☂☂", "🦊"):
        assert "".join(ours.stream(iter(ours.encode(text)))) == text
    broken = ours.encode("a🦊")[:-1]
    assert "".join(ours.stream(iter(broken))) == ours.decode(broken)


def test_tokens_that_the_model_has_not(with_tokenizer: Path, tmp_path: Path) -> None:
    small = tokenizer.Tokenizer(with_tokenizer, Config(vocab_size=100))
    with pytest.raises(
        files.InputError, match=r"tokenizer.json: .* but the model has 100 \(vocab_size\)"
    ):
        small.encode("The cat sees")
    import tokenizers

    poor = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b": 1}, []))
    poor.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    poor.decoder = tokenizers.decoders.ByteLevel()
    poor.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(files.InputError, match="prompt: text: holds characters for which"):
        tokenizer.Tokenizer(tmp_path, CONFIG).encode("abc")
    panics = json.loads((tmp_path / "tokenizer.json").read_text())
    panics["model"]["merges"] = ["a b"]
    panics["model"]["continuing_subword_prefix"] = "a prefix longer than the tokens"
    for text in (json.dumps(panics), "{"):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(files.InputError, match=r"tokenizer.json: file: is not a tokenizer"):
            tokenizer.Tokenizer(tmp_path, CONFIG)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(files.InputError, match=r"neither tokenizer.json nor"):
        tokenizer.Tokenizer(tmp_path, CONFIG)


# ---- the command line ------------------------------------------------------------


def command(
    *arguments: object,
    script: str = "",
    stdin: str = "",
    code: int = 0,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs examples/gpt2 in a process of its own; its exit code must be `code`."""
    fixed = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "gpt2" / script), *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **fixed, **(environment or {})},
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_the_command_line(with_tokenizer: Path, tmp_path: Path) -> None:
    model = ("--model", with_tokenizer, "--max-new-tokens", 6, "--seed", 1)
    plain = command("The cat", *model)
    assert plain.stdout.startswith("The cat") and "tokens/s; peak memory" in plain.stderr
    (tmp_path / "prompt.txt").write_text("The cat")
    assert command("--file", tmp_path / "prompt.txt", *model).stdout == plain.stdout
    assert command(*model, stdin="The cat\n").stdout == plain.stdout
    result = json.loads(
        command("The cat", *model, "--json", "--explain", "--num-samples", 2).stdout
    )
    assert "The cat" + result["text"] + "\n" == plain.stdout
    assert result["prompt_tokens"] == len(
        tokenizer.Tokenizer(with_tokenizer, CONFIG).encode("The cat")
    )
    assert len(result["tokens"]) == 6 == len(result["explain"]) and len(result["samples"]) == 2
    assert result["generated_tokens"] == sum(len(one["tokens"]) for one in result["samples"])
    assert result["samples"][0]["text"] == result["text"] and result["peak_bytes"] > 1e6
    assert all(
        result[field] > 0 for field in ("prompt_seconds", "generated_seconds", "load_seconds")
    )
    greedy = command(
        "The cat", *model, "--greedy", "--max-new-tokens", 40
    ).stdout  # slides: 24 positions
    assert command("The cat", *model, "--temperature", 0, "--max-new-tokens", 40).stdout == greedy
    stop = greedy[12:15]
    stopped = command("The cat", *model, "--greedy", "--stop", stop, "--json").stdout
    assert "The cat" + json.loads(stopped)["text"] == greedy[: greedy.index(stop, 7)]


def test_interactive_goes_on_from_the_text_that_is_shown(
    with_tokenizer: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = files.load(with_tokenizer)
    ours, how = tokenizer.Tokenizer(with_tokenizer, CONFIG), sample.Sampling(greedy=True)

    def answer(text: str, line: str) -> str:
        """What greedy decoding writes behind text + line, read anew; cut before "stop"."""
        known = ours.encode(text + line)
        known = known[-max(len(ours.encode(line)), 12) :] if len(known) > 24 else known
        made = sample.generate(sample.Session(model), known, how, 7)
        return ours.decode([choice.token for choice in made]).split(stop)[0]

    stop = "\0"  # not yet
    stop = answer("", "The cat")[3:5]
    lines, text, expected = ["The cat", " owl", "\udcff", "The sea sees the fox", "", "The"], "", []
    for line in lines:
        if line == "\udcff":  # not UTF-8: refused, the text stays
            continue
        if line:
            expected.append(answer(text, line))
            text += line + expected[-1]
        else:
            text = ""
    raw = "\n".join(lines).encode("utf-8", "surrogateescape")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), "utf-8"))
    options = ["--interactive", "--greedy", "--max-new-tokens", "7", "--stop", stop]
    assert cli.main([*options, "--model", str(with_tokenizer)]) == 0
    out, err = capsys.readouterr()
    assert out == "".join(f"{piece}\n" for piece in expected)
    assert "prompt: text: is not UTF-8\n" in err and "generated" in err.splitlines()[-1]


def test_samples_are_those_of_seeds_in_a_row_though_the_text_slides(
    with_tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def texts(*options: object) -> list[str]:
        arguments = [
            "The cat",
            "--model",
            with_tokenizer,
            "--max-new-tokens",
            40,
            "--json",
            *options,
        ]
        assert cli.main([str(argument) for argument in arguments]) == 0
        result = json.loads(capsys.readouterr().out)
        return [one["text"] for one in result.get("samples", [result])]

    alone = [texts("--seed", seed)[0] for seed in (5, 6, 7)]
    assert texts("--seed", 5, "--num-samples", 3) == alone and len(set(alone)) == 3


def test_a_terminal_gets_a_progress_bar_and_a_prompt_sign(with_tokenizer: Path) -> None:
    import pty
    import termios

    main, side = pty.openpty()
    termios.tcsetwinsize(main, (24, 80))
    program = [sys.executable, str(ROOT / "examples" / "gpt2"), "--model", str(with_tokenizer)]
    program += ["--interactive", "--max-new-tokens", "3"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    with subprocess.Popen(program, stdin=side, stdout=side, stderr=side, env=environment) as child:
        os.close(side)
        seen, lines, until = b"", [b"The cat\n", b"\x04"], time.monotonic() + 60
        with contextlib.suppress(OSError):  # Linux: the other end is closed
            while time.monotonic() < until and select.select([main], [], [], 30)[0]:
                seen += os.read(main, 1000)
                if lines and seen.endswith(b"> "):
                    os.write(main, lines.pop(0))
                    seen += b"|"
        os.close(main)
        child.kill()
    assert b"loading" in seen and seen.count(b"> |") == 2 and b"tokens/s; peak memory" in seen


@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [
        ("<&-", 2, "standard input: text: is empty"),
        ("The >&-", 0, "peak memory"),
        ("The > /dev/full", 2, "output: file: No space left on device"),
        ("--json The > /dev/full", 2, "output: file: No space left on device"),
        ("The | head -c 1", 0, ""),
    ],
)
def test_streams_that_are_closed_or_full(
    with_tokenizer: Path, redirection: str, code: int, words: str
) -> None:
    if "/dev/full" in redirection and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    program = f"{sys.executable} {ROOT}/examples/gpt2 --model {with_tokenizer} {redirection}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        ["sh", "-c", program], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert words in done.stderr and len(done.stderr.splitlines()) == (1 if words else 0)


def test_a_terminal_that_cannot_show_a_character_gets_a_question_mark(
    with_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    assert cli.main(["Été", "--model", str(with_tokenizer), "--max-new-tokens", "1"]) == 0
    assert written.getvalue().startswith(b"?t?")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["", "--model", "M"], "prompt: text: is empty"),
        (["cat " * 40, "--model", "M"], "prompt: text: has .* context \\(n_positions\\) has 24"),
        (["x", "--model", "./nowhere"], "nowhere: --model: is neither"),
        (["x", "--model", "nobody/nothing"], "nobody/nothing: --model: "),
        (["--file", "nowhere.txt", "--model", "M"], "nowhere.txt: file: No such file"),
        (["x", "--model", "M", "--temperature", "-1"], "--temperature"),
        (["x", "--model", "M", "--top-p", "0"], "--top-p"),
        (["x", "--model", "M", "--temperature", "nan"], "--temperature"),
        (["x", "--model", "BAD"], "model.safetensors: ln_f.bias: is missing"),
        (["x", "--model", "x" * 5000], "x{80}: --model: cannot be looked up: File name too long"),
        (["x", "--model", "~no-such-user/x"], "user/x: --model: cannot be looked up"),
        (["\udcff", "--model", "M"], "prompt: text: is not UTF-8"),
        (["--file", "/", "--model", "M"], "/: file: Is a directory"),
        (["x", "--file", "y"], "a prompt and --file exclude each other"),
        (["x", "--interactive"], "--interactive takes its prompts from the lines"),
        (["x", "--interactive", "--json"], "--interactive and --json exclude each other"),
        (["x", "--stop", ""], "--stop needs a text"),
        (["x", "--seed", "-1"], "--seed"),
        (["x", "--max-new-tokens", "0"], "--max-new-tokens"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    with_tokenizer: Path,
    tmp_path: Path,
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True, raising=False)
    bad = damaged(write_model(tmp_path / "m"), HEADERS["missing"][0])
    places = {"M": str(with_tokenizer), "BAD": str(bad)}
    try:
        code = cli.main([places.get(a, a) for a in arguments])
    except SystemExit as leaving:  # argparse
        code = leaving.code
    out, err = capsys.readouterr()
    assert code == 2 and out == ""
    assert re.search(words, err) and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda m: (m / "config.json").write_text('{"model_type": "bert"}'),
            "config.json: model_t",
        ),
        (lambda m: damaged(m, HEADERS["overflow"][0]), "model.safetensors: wpe.weight: F32"),
        (lambda m: damaged(m, HEADERS["missing"][0]), "model.safetensors: ln_f.bias: is missing"),
        (lambda m: os.truncate(m / "model.safetensors", 5000), "model.safetensors: "),
        (lambda m: (m / "tokenizer.json").write_text("{}"), "tokenizer.json: file: is not a"),
    ],
)
def test_the_command_line_with_bad_files(tmp_path: Path, change: Any, words: str) -> None:
    model = write_tokenizer(write_model(tmp_path / "m"))
    change(model)
    done = command("The", "--model", model, code=2)
    assert words in done.stderr and done.stdout == "" and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("first", [0, 9])  # the position from which on they are no numbers
def test_weights_that_are_not_numbers(with_tokenizer: Path, tmp_path: Path, first: int) -> None:
    arrays = random_arrays()
    arrays["wpe.weight"][first:] = np.nan
    broken = write_tokenizer(write_model(tmp_path / "m", arrays))
    done = command("!" * 9, "--greedy", "--model", broken, code=2)
    assert done.stderr == f"{broken}: weights: give logits that are not numbers\n"


# wherever the tests were started, SIGINT means what it usually does; SLOW: an import that lasts
START = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
SLOW = """
import sys, time
class Slow:
    def find_spec(name, *rest):
        if name == "gpt2.cli":
            print("The", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow)
"""


@pytest.mark.parametrize(
    ("before", "code", "words"),
    [("", 130, b"\n"), (SLOW, -signal.SIGINT, b"")],
    ids=["text", "import"],
)
def test_control_c_ends_it_without_a_traceback(
    with_tokenizer: Path, before: str, code: int, words: bytes
) -> None:
    run = f"runpy.run_path({str(ROOT / 'examples' / 'gpt2')!r}, run_name='__main__')"
    program = [sys.executable, "-c", f"{START}\n{before}\n{run}", "The", "--model", with_tokenizer]
    program += ["--max-new-tokens", "10000000", "--greedy"]  # no end of text comes
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as child:
        assert child.stdout is not None and child.stdout.read(3) == b"The"
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode == code and err == words


def test_an_offline_cache_of_the_hub(with_tokenizer: Path, tmp_path: Path) -> None:
    repository, commit = tmp_path / "models--nobody--tiny", "0" * 40
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    shutil.copytree(with_tokenizer, repository / "snapshots" / commit)
    cache = {"HF_HUB_CACHE": str(tmp_path)}
    done = command("The", "--model", "nobody/tiny", "--max-new-tokens", 3, environment=cache)
    assert done.stdout.startswith("The")
    done = command("The", "--model", "nobody/other", code=2, environment=cache)
    assert done.stderr.startswith("nobody/other: --model: cannot be fetched")


# ---- training ------------------------------------------------------------


OPTIONS = (
    "--vocab-size 280 --layers 1 --heads 2 --width 16 --context 16 --batch 4 --steps 12 --warmup 2 "
    "--lr 0.02 --dropout 0.1 --eval-every 4 --eval-batches 1 --sample-every 6 --accumulate 2 "
    "--checkpoint-every 5"
).split()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and, in `whole`, a model of it, trained without a break."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    assert training(folder, "whole") == 0
    return folder


def training(folder: Path, out: str, *more: object) -> int:
    arguments = [folder / "text.txt", "--out", folder / out, *OPTIONS, *more]
    return train.main([str(argument) for argument in arguments])


def same_models(folder: Path, one: str, two: str) -> None:
    about = [json.loads((folder / name / "training.json").read_text()) for name in (one, two)]
    for key in ("training_loss", "validation_loss", "validations", "steps", "settings"):
        assert about[0][key] == about[1][key], key
    raw = [(folder / name / "model.safetensors").read_bytes() for name in (one, two)]
    assert raw[0] == raw[1]


def test_training_learns_and_what_it_writes_is_used(trained: Path) -> None:
    out = trained / "whole"
    about = json.loads((out / "training.json").read_text())
    assert about["validations"][-1][1] < about["validations"][0][1] < np.log(280)
    validation = out / "validation.txt"
    done = command("--model", out, "--json", validation, script="evaluate.py")
    assert abs(json.loads(done.stdout)["loss"] - about["validation_loss"]) < 1e-4
    assert command("The", "--model", out, "--max-new-tokens", 5).stdout.startswith("The")


def test_transformers_reads_model_and_tokenizer(trained: Path) -> None:
    out = trained / "whole"
    theirs = transformers.AutoModelForCausalLM.from_pretrained(out).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(out)("The cat sees the sea.")["input_ids"]
    model = files.load(out)
    assert tokens == tokenizer.Tokenizer(out, model.config).encode("The cat sees the sea.")
    expected = theirs(torch.tensor([tokens])).logits.detach().numpy()
    np.testing.assert_allclose(logits_of(model, [tokens]), expected, rtol=1e-4, atol=1e-4)


def test_training_resumes_exactly(trained: Path) -> None:
    assert training(trained, "parts", "--steps-now", 7) == 0
    assert training(trained, "parts") == 0
    same_models(trained, "whole", "parts")


def test_training_that_is_killed_resumes_exactly(trained: Path) -> None:
    """Killed twice, wherever it is then, with a checkpoint after every step."""
    program = [sys.executable, ROOT / "examples" / "gpt2" / "train.py", trained / "text.txt"]
    program += ["--out", trained / "killed", *OPTIONS, "--checkpoint-every", "1"]
    checkpoint = trained / "killed" / "checkpoint.npz"
    for _ in range(2):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        with subprocess.Popen(
            [str(word) for word in program],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
        ) as child:
            while child.poll() is None and (
                not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before
            ):
                time.sleep(0.001)
            child.send_signal(signal.SIGKILL)
    assert training(trained, "killed", "--checkpoint-every", 1) == 0
    same_models(trained, "whole", "killed")


def test_an_epoch_takes_each_stretch_once(trained: Path) -> None:
    arguments = [trained / "text.txt", "--out", trained / "epochs", *OPTIONS, "--fresh"]
    run, _ = train.prepare(train.parse([str(argument) for argument in arguments]))
    run.training = np.arange(16 * 17 + 5, dtype=np.int32)  # 16 stretches: 4 micro-batches, 2 steps
    for run.step in (0, 2):
        rows = [next(iter(batch[0].numpy().reshape(-1, 16))) for batch in run.batches()]
        seen = [batch[0].numpy().reshape(-1) for batch in run.batches()]
        run.step += 1
        seen += [batch[0].numpy().reshape(-1) for batch in run.batches()]
        tokens = np.concatenate(seen)
        assert len(np.unique(tokens)) == len(tokens) == 16 * 16 and len(rows) == 2
    inputs, targets = next(run.batches())
    np.testing.assert_array_equal(inputs.numpy() + 1, targets.numpy())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--lr nan", "argument --lr"),
        ("--lr 1e-5 --min-lr 1e-4", "--min-lr must not be above --lr"),
        ("--width 15", "--heads must divide --width"),
        ("--vocab-size 256", "argument --vocab-size"),
        ("--seed -1", "argument --seed"),
        ("--steps-now 0", "argument --steps-now"),
        ("--dropout 1", "argument --dropout"),
        ("--context 5000", "training text: has"),
        ("--validation 1e-8", "validation text: has 0 tokens"),
        ("--prompt=", "--prompt: text: is empty"),
        ("--prompt=\udcff", "--prompt: text: is not UTF-8"),
        ("--lr 1e-1 --out OUT/whole", "checkpoint.npz: lr: was 0.02, is 0.1 now; --fresh starts"),
        ("--vocab-size 270 --out OUT/whole", "checkpoint.npz: vocab_size: was 280, is 270 now"),
        ("--out OUT/text.txt", "text.txt: file: File exists"),
        ("--out OUT/text.txt/x", "text.txt/x: file: Not a directory"),
    ],
)
def test_bad_options_of_training_are_one_line(
    trained: Path, options: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = options.replace("OUT", str(trained)).split()
    try:
        code: Any = training(trained, "bad", *more)
    except SystemExit as leaving:  # argparse
        code = leaving.code
    err = capsys.readouterr().err
    assert code == 2 and words in err and len(err.splitlines()) == 1


def test_another_text_is_not_resumed_with(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "whole", tmp_path / "whole")
    (tmp_path / "text.txt").write_text(TEXT + "A cow.\n", encoding="utf-8")
    assert training(tmp_path, "whole") == 2
    (tmp_path / "whole" / "checkpoint.npz").write_bytes(b"PK junk")
    assert training(tmp_path, "whole") == 2


def test_a_damaged_checkpoint_or_tokenizer_is_told_of(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained, tmp_path / "t")
    checkpoint = tmp_path / "t" / "whole" / "checkpoint.npz"
    with np.load(checkpoint) as file:
        arrays = dict(file)
    for name in ("3.value", "3.exp_avg", "random"):
        for damage in ({}, {name: np.zeros(7, arrays[name].dtype)}):
            rest = {key: value for key, value in arrays.items() if key != name}
            np.savez(checkpoint, **rest, **damage)
            assert training(tmp_path / "t", "whole", "--steps", 13) == 2, (name, damage)
            err = capsys.readouterr().err
            assert "checkpoint.npz: file: is not a checkpoint of this model: " in err
            assert len(err.splitlines()) == 1
    for text in ("{}", "{"):
        (checkpoint.parent / "tokenizer.json").write_text(text)
        assert training(tmp_path / "t", "whole") == 2
        assert "tokenizer.json: file: is not a tokenizer: " in capsys.readouterr().err


def test_the_shipped_model_has_the_loss_that_it_claims() -> None:
    about = json.loads((evaluate.SHIPPED / "training.json").read_text())
    model = files.load(evaluate.SHIPPED)
    text = evaluate.read_text(evaluate.SHIPPED / "validation.txt")
    tokens = np.array(tokenizer.Tokenizer(evaluate.SHIPPED, model.config).encode(text))
    loss, count = evaluate.loss_of(model, tokens)
    assert count == about["validation_tokens"]
    assert abs(loss - about["validation_loss"]) < 2e-3  # the file holds float16
