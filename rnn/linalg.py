"""Norms, under the names of torch.linalg."""

from rnn.ops.norms import linalg_norm as norm
from rnn.ops.norms import matrix_norm as matrix_norm
from rnn.ops.norms import vector_norm as vector_norm

__all__ = ["matrix_norm", "norm", "vector_norm"]
