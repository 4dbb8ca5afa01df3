"""Transformers as modules (torch.nn): layers of attention and feed-forward blocks, stacks of them,
and both stacks.

(Vaswani et al. 2017; norm_first: Xiong et al. 2020.)
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn._warn import warn_user
from rnn.nn import functional as F
from rnn.nn import init
from rnn.nn.container import ModuleList
from rnn.nn.functional.attention import canonical_mask
from rnn.nn.module import Module
from rnn.nn.modules.attention import MultiheadAttention
from rnn.nn.modules.dropout import Dropout
from rnn.nn.modules.linear import Linear
from rnn.nn.modules.normalization import LayerNorm
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor

Activation = Callable[[Any], Any]


def _clones(module: Module, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(module) for _ in range(count)])


def _activation(given: Any) -> Activation:
    """A function by its name.

    Raises:
        RuntimeError: the name is neither relu nor gelu.
    """
    if not isinstance(given, str):
        return given
    if given not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {given}")
    return F.relu if given == "relu" else F.gelu


def causal_mask(size: int, device: Any = None, dtype: Any = None) -> Tensor:
    """(size, size): -inf above the diagonal, 0 elsewhere."""
    return rnn.triu(rnn.full((size, size), -rnn.inf, dtype=dtype, device=device), diagonal=1)


def _is_causal(mask: Any, given: bool | None, x: Tensor, batch_first: bool) -> bool:
    """Whether the mask is the causal one, where nobody has said so."""
    if given is not None or mask is None:
        return bool(given)
    size = None
    if x.dim() in (2, 3):
        size = x._shape[1] if x.dim() == 3 and batch_first else x._shape[0]
    values = _core.array_of(mask)
    size = mask._shape[-2] if size is None else size
    if not mask._h or values.shape[-2:] != (size, size):
        return False
    return bool((values == np.triu(np.full((size, size), -np.inf), 1)).all())


class TransformerEncoderLayer(Module):
    """Self-attention, then two Linears with an activation between them, each added to its input
    (torch.nn's of this name).

    Args:
        d_model: features of input and output; nhead: heads.
        dim_feedforward: features between the Linears.
        activation: "relu", "gelu" or a function.
        norm_first: normalise before attention and Linears, not after.

    Example:
        >>> TransformerEncoderLayer(8, 2, 16, batch_first=True)(rnn.ones(2, 5, 8)).shape
        rnn.Size([2, 5, 8])
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        where = {"device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **where
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **where)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **where)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **where)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **where)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = _activation(activation)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """(T, B, E), or (B, T, E) with batch_first, to the same. Masks: see
        MultiheadAttention.forward.
        """
        mask_type = None if src_mask is None else src_mask.dtype
        padding = canonical_mask(
            src_key_padding_mask, "src_key_padding_mask", mask_type, "src_mask", src.dtype
        )
        mask = canonical_mask(src_mask, "src_mask", None, "", src.dtype, False)
        x = src
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), mask, padding, is_causal)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(x + self._sa_block(x, mask, padding, is_causal))
        return self.norm2(x + self._ff_block(x))

    def _sa_block(self, x: Tensor, mask: Any, padding: Any, is_causal: bool) -> Tensor:
        attended = self.self_attn(
            x,
            x,
            x,
            key_padding_mask=padding,
            need_weights=False,
            attn_mask=mask,
            is_causal=is_causal,
        )
        return self.dropout1(attended[0])

    def _ff_block(self, x: Tensor) -> Tensor:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoder(Module):
    """num_layers copies of a layer, one after another (torch.nn.TransformerEncoder).

    Args:
        norm: what normalises the result.
        enable_nested_tensor: outputs at padded places are 0 where PyTorch would take its fast path:
            in eval mode, without gradients, with a padding mask and batch_first layers.

    Example:
        >>> m = TransformerEncoder(rnn.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
        >>> m(rnn.ones(2, 5, 8)).shape
        rnn.Size([2, 5, 8])
    """

    def __init__(
        self,
        encoder_layer: Any,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.use_nested_tensor = enable_nested_tensor and self._can_nest(encoder_layer)
        self.mask_check = mask_check

    @staticmethod
    def _can_nest(layer: Any) -> bool:
        if not isinstance(layer, TransformerEncoderLayer):
            return False
        why = ""
        if layer.norm_first:
            why = "encoder_layer.norm_first was True"
        elif not layer.self_attn.batch_first:
            why = (
                "encoder_layer.self_attn.batch_first was not True(use batch_first for better "
                "inference performance)"
            )
        elif layer.self_attn.in_proj_bias is None:
            why = "encoder_layer.self_attn was passed bias=False"
        elif layer.activation not in (F.relu, F.gelu):
            why = "encoder_layer.activation_relu_or_gelu was not True"
        elif layer.self_attn.num_heads % 2 == 1:
            why = "encoder_layer.self_attn.num_heads is odd"
        if why:
            warn_user(
                f"enable_nested_tensor is True, but self.use_nested_tensor is False because {why}",
            )
        return not why

    def _padded_places(self, src: Tensor, mask: Any, padding: Any) -> Tensor | None:
        """Where PyTorch's fast path leaves zeros; None: it would not be taken."""
        if not self.use_nested_tensor or self.training or mask is not None or padding is None:
            return None
        if src.dim() != 3 or padding._h:
            return None
        if rnn.is_grad_enabled() and any(
            t.requires_grad for t in (src, *self.layers[0].parameters())
        ):
            return None
        ends = _core.array_of(padding)
        if (
            self.mask_check and (ends[:, :-1] & ~ends[:, 1:]).any()
        ):  # padding is not at the end alone
            return None
        return padding.unsqueeze(-1)

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """The source through all layers. is_causal: default: what the mask looks like."""
        zeros = self._padded_places(src, mask, src_key_padding_mask)
        mask_type = None if mask is None else mask.dtype
        padding = canonical_mask(
            src_key_padding_mask, "src_key_padding_mask", mask_type, "mask", src.dtype
        )
        mask = canonical_mask(mask, "mask", None, "", src.dtype, False)
        batch_first = self.layers[0].self_attn.batch_first
        causal = _is_causal(mask, is_causal, src, batch_first)
        output = src
        for layer in self.layers:
            output = layer(output, src_mask=mask, is_causal=causal, src_key_padding_mask=padding)
        if zeros is not None:
            output = output.masked_fill(zeros, 0.0)
        return output if self.norm is None else self.norm(output)


class TransformerDecoderLayer(Module):
    """Self-attention, attention to the encoder's output, then two Linears
    (torch.nn.TransformerDecoderLayer).

    Arguments: TransformerEncoderLayer's.

    Example:
        >>> TransformerDecoderLayer(8, 2, 16)(rnn.ones(3, 1, 8), rnn.ones(5, 1, 8)).shape
        rnn.Size([3, 1, 8])
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        where = {"device": device, "dtype": dtype}
        attention = {"dropout": dropout, "batch_first": batch_first, "bias": bias, **where}
        self.self_attn = MultiheadAttention(d_model, nhead, **attention)
        self.multihead_attn = MultiheadAttention(d_model, nhead, **attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **where)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **where)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **where)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **where)
        self.norm3 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **where)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = _activation(activation)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The target, which looks at itself and at the encoder's output."""
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory_mask, memory_key_padding_mask, memory_is_causal)
        x = tgt
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), *own)
            x = x + self._mha_block(self.norm2(x), memory, *other)
            return x + self._ff_block(self.norm3(x))
        x = self.norm1(x + self._sa_block(x, *own))
        x = self.norm2(x + self._mha_block(x, memory, *other))
        return self.norm3(x + self._ff_block(x))

    def _sa_block(self, x: Tensor, mask: Any, padding: Any, is_causal: bool) -> Tensor:
        attended = self.self_attn(
            x,
            x,
            x,
            key_padding_mask=padding,
            need_weights=False,
            attn_mask=mask,
            is_causal=is_causal,
        )
        return self.dropout1(attended[0])

    def _mha_block(
        self, x: Tensor, mem: Tensor, mask: Any, padding: Any, is_causal: bool
    ) -> Tensor:
        attended = self.multihead_attn(
            x,
            mem,
            mem,
            key_padding_mask=padding,
            need_weights=False,
            attn_mask=mask,
            is_causal=is_causal,
        )
        return self.dropout2(attended[0])

    def _ff_block(self, x: Tensor) -> Tensor:
        return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerDecoder(Module):
    """num_layers copies of a layer, one after another (torch.nn.TransformerDecoder).

    Example:
        >>> m = TransformerDecoder(rnn.nn.TransformerDecoderLayer(8, 2, 16), 2)
        >>> m(rnn.ones(3, 1, 8), rnn.ones(5, 1, 8)).shape
        rnn.Size([3, 1, 8])
    """

    def __init__(self, decoder_layer: Any, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The target through all layers. tgt_is_causal: default: what the mask looks like."""
        causal = _is_causal(tgt_mask, tgt_is_causal, tgt, self.layers[0].self_attn.batch_first)
        output = tgt
        for layer in self.layers:
            output = layer(
                output,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=causal,
                memory_is_causal=memory_is_causal,
            )
        return output if self.norm is None else self.norm(output)


class Transformer(Module):
    """An encoder and a decoder (torch.nn.Transformer).

    Args:
        custom_encoder, custom_decoder: instead of the usual stacks; the others are
        TransformerEncoderLayer's.

    Shape:
        src (S, B, E), tgt (T, B, E) -> (T, B, E), without B, or with B first (batch_first).

    Raises:
        RuntimeError: batches or features of src and tgt differ.

    Example:
        >>> m = Transformer(8, 2, 1, 1, dim_feedforward=16, batch_first=True)
        >>> m(rnn.ones(2, 5, 8), rnn.ones(2, 3, 8)).shape
        rnn.Size([2, 3, 8])
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        where = {"device": device, "dtype": dtype}
        layer = (
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            device,
            dtype,
        )
        if custom_encoder is not None:
            self.encoder = custom_encoder
        else:
            encoder_layer = TransformerEncoderLayer(*layer)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **where)
            self.encoder = TransformerEncoder(encoder_layer, num_encoder_layers, norm)
        if custom_decoder is not None:
            self.decoder = custom_decoder
        else:
            decoder_layer = TransformerDecoderLayer(*layer)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **where)
            self.decoder = TransformerDecoder(decoder_layer, num_decoder_layers, norm)
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        for parameter in self.parameters():
            if parameter.dim() > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The target, decoded over the encoded source.

        Raises:
            RuntimeError: their batches differ, or their features are not d_model.
        """
        batch = 0 if self.batch_first else 1
        if src.dim() == 3 and src.size(batch) != tgt.size(batch):
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src.size(-1) != self.d_model or tgt.size(-1) != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """The causal mask: -inf above the diagonal, 0 elsewhere."""
        return causal_mask(sz, device, dtype)
