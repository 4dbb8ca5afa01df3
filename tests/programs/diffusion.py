"""A denoising diffusion model of points: a noise schedule by cumprod, sinusoidal times, an
exponential moving average of the weights, sampling."""

import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
T = 20
betas = torch.linspace(1e-3, 0.2, T)
alphas = 1.0 - betas
alphas_cumprod = torch.cumprod(alphas, dim=0)
alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
posterior_variance = betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)
print(alphas_cumprod, posterior_variance[:3])


def extract(a, t, x_shape):
    out = a.gather(-1, t)
    return out.reshape(t.shape[0], *((1,) * (len(x_shape) - 1)))


class SinusoidalPositionEmbeddings(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, time):
        half_dim = self.dim // 2
        embeddings = math.log(10000) / (half_dim - 1)
        embeddings = torch.exp(torch.arange(half_dim, device=time.device) * -embeddings)
        embeddings = time[:, None] * embeddings[None, :]
        return torch.cat((embeddings.sin(), embeddings.cos()), dim=-1)


class Denoiser(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.time_mlp = nn.Sequential(
            SinusoidalPositionEmbeddings(16), nn.Linear(16, dim), nn.GELU(), nn.Linear(dim, 2 * dim)
        )
        self.input = nn.Linear(2, dim)
        self.norm = nn.GroupNorm(4, dim)
        self.out = nn.Sequential(nn.Mish(), nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, 2))
        nn.init.zeros_(self.out[-1].weight)

    def forward(self, x, t):
        scale, shift = self.time_mlp(t).chunk(2, dim=1)
        h = self.norm(self.input(x))
        return self.out(h * (scale + 1) + shift)


class EMA:
    def __init__(self, beta):
        self.beta = beta

    @torch.no_grad()
    def update(self, ema_model, model):
        for old, new in zip(ema_model.parameters(), model.parameters()):
            old.data = old.data * self.beta + (1 - self.beta) * new.data


def q_sample(x_start, t, noise):
    mean = extract(alphas_cumprod.sqrt(), t, x_start.shape) * x_start
    return mean + extract(torch.sqrt(1.0 - alphas_cumprod), t, x_start.shape) * noise


angles = torch.rand(256) * 2 * math.pi
data = torch.stack([angles.cos(), angles.sin()], dim=1) + 0.05 * torch.randn(256, 2)
model = Denoiser()
ema_model = copy.deepcopy(model).eval().requires_grad_(False)
ema = EMA(0.9)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99))
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)
losses = []
for step in range(40):
    batch = data[torch.randint(0, 256, (64,))]
    t = torch.randint(0, T, (64,)).long()
    noise = torch.randn_like(batch)
    predicted = model(q_sample(batch, t, noise), t)
    loss = F.huber_loss(noise, predicted, delta=1.0)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
    ema.update(ema_model, model)
    losses.append(loss.item())
    if step % 10 == 9:
        print(f"step {step + 1}: {sum(losses[-10:]) / 10:.4f} lr {scheduler.get_last_lr()[0]:.6f}")


@torch.inference_mode()
def sample(model, n):
    x = torch.randn(n, 2)
    for i in reversed(range(T)):
        t = torch.full((n,), i, dtype=torch.long)
        mean = extract(1 / alphas.sqrt(), t, x.shape) * (
            x - extract(betas / (1 - alphas_cumprod).sqrt(), t, x.shape) * model(x, t)
        )
        x = mean
        if i > 0:
            x = x + extract(posterior_variance.sqrt(), t, x.shape) * torch.randn_like(x)
    return x


points = sample(ema_model, 24)
print(points.shape, points[:3])
print(f"{points.norm(dim=1).mean().item():.4f} {points.std(dim=0).tolist()[0]:.4f}")
