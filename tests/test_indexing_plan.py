"""Index plans against PyTorch: the plan is carried out with NumPy, the result is torch's."""

import doctest
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn import _indexing
from rnn._indexing import parse


def source(shape, order=None):
    """A NumPy array of distinct numbers, with the strides of a permuted one if asked."""
    numbers = np.arange(int(np.prod(shape)), dtype=np.float64)
    if order is None:
        return numbers.reshape(shape)
    stored = numbers.reshape([shape[d] for d in order])
    return stored.transpose(np.argsort(order))


def memory(x):
    """The stretch of memory that x lies in, and its strides in elements."""
    flat = np.lib.stride_tricks.as_strided(x, (x.size,), (x.itemsize,))
    return flat, tuple(stride // x.itemsize for stride in x.strides)


def view_of(x, plan):
    """The basic part of the plan, as NumPy's view of the same memory."""
    flat, strides = memory(x)
    offset, shape, strides = plan.apply(strides)
    if 0 in shape:
        return np.zeros(shape)
    lowest = offset
    highest = offset + sum((n - 1) * s for n, s in zip(shape, strides))
    assert 0 <= lowest <= highest < flat.size, "the view leaves its memory"
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, [8 * s for s in strides])


def read(x, index):
    """x[index] by the plan: every way that the plan offers, which must agree."""
    plan = parse(index, x.shape)
    view = view_of(x, plan)
    assert view.shape == plan.view_shape
    if plan.is_basic:
        assert plan.out_shape == plan.view_shape
        return view
    for array in (plan.rows, plan.positions):
        assert array.dtype == np.int64 and array.ndim == 1 and array.flags.c_contiguous
    if 0 in plan.out_shape:
        return np.zeros(plan.out_shape)
    blocks = np.ascontiguousarray(view).reshape(plan.outer, plan.span, plan.inner)
    by_rows = blocks[:, plan.rows].reshape(plan.out_shape)
    by_positions = blocks.reshape(-1, plan.inner)[plan.positions].reshape(plan.out_shape)
    np.testing.assert_array_equal(by_rows, by_positions)
    flat, strides = memory(x)
    offset, positions, inner = plan.gather(strides)
    by_gather = flat[(offset + positions)[:, None] + np.arange(inner)].reshape(plan.out_shape)
    np.testing.assert_array_equal(by_rows, by_gather)
    for dim, array in plan.indices:
        assert array.size == 0 or 0 <= array.min() <= array.max() < plan.view_shape[dim]
    return by_rows


def outcome(fn):
    """What fn() returns, or the exception that it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return fn()
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            return error


def compare(x, index, message=False):
    """Our result equals torch's, or both raise the same type (and the same words)."""
    expected = outcome(lambda: torch.from_numpy(x.copy())[index])
    ours = outcome(lambda: read(x, index))
    if isinstance(expected, Exception):
        assert type(ours) is type(expected), f"torch: {expected!r}, ours: {ours!r}"
        if message:
            assert str(ours) == str(expected)
        return
    assert not isinstance(ours, Exception), f"torch: {tuple(expected.shape)}, ours: {ours!r}"
    assert ours.shape == tuple(expected.shape)
    np.testing.assert_array_equal(ours, expected.numpy())


# --- random shapes and indices ----------------------------------------------------------------

shapes = st.lists(st.integers(0, 4), max_size=5).map(tuple)


def integers_for(size):
    """Mostly in range, from either end; now and then beyond."""
    if not size:
        return st.integers(-1, 1)
    inside = st.integers(-size, size - 1)
    return st.one_of(inside, inside, inside, inside, inside, st.integers(-size - 1, size))


@st.composite
def arrays_for(draw, size, lengths=(0, 1, 2, 3)):
    """An integer array, 1-d or 2-d, as ndarray (several dtypes), tensor, list or range."""
    inside = st.integers(-size, size - 1) if size else st.just(0)
    shape = draw(st.lists(st.sampled_from(lengths), min_size=1, max_size=2))
    count = int(np.prod(shape))
    element = integers_for(size) if draw(st.integers(0, 7)) == 0 else inside
    numbers = draw(st.lists(element, min_size=count, max_size=count))
    array = np.array(numbers, np.int64).reshape(shape)
    form = draw(st.sampled_from(["numpy", "int32", "strided", "tensor", "list", "int16", "range"]))
    if form == "strided":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if form in ("int32", "int16"):
        return array.astype(form)
    if form == "tensor":
        return torch.from_numpy(array)
    if form == "list":
        return array.tolist()
    return range(draw(st.integers(0, size))) if form == "range" else array


