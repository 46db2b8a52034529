"""Both engines of a tiny model of each kind, and batches for them."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

from int8ref.engines.backends import BACKENDS, Backend
from int8ref.engines.engine import Engine
from int8ref.files.model_file import Model
from tests.helpers.engines import Batch, engines
from tests.helpers.models import Kind, build_tiny_model

SEEDS: dict[Kind, int] = {"recurrent": 2, "translation": 6, "decoder": 4, "rotary": 9, "capped": 52}
"""Seeds of models whose translations differ from each other."""
MODELS: dict[Kind, Model] = {kind: build_tiny_model(seed, kind) for kind, seed in SEEDS.items()}
MODEL = MODELS["recurrent"]
VOCABULARY = len(MODEL.tensors["embeddings"])
"""Size of the vocabulary of all models."""

sentences = st.lists(st.integers(1, VOCABULARY - 1), max_size=11).map(lambda ids: [*ids, 0])
batches = st.lists(sentences, min_size=1, max_size=6)


@cache
def both(kind: Kind = "recurrent") -> tuple[Engine, Engine]:
    """Return (reference, compiled).  They are made on first use, because compiling takes long."""
    return engines(MODELS[kind])


def engine_of(backend: Backend, kind: Kind = "recurrent") -> Engine:
    return both(kind)[BACKENDS[::-1].index(backend)]


def reference() -> Engine:
    return engine_of("reference")


def compiled() -> Engine:
    return engine_of("compiled")


def sources_of(kind: Kind) -> st.SearchStrategy[list[int]]:
    """Draw the token ids of a source.  A decoder alone has an empty source."""
    return sentences if MODELS[kind].program.encoder else st.just([])


def batches_for(kind: Kind) -> st.SearchStrategy[Batch]:
    return st.lists(sources_of(kind), min_size=1, max_size=6)
