"""torch.backends' probes: which libraries and devices there are, and switches that programs set."""

from rnn.backends import cpu as cpu
from rnn.backends import cuda as cuda
from rnn.backends import cudnn as cudnn
from rnn.backends import mkl as mkl
from rnn.backends import mkldnn as mkldnn
from rnn.backends import mps as mps
from rnn.backends import openmp as openmp
