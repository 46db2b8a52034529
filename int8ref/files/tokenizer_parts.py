"""The parts of a tokenizer.json that int8ref accepts: a closed list, with the fields of each part.

The names are the names of the library `tokenizers`.  Source: https://huggingface.co/docs/tokenizers
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

Flag = bool | UnsetType
Character = Annotated[str, msgspec.Meta(min_length=1, max_length=1)]
Short = Annotated[str, msgspec.Meta(max_length=64)]
Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 24)]
Behavior = Literal["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
Scheme = Literal["first", "never", "always"]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag=True):
    """A part of a tokenizer.  Its name is the value of the field `type`."""


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a part looks for: a text, or a regular expression."""

    string: Pattern | UnsetType = msgspec.field(default=UNSET, name="String")
    regex: Pattern | UnsetType = msgspec.field(default=UNSET, name="Regex")


# Parts of several kinds.


class ByteLevel(Part, frozen=True):
    add_prefix_space: Flag = UNSET
    trim_offsets: Flag = UNSET
    use_regex: Flag = UNSET


class Metaspace(Part, frozen=True):
    replacement: Character
    prepend_scheme: Scheme | UnsetType = UNSET
    split: Flag = UNSET
    add_prefix_space: Flag = UNSET


class Replace(Part, frozen=True):
    pattern: Text
    content: Short


# Normalizers.


class BertNormalizer(Part, frozen=True):
    clean_text: bool
    handle_chinese_chars: bool
    lowercase: bool
    strip_accents: bool | None = None


class StripBoth(Part, frozen=True, tag="Strip"):
    strip_left: bool
    strip_right: bool


class Precompiled(Part, frozen=True):
    precompiled_charsmap: str


class Prepend(Part, frozen=True):
    prepend: Short


class NFC(Part, frozen=True):
    pass


class NFD(Part, frozen=True):
    pass


class NFKC(Part, frozen=True):
    pass


class NFKD(Part, frozen=True):
    pass


class Lowercase(Part, frozen=True):
    pass


class StripAccents(Part, frozen=True):
    pass


class Nmt(Part, frozen=True):
    pass


class NormalizerSequence(Part, frozen=True, tag="Sequence"):
    normalizers: list[Normalizer]


Normalizer = (
    BertNormalizer | StripBoth | Precompiled | Prepend | NFC | NFD | NFKC | NFKD | Lowercase
    | StripAccents | Nmt | Replace | ByteLevel | NormalizerSequence
)  # fmt: skip

# Pre-tokenizers.


class BertPreTokenizer(Part, frozen=True):
    pass


class CharDelimiterSplit(Part, frozen=True):
    delimiter: Character


class Digits(Part, frozen=True):
    individual_digits: bool = False


class Punctuation(Part, frozen=True):
    behavior: Behavior = "Isolated"


class Split(Part, frozen=True):
    pattern: Text
    behavior: Behavior
    invert: bool = False


class UnicodeScripts(Part, frozen=True):
    pass


class Whitespace(Part, frozen=True):
    pass


class WhitespaceSplit(Part, frozen=True):
    pass


class PreTokenizerSequence(Part, frozen=True, tag="Sequence"):
    pretokenizers: list[PreTokenizer]


PreTokenizer = (
    BertPreTokenizer | ByteLevel | CharDelimiterSplit | Digits | Metaspace | Punctuation | Split
    | UnicodeScripts | Whitespace | WhitespaceSplit | PreTokenizerSequence
)  # fmt: skip

# Decoders.


class BPEDecoder(Part, frozen=True):
    suffix: Short


class ByteFallback(Part, frozen=True):
    pass


class Fuse(Part, frozen=True):
    pass


class StripDecoder(Part, frozen=True, tag="Strip"):
    """`stop`: only 0, because the library fails on a piece shorter than `stop`."""

    content: Character
    start: Annotated[int, msgspec.Meta(ge=0, le=255)]
    stop: Literal[0]


class WordPieceDecoder(Part, frozen=True, tag="WordPiece"):
    prefix: Short
    cleanup: bool


class DecoderSequence(Part, frozen=True, tag="Sequence"):
    decoders: list[Decoder]


Decoder = (
    BPEDecoder | ByteFallback | ByteLevel | Fuse | Metaspace | Replace | StripDecoder
    | WordPieceDecoder | DecoderSequence
)  # fmt: skip

# Models.


class BPE(Part, frozen=True, kw_only=True):
    """Byte pair encoding (Sennrich et al. 2016)."""

    vocab: dict[str, Id]
    merges: list[tuple[str, str]]
    unk_token: str | None = None
    continuing_subword_prefix: Short | None = None
    end_of_word_suffix: Short | None = None
    fuse_unk: bool = False
    byte_fallback: bool = False
    ignore_merges: bool = False


class Unigram(Part, frozen=True, kw_only=True):
    """A language model of pieces (Kudo 2018): pieces with their log-probabilities."""

    vocab: list[tuple[str, float]]
    unk_id: Id | None = None
    byte_fallback: bool = False


class WordPiece(Part, frozen=True, kw_only=True):
    """The longest piece first (Schuster and Nakajima 2012)."""

    vocab: dict[str, Id]
    unk_token: str
    continuing_subword_prefix: Short = "##"
    max_input_chars_per_word: Annotated[int, msgspec.Meta(ge=1, le=256)] = 100


class WordLevel(Part, frozen=True, kw_only=True):
    """Whole words."""

    vocab: dict[str, Id]
    unk_token: str


Model = BPE | Unigram | WordPiece | WordLevel


class AddedToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A token that is found in a text before the model cuts the text."""

    id: Id
    content: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    special: bool = False
