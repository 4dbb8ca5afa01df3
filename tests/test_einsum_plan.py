"""einsum plans against PyTorch: the steps are carried out with torch's functions."""

import doctest

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn import _einsum
from rnn._einsum import plan_einsum, run_einsum


def mul(a, b):
    """Elementwise, and checked to be what a plan may ask for."""
    assert all(m == n or 1 in (m, n) for m, n in zip(a.shape[::-1], b.shape[::-1]))
    return a * b


def matmul(a, b):
    """A matrix product, and checked that its batch dimensions are equal."""
    assert a.shape[:-2] == b.shape[:-2] or a.ndim < 3 > b.ndim
    return a @ b


FUNCTIONS = {
    "diagonal": lambda a, dim1, dim2: a.diagonal(0, dim1, dim2),
    "permute": lambda a, dims: a.permute(dims),
    "reshape": lambda a, shape: a.reshape(shape),
    "sum": lambda a, dims: a.sum(dims),
    "mul": mul,
    "matmul": matmul,
}


def compare(equation, shapes):
    """The plan's result equals torch's, or both fail alike."""
    torch.manual_seed(0)
    operands = [torch.randint(-4, 5, shape).double() for shape in shapes]
    try:
        expected = torch.einsum(equation, *operands)
    except RuntimeError as error:
        with pytest.raises(RuntimeError) as ours:
            plan_einsum(equation, tuple(shapes))
        return str(error), str(ours.value)
    steps = plan_einsum(equation, tuple(shapes))
    ours = run_einsum(steps, operands, FUNCTIONS)
    assert ours.shape == expected.shape
    assert torch.equal(ours, expected)  # small integers: exact in any order
    return None


A, B, C, S, V = (2, 3), (3, 4), (5, 2, 3), (3, 3), (3,)

GOOD = [
    ("ij,jk->ik", A, B),
    ("ij,jk", A, B),
    ("ij,jk->ki", A, B),
    ("ba,cb", A, (3, 2)),
    (" i j , j k -> i k ", A, B),
    ("iJ,Jk->ik", A, B),
    ("iJ", A),
    ("...ij,...jk->...ik", C, (5, 3, 4)),
    ("...ij,...jk", C, (1, 3, 4)),
    ("...ij,...jk->ik", C, (7, 5, 3, 4)),
    ("ii", S),
    ("ii->i", S),
    ("iii->i", (3, 3, 3)),
    ("ijij->ji", (2, 3, 2, 3)),
    ("i...i->...", (3, 2, 3)),
    ("ij->", A),
    ("ij->j", A),
    ("ij->ji", A),
    ("->", ()),
    ("", ()),
    (",->", (), ()),
    (",i->i", (), V),
    ("i,i", V, V),
    ("i,j->ij", V, (4,)),
    ("i,j->ji", V, (4,)),
    ("i,j->", V, (4,)),
    ("ij,ij->ij", A, A),
    ("ij,ji->ij", A, (3, 2)),
    ("ij,ij->i", A, A),
    ("ij,ij->", A, A),
    ("ij,ij,ij->i", A, A, A),
    ("ij,j->i", A, V),
    ("j,ij->i", V, A),
    ("ij,j->ij", A, V),
    ("i,ij,j->", (2,), A, V),
    ("ij,jk,kl->il", A, B, (4, 5)),
    ("ij,jk->ijk", A, B),
    ("ij,jk->ik", A, (1, 4)),  # size 1 broadcasts
    ("ij,ij->j", A, (1, 3)),
    ("ij,ij->ij", A, (1, 1)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("bhqk,bhkd->bqhd", (2, 3, 4, 6), (2, 3, 6, 5)),
    ("bqhd,bkhd->bhqk", (2, 4, 3, 5), (2, 6, 3, 5)),
    ("bij,bjk->bk", (2, 3, 4), (2, 4, 5)),
    ("abc,cbd->ad", (2, 3, 4), (4, 3, 5)),
    ("bi,ijk,bj->bk", (2, 3), (3, 4, 5), (2, 4)),
    ("...->...", A),
    ("...->", A),
    ("i...->...", A),
    ("i...->", A),
    ("i...", C),
    ("...i,i->...", C, V),
    ("...,...->...", A, V),
    ("...,...", A, (5, 2, 3)),
    ("ij,jk->...ik", A, B),
    ("...ij->ij", C),
    ("i->", (0,)),
    ("ij,jk->ik", (2, 0), (0, 3)),
    ("ij,jk->ik", (0, 2), (2, 0)),
]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case[0])
def test_equations(case):
    assert compare(case[0], case[1:]) is None


