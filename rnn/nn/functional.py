"""The functions behind the layers (torch.nn.functional): linear maps, embeddings, normalisation, attention, losses.

Each has PyTorch's name, arguments and errors. Where C has a fused kernel it is one span; its scalar resolution is the
composition written beside it (`_compose_...`), in additions, multiplications, powers, exponentials and logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn import _c
from rnn._c import COMPOSE, E, adopt, check, fail, ffi, lib
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss",
    "cosine_similarity", "cross_entropy", "embedding", "gaussian_nll_loss", "hinge_embedding_loss",
    "huber_loss", "kl_div", "l1_loss", "layer_norm", "linear", "margin_ranking_loss", "mse_loss",
    "nll_loss", "normalize", "pairwise_distance", "poisson_nll_loss", "rms_norm",
    "scaled_dot_product_attention", "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss",
]


def _result(h: int) -> Tensor | None:
    """The tensor of a handle; None where scalar resolution asks for the composition."""
    if h > 0:
        return adopt(h)  # type: ignore[no-any-return]
    return None if h == COMPOSE else fail(h)


def _same_dtype(*tensors: Any) -> bool:
    first = tensors[0]._h and lib.rnn_dtype(tensors[0]._h)
    return all(t is None or (t._h and lib.rnn_dtype(t._h) == first) for t in tensors)


# ---- linear maps ----------------------------------------------------------------------------------


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias (torch.nn.functional.linear).

    Args:
        input: (*, K); weight: (N, K) or (K,); bias: (N,) or ().

    Returns:
        (*, N)

    Raises:
        RuntimeError: the shapes or dtypes do not fit.
    """
    if weight._h and input._h and (bias is None or bias._h) and len(weight._shape) == 2:
        code = lib.rnn_linear(E, input._h, weight._h, 0 if bias is None else bias._h, 1)
        if code > 0:
            return adopt(code)  # type: ignore[no-any-return]
        if code != COMPOSE:
            fail(code)
    product = input @ weight.t()
    return product if bias is None else product + bias


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input1^T weight[n] input2 + bias for each n (torch.nn.functional.bilinear): (*, I), (*, J), (N, I, J) -> (*, N)."""
    n, i, j = weight._shape
    if input1._shape[-1] != i or input2._shape[-1] != j:
        raise RuntimeError(
            f"bilinear(): input sizes {list(input1._shape)} and {list(input2._shape)} do not match weight "
            f"{list(weight._shape)}"
        )
    outer = input1.unsqueeze(-1) * input2.unsqueeze(-2)
    out = outer.reshape(*input1._shape[:-1], i * j) @ weight.reshape(n, i * j).t()
    return out if bias is None else out + bias


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of weight picked by integer indices (torch.nn.functional.embedding): (*), (V, D) -> (*, D).

    Rows picked by padding_idx pass no gradient back. scale_grad_by_freq, sparse and max_norm are not supported.

    Raises:
        IndexError: an index is outside the table.
        RuntimeError: the indices are not integers.
    """
    if input._h or input._array.dtype == np.bool_:
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{input.dtype} instead (while checking arguments for embedding)"
        )
    if max_norm is not None or scale_grad_by_freq or sparse:
        raise NotImplementedError("embedding: max_norm, scale_grad_by_freq and sparse are not supported")
    rows, width = weight._shape
    index = np.ascontiguousarray(input._array, np.int64)
    if index.size and (index.min() < 0 or index.max() >= rows):
        raise IndexError("index out of range in self")
    out = _gather_rows(weight, index, width)
    if padding_idx is not None and weight.requires_grad and rnn.is_grad_enabled():
        padding_idx = padding_idx + rows if padding_idx < 0 else padding_idx
        out = rnn.where(_core.wrap((index == padding_idx)[..., None]), out.detach(), out)
    return out


def _gather_rows(table: Tensor, index: Any, width: int) -> Tensor:
    shape = index.shape + (width,)
    pointer = ffi.cast("int64_t *", index.ctypes.data)
    h = lib.rnn_gather(E, table._h, pointer, index.size, width, len(shape), _c.dims(shape))
    return adopt(h) if h > 0 else fail(h)


