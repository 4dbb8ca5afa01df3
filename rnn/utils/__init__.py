"""Data loading, checkpointing, hooks (torch.utils)."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from rnn import _config
from rnn.utils import checkpoint as checkpoint
from rnn.utils import data as data
from rnn.utils import hooks as hooks

if not _TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> _Any:
        raise _config.absent(__name__, name)
