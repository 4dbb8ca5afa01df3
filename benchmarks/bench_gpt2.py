"""GPT-2 of 124M parameters: reading a prompt of 128 tokens, decoding, loading, memory.

Makes a checkpoint of random weights (kept in --folder), then runs the contenders, each in a
process of its own: rnn (examples/gpt2), transformers on torch, llama.cpp by llama-cpp-python (with
the `gguf` package, which writes the checkpoint in its format), and `stream`: how fast two NumPy
threads read as many bytes as the weights have, which bounds every decoder of float32 weights. All
but `stream` must agree about the logits behind the prompt. They load one after another and then
decode in many short turns, in a new order each time, because the memory's speed on a shared machine
changes from second to second.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import common
from common import Report, Target

MODULES = {
    "rnn": ["numpy"],
    "transformers": ["torch", "transformers"],
    "llama.cpp": ["llama_cpp", "gguf"],
    "stream": ["numpy"],
}
PROMPT, VOCABULARY = 128, 50257
TURNS = 12  # of decoding, in a round
CHUNK = 1 << 20  # floats that a thread of `stream` reads at a time


def prompt() -> list[int]:
    """The same tokens for all."""
    return [int(token) for token in np.random.default_rng(1).integers(0, VOCABULARY, PROMPT)]


def gpt2() -> Any:
    """examples/gpt2, imported as a package."""
    sys.path.append(str(common.ROOT / "examples"))
    from gpt2 import cli, files, model, sample

    return argparse.Namespace(cli=cli, files=files, model=model, sample=sample)


def make_checkpoint(folder: Path) -> None:
    """config.json and model.safetensors with GPT-2's shapes, as its training would start."""
    if (folder / "model.safetensors").exists():
        return
    common.say(f"making a checkpoint of random weights in {folder}")
    package = gpt2()
    config = package.model.Config()
    settings = {name: value for name, value in vars(config).items() if name != "dropout"}
    settings |= {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings))
    rng = np.random.default_rng(0)
    arrays = {
        f"transformer.{name}": rng.standard_normal(shape, np.float32) * np.float32(0.02)
        for name, shape in package.files.shapes(config).items()
    }
    package.files.write_safetensors(folder / "model.safetensors", arrays)


GGUF_NAMES = {
    "wte": "token_embd",
    "wpe": "position_embd",
    "ln_f": "output_norm",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}


def make_gguf(folder: Path) -> Path:
    """The checkpoint as llama.cpp reads it: float32, and token ids for a vocabulary."""
    import gguf

    path = folder / "model-f32.gguf"
    if path.exists():
        return path
    common.say(f"writing {path}")
    model = gpt2().files.load(folder)
    config = model.config
    writer = gguf.GGUFWriter(path.with_suffix(".part"), "gpt2")
    writer.add_context_length(config.n_positions)
    writer.add_embedding_length(config.n_embd)
    writer.add_block_count(config.n_layer)
    writer.add_feed_forward_length(4 * config.n_embd)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(config.vocab_size)
    for name, parameter in model.named_parameters():
        place, part = name.rsplit(".", 1)
        block = re.match(r"h\.(\d+)\.", place)
        prefix, place = (f"blk.{block[1]}.", place[block.end() :]) if block else ("", place)
        array = parameter.detach().numpy()
        turned = array.T if ".c_" in place and part == "weight" else array  # to (out, in)
        writer.add_tensor(f"{prefix}{GGUF_NAMES[place]}.{part}", np.ascontiguousarray(turned))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    path.with_suffix(".part").replace(path)
    return path


# ---- contenders: each in a process of its own ----------------------------------------------------


def serve(feed: Callable[[list[int]], Any], loaded: float) -> None:
    """Reads the prompt; then, at each number on standard input, decodes as many tokens greedily.
    feed(tokens) gives the logits of the next one.
    """
    start = time.perf_counter()
    logits = np.array(feed(prompt()), np.float32)
    read = time.perf_counter() - start
    first = [float(x) for x in logits[:1000]]
    logits = np.array(feed([int(logits.argmax())]))  # one to warm up
    tell({"load": loaded, "prompt": PROMPT / read, "logits": first})
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            logits = feed([int(logits.argmax())])
        tell({"decode": int(line) / (time.perf_counter() - start)})


def tell(figures: dict[str, Any]) -> None:
    """One line to the parent, with the most memory that the process has had."""
    print(json.dumps({**figures, "peak": gpt2().cli.peak_bytes()}), flush=True)


