"""Data loading, checkpointing, hooks (torch.utils)."""

from rnn.utils import checkpoint as checkpoint
from rnn.utils import data as data
from rnn.utils import hooks as hooks
