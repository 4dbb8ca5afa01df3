"""rnn.distributions: what policies and generative models sample from, under PyTorch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from rnn import _config
from rnn.distributions import constraints as constraints
from rnn.distributions import kl as kl
from rnn.distributions.bernoulli import Bernoulli as Bernoulli
from rnn.distributions.categorical import Categorical as Categorical
from rnn.distributions.distribution import Distribution as Distribution
from rnn.distributions.independent import Independent as Independent
from rnn.distributions.kl import kl_divergence as kl_divergence
from rnn.distributions.kl import register_kl as register_kl
from rnn.distributions.normal import Normal as Normal
from rnn.distributions.uniform import Uniform as Uniform

if not _TYPE_CHECKING:

    def __getattr__(name: str) -> _Any:
        raise _config.absent(__name__, name)
