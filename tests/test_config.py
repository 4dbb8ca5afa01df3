"""What the engine runs with, what programs ask for, and what is said of what is absent."""

from __future__ import annotations

import gc
import importlib
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnn


def run(program: str, **environment: str) -> str:
    """A program's output, in a process of its own."""
    return subprocess.check_output(
        [sys.executable, "-c", program], env=os.environ | environment, text=True
    ).strip()


# ---- configuration -------------------------------------------------------------------------------


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    rnn.show_config()
    text = capsys.readouterr().out
    for word in ("compiler", "instruction set", "BLAS", "threads", "memory limit", "NumPy"):
        assert re.search(rf"^{word}|{word}", text), word
    assert re.search(r"instruction set: +(base|avx2|avx512)$", text, re.MULTILINE)
    assert rnn.__version__ in text


def test_the_version_is_written_once() -> None:
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    assert "rnn._config.__version__" in text and f'"{rnn.__version__}"' not in text
    assert re.fullmatch(r"\d+\.\d+\.\d+", rnn.__version__)
    assert rnn.version.__version__ == rnn.__version__ and rnn.version.cuda is None


@pytest.fixture
def threads() -> Iterator[None]:
    before = rnn.get_num_threads()
    yield
    rnn.set_num_threads(before)


def test_threads(threads: None) -> None:
    for n in (1, 3, 2):
        rnn.set_num_threads(n)
        assert rnn.get_num_threads() == n
        assert float(rnn.ones(300, 300).exp().sum()) == pytest.approx(90000 * np.e, rel=1e-5)
    for wrong in (0, -1):
        with pytest.raises(RuntimeError, match="positive integer"):
            rnn.set_num_threads(wrong)
    for wrong in (1.5, "2"):
        with pytest.raises(TypeError):
            rnn.set_num_threads(wrong)  # type: ignore[arg-type]
    rnn.set_num_interop_threads(2)
    assert rnn.get_num_interop_threads() == 1


def test_threads_of_the_environment() -> None:
    program = "import rnn; print(rnn.get_num_threads())"
    assert run(program, RNN_NUM_THREADS="3", OMP_NUM_THREADS="2") == "3"
    assert run(program, RNN_NUM_THREADS="", OMP_NUM_THREADS="2") == "2"
    assert run(program, RNN_NUM_THREADS="x", OMP_NUM_THREADS="2,4") == "2"
    assert int(run(program, RNN_NUM_THREADS="0", OMP_NUM_THREADS="")) >= 1


def test_memory_limit() -> None:
    limit = rnn.get_memory_limit()
    assert limit > 2**28
    keep = rnn.zeros(1000)
    gc.collect()
    try:
        rnn.set_memory_limit(rnn.memory_stats()["live"] + 10_000)
        with pytest.raises(MemoryError, match=r"100000 nodes need 400000 bytes"):
            rnn.zeros(100_000)
        with pytest.raises(MemoryError, match="memory limit"):
            rnn.zeros(100_000, dtype=rnn.int64)
        with pytest.raises(MemoryError):
            rnn.rand(100_000)
        with pytest.raises(MemoryError):
            rnn.tensor(np.zeros(100_000))
        with pytest.raises(MemoryError):
            rnn.arange(100_000.0)
        assert rnn.ones(10).tolist() == [1] * 10  # it goes on
    finally:
        rnn.set_memory_limit(None)
    assert rnn.get_memory_limit() == limit
    assert rnn.zeros(100_000).numel() == 100_000 and keep.numel() == 1000
    with pytest.raises(ValueError):
        rnn.set_memory_limit(-1)


def test_memory_stats() -> None:
    gc.collect()
    before = rnn.memory_stats()
    t = rnn.zeros(1000)
    during = rnn.memory_stats()
    assert during["live"] >= before["live"] + 4000 and during["spans"] == before["spans"] + 1
    assert during["nodes"] == before["nodes"] + 1000
    del t
    after = rnn.memory_stats()
    assert (after["live"], after["spans"]) == (before["live"], before["spans"])
    rnn.reset_peak_memory()
    assert rnn.memory_stats()["peak"] == rnn.memory_stats()["live"]
    rnn.empty_cache()
    small = rnn.memory_stats()["kept"]  # small blocks that others used before stay kept
    big = rnn.zeros(1 << 20)
    assert rnn.memory_stats()["peak"] >= 4 << 20
    del big
    assert rnn.memory_stats()["kept"] >= small + (4 << 20)
    rnn.empty_cache()
    assert rnn.memory_stats()["kept"] <= small


# ---- probes --------------------------------------------------------------------------------------