# ---- normalisation --------------------------------------------------------------------------------


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises over the last dimensions to mean 0 and variance 1, then weight and bias (Ba et al. 2016;
    torch.nn.functional.layer_norm).

    Raises:
        RuntimeError: normalized_shape is not the end of the input's shape.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or tuple(input._shape[len(input._shape) - len(shape) :]) != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but "
            f"got input of size{list(input._shape)}"
        )
    out = _result(
        lib.rnn_layer_norm(
            E, input._h, len(shape), weight._h if weight is not None else 0,
            bias._h if bias is not None else 0, eps,
        )
    )
    return _compose_layer_norm(input, shape, weight, bias, eps) if out is None else out


def _compose_layer_norm(x: Tensor, shape: Any, weight: Any, bias: Any, eps: float) -> Tensor:
    dims = tuple(range(-len(shape), 0))
    centred = x - x.mean(dims, keepdim=True)
    out = centred * ((centred * centred).mean(dims, keepdim=True) + eps) ** -0.5
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """input / sqrt(mean(input^2) + eps) * weight over the last dimensions (torch.nn.functional.rms_norm)."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if eps is None:
        eps = rnn.finfo(input.dtype).eps
    scale = ((input * input).mean(tuple(range(-len(shape), 0)), keepdim=True) + eps).rsqrt()
    out = input * scale
    return out if weight is None else out * weight


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """input / max(its p-norm over dim, eps) (torch.nn.functional.normalize)."""
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps)


# ---- attention ------------------------------------------------------------------------------------


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
        attn_mask: (T, S) or broadcast to it: bool (False: not seen) or float (added).
        is_causal: query i sees keys 0 .. i.
        scale: default 1 / sqrt(D).

    Returns:
        (*, T, Dv)

    Raises:
        RuntimeError: both a mask and is_causal are given, or the shapes do not fit.
    """
    if attn_mask is not None and is_causal:
        raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    factor = 1 / math.sqrt(query._shape[-1]) if scale is None else scale
    if enable_gqa:
        key = key.repeat_interleave(query._shape[-3] // key._shape[-3], -3)
        value = value.repeat_interleave(query._shape[-3] // value._shape[-3], -3)
    square = not is_causal or query._shape[-2] == key._shape[-2]
    if attn_mask is None and dropout_p == 0 and square:
        out = _fused_attention(query, key, value, is_causal, factor)
        if out is not None:
            return out
    return _compose_attention(query, key, value, attn_mask, dropout_p, is_causal, factor)


def _fused_attention(q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float) -> Tensor | None:
    """One span, for (B, H, T, D); other ranks are seen so. None at scalar resolution or where batches broadcast."""
    if not _same_dtype(q, k, v) or not q._h or q._shape[:-2] != k._shape[:-2] or k._shape[:-2] != v._shape[:-2]:
        return None
    rank = len(q._shape)
    if rank < 2 or rank == 4:
        return _result(lib.rnn_attention(E, q._h, k._h, v._h, causal, scale)) if rank == 4 else None
    if lib.rnn_resolution():
        return None
    four = [t.reshape(-1, 1, *t._shape[-2:]) for t in (q, k, v)]
    out = adopt(check(lib.rnn_attention(E, four[0]._h, four[1]._h, four[2]._h, causal, scale)))
    return out.reshape(*q._shape[:-1], v._shape[-1])  # type: ignore[no-any-return]


def _compose_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Any, dropout_p: float, causal: bool, scale: float
) -> Tensor:
    scores = (q @ k.transpose(-2, -1)) * scale
    if causal:
        mask = _core.wrap(np.tril(np.ones((q._shape[-2], k._shape[-2]), np.bool_)))
    if mask is not None and not mask._h:
        scores = scores.masked_fill(mask.logical_not(), -math.inf)
    elif mask is not None:
        scores = scores + mask
    weights = scores.softmax(-1)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p, True)
    return weights @ v


