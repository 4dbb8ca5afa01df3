"""torch.cuda.amp's names, which are rnn.amp's."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from rnn import _config
from rnn.amp import GradScaler as GradScaler
from rnn.amp import autocast as autocast

if not _TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> _Any:
        raise _config.absent(__name__, name)