def run_rnn(arguments: argparse.Namespace) -> None:
    """examples/gpt2."""
    package = gpt2()
    start = time.perf_counter()
    model = package.files.load(arguments.folder)
    session = package.sample.Session(model)
    serve(session.feed, time.perf_counter() - start)


def run_transformers(arguments: argparse.Namespace) -> None:
    """GPT2LMHeadModel with its key-value cache, in inference mode."""
    import torch
    import transformers

    torch.set_num_threads(arguments.threads)
    transformers.logging.set_verbosity_error()
    start = time.perf_counter()
    model = transformers.GPT2LMHeadModel.from_pretrained(arguments.folder).eval()
    loaded, cache = time.perf_counter() - start, None

    def feed(tokens: list[int]) -> Any:
        nonlocal cache
        ids = torch.tensor([tokens])
        out = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        return out.logits[0, -1].numpy()

    with torch.inference_mode():
        serve(feed, loaded)


def run_llama(arguments: argparse.Namespace) -> None:
    """llama.cpp by llama-cpp-python."""
    import llama_cpp

    start = time.perf_counter()
    threads = {"n_threads": arguments.threads, "n_threads_batch": arguments.threads}
    path = str(arguments.folder / "model-f32.gguf")
    model = llama_cpp.Llama(path, n_ctx=1024, verbose=False, **threads)
    loaded = time.perf_counter() - start

    def feed(tokens: list[int]) -> Any:
        model.eval(tokens)
        pointer = llama_cpp.llama_get_logits_ith(model.ctx, -1)
        return np.ctypeslib.as_array(pointer, (VOCABULARY,))

    serve(feed, loaded)


def run_stream(arguments: argparse.Namespace) -> None:
    """Passes over as many floats as the weights have, by NumPy's dot in threads."""
    size = (arguments.folder / "model.safetensors").stat().st_size // 4
    weights = np.ones(size, np.float32)
    parts = [weights[i : i + CHUNK] for i in range(0, size, CHUNK)]
    with ThreadPoolExecutor(arguments.threads) as pool:

        def once() -> float:
            start = time.perf_counter()
            for _ in pool.map(lambda part: part.dot(part), parts):
                pass
            return time.perf_counter() - start

        once()
        tell({})
        for _ in sys.stdin:
            tell({"decode": 1 / min(once() for _ in range(3))})


RUNNERS: dict[str, Callable[[argparse.Namespace], None]] = {
    "rnn": run_rnn,
    "transformers": run_transformers,
    "llama.cpp": run_llama,
    "stream": run_stream,
}


def spin() -> None:
    """Keeps a core busy."""
    while True:
        pass


class Contender:
    """A process that has loaded its model and read the prompt, and decodes when it is told to."""

    def __init__(self, arguments: argparse.Namespace, name: str) -> None:
        command = [sys.executable, __file__, "--child", name, "--folder", arguments.folder]
        command += ["--threads", arguments.threads]
        threads = "1" if name == "stream" else str(arguments.threads)  # it has threads of its own
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by stop)
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
        )
        self.figures = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        self.errors.seek(0)
        raise SystemExit(f"{self.name} failed:\n{self.errors.read()}")

    def decode(self, tokens: int) -> None:
        """One turn; the best of all turns counts."""
        assert self.process.stdin is not None
        time.sleep(0.02)  # the threads of the one before may look for work a while
        self.process.stdin.write(f"{tokens}\n")
        self.process.stdin.flush()
        answer = self._answer()
        answer["decode"] = max(answer["decode"], self.figures.get("decode", 0.0))
        self.figures |= answer

    def stop(self) -> None:
        self.process.communicate()
        self.errors.close()


