"""The encoder: turns texts into embeddings, or labels them, in any number of threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeVar, overload

import numpy as np
import numpy.typing as npt

from int8ref.engines.backends import Backend, load_engine
from int8ref.errors import UserError, WrongTypeError
from int8ref.files.model_file import Model
from int8ref.program.sizes import vocabulary_size
from int8ref.reference.normalize import Normalize
from int8ref.results import Unknown
from int8ref.text.batching import in_order, together
from int8ref.text.decimals import natural_log
from int8ref.text.lines import Warn
from int8ref.text.tokenizers import build_tokenizer
from int8ref.translation import expect
from int8ref.translation.ready import DEFAULT_SPEED, MAX_BATCH_TOKENS, ReadyModel, Speed

Vectors = npt.NDArray[np.int8]
Texts = list[str] | tuple[str, ...]


@dataclass(frozen=True)
class Embedding:
    """A text and its embedding.

    text       the text
    vector     int8 [width]: a unit vector times `Encoder.length`
    tokens     number of tokens that the model read, with the tokens around the text
    truncated  True if the text was too long, and the model read only its first tokens
    unknown    text that the vocabulary lacks.  The places are places in the tokens of the text.
    """

    text: str
    vector: Vectors
    tokens: int
    truncated: bool
    unknown: Unknown = ()


@dataclass(frozen=True)
class Classification:
    """A text and the probabilities of its labels.

    text       the text
    labels     all labels of the model
    log2       log2 P(label | text) of each label, an integer in units of 2^-20
               (`arithmetic.LOG_BITS`), at most 0
    tokens     number of tokens that the model read, with the tokens around the text
    truncated  True if the text was too long, and the model read only its first tokens
    unknown    text that the vocabulary lacks.  The places are places in the tokens of the text.
    """

    text: str
    labels: tuple[str, ...]
    log2: tuple[int, ...]
    tokens: int
    truncated: bool
    unknown: Unknown = ()

    @property
    def best(self) -> int:
        """The place of the most likely label; the first of equally likely labels."""
        return self.log2.index(max(self.log2))

    @property
    def label(self) -> str:
        """The most likely label."""
        return self.labels[self.best]

    @property
    def log_probabilities(self) -> tuple[Decimal, ...]:
        """log P(label | text) of each label, natural, rounded to six decimal places."""
        return tuple(map(natural_log, self.log2))

    def _repr_html_(self) -> str:
        """Return HTML for notebooks: the labels, the most likely label first."""
        from int8ref import notebook

        numbers = self.log_probabilities
        order = sorted(range(len(numbers)), key=lambda place: (-self.log2[place], place))
        rows = [(self.labels[place], numbers[place]) for place in order]
        return notebook.section(notebook.note(self.text), notebook.table(("label", "log P"), rows))


Found = TypeVar("Found", Embedding, Classification)


@dataclass(frozen=True)
class _Framed:
    """A text as token ids, with the tokens around it."""

    text: str
    ids: list[int]
    truncated: bool
    unknown: Unknown


class Encoder(ReadyModel):
    """Turns texts into embeddings, or labels texts.

    An Encoder is immutable.  Several threads may use it at once.  The model and the text determine
    all bits of a result.  Arguments and pickles: see `int8ref.Translator`.

    labels  the labels of a model that classifies; empty for a model that embeds
    width   number of numbers of an embedding, or number of labels
    length  the Euclidean length of embeddings before they are rounded.  The integer dot product of
            two embeddings, divided by length^2, is their cosine.  0 for a model that classifies.

    Raises these errors, all of which are `UserError`:

    UserError       the model has a decoder
    TokenizerError  the tokenizer does not fit the program of the model
    OptionError     the backend is unknown
    WrongTypeError  model or speed has the wrong type
    """

    def __init__(
        self,
        model: Model,
        backend: Backend = "compiled",
        speed: Speed = DEFAULT_SPEED,
        path: Path | None = None,
    ) -> None:
        super().__init__(model, backend, speed, path)
        program, tensors = model.program, model.tensors
        if not program.encodes:
            does = "translates" if program.encoder else "continues texts"
            raise UserError(f"model {model.name} {does}: it neither embeds nor classifies")
        self._engine = load_engine(
            program, tensors, backend, model.types, model.digest, model.name, speed.threads
        )
        self._tokenizer = build_tokenizer(model.source, vocabulary_size(program, tensors))
        self.labels = model.labels
        self.width = model.types.encoder[str(program.output)].width
        last = program.encoder[-1]
        self.length = last.length if isinstance(last, Normalize) else 0

    @property
    def threads_of_a_batch(self) -> int:
        """See `ReadyModel.threads_of_a_batch`."""
        return self._engine.threads_of_a_call

    @overload
    def embed(self, text: str) -> Vectors: ...

    @overload
    def embed(self, text: Texts) -> Vectors: ...

    def embed(self, text: str | Texts) -> Vectors:
        """Embed one text, or a list of texts.

        Returns int8 [width] for one text, and int8 [texts, width] for a list.  A vector is a unit
        vector times `length`.  A text that is too long for the model is cut without a message:
        `embeddings` tells of it.

        Raises these errors, all of which are `UserError`:

        UserError       the model classifies
        WrongTypeError  a text is no str
        TextError       a text contains half a surrogate pair
        """
        self._check_embeds()
        if isinstance(text, str):
            return self._embedded([self._framed(expect.text("text", text))])[0].vector
        texts = expect.texts("text", text, "a str or a list of str")
        found = [one.vector for one in self._in_order(texts, self._embedded)]
        return np.stack(found) if found else np.zeros((0, self.width), np.int8)

    def together(self, texts: Sequence[str]) -> list[Embedding]:
        """Return the embeddings of texts, computed in the calling thread without read-ahead.

        For programs that collect batches themselves, such as a service.  Raises the errors of
        `embed`.
        """
        self._check_embeds()
        framed = [self._framed(text) for text in texts]
        return together(framed, self._embedded, _size, self.speed.limits(MAX_BATCH_TOKENS))

    def embeddings(
        self, texts: Iterable[str], warn: Warn | None = None, first: int = 0
    ) -> Iterator[list[Embedding]]:
        """Embed each text, in constant memory.  Yields lists of results as soon as they are ready.

        The results are in the order of the texts.  The iteration works as the iteration of
        `Translator.batches`.  `warn` gets a message for each text that is cut.  Default: no
        messages.  `first`: number of the first text in messages, from 0.  Default: 0.
        Raises the errors of `embed`, at the times that `Translator.stream` describes.
        """
        self._check_embeds()
        return self._batches(expect.texts("texts", texts), self._embedded, warn, first)

    @overload
    def classify(self, text: str) -> Classification: ...

    @overload
    def classify(self, text: Texts) -> list[Classification]: ...

    def classify(self, text: str | Texts) -> Classification | list[Classification]:
        """Label one text, or a list of texts.

        Returns one `Classification` for one text, and a list of `Classification` in the same order
        for a list.

        Raises these errors, all of which are `UserError`:

        UserError       the model embeds
        WrongTypeError  a text is no str
        TextError       a text contains half a surrogate pair
        """
        self._check_classifies()
        if isinstance(text, str):
            return self._labelled([self._framed(expect.text("text", text))])[0]
        texts = expect.texts("text", text, "a str or a list of str")
        return list(self._in_order(texts, self._labelled))

    def classifications(
        self, texts: Iterable[str], warn: Warn | None = None, first: int = 0
    ) -> Iterator[list[Classification]]:
        """Label each text, in constant memory.  Yields lists of results as soon as they are ready.

        See `embeddings`.  Raises the errors of `classify`.
        """
        self._check_classifies()
        return self._batches(expect.texts("texts", texts), self._labelled, warn, first)

    def dot_products(self, a: Vectors, b: Vectors) -> npt.NDArray[np.int32]:
        """Return the exact dot products of embeddings [n, width] and [m, width]: int32 [n, m].

        A dot product divided by length^2 is a cosine.  Raises `WrongTypeError` for other arrays.
        """
        for name, vectors in (("a", a), ("b", b)):
            found = vectors.shape if isinstance(vectors, np.ndarray) else type(vectors).__name__
            if not isinstance(vectors, np.ndarray) or vectors.shape[1:] != (self.width,):
                raise WrongTypeError(f"{name} is {found}, not an array [n, {self.width}]")
            if vectors.dtype != np.int8:
                raise WrongTypeError(f"{name} is of {vectors.dtype}, not of int8")
        return a.astype(np.int32) @ b.astype(np.int32).T

    def _check_embeds(self) -> None:
        if self.labels:
            raise UserError(f"model {self.model.name} labels texts: it gives no embeddings")

    def _check_classifies(self) -> None:
        if not self.labels:
            raise UserError(f"model {self.model.name} gives embeddings: it labels no texts")

    def _in_order(
        self, texts: Iterator[str], work: Callable[[list[_Framed]], list[Found]]
    ) -> Iterator[Found]:
        return itertools.chain.from_iterable(self._batches(texts, work))

    def _batches(
        self,
        texts: Iterator[str],
        work: Callable[[list[_Framed]], list[Found]],
        warn: Warn | None = None,
        first: int = 0,
    ) -> Iterator[list[Found]]:
        framed = (
            self._framed(text, f"line {number}", warn)
            for number, text in enumerate(texts, start=first + 1)
        )
        return in_order(framed, work, _size, self.speed.limits(MAX_BATCH_TOKENS))

    def _framed(self, text: str, where: str = "", warn: Warn | None = None) -> _Framed:
        """Return the token ids of a text, in the frame of the model.

        Raises `UserError` if there is no token.
        """
        program = self.model.program
        frame, most = program.frame, program.max_source_length - program.frame.size
        ids = self._tokenizer.encode(text)
        kept = ids[:most]
        if len(ids) > most and warn is not None:
            warn(f"{where}: only the first {most} of {len(ids)} tokens are used")
        unknown = tuple(self._tokenizer.unknown(text, kept))
        framed = frame.around(kept)
        if not framed:
            raise UserError(f"{where or 'the text'}: a text of no token, which has no embedding")
        return _Framed(text, framed, len(ids) > most, unknown)

    def _embedded(self, batch: list[_Framed]) -> list[Embedding]:
        vectors = self._engine.outputs([framed.ids for framed in batch])
        return [
            Embedding(one.text, vector, len(one.ids), one.truncated, one.unknown)
            for one, vector in zip(batch, vectors, strict=True)
        ]

    def _labelled(self, batch: list[_Framed]) -> list[Classification]:
        step = self.model.program.softmax
        logits = self._engine.outputs([framed.ids for framed in batch])
        found = step.of(logits).tolist()
        return [
            Classification(
                one.text, self.labels, tuple(log2), len(one.ids), one.truncated, one.unknown
            )
            for one, log2 in zip(batch, found, strict=True)
        ]


def _size(framed: _Framed) -> int:
    return len(framed.ids)