@st.composite
def masks_for(draw, sizes):
    """A mask over these dimensions, now and then of a wrong shape, as bool or uint8."""
    shape = list(sizes)
    if draw(st.integers(0, 15)) == 0:
        shape[draw(st.integers(0, len(shape) - 1))] += 1
    count = int(np.prod(shape))
    mask = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    mask = mask.reshape(shape)
    form = draw(st.sampled_from(["tensor", "tensor", "uint8", "numpy", "list"]))
    if form == "uint8":
        return torch.from_numpy(mask.astype(np.uint8))
    if form == "tensor" or len(shape) > 1:  # torch miscounts the dimensions of NumPy's masks
        return torch.from_numpy(mask)
    return mask.tolist() if form == "list" and count else mask


@st.composite
def slices(draw):
    bound = st.none() | st.integers(-5, 5) | st.integers(-5, 5).map(np.int64)
    bound |= st.integers(0, 5).map(torch.tensor)
    step = draw(st.sampled_from([None, None, None, 1, 2, 3, 7, np.int64(2), torch.tensor(2)]))
    return slice(draw(bound), draw(bound), step)


@st.composite
def items_for(draw, sizes):
    """(item, number of dimensions that it indexes) for the dimensions that are left."""
    kind = draw(st.sampled_from(["int", "slice", "slice", "none", "array", "array", "mask", "odd"]))
    if kind == "none" or not sizes:
        return draw(st.sampled_from([None, None, None, True, False, 0, torch.tensor(True)])), 0
    if kind == "int":
        form = draw(st.sampled_from([int, np.int64, np.uint8, torch.tensor, np.array]))
        number = draw(integers_for(sizes[0]))
        return (number if form is np.uint8 and number < 0 else form(number)), 1
    if kind == "slice":
        return draw(slices()), 1
    if kind == "array":
        return draw(arrays_for(sizes[0], draw(st.sampled_from([(2,), (1, 2), (0, 1, 2, 3)])))), 1
    if kind == "mask":
        count = draw(st.integers(1, len(sizes)))
        return draw(masks_for(sizes[:count])), count
    # Now and then: no index at all.
    odd = [slice(None)] * 20 + [1.5, {}, np.bool_(True), torch.tensor([0.5]), torch.tensor(0.5)]
    return draw(st.sampled_from(odd)), 1


@st.composite
def expressions(draw):
    """(shape, index): a tuple of items with at most one Ellipsis, or a single item."""
    shape = draw(shapes)
    if draw(st.integers(0, 4)) == 0:
        return shape, draw(items_for(shape))[0]
    left, items = list(shape), []
    for _ in range(draw(st.integers(0, 5))):
        item, count = draw(items_for(left))
        items.append(item)
        left = left[count:]
    tail = []
    if draw(st.booleans()):
        back = left[::-1]
        for _ in range(draw(st.integers(0, 2))):
            if back and draw(st.booleans()):
                tail.insert(0, draw(st.one_of(integers_for(back[0]), arrays_for(back[0]))))
                back = back[1:]
        items.append(...)
    return shape, tuple(items + tail)


@settings(max_examples=1500, deadline=None)
@given(expressions(), st.data())
def test_random_expressions(expression, data):
    shape, index = expression
    order = data.draw(st.none() | st.permutations(range(len(shape))), label="storage order")
    compare(source(shape, order), index)


@settings(max_examples=300, deadline=None)
@given(shapes, st.data())
def test_gathers_over_all_dimensions(shape, data):
    """Arrays of the same shape in some places, whole dimensions in the others."""
    items = [
        data.draw(st.sampled_from([slice(None), None]))
        if data.draw(st.booleans())
        else np.array(data.draw(st.lists(st.integers(-n, n - 1), min_size=2, max_size=2)))
        if n
        else slice(None)
        for n in shape
    ]
    compare(source(shape), tuple(items))


