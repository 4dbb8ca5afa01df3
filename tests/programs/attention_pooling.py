"""Dive into Deep Learning on attention: kernel regression, masked softmax, additive and scaled
scores, multi-head attention by reshaping, positional encodings, a BERT-like masked model."""

import math

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(11)
n_train = 20
x_train, _ = torch.sort(torch.rand(n_train) * 5)


def f(x):
    return 2 * torch.sin(x) + x**0.8


y_train = f(x_train) + torch.normal(0.0, 0.5, (n_train,))
x_test = torch.arange(0, 5, 0.5)
X_repeat = x_test.repeat_interleave(n_train).reshape((-1, n_train))
weights = F.softmax(-((X_repeat - x_train) ** 2) / 2, dim=1)
print(weights.shape, torch.matmul(weights, y_train))


class NWKernelRegression(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.rand((1,), requires_grad=True))

    def forward(self, queries, keys, values):
        queries = queries.repeat_interleave(keys.shape[1]).reshape((-1, keys.shape[1]))
        self.attention_weights = F.softmax(-(((queries - keys) * self.w) ** 2) / 2, dim=1)
        return torch.bmm(self.attention_weights.unsqueeze(1), values.unsqueeze(-1)).reshape(-1)


others = (1 - torch.eye(n_train)).type(torch.bool)
keys = x_train.repeat((n_train, 1))[others].reshape((n_train, -1))
values = y_train.repeat((n_train, 1))[others].reshape((n_train, -1))
net = NWKernelRegression()
loss = nn.MSELoss(reduction="none")
trainer = torch.optim.SGD(net.parameters(), lr=0.05)
for epoch in range(4):
    trainer.zero_grad()
    loss_ = loss(net(x_train, keys, values), y_train)
    loss_.sum().backward()
    trainer.step()
    print(f"epoch {epoch + 1}, loss {float(loss_.sum()):.6f}, w {net.w.item():.4f}")


def sequence_mask(X, valid_len, value=0):
    maxlen = X.size(1)
    mask = torch.arange((maxlen), dtype=torch.float32)[None, :] < valid_len[:, None]
    X[~mask] = value
    return X


def masked_softmax(X, valid_lens):
    if valid_lens is None:
        return nn.functional.softmax(X, dim=-1)
    shape = X.shape
    if valid_lens.dim() == 1:
        valid_lens = torch.repeat_interleave(valid_lens, shape[1])
    else:
        valid_lens = valid_lens.reshape(-1)
    X = sequence_mask(X.reshape(-1, shape[-1]), valid_lens, value=-1e6)
    return nn.functional.softmax(X.reshape(shape), dim=-1)


print(masked_softmax(torch.rand(2, 2, 4), torch.tensor([2, 3])))
print(masked_softmax(torch.rand(2, 2, 4), torch.tensor([[1, 3], [2, 4]])))


class AdditiveAttention(nn.Module):
    def __init__(self, num_hiddens, dropout, **kwargs):
        super(AdditiveAttention, self).__init__(**kwargs)
        self.W_k = nn.LazyLinear(num_hiddens, bias=False)
        self.W_q = nn.LazyLinear(num_hiddens, bias=False)
        self.w_v = nn.LazyLinear(1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries, keys, values, valid_lens):
        queries, keys = self.W_q(queries), self.W_k(keys)
        features = torch.tanh(queries.unsqueeze(2) + keys.unsqueeze(1))
        scores = self.w_v(features).squeeze(-1)
        self.attention_weights = masked_softmax(scores, valid_lens)
        return torch.bmm(self.dropout(self.attention_weights), values)


queries, keys = torch.normal(0, 1, (2, 1, 20)), torch.normal(0, 1, (2, 10, 2))
values = torch.arange(40, dtype=torch.float32).reshape(1, 10, 4).repeat(2, 1, 1)
attention = AdditiveAttention(num_hiddens=8, dropout=0.1).eval()
print(attention(queries, keys, values, torch.tensor([2, 6])))


class MultiHead(nn.Module):
    def __init__(self, num_hiddens, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.W_q, self.W_k, self.W_v, self.W_o = (
            nn.Linear(num_hiddens, num_hiddens, bias=False) for _ in range(4)
        )

    def transpose_qkv(self, X):
        X = X.reshape(X.shape[0], X.shape[1], self.num_heads, -1).permute(0, 2, 1, 3)
        return X.reshape(-1, X.shape[2], X.shape[3])

    def forward(self, X, valid_lens):
        q, k, v = (self.transpose_qkv(w(X)) for w in (self.W_q, self.W_k, self.W_v))
        lens = torch.repeat_interleave(valid_lens, repeats=self.num_heads, dim=0)
        scores = torch.bmm(q, k.transpose(1, 2)) / math.sqrt(q.shape[-1])
        out = torch.bmm(masked_softmax(scores, lens), v)
        out = out.reshape(-1, self.num_heads, out.shape[1], out.shape[2]).permute(0, 2, 1, 3)
        return self.W_o(out.reshape(out.shape[0], out.shape[1], -1))


class PositionalEncoding(nn.Module):
    def __init__(self, num_hiddens, max_len=50):
        super().__init__()
        self.P = torch.zeros((1, max_len, num_hiddens))
        X = torch.arange(max_len, dtype=torch.float32).reshape(-1, 1) / torch.pow(
            10000, torch.arange(0, num_hiddens, 2, dtype=torch.float32) / num_hiddens
        )
        self.P[:, :, 0::2] = torch.sin(X)
        self.P[:, :, 1::2] = torch.cos(X)

    def forward(self, X):
        return X + self.P[:, : X.shape[1], :].to(X.device)


class MaskedModel(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.embed = nn.Embedding(vocab, width, padding_idx=0)
        self.positions = PositionalEncoding(width)
        self.blocks = nn.ModuleList(MultiHead(width, 4) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.mlm = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, vocab))

    def forward(self, tokens, valid_lens, places):
        X = self.positions(self.embed(tokens) * math.sqrt(self.embed.embedding_dim))
        for block, norm in zip(self.blocks, self.norms):
            X = norm(X + block(X, valid_lens))
        batch = torch.arange(0, tokens.shape[0])
        batch = torch.repeat_interleave(batch, places.shape[1])
        return self.mlm(X[batch, places.reshape(-1)].reshape((*places.shape, -1)))


tokens = torch.randint(2, 12, (8, 9))
valid_lens = torch.randint(5, 10, (8,))
tokens[torch.arange(9)[None, :] >= valid_lens[:, None]] = 0
places = torch.tensor([[0, 2]]).repeat(8, 1)
truth = tokens.gather(1, places)
masked = tokens.scatter(1, places, 1)
model = MaskedModel(12, 16)
trainer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(5):
    logits = model(masked, valid_lens, places)
    loss_ = F.cross_entropy(logits.reshape(-1, 12), truth.reshape(-1), reduction="none").mean()
    trainer.zero_grad()
    loss_.backward()
    trainer.step()
    print(f"{loss_.item():.5f}")
print(model.embed.weight[0].abs().sum().item(), model.embed.weight.grad[0].abs().sum().item())
