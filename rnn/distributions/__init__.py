"""rnn.distributions: what policies and generative models sample from, under PyTorch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from rnn import _config
from rnn.distributions import constraints as constraints
from rnn.distributions import kl as kl
from rnn.distributions import transforms as transforms
from rnn.distributions.bernoulli import Bernoulli as Bernoulli
from rnn.distributions.categorical import Categorical as Categorical
from rnn.distributions.distribution import Distribution as Distribution
from rnn.distributions.exponential import Exponential as Exponential
from rnn.distributions.independent import Independent as Independent
from rnn.distributions.kl import kl_divergence as kl_divergence
from rnn.distributions.kl import register_kl as register_kl
from rnn.distributions.laplace import Laplace as Laplace
from rnn.distributions.mixture_same_family import MixtureSameFamily as MixtureSameFamily
from rnn.distributions.multivariate_normal import MultivariateNormal as MultivariateNormal
from rnn.distributions.normal import Normal as Normal
from rnn.distributions.one_hot_categorical import (
    OneHotCategorical as OneHotCategorical,
)
from rnn.distributions.one_hot_categorical import (
    OneHotCategoricalStraightThrough as OneHotCategoricalStraightThrough,
)
from rnn.distributions.one_hot_categorical import (
    RelaxedOneHotCategorical as RelaxedOneHotCategorical,
)
from rnn.distributions.transformed_distribution import Gumbel as Gumbel
from rnn.distributions.transformed_distribution import HalfNormal as HalfNormal
from rnn.distributions.transformed_distribution import LogNormal as LogNormal
from rnn.distributions.transformed_distribution import (
    TransformedDistribution as TransformedDistribution,
)
from rnn.distributions.transforms import AbsTransform as AbsTransform
from rnn.distributions.transforms import AffineTransform as AffineTransform
from rnn.distributions.transforms import ComposeTransform as ComposeTransform
from rnn.distributions.transforms import ExpTransform as ExpTransform
from rnn.distributions.transforms import PowerTransform as PowerTransform
from rnn.distributions.transforms import SigmoidTransform as SigmoidTransform
from rnn.distributions.transforms import SoftplusTransform as SoftplusTransform
from rnn.distributions.transforms import TanhTransform as TanhTransform
from rnn.distributions.transforms import Transform as Transform
from rnn.distributions.uniform import Uniform as Uniform

if not _TYPE_CHECKING:

    def __getattr__(name: str) -> _Any:
        raise _config.absent(__name__, name)
