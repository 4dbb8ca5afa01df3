"""gradcheck: gradients held to finite differences, scalar by scalar (torch.autograd.gradcheck)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnn._c import E, Handle, ValueBase, adopt, lib, ref_of
from rnn.autograd.passes import grad
from rnn.ops._core import Array, array_of, nodes


class GradcheckError(RuntimeError):
    """A derivative that finite differences do not confirm.

    Attributes:
        kind: "formula" (both one-sided derivatives agree with each other, and not with the analytic
            one), "kink" (they differ: the function has a corner, a jump or its edge there), "noise"
            (float32 cannot resolve the difference), "curvature" (the function bends so much within
            eps that the difference is no derivative), "nondeterministic" (the function or its
            backward differs from call to call), "undefined_grad" (backward fails where an output
            has no gradient), "not_differentiable" (the output has no graph, yet depends on the
            input).
        input, input_index: which input, and which scalar of it.
        output, output_index: which output, and which scalar of it.
        analytic, numeric: the two derivatives; None where there is none.

    Example:
        >>> x = rnn.tensor([0.0], dtype=rnn.float64, requires_grad=True)
        >>> try:
        ...     rnn.autograd.gradcheck(rnn.relu, x)
        ... except rnn.autograd.GradcheckError as error:
        ...     print(error.kind, error.analytic, error.numeric)
        kink 0.0 0.5
    """

    def __init__(
        self,
        message: str,
        kind: str,
        where: tuple[int, tuple[int, ...], int, tuple[int, ...]] = (0, (), 0, ()),
        analytic: float | None = None,
        numeric: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind, self.analytic, self.numeric = kind, analytic, numeric
        self.input, self.input_index, self.output, self.output_index = where


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of a function are those that central differences find
    (torch.autograd.gradcheck).

    Args:
        func: takes the inputs; returns a Tensor or Value, or a sequence of them.
        inputs: a Tensor or Value, or a sequence of anything. The float ones that require gradients
            are checked; they should be float64, of any strides without overlap.
        eps: the step of the differences.
        atol, rtol: how far the derivatives may be apart.
        raise_exception: False returns False instead of raising GradcheckError.
        nondet_tol: how far a second backward pass may be from the first.
        check_undefined_grad: of several outputs, check each with no gradient for the others;
            False gives the others zeros.
        check_grad_dtypes, masked: as PyTorch has them; they change nothing here: a gradient has its
            tensor's dtype, and there are no sparse tensors.
        fast_mode: check random combinations of all derivatives; the single scalars are looked at
            only where that fails.

    Raises:
        GradcheckError: names the failing scalar with both derivatives, and says which it is: noise,
            a kink or a wrong formula.
        ValueError: no input requires a gradient.
        TypeError: an input is complex.
        RuntimeError: elements of an input share memory (expand).
        NotImplementedError: forward-mode or batched gradients.

    Example:
        >>> x = rnn.randn(3, dtype=rnn.float64, requires_grad=True)
        >>> rnn.autograd.gradcheck(lambda x: x.tanh(), x)
        True
    """
    if check_forward_ad or check_batched_forward_grad or check_batched_grad:
        raise NotImplementedError("gradcheck: rnn has no forward-mode and no batched gradients")
    if not check_backward_ad:
        raise AssertionError(
            "Expected at least one of check_forward_ad or check_backward_ad to be True"
        )
    check = _Check(func, inputs, eps, atol, rtol, nondet_tol, check_undefined_grad)
    try:
        check.run(fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Whether the second derivatives of a function are those that central differences of its
    gradients find (torch.autograd.gradgradcheck).

    Args:
        grad_outputs: the gradients of the outputs, of their shapes, to check with; None draws them.
            All else is as in gradcheck.

    Raises:
        GradcheckError: names the failing scalar with both derivatives; its output is the gradient.
        NotImplementedError: forward-mode or batched gradients.

    Example:
        >>> x = rnn.randn(3, dtype=rnn.float64, requires_grad=True)
        >>> rnn.autograd.gradgradcheck(lambda x: x.tanh(), x)
        True
    """
    if check_fwd_over_rev or not check_rev_over_rev:
        raise NotImplementedError("gradgradcheck: rnn has no forward-mode gradients")
    given = _sequence(inputs)
    outputs = [t for t in _sequence(func(*given)) if t.requires_grad]
    seeds = [_drawn(t) for t in outputs] if grad_outputs is None else _sequence(grad_outputs)
    wanted = [i for i, t in enumerate(given) if _tensor(t) is not None and t.requires_grad]

    def slopes(*args: Any) -> Any:
        x, begin = args[: len(given)], args[len(given) :]
        out = [t for t in _sequence(func(*x)) if t.requires_grad]
        return grad(out, [x[i] for i in wanted], begin, create_graph=True, allow_unused=True,
                    materialize_grads=True)  # fmt: skip

    return gradcheck(
        slopes,
        (*given, *seeds),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_batched_grad=check_batched_grad,
        fast_mode=fast_mode,
    )


def _drawn(t: Any) -> Any:
    """Random numbers in the shape and dtype of t, that take gradients."""
    from rnn.random import randn

    like = _tensor(t)
    return randn(like._shape, dtype=like.dtype, requires_grad=True)


# ---- inputs and outputs -------------------------------------------------------------------------


def _sequence(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (list, tuple)) else [x]


def _tensor(x: Any) -> Any:
    """A float Tensor for a float Tensor or a Value, else None."""
    if isinstance(x, ValueBase):
        return adopt(ref_of(x))
    return x if isinstance(x, Handle) and x._h else None


class _Input(NamedTuple):
    number: int
    tensor: Any
    array: Array  # shares its memory

    def position(self, flat: int) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(flat, self.array.shape))


def _take(inputs: Sequence[Any]) -> list[_Input]:
    """The inputs to check."""
    found = []
    for i, x in enumerate(inputs):
        if isinstance(x, complex) or np.iscomplexobj(getattr(x, "_array", x)):
            raise TypeError(f"gradcheck: input {i} is complex; rnn has no complex numbers")
        t = _tensor(x)
        if t is None or not lib.rnn_requires_grad(E, t._h):
            continue
        array = array_of(t)
        if any(stride == 0 and size > 1 for stride, size in zip(array.strides, array.shape)):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs "
                "that are non-overlapping to be able to compute the numerical gradients correctly. "
                "You should call .contiguous on the input before passing it to gradcheck."
            )
        if array.dtype != np.float64:
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or "
                "complex. This check will likely fail if all the inputs are not of double "
                "precision floating point or complex. ",
                stacklevel=4,
            )
        found.append(_Input(i, t, array))
    if not found:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, "
            "but none of the them have requires_grad=True."
        )
    return found


# ---- the check ----------------------------------------------------------------------------------


class _Check:
    """One call of gradcheck."""

    def __init__(
        self,
        func: Callable[..., Any],
        inputs: Any,
        eps: float,
        atol: float,
        rtol: float,
        nondet_tol: float,
        undefined: bool,
    ) -> None:
        self.func, self.given = func, _sequence(inputs)
        self.eps, self.atol, self.rtol, self.nondet_tol = eps, atol, rtol, nondet_tol
        self.undefined = undefined
        self.inputs = _take(self.given)

    def outputs(self) -> list[Any]:
        """func's float results."""
        return [t for t in map(_tensor, _sequence(self.func(*self.given))) if t is not None]

    def values(self) -> list[Array]:
        """The same as flat float64 arrays of their own."""
        return [array_of(t).astype(np.float64).ravel() for t in self.outputs()]

    def moved(self, x: _Input, flat: int, by: float) -> tuple[list[Array], float]:
        """func's values where one scalar of an input is moved, and by how much it was."""
        at = x.position(flat)
        was = x.array[at].copy()
        try:
            x.array[at] = was + by
            return self.values(), float(x.array[at]) - float(was)
        finally:
            x.array[at] = was

    def run(self, fast: bool) -> None:
        outputs = self.outputs()
        self.names = [str(t.grad_fn.name()) if t.grad_fn else "" for t in outputs]
        self.shapes = [tuple(t._shape) for t in outputs]
        self.singles = [array_of(t).dtype == np.float32 for t in outputs]
        live = [j for j, t in enumerate(outputs) if lib.rnn_requires_grad(E, t._h)]
        if fast and live == list(range(len(outputs))) and self._combinations(outputs):
            return
        analytic = {j: self._analytic(outputs, j) for j in live}
        for x in self.inputs:
            self._compare(x, analytic, len(outputs))

    # ---- analytic ----

    def _backward(self, outputs: list[Any], j: int, seed: Array) -> list[Array]:
        """The gradients of sum(seed * output j) by all inputs."""
        chosen = range(len(outputs)) if not self.undefined else (j,)
        roots, seeds = [], []
        for k in chosen:
            if not lib.rnn_requires_grad(E, outputs[k]._h):
                continue
            dtype = array_of(outputs[k]).dtype
            given = seed if k == j else np.zeros(outputs[k]._shape)
            roots.append(outputs[k])
            seeds.append(nodes(given.astype(dtype).reshape(outputs[k]._shape)))
        found = grad(
            roots, [x.tensor for x in self.inputs], seeds, retain_graph=True, allow_unused=True
        )
        return [
            np.zeros(x.array.shape) if g is None else array_of(g).astype(np.float64)
            for g, x in zip(found, self.inputs)
        ]

    def _analytic(self, outputs: list[Any], j: int) -> list[Array]:
        """For each input the Jacobian of output j, (output's scalars, input's scalars)."""
        count = int(np.prod(self.shapes[j]))
        rows: list[list[Array]] = []
        for i in range(count):
            seed = np.zeros(count)
            seed[i] = 1
            first = self._guarded(outputs, j, seed)
            again = self._guarded(outputs, j, seed)
            for x, a, b in zip(self.inputs, first, again):
                if not np.allclose(a, b, rtol=0, atol=self.nondet_tol, equal_nan=True):
                    raise GradcheckError(
                        "Backward is not reentrant, i.e., running backward with same input and "
                        "grad_output multiple times gives different values, although analytical "
                        "gradient matches numerical gradient. The tolerance for nondeterminism "
                        f"was {self.nondet_tol}. (input {x.number}, output {j})",
                        "nondeterministic",
                        (x.number, (), j, ()),
                    )
            rows.append([a.ravel() for a in first])
        return [
            np.array([row[k] for row in rows]).reshape(count, x.array.size)
            for k, x in enumerate(self.inputs)
        ]

    def _guarded(self, outputs: list[Any], j: int, seed: Array) -> list[Array]:
        try:
            return self._backward(outputs, j, seed)
        except Exception as error:
            if not self.undefined or len(outputs) < 2:
                raise
            raise GradcheckError(
                "Expected backward function to handle undefined output grads. It failed where "
                f"output {j} alone has a gradient: {error}",
                "undefined_grad",
                (0, (), j, ()),
            ) from error

    # ---- numeric ----

    def _compare(self, x: _Input, analytic: dict[int, list[Array]], count: int) -> None:
        """Holds the derivatives by one input, of all outputs, to central differences."""
        which = self.inputs.index(x)
        worst: tuple[float, int, int, int, float, float] | None = None
        wrong = 0
        for a in range(x.array.size):
            above, _ = self.moved(x, a, self.eps)
            below, _ = self.moved(x, a, -self.eps)
            for j in range(count):
                with np.errstate(all="ignore"):
                    numeric = (above[j] - below[j]) / (2 * self.eps)
                exact = analytic[j][which][:, a] if j in analytic else np.zeros(numeric.shape)
                apart = ~np.isclose(exact, numeric, self.rtol, self.atol, equal_nan=True)
                wrong += int(apart.sum())
                for b in np.flatnonzero(apart).tolist():
                    excess = float(abs(exact[b] - numeric[b]))
                    if excess != excess:
                        excess = float("inf")
                    if worst is None or excess > worst[0]:
                        worst = (excess, a, j, b, float(exact[b]), float(numeric[b]))
        if worst is not None:
            _, a, j, b, exact_, numeric_ = worst
            self._fail(x, a, j, b, exact_, numeric_, wrong, j in analytic)

    def _fail(
        self,
        x: _Input,
        a: int,
        j: int,
        b: int,
        exact: float,
        numeric: float,
        wrong: int,
        live: bool,
    ) -> None:
        """Raises the error of one pair of scalars, with a diagnosis."""
        index = tuple(int(i) for i in np.unravel_index(b, self.shapes[j]))
        place = x.position(a)
        where = (x.number, place, j, index)
        if not live:
            raise GradcheckError(
                "Numerical gradient for function expected to be zero: "
                f"output {j}{list(index)} does not require grad, but its derivative by "
                f"input {x.number}{list(place)} is {numeric:.6g}",
                "not_differentiable",
                where,
                0.0,
                numeric,
            )
        kind, words = self._diagnose(x, a, j, b, exact, numeric)
        name = f" ({self.names[j]})" if self.names[j] else ""
        more = f" It is the worst of {wrong} such pairs by this input." if wrong > 1 else ""
        raise GradcheckError(
            f"Jacobian mismatch for output {j} with respect to input {x.number},\n"
            f"d output {j}{list(index)}{name} / d input {x.number}{list(place)}: "
            f"analytic {exact:.9g}, numeric {numeric:.9g}.{more}\n{words}",
            kind,
            where,
            exact,
            numeric,
        )

    def _sides(self, x: _Input, a: int, j: int, b: int, step: float) -> tuple[float, float]:
        """The derivatives to the left and to the right, over a step."""
        here = float(self.values()[j][b])
        above, up = self.moved(x, a, step)
        below, down = self.moved(x, a, -step)
        with np.errstate(all="ignore"):
            right = np.float64(float(above[j][b]) - here) / (up or step)
            left = np.float64(here - float(below[j][b])) / (-down or step)
        return float(left), float(right)

    def _extrapolated(
        self, x: _Input, a: int, j: int, b: int, step: float
    ) -> tuple[float, float, float]:
        """The central difference over smaller and smaller steps, extrapolated to none (Richardson);
        how far apart two such numbers are; and what the rounding of the output makes in them.
        """
        whole, half, quarter = (
            sum(self._sides(x, a, j, b, step / part)) / 2 for part in (1, 2, 4)
        )
        found, other = (4 * half - whole) / 3, (4 * quarter - half) / 3
        rounding = abs(float(self.values()[j][b])) * float(np.finfo(np.float32).eps) / step
        return found, abs(found - other), rounding

    def _diagnose(
        self, x: _Input, a: int, j: int, b: int, exact: float, numeric: float
    ) -> tuple[str, str]:
        """Noise, a kink or a wrong formula, and the words for it."""
        first, again = (self.values()[j] for _ in range(2))
        odd = np.flatnonzero(~np.isclose(first, again, rtol=0, atol=0, equal_nan=True))
        if len(odd):
            return "nondeterministic", (
                f"no function: with the same inputs it gave {first[odd[0]]:.9g} and "
                f"{again[odd[0]]:.9g}. It draws random numbers or keeps a state: seed it within."
            )
        single = x.array.dtype == np.float32 or self.singles[j]
        size = max(1.0, abs(float(x.array[x.position(a)])))
        step = 5e-3 * size if single else self.eps
        left, right = self._sides(x, a, j, b, step)
        if not np.isfinite([left, right]).all():
            return "kink", (
                f"a kink, at an edge of where the function is finite: the derivative is {left:.6g} "
                f"on the left and {right:.6g} on the right. Check it at another point."
            )
        scale = max(abs(left), abs(right), abs(exact))
        slack = max(self.atol, (2e-2 if single else self.rtol) * scale)
        gap = abs(left - right)
        if single:
            found, spread, rounding = self._extrapolated(x, a, j, b, step)
            doubt = max(self.atol, 5e-3 * scale, 8 * rounding, min(8 * spread, slack))
            if abs(found - exact) <= doubt:
                return "noise", (
                    f"float32 noise: over a step of {self.eps:g} the function changes by less than "
                    f"float32 resolves; over {step:.2g} the derivative is {found:.6g}, as the "
                    "analytic one says. Check with inputs of dtype float64."
                )
        nearer = self._sides(x, a, j, b, step / 4)
        if gap > slack and abs(nearer[0] - nearer[1]) > gap / 2:
            return "kink", (
                f"a kink: the derivative is {left:.6g} on the left and {right:.6g} on the right, "
                "and the difference does not go away with a smaller step: the function is not "
                "differentiable there. Check it at another point."
            )
        finer = sum(self._sides(x, a, j, b, step / 100)) / 2
        if gap > slack and abs(finer - exact) <= slack:
            nearest = self._sides(x, a, j, b, step / 16)
            bends = [abs(side[0] - side[1]) / gap for side in (nearer, nearest)]
            if 1 / 8 < bends[0] < 1 / 2 and 1 / 32 < bends[1] < 1 / 8:  # in line with the step
                return "curvature", (
                    f"a step that is too large for the curvature: over {step:.2g} the derivative "
                    f"is {left:.6g} on the left and {right:.6g} on the right, but over "
                    f"{step / 100:.2g} it is {finer:.6g}, as the analytic one says. Check it with "
                    "a smaller eps."
                )
            return "kink", (
                f"a kink within the step: over {step:.2g} the derivative is {left:.6g} on the left "
                f"and {right:.6g} on the right, but over {step / 100:.2g} it is {finer:.6g}, as "
                "the analytic one says. Check it at another point, or with a smaller eps."
            )
        return "formula", (
            f"a wrong formula: the one-sided derivatives, {left:.9g} on the left and {right:.9g} "
            "on the right, agree with each other and not with the analytic one."
        )

    # ---- fast mode ----

    def _combinations(self, outputs: list[Any]) -> bool:
        """Whether random combinations of the derivatives agree: v J u for each output and input."""
        rng = np.random.default_rng(0)
        seeds = [rng.uniform(0.5, 1.5, shape) for shape in self.shapes]
        found = [self._guarded(outputs, j, seed) for j, seed in enumerate(seeds)]
        for k, x in enumerate(self.inputs):
            u = rng.normal(size=x.array.shape)
            u /= float(np.linalg.norm(u)) or 1.0
            was = x.array.copy()
            try:
                x.array[...] = was + self.eps * u
                above = self.values()
                x.array[...] = was - self.eps * u
                below = self.values()
            finally:
                x.array[...] = was
            for j, seed in enumerate(seeds):
                with np.errstate(all="ignore"):
                    numeric = (above[j] - below[j]) @ seed.ravel() / (2 * self.eps)
                exact = float((found[j][k] * u).sum())
                if not np.isclose(exact, numeric, self.rtol, self.atol * max(seed.sum(), 1)):
                    return False
        return True
