"""A lexical shortlist: the target tokens that may translate a source sentence.

The candidates of a sentence depend only on this sentence, and never on its neighbours in a batch.
Therefore the batch changes no bit.  (Marian takes the union of the candidates over a batch.  The
lists are the same.)

The file of a shortlist is a container beside its model: MODEL.shortlist.safetensors.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.files import container
from int8ref.files.container import ModelFileError
from int8ref.host.storage import write_whole

FORMAT = 2
METADATA = "int8ref.shortlist"
SUFFIX = ".shortlist.safetensors"

_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: int
    frequent: _Count
    shared: bool
    tokenizers: str
    provenance: dict[str, str]


@dataclass(frozen=True, eq=False)
class Shortlist:
    """For every source token, the target tokens that may translate it.

    frequent     the target tokens 0 to frequent - 1 are candidates of every sentence
    shared       True if source and target have one vocabulary.  A source token may then be copied.
    tokenizers   `tokenizers_hash` of the model to which the token ids belong
    offsets      int32 [source vocabulary + 1]: position of the list of each source token in tokens
    tokens       int16 or int32: all lists in sequence
    provenance   origin of the lists, as text by key
    """

    frequent: int
    shared: bool
    tokenizers: str
    offsets: npt.NDArray[np.int32]
    tokens: npt.NDArray[np.integer[Any]]
    provenance: dict[str, str]

    def __post_init__(self) -> None:
        """Raises `ModelFileError` if the lists are invalid."""
        offsets, tokens = self.offsets, self.tokens
        if offsets.ndim != 1 or offsets.dtype != np.int32 or len(offsets) < 2:
            raise ModelFileError("shortlist: offsets are not an int32 vector")
        if tokens.ndim != 1 or tokens.dtype not in (np.int16, np.int32):
            raise ModelFileError("shortlist: tokens are not an int16 or int32 vector")
        if offsets[0] != 0 or offsets[-1] != len(tokens) or np.any(np.diff(offsets) < 0):
            raise ModelFileError("shortlist: offsets do not rise from 0 to the number of tokens")
        if len(tokens) and tokens.min() < 0:
            raise ModelFileError("shortlist: a token below 0")

    def __repr__(self) -> str:
        lists, size = len(self.offsets) - 1, len(self.tokens)
        return f"<Shortlist, {self.frequent} frequent tokens, {lists} lists of {size} tokens>"

    def fits(self, source_vocabulary: int, target_vocabulary: int, tokenizers: str) -> bool:
        """Return whether the shortlist fits the sizes of the vocabularies and the tokenizers."""
        largest = max(self.frequent - 1, int(self.tokens.max(initial=0)))
        return (
            len(self.offsets) == source_vocabulary + 1
            and largest < target_vocabulary
            and (not self.shared or source_vocabulary == target_vocabulary)
            and self.tokenizers == tokenizers
        )

    def candidates(self, source: Sequence[int], eos: int) -> npt.NDArray[np.int32]:
        """Return the candidates of a sentence as rising token ids, int32 [count].

        The candidates are the frequent tokens, `eos`, and the tokens in the lists of the source
        tokens.  If the vocabulary is shared, the source tokens are also candidates.
        """
        own = sorted(set(source))
        lists = [self.tokens[self.offsets[t] : self.offsets[t + 1]] for t in own]
        copied = own if self.shared else []
        some = np.concatenate([np.array([eos, *copied], np.int32), *lists])
        chosen = np.zeros(max(self.frequent, int(some.max()) + 1), np.bool_)
        chosen[: self.frequent] = True
        chosen[some] = True
        return np.flatnonzero(chosen).astype(np.int32)


def tokenizers_hash(source: bytes, target: bytes) -> str:
    """Return the SHA-256, in hexadecimal, of the two SHA-256 of the tokenizer models."""
    both = (hashlib.sha256(model).digest() for model in (source, target))
    return hashlib.sha256(b"".join(both)).hexdigest()


def beside(model: str | os.PathLike[str]) -> Path:
    """Return the path of the shortlist of a model file.  The file may be missing."""
    path = Path(model)
    return path.with_name(path.name.removesuffix(".safetensors") + SUFFIX)


def serialize(shortlist: Shortlist) -> bytes:
    """Return the bytes of the file.  Equal shortlists give equal bytes."""
    header = _Header(
        format=FORMAT,
        frequent=shortlist.frequent,
        shared=shortlist.shared,
        tokenizers=shortlist.tokenizers,
        provenance=dict(sorted(shortlist.provenance.items())),
    )
    tensors = {"offsets": shortlist.offsets, "tokens": shortlist.tokens}
    return container.pack(tensors, METADATA, msgspec.json.encode(header).decode())


def save(path: str | os.PathLike[str], shortlist: Shortlist) -> None:
    """Write the file atomically.  Raises `OSError`."""
    write_whole(path, serialize(shortlist))


def load(path: str | os.PathLike[str]) -> Shortlist:
    """Read and check the file of a shortlist.  The tensors are views of the mapped file.

    Raises `ModelFileError`.
    """
    try:
        file = container.map_file(path)
        contents = container.unpack(file, METADATA, file)
        try:
            header = msgspec.convert(contents.document, _Header)
        except msgspec.ValidationError as error:
            raise ModelFileError(f"shortlist header: {error}") from None
        if header.format != FORMAT:
            raise ModelFileError(f"shortlist format version {header.format}, not {FORMAT}")
        if set(contents.tensors) != {"offsets", "tokens"}:
            raise ModelFileError("a shortlist's tensors are offsets and tokens, no others")
        return Shortlist(
            frequent=header.frequent,
            shared=header.shared,
            tokenizers=header.tokenizers,
            offsets=contents.tensors["offsets"],
            tokens=contents.tensors["tokens"],
            provenance=header.provenance,
        )
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)}: {error}") from None
