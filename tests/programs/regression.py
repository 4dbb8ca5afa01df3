"""PyTorch's regression example: a polynomial's coefficients; and logistic regression by NumPy's
hand and by closures."""

from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd import Variable

torch.manual_seed(2)
POLY_DEGREE = 4
W_target = torch.randn(POLY_DEGREE, 1) * 5
b_target = torch.randn(1) * 5


def make_features(x):
    """Builds features i.e. a matrix with columns [x, x^2, x^3, x^4]."""
    x = x.unsqueeze(1)
    return torch.cat([x**i for i in range(1, POLY_DEGREE + 1)], 1)


def f(x):
    """Approximated function."""
    return x.mm(W_target) + b_target.item()


def poly_desc(W, b):
    """Creates a string description of a polynomial."""
    result = "y = "
    for i, w in enumerate(W):
        result += "{:+.2f} x^{} ".format(w, i + 1)
    result += "{:+.2f}".format(b[0])
    return result


def get_batch(batch_size=32):
    random = torch.randn(batch_size)
    x = make_features(random)
    return x, f(x)


fc = torch.nn.Linear(W_target.size(0), 1)
for batch_idx in count(1):
    batch_x, batch_y = get_batch()
    fc.zero_grad()
    output = F.smooth_l1_loss(fc(batch_x), batch_y)
    loss = output.item()
    output.backward()
    for param in fc.parameters():
        param.data.add_(-0.1 * param.grad)
    if loss < 0.5 or batch_idx == 150:
        break
print("Loss: {:.6f} after {} batches".format(loss, batch_idx))
print("==> Learned function:\t" + poly_desc(fc.weight.view(-1), fc.bias))
print("==> Actual function:\t" + poly_desc(W_target.view(-1), b_target))

# two variables, by Variable and by what reads NumPy back
data = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=np.float32)
answers = np.array([[0.0], [0.0], [0.0], [1.0]], dtype=np.float32)
x, y = Variable(torch.from_numpy(data)), Variable(torch.from_numpy(answers))
w = Variable(torch.zeros(2, 1), requires_grad=True)
b = Variable(torch.zeros(1), requires_grad=True)
for step in range(60):
    p = torch.sigmoid(x.mm(w).add(b))
    loss = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
    loss.backward()
    w.data -= 1.0 * w.grad.data
    b.data.sub_(1.0 * b.grad.data)
    w.grad.data.zero_()
    b.grad.data.zero_()
    if step % 20 == 19:
        print(step, loss.data.numpy(), w.data.numpy().ravel(), b.data[0])
print(p.data.gt(0.5).int().view(-1).tolist(), (p.data.round() == y).all())
print("%.3f and %d" % (loss, (p > 0.5).sum()))
