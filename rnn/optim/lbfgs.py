"""L-BFGS with or without a strong-Wolfe line search (torch.optim.LBFGS). Directions and moves are
worked out in C, over all parameters in one call each (csrc/lbfgs.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rnn import _c
from rnn._c import E, check, handles, lib
from rnn.ops import _core
from rnn.optim.optimizer import Optimizer, checked, evaluate
from rnn.tensor import Tensor


class _Point(NamedTuple):
    """A place on the line that is searched: how far along, the loss, its gradient, its slope along
    the line."""

    t: Any
    loss: Any
    grad: Any
    slope: Any


def _cubic_minimum(a: _Point, b: _Point, bounds: tuple[Any, Any] | None = None) -> Any:
    """Where the cubic through two points with their slopes is least, within the bounds."""
    low, high = bounds if bounds else (min(a.t, b.t), max(a.t, b.t))
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = np.sqrt(square)
    if a.t <= b.t:
        t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    else:
        t = a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2 * d2))
    return min(max(t, low), high)


class _LineSearch:
    """Looks for a point that lies low enough (c1) and flat enough (c2) along one direction."""

    c1, c2, tolerance = 1e-4, 0.9, 1e-9

    def __init__(self, at: Callable[[Any], _Point], start: _Point, reach: Any, most: int) -> None:
        self.at, self.start, self.reach, self.most = at, start, reach, most
        self.tries = 0

    def try_at(self, t: Any) -> _Point:
        self.tries += 1
        return self.at(t)

    def too_high(self, p: _Point) -> bool:
        return bool(p.loss > self.start.loss + self.c1 * p.t * self.start.slope)

    def flat(self, p: _Point) -> bool:
        return bool(abs(p.slope) <= -self.c2 * self.start.slope)

    def run(self, t: Any) -> _Point:
        """The point; `tries` says how often the loss was computed."""
        before, now = self.start, self.try_at(t)
        for i in range(self.most):
            if self.too_high(now) or (i > 1 and now.loss >= before.loss):
                return self.zoom([before, now], i)
            if self.flat(now):
                return now
            if now.slope >= 0:
                return self.zoom([before, now], i)
            step = now.t - before.t
            t = _cubic_minimum(before, now, (now.t + 0.01 * step, now.t * 10))
            before, now = now, self.try_at(t)
        return self.start if self.start.loss <= now.loss else now

    def zoom(self, bracket: list[_Point], i: int) -> _Point:
        """Narrows a bracket around such a point."""
        low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
        stuck = False
        while i < self.most and abs(bracket[1].t - bracket[0].t) * self.reach >= self.tolerance:
            t, stuck = self.between(bracket, stuck)
            now = self.try_at(t)
            i += 1
            if self.too_high(now) or now.loss >= bracket[low].loss:
                bracket[high] = now
                low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
                continue
            if self.flat(now):
                return now
            if now.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = now
        return bracket[low]

    def between(self, bracket: list[_Point], stuck: bool) -> tuple[Any, bool]:
        """The next place to try; one that is close to an end twice is moved inwards."""
        t = _cubic_minimum(bracket[0], bracket[1])
        top, bottom = max(bracket[0].t, bracket[1].t), min(bracket[0].t, bracket[1].t)
        margin = 0.1 * (top - bottom)
        if min(top - t, t - bottom) >= margin:
            return t, False
        if not (stuck or t >= top or t <= bottom):
            return t, True
        return (top - margin if abs(t - top) < abs(t - bottom) else bottom + margin), False


def _number(t: Tensor) -> Any:
    """A 0-d tensor as a NumPy number, which keeps its dtype."""
    return _core.array_of(t)[()]


def _largest(t: Tensor) -> Any:
    return _number(t.abs().max())


class LBFGS(Optimizer):
    """Steps along the gradient times an inverse Hessian that is guessed from the last steps
    (torch.optim.LBFGS).

    Args:
        params: parameters; there is only one group.
        lr: how far along each direction.
        max_iter: iterations in one step().
        max_eval: evaluations in one step() (default: 5/4 of max_iter).
        tolerance_grad, tolerance_change: when to stop.
        history_size: how many steps are remembered.
        line_search_fn: "strong_wolfe" or None.

    Raises:
        ValueError: lr is negative, or there are several groups. RuntimeError: in step(), another
            line_search_fn.

    Example:
        >>> w = rnn.zeros(2, requires_grad=True)
        >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe")
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (w - rnn.tensor([1.0, 2.0])).square().sum()
        ...     loss.backward()
        ...     return loss
        >>> float(optimizer.step(closure))  # the loss before the step
        5.0
        >>> rnn.allclose(w, rnn.tensor([1.0, 2.0]), atol=1e-4)
        True
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        checked("lr", lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    @property
    def _params(self) -> list[Any]:
        return self.param_groups[0]["params"]

    # ---- parameters as one vector -------------------------------------------------------------

    def _flat(self, what: int, vector: Tensor, scale: float = 0.0) -> Tensor:
        check(lib.rnn_flat(E, what, len(self._params), handles(self._params), scale, vector._h))
        return vector

    def _vector(self) -> Tensor:
        """As many elements as all parameters have together, of their widest dtype."""
        size = sum(p.numel() for p in self._params)
        dtype = max(lib.rnn_dtype(p._h) for p in self._params)
        return _c.adopt(check(lib.rnn_full(E, dtype, 1, _c.dims((size,)), 0.0)))

    def _flat_grad(self) -> Tensor:
        return self._flat(lib.RNN_FLAT_GRADS, self._vector())

    def _move(self, t: Any, direction: Tensor) -> None:
        self._flat(lib.RNN_FLAT_MOVE, direction, float(t))

    # ---- the step -----------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to max_iter iterations; the closure, which is needed, computes the loss and its
        gradients anew.

        Returns:
            the loss before the step.
        """
        if closure is None:
            raise TypeError("LBFGS.step() missing 1 required positional argument: 'closure'")
        was = lib.rnn_set_grad_mode(0)
        try:
            return self._iterate(closure)
        finally:
            lib.rnn_set_grad_mode(was)

    def _iterate(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = evaluate(closure)
        loss, grad, evals = float(first_loss), self._flat_grad(), 1
        state["func_evals"] += 1
        if _largest(grad) <= group["tolerance_grad"]:
            return first_loss
        for i in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = self._direction(state, grad, group["history_size"])
            t = float(group["lr"])
            if state["n_iter"] == 1:
                t = min(1.0, 1.0 / _number(grad.abs().sum())) * t
            state.update(prev_flat_grad=grad, prev_loss=loss, d=d, t=t)
            slope = _number(grad.dot(d))
            if slope > -group["tolerance_change"]:
                break
            before = loss
            if group["line_search_fn"] is not None:
                start = _Point(0, loss, grad, slope)
                loss, grad, t, tries = self._search(closure, start, t, d, evals)
            else:
                tries = 0
                self._move(t, d)
                if i != group["max_iter"]:
                    loss, grad, tries = float(evaluate(closure)), self._flat_grad(), 1
            state["t"] = float(t)
            evals += tries
            state["func_evals"] += tries
            if (
                i == group["max_iter"]
                or evals >= group["max_eval"]
                or _largest(grad) <= group["tolerance_grad"]
                or _largest(d) * abs(t) <= group["tolerance_change"]
                or abs(loss - before) < group["tolerance_change"]
            ):
                break
        return first_loss

    def _search(
        self, closure: Callable[[], Any], start: _Point, t: Any, d: Tensor, evals: int
    ) -> tuple[Any, Any, Any, int]:
        group = self.param_groups[0]
        if group["line_search_fn"] != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")
        values = self._flat(lib.RNN_FLAT_VALUES, self._vector())

        def at(t: Any) -> _Point:
            self._move(t, d)
            loss, grad = float(evaluate(closure)), self._flat_grad()
            self._flat(lib.RNN_FLAT_ASSIGN, values)
            return _Point(t, loss, grad, _number(grad.dot(d)))

        search = _LineSearch(at, start, _largest(d), group["max_eval"] - evals)
        found = search.run(t)
        self._move(found.t, d)
        return found.loss, found.grad, found.t, search.tries

    def _direction(self, state: dict[str, Any], grad: Tensor, history: int) -> Tensor:
        """Minus the gradient, times the inverse Hessian that the remembered steps suggest."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
        else:
            self._remember(state, grad, history)
        changes, moves, ro = state["old_dirs"], state["old_stps"], state["ro"]
        lists = [handles(vectors) for vectors in (changes, moves, ro)]
        d = self._vector()
        h = float(state["H_diag"])
        check(lib.rnn_lbfgs_direction(E, len(changes), *lists, h, grad._h, d._h))
        return d

    @staticmethod
    def _remember(state: dict[str, Any], grad: Tensor, history: int) -> None:
        """Adds the last step to those that are remembered, if it curves upwards."""
        change, moved = grad - state["prev_flat_grad"], state["d"] * float(state["t"])
        curve = change.dot(moved)
        if not float(curve) > 1e-10:
            return
        memories = state["old_dirs"], state["old_stps"], state["ro"]
        for memory, new in zip(memories, (change, moved, 1.0 / curve)):
            if len(memory) == history:
                memory.pop(0)
            memory.append(new)
        state["H_diag"] = curve / change.dot(change)
