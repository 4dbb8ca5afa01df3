"""The microscope, part by part: first on a network that can be checked by hand, then on the GPT-2
model that ships with this project.

    python examples/microscope.py                 # prints; writes network.html and gpt2.html
    python examples/microscope.py --out pictures  # writes them there

The GPT-2 part reads text by its tokenizer, which `pip install '.[gpt2]'` brings.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import rnn
from rnn import Tensor, nn

HERE = Path(__file__).resolve().parent
TEXT = "ROMEO:\nIt is the east, and Juliet is the sun."


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


def small(out: Path) -> None:
    """Parts 1 to 6 on the small network."""
    model = Network()
    x = rnn.tensor([[3.0, 1.0]])
    with rnn.trace():  # nodes remember the line of Python that made them
        loss = (model(x) - 1.0).square().sum()
    loss.backward(retain_graph=True)

    headline("1. The graph is public data")
    graph = rnn.inspect.graph(loss)
    print(graph)
    for span in graph.spans:
        print(f"  {span.id:>4}  {span.op:<12} {span.shape!s:<8} {span.name or span.module or ''}")
    weight = rnn.inspect.node(model.hidden.weight, 0, 1)
    print(weight, "is used in", [edge.node.label for edge in weight.users])
    print("dead units:", [n.index for n in graph.where(op="relu", value=lambda v: v == 0)])

    headline("2. Why is this gradient what it is?")
    print(rnn.inspect.explain(model.hidden.weight, loss, index=(0, 1), depth=2))
    print("\nand why is it zero?")
    print(rnn.inspect.why(model.hidden.weight[1, 0], loss))

    headline("6. See it")
    drawing = rnn.show(loss)
    print(drawing)
    print("wrote", drawing.save(out / "network.html"))


def gpt2(out: Path) -> None:
    """The same questions, asked of 1.8 million parameters."""
    from gpt2 import files
    from gpt2.tokenizer import Tokenizer

    folder = HERE / "gpt2" / "shakespeare"
    model = files.load(folder)
    tokenizer = Tokenizer(folder, model.config)
    ids = tokenizer.encode(TEXT, "TEXT")
    tokens = files.tensor_of([ids])
    logits = model(tokens[:, :-1])
    loss = nn.functional.cross_entropy(logits[0], tokens[0, 1:])
    loss.backward(retain_graph=True)

    headline("GPT-2: the graph")
    graph = rnn.inspect.graph(loss)
    print(graph, f"for {len(ids)} tokens: {TEXT!r}, loss {loss.item():.3f}")

    headline("GPT-2: the weight of the first attention with the largest gradient")
    weight = model.h[0].attn.c_attn.weight
    i, j = divmod(int(weight.grad.abs().argmax()), weight.shape[1])
    ledger = rnn.inspect.explain(weight, loss, index=(i, j))
    print(ledger.text(limit=6))

    headline("GPT-2: see it")
    drawing = rnn.show(loss, focus=[(weight, i, j)])
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
