"""A CIFAR-like training script: residual blocks, batch norm, kaiming initialisation, augmentation
by hand, OneCycleLR, label smoothing, a checkpoint from which a second run goes on."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(5)
x_train = torch.randn(96, 3, 8, 8)
y_train = (x_train.mean((1, 2, 3)) > 0).long() + 2 * (x_train[:, 0].mean((1, 2)) > 0).long()
mean, std = x_train.mean(dim=(0, 2, 3)), x_train.std(dim=(0, 2, 3))
x_train = (x_train - mean[None, :, None, None]) / std.view(1, 3, 1, 1)


def conv3x3(i, o, stride=1):
    return nn.Conv2d(i, o, kernel_size=3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.stem = nn.Sequential(conv3x3(3, 4), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
                                  nn.MaxPool2d(kernel_size=3, stride=2, padding=1))
        down = nn.Sequential(nn.Conv2d(4, 8, 1, stride=2, bias=False), nn.BatchNorm2d(8))
        self.layer1 = nn.Sequential(BasicBlock(4, 4), BasicBlock(4, 8, 2, down))
        self.depthwise = nn.Conv2d(8, 8, 3, padding="same", groups=8, dilation=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout2d(0.1)
        self.fc = nn.Linear(8, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)

    def forward(self, x):
        x = self.dropout(self.depthwise(self.layer1(self.stem(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def augment(x):
    if torch.rand(1) < 0.5:
        x = x.flip(-1)
    x = F.pad(x, (1, 1, 1, 1), mode="reflect")
    i, j = torch.randint(0, 3, (2,))
    return x[:, :, i : i + 8, j : j + 8]


def accuracy(output, target, topk=(1,)):
    with torch.no_grad():
        maxk = max(topk)
        _, pred = output.topk(maxk, 1, True, True)
        pred = pred.t()
        correct = pred.eq(target.view(1, -1).expand_as(pred))
        return [correct[:k].reshape(-1).float().sum(0, keepdim=True).mul_(100.0 / target.size(0))
                for k in topk]


def run(model, optimizer, scheduler, epochs, start=0):
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x_train, y_train), batch_size=32, shuffle=True)
    for epoch in range(start, start + epochs):
        model.train()
        for images, target in loader:
            output = model(augment(images))
            loss = criterion(output, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        model.eval()
        with torch.inference_mode():
            acc1, acc2 = accuracy(model(x_train), y_train, topk=(1, 2))
        print(f"epoch {epoch} loss {loss:.4f} lr {scheduler.get_last_lr()[0]:.5f} "
              f"acc@1 {acc1.item():.2f} acc@2 {acc2.item():.2f}")


def build():
    model = ResNet()
    bn = [p for n, p in model.named_parameters() if "bn" in n]
    rest = [p for n, p in model.named_parameters() if "bn" not in n]
    optimizer = torch.optim.SGD([{"params": bn, "weight_decay": 0}, {"params": rest}], lr=0.01,
                                momentum=0.9, nesterov=True, weight_decay=5e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=[0.05, 0.1], total_steps=15)
    return model, optimizer, scheduler


model, optimizer, scheduler = build()
print(model)
print(sum(p.numel() for p in model.parameters() if p.requires_grad), len(model.state_dict()))
run(model, optimizer, scheduler, 2)
best = copy.deepcopy(model.state_dict())
torch.save({"epoch": 2, "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(), "rng": torch.get_rng_state()}, "check.tar")
run(model, optimizer, scheduler, 2, 2)
print("again, from the checkpoint")
model, optimizer, scheduler = build()
checkpoint = torch.load("check.tar")
model.load_state_dict(checkpoint["model_state_dict"])
optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
scheduler.load_state_dict(checkpoint["scheduler"])
torch.set_rng_state(checkpoint["rng"])
run(model, optimizer, scheduler, 2, checkpoint["epoch"])
print(all(torch.equal(best[k], checkpoint["model_state_dict"][k]) for k in best))
print(model.stem[1].running_mean, model.stem[1].num_batches_tracked)

for name, param in model.named_parameters():
    param.requires_grad = name.startswith("fc")
model.fc = nn.Linear(model.fc.in_features, 2)
optimizer = torch.optim.Adagrad(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min", factor=0.5, patience=1)
for _ in range(6):
    loss = F.cross_entropy(model(x_train), y_train % 2)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    plateau.step(round(loss.item(), 1))
    print(f"{loss.item():.4f}", optimizer.param_groups[0]["lr"], model.stem[0].weight.grad is None)
try:
    model.load_state_dict({"fc.weight": torch.zeros(3, 8), "extra": torch.zeros(1)})
except RuntimeError as error:
    print(str(error)[:90], str(error)[-160:])
