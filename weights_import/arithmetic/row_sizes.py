"""The largest magnitude of each row of a weight, and its largest sum of a quad."""

from __future__ import annotations

import numpy as np

from int8ref.spec.pair_sums import quad_of, quads
from weights_import.arithmetic.kernel import kernel
from weights_import.tensors import Float64


def row_sizes(w: Float64) -> tuple[Float64, Float64]:
    """(max_k |w[n, k]|, max of the sums of one sign in a quad), [n] each, for w [n, k].

    `int8ref.spec.pair_sums` defines quads.  A sum adds the magnitudes of the elements of one sign,
    in ascending order of k: ((0 + |w[n, k1]|) + |w[n, k2]|) + ...
    """
    largest, sums = np.zeros((2, len(w)))
    depth = w.shape[1]
    parts = np.zeros((2, quads(depth)))
    _row_sizes(np.ascontiguousarray(w), quad_of(depth), parts, largest, sums)
    return largest, sums


@kernel
def _row_sizes(w, quad, parts, largest, sums):
    for n in range(len(w)):
        parts[:] = 0.0
        most = 0.0
        for k in range(w.shape[1]):
            size = abs(w[n, k])
            parts[1 if w[n, k] < 0 else 0, quad[k]] += size
            most = max(most, size)
        largest[n] = most
        for sign in range(2):
            for q in range(parts.shape[1]):
                sums[n] = max(sums[n], parts[sign, q])
