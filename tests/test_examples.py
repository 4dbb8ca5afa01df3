"""The examples, run short: what they print and draw, and that the models in them are right.

examples/gpt2 has its own file, test_gpt2.py.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import char_rnn
import microgpt
import mlp_digits
import numpy as np
import plain
import pytest
import scalars
import torch

import rnn

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(name: str, *arguments: object) -> str:
    """What an example prints on standard output; nothing but progress may go to the other."""
    command = [sys.executable, EXAMPLES / name, *map(str, arguments)]
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


def is_picture(file: Path) -> bool:
    from matplotlib import image

    pixels = image.imread(file)
    return pixels.shape[0] >= 500 and pixels.shape[1] >= 1500 and pixels[..., :3].std() > 0.05


def percent(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, text
    return float(found[1])


# ---- scalars -------------------------------------------------------------------------------------


def test_scalars_tells_moons_apart(tmp_path: Path) -> None:
    picture = tmp_path / "moons.png"
    printed = run("scalars.py", "--steps", 41, "--points", 60, "--plot", picture)
    assert percent(r"step  40 .* accuracy +([\d.]+)%", printed) >= 95
    assert percent(r"has not seen, ([\d.]+)% are", printed) >= 90
    assert is_picture(picture)


def test_scalars_loss_and_gradients_are_torchs() -> None:
    points, labels = scalars.two_moons(7, 0.1, 1)
    network = scalars.Network([2, 5, 3, 1], random.Random(2))
    loss = scalars.loss_of(network, [network(point) for point in points.tolist()], labels)
    loss.backward()

    leaves = [torch.tensor(p.data, dtype=torch.float64) for p in network.parameters()]
    rest = iter([leaf.requires_grad_() for leaf in leaves])
    x = torch.from_numpy(points)
    for layer in network.layers:
        rows = [[next(rest) for _ in [*neuron.w, neuron.b]] for neuron in layer]
        y = x @ torch.stack([torch.stack(row[:-1]) for row in rows]).T
        x = y + torch.stack([row[-1] for row in rows])
        x = x.relu() if layer[0].relu else x
    expected = (1 - torch.from_numpy(labels) * x[:, 0]).relu().mean()
    expected = expected + 1e-4 * sum(leaf * leaf for leaf in leaves)
    expected.backward()
    np.testing.assert_allclose(loss.data, expected.item(), rtol=1e-12)
    grads = [leaf.grad.item() for leaf in leaves]
    np.testing.assert_allclose([p.grad for p in network.parameters()], grads, atol=1e-14)


# ---- mlp_digits ----------------------------------------------------------------------------------


def test_digits_are_read(tmp_path: Path) -> None:
    picture = tmp_path / "digits.png"
    printed = run("mlp_digits.py", "--epochs", 8, "--plot", picture)
    assert "1,438 digits, 359 held out" in printed
    assert percent(r"\n([\d.]+)% of the held-out digits are read rightly", printed) >= 96
    assert is_picture(picture)


def write_mnist(folder: Path, train: int = 600, test: int = 100) -> None:
    """scikit-learn's digits as MNIST's files, 24 x 24; some of them compressed."""
    from sklearn.datasets import load_digits

    data = load_digits()
    pictures = np.kron(data.images * 15, np.ones((3, 3))).astype(np.uint8)
    for part, chosen in (("train", slice(0, train)), ("t10k", slice(train, train + test))):
        for kind, array in (("images", pictures[chosen]), ("labels", data.target[chosen])):
            sizes = np.array(array.shape, ">i4").tobytes()
            content = bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()
            name = f"{part}-{kind}-idx{array.ndim}-ubyte"
            if part == "train":
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


def test_digits_from_mnists_files(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (pictures, labels), (_, held_out) = mlp_digits.mnist(tmp_path)
    assert pictures.shape == (600, 24, 24) and labels[:5].tolist() == [0, 1, 2, 3, 4]
    assert pictures.max() == pytest.approx(240 / 255) and len(held_out) == 100
    printed = run("mlp_digits.py", "--data", tmp_path, "--epochs", 3)
    assert "600 digits, 100 held out" in printed
    assert percent(r"\n([\d.]+)% of the held-out digits are read rightly", printed) >= 75


def test_digits_says_which_file_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="has neither train-images-idx3-ubyte nor"):
        mlp_digits.mnist(tmp_path)
    for content in (b"", b"\0\0\x08\x03\0", bytes([0, 0, 8, 1, 0, 0, 0, 9, 1, 2])):
        (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
        with pytest.raises(SystemExit, match="train-images-idx3-ubyte is no idx file of bytes"):
            mlp_digits.mnist(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").unlink()
    write_mnist(tmp_path)
    compressed = tmp_path / "train-labels-idx1-ubyte.gz"
    whole = compressed.read_bytes()
    for content in (whole[:30], b"no gzip", whole[:20] + b"???" + whole[23:]):
        compressed.write_bytes(content)
        with pytest.raises(SystemExit, match=r"train-labels-idx1-ubyte.gz is no gzip file"):
            mlp_digits.mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 1, 2]))
    with pytest.raises(SystemExit, match="600 pictures, but 2 labels"):
        mlp_digits.mnist(tmp_path)


# ---- char_rnn ------------------------------------------------------------------------------------


def test_names_are_learned_and_the_model_is_kept(tmp_path: Path) -> None:
    model, picture = tmp_path / "names.pt", tmp_path / "names.png"
    options = ["--top", 600, "--samples", 5, "--model", model, "--classify", "Maria", "robert"]
    first = run("char_rnn.py", *options, "--epochs", 5, "--batch", 32, "--plot", picture)
    assert percent(r"\n([\d.]+)% of the held-out names", first) >= 45
    assert is_picture(picture)
    losses = [float(x) for x in re.findall(r"loss a letter ([\d.]+)", first)]
    assert len(losses) == 5 and losses[-1] < losses[0] - 0.3
    for kind in char_rnn.LISTS:
        words = re.search(rf"^{kind}: +(.*)$", first, flags=re.M)
        assert words and re.fullmatch(r"([A-Z][a-z]*\*?|)(, ([A-Z][a-z]*\*?|)){4}", words[1])
    again = run("char_rnn.py", *options)
    assert "epoch" not in again
    judged = r"\n[\d.]+% of the held-out names|\nMaria .*|\nRobert .*"
    assert re.findall(judged, again) == re.findall(judged, first)


def test_names_are_on_the_list_where_they_are_more_frequent() -> None:
    women, men, last = char_rnn.read_names(1000)
    assert "mary" in women and "james" in men and "smith" in last
    assert not (set(women) & set(men) | set(women) & set(last) | set(men) & set(last))
    assert len(women) > 700 and len(men) > 700 and len(last) > 700


def test_probabilities_are_those_of_the_letters() -> None:
    rnn.manual_seed(3)
    model = char_rnn.CharRNN(16, 8).eval()
    letters, following = char_rnn.encode(["abba", "zoe"])
    found = char_rnn.probabilities(model, letters, following)
    logs = np.zeros((2, 3))
    for row, word in enumerate(["abba", "zoe"]):
        tokens = [char_rnn.LETTERS.index(letter) for letter in f".{word}."]
        for kind in range(3):
            scores, _ = model(rnn.tensor([tokens[:-1]]), rnn.tensor([kind]))
            chances = scores[0].softmax(-1).detach().numpy()
            logs[row, kind] = np.log(chances[range(len(word) + 1), tokens[1:]]).sum()
    expected = np.exp(logs) / np.exp(logs).sum(1, keepdims=True)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["", "O'Neil", "Müller", "a" * 14])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(
        argparse.ArgumentTypeError, match="is not a name of 1 to 13 letters from a to z"
    ):
        char_rnn.a_name(name)


# ---- microgpt ------------------------------------------------------------------------------------


def gradients(model: microgpt.GPT) -> list[float]:
    """Of all parameters, one after the other."""
    flat: list[float] = []
    for matrix in model.parameters:
        if isinstance(matrix, plain.Matrix):
            flat += [value.grad for row in matrix.rows for value in row]
        else:
            flat += matrix.grad.flatten().tolist()
    return flat


def learn(form: microgpt.Form, resolution: str = "tensor") -> tuple[list[float], list[float]]:
    """Losses of three steps, and gradients of a fourth."""
    with rnn.resolution(resolution):
        model = microgpt.GPT(form)
        optimiser = form.optimiser(model.parameters, lr=0.01, betas=(0.9, 0.99))
        losses = []
        for name in ("ana", "bo", "cyd"):
            loss = model.loss(name)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            losses.append(float(loss.data))
        model.loss("eve").backward()
        return losses, gradients(model)


def test_microgpt_learns_the_same_in_every_form_and_in_torch() -> None:
    def tensor(rows: Any, learned: bool) -> torch.Tensor:
        return torch.tensor(rows, dtype=torch.float64, requires_grad=learned)

    losses, grads = learn(microgpt.Form(tensor, torch.cat, torch.optim.Adam))
    found = {name: learn(form, form.resolution) for name, form in microgpt.FORMS.items()}
    assert found["Values"] == found["plain Python"]  # to the last digit
    for name, (its_losses, its_grads) in found.items():
        np.testing.assert_allclose(its_losses, losses, rtol=1e-13, err_msg=name)
        np.testing.assert_allclose(its_grads, grads, rtol=1e-9, atol=1e-13, err_msg=name)


def test_microgpt_prints_equal_losses_and_invents_names(tmp_path: Path) -> None:
    picture = tmp_path / "gpt.png"
    options = ["--plain", "--compare", 3, "--steps", 1500, "--samples", 8, "--plot", picture]
    printed = run("microgpt.py", *options)
    rows = re.findall(r"^(.+?) +([\d.]+) ms +([\d,]+) +(\d+) +([\d.]+)$", printed, flags=re.M)
    assert [row[0] for row in rows] == list(microgpt.FORMS)
    assert len({row[4][:14] for row in rows}) == 1
    nodes = [int(row[2].replace(",", "")) for row in rows]
    assert min(nodes[:3]) > 5 * nodes[3]
    assert max(nodes[:3]) < 1.1 * min(nodes[:3])  # the same scalar operations
    assert percent(r"by more than ([\d.e-]+)\.", printed) < 1e-13
    assert percent(r"mean loss of the last 500 is ([\d.]+)\.", printed) < 2.5
    invented = re.search(r"It invents:\n(.*) \(\* is known\)", printed)
    assert invented and re.fullmatch(r"[a-z]+\*?(, [a-z]+\*?){7}", invented[1])
    assert is_picture(picture)
