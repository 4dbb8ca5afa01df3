"""torch.special: special functions under SciPy's names; most are functions of rnn by another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import rnn
from rnn import _config
from rnn._arguments import tensor_functions as _tensor_functions
from rnn.ops import _core
from rnn.ops.gamma import digamma as digamma
from rnn.ops.gamma import digamma as psi  # noqa: F401
from rnn.ops.gamma import lgamma as gammaln  # noqa: F401
from rnn.ops.gamma import mvlgamma as multigammaln  # noqa: F401
from rnn.ops.gamma import polygamma as polygamma
from rnn.ops.pairs import xlogy as xlogy
from rnn.ops.reduce import log_softmax as log_softmax
from rnn.ops.reduce import logsumexp as logsumexp
from rnn.ops.reduce import softmax as softmax
from rnn.ops.trig import sinc as sinc
from rnn.ops.unary import erf as erf
from rnn.ops.unary import erfc as erfc
from rnn.ops.unary import erfinv as erfinv
from rnn.ops.unary import exp2 as exp2
from rnn.ops.unary import expm1 as expm1
from rnn.ops.unary import log1p as log1p
from rnn.ops.unary import logit as logit
from rnn.ops.unary import round as round
from rnn.ops.unary import sigmoid as expit  # noqa: F401

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def entr(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """-x log x; 0 at 0, -inf below (torch.special.entr).

    Example:
        >>> rnn.special.entr(rnn.tensor([0.0, 0.5, -1.0]))
        tensor([0.0000, 0.3466,   -inf])
    """
    made = xlogy(input, input).neg().add(0.0).masked_fill(input < 0, -math.inf)
    return _core.view_as_result(made, out)


def ndtr(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The standard Gaussian's cumulative distribution function (torch.special.ndtr).

    Example:
        >>> rnn.special.ndtr(rnn.tensor([0.0, 1.96]))
        tensor([0.5000, 0.9750])
    """
    made = erfc(input * -math.sqrt(0.5)) / 2
    return _core.view_as_result(made, out)


def ndtri(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of ndtr: infinite at 0 and 1, NaN beyond (torch.special.ndtri).

    Example:
        >>> rnn.special.ndtri(rnn.tensor([0.5, 0.975]))
        tensor([0.0000, 1.9600])
    """
    made = erfinv(input * 2 - 1) * math.sqrt(2)
    return _core.view_as_result(made, out)


def xlog1py(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input * log1p(other), and 0 where input is 0 (torch.special.xlog1py).

    Example:
        >>> rnn.special.xlog1py(rnn.tensor([0.0, 2.0]), rnn.tensor([-1.0, 1.0]))
        tensor([0.0000, 1.3863])
    """
    x = input if isinstance(input, rnn.Tensor) else rnn.tensor(input)
    y = other if isinstance(other, rnn.Tensor) else rnn.tensor(other)
    nothing = (x == 0) & ~y.isnan()
    made = (x * log1p(y.masked_fill(nothing, 0))).masked_fill(nothing, 0)
    return _core.view_as_result(made, out)


if not TYPE_CHECKING:  # type checkers are to see what is absent
    _tensor_functions(globals())

    def __getattr__(name: str) -> Any:
        raise _config.absent(__name__, name)
