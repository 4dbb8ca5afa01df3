"""Checkpointing (torch.utils.checkpoint): a part of a model that is computed a second time in the
backward pass rather than remembered.

rnn remembers: checkpoint() calls the function. Values and gradients are the same; the memory is not
    saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rnn import _config


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    context_fn: Any = None,
    determinism_check: str = "default",
    debug: bool = False,
    **kwargs: Any,
) -> Any:
    """function(*args, **kwargs).

    Example:
        >>> x = rnn.ones(2, requires_grad=True)
        >>> checkpoint(rnn.exp, x, use_reentrant=False).sum().backward()
        >>> x.grad
        tensor([2.7183, 2.7183])
    """
    return function(*args, **kwargs)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """The functions of a Sequential or list, one after the other.

    Example:
        >>> model = rnn.nn.Sequential(rnn.nn.Linear(2, 3), rnn.nn.ReLU(), rnn.nn.Linear(3, 1))
        >>> checkpoint_sequential(model, 2, rnn.ones(4, 2), use_reentrant=False).shape
        rnn.Size([4, 1])
    """
    steps: Sequence[Callable[[Any], Any]] = list(functions)
    for step in steps:
        input = step(input)
    return input


if not TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> Any:
        raise _config.absent(__name__, name)
