"""Tensor: a view of nodes, with PyTorch's names. Thin: each method is one of rnn/ops, or one call
into C.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from rnn import _c, _dtypes, _repr, autograd, interop, random
from rnn import linalg as systems
from rnn._absent import TensorNames
from rnn._arguments import tensor_methods
from rnn._c import E, Handle, check, gradient_of, lib
from rnn._size import CPU, Size, check_device, device, strided
from rnn.linalg import _older, _triangular
from rnn.ops import (
    _core,
    axes,
    comparison,
    convert,
    counting,
    create,
    elementwise,
    extremes,
    from_data,
    gamma,
    index,
    join,
    linalg,
    masks,
    norms,
    pairs,
    parts,
    reduce,
    scan,
    searching,
    selection,
    sorting,
    triangles,
    trig,
    unary,
    writing,
)
from rnn.ops import gather as rows
from rnn.ops import scatter_reduce as reductions
from rnn.ops import shape as views
from rnn.value import Value, dtype_code

if TYPE_CHECKING:
    from rnn.inspect.explain import Ledger
    from rnn.inspect.node import Node

Bool: TypeAlias = bool  # what Tensor's own `bool`, `int` and `float` hide from its annotations
Int: TypeAlias = int
Float: TypeAlias = float


class Tensor(Handle, TensorNames):  # type: ignore[misc]
    """An n-dimensional tensor; every element of a floating-point one is a node of the graph
    (torch.Tensor).

    Made by rnn.tensor, rnn.zeros, rnn.randn and their kind, and by operations on other tensors.
    """

    __array_priority__ = 1000  # NumPy's operators leave mixed arithmetic to ours
    _h: Int
    _array: Any

    def __new__(cls, *args: Any, device: Any = None) -> Tensor:
        """Tensor(2, 3), Tensor([1, 2]): float32 of sizes or of data, PyTorch's old way; see
        rnn.tensor.
        """
        check_device(device)
        made = from_data.legacy(_dtypes.get_default_dtype(), args)
        if cls is Tensor:
            return made
        self: Tensor = Handle.__new__(cls)
        convert.exchange(self, made)
        return self

    # ---- what it is ------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """Its sizes."""
        return tuple.__new__(Size, self._shape)

    @property
    def ndim(self) -> Int:
        """How many dimensions it has."""
        return len(self._shape)

    @property
    def dtype(self) -> _dtypes.dtype:
        """Its elements' type."""
        return _core.dtype_of(self)

    @property
    def device(self) -> device:
        """Always the CPU."""
        return CPU

    layout = strided
    is_cpu = True
    is_cuda = False
    is_mps = False
    is_meta = False
    is_xpu = False
    is_sparse = False
    is_quantized = False

    @property
    def itemsize(self) -> Int:
        """Bytes of one element."""
        return _core.dtype_of(self).itemsize

    @property
    def nbytes(self) -> Int:
        """Bytes of all elements."""
        return self.numel() * self.itemsize

    def get_device(self) -> Int:
        """-1: the CPU has no number.

        Example:
            >>> rnn.ones(2).get_device()
            -1
        """
        return -1

    def is_shared(self) -> Bool:
        """No: memory is not shared between processes."""
        return False

    def is_pinned(self, device: Any = None) -> Bool:
        """No: there is no device to pin memory for."""
        return False

    def share_memory_(self) -> Tensor:
        """Itself: a process that is forked has a copy of its own (torch.Tensor.share_memory_)."""
        return self

    @property
    def requires_grad(self) -> Bool:
        """Whether backward() computes its gradient; assignable for leaves."""
        return bool(self._h) and bool(lib.rnn_requires_grad(E, self._h))

    @requires_grad.setter
    def requires_grad(self, on: Bool) -> None:
        if not isinstance(on, bool):
            raise RuntimeError("requires_grad must be a bool")
        self.requires_grad_(on)

    def requires_grad_(self, requires_grad: Bool = True) -> Tensor:
        """Asks for gradients (or not), in place.

        Raises:
            RuntimeError: the dtype is not a floating-point one, or it is no leaf.
        """
        if type(requires_grad).__name__ not in ("bool", "bool_"):
            raise TypeError(
                "requires_grad_(): argument 'requires_grad' (position 1) must be bool, not "
                + _core.kind_of(requires_grad)
            )
        if not self._h:
            if requires_grad:
                raise RuntimeError("only Tensors of floating point dtype can require gradients")
            return self
        check(lib.rnn_set_requires_grad(E, self._h, requires_grad))
        if requires_grad:
            autograd.graph.remember_leaf(self)
        return self

    @property
    def is_leaf(self) -> Bool:
        """Whether no recorded operation made it.

        Example:
            >>> w = rnn.ones(1, requires_grad=True)
            >>> w.is_leaf, (2 * w).is_leaf
            (True, False)
        """
        return not self._h or bool(lib.rnn_is_leaf(E, self._h))

    # ---- operators -------------------------------------------------------------------------------
    # + - * / are Handle's, in csrc/operators.c, with elementwise.op_add and its kind behind them.

    if TYPE_CHECKING:

        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...

    __floordiv__ = elementwise.op_floordiv
    __rfloordiv__ = elementwise.op_rfloordiv
    __mod__ = elementwise.op_mod
    __rmod__ = elementwise.op_rmod
    __pow__ = elementwise.op_pow
    __rpow__ = elementwise.op_rpow
    __iadd__ = elementwise.add_
    __isub__ = elementwise.sub_
    __imul__ = elementwise.mul_
    __itruediv__ = elementwise.div_
    __ifloordiv__ = elementwise.floor_divide_
    __imod__ = elementwise.remainder_
    __ipow__ = elementwise.pow_
    __neg__ = unary.neg
    __pos__ = unary.positive
    __abs__ = unary.abs
    __eq__ = comparison.op_eq
    __ne__ = comparison.op_ne
    __lt__ = comparison.op_lt
    __le__ = comparison.op_le
    __gt__ = comparison.op_gt
    __ge__ = comparison.op_ge
    __and__ = comparison.op_and
    __or__ = comparison.op_or
    __xor__ = comparison.op_xor
    __lshift__ = comparison.op_lshift
    __rshift__ = comparison.op_rshift
    __rand__ = comparison.op_and
    __ror__ = comparison.op_or
    __rxor__ = comparison.op_xor
    __rlshift__ = comparison.op_rlshift
    __rrshift__ = comparison.op_rrshift
    __iand__ = comparison.op_iand
    __ior__ = comparison.op_ior
    __ixor__ = comparison.op_ixor
    __ilshift__ = comparison.op_ilshift
    __irshift__ = comparison.op_irshift
    __invert__ = comparison.op_invert

    def __bool__(self) -> Bool:
        """The truth of its one element.

        Raises:
            RuntimeError: there is not exactly one.
        """
        count = self.numel()
        if count != 1:
            how_many = "no values" if count == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {how_many} is ambiguous")
        return Bool(self.item())

    def __reversed__(self) -> Tensor:
        """The first dimension in reverse order, as a tensor; a 0-d tensor is itself."""
        return join.flip(self, 0) if self._shape else self

    def __int__(self) -> Int:
        return Int(self._number())

    def __float__(self) -> Float:
        return Float(self._number())

    def __complex__(self) -> complex:
        return complex(self._number())

    def __index__(self) -> Int:
        """Its one element, of an integer or boolean tensor, as a Python index.

        Raises:
            TypeError: it holds floats, or more than one element.
        """
        if self._h or self.numel() != 1 or self._array.dtype.kind == "f":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return Int(self._array.item())

    def _number(self) -> Any:
        if self.numel() != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.item()

    # ---- elementwise -----------------------------------------------------------------------------

    add = elementwise.add
    sub = elementwise.sub
    mul = elementwise.mul
    div = elementwise.div
    true_divide = elementwise.true_divide
    add_ = elementwise.add_
    sub_ = elementwise.sub_
    mul_ = elementwise.mul_
    div_ = elementwise.div_
    true_divide_ = elementwise.true_divide_
    floor_divide = elementwise.floor_divide
    remainder = elementwise.remainder
    fmod = elementwise.fmod
    pow = elementwise.pow
    float_power = elementwise.float_power
    floor_divide_ = elementwise.floor_divide_
    remainder_ = elementwise.remainder_
    fmod_ = elementwise.fmod_
    pow_ = elementwise.pow_
    maximum = selection.maximum
    minimum = selection.minimum
    fmax = selection.fmax
    fmin = selection.fmin
    clamp = selection.clamp
    clamp_min = selection.clamp_min
    clamp_max = selection.clamp_max
    clip = selection.clip
    clamp_ = selection.clamp_
    clamp_min_ = selection.clamp_min_
    clamp_max_ = selection.clamp_max_
    clip_ = selection.clip_
    lerp = pairs.lerp
    lerp_ = pairs.lerp_
    addcmul = pairs.addcmul
    addcdiv = pairs.addcdiv
    addcmul_ = pairs.addcmul_
    addcdiv_ = pairs.addcdiv_
    atan2 = pairs.atan2
    hypot = pairs.hypot
    logaddexp = pairs.logaddexp
    logaddexp2 = pairs.logaddexp2
    xlogy = pairs.xlogy
    copysign = pairs.copysign
    ldexp = pairs.ldexp
    heaviside = pairs.heaviside
    copy_ = elementwise.copy_
    fill_ = elementwise.fill_
    zero_ = elementwise.zero_
    where = selection.where_of
    arctan2 = pairs.atan2
    greater = comparison.gt
    greater_equal = comparison.ge
    less = comparison.lt
    less_equal = comparison.le
    not_equal = comparison.ne
    is_nonzero = comparison.is_nonzero
    is_same_size = comparison.is_same_size
    absolute_ = unary.abs_
    negative_ = unary.neg_
    fix_ = unary.trunc_
    arcsin_ = trig.asin_
    arccos_ = trig.acos_
    arctan_ = trig.atan_
    arcsinh_ = trig.asinh_
    arccosh_ = trig.acosh_
    arctanh_ = trig.atanh_
    subtract = elementwise.sub
    subtract_ = elementwise.sub_
    multiply = elementwise.mul
    multiply_ = elementwise.mul_
    divide = elementwise.div
    divide_ = elementwise.div_
    exp = unary.exp
    exp_ = unary.exp_
    exp2 = unary.exp2
    exp2_ = unary.exp2_
    expm1 = unary.expm1
    expm1_ = unary.expm1_
    log = unary.log
    log_ = unary.log_
    log2 = unary.log2
    log2_ = unary.log2_
    log10 = unary.log10
    log10_ = unary.log10_
    log1p = unary.log1p
    log1p_ = unary.log1p_
    sqrt = unary.sqrt
    sqrt_ = unary.sqrt_
    rsqrt = unary.rsqrt
    rsqrt_ = unary.rsqrt_
    reciprocal = unary.reciprocal
    reciprocal_ = unary.reciprocal_
    sin = trig.sin
    sin_ = trig.sin_
    cos = trig.cos
    cos_ = trig.cos_
    tan = trig.tan
    tan_ = trig.tan_
    asin = trig.asin
    asin_ = trig.asin_
    acos = trig.acos
    acos_ = trig.acos_
    atan = trig.atan
    atan_ = trig.atan_
    sinh = trig.sinh
    sinh_ = trig.sinh_
    cosh = trig.cosh
    cosh_ = trig.cosh_
    tanh = trig.tanh
    tanh_ = trig.tanh_
    asinh = trig.asinh
    asinh_ = trig.asinh_
    acosh = trig.acosh
    acosh_ = trig.acosh_
    atanh = trig.atanh
    atanh_ = trig.atanh_
    sigmoid = unary.sigmoid
    sigmoid_ = unary.sigmoid_
    erf = unary.erf
    erf_ = unary.erf_
    erfc = unary.erfc
    erfc_ = unary.erfc_
    erfinv = unary.erfinv
    erfinv_ = unary.erfinv_
    frac = unary.frac
    frac_ = unary.frac_
    logit = unary.logit
    sinc = trig.sinc
    deg2rad = trig.deg2rad
    rad2deg = trig.rad2deg
    neg = unary.neg
    neg_ = unary.neg_
    abs = unary.abs
    abs_ = unary.abs_
    sign = unary.sign
    sign_ = unary.sign_
    square = unary.square
    square_ = unary.square_
    relu = unary.relu
    relu_ = unary.relu_
    floor = unary.floor
    floor_ = unary.floor_
    ceil = unary.ceil
    ceil_ = unary.ceil_
    trunc = unary.trunc
    trunc_ = unary.trunc_
    round = unary.round
    round_ = unary.round_
    positive = unary.positive
    nan_to_num = unary.nan_to_num
    nan_to_num_ = unary.nan_to_num_
    negative = unary.negative
    absolute = unary.absolute
    arcsin = trig.arcsin
    arccos = trig.arccos
    arctan = trig.arctan
    arcsinh = trig.arcsinh
    arccosh = trig.arccosh
    arctanh = trig.arctanh
    fix = unary.fix
    sgn = unary.sgn
    eq = comparison.eq
    ne = comparison.ne
    lt = comparison.lt
    le = comparison.le
    gt = comparison.gt
    ge = comparison.ge
    isclose = comparison.isclose
    allclose = comparison.allclose
    equal = comparison.equal
    logical_and = comparison.logical_and
    logical_or = comparison.logical_or
    logical_xor = comparison.logical_xor
    logical_not = comparison.logical_not
    gcd = comparison.gcd
    lcm = comparison.lcm
    bitwise_and = comparison.bitwise_and
    bitwise_or = comparison.bitwise_or
    bitwise_xor = comparison.bitwise_xor
    bitwise_left_shift = comparison.bitwise_left_shift
    bitwise_right_shift = comparison.bitwise_right_shift
    bitwise_not = comparison.bitwise_not
    logical_not_ = comparison.logical_not_
    isnan = comparison.isnan
    isinf = comparison.isinf
    isfinite = comparison.isfinite
    isposinf = comparison.isposinf
    isneginf = comparison.isneginf
    isreal = comparison.isreal
    signbit = comparison.signbit

    # ---- conversions -----------------------------------------------------------------------------

    to = convert.to
    type = convert.type_
    type_as = convert.type_as
    double = convert.double
    float = convert.float_
    long = convert.long
    int = convert.int_
    short = convert.short
    char = convert.char
    byte = convert.byte
    bool = convert.bool_
    half = convert.half
    bfloat16 = convert.bfloat16
    is_floating_point = convert.is_floating_point
    is_complex = convert.is_complex
    is_signed = convert.is_signed
    is_conj = convert.is_conj
    is_neg = convert.is_conj
    conj = convert.conj
    conj_physical = convert.conj
    conj_physical_ = convert.conj
    resolve_conj = convert.conj
    resolve_neg = convert.conj
    real = property(convert.real)
    apply_ = convert.apply_
    map_ = convert.map_
    element_size = convert.element_size
    cpu = convert.cpu
    cuda = convert.cuda
    pin_memory = convert.pin_memory
    data_ptr = convert.data_ptr
    data = property(convert.get_data, convert.set_data)
    detach = convert.detach
    detach_ = convert.detach_
    __copy__ = convert.__copy__
    __deepcopy__ = convert.__deepcopy__
    __reduce_ex__ = convert.__reduce_ex__
    uniform_ = random.uniform_
    normal_ = random.normal_
    random_ = random.random_
    bernoulli = random.bernoulli
    bernoulli_ = random.bernoulli_
    exponential_ = random.exponential_
    cauchy_ = random.cauchy_
    log_normal_ = random.log_normal_
    geometric_ = random.geometric_
    multinomial = random.multinomial
    new = from_data.new
    new_tensor = from_data.new_tensor
    new_zeros = create.new_zeros
    new_ones = create.new_ones
    new_empty = create.new_empty
    new_full = create.new_full

    # ---- reductions, order, counts ---------------------------------------------------------------

    all = reduce.all
    amax = extremes.amax
    amin = extremes.amin
    aminmax = extremes.aminmax
    any = reduce.any
    argmax = extremes.argmax
    argmin = extremes.argmin
    count_nonzero = reduce.count_nonzero
    log_softmax = reduce.log_softmax
    logsumexp = reduce.logsumexp
    max = extremes.max
    mean = reduce.mean
    min = extremes.min
    nanmean = reduce.nanmean
    nansum = reduce.nansum
    prod = reduce.prod
    softmax = reduce.softmax
    std = reduce.std
    sum = reduce.sum
    var = reduce.var
    dist = norms.dist
    norm = norms.norm
    renorm = norms.renorm
    cov = norms.cov
    corrcoef = norms.corrcoef
    cummax = scan.cummax
    cummin = scan.cummin
    cumprod = scan.cumprod
    cumprod_ = scan.cumprod_
    cumsum = scan.cumsum
    cumsum_ = scan.cumsum_
    diff = scan.diff
    logcumsumexp = scan.logcumsumexp
    argsort = sorting.argsort
    argwhere = searching.argwhere
    bincount = counting.bincount
    histc = counting.histc
    histogram = counting.histogram
    kthvalue = sorting.kthvalue
    median = sorting.median
    mode = sorting.mode
    msort = sorting.msort
    nanmedian = sorting.nanmedian
    nanquantile = sorting.nanquantile
    nonzero = searching.nonzero
    quantile = sorting.quantile
    sort = sorting.sort
    topk = sorting.topk
    unique = counting.unique
    unique_consecutive = counting.unique_consecutive

    # ---- gradients -------------------------------------------------------------------------------

    @property
    def grad(self) -> Tensor | None:
        """Its gradient, sharing the memory that backward() adds to, or None. Assignable.

        Example:
            >>> w = rnn.ones(2, requires_grad=True)
            >>> w.grad is None
            True
            >>> (w * 3).sum().backward()
            >>> w.grad
            tensor([3., 3.])
        """
        if not self._h:
            return None
        numbers = gradient_of(self)
        return None if numbers is None else autograd.linked.found(self, numbers)

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(
                "assigned grad expected to be a Tensor or None but got grad of type "
                + _core.kind_of(value)
            )
        if not self._h:
            if value is not None:
                raise RuntimeError("a tensor that is not floating-point has no grad")
            return
        code = lib.rnn_set_grad(E, self._h, value._h if value is not None else 0)
        if code == _c.EDTYPE:
            raise RuntimeError("assigned grad has data of a different type")
        check(code)
        autograd.linked.put(self, value)

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: Bool | None = None,
        create_graph: Bool = False,
        inputs: Any = None,
    ) -> None:
        """Adds the gradient of this tensor to every leaf that it was made from
        (torch.Tensor.backward).

        Args:
            gradient: the gradient to start from, of this tensor's shape; one-element tensors need
                none. retain_graph: keep the graph for another pass. create_graph: .grad is part of
                the graph, and can be differentiated in turn.

        Raises:
            RuntimeError: it requires no gradient, its graph was freed, or a needed value was
                overwritten.

        Example:
            >>> x = rnn.tensor([1.0, 2.0], requires_grad=True)
            >>> (x * x).sum().backward()
            >>> x.grad
            tensor([2., 4.])
        """
        autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    grad_fn = property(autograd.graph.grad_fn)
    register_hook = autograd.hooks.register_hook
    register_post_accumulate_grad_hook = autograd.hooks.register_post_accumulate_grad_hook
    retain_grad = autograd.hooks.retain_grad

    @property
    def retains_grad(self) -> Bool:
        """Whether retain_grad was called on a tensor that is no leaf."""
        return Bool(self._h) and Bool(lib.rnn_retains_grad(E, self._h))

    def is_inference(self) -> Bool:
        """Whether inference_mode made it, or what it is a view of (torch.Tensor.is_inference);
        False for integers and booleans, whose use is not restricted.

        Example:
            >>> with rnn.inference_mode():
            ...     rnn.ones(1).is_inference()
            True
        """
        return Bool(self._h) and Bool(lib.rnn_is_inference(E, self._h))

    # ---- to Python and NumPy ---------------------------------------------------------------------

    item = convert.item
    tolist = convert.tolist
    numpy = convert.numpy
    to_torch = interop.to_torch
    __array__ = convert.__array__
    __array_wrap__ = convert.__array_wrap__
    __dlpack__ = convert.__dlpack__
    __dlpack_device__ = convert.__dlpack_device__
    __format__ = convert.__format__

    def value(self, *index: Int) -> Value:
        """The node of one element as a Value: the same node.

        Args:
            index: an int per dimension.

        Raises:
            IndexError: the index is out of range, or has another length than the shape.
            TypeError: the tensor is not floating-point.

        Example:
            >>> x = rnn.tensor([1.0, 2.0], requires_grad=True)
            >>> (x * x).sum().backward()
            >>> x.value(1).data, x.value(1).grad
            (2.0, 4.0)
        """
        shape = self._shape
        if not self._h:
            raise TypeError("elements of integer and boolean tensors are not nodes")
        if len(index) != len(shape):
            raise IndexError(
                f"value() takes {len(shape)} indices for shape {list(shape)}, not {len(index)}"
            )
        position = 0
        for i, (at, size) in enumerate(zip(map(operator.index, index), shape)):
            if not -size <= at < size:
                raise IndexError(f"index {at} is out of bounds for dimension {i} with size {size}")
            position = position * size + at % size
        return _c.value_at(self._h, position)

    def node(self, *index: Int) -> Node:
        """One element as a Node of rnn.inspect: its operands, local derivatives, users, line.

        Args:
            index: an int per dimension; none where there is one element.

        Raises:
            IndexError: the index is out of range, or has another length than the shape.
            TypeError: the tensor is not floating-point.

        Example:
            >>> x = rnn.tensor([1.0, 2.0], requires_grad=True)
            >>> [(edge.node.value, edge.local) for edge in (x * 3).node(1).operands]
            [(2.0, 3.0)]
        """
        from rnn.inspect.graph import Living, node_of
        from rnn.inspect.names import find_names

        return node_of(self, index, Living(find_names(None, None, sys._getframe(1))))

    def explain(
        self, loss: Tensor | Value, depth: Int = 1, *, index: Sequence[Int] | None = None
    ) -> Ledger:
        """Why d loss / d self is what it is: rnn.inspect.explain(self, loss), of one element.

        Args:
            loss: a one-element Tensor or a Value whose graph is kept (retain_graph=True).
            depth: how far the ledger's `children` go.
            index: which element, where there are several.

        Example:
            >>> w = rnn.tensor([1.0, 2.0], requires_grad=True)
            >>> [(e.user.op, e.contribution) for e in w[1].explain((w * w).sum())]
            [('mul', 2.0), ('mul', 2.0)]
        """
        from rnn.inspect.explain import explained

        return explained(self, loss, depth, index, (None, None, sys._getframe(1)))

    def graph_size(self) -> Int:
        """How many scalar nodes are behind this tensor, its own included.

        Example:
            >>> x = rnn.ones(3, requires_grad=True)
            >>> (x * 2).sum().graph_size()
            7
        """
        return int(check(lib.rnn_graph_size(E, 1, [self._h]))) if self._h else 0

    def __repr__(self) -> str:
        return _repr.tensor_repr(
            _core.array_of(self), self.dtype, self.requires_grad, self._grad_fn_name()
        )

    def _grad_fn_name(self) -> str | None:
        return autograd.graph.grad_fn_name(self)

    # ---- shape: views of the same memory ---------------------------------------------------------

    size = views.size
    stride = views.stride
    storage_offset = views.storage_offset
    numel = views.numel
    nelement = views.numel
    dim = views.dim
    ndimension = views.dim
    is_contiguous = views.is_contiguous
    contiguous = views.contiguous
    view = views.view
    view_as = views.view_as
    reshape = views.reshape
    reshape_as = views.reshape_as
    ravel = views.ravel
    flatten = views.flatten
    unflatten = views.unflatten
    transpose = axes.transpose
    transpose_ = axes.transpose_
    swapaxes = axes.transpose
    swapdims = axes.transpose
    swapaxes_ = axes.transpose_
    swapdims_ = axes.transpose_
    permute = axes.permute
    movedim = axes.movedim
    moveaxis = axes.movedim
    t = axes.t
    t_ = axes.t_
    T = property(axes.numpy_T)
    mT = property(axes.matrix_transpose)
    mH = property(axes.matrix_transpose)
    H = property(axes.hermitian)
    adjoint = axes.matrix_transpose
    squeeze = views.squeeze
    squeeze_ = views.squeeze_
    unsqueeze = views.unsqueeze
    unsqueeze_ = views.unsqueeze_
    expand = views.expand
    expand_as = views.expand_as
    sum_to_size = views.sum_to_size
    broadcast_to = views.broadcast_to
    select = parts.select
    narrow = parts.narrow
    unbind = parts.unbind
    split = parts.split
    split_with_sizes = parts.split_with_sizes
    chunk = parts.chunk
    tensor_split = parts.tensor_split
    hsplit = parts.hsplit
    vsplit = parts.vsplit
    dsplit = parts.dsplit
    diagonal = parts.diagonal
    as_strided = parts.as_strided
    unfold = parts.unfold
    resize_ = views.resize_
    clone = views.clone

    # ---- index: parts, read and written ----------------------------------------------------------

    __getitem__ = index.getitem
    __setitem__ = index.setitem
    __len__ = index.length
    __iter__ = index.iterate
    __contains__ = index.contains

    def __delitem__(self, index: Any) -> None:
        raise TypeError("Tensor does not support deleting items")

    index_put = index.index_put
    index_put_ = index.index_put_
    masked_fill = masks.masked_fill
    masked_fill_ = masks.masked_fill_
    masked_select = rows.masked_select
    masked_scatter = rows.masked_scatter
    masked_scatter_ = rows.masked_scatter_
    gather = rows.gather
    take_along_dim = rows.take_along_dim
    scatter = rows.scatter
    scatter_ = rows.scatter_
    scatter_add = rows.scatter_add
    scatter_add_ = rows.scatter_add_
    scatter_reduce = reductions.scatter_reduce
    scatter_reduce_ = reductions.scatter_reduce_
    index_reduce = reductions.index_reduce
    index_reduce_ = reductions.index_reduce_
    index_select = rows.index_select
    index_add = rows.index_add
    index_add_ = rows.index_add_
    index_copy = rows.index_copy
    index_copy_ = rows.index_copy_
    index_fill = rows.index_fill
    index_fill_ = rows.index_fill_
    take = rows.take
    put = rows.put
    put_ = rows.put_

    # ---- join: repeated, turned, cut to triangles ------------------------------------------------

    repeat = join.repeat
    tile = join.tile
    repeat_interleave = join.repeat_interleave
    flip = join.flip
    fliplr = join.fliplr
    flipud = join.flipud
    roll = join.roll
    rot90 = join.rot90
    tril = triangles.tril
    tril_ = triangles.tril_
    triu = triangles.triu
    triu_ = triangles.triu_
    diag = triangles.diag
    diag_embed = triangles.diag_embed
    diagflat = triangles.diagflat
    trace = triangles.trace

    # ---- linalg: products ------------------------------------------------------------------------

    __matmul__ = linalg.matmul_operator
    __rmatmul__ = linalg.rmatmul_operator
    matmul = linalg.matmul
    mm = linalg.mm
    bmm = linalg.bmm
    mv = linalg.mv
    dot = linalg.dot
    vdot = linalg.vdot
    inner = linalg.inner
    outer = linalg.outer
    ger = linalg.outer
    kron = linalg.kron
    cross = linalg.cross
    addmm = linalg.addmm
    addmv = linalg.addmv
    addr = linalg.addr
    addbmm = linalg.addbmm
    baddbmm = linalg.baddbmm
    matrix_power = linalg.matrix_power
    inverse = systems.inv
    pinverse = _older.pinverse
    det = systems.det
    logdet = systems.logdet
    lgamma = gamma.lgamma
    lgamma_ = gamma.lgamma_
    digamma = gamma.digamma
    digamma_ = gamma.digamma_
    polygamma = gamma.polygamma_of
    polygamma_ = gamma.polygamma_
    mvlgamma = gamma.mvlgamma
    mvlgamma_ = gamma.mvlgamma_
    slogdet = _older.slogdet
    cholesky = _older.cholesky
    cholesky_solve = _triangular.cholesky_solve
    cholesky_inverse = _triangular.cholesky_inverse
    triangular_solve = _older.triangular_solve
    svd = _older.svd
    qr = _older.qr
    lu = _older.lu
    lu_solve = _older.lu_solve
    matrix_exp = systems.matrix_exp

    # ---- writing: in-place forms of what stands above --------------------------------------------

    eq_ = writing.eq_
    ne_ = writing.ne_
    lt_ = writing.lt_
    le_ = writing.le_
    gt_ = writing.gt_
    ge_ = writing.ge_
    logical_and_ = writing.logical_and_
    logical_or_ = writing.logical_or_
    logical_xor_ = writing.logical_xor_
    bitwise_and_ = writing.bitwise_and_
    bitwise_or_ = writing.bitwise_or_
    bitwise_xor_ = writing.bitwise_xor_
    bitwise_left_shift_ = writing.bitwise_left_shift_
    bitwise_right_shift_ = writing.bitwise_right_shift_
    bitwise_not_ = writing.bitwise_not_
    gcd_ = writing.gcd_
    lcm_ = writing.lcm_
    atan2_ = writing.atan2_
    hypot_ = writing.hypot_
    xlogy_ = writing.xlogy_
    copysign_ = writing.copysign_
    ldexp_ = writing.ldexp_
    heaviside_ = writing.heaviside_
    float_power_ = writing.float_power_
    logit_ = writing.logit_
    sinc_ = writing.sinc_
    deg2rad_ = writing.deg2rad_
    rad2deg_ = writing.rad2deg_
    renorm_ = writing.renorm_
    addmm_ = writing.addmm_
    addmv_ = writing.addmv_
    addr_ = writing.addr_
    addbmm_ = writing.addbmm_
    baddbmm_ = writing.baddbmm_
    fill_diagonal_ = writing.fill_diagonal_
    arctan2_ = writing.atan2_
    greater_ = writing.gt_
    greater_equal_ = writing.ge_
    less_ = writing.lt_
    less_equal_ = writing.le_
    not_equal_ = writing.ne_
    sgn_ = unary.sign_

    __hash__ = object.__hash__


tensor_methods(Tensor)
_core.set_tensor_class(Tensor)
_c.register_classes(Tensor, Value, dtype_code)
