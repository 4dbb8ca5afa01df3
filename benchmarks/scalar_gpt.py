"""A whole GPT on scalars, in plain Python: what it learns from is a list of given names.

The model is the one that Karpathy's microgpt made popular (tokens are characters, 16 wide, 1 layer,
4 heads, one name a step, Adam); the program is our own. Every weight and every number on the way is
one object of a class that knows `+ * ** exp log relu` and `backward()`. The class is a parameter:
`Value` below is plain Python, `rnn.Value` is the same in C, and both print the same losses.

    python benchmarks/scalar_gpt.py                        # plain Python
    python benchmarks/scalar_gpt.py --value rnn --steps 500

It is not a program to learn much with: `benchmarks/bench_scalar.py` times its steps.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

NAMES = """
aaron abigail adam adele adrian agnes ahmed aisha alan albert alejandra alexander alfred alice
alicia alma amanda amber amelia amina amir amy ana andrea andrew angela anika anita ann anna anton
antonio april arjun arthur astrid aurora austin ava axel barbara beatrice ben benjamin bernard
bertha bianca bjorn boris brandon brenda brian bridget bruno caleb camila carla carlos carmen
caroline catherine cecilia celia charles charlotte chen chloe chris christina clara claudia colin
conrad cora craig cyrus daisy dana daniel daphne david dean deborah denise dennis diana diego
dimitri dmitri dolores donald dora doris dorothy douglas dylan edgar edith edward elena eli elias
elif elijah elisa elizabeth ella ellen elsa emil emily emma enrique eric erica erin ernest esther
ethan eva evelyn fatima felix fernando finn fiona flora florence frances francis frank freya frida
gabriel gail george gerald gina giulia gloria gordon grace graham greta gustav hana hannah harold
harry hassan hazel heather hector heidi helen helena henry herman hilda hiro hugo ian ibrahim ida
igor ines ingrid irene iris isaac isabel isla ivan ivy jack jacob jade james jan jane janet jasmine
jason javier jean jenna jennifer jesse jessica joan joel johanna john jonas jordan jorge joseph
joshua joyce juan judith julia julian june justin kai karen karim karl kate katherine keiko keith
kelly kenji kenneth kevin khalid kim kira klara kurt kyle lara lars laura lauren lea leah lena leo
leon leonard leila lewis liam lidia lily linda linnea lisa lloyd logan lola lorena louis louise
lucas lucia lucy luis luna lydia mabel madison magnus malik manuel marc marcus margaret maria
mariam marie marina mario marion mark martha martin mary mateo matilda matthew maya mei melanie
melissa mia michael miguel mila milan miles mina miriam mohammed mona monica nadia naomi natalia
nathan neil nelson nicholas nicole nina noah noel nora norman olga oliver olivia omar oscar otto
owen pablo pamela patricia patrick paul paula pedro penelope peter petra philip phoebe priya
quentin rachel rafael ralph ramon raymond rebecca reza richard rita robert roberto robin rosa rose
ruby rudolf russell ruth ryan sabrina sally salma sam samantha samir samuel sandra sara sean
sebastian selma sergei sharon silvia simon sofia sonia sophie stanley stella stephen steven susan
sven sylvia tamara tanya tara teresa theo theodore thomas tim timothy tobias tom tomas tracy uma
ursula valentina valeria vanessa vera veronica victor victoria vincent viola violet virginia vivian
walter wanda wendy wilfred william willow yara yasmin yuki yusuf yvonne zara zoe
""".split()

END = 0  # the token before the first and after the last letter; letters are 1 to 26
VOCABULARY = 27


class Value:
    """A number that remembers the numbers it was made from, and its derivative by each of them."""

    __slots__ = ("data", "grad", "operands", "slopes")

    def __init__(
        self, data: float, operands: tuple[Value, ...] = (), slopes: tuple[float, ...] = ()
    ) -> None:
        self.data = data
        self.grad = 0.0
        self.operands = operands
        self.slopes = slopes

    def __add__(self, other: Value | float) -> Value:
        if not isinstance(other, Value):
            other = Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other: Value | float) -> Value:
        if not isinstance(other, Value):
            other = Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, power: float) -> Value:
        return Value(self.data**power, (self,), (power * self.data ** (power - 1),))

    def exp(self) -> Value:
        result = math.exp(self.data)
        return Value(result, (self,), (result,))

    def log(self) -> Value:
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def relu(self) -> Value:
        positive = self.data > 0
        return Value(self.data if positive else 0.0, (self,), (float(positive),))

    def __neg__(self) -> Value:
        return self * -1.0

    def __radd__(self, other: float) -> Value:
        return self + other

    def __sub__(self, other: Value | float) -> Value:
        return self + -other

    def __rsub__(self, other: float) -> Value:
        return other + -self

    def __rmul__(self, other: float) -> Value:
        return self * other

    def __truediv__(self, other: Value | float) -> Value:
        return self * other**-1

    def __rtruediv__(self, other: float) -> Value:
        return other * self**-1

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"

    def backward(self) -> None:
        """Adds this value's derivative by each value it was made from to that one's `grad`."""
        self.grad = 1.0
        for value in reversed(self._in_order()):
            grad = value.grad
            for operand, slope in zip(value.operands, value.slopes, strict=True):
                operand.grad += slope * grad

    def _in_order(self) -> list[Value]:
        """All that this value was made from, operands first: depth first, without recursion."""
        order: list[Value] = []
        seen: set[Value] = set()
        # Below None lies a value whose operands are all in order; others are to be looked into.
        stack: list[Any] = [self]
        while stack:
            top = stack.pop()
            if top is None:
                order.append(stack.pop())
            elif top not in seen:
                seen.add(top)
                if top.operands:
                    stack.append(top)
                    stack.append(None)
                    stack.extend(top.operands[::-1])
                else:
                    order.append(top)
        return order


Vector = list[Any]  # of Values
Matrix = list[Vector]


def linear(x: Vector, weight: Matrix) -> Vector:
    """weight @ x"""
    return [sum(w * xi for w, xi in zip(row, x, strict=True)) for row in weight]


def softmax(x: Vector) -> Vector:
    largest = max(xi.data for xi in x)
    powers = [(xi - largest).exp() for xi in x]
    total = sum(powers)
    return [power / total for power in powers]


def rms_norm(x: Vector) -> Vector:
    """x over the root of its mean square."""
    mean_square = sum(xi * xi for xi in x) / len(x)
    scale = (mean_square + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def add(x: Vector, y: Vector) -> Vector:
    return [xi + yi for xi, yi in zip(x, y, strict=True)]


class ScalarGPT:
    """Weights and forward pass; `value` makes one scalar. The same seed gives the same weights."""

    def __init__(
        self,
        value: Callable[[float], Any],
        *,
        width: int = 16,
        heads: int = 4,
        layers: int = 1,
        context: int = 16,
        seed: int = 0,
    ) -> None:
        generator = random.Random(seed)

        def matrix(rows: int, columns: int) -> Matrix:
            return [[value(generator.gauss(0, 0.08)) for _ in range(columns)] for _ in range(rows)]

        self.heads, self.context = heads, context
        self.letters = matrix(VOCABULARY, width)
        self.places = matrix(context, width)
        self.layers = [
            {
                "query": matrix(width, width),
                "key": matrix(width, width),
                "value": matrix(width, width),
                "mix": matrix(width, width),
                "widen": matrix(4 * width, width),
                "narrow": matrix(width, 4 * width),
            }
            for _ in range(layers)
        ]
        self.head = matrix(VOCABULARY, width)

    def parameters(self) -> Vector:
        matrices = [self.letters, self.places, self.head]
        for layer in self.layers:
            matrices.extend(layer.values())
        return [weight for matrix in matrices for row in matrix for weight in row]

    def start(self) -> list[tuple[Matrix, Matrix]]:
        """An empty memory: the keys and the values of each layer, a vector a place."""
        return [([], []) for _ in self.layers]

    def next_probabilities(self, token: int, memory: list[tuple[Matrix, Matrix]]) -> Vector:
        """Probabilities of the next token, (VOCABULARY,); remembers `token` in `memory`."""
        place = len(memory[0][0])
        x = rms_norm(add(self.letters[token], self.places[place]))
        for layer, (keys, values) in zip(self.layers, memory, strict=True):
            inner = rms_norm(x)
            keys.append(linear(inner, layer["key"]))
            values.append(linear(inner, layer["value"]))
            attended = self._attend(linear(inner, layer["query"]), keys, values)
            x = add(x, linear(attended, layer["mix"]))
            hidden = [h.relu() for h in linear(rms_norm(x), layer["widen"])]
            x = add(x, linear(hidden, layer["narrow"]))
        return softmax(linear(x, self.head))

    def _attend(self, query: Vector, keys: Matrix, values: Matrix) -> Vector:
        """Each head: the values of all places so far, weighted by how well key and query agree."""
        size = len(query) // self.heads
        result: Vector = []
        for begin in range(0, len(query), size):
            part = slice(begin, begin + size)
            scores = linear(query[part], [key[part] for key in keys])
            weights = softmax([score * size**-0.5 for score in scores])
            columns = zip(*(value[part] for value in values), strict=True)
            result += linear(weights, [list(column) for column in columns])
        return result

    def loss(self, name: str) -> Any:
        """Mean of -log(probability) over the letters of `name` and its end."""
        tokens = [END, *(ord(letter) - ord("a") + 1 for letter in name), END][: self.context + 1]
        memory = self.start()
        surprises = [
            -self.next_probabilities(token, memory)[following].log()
            for token, following in pairwise(tokens)
        ]
        return sum(surprises) / len(surprises)

    def sample(self, generator: random.Random, temperature: float = 0.6) -> str:
        """A new name, letter by letter."""
        token, name, memory = END, "", self.start()
        while len(name) < self.context:
            probabilities = [p.data for p in self.next_probabilities(token, memory)]
            sharpened = [p ** (1 / temperature) for p in probabilities]
            token = generator.choices(range(VOCABULARY), sharpened)[0]
            if token == END:
                break
            name += chr(ord("a") + token - 1)
        return name


class Adam:
    """Kingma and Ba's optimiser on single scalars, its rate falling to zero over `steps`."""

    def __init__(self, parameters: Vector, steps: int, rate: float = 0.01) -> None:
        self.parameters, self.steps, self.rate = parameters, steps, rate
        self.means = [0.0] * len(parameters)
        self.squares = [0.0] * len(parameters)
        self.done = 0

    def step(self) -> None:
        """Moves every parameter against its gradient, and clears the gradient."""
        rate = self.rate * (1 - self.done / self.steps)
        self.done += 1
        unbias_mean, unbias_square = 1 - 0.9**self.done, 1 - 0.99**self.done
        for index, parameter in enumerate(self.parameters):
            grad = parameter.grad
            self.means[index] = mean = 0.9 * self.means[index] + 0.1 * grad
            self.squares[index] = square = 0.99 * self.squares[index] + 0.01 * grad * grad
            parameter.data -= rate * (mean / unbias_mean) / ((square / unbias_square) ** 0.5 + 1e-8)
            parameter.grad = 0.0


