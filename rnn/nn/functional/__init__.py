"""Layers and losses as functions (torch.nn.functional). One concept a file; this one only names
them all.

Where C has a fused kernel, a function is one span; its scalar resolution is the composition that
stands beside it.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from rnn import _config
from rnn._arguments import tensor_functions as _tensor_functions
from rnn.nn.functional.activation import gumbel_softmax as gumbel_softmax
from rnn.nn.functional.activation import log_softmax as log_softmax
from rnn.nn.functional.activation import relu as relu
from rnn.nn.functional.activation import rrelu as rrelu
from rnn.nn.functional.activation import rrelu_ as rrelu_
from rnn.nn.functional.activation import softmax as softmax
from rnn.nn.functional.activation import softmin as softmin
from rnn.nn.functional.adaptive_pool import adaptive_avg_pool1d as adaptive_avg_pool1d
from rnn.nn.functional.adaptive_pool import adaptive_avg_pool2d as adaptive_avg_pool2d
from rnn.nn.functional.adaptive_pool import adaptive_avg_pool3d as adaptive_avg_pool3d
from rnn.nn.functional.adaptive_pool import adaptive_max_pool1d as adaptive_max_pool1d
from rnn.nn.functional.adaptive_pool import adaptive_max_pool2d as adaptive_max_pool2d
from rnn.nn.functional.adaptive_pool import adaptive_max_pool3d as adaptive_max_pool3d
from rnn.nn.functional.attention import multi_head_attention_forward as multi_head_attention_forward
from rnn.nn.functional.attention import scaled_dot_product_attention as scaled_dot_product_attention
from rnn.nn.functional.class_loss import cross_entropy as cross_entropy
from rnn.nn.functional.class_loss import nll_loss as nll_loss
from rnn.nn.functional.conv import conv1d as conv1d
from rnn.nn.functional.conv import conv2d as conv2d
from rnn.nn.functional.conv import conv_transpose1d as conv_transpose1d
from rnn.nn.functional.conv import conv_transpose2d as conv_transpose2d
from rnn.nn.functional.conv import fold as fold
from rnn.nn.functional.conv import unfold as unfold
from rnn.nn.functional.ctc import ctc_loss as ctc_loss
from rnn.nn.functional.distance import cosine_similarity as cosine_similarity
from rnn.nn.functional.distance import pairwise_distance as pairwise_distance
from rnn.nn.functional.distance import pdist as pdist
from rnn.nn.functional.dropout import alpha_dropout as alpha_dropout
from rnn.nn.functional.dropout import dropout as dropout
from rnn.nn.functional.dropout import dropout1d as dropout1d
from rnn.nn.functional.dropout import dropout2d as dropout2d
from rnn.nn.functional.dropout import dropout3d as dropout3d
from rnn.nn.functional.dropout import feature_alpha_dropout as feature_alpha_dropout
from rnn.nn.functional.embedding import embedding as embedding
from rnn.nn.functional.embedding import embedding_bag as embedding_bag
from rnn.nn.functional.grid import affine_grid as affine_grid
from rnn.nn.functional.grid import grid_sample as grid_sample
from rnn.nn.functional.linear import bilinear as bilinear
from rnn.nn.functional.linear import linear as linear
from rnn.nn.functional.linear_cross_entropy import linear_cross_entropy as linear_cross_entropy
from rnn.nn.functional.loss import binary_cross_entropy as binary_cross_entropy
from rnn.nn.functional.loss import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
)
from rnn.nn.functional.loss import gaussian_nll_loss as gaussian_nll_loss
from rnn.nn.functional.loss import huber_loss as huber_loss
from rnn.nn.functional.loss import kl_div as kl_div
from rnn.nn.functional.loss import l1_loss as l1_loss
from rnn.nn.functional.loss import mse_loss as mse_loss
from rnn.nn.functional.loss import poisson_nll_loss as poisson_nll_loss
from rnn.nn.functional.loss import smooth_l1_loss as smooth_l1_loss
from rnn.nn.functional.margin_loss import cosine_embedding_loss as cosine_embedding_loss
from rnn.nn.functional.margin_loss import hinge_embedding_loss as hinge_embedding_loss
from rnn.nn.functional.margin_loss import margin_ranking_loss as margin_ranking_loss
from rnn.nn.functional.margin_loss import multi_margin_loss as multi_margin_loss
from rnn.nn.functional.margin_loss import multilabel_margin_loss as multilabel_margin_loss
from rnn.nn.functional.margin_loss import multilabel_soft_margin_loss as multilabel_soft_margin_loss
from rnn.nn.functional.margin_loss import soft_margin_loss as soft_margin_loss
from rnn.nn.functional.margin_loss import triplet_margin_loss as triplet_margin_loss
from rnn.nn.functional.margin_loss import (
    triplet_margin_with_distance_loss as triplet_margin_with_distance_loss,
)
from rnn.nn.functional.norm import batch_norm as batch_norm
from rnn.nn.functional.norm import group_norm as group_norm
from rnn.nn.functional.norm import instance_norm as instance_norm
from rnn.nn.functional.norm import layer_norm as layer_norm
from rnn.nn.functional.norm import local_response_norm as local_response_norm
from rnn.nn.functional.norm import normalize as normalize
from rnn.nn.functional.norm import rms_norm as rms_norm
from rnn.nn.functional.pad import channel_shuffle as channel_shuffle
from rnn.nn.functional.pad import interpolate as interpolate
from rnn.nn.functional.pad import pad as pad
from rnn.nn.functional.pad import pixel_shuffle as pixel_shuffle
from rnn.nn.functional.pad import pixel_unshuffle as pixel_unshuffle
from rnn.nn.functional.pad import upsample as upsample
from rnn.nn.functional.pool import avg_pool1d as avg_pool1d
from rnn.nn.functional.pool import avg_pool2d as avg_pool2d
from rnn.nn.functional.pool import lp_pool1d as lp_pool1d
from rnn.nn.functional.pool import lp_pool2d as lp_pool2d
from rnn.nn.functional.pool import max_pool1d as max_pool1d
from rnn.nn.functional.pool import max_pool2d as max_pool2d
from rnn.nn.functional.pool import max_pool2d_with_indices as max_pool2d_with_indices
from rnn.nn.functional.pool import max_unpool1d as max_unpool1d
from rnn.nn.functional.pool import max_unpool2d as max_unpool2d
from rnn.nn.functional.volume import avg_pool3d as avg_pool3d
from rnn.nn.functional.volume import conv3d as conv3d
from rnn.nn.functional.volume import conv_transpose3d as conv_transpose3d
from rnn.nn.functional.volume import max_pool3d as max_pool3d
from rnn.nn.functional.volume import max_pool3d_with_indices as max_pool3d_with_indices
from rnn.ops.activation import celu as celu
from rnn.ops.activation import celu_ as celu_
from rnn.ops.activation import elu as elu
from rnn.ops.activation import elu_ as elu_
from rnn.ops.activation import gelu as gelu
from rnn.ops.activation import glu as glu
from rnn.ops.activation import hardshrink as hardshrink
from rnn.ops.activation import hardsigmoid as hardsigmoid
from rnn.ops.activation import hardswish as hardswish
from rnn.ops.activation import hardtanh as hardtanh
from rnn.ops.activation import hardtanh_ as hardtanh_
from rnn.ops.activation import leaky_relu as leaky_relu
from rnn.ops.activation import leaky_relu_ as leaky_relu_
from rnn.ops.activation import logsigmoid as logsigmoid
from rnn.ops.activation import mish as mish
from rnn.ops.activation import prelu as prelu
from rnn.ops.activation import relu6 as relu6
from rnn.ops.activation import selu as selu
from rnn.ops.activation import selu_ as selu_
from rnn.ops.activation import silu as silu
from rnn.ops.activation import softplus as softplus
from rnn.ops.activation import softshrink as softshrink
from rnn.ops.activation import softsign as softsign
from rnn.ops.activation import tanhshrink as tanhshrink
from rnn.ops.activation import threshold as threshold
from rnn.ops.activation import threshold_ as threshold_
from rnn.ops.join import one_hot as one_hot
from rnn.ops.trig import tanh as tanh
from rnn.ops.unary import relu_ as relu_
from rnn.ops.unary import sigmoid as sigmoid

if not _TYPE_CHECKING:  # type checkers are to see what is absent
    _tensor_functions(globals())

    def __getattr__(name: str) -> _Any:
        raise _config.absent(__name__, name)
