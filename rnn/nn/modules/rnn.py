"""Recurrent layers as modules (torch.nn): RNN, LSTM, GRU, and one step of each as RNNCell,
LSTMCell, GRUCell.

A layer in one direction is two spans, whatever its number of steps: see
nn/functional/_recurrent.py.
"""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn._shown import show_as
from rnn._warn import warn_user
from rnn.nn import init
from rnn.nn.functional import _recurrent as steps
from rnn.nn.functional.dropout import dropout as drop
from rnn.nn.functional.linear import linear
from rnn.nn.module import Module
from rnn.nn.parameter import Parameter
from rnn.nn.utils.rnn import PackedSequence
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class _Packing:
    """Where the rows of a packed sequence lie."""

    def __init__(self, sizes: Any) -> None:
        counts = _core.array_of(sizes)
        self.sizes: list[int] = counts.tolist()
        starts = np.concatenate([[0], np.cumsum(counts)])
        lengths = (counts[None, :] > np.arange(counts[0])[:, None]).sum(1)
        rows = np.arange(counts[0])
        self.last = _core.wrap(starts[lengths - 1] + rows)  # each sequence's last row
        steps = np.repeat(np.arange(len(counts)), counts)
        at = np.arange(starts[-1]) - starts[steps]
        self.backwards = _core.wrap(starts[lengths[at] - 1 - steps] + at)  # its own inverse


