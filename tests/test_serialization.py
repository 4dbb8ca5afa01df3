"""Saving and loading: round trips, files that cross to torch and back, what is refused."""

from __future__ import annotations

import collections
import contextlib
import functools
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_module import plain

import rnn
from rnn import nn

DTYPES = ("float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")


class Net(nn.Module):
    """A class of the user's."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        self.tied = self.layers[0].weight
        self.register_buffer("steps", rnn.tensor(3))

    def forward(self, x):
        return self.layers(x)


def through(obj, **options):
    """Saved and loaded again."""
    file = io.BytesIO()
    rnn.save(obj, file)
    file.seek(0)
    return rnn.load(file, **options)


def to_torch_file(obj, **options):
    """Saved by rnn, loaded by torch."""
    file = io.BytesIO()
    rnn.save(obj, file)
    file.seek(0)
    return torch.load(file, **options)


def from_torch_file(obj, legacy=False, **options):
    """Saved by torch, loaded by rnn."""
    file = io.BytesIO()
    torch.save(obj, file, _use_new_zipfile_serialization=not legacy)
    file.seek(0)
    return rnn.load(file, **options)


def sample(m, dtype):
    values = (
        [[0, 1, 2], [3, 4, 5]] if dtype != "bool" else [[True, False, True], [False, True, True]]
    )
    return m.tensor(values, dtype=getattr(m, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    t = sample(rnn, dtype)
    for x in (t, t.t(), t[1:, ::2], t[0, 0], t[:, :0]):
        back = through(x)
        assert back.dtype is x.dtype and back.tolist() == x.tolist()
        crossed = to_torch_file(x)
        assert str(crossed.dtype) == f"torch.{dtype}" and crossed.tolist() == x.tolist()
    t = sample(torch, dtype)
    for x in (t, t.t(), t[1:, ::2], t[0, 0], t[:, :0]):
        for legacy in (False, True):
            back = from_torch_file(x, legacy)
            assert back.dtype.name == dtype and back.tolist() == x.tolist()


def test_short_floats_become_float32():
    for t in (torch.tensor([1.5, -2.25, 3e30]).bfloat16(), torch.tensor([1.5, -2.25, 3e4]).half()):
        for legacy in (False, True):
            back = from_torch_file({"a": t}, legacy)["a"]
            assert back.dtype is rnn.float32 and back.tolist() == t.float().tolist()


def test_plain_data():
    data = {
        "a": [1, 2.5, "three", None, True, b"four", (5, 6), {7}, frozenset([8])],
        "size": rnn.Size([2, 3]), "dtype": rnn.float64, "device": rnn.device("cpu"),
        "ordered": collections.OrderedDict(x=1), "default": collections.defaultdict(list, y=[2]),
        "counter": collections.Counter("aab"), "array": np.arange(3.0), "scalar": np.float32(1.5),
        "range": range(3), "complex": 1 + 2j, "slice": slice(1, 2), "big": 2**100,
    }  # fmt: skip
    back = through(data)
    np.testing.assert_array_equal(back.pop("array"), data.pop("array"))
    assert back == data
    del data["scalar"]
    del data["range"]
    crossed = to_torch_file(data, weights_only=False)
    assert crossed["size"] == torch.Size([2, 3]) and crossed["dtype"] is torch.float64
    assert crossed["device"] == torch.device("cpu") and crossed["a"] == data["a"]


def test_memory_stays_shared():
    x = rnn.arange(6.0)
    a, b = through((x, x[2:4]))
    a[2] = 9
    assert b.tolist() == [9, 3]
    n = rnn.arange(6)
    a, b = through((n, n[::2]))
    a[2] = 9
    assert b.tolist() == [0, 9, 4]
    p = nn.Parameter(rnn.zeros(2))
    a, b = through([p, p])
    assert a is b and isinstance(a, nn.Parameter) and a.requires_grad and a.is_leaf


def test_parameters():
    for requires_grad in (True, False):
        back = through(nn.Parameter(rnn.ones(2, 3), requires_grad))
        assert type(back) is nn.Parameter and back.requires_grad is requires_grad
        (back * 2.0).sum()
        crossed = to_torch_file(nn.Parameter(rnn.ones(2, 3), requires_grad))
        assert type(crossed) is torch.nn.Parameter and crossed.requires_grad is requires_grad
        back = from_torch_file(torch.nn.Parameter(torch.ones(2, 3), requires_grad))
        assert type(back) is nn.Parameter and back.requires_grad is requires_grad
    leaf = rnn.ones(2, requires_grad=True)
    assert through(leaf).requires_grad and through(leaf).is_leaf
    back = through(leaf)
    (back * back).sum().backward()
    assert back.grad.tolist() == [2, 2]


def test_state_dicts_cross():
    ours, theirs = Net(), torch.nn.Module()
    theirs.layers = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)
    )
    theirs.tied = theirs.layers[0].weight
    theirs.register_buffer("steps", torch.tensor(5))
    for legacy in (False, True):
        state = from_torch_file(theirs.state_dict(), legacy)
        assert isinstance(state, collections.OrderedDict) and "layers.0" in state._metadata
        ours.load_state_dict(state)
        assert plain(ours.state_dict()) == plain(theirs.state_dict())
    other = Net()
    theirs.load_state_dict(to_torch_file(other.state_dict()))
    assert plain(other.state_dict()) == plain(theirs.state_dict())


def test_optimizer_states_cross():
    model, theirs = nn.Linear(2, 1), torch.nn.Linear(2, 1)
    theirs.load_state_dict({k: v.to_torch() for k, v in model.state_dict().items()})
    ours = rnn.optim.AdamW(model.parameters(), lr=0.1, amsgrad=True)
    other = torch.optim.AdamW(theirs.parameters(), lr=0.1, amsgrad=True)

    def step(m, model, optimizer):
        optimizer.zero_grad()
        model(m.tensor([[1.0, 2.0], [3.0, -4.0]])).pow(2).sum().backward()
        optimizer.step()

    for _ in range(3):
        step(rnn, model, ours)
        step(torch, theirs, other)
    fresh_model, fresh_theirs = nn.Linear(2, 1), torch.nn.Linear(2, 1)
    fresh = rnn.optim.AdamW(fresh_model.parameters())
    fresh_other = torch.optim.AdamW(fresh_theirs.parameters())
    checkpoint = {"model": theirs.state_dict(), "optimizer": other.state_dict(), "epoch": 3}
    back = from_torch_file(checkpoint)
    fresh_model.load_state_dict(back["model"])
    fresh.load_state_dict(back["optimizer"])
    crossed = to_torch_file({"model": model.state_dict(), "optimizer": ours.state_dict()})
    fresh_theirs.load_state_dict(crossed["model"])
    fresh_other.load_state_dict(crossed["optimizer"])
    direct = rnn.optim.AdamW(nn.Linear(2, 1).parameters())
    direct.load_state_dict(other.state_dict())  # without a file
    assert direct.state_dict()["param_groups"] == other.state_dict()["param_groups"]
    for m, net, optimizer in (
        (rnn, fresh_model, fresh), (torch, fresh_theirs, fresh_other), (rnn, model, ours),
    ):  # fmt: skip
        step(m, net, optimizer)
        step(m, net, optimizer)
    for a, b, c in zip(fresh_model.parameters(), fresh_theirs.parameters(), model.parameters()):
        np.testing.assert_allclose(a.detach().numpy(), c.detach().numpy(), rtol=1e-5)
        np.testing.assert_allclose(b.detach().numpy(), c.detach().numpy(), rtol=1e-5)


def closure_of(p, optimizer):
    def closure():
        optimizer.zero_grad()
        loss = (p**4 + p**2).sum()
        loss.backward()
        return loss

    return closure


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_state_of_lbfgs_crosses(search):
    ends = []
    for m in (rnn, torch):
        p = m.nn.Parameter(m.tensor([1.0, -2.0, 0.5]))
        options = {"lr": 0.1, "max_iter": 4, "line_search_fn": search}
        optimizer = m.optim.LBFGS([p], **options)
        optimizer.step(closure_of(p, optimizer))
        read = to_torch_file if m is rnn else from_torch_file
        state = read(optimizer.state_dict())  # by the other library, its numbers are plain tensors
        other = torch if m is rnn else rnn
        q = other.nn.Parameter(other.tensor(p.tolist()))
        crossed = other.optim.LBFGS([q], **options)
        crossed.load_state_dict(state)
        optimizer.step(closure_of(p, optimizer))
        crossed.step(closure_of(q, crossed))
        ends += [p.tolist(), q.tolist()]
    for end in ends[1:]:
        np.testing.assert_allclose(end, ends[0], rtol=1e-5)


def test_whole_modules_and_optimizers():
    library = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.LayerNorm(4))
    back = through(library)  # rnn's own classes: safe
    x = rnn.ones(2, 3)
    assert back(x).tolist() == library(x).tolist() and repr(back) == repr(library)
    model = Net()
    with pytest.raises(pickle.UnpicklingError, match=r"test_serialization\.Net"):
        through(model)
    back = through(model, weights_only=False)
    assert isinstance(back, Net) and back.tied is back.layers[0].weight
    assert back(x).tolist() == model(x).tolist()
    with rnn.serialization.safe_globals([Net]):
        assert isinstance(through(model), Net)
    assert rnn.serialization.get_safe_globals() == []
    model(x).sum().backward()
    optimizer = rnn.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    optimizer.step()
    schedule = rnn.optim.lr_scheduler.StepLR(optimizer, 2)
    both = through({"m": model, "o": optimizer, "s": schedule}, weights_only=False)
    assert both["o"].param_groups[0]["params"][0] is both["m"].tied
    assert both["s"].optimizer is both["o"] and repr(both["o"]) == repr(optimizer)
    buffer = both["o"].state[both["m"].tied]["momentum_buffer"]
    assert buffer.tolist() == optimizer.state[model.tied]["momentum_buffer"].tolist()


def test_paths_and_files(tmp_path):
    path = tmp_path / "model.pt"
    rnn.save([1, rnn.ones(2)], path)
    assert rnn.load(str(path), map_location="cpu")[1].tolist() == [1, 1]
    assert torch.load(path, mmap=True)[1].tolist() == [1, 1]
    with path.open("rb") as file:
        assert rnn.load(file, map_location=rnn.device("cpu"), mmap=True)[0] == 1
    before = path.read_bytes()
    rnn.save([1, rnn.ones(2)], path)
    assert path.read_bytes() == before  # no clock in it
    with path.open("wb") as file:
        pickle.dump({"a": rnn.ones(3), "b": [1]}, file)  # a plain pickle
    assert rnn.load(path)["a"].tolist() == [1, 1, 1]
    with pytest.raises(FileNotFoundError):
        rnn.load(tmp_path / "nothing")
    path.write_bytes(b"not a file of ours")
    with pytest.raises(pickle.UnpicklingError):
        rnn.load(path)
    path.write_bytes(b"")
    with pytest.raises(pickle.UnpicklingError, match="damaged, or not written by"):
        rnn.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(pickle.UnpicklingError, match="none of PyTorch's"):
        rnn.load(path)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        rnn.save(lambda: 1, path)


class Attack:
    """What unpickles to a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("call", [
    (os.system, "echo attacked"), (eval, "1 + 1"), (exec, "pass"), (getattr, "a", "upper"),
    (print, "attacked"), (open, "x"), (rnn.load, "x"), (rnn.save, 1, "x"), (rnn.manual_seed, 1),
    (pickle.loads, b""), (rnn.utils.data.DataLoader, [1]), (rnn.set_num_threads, 1),
    (np.save, "x", 1),
    (os.getcwd,), (type, "A", (), {}), (__import__, "os"), (map, print, [1]), (rnn.from_numpy, 1),
])  # fmt: skip
def test_attacks_are_refused(call):
    attack = Attack(*call)
    for file in (io.BytesIO(pickle.dumps([attack])), io.BytesIO()):
        if not file.getvalue():
            rnn.save({"a": attack}, file)
        file.seek(0)
        with pytest.raises(pickle.UnpicklingError):
            rnn.load(file)
    assert from_torch_file  # torch's own refuses them as well


