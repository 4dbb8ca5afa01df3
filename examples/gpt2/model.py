"""GPT-2 (Radford et al. 2019) in rnn.nn modules; parameters are named as in the published files.

What it is: the network, its loss and its key-value cache. What it is not: files (files.py),
sampling (sample.py). Shapes in the comments: B batch, T tokens, C width, H heads, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import rnn
from rnn import Tensor, nn
from rnn.nn import functional as F

ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu, "silu": F.silu, "tanh": F.tanh}
ACTIVATIONS |= dict.fromkeys(("gelu_new", "gelu_pytorch_tanh"), partial(F.gelu, approximate="tanh"))


@dataclass
class Config:
    """The sizes of a model, under the names of Hugging Face's config.json."""

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    layer_norm_epsilon: float = 1e-5
    activation_function: str = "gelu_new"
    tie_word_embeddings: bool = True
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    eos_token_id: int | None = None
    dropout: float = 0.0


class Conv1D(nn.Module):
    """A linear layer whose weight is (in, out), as in the checkpoints: x @ weight + bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(rnn.empty(inputs, outputs))
        self.bias = nn.Parameter(rnn.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.t(), self.bias)


class Cache:
    """Keys and values of the tokens seen so far, one pair a layer, written in place.

    It has room for 128 tokens at first, then for twice as many, up to the context's length.
    """

    def __init__(self, config: Config, batch: int = 1) -> None:
        self.heads, self.depth = config.n_head, config.n_embd // config.n_head
        self.batch, self.limit, self.length, self.room = batch, config.n_positions, 0, 0
        self.keys = [self._make(0) for _ in range(config.n_layer)]
        self.values = [self._make(0) for _ in range(config.n_layer)]
        self.mask: Tensor | None = None

    def _make(self, room: int) -> Tensor:
        return rnn.empty(self.batch, self.heads, room, self.depth)

    def expect(self, tokens: int) -> None:
        """Makes room for the tokens to come, and their mask where causal order from 0 is not it."""
        end = self.length + tokens
        if end > self.room:
            self.room = min(self.limit, max(128, end, 2 * self.room))
            for tables in (self.keys, self.values):
                for layer, old in enumerate(tables):
                    tables[layer] = self._make(self.room)
                    tables[layer].narrow(2, 0, self.length).copy_(old.narrow(2, 0, self.length))
        self.mask = None
        if tokens > 1 and self.length > 0:  # new token i sees the old ones and the new ones 0 .. i
            self.mask = rnn.arange(end) <= rnn.arange(self.length, end).unsqueeze(1)  # (T, end)

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Writes the new tokens' keys and values behind the old ones; all of them (B, H, S, D)."""
        self.keys[layer].narrow(2, self.length, k.shape[2]).copy_(k)
        self.values[layer].narrow(2, self.length, k.shape[2]).copy_(v)
        end = self.length + k.shape[2]  # what lies behind has never been written, and is not read
        return self.keys[layer].narrow(2, 0, end), self.values[layer].narrow(2, 0, end)


class CausalSelfAttention(nn.Module):
    """Each token looks at itself and at those before it."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.c_attn = Conv1D(config.n_embd, 3 * config.n_embd)
        self.c_proj = Conv1D(config.n_embd, config.n_embd)
        self.heads, self.layer = config.n_head, layer
        scale = 1 / math.sqrt(config.n_embd // config.n_head) if config.scale_attn_weights else 1.0
        self.scale = scale / (layer + 1) if config.scale_attn_by_inverse_layer_idx else scale

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        B, T, C = x.shape
        qkv = self.c_attn(x).view(B, T, 3, self.heads, C // self.heads)
        q, k, v = qkv.transpose(1, 3).unbind(2)  # each (B, H, T, C / H)
        if cache is not None:
            k, v = cache.extend(self.layer, k, v)
        mask = cache.mask if cache is not None else None
        causal = T > 1 and mask is None
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, scale=self.scale)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))  # y: (B, H, T, C / H)


class MLP(nn.Module):
    """Two linear maps with an activation between them."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        inner = config.n_inner or 4 * config.n_embd
        self.c_fc = Conv1D(config.n_embd, inner)
        self.c_proj = Conv1D(inner, config.n_embd)
        self.activation = ACTIVATIONS[config.activation_function]

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.activation(self.c_fc(x)))


class Block(nn.Module):
    """Attention, then the MLP, each added to what came in."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = CausalSelfAttention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = MLP(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        x = x + self.drop(self.attn(self.ln_1(x), cache))
        return x + self.drop(self.mlp(self.ln_2(x)))


def table(rows: int, width: int) -> nn.Embedding:
    """An embedding whose numbers are not drawn yet."""
    return nn.Embedding(rows, width, _weight=rnn.empty(rows, width))


class GPT2(nn.Module):
    """Token ids to logits of the next token."""

    def __init__(self, config: Config, initialise: bool = True) -> None:
        """initialise: False leaves the parameters as the memory was, for a checkpoint to fill."""
        super().__init__()
        self.config = config
        self.wte = table(config.vocab_size, config.n_embd)
        self.wpe = table(config.n_positions, config.n_embd)
        self.h = nn.ModuleList([Block(config, layer) for layer in range(config.n_layer)])
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.drop = nn.Dropout(config.dropout)
        tied = config.tie_word_embeddings  # the last layer's weight (V, C) is the embedding's
        self.lm_head = self.wte if tied else table(config.vocab_size, config.n_embd)
        if initialise:
            self._initialise()

    def _initialise(self) -> None:
        """Normal weights of 0.02, smaller where a residual stream adds them up (GPT-2's start)."""
        with rnn.no_grad():
            for name, p in self.named_parameters():
                if name.endswith("bias"):
                    p.zero_()
                elif "ln_" not in name:
                    depth = 2 * self.config.n_layer if name.endswith("c_proj.weight") else 1
                    p.normal_(0, 0.02 / math.sqrt(depth))

    def forward(
        self, tokens: Tensor, cache: Cache | None = None, last_only: bool = False
    ) -> Tensor:
        """tokens (B, T) of integers -> logits (B, T, V), or (B, 1, V) of the last token.

        Raises:
            ValueError: more tokens than positions.
        """
        start = cache.length if cache is not None else 0
        end = start + tokens.shape[1]
        if end > self.config.n_positions:
            raise ValueError(f"{end} tokens do not fit the context of {self.config.n_positions}")
        if cache is not None:
            cache.expect(tokens.shape[1])
        x = self.drop(self.wte(tokens) + self.wpe(rnn.arange(start, end)))  # (B, T, C)
        for block in self.h:
            x = block(x, cache)
        if cache is not None:
            cache.length = end
        return F.linear(self.ln_f(x[:, -1:] if last_only else x), self.lm_head.weight)

    def loss(self, tokens: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """The cross-entropy of the targets (B, T), in nats a token (or their sum)."""
        logits = self(tokens).flatten(0, 1)  # (B T, V)
        return F.cross_entropy(logits, targets.flatten(), reduction=reduction)
