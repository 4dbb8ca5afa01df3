"""Shape arithmetic against PyTorch: the same result, or the same exception in the same words."""

import doctest

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn import _shapes
from rnn._shapes import (
    as_size_args,
    broadcast_shapes,
    chunk_sizes,
    compute_strides,
    expand_sizes,
    infer_view_size,
    normalize_dim,
    normalize_dims,
    permute_dims,
    reduce_dims,
    split_sizes,
    tensor_split_sizes,
)

t = torch.tensor

shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
dims = st.integers(-5, 4)


def outcome(fn):
    """What fn() returns, or the exception that it raises."""
    try:
        return fn()
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        return error


def same(ours, torchs, words=True):
    """Both give the same, or both fail alike; whether they succeed."""
    ours, expected = outcome(ours), outcome(torchs)
    if isinstance(expected, Exception):
        assert type(ours) is type(expected), f"torch: {expected!r}, ours: {ours!r}"
        assert not words or str(ours) == str(expected)
        return False
    assert not isinstance(ours, Exception), f"torch: {expected!r}, ours: {ours!r}"
    assert ours == expected
    return True


@given(shapes, dims)
def test_one_dimension(shape, dim):
    x = torch.zeros(shape)
    if same(lambda: reduce_dims(dim, shape)[1], lambda: tuple(x.sum(dim).shape)):
        assert normalize_dim(dim, len(shape)) == dim % max(len(shape), 1)
    same(
        lambda: (*shape[: normalize_dim(dim, len(shape) + 1)], 1),
        lambda: tuple(x.unsqueeze(dim).shape)[: dim % (len(shape) + 1) + 1],
    )


@given(shapes, st.lists(dims, max_size=3), st.booleans(), st.sampled_from([list, tuple]))
def test_reductions(shape, dim, keepdim, kind):
    x = torch.zeros(shape)
    dim = kind(dim)
    if same(
        lambda: reduce_dims(dim, shape, keepdim)[1],
        lambda: tuple(x.sum(dim, keepdim=keepdim).shape),
    ):
        reduced = reduce_dims(dim, shape)[0]
        assert all(0 <= d < len(shape) for d in reduced)
        assert len(reduced) == len(dim or shape) or not shape


def test_dimensions_of_other_kinds():
    assert reduce_dims(None, (2, 3), True) == ((0, 1), (1, 1))
    assert normalize_dims(t(-1), 2) == (1,) == normalize_dims(np.int64(1), 2)
    assert normalize_dims([0, t(2)], 3) == (0, 2)
    for wrong in (1.0, "a", [0.5]):
        with pytest.raises(TypeError):
            normalize_dims(wrong, 3)


@given(shapes, st.data())
def test_permute(shape, data):
    order = data.draw(st.permutations(range(-len(shape), 0)) | st.lists(dims, max_size=4))
    x = torch.zeros(shape)
    same(
        lambda: tuple([shape[d] for d in permute_dims(order, len(shape))]),
        lambda: tuple(x.permute(order).shape),
    )


@given(shapes, st.lists(st.integers(-2, 6), max_size=4))
def test_view_size(shape, sizes):
    x = torch.zeros(shape)
    same(lambda: infer_view_size(sizes, x.numel()), lambda: tuple(x.reshape(sizes).shape))


@given(shapes, st.data())
def test_view_size_with_one_unknown(shape, data):
    sizes = list(data.draw(st.permutations(shape)))
    if sizes:
        sizes[data.draw(st.integers(0, len(sizes) - 1))] = -1
    x = torch.zeros(shape)
    same(lambda: infer_view_size(sizes, x.numel()), lambda: tuple(x.reshape(sizes).shape))


@given(shapes)
def test_strides(shape):
    assert compute_strides(shape) == torch.zeros(shape).stride()


@st.composite
def broadcastable(draw):
    """Two shapes that broadcast, but for an accident now and then."""
    whole = draw(shapes)
    pair = []
    for _ in range(2):
        some = whole[draw(st.integers(0, len(whole))) :]
        choices = [st.sampled_from([size, size, size, 1]) | st.integers(0, 4) for size in some]
        pair.append(draw(st.tuples(*choices)))
    return pair


@settings(max_examples=500)
@given(broadcastable())
def test_broadcast(pair):
    a, b = pair
    if same(
        lambda: broadcast_shapes(a, b),
        lambda: tuple((torch.zeros(a) + torch.zeros(b)).shape),
    ):
        assert broadcast_shapes(a, b, a) == broadcast_shapes(a, b) == broadcast_shapes((), a, b)