def test_probes() -> None:
    """rnn says what PyTorch's build for CPUs says; the one for CUDA has answers of its own on a
    machine without a GPU.
    """
    for m in (torch, rnn) if torch.version.cuda is None else (rnn,):
        assert not m.cuda.is_available() and m.cuda.device_count() == 0
        assert not m.cuda.is_initialized() and not m.cuda.is_bf16_supported()
        m.cuda.manual_seed(1)
        m.cuda.manual_seed_all(1)
        m.cuda.empty_cache()
        assert m.cuda.memory_allocated() == m.cuda.max_memory_allocated() == 0
        for call in (m.cuda.current_device, m.cuda.get_device_name, m.cuda.synchronize):
            with pytest.raises(AssertionError):
                call()
        assert not m.backends.mps.is_available() and not m.backends.mps.is_built()
        assert not m.accelerator.is_available() and m.accelerator.device_count() == 0
        assert m.accelerator.current_accelerator() is None
        with pytest.raises(RuntimeError, match="none is available"):
            m.accelerator.current_device_index()
        assert not m.backends.cudnn.is_available() and not m.xpu.is_available()
        assert str(m.get_default_device()) == "cpu"
        assert m.get_float32_matmul_precision() == "highest"
        m.set_float32_matmul_precision("highest")
        device = m.device("cuda" if m.cuda.is_available() else "cpu")
        assert str(device) == "cpu"
        assert m.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2", "AVX512")
        assert hasattr(m, "compile")


def test_switches() -> None:
    import rnn.backends.cudnn as cudnn

    cudnn.deterministic = True
    cudnn.benchmark = False
    rnn.backends.cuda.matmul.allow_tf32 = True
    rnn.use_deterministic_algorithms(True)
    rnn.set_default_device("cpu")
    with pytest.raises(RuntimeError, match="CPU only"):
        rnn.set_default_device("cuda")
    with pytest.raises(RuntimeError):
        rnn.set_float32_matmul_precision("low")
    try:
        rnn.set_default_tensor_type(rnn.DoubleTensor)
        assert rnn.zeros(1).dtype is rnn.float64
        rnn.set_default_tensor_type("torch.FloatTensor")
        assert rnn.get_default_dtype() is rnn.float32
    finally:
        rnn.set_default_dtype(rnn.float32)
    with pytest.raises(TypeError):
        rnn.set_default_dtype(rnn.int32)


def test_compile() -> None:
    def model(x: Any) -> Any:
        return x

    assert rnn.compile(model) is model
    assert rnn.compile(model, mode="max-autotune", fullgraph=True) is model

    @rnn.compile
    def one(x: Any) -> Any:
        return x

    @rnn.compile(dynamic=True)
    def two(x: Any) -> Any:
        return x

    assert one(1) == two(1) == 1


def test_amp() -> None:
    with rnn.autocast(device_type="cpu", dtype=rnn.bfloat16):
        assert rnn.ones(2).dtype is rnn.float32

    @rnn.amp.autocast("cpu")
    def f(x: int) -> int:
        return x + 1

    assert f(1) == 2
    steps = []

    class Optimizer:
        def step(self) -> None:
            steps.append(1)

    scaler = rnn.cuda.amp.GradScaler(enabled=False)
    assert scaler.scale(3) == 3 and not scaler.is_enabled()
    scaler.unscale_(Optimizer())
    scaler.step(Optimizer())
    scaler.update()
    scaler.load_state_dict(scaler.state_dict())
    assert steps == [1] and scaler.get_scale() == 1


def test_what_is_absent_says_where_to_look() -> None:
    for get in (
        lambda: rnn.no_such_thing,
        lambda: rnn.cuda.no_such_thing,
        lambda: rnn.accelerator.no_such_thing,
        lambda: rnn.amp.no_such_thing,
        lambda: rnn.autograd.no_such_thing,
        lambda: rnn.autograd.functional.no_such_thing,
        lambda: rnn.backends.no_such_thing,
        lambda: rnn.distributions.no_such_thing,
        lambda: rnn.linalg.no_such_thing,
        lambda: rnn.nn.no_such_thing,
        lambda: rnn.nn.functional.no_such_thing,
        lambda: rnn.nn.init.no_such_thing,
        lambda: rnn.nn.modules.no_such_thing,
        lambda: rnn.nn.parallel.no_such_thing,
        lambda: rnn.nn.utils.no_such_thing,
        lambda: rnn.nn.utils.rnn.no_such_thing,
        lambda: rnn.optim.no_such_thing,
        lambda: rnn.optim.lr_scheduler.no_such_thing,
        lambda: rnn.random.no_such_thing,
        lambda: rnn.serialization.no_such_thing,
        lambda: rnn.testing.no_such_thing,
        lambda: rnn.utils.no_such_thing,
        lambda: rnn.utils.checkpoint.no_such_thing,
        lambda: rnn.utils.data.no_such_thing,
    ):
        with pytest.raises(AttributeError, match=r"no attribute 'no_such_thing'.*README"):
            get()
    assert not hasattr(rnn, "no_such_thing")
    for holder in (rnn.ones(2), rnn.nn.Parameter(rnn.ones(2)), rnn.Tensor):
        with pytest.raises(AttributeError, match=r"no attribute 'stft': PyTorch has it; the READ"):
            holder.stft  # noqa: B018
        assert not hasattr(holder, "to_sparse")
    with pytest.raises(ImportError):
        from rnn import no_such_thing  # noqa: F401


