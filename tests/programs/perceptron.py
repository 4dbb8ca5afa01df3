"""Courses on deep learning fundamentals: a perceptron, ADALINE by hand and by autograd, softmax
regression with hand-made one-hot labels, a multilayer perceptron's loop with accuracies."""

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(123)
X = torch.cat([torch.randn(30, 2) - 1.2, torch.randn(30, 2) + 1.2])
y = torch.cat([torch.zeros(30), torch.ones(30)]).to(torch.int)
shuffle_idx = torch.randperm(y.size(0), generator=torch.Generator().manual_seed(5))
X, y = X[shuffle_idx], y[shuffle_idx]
print("Class label counts:", torch.bincount(y))
mu, sigma = X[:40].mean(dim=0), X[:40].std(dim=0)
X_train, X_test, y_train, y_test = (X[:40] - mu) / sigma, (X[40:] - mu) / sigma, y[:40], y[40:]


def custom_where(cond, x_1, x_2):
    return (cond * x_1) + (torch.logical_not(cond) * x_2)


class Perceptron:
    def __init__(self, num_features):
        self.weights = torch.zeros(num_features, 1, dtype=torch.float32)
        self.bias = torch.zeros(1, dtype=torch.float32)

    def forward(self, x):
        linear = torch.add(torch.mm(x, self.weights), self.bias)
        return custom_where(linear > 0.0, 1, 0).float()

    def train(self, x, y, epochs):
        for _ in range(epochs):
            for i in range(y.size()[0]):
                errors = y[i] - self.forward(x[i].view(1, 2)).view(-1)
                self.weights += (errors * x[i]).view(2, 1)
                self.bias += errors

    def evaluate(self, x, y):
        predictions = self.forward(x).view(-1)
        return torch.sum(predictions == y).float() / y.size()[0]


ppn = Perceptron(num_features=2)
ppn.train(X_train, y_train, epochs=3)
print("  Weights: %s\n  Bias: %s\n" % (ppn.weights, ppn.bias))
print("Test set accuracy: %.2f%%" % (ppn.evaluate(X_test, y_test) * 100))


class Adaline(torch.nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.linear = torch.nn.Linear(num_features, 1)
        self.linear.weight.detach().zero_()
        self.linear.bias.detach().zero_()

    def forward(self, x):
        return self.linear(x).view(x.size(0))


adaline = Adaline(2)
optimizer = torch.optim.SGD(adaline.parameters(), lr=0.05)
for epoch in range(3):
    for minibatch in torch.split(torch.arange(40), 10):
        yhat = adaline(X_train[minibatch])
        loss = F.mse_loss(yhat, y_train[minibatch].float())
        by_hand = 2 * ((yhat - y_train[minibatch]).view(-1, 1) * X_train[minibatch]).mean(0)
        gradient = torch.autograd.grad(loss, adaline.linear.weight, retain_graph=True)[0]
        assert torch.allclose(by_hand, gradient, atol=1e-6)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("Epoch: %03d" % (epoch + 1), end="")
    print(" | MSE: %.5f" % F.mse_loss(adaline(X_train), y_train.float()))
print(torch.where(adaline(X_test) > 0.5, torch.tensor([1]), torch.tensor([0])))


def to_onehot(y, num_classes):
    y_onehot = torch.zeros(y.size(0), num_classes)
    y_onehot.scatter_(1, y.view(-1, 1).long(), 1).float()
    return y_onehot


class SoftmaxRegression:
    def __init__(self, num_features, num_classes):
        self.weights = torch.zeros(num_classes, num_features)
        self.bias = torch.zeros(num_classes)

    def forward(self, x):
        logits = torch.mm(x, self.weights.t()) + self.bias
        probas = (torch.exp(logits.t()) / torch.sum(torch.exp(logits), dim=1)).t()
        return logits, probas

    def train(self, x, y, epochs, rate=0.5):
        onehot = to_onehot(y, 3)
        for e in range(epochs):
            _, probas = self.forward(x)
            self.weights -= rate * (1 / y.size(0)) * torch.mm(x.t(), probas - onehot).t()
            self.bias -= rate * (1 / y.size(0)) * torch.sum(probas - onehot, 0)
            cost = torch.mean(-torch.sum(torch.log(probas) * onehot, dim=1))
            if e % 5 == 4:
                print("Epoch: %03d | Cost: %.3f" % (e + 1, cost))


points = torch.randn(45, 2) + torch.tensor([[0.0, 2.5], [2.5, -1.0], [-2.5, -1.0]]).repeat(15, 1)
kinds = torch.tensor([0, 1, 2]).repeat(15)
softmax = SoftmaxRegression(2, 3)
softmax.train(points, kinds, epochs=15)
print(softmax.weights, softmax.bias, torch.argmax(softmax.forward(points)[1], dim=1)[:9])


class MyDataset(Dataset):
    def __init__(self, X, y):
        self.features, self.labels = X, y

    def __getitem__(self, index):
        return self.features[index], self.labels[index]

    def __len__(self):
        return self.labels.shape[0]


class PyTorchMLP(torch.nn.Module):
    def __init__(self, num_features, num_classes):
        super().__init__()
        self.all_layers = torch.nn.Sequential(
            torch.nn.Linear(num_features, 25),
            torch.nn.ReLU(),
            torch.nn.Linear(25, 15),
            torch.nn.Softplus(),
            torch.nn.Linear(15, num_classes),
        )

    def forward(self, x):
        return self.all_layers(x)


def compute_accuracy(model, dataloader):
    model = model.eval()
    correct, total_examples = 0.0, 0
    for features, labels in dataloader:
        with torch.inference_mode():
            logits = model(features)
        compare = labels == torch.argmax(logits, dim=1)
        correct += torch.sum(compare)
        total_examples += len(compare)
    return correct / total_examples


model = PyTorchMLP(2, 3)
loader = DataLoader(MyDataset(points, kinds), batch_size=15, shuffle=True, num_workers=0)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=1)
for epoch in range(4):
    model = model.train()
    for batch_idx, (features, labels) in enumerate(loader):
        loss = F.cross_entropy(model(features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"Epoch: {epoch + 1:03d}/004 | Batch {batch_idx:03d} | Loss: {loss:.2f}")
    scheduler.step(loss)
    print(f"Train Acc {compute_accuracy(model, loader) * 100:.2f}%")
