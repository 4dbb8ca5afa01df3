"""Module under PyTorch's path (torch.nn.modules.module); it is made in rnn/nn/module.py."""

from rnn.nn.module import Module as Module
from rnn.nn.module import _IncompatibleKeys as _IncompatibleKeys