class RNNBase(Module):
    """What RNN, LSTM and GRU share.

    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, the same with _reverse for the way back,
    then those of l1, ...; (gates * hidden_size, ...), all even within 1 / sqrt(hidden_size)

    Args:
        mode: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
        input_size: features of the input; hidden_size: of the state.
        num_layers: layers, each taking the states of the one before.
        batch_first: input and output are (B, T, features), not (T, B, features).
        dropout: of each layer's states but the last's, in training.
        bidirectional: also from the last step to the first; the states are joined.
        proj_size: LSTM: project the state to this size.

    Raises:
        ValueError, TypeError: an argument does not fit.

    Example:
        >>> m = RNNBase("LSTM", 3, 5, bidirectional=True)
        >>> m.weight_ih_l0_reverse.shape
        rnn.Size([20, 3])
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_arguments(dropout)
        self._all_weights: list[list[str]] = []
        state = proj_size or hidden_size
        gates = _GATES[mode] * hidden_size
        for layer in range(num_layers):
            features = input_size if layer == 0 else state * self._directions
            for suffix in ("", "_reverse")[: self._directions]:
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (gates, features),
                    "weight_hh": (gates, state),
                }
                if bias:
                    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                names = []
                for name, shape in shapes.items():
                    names.append(f"{name}_l{layer}{suffix}")
                    parameter = Parameter(rnn.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(names[-1], parameter)
                self._all_weights.append(names)
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _check_arguments(self, dropout: Any) -> None:
        is_number = isinstance(dropout, numbers.Number) and not isinstance(dropout, bool)
        if not is_number or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an "
                "element being zeroed"
            )
        if dropout > 0 and self.num_layers == 1:
            warn_user(
                "dropout option adds dropout after all but last recurrent layer, so non-zero "
                "dropout expects num_layers "
                f"greater than 1, but got dropout={dropout} and num_layers={self.num_layers}",
            )
        for name, kind in (
            ("bias", bool),
            ("batch_first", bool),
            ("input_size", int),
            ("hidden_size", int),
        ):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(
                    f"{name} should be of type {kind.__name__}, got: {type(value).__name__}"
                )
        for name in ("input_size", "hidden_size", "num_layers"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if self.proj_size < 0:
            raise ValueError(
                "proj_size should be a positive integer or zero to disable projections"
            )
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if self.mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + self.mode)

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: PyTorch's preparation for GPUs."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters, layer by layer."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    # ---- what comes in ---------------------------------------------------------------------------

    def _check_input(self, input: Tensor, dims: int) -> None:
        weight = getattr(self, self._all_weights[0][0])
        if input.dtype is not weight.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
                "Convert input: "
                f"input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        if input.dim() != dims:
            raise RuntimeError(f"input must have {dims} dimensions, got {input.dim()}")
        if self.input_size != input._shape[-1]:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got "
                f"{input._shape[-1]}"
            )

    def _check_state(self, state: Any, size: int, batch: int, name: str) -> None:
        expected = (self.num_layers * self._directions, batch, size)
        if state is not None and state._shape != expected:
            raise RuntimeError(f"Expected {name} size {expected}, got {list(state._shape)}")

    def _check_rank_of_state(self, state: Any, batched: bool) -> None:
        dims = 3 if batched else 2
        if state is not None and state.dim() != dims:
            kind = "batched 3-D" if batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {kind} input, hx should also be {dims}-D but got {state.dim()}-D tensor"
            )

    # ---- from layer to layer ---------------------------------------------------------------------

    def _run(self, input: Any, h: Any, c: Any) -> tuple[Any, Tensor, Any]:
        """The last layer's states, and the last states of all layers: h, and c of an LSTM."""
        packed = isinstance(input, PackedSequence)
        x = input.data if packed else input
        batched = packed or x.dim() == 3
        if not packed and x.dim() not in (2, 3):
            kind = "RNN" if self.mode.startswith("RNN") else self.mode
            more = " tensor" if kind == "RNN" else ""
            raise ValueError(f"{kind}: Expected input to be 2D or 3D, got {x.dim()}D{more} instead")
        if not packed:
            self._check_ranks(h, c, batched)
            if not batched:
                x = x.unsqueeze(0 if self.batch_first else 1)
                h, c = (t if t is None else t.unsqueeze(1) for t in (h, c))
        packing = _Packing(input.batch_sizes) if packed else None
        batch = packing.sizes[0] if packing else x._shape[0 if self.batch_first else 1]
        if packed and input.sorted_indices is not None:
            h, c = (t if t is None else t.index_select(1, input.sorted_indices) for t in (h, c))
        self._check_input(x, 2 if packed else 3)
        self._check_states(h, c, batch)
        if not packed and not x._shape[1 if self.batch_first else 0]:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        last_h: Any
        out, last_h, last_c = self._layers(x, h, c, packing)
        if packed:
            out = input._with(out)
            if input.unsorted_indices is not None:
                last_h, last_c = (
                    t if t is None else t.index_select(1, input.unsorted_indices)
                    for t in (last_h, last_c)
                )
            return out, last_h, last_c
        if self.batch_first:
            out = out.transpose(0, 1)
        if not batched:
            out = out.squeeze(0 if self.batch_first else 1)
            last_h, last_c = (t if t is None else t.squeeze(1) for t in (last_h, last_c))
        return out, last_h, last_c

    def _check_ranks(self, h: Any, c: Any, batched: bool) -> None:
        self._check_rank_of_state(h, batched)

    def _check_states(self, h: Any, c: Any, batch: int) -> None:
        self._check_state(h, self.hidden_size, batch, "hidden")

    def _layers(
        self, x: Tensor, h: Any, c: Any, packing: _Packing | None
    ) -> tuple[Tensor, Tensor, Any]:
        last_h: list[Tensor] = []
        last_c: list[Tensor] = []
        swapped = self.batch_first and packing is None
        for layer in range(self.num_layers):
            outs = []
            for direction in range(self._directions):
                at = layer * self._directions + direction
                h0, c0 = (t if t is None else t.select(0, at) for t in (h, c))
                outs.append(self._one(at, x, h0, c0, packing, swapped, last_h, last_c))
            x = outs[0] if len(outs) == 1 else rnn.cat(outs, -1)
            swapped = False
            if self.dropout and self.training and layer < self.num_layers - 1:
                x = drop(x, self.dropout, True)
        if self.mode == "LSTM":
            x = x.contiguous()
        return x, rnn.stack(last_h), rnn.stack(last_c) if last_c else None

    def _one(
        self,
        at: int,
        x: Tensor,
        h0: Any,
        c0: Any,
        packing: _Packing | None,
        swapped: bool,
        last_h: list[Tensor],
        last_c: list[Tensor],
    ) -> Tensor:
        """One layer in one direction: all its states, in the order of the steps. The last ones go
        to the lists.
        """
        reverse = at % self._directions == 1
        names = self._all_weights[at]
        weights = [getattr(self, name) for name in names]
        if self.proj_size:
            return self._projected(x, weights, h0, c0, packing, swapped, reverse, last_h, last_c)
        four = (*weights[:2], *(weights[2:4] if self.bias else (None, None)))
        sizes = None if packing is None else packing.sizes
        if packing is not None and reverse:
            x = x.index_select(0, packing.backwards)
        made = steps.layer(
            steps.OPS[self.mode], x, four, h0, c0, reverse and packing is None, sizes, swapped
        )
        h = made
        if self.mode == "LSTM":
            h, c = made.select(-2, 1), made.select(-2, 0)
            last_c.append(c.select(0, -1) if packing is None else c.index_select(0, packing.last))
        last_h.append(h.select(0, -1) if packing is None else h.index_select(0, packing.last))
        if not reverse:
            return h
        return h.flip(0) if packing is None else h.index_select(0, packing.backwards)

    def _projected(
        self,
        x: Tensor,
        weights: list[Tensor],
        h: Any,
        c: Any,
        packing: _Packing | None,
        swapped: bool,
        reverse: bool,
        last_h: list[Tensor],
        last_c: list[Tensor],
    ) -> Tensor:
        """An LSTM whose state is projected, step by step (Sak et al. 2014)."""
        b_ih, b_hh = weights[2:4] if self.bias else (None, None)
        if packing is not None and reverse:
            x = x.index_select(0, packing.backwards)
        sums = linear(x, weights[0], b_ih)
        if packing is None:
            rows = list((sums.transpose(0, 1) if swapped else sums).unbind(0))
            rows = rows[::-1] if reverse else rows
        else:
            rows = list(sums.split(packing.sizes))
        batch = rows[0]._shape[0]
        h = rnn.zeros(batch, self.proj_size, dtype=x.dtype) if h is None else h
        c = rnn.zeros(batch, self.hidden_size, dtype=x.dtype) if c is None else c
        all_h, all_c = [], []
        for row in rows:
            n = row._shape[0]
            h, c = steps.lstm_step(row + linear(h[:n], weights[1], b_hh), c[:n])
            h = linear(h, weights[-1])
            all_h.append(h)
            all_c.append(c)
        if packing is None:
            last_h.append(h)
            last_c.append(c)
            return rnn.stack(all_h[::-1] if reverse else all_h)
        made = rnn.cat(all_h)
        last_h.append(made.index_select(0, packing.last))
        last_c.append(rnn.cat(all_c).index_select(0, packing.last))
        return made.index_select(0, packing.backwards) if reverse else made

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size != 0:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            text += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            text += f", bidirectional={self.bidirectional}"
        return text


