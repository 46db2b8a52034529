"""A checkpoint gives the same file for any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys

PRODUCTS = """
import hashlib
import weights_import
import numpy as np

random = np.random.default_rng(0)
digest = hashlib.sha256()
for m, k, n in (37, 256, 256), (5000, 256, 1536), (130, 1024, 256), (1, 256, 32000):
    x, w = (random.normal(size=shape).astype(np.float32) for shape in ((m, k), (k, n)))
    digest.update((x @ w).tobytes())
print(digest.hexdigest())
"""


def test_threads_change_no_bit_of_a_product() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", PRODUCTS],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            check=True,
            capture_output=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(found) == 1