def test_storages_are_checked():
    """A tensor cannot look beyond its storage."""
    file = io.BytesIO()
    rnn.save(rnn.ones(4), file)
    for old, new in ((b"K\x04\x85", b"K\x09\x85"), (b"\x8a\x04", b"\x8a\x09")):
        parts = {}
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                parts[name] = archive.read(name)
        pickled = parts["archive/data.pkl"]
        if old not in pickled:
            continue
        parts["archive/data.pkl"] = pickled.replace(old, new)
        forged = io.BytesIO()
        with zipfile.ZipFile(forged, "w") as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
        forged.seek(0)
        with pytest.raises(pickle.UnpicklingError, match="damaged"):
            rnn.load(forged)


@functools.cache
def whole_file(legacy):
    """A state dict's, written once: names in it are addresses."""
    file = io.BytesIO()
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    torch.save(model.state_dict(), file, _use_new_zipfile_serialization=not legacy)
    return file


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damaged_files_raise_one_exception(data):
    """Bytes changed, put in or lost: in a whole file, and in the pickle inside of one."""
    legacy = data.draw(st.booleans())
    file = whole_file(legacy)
    inside = not legacy and data.draw(st.booleans())
    whole = file.getvalue()
    parts = {"": whole}
    if inside:
        with zipfile.ZipFile(file) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
    hurt = next(name for name in parts if not inside or name.endswith("data.pkl"))
    content = bytearray(parts[hurt])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    parts[hurt] = bytes(content)
    if inside:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, part in parts.items():
                archive.writestr(name, part)
        parts[""] = file.getvalue()
    with contextlib.suppress(pickle.UnpicklingError):
        rnn.load(io.BytesIO(parts[""]))


