"""autograd.Function: operations whose forward and backward are written in Python."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from rnn import _c
from rnn._c import E, Handle, adopt, check, fail, ffi, lib
from rnn._shown import names
from rnn.autograd.passes import current

_Callable = TypeVar("_Callable", bound=Callable[..., Any])


class _Recorded(threading.local):
    """The Function whose backward is being recorded in this thread, and its saved outputs as part
    of the graph: kept here, since a ctx that held them would hold the graph that holds it."""

    outputs: tuple[FunctionCtx, dict[int, Any]] | None = None


_recorded = _Recorded()


class FunctionCtx:
    """What forward hands to backward: the `ctx` of both. Any attribute may be set on it."""

    _name = 0  # its class's, in `names`

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self.materialize_grads = True
        self._to_save: tuple[Any, ...] = ()
        self._saved_outputs: dict[int, int] = {}  # place among what is saved: number of the output
        self._versions: list[Any] = []
        self._dirty: tuple[Any, ...] = ()
        self._constant: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps tensors (or None) for `saved_tensors` in backward; the rest goes on ctx itself.

        Raises:
            TypeError: an argument is neither.
        """
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Handle):
                raise TypeError(
                    "save_for_backward can only save variables, but argument "
                    f"{i} is of type {type(t).__name__}"
                )
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What save_for_backward was given. Where backward is recorded, an output that was saved
        is the one that is part of the graph.

        Raises:
            RuntimeError: a tensor has been written in place since forward.
        """
        for t, version in zip(self._to_save, self._versions):
            if version is not None and _version(t) != version:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an "
                    f"inplace operation: a tensor of shape {list(t._shape)} that "
                    f"{type(self).__name__} saved was overwritten after it was saved"
                )
        recorded = _recorded.outputs
        if recorded and recorded[0] is self:
            made: dict[int, Any] = recorded[1]
            return tuple([made.get(k, t) for k, t in enumerate(self._to_save)])
        return self._to_save

    def mark_dirty(self, *tensors: Any) -> None:
        """Says which inputs forward has written in place; it must return them."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Says which outputs take no gradient."""
        self._constant = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (the default) or None for an output that has no gradient."""
        self.materialize_grads = value


def _version(t: Any) -> Any:
    if not isinstance(t, Handle) or not t._h:
        return None
    info = ffi.new("rnn_span_info *")
    check(lib.rnn_describe(E, lib.rnn_span_of(t._h), info))
    return info.first, info.version


def _pinned(t: Any) -> Any:
    """The nodes that t looks at now: a tensor written in place later may come to depend on the
    Function that saved it, and must not be held by it then."""
    if not isinstance(t, Handle) or not t._h or (t.is_leaf and t.requires_grad):
        return t
    return adopt(check(lib.rnn_pinned(E, t._h)))


class Function:
    """A differentiable operation written in Python (torch.autograd.Function).

    Subclasses define two static methods, forward and backward. forward(ctx, *args) computes with
    tensors, unrecorded, and returns a tensor or a tuple; backward(ctx, *grads) gets a gradient for
    each output and returns one for each argument of forward, None where there is none. In the other
    style forward(*args) has no ctx, and setup_context(ctx, inputs, output) saves what backward
    needs. Use it by calling `apply`.

    Example:
        >>> class Exp(rnn.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         y = x.exp()
        ...         ctx.save_for_backward(y)
        ...         return y
        ...     @staticmethod
        ...     def backward(ctx, dy):
        ...         y, = ctx.saved_tensors
        ...         return dy * y
        >>> x = rnn.tensor(1.0, requires_grad=True)
        >>> Exp.apply(x).backward()
        >>> x.grad
        tensor(2.7183)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all "
            "static, so you should invoke them on the class itself. Instantiating an autograd "
            "function will raise an error in a future version of PyTorch."
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """To be overridden."""
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """To be overridden where forward takes no ctx."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """To be overridden."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    @classmethod
    def _context(cls) -> FunctionCtx:
        """A ctx of a class that bears the Function's name, one class a Function."""
        made = cls.__dict__.get("_ctx_class")
        if made is None:
            name = f"{cls.__name__}Backward"
            made = type(name, (FunctionCtx,), {"_name": len(names)})
            names.append(name)
            cls._ctx_class = made  # type: ignore[attr-defined]
        ctx: FunctionCtx = made()
        return ctx

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Runs forward; where an argument requires a gradient, the result is part of the graph."""
        ctx = cls._context()
        ctx.needs_input_grad = tuple(isinstance(a, Handle) and a.requires_grad for a in args)
        record = bool(lib.rnn_grad_mode()) and any(ctx.needs_input_grad)
        was = lib.rnn_set_grad_mode(0)
        try:
            if cls.setup_context is Function.setup_context:
                out = cls.forward(ctx, *args)
            else:
                out = cls.forward(*args)
                cls.setup_context(ctx, args, out)
        finally:
            lib.rnn_set_grad_mode(was)
        if not record:
            return out
        outputs = out if isinstance(out, tuple) else (out,)
        made = _record(cls, ctx, args, outputs)
        return tuple(made) if isinstance(out, tuple) else made[0]


# ---- recording ----------------------------------------------------------------------------------


class _Turn:
    """What the engine keeps for a span of a Function, and calls in a backward pass."""

    def __init__(
        self,
        function: type[Function],
        ctx: FunctionCtx,
        args: Sequence[Any],
        outputs: Sequence[Any],
    ) -> None:
        self.function, self.ctx = function, ctx
        self.name = type(ctx).__name__
        self.shapes = [a._shape if isinstance(a, Handle) else None for a in args]
        self.operands = [i for i, needs in enumerate(ctx.needs_input_grad) if needs]
        self.like = [_like(o) for o in outputs]
        #: of several outputs: their gradients in each pass that runs
        self.grads: WeakKeyDictionary[Any, list[Any]] = WeakKeyDictionary()
        self.only = 0  # the output whose span this is, where there is one span
        self.is_core = False

    def __call__(self, span: int, code: int) -> None:
        grads = self.waiting()
        if not self.is_core:
            grads[self.only] = _gradient_of(span)
        del self.grads[current.running]
        for k, g in self.gradients(grads):
            to = adopt(check(lib.rnn_operand_tensor(E, span, k)))
            fitted = _fit(self.name, self.operands[k], g, to)
            check(lib.rnn_add_grad(E, to._h, fitted._h, 0))

    def waiting(self) -> list[Any]:
        """The outputs' gradients in the pass that runs, None where it has not been."""
        return self.grads.setdefault(current.running, [None] * len(self.like))

    def gradients(self, grads: list[Any]) -> list[tuple[int, Any]]:
        """What backward makes of the outputs' gradients: (operand of the span, gradient)."""
        if self.ctx.materialize_grads:
            grads = [_zeros(like) if g is None else g for g, like in zip(grads, self.like)]
        found = self.function.backward(self.ctx, *grads)
        found = found if isinstance(found, tuple) else (found,)
        given = enumerate(_checked(self.name, found, len(self.shapes)))
        return [pair for i, g in given if g is not None for pair in self._of_operand(i, g)]

    def recorded_gradients(
        self, grads: list[Any], span: Any, operands: list[Any]
    ) -> list[tuple[int, Any]]:
        """The same where backward is recorded; span, operands: the application's, as tensors."""
        before = _recorded.outputs
        made = {k: self._output(j, k, span, operands) for k, j in self.ctx._saved_outputs.items()}
        _recorded.outputs = self.ctx, made
        try:
            return self.gradients(grads)
        finally:
            _recorded.outputs = before

    def _output(self, j: int, k: int, span: Any, operands: list[Any]) -> Any:
        """Output j, which was saved k-th, as part of the graph. One of several is made again, since
        nobody may hold the first any more."""
        if not self.is_core:
            return span if j == self.only else self.ctx._to_save[k]
        return _span(
            self.ctx._to_save[k], [span, *operands], _Output(self, j), type(self.ctx)._name
        )

    def _of_operand(self, i: int, g: Any) -> list[tuple[int, Any]]:
        if self.shapes[i] is None:
            raise RuntimeError(
                f"function {self.name} returned a gradient different than None at position "
                f"{i + 1}, but the corresponding forward input was not a Variable"
            )
        if not isinstance(g, Handle):
            raise TypeError(f"expected Variable or None (got {type(g).__name__})")
        return [(self.operands.index(i), g)] if i in self.operands else []


class _Output:
    """One of several outputs: its gradient waits here for the core, which comes when all outputs
    have been."""

    is_core = False

    def __init__(self, core: _Turn, i: int) -> None:
        self.core, self.i, self.name = core, i, core.name

    def __call__(self, span: int, code: int) -> None:
        waiting, g = self.core.waiting(), _gradient_of(span)
        there = waiting[self.i]  # that of a saved output, where backward has been recorded
        waiting[self.i] = g if there is None else there + g
        core = adopt(check(lib.rnn_operand_tensor(E, span, 0)))
        zero = _number(lib.rnn_dtype(core._h))
        check(lib.rnn_add_grad(E, core._h, zero._h, 0))


def _record(
    function: type[Function], ctx: FunctionCtx, args: Sequence[Any], outputs: Sequence[Any]
) -> list[Any]:
    """The outputs as part of the graph.

    One output is one span. Several are one span each, with one operand before the arguments: the
    core, a span of one node whose operands are the arguments too. So backward comes to the core,
    which alone gives them gradients, when it has been at every output. What is inspected has no
    core (rnn_custom).
    """
    turn = _Turn(function, ctx, args, outputs)
    operands = [args[i] for i in turn.operands]
    out = list(outputs)
    wanted = [
        j
        for j, o in enumerate(outputs)
        if isinstance(o, Handle) and o._h and not any(o is c for c in ctx._constant)
    ]
    ctx._saved_outputs = {
        k: j for k, t in enumerate(ctx._to_save) for j in wanted if t is outputs[j]
    }
    ctx._to_save = tuple(_pinned(t) for t in ctx._to_save)
    if len(wanted) == 1:
        turn.only = wanted[0]
        made = {wanted[0]: _span(outputs[wanted[0]], operands, turn, ctx._name)}
    elif wanted:
        turn.is_core = True
        core = _span(_number(lib.rnn_dtype(outputs[wanted[0]]._h)), operands, turn, ctx._name)
        made = {
            j: _span(outputs[j], [core, *operands], _Output(turn, j), ctx._name) for j in wanted
        }
    else:
        made = {}
    for j, h in made.items():
        dirty = any(outputs[j] is d for d in ctx._dirty)
        out[j] = _rebound(outputs[j], h) if dirty else h
    ctx._versions = [_version(t) for t in ctx._to_save]
    ctx._dirty = ctx._constant = ()  # the graph holds ctx, which must not hold the graph
    return out


def _span(values: Any, operands: Sequence[Any], turn: Any, name: int) -> Any:
    kept = _c.retain(turn)
    h = lib.rnn_custom(
        E,
        values._h,
        len(operands),
        _c.handles(operands),
        kept,
        name,
        turn.is_core,
    )
    if h < 0:
        if h != _c.EANOMALY:  # then the span is there, with what it keeps: the error shows it
            _c.forget(kept)
        fail(h)
    return adopt(h)


def _rebound(t: Any, made: Any) -> Any:
    """The input that forward wrote in place becomes the output: for all views of it, and of what it
    is a view of."""
    check(lib.rnn_own(E, t._h))
    check(lib.rnn_take_over(E, t._h, check(lib.rnn_alias(E, made._h))))
    return t


# ---- gradients ----------------------------------------------------------------------------------


def _like(o: Any) -> Any:
    """(shape, dtype code or NumPy dtype) of an output, None where it is no tensor."""
    if not isinstance(o, Handle):
        return None
    t: Any = o
    return t._shape, lib.rnn_dtype(t._h) if t._h else t._array.dtype


def _zeros(like: Any) -> Any:
    if like is None:
        return None
    shape, dtype = like
    if isinstance(dtype, int):
        return adopt(check(lib.rnn_full(E, dtype, len(shape), _c.dims(shape), 0.0)))
    import numpy as np

    from rnn.ops._core import wrap

    return wrap(np.zeros(shape, dtype))


def _number(dtype: int) -> Any:
    return adopt(check(lib.rnn_full(E, dtype, 0, ffi.NULL, 0.0)))


def _gradient_of(span: int) -> Any:
    info = ffi.new("rnn_span_info *")
    check(lib.rnn_describe(E, span, info))
    flat = adopt(check(lib.rnn_span_tensor(E, span, 1)))
    return adopt(check(lib.rnn_reshape(E, flat._h, info.ndim, info.shape, 1)))


def _checked(name: str, found: tuple[Any, ...], expected: int) -> tuple[Any, ...]:
    if len(found) > expected and all(g is None for g in found[expected:]):
        found = found[:expected]
    if len(found) != expected:
        raise RuntimeError(
            f"function {name} returned an incorrect number of gradients (expected {expected}, got "
            f"{len(found)})"
        )
    return found


def _fit(name: str, i: int, g: Any, to: Any) -> Any:
    """The gradient in the shape and dtype of its argument: summed over what was broadcast."""
    from rnn.ops._core import as_node

    if g._shape != to._shape:
        shape, n = to._shape, len(to._shape)
        extra = len(g._shape) - n
        if extra < 0 or any(s not in (1, have) for s, have in zip(shape, g._shape[extra:])):
            raise RuntimeError(
                f"Function {name} returned an invalid gradient at index {i} - got {list(g._shape)} "
                f"but expected shape compatible with {list(shape)}"
            )
        dims = [*range(extra), *[extra + d for d in range(n) if shape[d] == 1]]
        g = as_node(g, lib.rnn_dtype(to._h))
        was = lib.rnn_set_resolution(0)
        g = adopt(check(lib.rnn_sum(E, g._h, len(dims), dims, 1, 0))) if dims else g
        lib.rnn_set_resolution(was)
        return adopt(check(lib.rnn_reshape(E, g._h, n, _c.dims(shape), 0)))
    return as_node(g, lib.rnn_dtype(to._h))


def once_differentiable(function: _Callable) -> _Callable:
    """Marks a backward whose results must not be differentiated in turn: where its arguments take
    gradients, trying to is an error (torch.autograd.function.once_differentiable)."""

    @functools.wraps(function)
    def wrapped(ctx: Any, *grads: Any) -> Any:
        was = lib.rnn_set_grad_mode(0)
        try:
            found = function(ctx, *grads)
        finally:
            lib.rnn_set_grad_mode(was)
        if not was or not any(isinstance(g, Handle) and g.requires_grad for g in grads):
            return found
        made = tuple(
            _Once.apply(g.detach().requires_grad_()) if isinstance(g, Handle) and g._h else g
            for g in (found if isinstance(found, tuple) else (found,))
        )
        return made if isinstance(found, tuple) else made[0]

    return wrapped  # type: ignore[return-value]


class _Once(Function):
    """A gradient that cannot be differentiated."""

    @staticmethod
    def forward(ctx: Any, g: Any) -> Any:
        return g.clone()

    @staticmethod
    def backward(ctx: Any, dz: Any) -> Any:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )
