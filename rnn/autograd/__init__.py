"""Autograd: backward passes, gradients of chosen tensors, grad mode, hooks, custom functions
(torch.autograd)."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from rnn import _config
from rnn.autograd import functional as functional
from rnn.autograd import graph as graph
from rnn.autograd import hooks as hooks
from rnn.autograd import linked as linked
from rnn.autograd.anomaly_mode import AnomalyError as AnomalyError
from rnn.autograd.anomaly_mode import detect_anomaly as detect_anomaly
from rnn.autograd.anomaly_mode import set_detect_anomaly as set_detect_anomaly
from rnn.autograd.function import Function as Function
from rnn.autograd.gradcheck import GradcheckError as GradcheckError
from rnn.autograd.gradcheck import gradcheck as gradcheck
from rnn.autograd.gradcheck import gradgradcheck as gradgradcheck
from rnn.autograd.modes import enable_grad as enable_grad
from rnn.autograd.modes import inference_mode as inference_mode
from rnn.autograd.modes import is_grad_enabled as is_grad_enabled
from rnn.autograd.modes import is_inference_mode_enabled as is_inference_mode_enabled
from rnn.autograd.modes import no_grad as no_grad
from rnn.autograd.modes import set_grad_enabled as set_grad_enabled
from rnn.autograd.passes import backward as backward
from rnn.autograd.passes import backward_value as backward_value
from rnn.autograd.passes import grad as grad
from rnn.autograd.variable import Variable as Variable

if not _TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> _Any:
        raise _config.absent(__name__, name)