def test_a_table_of_objects_is_no_longer_than_the_file():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02]r\xff\xff\xff\x00.")
    with pytest.raises(pickle.UnpicklingError, match="it has an object 16777215"):
        rnn.load(file)


@pytest.mark.parametrize("forged", [b"\x80\x02]r\xff\xff\xff\x7f.", b"]p2147483647\n."])
def test_nor_in_a_plain_pickle(forged, tmp_path):
    """Nor where zeros behind the pickle make the file long, nor in the old format's second one."""
    path = tmp_path / "plain.pkl"
    legacy = pickle.dumps(rnn.serialization._LEGACY_MAGIC, 2)
    for start in (b"", legacy, 2 * legacy, 3 * legacy):
        with path.open("wb") as file:
            file.write(start + forged)
            file.truncate(2**32)  # of which the disk holds a page
        with pytest.raises(pickle.UnpicklingError, match="it has an object 2147483647"):
            rnn.load(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_of_every_protocol(protocol):
    """Theirs are the numbers that dump() writes, one object at several places included."""
    held = [1.5, "x", b"y", None]
    obj = {"a": [held] * 3, "b": [(i, str(i), [i]) for i in range(1000)], "c": {"d": held}}
    back = rnn.load(io.BytesIO(pickle.dumps(obj, protocol)))
    assert back == obj and back["a"][0] is back["c"]["d"]


def test_errors_of_trusted_files_go_through():
    """weights_only=False: what the file's own code raises is not hidden."""
    file = io.BytesIO(pickle.dumps(Attack(int, "x")))
    with pytest.raises(ValueError, match="invalid literal"):
        rnn.load(file, weights_only=False)
    with pytest.raises(pickle.UnpicklingError, match="damaged"):
        rnn.load(io.BytesIO(b""), weights_only=False)


# ---- safetensors ------------------------------------------------------------------------------


def test_safetensors(tmp_path):
    path = tmp_path / "model.safetensors"
    state = {d: sample(rnn, d) for d in DTYPES}
    state |= {
        "view": rnn.arange(6.0).reshape(2, 3).t(),
        "number": rnn.tensor(3.5),
        "none": rnn.zeros(0, 2),
    }
    rnn.save_safetensors(state, path, {"made": "here"})
    back = rnn.load_safetensors(path)
    assert list(back) == list(state)
    for name, t in state.items():
        assert back[name].dtype is t.dtype and back[name].shape == t.shape
        assert back[name].tolist() == t.tolist()
    back["float32"][0, 0] = 7  # memory of its own
    model = nn.Linear(2, 3)
    rnn.save_safetensors(model.state_dict(), path)
    other = nn.Linear(2, 3)
    other.load_state_dict(rnn.load_safetensors(path))
    assert other.weight.tolist() == model.weight.tolist()
    rnn.save_safetensors({}, path)
    assert rnn.load_safetensors(path) == {}
    with pytest.raises(TypeError, match="a is no tensor"):
        rnn.save_safetensors({"a": 1}, path)


def test_safetensors_of_the_package(tmp_path):
    path = tmp_path / "model.safetensors"
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([True, False])}
    safetensors.numpy.save_file(arrays, path, {"format": "pt"})
    for name, t in rnn.load_safetensors(path).items():
        np.testing.assert_array_equal(t.numpy(), arrays[name])
    rnn.save_safetensors({name: rnn.tensor(a) for name, a in arrays.items()}, path)
    for name, array in safetensors.numpy.load_file(path).items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize("data", [
    b"", b"short", (5).to_bytes(8, "little") + b"{}", (2**60).to_bytes(8, "little") + b"{}",
    (2).to_bytes(8, "little") + b"[]", (2).to_bytes(8, "little") + b"xx",
])  # fmt: skip
def test_broken_safetensors(tmp_path, data):
    path = tmp_path / "broken"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="no safetensors file"):
        rnn.load_safetensors(path)


