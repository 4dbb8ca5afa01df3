"""The microscope, part by part: first on a network that can be checked by hand, then on the GPT-2
model that ships with this project.

    python examples/microscope.py                 # prints; writes network.html and gpt2.html
    python examples/microscope.py --out pictures  # writes them there

The GPT-2 part reads text by its tokenizer, which `pip install '.[gpt2]'` brings.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import rnn
from rnn import Tensor, nn

HERE = Path(__file__).resolve().parent
TEXT = "ROMEO:\nIt is the east, and Juliet is the"


def headline(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}")


class Network(nn.Module):
    """Two inputs, two hidden ReLUs of which one is dead, one output."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(2, 2)
        self.out = nn.Linear(2, 1)
        with rnn.no_grad():
            self.hidden.weight.copy_(rnn.tensor([[1.0, -1.0], [0.5, 0.5]]))
            self.hidden.bias.copy_(rnn.tensor([0.0, -5.0]))
            self.out.weight.copy_(rnn.tensor([[2.0, -3.0]]))
            self.out.bias.fill_(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.hidden(x).relu())


class Cube(rnn.autograd.Function):
    """x ** 3 with a wrong derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * 3 * x  # should be 3 * x ** 2


def small(out: Path) -> None:
    """Parts 1 to 6 on the small network."""
    model = Network()
    x = rnn.tensor([[3.0, 1.0]], requires_grad=True)
    with rnn.trace():  # nodes remember the line of Python that made them
        loss = (model(x) - 1.0).square().sum()
    loss.backward(retain_graph=True)

    headline("1. The graph is public data")
    graph = rnn.inspect.graph(loss)
    print(repr(graph))
    for span in graph.spans:
        print(f"  {span.id:>4}  {span.op:<12} {span.shape!s:<8} {span.name or span.module or ''}")
    weight = rnn.inspect.node(model.hidden.weight, 0, 1)
    print(weight, "is used in", [edge.node.label for edge in weight.users])
    print("dead units:", [n.index for n in graph.where(op="relu", value=lambda v: v == 0)])

    headline("2. Why is this gradient what it is?")
    print(rnn.inspect.explain(model.hidden.weight, loss, index=(0, 1), depth=2))
    print("\nand why is it zero?")
    print(rnn.inspect.why(model.hidden.weight[1, 0], loss))

    headline("3. Along which paths does it come?")
    print(rnn.inspect.paths(x[0, 0], loss, k=4))

    headline("4. Where did this NaN come from?")
    bad = rnn.tensor([4.0, 0.0], requires_grad=True)
    try:
        with rnn.detect_anomaly():
            (bad.log() * bad).sum()
    except RuntimeError as error:
        print(error)
    print("\nand this one, of a branch that where() does not take?")
    try:
        with rnn.detect_anomaly():
            rnn.where(bad > 0, bad.log(), rnn.zeros(2)).sum().backward()
    except RuntimeError as error:
        print(error)

    headline("5. Is this derivative right?")
    cube = rnn.tensor([2.0, -1.0], dtype=rnn.float64, requires_grad=True)
    print("x ** 3:", rnn.autograd.gradcheck(lambda v: v**3, (cube,)))
    try:
        rnn.autograd.gradcheck(Cube.apply, (cube,))
    except RuntimeError as error:
        print("a wrong formula:", error)

    headline("6. See it")
    drawing = rnn.show(loss)
    print(drawing)
    print("wrote", drawing.save(out / "network.html"))


def gpt2(out: Path, text: str = TEXT) -> None:
    """The same questions, asked of 3.8 million parameters."""
    from gpt2 import files
    from gpt2.tokenizer import Tokenizer

    folder = HERE / "gpt2" / "shakespeare"
    model = files.load(folder)
    tokenizer = Tokenizer(folder, model.config)
    ids = tokenizer.encode(text, "text")
    logits = model(files.tensor_of([ids]))
    token = int(logits[0, -1].argmax())
    logit = logits[0, -1, token]
    logit.backward(retain_graph=True)

    headline("GPT-2: the graph behind one number")
    graph = rnn.inspect.graph(logit)
    print(repr(graph))
    print(f"After {text!r} the model expects {tokenizer.decode([token])!r}: logit {logit:.3f}")

    headline("GPT-2: which number of which token's embedding pushes most, and why")
    pushed = model.wte.weight.grad.abs().amax(1)
    source = max(set(ids), key=lambda i: pushed[i].item())  # of the tokens that are there
    j = int(model.wte.weight.grad[source].abs().argmax())
    print(f"number {j} of {tokenizer.decode([source])!r}")
    print(rnn.inspect.explain(model.wte.weight, logit, index=(source, j)).text(limit=6))

    headline("GPT-2: along which paths")
    paths = rnn.inspect.paths(rnn.inspect.node(model.wte.weight, source, j), logit, k=3)
    print(paths)

    headline("GPT-2: where did this NaN come from?")
    broken = files.load(folder)
    with rnn.no_grad():
        broken.h[2].ln_2.weight[7] = math.inf
    try:
        with rnn.detect_anomaly():
            broken(files.tensor_of([ids]))
    except RuntimeError as error:
        print(error)

    headline("GPT-2: are its derivatives right?")
    block = files.load(folder).double().h[0]
    vectors = model.wte.weight[ids[:2]].detach().double()[None].requires_grad_()
    right = rnn.autograd.gradcheck(lambda v: block(v)[..., :4], (vectors,))
    print(f"8 results of the first block by {vectors.numel()} numbers that come in:", right)

    headline("GPT-2: see it")
    drawing = rnn.show(logit, focus=[(model.wte.weight, source, j)], paths=paths)
    print(drawing)
    print("wrote", drawing.save(out / "gpt2.html"))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(), help="where the drawings go")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    small(given.out)
    gpt2(given.out)


if __name__ == "__main__":
    main()
