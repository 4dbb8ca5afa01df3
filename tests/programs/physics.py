"""Physics-informed networks: derivatives by autograd.grad with create_graph in the loss, Jacobians
and Hessians, LBFGS after Adam, double precision."""

import torch
import torch.nn as nn
from torch.autograd import grad
from torch.autograd.functional import hessian, jacobian

torch.manual_seed(4)
torch.set_default_dtype(torch.float64)


class Sine(nn.Module):
    def forward(self, x):
        return torch.sin(x)


net = nn.Sequential(nn.Linear(1, 16), Sine(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
t = torch.linspace(0, 2, 24).view(-1, 1).requires_grad_(True)
print(t.dtype, net[0].weight.dtype)


def residual():
    """u'' + 4 u = 0, u(0) = 1, u'(0) = 0: cos 2t."""
    u = net(t)
    du = grad(u, t, grad_outputs=torch.ones_like(u), create_graph=True)[0]
    (ddu,) = grad(du.sum(), t, create_graph=True, retain_graph=True)
    boundary = (u[0] - 1.0).pow(2).sum() + du[0].pow(2).sum()
    return (ddu + 4 * u).square().mean() + 10 * boundary


optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for step in range(30):
    optimizer.zero_grad()
    loss = residual()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        print(f"Adam {step + 1}: {loss.item():.6f}")

lbfgs = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=6, history_size=10)


def closure():
    lbfgs.zero_grad()
    loss = residual()
    loss.backward()
    return loss


for step in range(2):
    print(f"LBFGS {step + 1}: {lbfgs.step(closure).item():.5f}")


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


x = torch.tensor([-1.2, 1.0, 0.5], requires_grad=True)
for _ in range(6):  # Newton's method
    g = jacobian(rosenbrock, x)
    H = hessian(rosenbrock, x)
    with torch.no_grad():
        x -= torch.linalg.solve(H + 5 * torch.eye(3), g)
    print([f"{v:.5f}" for v in x.tolist()], f"{rosenbrock(x).item():.6f}")
a = torch.tensor(0.5, requires_grad=True)
y = torch.exp(a) * torch.sin(3 * a)
for order in range(3):
    (y,) = torch.autograd.grad(y, a, create_graph=True)
    print(order + 1, f"{y.item():.6f}")
torch.set_default_dtype(torch.float32)
