"""torch.backends' probes: which libraries and devices there are, and switches that programs set."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from rnn import _config
from rnn.backends import cpu as cpu
from rnn.backends import cuda as cuda
from rnn.backends import cudnn as cudnn
from rnn.backends import mkl as mkl
from rnn.backends import mkldnn as mkldnn
from rnn.backends import mps as mps
from rnn.backends import openmp as openmp

if not _TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> _Any:
        raise _config.absent(__name__, name)