# ---- losses ---------------------------------------------------------------------------------------


def _reduction(reduction: str, size_average: Any = None, reduce: Any = None) -> str:
    if size_average is not None or reduce is not None:
        whole, mean = reduce is None or reduce, size_average is None or size_average
        reduction = "none" if not whole else "mean" if mean else "sum"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def _reduce(loss: Tensor, reduction: str) -> Tensor:
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input) at the target class (torch.nn.functional.cross_entropy).

    Args:
        input: logits (C,), (N, C) or (N, C, d1, ...).
        target: class indices (), (N,), (N, d1, ...), or class probabilities of the input's shape.
        weight: (C,): a factor for each class.
        ignore_index: a target that counts for nothing.
        reduction: "mean" (over the weights of the targets that count), "sum" or "none".
        label_smoothing: how much of each target is spread over all classes, 0 to 1.

    Raises:
        ValueError, RuntimeError, IndexError: as PyTorch's, where shapes, dtypes or indices do not fit.
    """
    reduction = _reduction(reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if target._h:
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    if input._h and len(input._shape) in (1, 2) and weight is None and label_smoothing == 0.0:
        fused = _fused_cross_entropy(input, target, ignore_index, reduction)
        if fused is not None:
            return fused
    dim = 0 if len(input._shape) == 1 else 1
    logs = input.log_softmax(dim)
    if label_smoothing == 0.0:
        return nll_loss(logs, target, weight, None, ignore_index, None, reduction)
    return _smoothed_cross_entropy(logs, target, weight, ignore_index, reduction, label_smoothing, dim)


_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


def _fused_cross_entropy(input: Tensor, target: Tensor, ignore_index: int, reduction: str) -> Tensor | None:
    _check_target(input, target)
    classes = target._array
    if classes.dtype != np.int64 or not classes.flags.c_contiguous:
        classes = np.ascontiguousarray(classes, np.int64)
    logits = input if len(input._shape) == 2 else input.unsqueeze(0)
    pointer = ffi.cast("int64_t *", classes.ctypes.data)
    out = _result(lib.rnn_cross_entropy(E, logits._h, pointer, ignore_index, _REDUCTIONS[reduction]))
    return out.reshape(()) if out is not None and len(input._shape) == 1 and reduction == "none" else out


def _check_target(input: Tensor, target: Tensor) -> None:
    """Class indices must be integers of the input's shape without its class dimension."""
    shape = input._shape[:0] if len(input._shape) == 1 else input._shape[:1] + input._shape[2:]
    if target._h or target._array.dtype == np.bool_:
        raise RuntimeError(f"expected scalar type Long but found {target.dtype.tensor_type.removesuffix('Tensor')}")
    if not input._shape:
        raise ValueError("Expected input batch_size (1) to match target batch_size (1): the input has no dimension")
    if target._shape != shape:
        if shape[:1] != target._shape[:1] and len(input._shape) > 1:
            raise ValueError(
                f"Expected input batch_size ({input._shape[0]}) to match target batch_size "
                f"({target._shape[0] if target._shape else 1})."
            )
        raise RuntimeError(f"Expected target size {list(shape)}, got {list(target._shape)}")


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability at the target class (torch.nn.functional.nll_loss); shapes as cross_entropy's."""
    reduction = _reduction(reduction, size_average, reduce)
    _check_target(input, target)
    dim = 0 if len(input._shape) == 1 else 1
    classes = target._array.astype(np.int64)
    ignored = classes == ignore_index
    picked = np.where(ignored, 0, classes)
    wrong = (picked < 0) | (picked >= input._shape[dim])
    if wrong.any():
        raise IndexError(f"Target {picked[wrong].flat[0]} is out of bounds.")
    losses = -input.gather(dim, _core.wrap(np.expand_dims(picked, dim))).squeeze(dim)
    factors = _core.nodes((~ignored).astype(_core.array_of(input).dtype))
    if weight is not None:
        factors = weight[_core.wrap(picked)] * factors
    losses = rnn.where(_core.wrap(ignored), 0.0, losses * factors) if ignored.any() or weight is not None else losses
    if reduction != "mean":
        return _reduce(losses, reduction)
    return losses.sum() / factors.sum()


