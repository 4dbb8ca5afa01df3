"""vmap: a function of one sample as a function of many (torch.func.vmap)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import rnn
from rnn._c import Handle
from rnn.func import trees


def _name(func: Any) -> str:
    return getattr(func, "__name__", repr(func))


def _checked_dims(func: Any, in_dims: Any, args: Any) -> list[Any]:
    """The mapped dimension of each leaf of the arguments, not negative, or None."""
    where = f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>)"
    if not isinstance(in_dims, (int, tuple, list)):
        raise ValueError(
            f"{where}: expected `in_dims` to be int or a (potentially nested) tuple matching the "
            f"structure of inputs, got: {type(in_dims)}."
        )
    flat = trees.leaves(args)
    if not flat:
        raise ValueError(
            f"vmap({_name(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you "
            "are trying to vmap over a function with no inputs. The latter is unsupported."
        )
    dims = trees.spread(tuple(in_dims) if isinstance(in_dims, list) else in_dims, args)
    if dims is None:
        raise ValueError(
            f"{where}: in_dims is not compatible with the structure of `inputs`. in_dims has "
            f"structure {trees.structure(in_dims)} but inputs has structure "
            f"{trees.structure(args)}."
        )
    return [_checked_dim(where, dim, x) for dim, x in zip(dims, flat)]


def _checked_dim(where: str, dim: Any, x: Any) -> Any:
    if dim is None:
        return None
    if not isinstance(dim, int):
        raise ValueError(
            f"{where}: Got in_dim={dim} for an input but in_dim must be either an integer "
            "dimension or None."
        )
    if not isinstance(x, Handle):
        raise ValueError(
            f"{where}: Got in_dim={dim} for an input but the input is of type {type(x)}. We cannot "
            "vmap over non-Tensor arguments, please use None as the respective in_dim"
        )
    if not -x.dim() <= dim < x.dim():
        raise ValueError(
            f"{where}: Got in_dim={dim} for some input, but that input is a Tensor of "
            f"dimensionality {x.dim()} so expected in_dim to satisfy -{x.dim()} <= in_dim < "
            f"{x.dim()}."
        )
    return dim % x.dim()


def _count(flat: list[Any], dims: list[Any]) -> int:
    sizes = [x.shape[dim] for x, dim in zip(flat, dims) if dim is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any(size != sizes[0] for size in sizes):
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    if not sizes[0]:
        raise RuntimeError(
            "vmap: the mapped dimension has size 0: without a call of the function nobody knows "
            "the shape of its result"
        )
    return int(sizes[0])


class _Randomness:
    """What random numbers the calls see: "different" ones, the "same", or none ("error")."""

    def __init__(self, kind: str) -> None:
        if kind not in ("error", "different", "same"):
            raise RuntimeError(
                "Only allowed values for randomness are 'error', 'different', or 'same'. Got "
                f"{kind}"
            )
        self.kind = kind
        self.before = rnn.get_rng_state()

    def next_call(self) -> None:
        if self.kind == "same":
            rnn.set_rng_state(self.before)

    def after_call(self) -> None:
        if self.kind == "error" and not rnn.equal(rnn.get_rng_state(), self.before):
            raise RuntimeError(
                "vmap: called random operation while in randomness error mode. Please either use "
                "the 'same' or 'different' randomness flags on vmap or perform the randomness "
                "operation out of vmap"
            )


def _stacked(func: Any, outs: list[Any], out_dims: Any) -> Any:
    form = outs[0]
    dims = trees.spread(out_dims, form)
    if dims is None:
        raise ValueError(
            f"vmap({_name(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible "
            f"with the structure of `outputs`. out_dims has structure {trees.structure(out_dims)} "
            f"but outputs has structure {trees.structure(form)}."
        )
    columns = list(zip(*map(trees.leaves, outs)))
    return trees.rebuilt(form, [_column(func, dim, col) for dim, col in zip(dims, columns)])


def _column(func: Any, dim: Any, parts: tuple[Any, ...]) -> Any:
    if dim is None:
        return parts[0]
    if not isinstance(dim, int):
        raise ValueError(
            f"vmap({_name(func)}, ..., out_dims={dim}): `out_dims` must be an int, None or a "
            "python collection of ints representing where in the outputs the vmapped dimension "
            "should appear."
        )
    for part in parts:
        if not isinstance(part, Handle):
            raise ValueError(
                f"vmap({_name(func)}, ...): `{_name(func)}` must only return Tensors, got type "
                f"{type(part)}. Did you mean to set out_dims= to None for output?"
            )
    return rnn.stack(parts, dim)


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """A function of one sample, called for each place along a dimension of its arguments, its
    results stacked (torch.func.vmap).

    The calls are made one after the other: the nodes are those of a loop, and so is the time.

    Args:
        func: takes tensors, or nested lists, tuples and dicts of them, and returns such.
        in_dims: the mapped dimension of all tensors, or a nest in the form of the arguments; None
            for what is the same in each call. Keyword arguments are the same in each call.
        out_dims: where the results get it, in the same way; None: it is the same in each call.
        randomness: "error": the function must not draw random numbers; "different"; "same".
        chunk_size: for PyTorch's sake: there is never more than one call at a time.

    Raises:
        ValueError: in_dims or out_dims does not fit, or sizes differ.
        RuntimeError: see randomness; or there is nothing along the dimension.

    Example:
        >>> rnn.func.vmap(rnn.dot)(rnn.ones(3, 2), rnn.ones(3, 2))
        tensor([2., 2., 2.])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    _Randomness(randomness)

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        dims = _checked_dims(func, in_dims, args)
        flat = trees.leaves(args)
        numbers, outs = _Randomness(randomness), []
        for i in range(_count(flat, dims)):
            one = [x if d is None else x.select(d, i) for x, d in zip(flat, dims)]
            numbers.next_call()
            outs.append(func(*trees.rebuilt(args, one), **kwargs))
            numbers.after_call()
        return _stacked(func, outs, out_dims)

    return mapped
