"""PyTorch's siamese network example: pairs by BCE, then triplets and contrastive losses."""

import random

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset

random.seed(3)
torch.manual_seed(3)


class Pairs(Dataset):
    def __init__(self, count):
        super().__init__()
        self.patterns = (torch.rand(5, 1, 10, 10) > 0.5).float()
        self.grouped_examples = {
            k: [self.patterns[k] + 0.3 * torch.randn(1, 10, 10) for _ in range(12)]
            for k in range(5)
        }
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        first = random.randint(0, 4)
        image_1 = random.choice(self.grouped_examples[first])
        if index % 2 == 0:
            image_2 = random.choice(self.grouped_examples[first])
            target = torch.tensor(1, dtype=torch.float)
        else:
            other = random.choice([k for k in range(5) if k != first])
            image_2 = random.choice(self.grouped_examples[other])
            target = torch.tensor(0, dtype=torch.float)
        return image_1, image_2, target


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2)
        )
        self.fc_in_features = 6 * 4 * 4
        self.fc = nn.Sequential(
            nn.Linear(self.fc_in_features * 2, 32), nn.ReLU(inplace=True), nn.Linear(32, 1)
        )
        self.sigmoid = nn.Sigmoid()
        self.body.apply(self.init_weights)
        self.fc.apply(self.init_weights)

    def init_weights(self, m):
        if isinstance(m, nn.Linear):
            torch.nn.init.xavier_uniform_(m.weight)
            m.bias.data.fill_(0.01)

    def forward_once(self, x):
        output = self.body(x)
        return output.view(output.size()[0], -1)

    def forward(self, input1, input2):
        output1, output2 = self.forward_once(input1), self.forward_once(input2)
        return self.sigmoid(self.fc(torch.cat((output1, output2), 1)))


model = SiameseNetwork()
optimizer = optim.Adadelta(model.parameters(), lr=1.0)
scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
criterion = nn.BCELoss()
loader = DataLoader(Pairs(64), batch_size=16)
for epoch in range(1, 4):
    model.train()
    for batch_idx, (images_1, images_2, targets) in enumerate(loader):
        optimizer.zero_grad()
        outputs = model(images_1, images_2).squeeze()
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
    model.eval()
    correct = 0
    with torch.no_grad():
        for images_1, images_2, targets in loader:
            outputs = model(images_1, images_2).squeeze()
            pred = torch.where(outputs > 0.5, 1, 0)
            correct += pred.eq(targets.view_as(pred)).sum().item()
    print(f"Epoch {epoch} loss {loss.item():.5f} correct {correct} lr {scheduler.get_last_lr()}")
    scheduler.step()

embed = nn.Sequential(nn.Flatten(), nn.Linear(100, 16), nn.PReLU(), nn.Linear(16, 4))
optimizer = optim.RMSprop(embed.parameters(), lr=0.005, momentum=0.5)
triplet = nn.TripletMarginLoss(margin=1.0, swap=True)
cosine = nn.CosineEmbeddingLoss(margin=0.2)
data = loader.dataset
for step in range(6):
    anchors = torch.stack([data.grouped_examples[k][step] for k in range(5)])
    positives = torch.stack([data.grouped_examples[k][step + 1] for k in range(5)])
    negatives = positives.roll(1, 0)
    a, p, n = map(embed, (anchors, positives, negatives))
    distance = F.pairwise_distance(a, n)
    contrastive = (F.pairwise_distance(a, p) ** 2 + F.relu(2 - distance) ** 2).mean()
    loss = triplet(a, p, n) + contrastive
    loss = loss + cosine(a, p, torch.ones(5)) + cosine(a, n, -torch.ones(5))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    print(f"{loss.item():.4f}", f"{F.cosine_similarity(a, n).mean().item():.4f}")
distances = torch.cdist(a, p)
print(distances.shape, distances.argmin(1), F.normalize(a, dim=1).norm(dim=1))
