"""A language model ready for use: a Program without a source, its engine and its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass

from int8ref.engines.backends import Backend, load_engine
from int8ref.engines.engine import Engine
from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.program.program import Program, takes_source
from int8ref.program.sizes import max_steps, vocabulary_size
from int8ref.text.tokenizers import TextTokenizer, build_tokenizer


@dataclass(frozen=True)
class LanguageModel:
    """`positions`: most tokens that are looked back on, the one before the text counted."""

    program: Program
    engine: Engine
    tokenizer: TextTokenizer
    positions: int

    @classmethod
    def of(cls, model: Model, backend: Backend) -> LanguageModel:
        """Raises `UserError` for a model that takes a source."""
        program, tensors = model.program, model.tensors
        if takes_source(program):
            raise UserError(f"model {model.name} translates: a language model takes no source")
        engine = load_engine(program, tensors, backend)
        tokenizer = build_tokenizer(model.target, vocabulary_size(program, tensors))
        return cls(program, engine, tokenizer, max_steps(program, tensors))
