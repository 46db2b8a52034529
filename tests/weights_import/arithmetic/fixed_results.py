"""A fixed set of results of the importer's arithmetic, as digests.

python fixed_results.py         a line a kind of results: its name and its digest
python fixed_results.py code    then the LLVM code and the machine code of every kernel that ran
"""

from __future__ import annotations

import hashlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher
from numpy.typing import NDArray

from weights_import import arithmetic
from weights_import.arithmetic import algebra, functions
from weights_import.arithmetic.activations import ACTIVATIONS, activate
from weights_import.arithmetic.product import packed, product

Results = Iterator[NDArray[np.generic]]

OF_ONE = "exp", "exp2", "log", "log2", "sin", "cos", "tanh", "erf", "sigmoid"


def numbers(seed: int, *shape: int) -> NDArray[np.float64]:
    """Numbers in (-2, 2), which do not depend on the version of NumPy."""
    count = int(np.prod(shape))
    found = np.empty(count)
    state = seed
    for i in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        found[i] = ((state >> 11) - 2**52) / 2**51
    return found.reshape(shape)


def of_functions() -> Results:
    x = numbers(1, 301)
    for name in OF_ONE:
        for scale in (1e-3, 1.0, 30.0, 400.0):
            yield getattr(functions, name)(np.abs(x * scale) if "log" in name else x * scale)
    yield functions.arctan2(x, x[::-1])
    yield functions.power(np.abs(x) * 5, x[::-1] * 50)


def of_activations() -> Results:
    x = 3 * numbers(2, 301)
    for name in ACTIVATIONS:
        yield activate(name, x)
        yield activate(name, x.astype(np.float32))


def of_products() -> Results:
    x, w = (numbers(seed, 19, 300).astype(np.float32) for seed in (3, 4))
    yield product(x, packed(w), len(w))
    yield algebra.small_product(x.astype(np.float64), w.T.astype(np.float64))
    yield algebra.second_moment(w[:, :9].astype(np.float64))


def of_factors() -> Results:
    x = numbers(5, 90, 75).astype(np.float32)
    yield algebra.cholesky(product(x.T, packed(x.T), 75))
    lower = algebra.small_cholesky(algebra.second_moment(x[:, :10].astype(np.float64)))
    yield lower
    yield algebra.inverse_of_lower(lower)
    for shape in ((12, 9), (5, 11)):
        yield from algebra.singular_values(numbers(6, *shape))
    yield from algebra.singular_values(np.outer(numbers(7, 6), numbers(8, 4)))


KINDS: dict[str, Callable[[], Results]] = {
    "functions": of_functions,
    "activations": of_activations,
    "products": of_products,
    "factors": of_factors,
}


def digests() -> dict[str, str]:
    found = {}
    for name, results in KINDS.items():
        total = hashlib.sha256()
        for result in results():
            total.update(str((result.dtype, result.shape)).encode())
            total.update(np.ascontiguousarray(result).tobytes())
        found[name] = total.hexdigest()
    return found


def kernels() -> Iterator[Any]:
    """All kernels of weights_import/arithmetic."""
    for module in pkgutil.iter_modules(arithmetic.__path__):
        for value in vars(import_module(f"{arithmetic.__name__}.{module.name}")).values():
            if isinstance(value, Dispatcher):
                yield value


def code() -> Iterator[str]:
    """The code of the kernels that were compiled in this process."""
    for kernel in kernels():
        for text in (*kernel.inspect_llvm().values(), *kernel.inspect_asm().values()):
            yield f"; kernel {kernel.__name__}\n{text}"


if __name__ == "__main__":
    for name, digest in digests().items():
        print(name, digest)
    if "code" in sys.argv:
        print(*code(), sep="\n")
