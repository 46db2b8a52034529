"""Float models with channels of another size, which compute the same function.

Channels of a value are multiplied by a factor, and the weights that read them are divided by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from weights_import.float_model import FloatModel
from weights_import.float_program import Operation
from weights_import.operations.activation import Activation
from weights_import.operations.attention import Attention
from weights_import.operations.linear import Linear
from weights_import.operations.multiply import Multiply
from weights_import.operations.norm import Norm
from weights_import.tensors import Float64

SHARE = 0.15
"""The share of the channels that change their size."""
Kind = TypeVar("Kind", bound=Operation)
Change = Callable[[FloatModel, float, Generator], None]


def norms(model: FloatModel, factor: float, random: Generator) -> None:
    """Gains of norms that only products read."""
    for norm in all_of(model, Norm):
        readers = products_behind(model, norm.out)
        if readers is not None:
            (width,) = model.tensors.shape(f"{norm.out}.gain")
            factors = some(random, width, factor)
            multiply(model, norm.out, "gain", factors)
            divide_columns(model, readers, factors)


def keys(model: FloatModel, factor: float, random: Generator) -> None:
    """Keys, and the queries that meet them.  Both columns of a rotary pair have one factor.

    Norms of queries and keys would undo the change.
    """
    for attention in all_of(model, Attention):
        heads = attention.heads
        if heads.norms:
            continue
        pairs = len(heads.rotary)
        factors = some(random, heads.key_width, factor).reshape(-1, heads.size)
        factors[0, 0] = factor  # one channel at least
        factors[:, pairs : 2 * pairs] = factors[:, :pairs]
        multiply(model, product(model, attention.key), "weight", factors.ravel())
        inverse = 1 / heads.shared(factors)
        multiply(model, product(model, attention.query), "weight", inverse)


def values(model: FloatModel, factor: float, random: Generator) -> None:
    """Values, and the context, which is their mean."""
    for attention in all_of(model, Attention):
        factors = some(random, attention.heads.key_width, factor)
        multiply(model, product(model, attention.value), "weight", factors)
        readers = products_behind(model, attention.out)
        divide_columns(model, readers or [], attention.heads.shared(factors))


def hidden(model: FloatModel, factor: float, random: Generator) -> None:
    """Hidden layers of ReLU, which any positive factor passes."""
    for activation in all_of(model, Activation):
        if activation.function == "relu":
            _hidden(model, activation.x, activation.out, factor, random)


def gated(model: FloatModel, factor: float, random: Generator) -> None:
    """The factor of a gated hidden layer that no activation changes."""
    for multiplied in all_of(model, Multiply):
        _hidden(model, multiplied.b, multiplied.out, factor, random)


def _hidden(model: FloatModel, before: str, out: str, factor: float, random: Generator) -> None:
    readers = products_behind(model, out)
    if readers is not None:
        name = product(model, before)
        factors = some(random, model.tensors.shape(f"{name}.weight")[0], factor)
        multiply(model, name, "weight", factors)
        divide_columns(model, readers, factors)


CHANGES: dict[str, Change] = {
    "norms": norms, "keys": keys, "values": values, "hidden": hidden, "gated": gated,
}  # fmt: skip


def rescaled(
    model: FloatModel, factor: float, changes: Iterable[str] = CHANGES, seed: int = 0
) -> FloatModel:
    """Return a model with these changes.  The given model stays."""
    found = replace(model, tensors=model.tensors.copy())
    random = np.random.default_rng(seed)
    for name in changes:
        CHANGES[name](found, factor, random)
    return found


# What a change consists of.


def all_of(model: FloatModel, kind: type[Kind]) -> Iterator[Kind]:
    return (one for one in model.program.operations if isinstance(one, kind))


def product(model: FloatModel, value: str) -> str:
    """Return the name of the product that makes a value."""
    found = model.program.producers()[value]
    assert isinstance(found, Linear)
    return found.name


def products_behind(model: FloatModel, value: str) -> list[Linear] | None:
    """Return the products that read a value, or None if another operation reads it too."""
    readers = model.program.consumers()[value]
    found = [one for one in readers if isinstance(one, Linear)]
    return found if len(found) == len(readers) else None


def some(random: Generator, count: int, factor: float) -> Float64:
    """Return the factor for a SHARE of channels, at least one, and 1 for the others."""
    factors = np.ones(count)
    factors[random.choice(count, max(1, round(SHARE * count)), replace=False)] = factor
    return factors


def multiply(model: FloatModel, name: str, part: str, factors: Float64) -> None:
    """Multiply the rows of a weight, or a gain, and the bias beside it."""
    for one in (f"{name}.{part}", f"{name}.bias"):
        if one in model.tensors:
            model.tensors[one] = (model.tensors[one].T * factors).T.astype(np.float32)


def divide_columns(model: FloatModel, products: Iterable[Linear], factors: Float64) -> None:
    for one in products:
        name = f"{one.name}.weight"
        model.tensors[name] = (model.tensors[name] / factors).astype(np.float32)
