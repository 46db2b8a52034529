"""A float model: its operations, its tensors, how it generates, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property

from msgspec import UNSET

from int8ref.files.chat_template import ChatTemplate
from int8ref.program.languages import Direction, Languages
from int8ref.program.source_frame import SourceFrame
from weights_import.errors import CheckpointError
from weights_import.float_program import FloatProgram
from weights_import.tensors import Tensors


@dataclass(frozen=True)
class Generation:
    """How a model reads sources and writes targets.

    start              the id at the first position of the decoder; -1 for the zero vector
    eos, unk           ids of the target, and of the source unless `source_special` has others
    source_vocabulary  the number of ids of the source; 0 for a decoder alone
    max_length_factor  a source of n tokens, its frame counted, takes at most
                       max(1, floor(max_length_factor * n)) steps
    alpha              beam search divides by the length to the power of alpha
    max_positions      the number of positions that the model knows; 0 without a limit
    source_frame       the tokens around a source; None for `eos` after it
    target_prefix      the tokens with which every target began in training
    more_eos           more tokens that end a target
    languages          the languages of a model of many, with their tokens; None for one pair

    Raises CheckpointError that lists all inconsistent fields.
    """

    start: int
    eos: int
    unk: int
    target_vocabulary: int
    source_vocabulary: int = 0
    max_length_factor: float = 1.0
    alpha: float = 1.0
    max_positions: int = 0
    source_frame: SourceFrame | None = None
    source_special: tuple[int, int] | None = None
    target_prefix: tuple[int, ...] = ()
    more_eos: tuple[int, ...] = ()
    languages: Languages | None = None

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise CheckpointError("; ".join(problems))

    @property
    def frame(self) -> SourceFrame:
        """What stands around the tokens of a source, in the default language of sources."""
        usual = SourceFrame(after=(self.eos,)) if self.source_frame is None else self.source_frame
        languages = self.languages
        if languages is None or languages.source is UNSET:
            return usual
        return languages.sources[languages.source]

    @property
    def frames(self) -> list[SourceFrame]:
        """Every frame that a source may have, in each of its languages and into each target."""
        languages = self.languages
        if languages is None:
            return [self.frame]
        own = [*languages.sources.values()] or [self.frame]
        first = dict.fromkeys([(), *(one.source for one in languages.targets.values())])
        return [SourceFrame((*b, *frame.before), frame.after) for b in first for frame in own]

    @property
    def directions(self) -> list[Direction]:
        """The tokens of a calibration: into the default language, or into each language in turn.

        A text may itself hold the token of its target, if that stands before the source.  Without a
        default, such a text stays as it is.
        """
        languages = self.languages
        if languages is None or (languages.target is UNSET and languages.target_is_optional):
            return [Direction(self.frame)]
        targets = languages.targets if languages.target is UNSET else [languages.target]
        return [languages.into(target, self.frame) for target in targets]

    @property
    def ends(self) -> tuple[int, ...]:
        """All tokens that end a target."""
        return (self.eos, *self.more_eos)

    def _problems(self) -> Iterator[str]:
        values = asdict(self)
        if self.target_vocabulary < 1:
            yield f"target_vocabulary={self.target_vocabulary} is not positive"
        for name in ("source_vocabulary", "max_positions"):
            if values[name] < 0:
                yield f"{name}={values[name]} is negative"
        smaller = self.target_vocabulary
        if self.source_vocabulary and self.source_special is None:
            smaller = min(smaller, self.source_vocabulary)
        for name in ("eos", "unk"):
            if not 0 <= values[name] < smaller:
                yield f"{name}={values[name]} is outside a vocabulary of {smaller}"
        around = [*self.frame.before, *self.frame.after, *(self.source_special or ())]
        if self.source_vocabulary and not all(0 <= t < self.source_vocabulary for t in around):
            yield f"source tokens {around} are outside a vocabulary of {self.source_vocabulary}"
        if not all(0 <= token < self.target_vocabulary for token in self.target_prefix):
            yield f"target_prefix={self.target_prefix} is outside the vocabulary"
        if not all(0 <= token < self.target_vocabulary for token in self.more_eos):
            yield f"more_eos={self.more_eos} is outside the vocabulary"
        if self.languages is not None:
            sizes = (self.source_vocabulary,)
            yield from self.languages.problems(self.target_vocabulary, sizes, self.eos)
        if not -1 <= self.start < self.target_vocabulary:
            yield f"start={self.start} is outside a vocabulary of {self.target_vocabulary}"


@dataclass
class FloatModel:
    """A float model.

    program     its operations
    tensors     the tensors that they read, by canonical names
    generation  how it reads sources and writes targets
    grids       name of a tensor -> step, for tensors that are exactly int8 * step
    tokenizers  "source" and "target" -> the bytes of a tokenizer, see `Tokenizer.of`
    provenance  file, sha256, format, and licence if it is known
    languages   codes of source and target language, if the checkpoint tells them
    frames      the possible frames of a source, by the names that a user asks for; empty if the
                format leaves no choice
    labels      names of the logits of an encoder alone
    chat        the chat template of a decoder alone, or None
    doubt       why a user must ask for a frame; empty if the checkpoint tells the frame
    starts      the first id of the decoder by target language, if each language has its own; an
                import has to choose one
    wanted      names of its tokenizer files; empty for the names of `sources.tokenizers`
    warnings    a sentence for each difference between the model and its checkpoint
    """

    program: FloatProgram
    tensors: Tensors
    generation: Generation
    grids: dict[str, float] = field(default_factory=dict)
    tokenizers: dict[str, bytes] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    languages: tuple[str, str] | None = None
    frames: dict[str, SourceFrame] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    chat: ChatTemplate | None = None
    doubt: str = ""
    starts: dict[str, int] = field(default_factory=dict)
    wanted: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def translates(self) -> bool:
        """Whether it reads a source; else it is a decoder alone, a language model."""
        return bool(self.program.encoder)

    @property
    def encodes(self) -> bool:
        """Whether it is an encoder alone, which gives one row for each text."""
        return bool(self.program.output)

    @cached_property
    def memory_values(self) -> frozenset[str]:
        """The values of the encoder that the decoder reads."""
        read = {name for operation in self.program.decoder for name in operation.inputs}
        return frozenset(o.out for o in self.program.encoder if o.out in read)
