"""Tiny, complete and valid models with every operation of the real models."""

from __future__ import annotations

import io
from functools import cache
from typing import Literal, get_args

import numpy as np
import sentencepiece

from int8ref.engines.backends import load_engine
from int8ref.files.model_file import Model, Tokenizer
from int8ref.program.program import Program, Tensors
from tests.helpers.programs import TinyPrograms

Kind = Literal["recurrent", "translation", "decoder", "rotary", "capped"]
"""recurrent    an encoder, and a decoder with an SSRU, as in Marian's small models
translation  an Integer Transformer: pre-norm, L1 norm, polynomial attention
decoder      a decoder alone
rotary       a decoder alone of Llama's kind
capped       a decoder alone with norms of heads, windows, and soft caps, as Gemma 2 and OLMo 2"""

KINDS = get_args(Kind)
NAMES: dict[Kind, str] = {
    "recurrent": "tiny",
    "translation": "tiny-translation",
    "decoder": "tiny-decoder-only",
    "rotary": "tiny-rotary",
    "capped": "tiny-capped",
}
DECODER_BATCH: list[list[int]] = [[]] * 5
"""A batch for a decoder alone."""
SENTENCES = (
    "The cat sat on the mat.",
    "A dog ran in the sun, and the cat saw it.",
    "We like to eat red fish; do you?",
    "O gato comeu o peixe.",
    "O sol nasceu e o dia foi bom!",
)


@cache
def sentencepiece_model() -> bytes:
    """Return a SentencePiece model of a few dozen pieces. </s> is 0, and <unk> is 1."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4),
        model_writer=out,
        vocab_size=64,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        eos_id=0,
        unk_id=1,
        bos_id=-1,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return out.getvalue()


@cache
def build_tiny_model(seed: int = 0, kind: Kind = "recurrent") -> Model:
    """Return a valid model of random weights.  Equal seeds give equal models."""
    spm = Tokenizer("sentencepiece", sentencepiece_model())
    processor = sentencepiece.SentencePieceProcessor(model_proto=spm.model)
    builder = TinyPrograms(seed)
    program: Program = getattr(builder, kind)(processor.vocab_size())
    batches = {
        "recurrent": [[*processor.encode(sentence), 0] for sentence in SENTENCES],
        "translation": [[4 + i, 9, 3 + i, 0] for i in range(9)],
    }
    _make_some_end(program, builder.tensors, batches.get(kind, DECODER_BATCH))
    return Model(
        name=NAMES[kind],
        languages=("en", "pt"),
        program=program,
        tensors=builder.tensors,
        source=spm,
        target=spm,
        provenance={"origin": "random numbers", "licence": "Apache-2.0"},
    )


def model_with(tokenizer: bytes, size: int) -> Model:
    """Return a language model of random weights with a tokenizer of `size` ids."""
    builder, both = TinyPrograms(0), Tokenizer.of(tokenizer)
    program = builder.rotary(size)
    return Model("tiny", ("en", "en"), program, builder.tensors, both, both, {})


def _make_some_end(program: Program, tensors: Tensors, batch: list[list[int]]) -> None:
    """Give eos a constant logit that is the largest logit in about one of ten steps."""
    tensors["embeddings"][program.eos] = 0
    session = load_engine(program, tensors, "reference").session(batch)
    ids = np.full(len(batch), program.start, np.int32)
    largest = []
    for _ in range(20):
        logits = session.step(ids)
        ids = logits.argmax(axis=1).astype(np.int32)
        largest += logits.max(axis=1).tolist()
    tensors["logits.bias"][program.eos] = sorted(largest)[len(largest) // 10]
