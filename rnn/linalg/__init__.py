"""torch.linalg: norms, and what is worked out of square systems and factorisations.

The factorisations are LAPACK's, by NumPy, over batches of matrices (..., m, n) in float32 or
float64. They have gradients, of every order; what has none (matrix_rank, the factors of lu, a
complete or wide qr) says so where one is asked for. None has a scalar resolution: each is one
operation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from rnn import _config
from rnn._arguments import tensor_functions as _tensor_functions
from rnn.linalg._composed import diagonal as diagonal
from rnn.linalg._composed import matrix_exp as matrix_exp
from rnn.linalg._composed import multi_dot as multi_dot
from rnn.linalg._composed import vecdot as vecdot
from rnn.linalg._factorisations import cond as cond
from rnn.linalg._factorisations import eigh as eigh
from rnn.linalg._factorisations import eigvalsh as eigvalsh
from rnn.linalg._factorisations import lstsq as lstsq
from rnn.linalg._factorisations import matrix_rank as matrix_rank
from rnn.linalg._factorisations import pinv as pinv
from rnn.linalg._factorisations import qr as qr
from rnn.linalg._factorisations import svd as svd
from rnn.linalg._factorisations import svdvals as svdvals
from rnn.linalg._lapack import LinAlgError as LinAlgError
from rnn.linalg._lu import lu as lu
from rnn.linalg._lu import lu_factor as lu_factor
from rnn.linalg._lu import lu_solve as lu_solve
from rnn.linalg._systems import cholesky as cholesky
from rnn.linalg._systems import det as det
from rnn.linalg._systems import inv as inv
from rnn.linalg._systems import logdet as logdet
from rnn.linalg._systems import slogdet as slogdet
from rnn.linalg._systems import solve as solve
from rnn.linalg._triangular import solve_triangular as solve_triangular
from rnn.ops.linalg import cross as cross
from rnn.ops.linalg import matmul as matmul
from rnn.ops.linalg import matrix_power as matrix_power
from rnn.ops.norms import linalg_norm as norm
from rnn.ops.norms import matrix_norm as matrix_norm
from rnn.ops.norms import vector_norm as vector_norm

__all__ = [
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "vecdot",
    "vector_norm",
]

if not _TYPE_CHECKING:  # type checkers are to see what is absent
    _tensor_functions(globals())

    def __getattr__(name: str) -> _Any:
        raise _config.absent(__name__, name)