@settings(max_examples=300, deadline=None)
@given(expressions(), shapes, st.integers(0, 2), st.booleans())
def test_value_shapes(expression, value_shape, ones, fits):
    """check_value accepts what torch's assignment accepts, and says what torch says."""
    shape, index = expression
    if index is False:
        return  # torch assigns nothing there, and checks nothing
    plan = outcome(lambda: parse(index, shape))
    if isinstance(plan, Exception):
        return
    if fits:
        value_shape = plan.out_shape[len(value_shape) % (len(plan.out_shape) + 1) :]
    value_shape = (1,) * ones + value_shape
    target = torch.zeros(shape)

    def assign():
        target[index] = torch.ones(value_shape)

    expected = outcome(assign)
    ours = outcome(lambda: plan.check_value(value_shape))
    if "masked_fill_ only supports boolean masks" in str(expected):
        return  # torch 2.13 reads with uint8 masks but does not write with one alone
    if not isinstance(expected, Exception):
        assert not isinstance(ours, Exception), ours
        np.broadcast_to(np.zeros(ours), plan.out_shape)
        return
    assert type(ours) is type(expected), (expected, ours)
    if not isinstance(index, bool):  # torch takes x[True] = v for x[None] = v: other words
        assert str(ours) == str(expected)


# --- one case a rule --------------------------------------------------------------------------

t = torch.tensor
RULES = [
    ((2, 3, 4), (0, slice(None), [0, 1])),  # int selects first: not separated
    ((2, 3, 4), ([0, 1], 0, [0, 1])),
    ((2, 3, 4), ([0, 1], slice(None), [0, 1])),  # separated: in front
    ((2, 3, 4), ([0, 1], None, [0, 1])),
    ((2, 3, 4), (slice(None), [0, 1], [2, 3])),  # neighbours: in place
    ((2, 3, 4), (slice(None), [0, 1], ..., [2, 3])),
    ((2, 3, 4), (t([[0, 1]]), slice(None), t([[0], [1], [2]]))),
    ((2, 3, 4), ()),
    ((2, 3, 4), (..., None)),
    ((2, 3, 4), (None, None, ..., 0)),
    ((2, 3, 4), (..., 0, ...)),
    ((), ...),
    ((), None),
    ((), True),
    ((), False),
    ((), ()),
    ((2, 3), True),
    ((2, 3), False),
    ((2, 3), (slice(None), True, [0, 1])),
    ((2, 3), (False, [0])),
    ((2, 3), [True, False]),
    ((2, 3), [[0, 1], [1, 2]]),  # a list of lists is still a tuple
    ((2, 3), [0, slice(None)]),
    ((2, 3), [t(1), t(2)]),
    ((2, 3), [None]),
    ((2, 3), (slice(None), [t(0), t(2)])),
    ((2, 3), [np.int64(0), np.int64(1)]),
    ((2, 3), []),
    ((2, 3), ([], [0])),
    ((2, 3), np.array([])),
    ((2, 3), range(2)),
    ((2, 3), (range(2), t([2, 0]))),
    ((2, 3), [True, 1]),
    ((2, 3), t([[True, False, True], [False, False, True]])),
    ((2, 3, 4), (t([[True, False, True], [False, False, True]]), 1)),
    ((2, 3, 4), (t([[True, False, True], [False, False, True]]), t([0, 1, 2]))),
    ((2, 3, 4), (t([True, False]), slice(None), t([True, False, True, False]))),
    ((2, 3), (slice(t(0), t(2)), slice(np.int64(1), None))),
    ((2, 3), slice(5, 2)),
    ((2, 3), slice(None, 10**30)),
    ((2, 3), (t(1), np.array(2))),
    ((2, 3), t(1, dtype=torch.uint8)),  # a mask
    ((2, 3), t(1, dtype=torch.int16)),
    ((2, 3), np.array([1], np.uint16)),
    ((3, 0), [5]),  # nothing is read: nothing is out of range
    ((0, 3), (slice(None), [5])),
    ((2, 3), [0] * 40),
    ((2, 3), [np.uint8(1), np.uint8(0)]),  # a mask too
]


@pytest.mark.parametrize(("shape", "index"), RULES, ids=repr)
def test_rule(shape, index):
    expected = outcome(lambda: torch.zeros(shape)[index])
    assert not isinstance(expected, Exception), expected
    compare(source(shape), index)


