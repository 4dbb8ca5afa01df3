"""Layers, losses and what models are made from (torch.nn)."""

from rnn.nn import init as init
from rnn.nn import utils as utils
from rnn.nn.container import ModuleDict as ModuleDict
from rnn.nn.container import ModuleList as ModuleList
from rnn.nn.container import ParameterDict as ParameterDict
from rnn.nn.container import ParameterList as ParameterList
from rnn.nn.container import Sequential as Sequential
from rnn.nn.module import Module as Module
from rnn.nn.parameter import Buffer as Buffer
from rnn.nn.parameter import Parameter as Parameter
