"""A Gaussian process whose kernel is fitted by gradients, and a flow that begins with a turn."""

import math

import torch
import torch.nn as nn
from torch.distributions import MultivariateNormal

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


class GaussianProcess(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.log_size = nn.Parameter(torch.zeros(()))
        self.log_noise = nn.Parameter(torch.tensor(-1.0))

    def kernel(self, a, b):
        far = (a[:, None] - b[None]).square().sum(-1)
        return torch.exp(2 * self.log_size - 0.5 * far / torch.exp(2 * self.log_scale))

    def factor(self, x):
        noise = torch.exp(2 * self.log_noise) * torch.eye(len(x))
        return torch.linalg.cholesky(self.kernel(x, x) + noise)

    def loss(self, x, y):
        factor = self.factor(x)
        weights = torch.cholesky_solve(y[:, None], factor)[:, 0]
        return 0.5 * (y @ weights + len(x) * math.log(2 * math.pi)) + factor.diagonal().log().sum()

    def predict(self, x, y, new):
        factor, across = self.factor(x), self.kernel(x, new)
        inner = torch.linalg.solve_triangular(factor, across, upper=False)
        mean = across.T @ torch.cholesky_solve(y[:, None], factor)[:, 0]
        return mean, self.kernel(new, new) - inner.T @ inner


x = torch.linspace(0, 6, 20).view(-1, 1)
y = torch.sin(x[:, 0]) + 0.1 * torch.randn(20)
model = GaussianProcess()
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
for step in range(40):
    optimizer.zero_grad()
    loss = model.loss(x, y)
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, f"{loss.item():.5f}", [f"{p.grad.item():.4f}" for p in model.parameters()])
with torch.no_grad():
    mean, covariance = model.predict(x, y, torch.tensor([[1.0], [2.5], [7.0]]))
print(mean, covariance.diagonal().sqrt())
print(MultivariateNormal(mean, covariance + 1e-6 * torch.eye(3)).sample((2,)))


class Turn(nn.Module):
    """x W with W = P L U: the logarithm of its determinant is a sum."""

    def __init__(self, n):
        super().__init__()
        start = nn.init.orthogonal_(torch.empty(n, n))
        p, low, high = torch.lu_unpack(*start.lu())
        self.register_buffer("p", p)
        self.low = nn.Parameter(low)
        self.high = nn.Parameter(high.triu(1))
        self.diagonal = nn.Parameter(high.diagonal().clone())

    def forward(self, x):
        low = self.low.tril(-1) + torch.eye(len(self.low))
        w = self.p @ low @ (self.high.triu(1) + self.diagonal.diag())
        return x @ w, self.diagonal.abs().log().sum()


flow = Turn(2)
prior = MultivariateNormal(torch.zeros(2), torch.eye(2))
data = torch.randn(64, 2) @ torch.tensor([[2.0, 0.0], [1.0, 0.5]])
optimizer = torch.optim.Adam(flow.parameters(), lr=0.05)
for step in range(40):
    z, stretched = flow(data)
    loss = -(prior.log_prob(z) + stretched).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.5f}", flow.diagonal.data)
copies = torch.eye(2).repeat(3, 1, 1).requires_grad_()  # a leaf of three matrices, each its own
optimizer = torch.optim.SGD([copies], lr=0.1)
(copies * torch.arange(3.0).view(3, 1, 1)).sum().backward()
optimizer.step()
print(copies)
torch.set_default_dtype(torch.float32)
