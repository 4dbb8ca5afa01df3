"""Functions of functions: derivatives, maps, modules as functions (torch.func).

They nest: grad(grad(f)) is a second derivative, vmap(grad(f)) a gradient for each sample.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from rnn import _config
from rnn.func.derivatives import grad as grad
from rnn.func.derivatives import grad_and_value as grad_and_value
from rnn.func.derivatives import hessian as hessian
from rnn.func.derivatives import jacfwd as jacfwd
from rnn.func.derivatives import jacrev as jacrev
from rnn.func.derivatives import jvp as jvp
from rnn.func.derivatives import vjp as vjp
from rnn.func.maps import vmap as vmap
from rnn.func.modules import functional_call as functional_call
from rnn.func.modules import stack_module_state as stack_module_state

if not _TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> _Any:
        raise _config.absent(__name__, name)
