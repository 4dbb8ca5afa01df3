"""torch.cuda.amp's names, which are rnn.amp's."""

from rnn.amp import GradScaler as GradScaler
from rnn.amp import autocast as autocast