class Trainer:
    """A model, its optimiser and an order of names: `step()` learns from one name."""

    def __init__(
        self, value: Callable[[float], Any], steps: int, names: Sequence[str] = NAMES, seed: int = 0
    ) -> None:
        self.model = ScalarGPT(value, seed=seed)
        self.parameters = self.model.parameters()
        self.optimiser = Adam(self.parameters, steps)
        self.names = list(names)
        random.Random(seed).shuffle(self.names)
        self.done = 0

    def step(self) -> float:
        """One name forward, backward, and one step of the optimiser; returns the loss before it."""
        loss = self.model.loss(self.names[self.done % len(self.names)])
        loss.backward()
        self.optimiser.step()
        self.done += 1
        return float(loss.data)


def main() -> None:
    parser = argparse.ArgumentParser(description="a GPT on scalars that learns given names")
    parser.add_argument(
        "--value", choices=("python", "rnn"), default="python", help="(%(default)s)"
    )
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--samples", type=int, default=10)
    arguments = parser.parse_args()
    value: Callable[[float], Any] = Value
    if arguments.value == "rnn":
        import rnn

        value = rnn.Value
    trainer = Trainer(value, arguments.steps)
    print(f"{len(NAMES)} names, {len(trainer.parameters):,} parameters")
    for step in range(arguments.steps):
        start = time.perf_counter()
        loss = trainer.step()
        milliseconds = (time.perf_counter() - start) * 1e3
        print(f"step {step + 1:4d}  loss {loss:.10f}  {milliseconds:6.1f} ms")
    generator = random.Random(1)
    print(", ".join(trainer.model.sample(generator) for _ in range(arguments.samples)))


if __name__ == "__main__":
    main()
