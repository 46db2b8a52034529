"""Computes the results of a batch of sentences: tokens, search, alignment.  Single-threaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy

from msgspec import Struct
from msgspec.structs import replace

from int8ref.engines.backends import Backend, load_engine
from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.files.shortlist import Shortlist, tokenizers_hash
from int8ref.options import AlignmentKind, Options, hundredths, normalization_of
from int8ref.program.languages import Direction
from int8ref.program.program import Program
from int8ref.program.sizes import (
    embedding_sizes,
    longest_translation,
    max_steps,
    vocabulary_size,
)
from int8ref.results import Alignment, Result, Scores, Span, Translation, Unknown
from int8ref.search import BeamOptions, Hypothesis, Sampling
from int8ref.search.decoder import distinct_sources
from int8ref.search.forced import score
from int8ref.search.reading import NOTHING, Given, digests
from int8ref.search.request import Path, Request, Tokens
from int8ref.search.sampling import draw_number
from int8ref.text.lines import Warn
from int8ref.text.tokenizers import TextTokenizer, TokenizerError, build_tokenizer
from int8ref.translation.adjusting import adjustments_of
from int8ref.translation.alignment import Int64, alignment_weights, describe
from int8ref.translation.placing import aligned_for, placed, trimmed
from int8ref.translation.scores import CERTAIN, scores_of
from int8ref.translation.witness import Witnessed, drafted, searched


class Sentence(Struct, frozen=True):
    """A text as token ids, without eos.

    truncated  True if token ids of the text or of the prefix were removed
    unknown    text that the vocabulary lacks
    number     selects the random numbers of the sentence
    prefix     token ids with which its translation begins
    lacking    text of the prefix that the vocabulary lacks
    expected   token ids of a translation that somebody expects, with the prefix, or None
    """

    text: str
    ids: tuple[int, ...]
    truncated: bool
    unknown: Unknown = ()
    number: int = 0
    prefix: tuple[int, ...] = ()
    lacking: Unknown = ()
    expected: Tokens | None = None

    @property
    def draft(self) -> Tokens | None:
        """The expected translation without the prefix, or None (`translation.witness`)."""
        size = len(self.prefix)
        if self.expected is None or tuple(self.expected[:size]) != self.prefix:
            return None
        return self.expected[size:]


SentencePair = tuple[Sentence, Sentence]
"""A sentence and its translation."""


class Found(Struct, frozen=True):
    """A translation of the engine: ids without eos, and what the options ask for: its scores, and
    the digest of its logits."""

    text: str
    ids: Sequence[int]
    scores: Scores | None
    unknown: Unknown = ()
    logits: str | None = None


def source_size(model: Model) -> int:
    """Return the number of source token ids.  For a decoder alone: the size of its vocabulary."""
    program, tensors = model.program, model.tensors
    sizes = embedding_sizes(program, tensors, "source")
    return min(sizes, default=vocabulary_size(program, tensors))


def tokenizers(model: Model) -> tuple[TextTokenizer, TextTokenizer]:
    """Return the tokenizers of source and target.  Equal tokenizers are one object.

    Raises `TokenizerError` if a tokenizer does not fit the program.
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
    """Return whether a shortlist belongs to the vocabularies of a model."""
    sizes = source_size(model), vocabulary_size(model.program, model.tensors)
    return lists.fits(*sizes, tokenizers_hash(model.source.model, model.target.model))


