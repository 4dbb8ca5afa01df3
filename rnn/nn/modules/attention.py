"""MultiheadAttention as a module (torch.nn). The arithmetic is nn/functional/attention.py's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rnn
from rnn.nn import functional as F
from rnn.nn import init
from rnn.nn.module import Module
from rnn.nn.modules.linear import NonDynamicallyQuantizableLinear
from rnn.nn.parameter import Parameter

if TYPE_CHECKING:
    from rnn.tensor import Tensor


class MultiheadAttention(Module):
    """Several heads of attention between projections (Vaswani et al. 2017;
    torch.nn.MultiheadAttention).

    in_proj_weight  (3 E, E), Glorot-uniform; or q_proj_weight, k_proj_weight, v_proj_weight where
                    kdim or vdim is given
    in_proj_bias    (3 E,) zeros; None if bias=False
    out_proj        a Linear(E, E) with zero bias
    bias_k, bias_v  (1, 1, E), one more key and value; None unless add_bias_kv

    Args:
        dropout: of the weights, in training.
        add_zero_attn: one more key and value of zeros.
        batch_first: inputs and output are (B, T, E), not (T, B, E).

    Raises:
        ValueError, AssertionError: embed_dim is not divisible by num_heads.

    Example:
        >>> x = rnn.ones(2, 5, 8)
        >>> out, weights = MultiheadAttention(8, 2, batch_first=True)(x, x, x)
        >>> out.shape, weights.shape
        (rnn.Size([2, 5, 8]), rnn.Size([2, 5, 5]))
    """

    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and "
                f"num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = kdim if kdim is not None else embed_dim
        self.vdim = vdim if vdim is not None else embed_dim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")
        same = self._qkv_same_embed_dim
        for name, rows, columns, given in (
            ("q_proj_weight", embed_dim, embed_dim, not same),
            ("k_proj_weight", embed_dim, self.kdim, not same),
            ("v_proj_weight", embed_dim, self.vdim, not same),
            ("in_proj_weight", 3 * embed_dim, embed_dim, same),
        ):
            made = rnn.empty((rows, columns), device=device, dtype=dtype) if given else None
            self.register_parameter(name, None if made is None else Parameter(made))
        if bias:
            self.in_proj_bias = Parameter(rnn.empty(3 * embed_dim, device=device, dtype=dtype))
        else:
            self.register_parameter("in_proj_bias", None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        if add_bias_kv:
            self.bias_k = Parameter(rnn.empty((1, 1, embed_dim), device=device, dtype=dtype))
            self.bias_v = Parameter(rnn.empty((1, 1, embed_dim), device=device, dtype=dtype))
        else:
            self.bias_k = self.bias_v = None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        if self._qkv_same_embed_dim:
            init.xavier_uniform_(self.in_proj_weight)
        else:
            for weight in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The output, and the weights where need_weights.

        Args:
            query: (T, B, E), key, value: (S, B, E); with batch_first (B, T, E), (B, S, E); or
                without B. key_padding_mask: (B, S): True: that key is not seen. attn_mask: (T, S)
                or (B * heads, T, S): True: not seen; or floats to add. is_causal: attn_mask is the
                causal one.
        """
        separate = not self._qkv_same_embed_dim
        return F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=separate,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            batch_first=self.batch_first,
        )
