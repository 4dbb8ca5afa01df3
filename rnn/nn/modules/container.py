"""The containers under PyTorch's path (torch.nn.modules.container); made in rnn/nn/container.py."""

from rnn.nn.container import ModuleDict as ModuleDict
from rnn.nn.container import ModuleList as ModuleList
from rnn.nn.container import ParameterDict as ParameterDict
from rnn.nn.container import ParameterList as ParameterList
from rnn.nn.container import Sequential as Sequential