def measure(
    arguments: argparse.Namespace, names: list[str], label: str, *, busy: bool = False
) -> dict[str, dict[str, Any]]:
    """The figures of each; with a core kept busy by another process while they decode, if so."""
    turns, tokens = (TURNS // 4, arguments.tokens // 2) if busy else (TURNS, arguments.tokens)
    progress = common.Progress(len(names) * (1 + turns))
    other = multiprocessing.Process(target=spin, daemon=True)
    contenders: list[Contender] = []
    try:
        for name in names:
            progress.step(f"{label}: {name}")
            contenders.append(Contender(arguments, name))
        if busy:
            other.start()
        for _ in range(turns):
            for contender in random.sample(contenders, len(contenders)):
                progress.step(f"{label}: {contender.name}")
                contender.decode(max(1, tokens))
    finally:
        if busy and other.is_alive():
            other.terminate()
            other.join()
        for contender in contenders:
            contender.stop()
        progress.close()
    return {contender.name: contender.figures for contender in contenders}


def check(results: dict[str, dict[str, Any]]) -> None:
    """Whether all agree about the logits behind the prompt; a wrong answer ends the run."""
    expected = np.array(results["rnn"]["logits"])
    for name, result in results.items():
        if "logits" in result:
            error = np.abs(np.array(result["logits"]) - expected).max()
            if not error < 1e-3:
                raise SystemExit(f"{name} and rnn disagree: logits differ by {error:.3g}")


def best(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The best of each figure over the rounds."""
    least = ("load", "peak")
    return {
        key: (min if key in least else max)(row[key] for row in rows)
        for key in rows[0]
        if key != "logits"
    }


# ---- the run -------------------------------------------------------------------------------------


def targets(found: dict[str, dict[str, Any]], weights: int) -> list[Target]:
    """What the project promises, held to this run."""
    ours = found["rnn"]

    def against(name: str, figure: str) -> float | None:
        return ours[figure] / found[name][figure] if name in found else None

    bound = "decoding / transformers"
    if "transformers" in found:  # what reading the weights once a token leaves room for
        most = found["stream"]["decode"] / found["transformers"]["decode"]
        bound += f" (stream / transformers: {most:.2f})"
    result = [
        Target(bound, against("transformers", "decode"), 2, "x", True),
        Target("decoding / llama.cpp", against("llama.cpp", "decode"), 1, "x", True),
        Target("decoding / stream", against("stream", "decode"), 0.85, "x", True),
        Target("prompt / transformers", against("transformers", "prompt"), 1, "x", True),
        Target("prompt / llama.cpp", against("llama.cpp", "prompt"), 1, "x", True),
        Target("load", ours["load"], 1.5, "s"),
        Target("peak memory / weights", ours["peak"] / weights, 1.25, "x"),
    ]
    if "busy" in ours:
        share = ours["busy"] / ours["decode"]
        result.append(Target("decoding, a core busy / not", share, 0.45, "x", True))
    return result


def parse() -> argparse.Namespace:
    """The command line."""
    parser = common.parser(__doc__.splitlines()[0], 3)
    folder = Path(tempfile.gettempdir()) / "rnn-bench-gpt2"
    parser.add_argument(
        "--folder", type=Path, default=folder, help="of the checkpoint (%(default)s)"
    )
    parser.add_argument("--tokens", type=int, default=20, help="decoded a turn (%(default)s)")
    parser.add_argument("--no-busy", action="store_true", help="not with a core kept busy")
    parser.add_argument("--child", choices=RUNNERS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """The parent: rounds of children, the table, the targets."""
    arguments = parse()
    common.use_threads(arguments.threads)
    common.find_rnn()
    if arguments.child:
        RUNNERS[arguments.child](arguments)
        return
    import rnn

    make_checkpoint(arguments.folder)
    here = {name: all(map(importlib.util.find_spec, needs)) for name, needs in MODULES.items()}
    names = [name for name in MODULES if here[name]]
    for name in MODULES:
        if name not in names:
            common.say(f"{name}: {', '.join(MODULES[name])} not here; its rows are skipped")
    if "llama.cpp" in names:
        make_gguf(arguments.folder)
    report = Report(common.environment({"rnn": rnn, "numpy": np}, arguments.threads))
    common.print_environment(report.environment)
    rounds: list[dict[str, dict[str, Any]]] = []
    for number in range(arguments.rounds):
        rounds.append(measure(arguments, names, f"round {number + 1} of {arguments.rounds}"))
        check(rounds[-1])
    found = {name: best([row[name] for row in rounds]) for name in names}
    if not arguments.no_busy:
        decoders = [name for name in names if name != "stream"]
        for name, row in measure(arguments, decoders, "a core busy", busy=True).items():
            found[name]["busy"] = row["decode"]
    weights = (arguments.folder / "model.safetensors").stat().st_size
    report.rows = [{"contender": name, **row} for name, row in found.items()]
    report.targets = targets(found, weights)
    print()
    columns = ("decode", "busy", "prompt")
    cells = [
        [
            name,
            *(common.figure_text(row.get(column)) for column in columns),
            common.seconds_text(row.get("load")),
            common.bytes_text(row.get("peak") if name != "stream" else None),
        ]
        for name, row in found.items()
    ]
    headers = ["contender", "decode, tokens/s", "a core busy", "prompt, tokens/s", "load", "peak"]
    print(common.table(headers, cells))

    def draw(axes: Any) -> None:
        axes.bar(list(found), [row["decode"] for row in found.values()])
        axes.set(ylabel="tokens a second", title="GPT-2 124M, float32, decoding")

    common.finish(report, arguments, draw)


if __name__ == "__main__":
    main()