BAD = [
    ("ij,jk->ik", A, A),
    ("ij->ijj", A),
    ("ij->k", A),
    ("->i", ()),
    ("ij->ii", S),
    ("ijk", A),
    ("i", A),
    (",", V, V),
    ("ijk...", A),
    ("...ijk->i", (2,)),
    ("ij,jk->ik", A),
    ("ab,a1,b->", A),
    ("ij->ij", A, B),
    ("ij,jk-ik", A, B),
    ("ij,jk>ik", A, B),
    ("ij->i->j", A),
    ("ij->i,j", A),
    ("ij - > ji", A),
    ("i-", V),
    ("i.j->ij", A),
    ("..ij->ij", A),
    ("...i...->i", A),
    ("....", A),
    ("ij->ij..", A),
    ("ij->i...j...", A),
    ("1j->j", A),
    ("i\tj", A),
    ("ij;jk->ik", A, B),
    ("é->", V),
    ("ii->i", (1, 3)),
    ("ii->i", A),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case[0])
def test_errors_in_torchs_words(case):
    torchs, ours = compare(case[0], case[1:])
    assert ours == torchs


def test_other_errors():
    torchs, ours = compare("...,...->...", (A, B))  # torch's words lack a space
    assert "does not broadcast" in torchs and "does not broadcast" in ours
    with pytest.raises(ValueError):
        plan_einsum("ij", ())


@st.composite
def equations(draw):
    """(equation, shapes): a few operands over a few letters, with sizes that agree."""
    size = {
        letter: draw(st.integers(0 if draw(st.integers(0, 9)) == 0 else 1, 3)) for letter in "abcdE"
    }
    ellipsis = draw(st.lists(st.integers(1, 3), max_size=2))
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 4))):
        letters = draw(st.lists(st.sampled_from("abcdE"), max_size=4))
        shrunk = draw(st.sampled_from("abcdE" + " " * 15))  # one label of this operand is 1
        sizes = [(1 if letter == shrunk else size[letter],) for letter in letters]
        if draw(st.integers(0, 2)) == 0:
            place = draw(st.integers(0, len(letters)))
            covered = [draw(st.sampled_from([n, n, 1])) for n in ellipsis]
            covered = covered[draw(st.integers(0, len(covered))) :]
            letters.insert(place, "...")
            sizes.insert(place, tuple(covered))
        terms.append("".join(letters))
        shapes.append(tuple(n for some in sizes for n in some))
    equation = ",".join(terms)
    if draw(st.booleans()):
        known = sorted(set(equation) & set("abcdE"))
        output = draw(st.lists(st.sampled_from(known), unique=True)) if known else []
        if "..." in equation and draw(st.booleans()):
            output.insert(draw(st.integers(0, len(output))), "...")
        equation += "->" + "".join(output)
    return equation, tuple(shapes)


@settings(max_examples=1000, deadline=None)
@given(equations())
def test_random_equations(case):
    compare(*case)


def test_a_plan_is_short():
    """Nothing is moved that need not be."""
    kinds = [
        ("ij,jk->ik", (A, B), ["matmul"]),
        ("bij,bjk->bik", (C, (5, 3, 4)), ["matmul"]),
        ("bhqd,bhkd->bhqk", ((2, 3, 4, 5), (2, 3, 6, 5)), ["permute", "matmul"]),
        ("ij,j->i", (A, V), ["matmul"]),
        ("i,i->", (V, V), ["matmul"]),
        ("ij,j->ij", (A, V), ["mul"]),
        ("ij,ij->i", (A, A), ["mul", "sum"]),
        ("ij,jk->k", (A, B), ["sum", "matmul"]),
        ("ij,ij->ij", (A, A), ["mul"]),
        ("i,j->ij", (V, V), ["reshape", "mul"]),
        ("ij->ij", (A,), []),
        ("ii->", (S,), ["diagonal", "sum"]),
    ]
    for equation, shapes, expected in kinds:
        assert [step.operation for step in plan_einsum(equation, shapes)] == expected, equation


def test_the_cheapest_pair_comes_first():
    """A product of matrices and a vector never multiplies the matrices."""
    steps = plan_einsum("ij,jk,k->i", ((9, 9), (9, 9), (9,)))
    assert [step.operands for step in steps] == [(1, 2), (0, 3)]


def test_plans_are_kept():
    assert plan_einsum("ij,jk", (A, B)) is plan_einsum("ij,jk", (A, B))


def test_the_examples_in_the_docstrings():
    # Through the function itself: doctest does not look behind lru_cache.
    failed, tried = doctest.testmod(_einsum)
    assert tried and not failed
    assert [s.operation for s in plan_einsum("ij,jk->ki", (A, B))] == ["matmul", "permute"]
