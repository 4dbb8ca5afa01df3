"""rnn: a scalar autograd engine. Every number is a node; PyTorch's names."""

from math import e as e
from math import inf as inf
from math import nan as nan
from math import pi as pi

from rnn import autograd as autograd
from rnn._dtypes import bfloat16 as bfloat16
from rnn._dtypes import bool_ as bool  # noqa: F401
from rnn._dtypes import can_cast as can_cast
from rnn._dtypes import dtype as dtype
from rnn._dtypes import finfo as finfo
from rnn._dtypes import float16 as float16
from rnn._dtypes import float16 as half  # noqa: F401
from rnn._dtypes import float32 as float  # noqa: F401
from rnn._dtypes import float32 as float32
from rnn._dtypes import float64 as double  # noqa: F401
from rnn._dtypes import float64 as float64
from rnn._dtypes import get_default_dtype as get_default_dtype
from rnn._dtypes import iinfo as iinfo
from rnn._dtypes import int8 as int8
from rnn._dtypes import int16 as int16
from rnn._dtypes import int16 as short  # noqa: F401
from rnn._dtypes import int32 as int  # noqa: F401
from rnn._dtypes import int32 as int32
from rnn._dtypes import int64 as int64
from rnn._dtypes import int64 as long  # noqa: F401
from rnn._dtypes import promote_types as promote_types
from rnn._dtypes import set_default_dtype as set_default_dtype
from rnn._dtypes import uint8 as uint8
from rnn._repr import set_printoptions as set_printoptions
from rnn._size import Size as Size
from rnn._size import channels_last as channels_last
from rnn._size import contiguous_format as contiguous_format
from rnn._size import device as device
from rnn._size import layout as layout
from rnn._size import memory_format as memory_format
from rnn._size import preserve_format as preserve_format
from rnn._size import strided as strided
from rnn.ops._core import is_tensor as is_tensor
from rnn.ops._core import result_dtype as result_type  # noqa: F401
from rnn.ops.convert import is_complex as is_complex
from rnn.ops.convert import is_floating_point as is_floating_point
from rnn.ops.create import arange as arange
from rnn.ops.create import empty as empty
from rnn.ops.create import empty_like as empty_like
from rnn.ops.create import empty_strided as empty_strided
from rnn.ops.create import eye as eye
from rnn.ops.create import full as full
from rnn.ops.create import full_like as full_like
from rnn.ops.create import linspace as linspace
from rnn.ops.create import logspace as logspace
from rnn.ops.create import ones as ones
from rnn.ops.create import ones_like as ones_like
from rnn.ops.create import range as range
from rnn.ops.create import scalar_tensor as scalar_tensor
from rnn.ops.create import zeros as zeros
from rnn.ops.create import zeros_like as zeros_like
from rnn.ops.from_data import BoolTensor as BoolTensor
from rnn.ops.from_data import ByteTensor as ByteTensor
from rnn.ops.from_data import CharTensor as CharTensor
from rnn.ops.from_data import DoubleTensor as DoubleTensor
from rnn.ops.from_data import FloatTensor as FloatTensor
from rnn.ops.from_data import IntTensor as IntTensor
from rnn.ops.from_data import LongTensor as LongTensor
from rnn.ops.from_data import ShortTensor as ShortTensor
from rnn.ops.from_data import as_tensor as as_tensor
from rnn.ops.from_data import asarray as asarray
from rnn.ops.from_data import from_dlpack as from_dlpack
from rnn.ops.from_data import from_numpy as from_numpy
from rnn.ops.from_data import frombuffer as frombuffer
from rnn.ops.from_data import tensor as _tensor
from rnn.resolution import get_resolution as get_resolution
from rnn.resolution import resolution as resolution
from rnn.resolution import set_resolution as set_resolution
from rnn.tensor import Tensor as Tensor
from rnn.value import Value as Value

tensor = _tensor  # the function; the module rnn.tensor has had this name until here
newaxis = None
__version__ = "0.1.0"