class RNN(RNNBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu (Elman 1990; torch.nn.RNN).

    Args:
        nonlinearity: "tanh" or "relu"; the others are RNNBase's.

    Shape:
        (T, B, I) or (T, I), and h (D * layers, B, H) -> (T, B, D * H), and h; D: 2 if
        bidirectional, else 1.

    Raises:
        ValueError, TypeError, RuntimeError: an argument, or a shape, does not fit.

    Example:
        >>> out, h = RNN(3, 5)(rnn.ones(7, 2, 3))
        >>> out.shape, h.shape
        (rnn.Size([7, 2, 5]), rnn.Size([1, 2, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        nonlinearity = args[3] if len(args) > 3 else kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(f"RNN_{nonlinearity.upper()}", *args[:3], *args[4:], **kwargs)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """All states of the last layer, and the last state of every layer.

        Args:
            input: (T, B, I), (B, T, I) if batch_first, (T, I), or a PackedSequence.
            hx: (layers * directions, B, H); default zeros.
        """
        out, h, _ = self._run(input, hx, None)
        return out, h


class GRU(RNNBase):
    """h' = (1 - z) n + z h, n = tanh(.. + r (..)) (Cho et al. 2014; torch.nn.GRU). Arguments:
    RNNBase's.

    Shape:
        (T, B, I) or (T, I), and h (D * layers, B, H) -> (T, B, D * H), and h; D: 2 if
        bidirectional, else 1.

    Raises:
        ValueError, TypeError, RuntimeError: an argument, or a shape, does not fit.

    Example:
        >>> out, h = GRU(3, 5)(rnn.ones(7, 2, 3))
        >>> out.shape, h.shape
        (rnn.Size([7, 2, 5]), rnn.Size([1, 2, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """All states of the last layer, and the last state of every layer. See RNN.forward."""
        out, h, _ = self._run(input, hx, None)
        return out, h


class LSTM(RNNBase):
    """c' = f c + i g, h' = o tanh(c') (Hochreiter and Schmidhuber 1997; torch.nn.LSTM). Arguments:
    RNNBase's.

    Shape:
        (T, B, I) or (T, I), and h (D * layers, B, O), c (D * layers, B, H) -> (T, B, D * O), and
        h and c; D: 2 if bidirectional, else 1; O: proj_size, or H.

    Raises:
        ValueError, TypeError, RuntimeError: an argument, or a shape, does not fit.

    Example:
        >>> out, (h, c) = LSTM(3, 5, num_layers=2)(rnn.ones(7, 2, 3))
        >>> out.shape, h.shape, c.shape
        (rnn.Size([7, 2, 5]), rnn.Size([2, 2, 5]), rnn.Size([2, 2, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def _check_ranks(self, h: Any, c: Any, batched: bool) -> None:
        dims = 3 if batched else 2
        if h is not None and (h.dim() != dims or c.dim() != dims):
            kind = "batched 3-D" if batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {dims}-D but got ({h.dim()}-D, "
                f"{c.dim()}-D) tensors"
            )

    def _check_states(self, h: Any, c: Any, batch: int) -> None:
        self._check_state(h, self.proj_size or self.hidden_size, batch, "hidden[0]")
        self._check_state(c, self.hidden_size, batch, "hidden[1]")

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, tuple[Tensor, Tensor]]:
        """All h of the last layer, and the last (h, c) of every layer.

        Args:
            input: (T, B, I), (B, T, I) if batch_first, (T, I), or a PackedSequence.
            hx: (h, c), each (layers * directions, B, H); default zeros.
        """
        h, c = (None, None) if hx is None else (hx[0], hx[1])
        out, h, c = self._run(input, h, c)
        return out, (h, c)


# ---- one step -----------------------------------------------------------------------------------


class RNNCellBase(Module):
    """What the cells share: weight_ih (gates * H, I), weight_hh (gates * H, H), bias_ih, bias_hh
    (gates * H,), or None.

    Example:
        >>> RNNCellBase(3, 5, bias=True, num_chunks=4).weight_ih.shape
        rnn.Size([20, 3])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        for name, shape in (
            ("weight_ih", (gates, input_size)),
            ("weight_hh", (gates, hidden_size)),
            ("bias_ih", (gates,)),
            ("bias_hh", (gates,)),
        ):
            parameter = None
            if bias or name.startswith("weight"):
                parameter = Parameter(rnn.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name, parameter)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, mode: str, input: Tensor, h: Any, c: Any = None) -> Tensor:
        """The states after a step: a layer of one step."""
        if input.dim() not in (1, 2):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 1D or 2D, got {input.dim()}D instead"
            )
        single = input.dim() == 1
        x = input.unsqueeze(0)
        if single:
            x = x.unsqueeze(0)
            h, c = (t if t is None else t.unsqueeze(0) for t in (h, c))
        self._check_sizes(x, h, c)
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        made = steps.layer(steps.OPS[mode], x, weights, h, c)
        return made.squeeze((0, 1)) if single else made.squeeze(0)

    def _check_sizes(self, x: Tensor, h: Any, c: Any) -> None:
        if x._shape[-1] != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {x._shape[-1]} expected {self.input_size}"
            )
        for at, t in enumerate((h, c)):
            if t is None:
                continue
            if t._shape[0] != x._shape[1]:
                raise RuntimeError(
                    f"Input batch size {x._shape[1]} doesn't match hidden{at} batch size "
                    f"{t._shape[0]}"
                )
            if t._shape[1] != self.hidden_size:
                raise RuntimeError(
                    f"hidden{at} has inconsistent hidden_size: got {t._shape[1]}, expected "
                    f"{self.hidden_size}"
                )

    def _check_state(self, h: Any) -> None:
        if h is not None and h.dim() not in (1, 2):
            raise ValueError(
                f"{type(self).__name__}: Expected hidden to be 1D or 2D, got {h.dim()}D instead"
            )

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.__dict__.get("nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu (torch.nn.RNNCell): (B, I), (B, H) -> (B,
    H).

    Raises:
        ValueError, RuntimeError: a shape does not fit.

    Example:
        >>> RNNCell(3, 5)(rnn.ones(2, 3)).shape
        rnn.Size([2, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        self._check_state(hx)
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        made = self._step(f"RNN_{self.nonlinearity.upper()}", input, hx)
        return show_as(made, f"{self.nonlinearity.capitalize()}Backward0")


class GRUCell(RNNCellBase):
    """A step of a GRU (torch.nn.GRUCell): (B, I), (B, H) -> (B, H).

    Raises:
        ValueError, RuntimeError: a shape does not fit.

    Example:
        >>> GRUCell(3, 5)(rnn.ones(2, 3)).shape
        rnn.Size([2, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        self._check_state(hx)
        return show_as(self._step("GRU", input, hx), "AddBackward0")


class LSTMCell(RNNCellBase):
    """A step of an LSTM (torch.nn.LSTMCell): (B, I), ((B, H), (B, H)) -> ((B, H), (B, H)).

    Raises:
        ValueError, RuntimeError: a shape does not fit.

    Example:
        >>> h, c = LSTMCell(3, 5)(rnn.ones(2, 3))
        >>> h.shape, c.shape
        (rnn.Size([2, 5]), rnn.Size([2, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Tensor]:
        h, c = (None, None) if hx is None else hx
        for at, t in enumerate((h, c)):
            if t is not None and t.dim() not in (1, 2):
                raise ValueError(
                    f"LSTMCell: Expected hx[{at}] to be 1D or 2D, got {t.dim()}D instead"
                )
        made = self._step("LSTM", input, h, c)
        return made.select(-2, 1), made.select(-2, 0)
