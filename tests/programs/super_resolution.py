"""PyTorch's super-resolution example: PixelShuffle, orthogonal initialisation, PSNR; and an
autoencoder that upsamples."""

from math import log10

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.init as init
import torch.optim as optim

torch.manual_seed(123)


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super(Net, self).__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 16, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(16, 8, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(8, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        self._initialize_weights()

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        return self.pixel_shuffle(self.conv3(x))

    def _initialize_weights(self):
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv2.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv3.weight)


grid = torch.linspace(0, 6.28, 16)
phases = torch.rand(12, 2, 1, 1) * 6
high = (torch.sin(grid[:, None] + phases[:, :1]) * torch.cos(2 * grid + phases[:, 1:]) + 1) / 2
low = F.avg_pool2d(high, 2)
model = Net(upscale_factor=2)
with torch.no_grad():
    w = model.conv1.weight.view(16, -1)
    print(torch.allclose(w @ w.T, 2 * torch.eye(16), atol=1e-5))
    init.kaiming_normal_(model.conv1.weight)  # signs of a QR are not the same everywhere
    init.kaiming_normal_(model.conv2.weight, nonlinearity="relu")
    init.xavier_normal_(model.conv3.weight, gain=0.5)
criterion = nn.MSELoss()
optimizer = optim.Adam(model.parameters(), lr=0.01)
print(high.shape, low.shape, model)
for epoch in range(1, 6):
    epoch_loss = 0
    for input, target in zip(low[:8].split(4), high[:8].split(4)):
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        epoch_loss += loss.item()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        mse = criterion(model(low[8:]), high[8:])
        psnr = 10 * log10(1 / mse.item())
    print(f"===> Epoch {epoch}: loss {epoch_loss / 2:.4f}, PSNR {psnr:.3f} dB")


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(1, 4, 3, stride=2),
            nn.InstanceNorm2d(4, affine=True),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(4 * 8 * 8, 6),
        )
        self.decoder = nn.Sequential(
            nn.Linear(6, 4 * 4 * 4),
            nn.Unflatten(1, (4, 4, 4)),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(4, 4, 3, padding=1, padding_mode="replicate"),
            nn.Hardswish(),
            nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


auto = Autoencoder()
print(auto)
optimizer = optim.NAdam(auto.parameters(), lr=0.02)
for _ in range(5):
    out = auto(high)
    loss = F.binary_cross_entropy(out, high) + 0.1 * F.l1_loss(out, high)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{loss.item():.5f}")
bigger = F.interpolate(low[:1], scale_factor=2, mode="bilinear", align_corners=False)
print(bigger.shape, f"{F.mse_loss(bigger, high[:1]).item():.5f}")
