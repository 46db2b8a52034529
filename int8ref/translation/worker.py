"""Sentences of a batch become results: tokens, search, alignment.  No threads and no streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from int8ref.engines.backends import BACKENDS, Backend, load_engine
from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.files.shortlist import Shortlist, tokenizers_hash
from int8ref.options import OptionError, Options, hundredths
from int8ref.program.program import Program
from int8ref.program.sizes import (
    embedding_sizes,
    longest_translation,
    max_steps,
    max_target_length,
    vocabulary_size,
)
from int8ref.results import Alignment, Result, Scores, Translation, Unknown
from int8ref.search import BeamOptions, Hypothesis, Sampling
from int8ref.search.forced import scored
from int8ref.spec.limits import MAX_BEAM
from int8ref.text.decimals import natural_log
from int8ref.text.tokenizers import TextTokenizer, TokenizerError, build_tokenizer
from int8ref.translation.alignment import alignment_weights, describe

Warn = Callable[[str], None]

CERTAIN = Scores((), natural_log(0), natural_log(0), True)
"""Scores of the empty translation of a text without tokens."""


class Sentence(Struct, frozen=True):
    """Text and its token ids, without eos; `truncated` where ids had to be left out; `unknown`:
    what the vocabulary lacks of it; `number` tells what is drawn for it from what is drawn for
    others."""

    text: str
    ids: tuple[int, ...]
    truncated: bool
    unknown: Unknown = ()
    number: int = 0


Pair = tuple[Sentence, Sentence]
"""A sentence and a translation of it."""


class Found(Struct, frozen=True):
    """A translation as the engine has it: ids without eos, and scores if there are any."""

    text: str
    ids: Sequence[int]
    scores: Scores | None
    unknown: Unknown = ()


def source_size(model: Model) -> int:
    """How many tokens there are to embed a source with; of a decoder alone, all that it knows."""
    program, tensors = model.program, model.tensors
    sizes = embedding_sizes(program, tensors, "source")
    return min(sizes, default=vocabulary_size(program, tensors))


def tokenizers(model: Model) -> tuple[TextTokenizer, TextTokenizer]:
    """Those of source and target, one and the same where these do not differ.

    Raises `TokenizerError` where they do not fit the program.
    """
    sizes = source_size(model), vocabulary_size(model.program, model.tensors)
    try:
        target = build_tokenizer(model.target, sizes[1])
        if (model.source, sizes[0]) == (model.target, sizes[1]):
            return target, target
        return build_tokenizer(model.source, sizes[0]), target
    except TokenizerError as error:
        raise TokenizerError(f"model {model.name}: {error}") from None


def _own(lists: Shortlist, model: Model) -> bool:
    """Whether a shortlist was made for the vocabularies of a model."""
    sizes = source_size(model), vocabulary_size(model.program, model.tensors)
    return lists.fits(*sizes, tokenizers_hash(model.source.model, model.target.model))


class Worker:
    """A model's tokenizers and engine.  Immutable: may be used from several threads at once.

    Raises `UserError` for a model without an encoder, and `TokenizerError` for tokenizers that do
    not fit the program.
    """

    def __init__(self, model: Model, backend: Backend) -> None:
        program, tensors = model.program, model.tensors
        if not isinstance(backend, str) or backend not in BACKENDS:
            raise OptionError(f"backend is {backend!r}, not one of {BACKENDS}")
        if not program.encoder:
            raise UserError(f"model {model.name}: a decoder alone, which translates nothing")
        self._source, self._target = tokenizers(model)
        self._shortlist = model.shortlist
        if model.shortlist and not _own(model.shortlist, model):
            raise UserError(f"model {model.name}: the shortlist beside it is not its own")
        self._program, self._frame, self._tensors = program, program.frame, tensors
        self._max_steps = max_steps(program, tensors)
        self._engine = load_engine(program, tensors, backend, model.types, model.digest, model.name)

    def source(self, text: str, where: str, warn: Warn | None, number: int = 0) -> Sentence:
        """A sentence to be translated; `warn` is told where it is longer than the model takes."""
        most = self._program.max_source_length - self._frame.size
        return replace(_encode(self._source, text, most, where, warn), number=number)

    def pair(self, source: str, translation: str, where: str, warn: Warn | None) -> Pair:
        """A sentence and its translation to be scored; as `source`.

        Raises `UserError` where the model would see nothing at all of the source.
        """
        longest = replace(self._program, max_length_factor=10_000)
        most = max_target_length(longest, self._tensors, longest.max_source_length) - 1
        prefix = self._program.prefix
        target = _encode(
            self._target, translation, most - len(prefix), f"{where}, translation", warn
        )
        sentence = self.source(source, where, warn)
        if target.ids and not sentence.ids and not self._frame.size:
            raise UserError(f"{where}: a translation of no token, which this model cannot score")
        if target.ids or sentence.ids:
            unknown = tuple((len(prefix) + place, text) for place, text in target.unknown)
            target = replace(target, ids=(*prefix, *target.ids), unknown=unknown)
        return sentence, target

    def translate(self, batch: Sequence[Sentence], options: Options) -> list[Result]:
        """The translations of each sentence; of one without tokens, the empty one."""
        full = [sentence for sentence in batch if sentence.ids]
        sources = [self._frame.around(sentence.ids) for sentence in full]
        sampling = options.sampling
        if not full:
            found = []
        elif sampling is None:
            found = self._search(sources, options)
        else:
            found = self._drawn(sources, [s.number for s in full], sampling, options)
        aligned = iter(self._translations(sources, found, options))
        empty = [_empty(options, options.scores)]
        return [self._result(s, next(aligned) if s.ids else empty, s.truncated) for s in batch]

    def score(self, batch: Sequence[Pair], options: Options) -> list[Result]:
        """The given translation of each sentence with its scores; none of nothing is certain."""
        full = [(source, target) for source, target in batch if source.ids or target.ids]
        sources = [self._frame.around(source.ids) for source, _ in full]
        targets = [target.ids for _, target in full]
        scored = self._engine.score(sources, targets, _beam(self._program, options)) if full else []
        found = [
            [Found(target.text, target.ids, _scores(hypothesis), target.unknown)]
            for (_, target), hypothesis in zip(full, scored, strict=True)
        ]
        aligned = iter(self._translations(sources, found, options))
        return [
            self._result(
                source,
                next(aligned) if source.ids or target.ids else [_empty(options, scores=True)],
                source.truncated or target.truncated,
            )
            for source, target in batch
        ]

    def _search(self, sources: list[list[int]], options: Options) -> list[list[Found]]:
        limits = self._limits([len(source) for source in sources], options)
        decode = self._target.decode
        lists = self._shortlist if options.shortlist else None
        eos = self._program.eos
        candidates = [lists.candidates(source, eos) for source in sources] if lists else None
        if options.beam_size == 1 and not options.scores:
            greedy = self._engine.greedy(sources, limits, candidates)
            return [[Found(decode(ids), ids, None)] for ids in greedy]
        beams = self._engine.beam(sources, limits, _beam(self._program, options), candidates)
        return [_wanted(map(self._found, some), options) for some in beams]

    def _drawn(
        self,
        sources: list[list[int]],
        numbers: Sequence[int],
        sampling: Sampling,
        options: Options,
    ) -> list[list[Found]]:
        """Translations that are drawn, each with random numbers of its own."""
        count = options.n_best
        each = [source for source in sources for _ in range(count)]
        limits = self._limits([len(source) for source in each], options)
        texts = [number * MAX_BEAM + i for number in numbers for i in range(count)]
        drawn = self._engine.sample(each, limits, sampling, texts)
        if options.scores:
            eos = [self._program.eos]
            paths = [
                [*ids, *eos] if len(ids) < limit else ids
                for ids, limit in zip(drawn, limits, strict=True)
            ]
            scoring = _beam(self._program, options)
            found = [self._found(h) for h in scored(self._engine, each, paths, scoring)]
        else:
            found = [Found(self._target.decode(ids), ids, None) for ids in drawn]
        return [_wanted(found[i : i + count], options) for i in range(0, len(found), count)]

    def _found(self, hypothesis: Hypothesis) -> Found:
        return Found(self._target.decode(hypothesis.ids), hypothesis.ids, _scores(hypothesis))

    def _limits(self, lengths: Sequence[int], options: Options) -> list[int]:
        """Most tokens of the translation of a source of each length."""
        factor, most = self._program.max_length_factor, self._max_steps
        if options.max_length_factor is not None:
            factor = hundredths("max_length_factor", options.max_length_factor)
        if options.max_length is not None:
            most = min(most, options.max_length)
        return [longest_translation(length, factor, most) for length in lengths]

    def _translations(
        self, sources: list[list[int]], found: list[list[Found]], options: Options
    ) -> list[list[Translation]]:
        """What is found as translations, aligned where that is asked for."""
        flat = [translation for some in found for translation in some]
        alignments: list[Alignment | None] = [None] * len(flat)
        if options.alignment is not None and flat:
            owners = [index for index, some in enumerate(found) for _ in some]
            targets = [translation.ids for translation in flat]
            weights = alignment_weights(self._engine, self._tensors, sources, owners, targets)
            alignments = [describe(w, options.alignment, self._frame) for w in weights]
        each = iter(alignments)
        pieces = self._target.pieces
        return [
            [
                Translation(
                    f.text, tuple(pieces(f.ids)), tuple(f.ids), f.scores, next(each), f.unknown
                )
                for f in some
            ]
            for some in found
        ]

    def _result(
        self, source: Sentence, translations: Sequence[Translation], truncated: bool
    ) -> Result:
        pieces = tuple(self._source.pieces(source.ids))
        return Result(source.text, pieces, truncated, tuple(translations), source.unknown)


def _encode(
    tokenizer: TextTokenizer, text: str, most: int, where: str, warn: Warn | None
) -> Sentence:
    ids = tokenizer.encode(text)
    if len(ids) > most and warn is not None:
        warn(f"{where}: only the first {most} of {len(ids)} tokens are used")
    kept = tuple(ids[:most])
    return Sentence(text, kept, len(ids) > most, tuple(tokenizer.unknown(text, kept)))


def _wanted(found: Iterable[Found], options: Options) -> list[Found]:
    """Of what was found of a sentence, best first, what was asked for."""
    if options.distinct:
        first: dict[str, Found] = {}
        for translation in found:
            first.setdefault(translation.text, translation)
        found = first.values()
    return [*found][: options.n_best]


def _beam(program: Program, options: Options) -> BeamOptions:
    """How to search.  Of what is distinct there may be less than of what is found."""
    wanted = options.rows if options.distinct else options.n_best
    normalization = options.normalization or "length"
    alpha = program.alpha if options.alpha is None else hundredths("alpha", options.alpha)
    return BeamOptions(options.rows, wanted, normalization, alpha)


def _scores(hypothesis: Hypothesis) -> Scores:
    return Scores(
        tokens=tuple(natural_log(token) for token in hypothesis.tokens),
        log_probability=natural_log(sum(hypothesis.tokens)),
        score=natural_log(hypothesis.score),
        complete=hypothesis.complete,
    )


def _empty(options: Options, scores: bool) -> Translation:
    alignment = Alignment((), () if options.alignment == "soft" else None)
    found = alignment if options.alignment else None
    return Translation("", (), (), CERTAIN if scores else None, found)