def _smoothed_cross_entropy(
    logs: Tensor, target: Tensor, weight: Any, ignore_index: int, reduction: str, smoothing: float, dim: int
) -> Tensor:
    """(1 - s) nll + s / C times the sum over classes, weighted by class; averaged as the hard loss is."""
    hard = nll_loss(logs, target, weight, None, ignore_index, None, "sum" if reduction == "mean" else reduction)
    count = logs._shape[dim]
    shape = [1] * len(logs._shape)
    shape[dim] = count
    each = -(logs if weight is None else logs * weight.reshape(shape)).sum(dim)
    ignored = target._array == ignore_index
    each = rnn.where(_core.wrap(ignored), 0.0, each)
    soft = each if reduction == "none" else each.sum()
    total: Any = 1.0
    if reduction == "mean":
        kept = target._array[~ignored]
        total = float(len(kept)) if weight is None else weight[_core.wrap(kept)].sum()
    return (hard * (1 - smoothing) + soft * (smoothing / count)) / total


def _soft_cross_entropy(input: Tensor, target: Tensor, weight: Any, reduction: str, smoothing: float) -> Tensor:
    """Targets that are class probabilities."""
    if input._shape != target._shape:
        raise ValueError(
            f"Expected floating point type for target with class probabilities to have the input's shape "
            f"{list(input._shape)}, got {list(target._shape)}"
        )
    dim = 0 if len(input._shape) == 1 else 1
    count = input._shape[dim]
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / count
    product = input.log_softmax(dim) * target
    if weight is not None:
        shape = [1] * len(input._shape)
        shape[dim] = count
        product = product * weight.reshape(shape)
    losses = -product.sum(dim)
    if reduction == "mean":
        return losses.sum() / max(losses.numel(), 1)
    return _reduce(losses, reduction)


def _pair(input: Tensor, target: Tensor, name: str) -> tuple[Tensor, Tensor]:
    if input._shape != target._shape:
        import warnings

        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
            "likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )
    return input, target


def mse_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2 (torch.nn.functional.mse_loss)."""
    reduction = _reduction(reduction, size_average, reduce)
    input, target = _pair(input, target, "mse_loss")
    difference = input - target
    losses = difference * difference
    if weight is not None:
        losses = losses * weight
        return losses.sum() / weight.expand(losses._shape).sum() if reduction == "mean" else _reduce(losses, reduction)
    return _reduce(losses, reduction)


def l1_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target| (torch.nn.functional.l1_loss)."""
    reduction = _reduction(reduction, size_average, reduce)
    input, target = _pair(input, target, "l1_loss")
    losses = (input - target).abs()
    return _reduce(losses if weight is None else losses * weight, reduction)


