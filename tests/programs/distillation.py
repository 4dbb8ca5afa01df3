"""The knowledge distillation tutorial: soft targets with temperature, cosine and regressor losses;
feature maps through forward hooks; a frozen backbone that is tuned."""

import copy

import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(42)
labels = torch.randint(0, 4, (160,))
centres = torch.randn(4, 3, 6, 6)
inputs = centres[labels] + 1.5 * torch.randn(160, 3, 6, 6)
train_set, test_set = random_split(TensorDataset(inputs, labels), [0.75, 0.25])
train_loader = DataLoader(train_set, batch_size=24, shuffle=True)
test_loader = DataLoader(test_set, batch_size=40, shuffle=False)
print(len(train_set), len(test_set))


class DeepNN(nn.Module):
    def __init__(self, width, num_classes=4):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(width * 9, 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, num_classes)
        )

    def forward(self, x):
        flat = torch.flatten(self.features(x), 1)
        hidden = self.classifier[0](flat)
        return self.classifier(flat), hidden


def train(model, epochs, lr):
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    model.train()
    for epoch in range(epochs):
        running_loss = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x)[0], y)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        print(f"Epoch {epoch + 1}/{epochs}, Loss: {running_loss / len(train_loader):.4f}")


def test(model):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for x, y in test_loader:
            _, predicted = torch.max(model(x)[0].data, 1)
            total += y.size(0)
            correct += (predicted == y).sum().item()
    return 100 * correct / total


teacher, student = DeepNN(12), DeepNN(3)
other = copy.deepcopy(student)
print("Norm of 1st layer:", f"{torch.norm(student.features[0].weight).item():.5f}")
print("Norm of copy:", f"{torch.norm(other.features[0].weight).item():.5f}")
train(teacher, 3, 0.005)
print(f"{sum(p.numel() for p in teacher.parameters()):,}", test(teacher))


def distill(student, T, soft_weight):
    criterion = nn.CrossEntropyLoss()
    cosine = nn.CosineEmbeddingLoss()
    optimizer = optim.Adam(student.parameters(), lr=0.005)
    teacher.eval()
    student.train()
    for epoch in range(2):
        running_loss = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            with torch.no_grad():
                teacher_logits, teacher_hidden = teacher(x)
            student_logits, student_hidden = student(x)
            soft_targets = nn.functional.softmax(teacher_logits / T, dim=-1)
            soft_prob = nn.functional.log_softmax(student_logits / T, dim=-1)
            soft_loss = (
                torch.sum(soft_targets * (soft_targets.log() - soft_prob)) / soft_prob.size()[0]
            ) * T**2
            kl = nn.KLDivLoss(reduction="batchmean")(soft_prob, soft_targets) * T**2
            assert torch.isclose(soft_loss, kl, rtol=1e-4)
            hidden = cosine(student_hidden, teacher_hidden, target=torch.ones(x.size(0)))
            label_loss = criterion(student_logits, y)
            loss = soft_weight * soft_loss + (1 - soft_weight) * label_loss + 0.1 * hidden
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        print(f"Epoch {epoch + 1}, Loss: {running_loss / len(train_loader):.4f}")


distill(student, T=2, soft_weight=0.25)
print(f"{test(student):.2f}%")

activations = {}


def get_activation(name):
    def hook(model, input, output):
        activations[name] = output.detach()

    return hook


handles = [
    module.register_forward_hook(get_activation(name))
    for name, module in student.named_modules()
    if isinstance(module, (nn.Conv2d, nn.Linear))
]
student(inputs[:2])
for name, value in activations.items():
    print(name, tuple(value.shape), f"{value.mean().item():.4f}")
for handle in handles:
    handle.remove()

for param in teacher.parameters():
    param.requires_grad = False
num_ftrs = teacher.classifier[3].in_features
teacher.classifier[3] = nn.Linear(num_ftrs, 2)
trained = [name for name, p in teacher.named_parameters() if p.requires_grad]
print(trained)
optimizer = optim.SGD(teacher.classifier[3].parameters(), lr=0.05, momentum=0.9)
scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
best = float("inf")
for epoch in range(3):
    for phase in ["train", "val"]:
        teacher.train(phase == "train")
        total = 0.0
        for x, y in train_loader if phase == "train" else test_loader:
            optimizer.zero_grad()
            with torch.set_grad_enabled(phase == "train"):
                loss = nn.functional.cross_entropy(teacher(x)[0], y % 2)
                if phase == "train":
                    loss.backward()
                    optimizer.step()
            total += loss.item() * x.size(0)
        if phase == "train":
            scheduler.step()
        elif total < best:
            best = total
            best_weights = copy.deepcopy(teacher.state_dict())
        print(f"{phase} Loss: {total:.4f}")
teacher.load_state_dict(best_weights)
print(f"Best val loss: {best:.4f}")
