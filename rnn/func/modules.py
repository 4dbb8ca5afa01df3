"""Modules as functions of their parameters (torch.func.functional_call, stack_module_state)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rnn
from rnn.nn.module import Module

_KINDS = ("_parameters", "_buffers")


def _merged(given: Any) -> dict[str, Any]:
    if isinstance(given, dict):
        return given
    if not isinstance(given, Sequence):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(given)}"
        )
    if not all(isinstance(d, dict) for d in given):
        raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
    keys = [key for d in given for key in d]
    repeated = {key for key in keys if keys.count(key) > 1}
    if repeated:
        raise ValueError(
            f"{repeated} appeared in multiple dictionaries; behavior of functional call is "
            "ambiguous"
        )
    return {key: value for d in given for key, value in d.items()}


def _places(module: Module) -> dict[str, tuple[dict[str, Any], str]]:
    """Where each parameter and buffer is kept, by its name; tied ones under each of theirs."""
    return {
        f"{path}.{name}" if path else name: (getattr(child, kind), name)
        for path, child in module.named_modules(remove_duplicate=False)
        for kind in _KINDS
        for name, value in getattr(child, kind).items()
        if value is not None
    }


def _tied(places: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What is given for one name of a tied tensor is given for all."""
    names: dict[int, list[str]] = {}
    for name, (kept, key) in places.items():
        names.setdefault(id(kept[key]), []).append(name)
    full = dict(given)
    for same in names.values():
        values = [given[name] for name in same if name in given]
        if any(value is not values[0] for value in values):
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(same)}, which are tied. "
                "Consider using tie_weights=False"
            )
        full.update({name: values[0] for name in same if values})
    return full


def _check_keys(module: Module, places: dict[str, Any], given: dict[str, Any]) -> None:
    missing = [repr(name) for name in places if name not in given]
    unexpected = [repr(name) for name in given if name not in places]
    texts = [f"Unexpected key(s): {', '.join(unexpected)}."] if unexpected else []
    texts += [f"Missing key(s): {', '.join(missing)}."] if missing else []
    if texts:
        raise RuntimeError(
            f"Error(s) in reparametrizing for {module._get_name()}:\n\t" + "\n\t".join(texts)
        )


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: dict[str, Any] | Sequence[dict[str, Any]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Calls a module with other tensors in place of its parameters and buffers, which are as
    before afterwards (torch.func.functional_call).

    Args:
        parameter_and_buffer_dicts: tensors by the names of named_parameters() and
            named_buffers(), a dict or several; others keep their own. What the module assigns
            to a buffer is put into the dict.
        args: the module's argument, or a tuple of them. kwargs: those with names.
        tie_weights: what is given for a tensor stands for it under all of its names.
        strict: every name must be given.

    Raises:
        ValueError: a name is given twice, or tied names with different values.
        RuntimeError: strict, and names are missing or unknown.
        KeyError: a name is unknown.

    Example:
        >>> layer = rnn.nn.Linear(2, 1)
        >>> ones = {"weight": rnn.ones(1, 2), "bias": rnn.ones(1)}
        >>> rnn.func.functional_call(layer, ones, rnn.tensor([2.0, 3.0]))
        tensor([6.])
    """
    given = _merged(parameter_and_buffer_dicts)
    places = _places(module)
    if strict:
        _check_keys(module, places, given)
    for name in given:
        if name not in places:
            raise KeyError(f"{module._get_name()} has no parameter or buffer '{name}'")
    full = _tied(places, given) if tie_weights else dict(given)
    own = {name: places[name][0][places[name][1]] for name in full}
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    try:
        for name, value in full.items():
            kept, key = places[name]
            kept[key] = value
        return module(*arguments, **(kwargs or {}))
    finally:
        for name, value in own.items():
            kept, key = places[name]
            if name in given:
                given[name] = kept[key]
            kept[key] = value


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the buffers of several models of one class, each stacked along a new
    first dimension, for vmap (torch.func.stack_module_state).

    Raises:
        RuntimeError: there is no model, their classes or modes differ, or whether a parameter
            requires a gradient does.

    Example:
        >>> params, buffers = stack_module_state([rnn.nn.Linear(2, 3) for _ in range(4)])
        >>> params["weight"].shape
        rnn.Size([4, 3, 2])
    """
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return (
        {name: _stacked(name, [p[name] for p in parameters]) for name in parameters[0]},
        {name: _stacked(name, [b[name] for b in buffers]) for name in buffers[0]},
    )


def _stacked(name: str, tensors: list[Any]) -> Any:
    wanted = {t.requires_grad for t in tensors}
    if len(wanted) > 1:
        raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
    return rnn.stack([t.detach() for t in tensors]).requires_grad_(wanted.pop())