class Worker:
    """The tokenizers and the engine of a model.  Immutable: several threads may use it at once.

    The engine has `threads` cores.

    Raises `UserError` if the model has no encoder, and `TokenizerError` if a tokenizer does not fit
    the program.
    """

    def __init__(self, model: Model, backend: Backend, threads: int = 1) -> None:
        program, tensors = model.program, model.tensors
        if program.encodes:
            raise UserError(f"model {model.name}: an encoder alone, which translates nothing")
        if not program.encoder:
            raise UserError(f"model {model.name}: a decoder alone, which translates nothing")
        self._source, self._target = tokenizers(model)
        self._shortlist = model.shortlist
        if model.shortlist and not _own(model.shortlist, model):
            raise UserError(f"model {model.name}: the shortlist beside it is not its own")
        self._program, self._tensors = program, tensors
        self._frame, self._forced = program.frame, tuple[int, ...]()
        self._max_steps = max_steps(program, tensors)
        self._engine = load_engine(
            program, tensors, backend, model.types, model.digest, model.name, threads
        )

    @property
    def threads_of_a_batch(self) -> int:
        """See `ReadyModel.threads_of_a_batch`."""
        return self._engine.threads_of_a_call

    def into(self, direction: Direction) -> Worker:
        """Return a worker of the same engine for other tokens around sources and translations."""
        worker = copy(self)
        worker._frame, worker._forced = direction.frame, direction.forced
        worker._max_steps = self._max_steps - len(direction.forced)
        return worker

    def fits(self, text: str) -> bool:
        """Return whether the model has room for a text, and for twice its tokens."""
        most = min(self._program.max_source_length - self._frame.size, self._max_steps // 2)
        return len(self._source.encode(text)) <= most

    def encode_source(
        self, text: str, where: str, warn: Warn | None, number: int = 0, prefix: str = ""
    ) -> Sentence:
        """Return a sentence to translate, with its target prefix.

        `warn` gets a message if the text or the prefix is too long for the model.
        """
        most = self._program.max_source_length - self._frame.size
        sentence = replace(_encode(self._source, text, most, where, warn), number=number)
        if not prefix:
            return sentence
        begin = self._target_text(prefix, self._max_steps - 1, f"{where}, prefix", warn)
        truncated = sentence.truncated or begin.truncated
        return replace(sentence, prefix=begin.ids, lacking=begin.unknown, truncated=truncated)

    def pair(self, source: str, translation: str, where: str, warn: Warn | None) -> SentencePair:
        """Return a sentence and its translation to score.  `warn`: see `source`.

        Raises `UserError` if the model would read no token of the source.
        """
        most = self._max_steps - 1  # one step is for eos
        target = self._target_text(translation, most, f"{where}, translation", warn)
        sentence = self.encode_source(source, where, warn)
        given = len(target.ids) > len(self._program.prefix)
        if given and not sentence.ids and not self._frame.size:
            raise UserError(f"{where}: a translation of no token, which this model cannot score")
        if not given and not sentence.ids:
            target = replace(target, ids=(), unknown=())
        return sentence, target

    def _target_text(self, text: str, most: int, where: str, warn: Warn | None) -> Sentence:
        """Return a target text of at most `most` tokens, after the prefix of the program."""
        first = self._program.prefix
        found = _encode(self._target, text, most - len(first), where, warn)
        unknown = tuple((len(first) + place, text) for place, text in found.unknown)
        return replace(found, ids=(*first, *found.ids), unknown=unknown)

    def translate(self, batch: Sequence[Sentence], options: Options) -> list[Result]:
        """Translate each sentence.  A sentence without tokens has the empty translation."""
        full = [sentence for sentence in batch if sentence.ids]
        found: list[list[Found]] = []
        if full:
            requests = [self._request(sentence, options) for sentence in full]
            sampling = options.sampling
            if sampling is None:
                several = self._search(full, requests, options)
            else:
                several = self._drawn(requests, sampling, options)
            found = [
                _wanted([self._after(sentence, one) for one in some], options)
                for sentence, some in zip(full, several, strict=True)
            ]
        sources = [self._frame.around(sentence.ids) for sentence in full]
        wanted = [aligned_for(s.text, bool(s.unknown), options) for s in full]
        aligned = iter(self._translations(sources, found, wanted))
        empty = [_empty(options, options.scores)]
        results = [self._result(s, next(aligned) if s.ids else empty, s.truncated) for s in batch]
        return [placed(result, self._target.decode, options) for result in results]

    def score(self, batch: Sequence[SentencePair], options: Options) -> list[Result]:
        """Score the given translation of each sentence.

        The empty translation of an empty sentence has the probability 1.
        """
        full = [(source, target) for source, target in batch if source.ids or target.ids]
        sources = [self._frame.around(source.ids) for source, _ in full]
        start, eos = self._program.start, self._program.eos
        paths = [
            Path(source, start, (*target.ids, eos), self._forced)
            for source, (_, target) in zip(sources, full, strict=True)
        ]
        scored = score(self._engine, paths, _beam(self._program, options)) if full else []
        found = [
            [Found(target.text, target.ids, scores_of(hypothesis), target.unknown)]
            for (_, target), hypothesis in zip(full, scored, strict=True)
        ]
        aligned = iter(self._translations(sources, found, [options.alignment] * len(found)))
        results = [
            self._result(
                source,
                next(aligned) if source.ids or target.ids else [_empty(options, scores=True)],
                source.truncated or target.truncated,
            )
            for source, target in batch
        ]
        return [placed(result, self._target.decode, options, copies=False) for result in results]

    def _request(self, sentence: Sentence, options: Options) -> Request:
        """Return the request to the engine."""
        ids = self._frame.around(sentence.ids)
        limit = max(1, self._longest(len(ids), options) - len(sentence.prefix))
        candidates = None
        if options.shortlist and self._shortlist is not None:
            candidates = self._shortlist.candidates(ids, self._program.eos)
        prefix = (*self._forced, *sentence.prefix)
        adjusted = adjustments_of(options, self._target)
        return Request(ids, limit, prefix, candidates, sentence.number, adjusted)

    def _search(
        self, sentences: Sequence[Sentence], requests: Sequence[Request], options: Options
    ) -> list[list[Found]]:
        """Return the translations of a search, best first, without their prefixes."""
        if options.beam_size == 1 and not options.scores:
            found = self._greedy(sentences, requests, options.logits_digest)
            return [[Found("", ids, None, logits=logits)] for ids, logits in found]
        beams = self._engine.beam(requests, _beam(self._program, options))
        if not options.logits_digest:
            return [[_found(hypothesis) for hypothesis in some] for some in beams]
        given = [
            Given(request, one.ids, one.complete)
            for request, some in zip(requests, beams, strict=True)
            for one in some
        ]
        logits = iter(digests(self._engine, given))
        return [[_found(hypothesis, next(logits)) for hypothesis in some] for some in beams]

    def _greedy(
        self, sentences: Sequence[Sentence], requests: Sequence[Request], witnessed: bool
    ) -> list[Witnessed]:
        """Return the ids of each translation, and the digest of its logits if it is wanted."""
        drafts = [sentence.draft for sentence in sentences]
        if not witnessed or all(draft is None for draft in drafts):
            return searched(self._engine, requests, None, witnessed)
        vocabulary = vocabulary_size(self._program, self._tensors)
        return drafted(self._engine, requests, drafts, vocabulary)

    def _drawn(
        self, requests: Sequence[Request], sampling: Sampling, options: Options
    ) -> list[list[Found]]:
        """Draw translations.  Each translation has its own random numbers."""
        count = options.n_best
        each = [
            replace(request, number=draw_number(request.number, i))
            for request in requests
            for i in range(count)
        ]
        drawn = searched(self._engine, each, sampling, options.logits_digest)
        found = [Found("", ids, None, logits=logits) for ids, logits in drawn]
        if options.scores:
            start, eos = self._program.start, self._program.eos
            paths = [
                Path(r.ids, start, (*ids, eos) if len(ids) < r.limit else ids, r.prefix)
                for r, (ids, _) in zip(each, drawn, strict=True)
            ]
            scored = score(self._engine, paths, _beam(self._program, options))
            found = [_found(h, logits) for h, (_, logits) in zip(scored, drawn, strict=True)]
        return [found[i : i + count] for i in range(0, len(found), count)]

    def _after(self, sentence: Sentence, found: Found) -> Found:
        """Return a translation with its text, after the prefix of its sentence."""
        ids = [*sentence.prefix, *found.ids]
        text = self._target.decode(ids)
        return Found(text, ids, found.scores, sentence.lacking, found.logits)

    def _longest(self, length: int, options: Options) -> int:
        """Return the largest number of tokens of a translation.  `length`: tokens of the source."""
        factor, most = self._program.max_length_factor, self._max_steps
        if options.max_length_factor is not None:
            factor = hundredths("max_length_factor", options.max_length_factor)
        if options.max_length is not None:
            most = min(most, options.max_length)
        return longest_translation(length, factor, most)

    def _translations(
        self,
        sources: list[list[int]],
        found: list[list[Found]],
        wanted: Sequence[AlignmentKind | None],
    ) -> list[list[Translation]]:
        """Return the translations, with the alignment that is wanted for each sentence."""
        kinds = [kind for some, kind in zip(found, wanted, strict=True) for _ in some]
        flat = [translation for some in found for translation in some]
        alignments: list[Alignment | None] = [None] * len(flat)
        if places := [place for place, kind in enumerate(kinds) if kind is not None]:
            several = [source for source, some in zip(sources, found, strict=True) for _ in some]
            first = self._forced
            targets = [[*first, *flat[place].ids] for place in places]
            weights = self._weights([several[place] for place in places], targets)
            for place, w in zip(places, weights, strict=True):
                kind = kinds[place] or "hard"
                alignments[place] = describe(w[len(first) :], kind, self._frame)
        each = iter(alignments)
        pieces = self._target.pieces
        return [
            [
                Translation(
                    text=f.text,
                    tokens=tuple(pieces(f.ids)),
                    ids=tuple(f.ids),
                    scores=f.scores,
                    alignment=next(each),
                    unknown=f.unknown,
                    logits=f.logits,
                )
                for f in some
            ]
            for some in found
        ]

    def _weights(self, sources: list[list[int]], targets: list[list[int]]) -> list[Int64]:
        """Return the weights of each target and its source.  Equal sources are encoded once."""
        distinct, owners = distinct_sources(sources)
        return alignment_weights(self._engine, self._tensors, distinct, owners, targets)

    def _result(
        self, source: Sentence, translations: Sequence[Translation], truncated: bool
    ) -> Result:
        pieces = tuple(self._source.pieces(source.ids))
        spans: tuple[Span, ...] = ()
        if any(translation.alignment is not None for translation in translations):
            spans = trimmed(source.text, self._source.spans(source.text, source.ids))
        return Result(source.text, pieces, truncated, tuple(translations), source.unknown, spans)


def _encode(
    tokenizer: TextTokenizer, text: str, most: int, where: str, warn: Warn | None
) -> Sentence:
    ids = tokenizer.encode(text)
    if len(ids) > most and warn is not None:
        warn(f"{where}: only the first {most} of {len(ids)} tokens are used")
    kept = tuple(ids[:most])
    return Sentence(text, kept, len(ids) > most, tuple(tokenizer.unknown(text, kept)))


def _wanted(found: Iterable[Found], options: Options) -> list[Found]:
    """Select the n_best translations of a sentence.  `found`: sorted, best first."""
    if options.distinct:
        first: dict[str, Found] = {}
        for translation in found:
            first.setdefault(translation.text, translation)
        found = first.values()
    return [*found][: options.n_best]


def _beam(program: Program, options: Options) -> BeamOptions:
    """Return the options of the beam search.

    With the option distinct, the search returns all hypotheses, because several may have one text.
    """
    return normalization_of(
        options, program.alpha, options.rows if options.distinct else options.n_best
    )


def _found(hypothesis: Hypothesis, logits: str | None = None) -> Found:
    return Found("", hypothesis.ids, scores_of(hypothesis), logits=logits)


def _empty(options: Options, scores: bool) -> Translation:
    alignment = Alignment((), () if options.alignment == "soft" else None)
    found = alignment if options.alignment else None
    logits = NOTHING if options.logits_digest else None
    return Translation("", (), (), CERTAIN if scores else None, found, logits=logits)
