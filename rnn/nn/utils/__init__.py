"""What is done to whole lists of parameters, and sequences of several lengths (torch.nn.utils)."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from rnn import _config
from rnn.nn.utils import parametrizations as parametrizations
from rnn.nn.utils import parametrize as parametrize
from rnn.nn.utils import prune as prune
from rnn.nn.utils import rnn as rnn
from rnn.nn.utils.clip_grad import clip_grad_norm as clip_grad_norm
from rnn.nn.utils.clip_grad import clip_grad_norm_ as clip_grad_norm_
from rnn.nn.utils.clip_grad import clip_grad_value_ as clip_grad_value_
from rnn.nn.utils.clip_grad import clip_grads_with_norm_ as clip_grads_with_norm_
from rnn.nn.utils.clip_grad import get_total_norm as get_total_norm
from rnn.nn.utils.convert_parameters import parameters_to_vector as parameters_to_vector
from rnn.nn.utils.convert_parameters import vector_to_parameters as vector_to_parameters
from rnn.nn.utils.init import skip_init as skip_init
from rnn.nn.utils.spectral_norm import remove_spectral_norm as remove_spectral_norm
from rnn.nn.utils.spectral_norm import spectral_norm as spectral_norm
from rnn.nn.utils.weight_norm import remove_weight_norm as remove_weight_norm
from rnn.nn.utils.weight_norm import weight_norm as weight_norm

if not _TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> _Any:
        raise _config.absent(__name__, name)