def test_broadcast_of_none():
    assert broadcast_shapes() == ()


@settings(max_examples=500)
@given(broadcastable())
def test_expand(pair):
    shape, sizes = pair
    same(lambda: expand_sizes(sizes, shape), lambda: tuple(torch.zeros(shape).expand(sizes).shape))


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ((-1, 4), (2, 1)),
        ((5, -1, -1), (2, 1)),
        ((-1, 2, 3), (2, 3)),
        ((2, 3), (4, 2, 3)),
        ((2, -2), (2, 3)),
        ((0, 3), (1, 3)),
    ],
)
def test_expand_with_minus_one(sizes, shape):
    same(lambda: expand_sizes(sizes, shape), lambda: tuple(torch.zeros(shape).expand(sizes).shape))


def test_expand_to_a_negative_size():
    with pytest.raises(RuntimeError, match=r"expanded size of the tensor \(-2\)"):
        expand_sizes((2, -2), (2, 1))


def pieces(x, dim_and_parts):
    dim, parts = dim_and_parts
    return [x.narrow(dim, start, length).tolist() for start, length in parts]


def numbers(shape):
    return torch.arange(int(np.prod(shape))).reshape(shape)


@given(shapes, st.integers(-1, 6), dims)
def test_split(shape, size, dim):
    x = numbers(shape)
    same(
        lambda: pieces(x, split_sizes(shape, size, dim)),
        lambda: [p.tolist() for p in x.split(size, dim)],
    )


@given(shapes, st.lists(st.integers(-1, 3), max_size=3), dims, st.booleans())
def test_split_by_list(shape, sections, dim, fits):
    x = numbers(shape)
    if fits and -len(shape) <= dim < len(shape):
        sections = [*sections, shape[dim] - sum(sections)]
    same(
        lambda: pieces(x, split_sizes(shape, sections, dim)),
        lambda: [p.tolist() for p in x.split(sections, dim)],
    )


@given(shapes, st.integers(-1, 6), dims)
def test_chunk(shape, count, dim):
    x = numbers(shape)
    same(
        lambda: pieces(x, chunk_sizes(shape, count, dim)),
        lambda: [p.tolist() for p in x.chunk(count, dim)],
    )


@given(shapes, st.integers(-1, 6) | st.lists(st.integers(-6, 6), max_size=4), dims)
def test_tensor_split(shape, sections, dim):
    x = numbers(shape)
    same(
        lambda: pieces(x, tensor_split_sizes(shape, sections, dim)),
        lambda: [p.tolist() for p in x.tensor_split(sections, dim)],
    )


@pytest.mark.parametrize("sections", [1.5, [1.0, 3.0], "a", [1, "b"]])
def test_split_refuses_what_is_no_integer(sections):
    words = sections != [1, "b"]  # torch's are hard to read there
    same(lambda: split_sizes((4,), sections), lambda: torch.zeros(4).split(sections), words)


def test_split_takes_tensors_as_integers():
    assert split_sizes((4,), t(3)) == (0, [(0, 3), (3, 1)])
    assert split_sizes((4,), (np.int64(1), t(3)), t(0)) == (0, [(0, 1), (1, 3)])
    assert chunk_sizes((4,), t(2)) == (0, [(0, 2), (2, 2)])


@pytest.mark.parametrize(
    "args",
    [
        (2, 3),
        ((2, 3),),
        ([2, 3],),
        (torch.Size([2, 3]),),
        ((),),
        (t(2), np.int64(3)),
        ((t(2), np.uint8(3)),),
        (t([2]),),
        (),
        (2.0,),
        (2, 3.0),
        ((2, 3.0),),
        ([2.0, 3],),
        ("a",),
        ((2, 3), 4),
        (True,),
        (None,),
        (t(2.0),),
    ],
    ids=repr,
)
def test_size_arguments(args):
    # Ours name the culprit and its place, torch's in these cases do not.
    words = args not in [(2, 3.0), ((2, 3.0),), ((2, 3), 4)]
    same(lambda: as_size_args(args, "ones"), lambda: tuple(torch.ones(*args).shape), words)


def test_the_examples_in_the_docstrings():
    failed, tried = doctest.testmod(_shapes)
    assert tried and not failed