@pytest.mark.parametrize("entry", [
    '{"dtype":"F32","shape":[2],"data_offsets":[0,16]}',
    '{"dtype":"F32","shape":[9],"data_offsets":[0,36]}',
    '{"dtype":"Q7","shape":[1],"data_offsets":[0,4]}', '{"shape":[1],"data_offsets":[0,4]}', "3",
    '{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}',
])  # fmt: skip
def test_wrong_entries_of_safetensors(tmp_path, entry):
    path = tmp_path / "wrong"
    header = f'{{"a":{entry}}}'.encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(ValueError, match="'a' is described wrongly"):
        rnn.load_safetensors(path)


# ---- torch ------------------------------------------------------------------------------------


def test_from_torch_and_back():
    for dtype in DTYPES:
        theirs = sample(torch, dtype)
        ours = rnn.from_torch(theirs)
        assert ours.tolist() == theirs.tolist() and ours.dtype.name == dtype
        ours[0, 0] = 1
        assert theirs[0, 0].item() == 1  # one memory
        back = ours.to_torch()
        assert back.dtype is theirs.dtype and back.tolist() == theirs.tolist()
        back[0, 0] = 0
        assert ours[0, 0].item() == 0
    theirs = torch.ones(2, 3, requires_grad=True).t()
    assert rnn.from_torch(theirs).shape == (3, 2) and not rnn.from_torch(theirs).requires_grad
    assert rnn.from_torch(torch.ones(2).bfloat16()).dtype is rnn.float32
    assert rnn.from_torch(torch.ones(2).half()).dtype is rnn.float32
    assert rnn.ones(2, requires_grad=True).to_torch().requires_grad is False
    with pytest.raises(TypeError, match="expected a torch tensor"):
        rnn.from_torch([1])