ERRORS = [
    ((3,), 5),
    ((3,), -4),
    ((), 0),
    ((), slice(None)),
    ((), (0,)),
    ((), [0]),
    ((2, 3), (0, 0, 0)),
    ((2, 3), (5, 0, 0)),
    ((2, 3), (slice(None), t(5))),
    ((2, 3), (None, 5)),
    ((2, 3), (..., 5)),
    ((2, 3), t(-3)),
    ((2, 3), [5]),
    ((2, 3), (slice(None), [-4])),
    ((2, 3), ([0, 1], [0, 7])),
    ((2, 3), ([0, 1], [0, 1, 2])),
    ((2, 3, 2), ([0, 1], slice(None), [0, 1, 2])),
    ((2, 3), (True, [0, 1], [1, 2, 0])),
    ((2, 3, 2), (t([[True, True, True]] * 2), [0, 1, 0])),
    ((3,), t([True, False])),
    ((2, 3), (slice(None), t([True, False]))),
    ((2, 3), t([[True, True]] * 2)),
    ((2, 3), t([[[True]]])),
    ((0, 3), t([0, 0])),
    ((0, 3), [[0, 0], [1, 1]]),
    ((2, 3), slice(None, None, -1)),
    ((2, 3), slice(None, None, 0)),
    ((2, 3), slice(1.5, None)),
    ((2, 3), (0, slice("a", None))),
    ((2, 3), slice(t(0.5), None)),
    ((2, 3), t([1.0])),
    ((2, 3), t(1.0)),
    ((2, 3), t([1.0], requires_grad=True)),
    ((2, 3), t([1], dtype=torch.int8)),
    ((2, 3), t([1j])),
    ((2, 3), 1.5),
    ((2, 3), {}),
    ((2, 3), (0, {0: 1})),
]


@pytest.mark.parametrize(("shape", "index"), ERRORS, ids=repr)
def test_error_in_torchs_words(shape, index):
    expected = outcome(lambda: torch.zeros(shape)[index])
    assert isinstance(expected, Exception), expected
    compare(source(shape), index, message=True)


@pytest.mark.parametrize("index", ["a", b"a", (0, "ab"), (0, ["a"]), ["a"]], ids=repr)
def test_strings_are_no_index(index):
    with pytest.raises(TypeError):
        parse(index, (2, 3))


@pytest.mark.parametrize("index", [[1.0], np.array([1.0]), (0, [0.5]), np.float64(1)], ids=repr)
def test_floats_are_refused(index):
    """Here torch truncates lists and arrays of floats without a word (not so its tensors)."""
    with pytest.raises(IndexError):
        parse(index, (2, 3))


def test_numpy_masks_of_more_dimensions_count_as_what_they_are():
    x = source((2, 3, 4))
    mask = x[0] % 2 == 0
    np.testing.assert_array_equal(read(x, (..., mask)), x[..., mask])  # an IndexError in torch


def test_ragged_list():
    with pytest.raises(ValueError):
        parse((slice(None), [[0, 1], [0]]), (2, 3))


def test_step_is_bounded():
    plan = parse(slice(None, None, 10**30), (2, 3))  # torch 2.13 fails here: it overflows
    assert plan.view_shape == (1, 3) and plan.steps[0] < 2**62


def test_huge_integer_is_out_of_range():
    with pytest.raises(IndexError, match="out of bounds"):
        parse(10**30, (2, 3))


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (np.array([1, 0], np.uint8), "uint8 is now deprecated"),
        ([[0, 1], [1, 0]], "taken as a tuple"),
    ],
)
def test_warns_at_the_callers_line(index, words):
    class Array:
        def __getitem__(self, index):
            return parse(index, (2, 3))

    with pytest.warns(UserWarning, match=words) as caught:
        Array()[index]
    assert caught[0].filename == __file__


def test_new_dimensions_have_torchs_strides():
    x = torch.zeros(2, 3, 4)
    for index in [None, (None, None), (..., None), (0, None), (slice(None), None, 0)]:
        offset, shape, strides = parse(index, (2, 3, 4)).apply((12, 4, 1))
        assert (shape, strides, offset) == (tuple(x[index].shape), x[index].stride(), 0)


def test_views_have_torchs_offset_and_strides():
    x = torch.zeros(4, 5, 6)[:, 1:, ::2]
    for index in [2, (1, -1), slice(1, None, 2), (..., slice(1, 3)), (slice(2, None), 0, slice(1))]:
        offset, shape, strides = parse(index, tuple(x.shape)).apply(x.stride())
        view = x[index]
        assert (shape, strides) == (tuple(view.shape), view.stride())
        assert offset == view.storage_offset() - x.storage_offset()


def test_index_array_stays_as_it_was():
    index = np.array([-1, 0])
    plan = parse(index, (3, 2))
    assert plan.rows.tolist() == [2, 0] and index.tolist() == [-1, 0]


def test_repr_names_the_fields():
    assert repr(parse(1, (2, 3))) == "Plan(src=(), starts=(1,), steps=(), view_shape=(3,))"
    assert "rows=array([1])" in repr(parse([1], (2, 3)))


def test_the_examples_in_the_docstrings():
    failed, tried = doctest.testmod(_indexing)
    assert tried and not failed
