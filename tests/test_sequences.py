"""nn.utils.rnn: padding and packing, values and gradients as torch's, at both resolutions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_module import plain, same

import rnn


def sequences(m, lengths, width=2, requires_grad=True):
    made, start = [], 0
    for length in lengths:
        count = length * width
        made.append(m.arange(float(start), float(start + count)).reshape(length, width))
        start += count
    return [t.requires_grad_(requires_grad) for t in made]


def parts(packed):
    indices = [packed.sorted_indices, packed.unsorted_indices]
    return [packed.data, packed.batch_sizes, *indices, type(packed).__name__]


@pytest.mark.parametrize("resolution", ["tensor", "scalar"])
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5), st.booleans(), st.sampled_from([0.0, -1.5]),  # noqa: E501
    st.integers(0, 2), st.sampled_from(["right", "left"]),
)  # fmt: skip
def test_round_trips(resolution, lengths, batch_first, padding, more, side):
    def fn(m):
        s, utils = sequences(m, lengths), m.nn.utils.rnn
        padded = utils.pad_sequence(s, batch_first, padding, side)
        packed = utils.pack_sequence(s, enforce_sorted=False)
        options = {"batch_first": batch_first, "padding_value": padding}
        back, sizes = utils.pad_packed_sequence(packed, **options, total_length=max(lengths) + more)
        again = utils.pack_padded_sequence(back, sizes, batch_first, enforce_sorted=False)
        alone = utils.unpack_sequence(packed)
        loss = (padded * padded).sum() + (packed.data**2).sum() + (back * 3).sum() + alone[0].sum()
        loss.backward()
        return [
            padded, parts(packed), back, sizes, parts(again), alone, [t.grad for t in s],
            utils.unpad_sequence(back + 0, sizes, batch_first),  # torch's transposes what it is given  # noqa: E501
        ]  # fmt: skip

    with rnn.resolution(resolution):
        same(fn)


def test_sorted_ones():
    def fn(m):
        utils = m.nn.utils.rnn
        s = sequences(m, [4, 2, 2])
        packed = utils.pack_sequence(s)
        x = m.ones(3, 4, 2)
        return [
            parts(packed), parts(utils.pack_padded_sequence(x, [4, 3, 1], batch_first=True)),
            parts(utils.pack_padded_sequence(x, m.tensor([3, 3, 4]), True, False)),
            utils.pad_packed_sequence(packed)[1], parts(packed.double()), packed.to(m.float64).data,
            packed.is_cuda, parts(packed.cpu()), utils.invert_permutation(m.tensor([2, 0, 1])),
            utils.invert_permutation(None), parts(packed.long()), parts(packed.int()),
        ]  # fmt: skip

    same(fn)


def test_a_packed_sequence_is_a_tuple():
    packed = rnn.nn.utils.rnn.pack_sequence(sequences(rnn, [2, 1], requires_grad=False))
    data, batch_sizes, sorted_indices, unsorted_indices = packed
    assert data is packed.data and batch_sizes is packed.batch_sizes
    assert sorted_indices is None and unsorted_indices is None
    other = rnn.nn.utils.rnn.PackedSequence(data, batch_sizes)
    assert plain(parts(other)) == plain(parts(packed))


def test_recurrent_layers_take_them():
    def fn(m):
        m.manual_seed(0)
        layer, s = m.nn.GRU(2, 3), sequences(m, [3, 1, 2])
        packed = m.nn.utils.rnn.pack_sequence(s, enforce_sorted=False)
        out, last = layer(packed)
        (out.data.sum() + (last * last).sum()).backward()
        padded, sizes = m.nn.utils.rnn.pad_packed_sequence(out)

        def rounded(t):
            return [round(x, 4) for x in t.detach().flatten().tolist()]

        return [rounded(padded), sizes, rounded(last), [rounded(t.grad) for t in s]]

    same(fn)


def test_errors():
    for fn in (
        lambda u, m: u.pack_padded_sequence(m.ones(4, 2, 1), [2, 4]),
        lambda u, m: u.pack_padded_sequence(m.ones(4, 2, 1), [2, 0], enforce_sorted=False),
        lambda u, m: u.pack_padded_sequence(m.ones(4, 2, 1), [2]),
        lambda u, m: u.pad_packed_sequence(u.pack_sequence([m.ones(3, 1)]), total_length=2),
        lambda u, m: u.pad_sequence(3),
        lambda u, m: u.pad_sequence([]),
        lambda u, m: u.pad_sequence([[1, 2], [3]]),
    ):
        same(lambda m, fn=fn: fn(m.nn.utils.rnn, m), may_fail=True)
