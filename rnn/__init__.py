"""rnn: a scalar autograd engine. Every number is a node; PyTorch's names."""

from rnn import autograd as autograd
from rnn._dtypes import bool_ as bool  # noqa: A004
from rnn._dtypes import float32 as float32
from rnn._dtypes import float64 as float64
from rnn._dtypes import int64 as int64
from rnn._size import Size as Size
from rnn._size import device as device
from rnn.resolution import get_resolution as get_resolution
from rnn.resolution import resolution as resolution
from rnn.resolution import set_resolution as set_resolution
from rnn.tensor import Tensor as Tensor
from rnn.value import Value as Value

__version__ = "0.1.0"
