"""A model ready to translate: tokenizers and engine, from lines of text to lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from int8ref.batching import Limits, in_order
from int8ref.executor import Backend, load_engine
from int8ref.model_file import Model
from int8ref.program import max_target_length, validate
from int8ref.text import TokenizerError, build_tokenizer

MAX_BATCH_TOKENS = 4096
WINDOW_BATCHES = 16
"""Lines are read ahead for so many batches, so that batches of like length can be made."""

Truncated = Callable[[int, int, int], None]
"""Called with a line's number (from 1), its number of tokens, and how many are translated."""


class Translator:
    """Translates; immutable, and may be used from several threads at once.

    A translation has at most max_length_factor / 100 times the tokens of its source; the factor is
    the model's own by default.  Raises `TokenizerError` for tokenizers that do not fit the program.
    """

    def __init__(
        self, model: Model, backend: Backend = "compiled", max_length_factor: int | None = None
    ) -> None:
        program, tensors = model.program, model.tensors
        logits = validate(program, tensors).decoder[program.logits]
        sizes = {len(tensors[i.names("tensor")[0]]) for i in program.encoder if i.op == "embed"}
        try:
            self._source = build_tokenizer(model.source, min(sizes, default=logits.width))
            self._target = build_tokenizer(model.target, logits.width)
        except TokenizerError as error:
            raise TokenizerError(f"model {model.name}: {error}") from None
        self._tensors = tensors
        self._program = (
            replace(program, max_length_factor=max_length_factor) if max_length_factor else program
        )
        self._engine = load_engine(self._program, tensors, backend)

    def translate(
        self, lines: Iterable[str], batch_size: int, threads: int, truncated: Truncated
    ) -> Iterator[list[str]]:
        """Translations in the order of `lines`, one a line, as soon as all before them are done.

        A line without text gives an empty line.  Longer sources than the model takes are cut, and
        `truncated` is told.  `lines` is iterated in another thread, ahead by a bounded number; its
        exceptions are raised here after the translations of what came before.
        """
        limits = Limits(
            batch_size=batch_size,
            batch_total=MAX_BATCH_TOKENS,
            read_ahead=batch_size * WINDOW_BATCHES,
            threads=threads,
        )
        sources = (
            self._encode(number, line, truncated) for number, line in enumerate(lines, start=1)
        )
        return in_order(sources, self._translate_batch, len, limits)

    def _encode(self, number: int, line: str, truncated: Truncated) -> list[int]:
        """Token ids with eos, or none where the line is blank."""
        ids = self._source.encode(line)
        most = self._program.max_source_length - 1
        if len(ids) > most:
            truncated(number, len(ids), most)
        return [*ids[:most], self._program.eos] if ids else []

    def _translate_batch(self, batch: list[list[int]]) -> list[str]:
        full = [ids for ids in batch if ids]
        limits = [max_target_length(self._program, self._tensors, len(ids)) for ids in full]
        found = iter(self._engine.greedy(full, limits) if full else [])
        return [self._target.decode(next(found)) if ids else "" for ids in batch]
