"""Attention: scaled_dot_product_attention, and the heads around it (torch.nn.functional).

Plain and causal attention is one span, fused in C (attention.c); with masks or dropout it is the
composition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn import _dtypes
from rnn._c import E, adopt, check, lib
from rnn._shown import show_as
from rnn._warn import warn_user
from rnn.nn.functional._common import c_name, result, same_floats
from rnn.nn.functional.dropout import dropout
from rnn.nn.functional.linear import linear
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor

# ---- one head, or many that are batches ---------------------------------------------------------


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query key^T scale + mask) value (torch.nn.functional.scaled_dot_product_attention).

    Args:
        query: (*, T, D); key: (*, S, D); value: (*, S, Dv).
        attn_mask: broadcast to (*, T, S): bool (False: not seen) or float (added).
        dropout_p: the share of weights that become 0.
        is_causal: query i sees keys 0 .. i.
        scale: default 1 / sqrt(D).
        enable_gqa: each head of key and value serves several heads of query.

    Returns:
        (*, T, Dv)

    Raises:
        RuntimeError: both a mask and is_causal are given, or the shapes do not fit.

    Example:
        >>> q = rnn.ones(1, 2, 3, 4)
        >>> F.scaled_dot_product_attention(q, q, q, is_causal=True).shape
        rnn.Size([1, 2, 3, 4])
    """
    if attn_mask is not None and is_causal:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when "
            "is_causal=True"
        )
    factor = 1 / math.sqrt(query._shape[-1]) if scale is None else scale
    if enable_gqa:
        key = key.repeat_interleave(query._shape[-3] // key._shape[-3], -3)
        value = value.repeat_interleave(query._shape[-3] // value._shape[-3], -3)
    square = not is_causal or query._shape[-2] == key._shape[-2]
    if attn_mask is None and dropout_p == 0 and square:
        out = _fused(query, key, value, is_causal, factor)
        if out is not None:
            return out
    weights = _weights(query, key, attn_mask, dropout_p, is_causal, factor)
    out = weights @ value
    if dropout_p > 0 or len(query._shape) != 4:
        return out
    return show_as(out, "ScaledDotProductFlashAttentionForCpuBackward0")


def _fused(q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float) -> Tensor | None:
    """One span, for (B, H, T, D); other ranks are seen so. None: only the composition will do."""
    if not same_floats(q, k, v) or not q._shape[:-2] == k._shape[:-2] == v._shape[:-2]:
        return None
    if q._shape[-1:] != k._shape[-1:] or k._shape[-2:-1] != v._shape[-2:-1]:
        return None
    rank = len(q._shape)
    if rank == 4:
        return result(lib.rnn_attention(E, q._h, k._h, v._h, causal, scale))
    if rank < 2 or lib.rnn_resolution():
        return None
    four = [t.reshape(-1, 1, *t._shape[-2:]) for t in (q, k, v)]
    out = adopt(check(lib.rnn_attention(E, *[t._h for t in four], causal, scale)))
    return out.reshape(*q._shape[:-1], v._shape[-1])


def _weights(
    q: Tensor, k: Tensor, mask: Any, dropout_p: float, causal: bool, scale: float
) -> Tensor:
    """The softmax of the scores, each row's dropped out by dropout_p."""
    scores = (q @ k.transpose(-2, -1)) * scale
    if causal:
        mask = _core.wrap(np.tril(np.ones((q._shape[-2], k._shape[-2]), np.bool_)))
    blind = None
    if mask is not None:
        scores, blind = _masked(scores, mask)
    weights = scores.softmax(-1)
    if blind is not None:
        weights = weights.masked_fill(blind, 0.0)
    return dropout(weights, dropout_p, True) if dropout_p > 0 else weights


def _masked(scores: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
    """The scores, masked, and the rows that see no key at all: theirs stay as they are, their
    weights become 0.
    """
    values = _core.array_of(mask)
    if mask._h:
        blind = (values == -np.inf).all(-1, keepdims=True)
        if blind.any():
            mask = mask.masked_fill(_core.wrap(blind), 0.0)
        masked = scores + mask
    else:
        if values.dtype != np.bool_:
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
                f"attn_mask.dtype: {c_name(mask)} and  query.dtype: {c_name(scores)} instead."
            )
        blind = ~values.any(-1, keepdims=True)
        masked = scores.masked_fill(_core.wrap(~(values | blind)), -math.inf)
    return masked, _core.wrap(blind) if blind.any() else None


# ---- many heads, with their projections ---------------------------------------------------------


def canonical_mask(
    mask: Tensor | None,
    name: str,
    other_type: Any,
    other_name: str,
    target_type: Any,
    check_other: bool = True,
) -> Tensor | None:
    """A mask as numbers to add: True becomes -inf.

    Raises:
        AssertionError: it is neither bool nor float.
    """
    if mask is None or mask._h:
        if mask is not None and check_other and other_type not in (None, mask.dtype):
            _warn_of_types(name, other_name)
        return mask
    if mask.dtype is not _dtypes.bool_:
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if check_other and other_type not in (None, mask.dtype):
        _warn_of_types(name, other_name)
    return rnn.zeros(mask._shape, dtype=target_type).masked_fill_(mask, -math.inf)


def _warn_of_types(name: str, other_name: str) -> None:
    warn_user(
        f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both "
        "instead.",
    )


def _check_ranks(
    query: Tensor, key: Tensor, value: Tensor, padding: Any, mask: Any, heads: int
) -> bool:
    """Whether the inputs have a batch dimension.

    Raises:
        AssertionError: their numbers of dimensions do not fit.
    """
    rank = query.dim()
    if rank not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {rank}-D query tensor"
        )
    kind = f"For {'batched' if rank == 3 else 'unbatched'} ({rank}-D) `query`, expected"
    if key.dim() != rank or value.dim() != rank:
        raise AssertionError(
            f"{kind} `key` and `value` to be {rank}-D but found {key.dim()}-D and {value.dim()}-D "
            "tensors respectively"
        )
    if padding is not None and padding.dim() != rank - 1:
        raise AssertionError(
            f"{kind} `key_padding_mask` to be `None` or {rank - 1}-D but found {padding.dim()}-D "
            "tensor instead"
        )
    if mask is not None and mask.dim() not in (2, 3):
        raise AssertionError(
            f"{kind} `attn_mask` to be `None`, 2-D or 3-D but found {mask.dim()}-D tensor instead"
        )
    if mask is not None and mask.dim() == 3 and rank == 2:
        expected = (heads, query._shape[0], key._shape[0])
        if mask._shape != expected:
            raise AssertionError(
                f"Expected `attn_mask` shape to be {expected} but got {mask.shape}"
            )
    return rank == 3


def _projections(
    query: Tensor, key: Tensor, value: Tensor, packed: Any, separate: Any, bias: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """query, key and value, each times its part of the weights."""
    width = query._shape[-1]
    if separate is None and query is key and key is value:
        q, k, v = linear(query, packed, bias).chunk(3, -1)
        return q, k, v
    biases = (None, None, None) if bias is None else bias.chunk(3)
    if separate is None and key is value:
        b_kv = None if bias is None else bias[width:]
        k, v = linear(key, packed[width:], b_kv).chunk(2, -1)
        return linear(query, packed[:width], biases[0]), k, v
    weights = packed.chunk(3) if separate is None else separate
    return tuple([linear(t, w, b) for t, w, b in zip((query, key, value), weights, biases)])  # type: ignore[return-value]


def _one_more_key(t: Any, new: Tensor | None, dim: int) -> Any:
    """t with one more place in dim: `new`, or zeros."""
    if t is None:
        return None
    if new is None:
        shape = list(t._shape)
        shape[dim] = 1
        new = rnn.zeros(shape, dtype=t.dtype)
    return rnn.cat([t, new], dim)


def _mask_of_heads(
    mask: Any, padding: Any, batch: int, heads: int, queries: int, keys: int
) -> Tensor | None:
    """Both masks as one that broadcasts to (batch, heads, queries, keys).

    Raises:
        RuntimeError, AssertionError: a mask has another shape.
    """
    if mask is not None:
        expected = (queries, keys) if mask.dim() == 2 else (batch * heads, queries, keys)
        if mask._shape != expected:
            raise RuntimeError(
                f"The shape of the {mask.dim()}D attn_mask is {mask.shape}, but should be "
                f"{expected}."
            )
        if mask.dim() == 3:
            mask = mask.reshape(batch, heads, queries, keys)
    if padding is None:
        return mask
    if padding._shape[0] != batch:
        raise AssertionError(
            f"Expected key_padded_mask.shape[0] to be {batch}, but got {padding._shape[0]}"
        )
    if padding._shape[1] != keys:
        raise AssertionError(
            f"Expected key_padded_mask.shape[1] to be {keys}, but got {padding._shape[1]}"
        )
    padding = padding.reshape(batch, 1, 1, keys)
    return padding if mask is None else mask + padding


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of several heads, between its projections (Vaswani et al. 2017;
    torch.nn.functional's of this name).

    Args:
        query: (T, B, E) or (T, E); key, value: (S, B, E) or (S, E). batch_first: with B before T
            and S. key_padding_mask: (B, S): keys that no query sees; attn_mask: (T, S) or
            (B * heads, T, S): bool (True: not seen, unlike scaled_dot_product_attention's) or float
            (added).
        need_weights: give the weights too, at the price of the fused kernel.

    Returns:
        (T, B, E), and the weights (B, T, S), or (B, heads, T, S) where they are not averaged, or
        None.

    Raises:
        AssertionError, RuntimeError: as PyTorch's.

    Example:
        >>> x, eye = rnn.ones(3, 1, 4), rnn.eye(4)
        >>> out, weights = F.multi_head_attention_forward(
        ...     x, x, x, 4, 2, rnn.cat([eye, eye, eye]), None, None, None, False, 0.0, eye, None
        ... )
        >>> out.shape, weights.shape
        (rnn.Size([3, 1, 4]), rnn.Size([1, 3, 3]))
    """
    if static_k is not None or static_v is not None:
        raise NotImplementedError(
            "multi_head_attention_forward: static_k and static_v are not supported"
        )
    batched = _check_ranks(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        first = 0 if batch_first else 1
        same = query is key, key is value
        query = query.unsqueeze(first)
        key = query if same[0] else key.unsqueeze(first)
        value = key if same[1] else value.unsqueeze(first)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    width = query._shape[-1]
    _check_width(width, embed_dim_to_check, num_heads)
    _check_keys(key, value, use_separate_proj_weight, batch_first)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    is_causal = is_causal and key_padding_mask is None and not need_weights
    mask_type = None if attn_mask is None else attn_mask.dtype
    padding = canonical_mask(
        key_padding_mask, "key_padding_mask", mask_type, "attn_mask", query.dtype
    )
    mask = (
        None if is_causal else canonical_mask(attn_mask, "attn_mask", None, "", query.dtype, False)
    )
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    _check_weights(separate or (), (query, key, value), width)
    q, k, v = _projections(query, key, value, in_proj_weight, separate, in_proj_bias)
    q, k, v = [_heads(t, num_heads, batch_first) for t in (q, k, v)]
    batch, _, queries, depth = q._shape
    if k._shape[0] != batch:
        raise RuntimeError(
            f"shape '[{k._shape[2]}, {batch * num_heads}, {depth}]' is invalid for input of size "
            f"{k.numel()}"
        )
    joint = _mask_of_heads(mask, padding, batch, num_heads, queries, k._shape[2])
    if bias_k is not None and bias_v is not None:
        new = [_heads(t.expand(1, batch, width), num_heads, False) for t in (bias_k, bias_v)]
        k, v = _one_more_key(k, new[0], 2), _one_more_key(v, new[1], 2)
        joint = _one_more_key(joint, None, -1)
    if add_zero_attn:
        k, v = _one_more_key(k, None, 2), _one_more_key(v, None, 2)
        joint = _one_more_key(joint, None, -1)
    dropped = dropout_p if training else 0.0
    weights = None
    if need_weights:
        weights = _weights_of_mask(q, k, joint, dropped, 1 / math.sqrt(depth))
        out = weights @ v
    else:
        out = scaled_dot_product_attention(q, k, v, joint, dropped, is_causal)
    # in training as PyTorch lays it out, steps first: dropout draws in the order of memory
    steps_first = training or not batch_first
    made = out.permute((2, 0, 1, 3) if steps_first else (0, 2, 1, 3))
    made = linear(made.reshape(*made._shape[:2], width), out_proj_weight, out_proj_bias)
    made = made.transpose(0, 1) if batch_first and steps_first else made
    if weights is not None and average_attn_weights:
        weights = weights.mean(1)
    if not batched:
        made = made.squeeze(0 if batch_first else 1)
        weights = None if weights is None else weights.squeeze(0)
    return made, weights


def _weights_of_mask(q: Tensor, k: Tensor, mask: Any, dropout_p: float, scale: float) -> Tensor:
    """As _weights, but rows that see nothing are nan, as PyTorch has them where weights are asked
    for.
    """
    scores = (q * scale) @ k.transpose(-2, -1)
    weights: Tensor = (scores if mask is None else scores + mask).softmax(-1)
    return dropout(weights, dropout_p, True) if dropout_p > 0 else weights


def _check_width(width: int, wanted: int, heads: int) -> None:
    if width != wanted:
        raise AssertionError(f"was expecting embedding dimension of {wanted}, but got {width}")
    if width % heads:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {heads}")


def _check_weights(weights: Sequence[Tensor | None], read: Sequence[Tensor], width: int) -> None:
    for name, t, w in zip(("query", "key", "value"), read, weights):
        wanted = (width, t._shape[-1])
        if w is not None and w._shape != wanted:
            raise AssertionError(f"expecting {name} weights shape of {wanted}, but got {w.shape}")


def _check_keys(key: Tensor, value: Tensor, separate: bool, batch_first: bool) -> None:
    if batch_first:  # PyTorch says the sizes with the steps first
        key, value = key.transpose(0, 1), value.transpose(0, 1)
    if separate and key._shape[:2] != value._shape[:2]:
        raise AssertionError(
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
        )
    if not separate and key._shape != value._shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


def _heads(t: Tensor, heads: int, batch_first: bool) -> Tensor:
    """(B, T, E) or (T, B, E), seen as (B, heads, T, E / heads)."""
    split = t.unflatten(-1, (heads, -1))
    return split.transpose(1, 2) if batch_first else split.permute(1, 2, 0, 3)
