"""Optimizers and learning-rate schedules (torch.optim)."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from rnn import _config
from rnn.optim import lr_scheduler as lr_scheduler
from rnn.optim import swa_utils as swa_utils
from rnn.optim.adagrad import Adadelta as Adadelta
from rnn.optim.adagrad import Adagrad as Adagrad
from rnn.optim.adagrad import RMSprop as RMSprop
from rnn.optim.adam import Adam as Adam
from rnn.optim.adam import Adamax as Adamax
from rnn.optim.adam import AdamW as AdamW
from rnn.optim.adam import NAdam as NAdam
from rnn.optim.adam import RAdam as RAdam
from rnn.optim.composed import ASGD as ASGD
from rnn.optim.composed import Rprop as Rprop
from rnn.optim.lbfgs import LBFGS as LBFGS
from rnn.optim.optimizer import Optimizer as Optimizer
from rnn.optim.sgd import SGD as SGD

if not _TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> _Any:
        raise _config.absent(__name__, name)