def test_star_imports_and_chains_work() -> None:
    assert run("import rnn; print(rnn.backends.mps.is_available(), rnn.random.rand(0).shape)") == (
        "False rnn.Size([0])"
    )
    assert run("import rnn.cuda.amp as a; print(a.GradScaler().is_enabled())") == "False"


def test_no_message_at_the_end() -> None:
    program = "import rnn; a = rnn.Value(1.0); t = rnn.rand(3); n = t.numpy(); g = rnn.Generator()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stderr == b"" and done.stdout == b""


# ---- testing.assert_close ------------------------------------------------------------------------


def compare_assertions(make: Any, **options: Any) -> None:
    messages = []
    for m in (torch, rnn):
        a, b = make(m)
        try:
            m.testing.assert_close(a, b, **options)
        except AssertionError as error:
            messages.append(str(error).replace("torch", "rnn"))
        else:
            messages.append("")
    assert messages[0] == messages[1]


def test_assert_close() -> None:
    for make in (
        lambda m: (m.ones(3), m.ones(3)),
        lambda m: (m.tensor([1.0, 2, 3]), m.tensor([1.0, 2, 4])),
        lambda m: (m.tensor([1.0, 2, 3]), m.tensor([1.0, 2, 3 + 1e-5])),
        lambda m: (m.tensor([1.0, 2, 3]), m.tensor([1, 2, 3])),
        lambda m: (m.tensor([1.0, 2, 3]), m.tensor([1.0, 2])),
        lambda m: (m.tensor([1, 2, 3]), m.tensor([1, 2, 4])),
        lambda m: (m.tensor([True, False]), m.tensor([True, False])),
        lambda m: ([m.tensor(1.0)], [m.tensor(2.0)]),
        lambda m: ({"a": m.ones(2)}, {"a": m.ones(2)}),
        lambda m: (1.0, 2.0),
        lambda m: (1, 1),
        lambda m: (m.ones(2, 2, dtype=m.float64), m.ones(2, 2, dtype=m.float64) + 1e-9),
        lambda m: (m.tensor([float("inf"), 1]), m.tensor([float("inf"), 1])),
    ):
        compare_assertions(make)
    with_nan = lambda m: (m.tensor([1.0, float("nan")]), m.tensor([1.0, float("nan")]))  # noqa: E731
    compare_assertions(with_nan)
    compare_assertions(with_nan, equal_nan=True)
    compare_assertions(lambda m: (m.ones(2), m.ones(2) + 0.1), rtol=0.2, atol=0)
    compare_assertions(lambda m: (m.ones(2), m.tensor([1, 1])), check_dtype=False)
    with pytest.raises(ValueError, match="got no atol"):
        rnn.testing.assert_close(rnn.ones(1), rnn.ones(1), rtol=1)
    with pytest.raises(AssertionError, match=r"^mine$"):
        rnn.testing.assert_close(rnn.ones(1), rnn.zeros(1), msg="mine")
    with pytest.raises(AssertionError):
        rnn.testing.assert_close({"a": 1}, {"b": 1})
    with pytest.raises(AssertionError):
        rnn.testing.assert_close([1], [1, 2])
    with pytest.raises(AssertionError):
        rnn.testing.assert_close("a", 1)


def test_decorators_of_jit_and_ways_of_attention_are_accepted() -> None:
    for m in (torch, rnn):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")

            layer = m.nn.Linear(2, 3)
            x = m.ones(4, 2)
            for made in (m.jit.script(layer), m.jit.trace(layer, x), m.jit.trace(layer, (x,))):
                assert made(x).tolist() == layer(x).tolist()
            for decorator in (m.jit.ignore, m.jit.unused, m.jit.export, m.jit.ignore(drop=False)):
                assert decorator(lambda: 1)() == 1
            assert m.jit.is_scripting() is m.jit.is_tracing() is False
        backend = importlib.import_module(f"{m.__name__}.nn.attention")
        q = m.ones(1, 2, 3, 4)
        for given in (backend.SDPBackend.MATH, [backend.SDPBackend.MATH]):
            with backend.sdpa_kernel(given):
                assert m.nn.functional.scaled_dot_product_attention(q, q, q).shape == q.shape
        with pytest.raises(AssertionError, match="Backend must be"), backend.sdpa_kernel(3):
            pass
    with pytest.raises(RuntimeError, match="shapes"):
        rnn.jit.trace(rnn.nn.Linear(2, 3), rnn.ones(4, 5))
    with pytest.raises(AttributeError, match="README"):
        rnn.jit.save  # noqa: B018