def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Squared below beta, absolute above (torch.nn.functional.smooth_l1_loss)."""
    reduction = _reduction(reduction, size_average, reduce)
    input, target = _pair(input, target, "smooth_l1_loss")
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    size = (input - target).abs()
    return _reduce(rnn.where(size < beta, size * size * (0.5 / beta), size - 0.5 * beta), reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """0.5 d^2 where |d| <= delta, else delta (|d| - delta / 2) (Huber 1964; torch.nn.functional.huber_loss)."""
    reduction = _reduction(reduction)
    input, target = _pair(input, target, "huber_loss")
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    size = (input - target).abs()
    losses = rnn.where(size <= delta, size * size * 0.5, (size - 0.5 * delta) * delta)
    return _reduce(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target log input + (1 - target) log(1 - input)), logarithms no less than -100
    (torch.nn.functional.binary_cross_entropy).

    Raises:
        ValueError: the shapes differ.
        RuntimeError: an input is outside 0 .. 1.
    """
    reduction = _reduction(reduction, size_average, reduce)
    if input._shape != target._shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    values = _core.array_of(input)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise RuntimeError("all elements of input should be between 0 and 1")
    losses = -(target * input.log().clamp(min=-100) + (1 - target) * (1 - input).log().clamp(min=-100))
    return _reduce(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy of sigmoid(input), without its overflow (torch.nn.functional's of this name)."""
    reduction = _reduction(reduction, size_average, reduce)
    if input._shape != target._shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if pos_weight is None:
        losses = (1 - target) * input - logsigmoid(input)
    else:
        losses = (1 - target) * input - ((pos_weight - 1) * target + 1) * logsigmoid(input)
    return _reduce(losses if weight is None else losses * weight, reduction)


def kl_div(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target (log target - input), input being log-probabilities (torch.nn.functional.kl_div)."""
    if log_target:
        losses = target.exp() * (target - input)
    else:
        entropy = rnn.where(target == 0, 0.0, target * rnn.where(target == 0, 1.0, target).log())
        losses = entropy - target * input
    if reduction == "batchmean":
        return losses.sum() / input._shape[0] if input._shape else losses.sum()
    return _reduce(losses, _reduction(reduction, size_average, reduce))


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The dot product over the product of the norms, each at least eps (torch.nn.functional.cosine_similarity)."""
    n1, n2 = x1.norm(2, dim, keepdim=True).clamp(min=eps), x2.norm(2, dim, keepdim=True).clamp(min=eps)
    return ((x1 / n1) * (x2 / n2)).sum(dim)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1 (torch.nn.functional's of this name)."""
    similarity = cosine_similarity(input1, input2, dim=-1)
    losses = rnn.where(target == 1, 1 - similarity, (similarity - margin).clamp(min=0))
    return _reduce(losses, _reduction(reduction, size_average, reduce))


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dimension (torch.nn.functional.pairwise_distance)."""
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target (input1 - input2) + margin) (torch.nn.functional.margin_ranking_loss)."""
    losses = (-target * (input1 - input2) + margin).clamp(min=0)
    return _reduce(losses, _reduction(reduction, size_average, reduce))


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """input where target is 1, max(0, margin - input) where it is -1 (torch.nn.functional's of this name)."""
    positive = rnn.where(target == -1, 0.0, input)
    negative = rnn.where(target == 1, 0.0, (margin - input).clamp(min=0))
    return _reduce(positive + negative, _reduction(reduction, size_average, reduce))


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-target input)) (torch.nn.functional.soft_margin_loss)."""
    return _reduce(softplus(-target * input), _reduction(reduction, size_average, reduce))


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6,
    swap: bool = False, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) (torch.nn.functional.triplet_margin_loss)."""
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = rnn.minimum(far, pairwise_distance(positive, negative, p, eps))
    return _reduce((near - far + margin).clamp(min=0), _reduction(reduction, size_average, reduce))


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: Any = None,
    eps: float = 1e-8, reduce: Any = None, reduction: str = "mean",
) -> Tensor:
    """exp(input) - target input, or input - target log(input + eps) (torch.nn.functional.poisson_nll_loss)."""
    losses = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        safe = rnn.where(target > 1, target, 1.0)
        stirling = target * safe.log() - target + 0.5 * (2 * math.pi * safe).log()
        losses = losses + rnn.where(target > 1, stirling, 0.0)
    return _reduce(losses, _reduction(reduction, size_average, reduce))


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """0.5 (log var + (input - target)^2 / var), var at least eps (torch.nn.functional.gaussian_nll_loss)."""
    if isinstance(var, float):
        var = rnn.full_like(input, var)
    if _core.array_of(var).size and _core.array_of(var).min() < 0:
        raise ValueError("var has negative entry/entries")
    safe = var + (var.detach().clamp(min=eps) - var.detach())  # clamped, with the gradient of var
    losses = 0.5 * (safe.log() + (input - target) ** 2 / safe)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return _reduce(losses, _reduction(reduction))
