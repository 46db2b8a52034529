"""From a float checkpoint to an integer program: the only place where floats live.

The last bits of a float matrix product depend on how many threads share the work, and with them the
integers made of it.  One checkpoint should become one file: so there is one thread, for whoever
imports this package before NumPy, as `python -m weights_import` does.
"""

import os

import int8ref  # noqa: F401, tells what is missing

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
            "VECLIB_MAXIMUM_THREADS")  # fmt: skip
os.environ.update(dict.fromkeys(_THREADS, "1"))
