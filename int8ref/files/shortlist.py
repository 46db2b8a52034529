"""A lexical shortlist: which target tokens a source sentence may be translated with.

A sentence's candidates depend on that sentence alone, never on its neighbours in a batch, so the
batch changes no bit.  (Marian's restriction is the union over a batch; the lists are the same.)

A shortlist lies beside its model, in a container of the same kind: MODEL.shortlist.safetensors.
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
    """For every source token the target tokens it is translated with.

    frequent     the target tokens 0 to frequent - 1 are candidates of every sentence
    shared       whether source and target have one vocabulary: a source token may then be copied
    tokenizers   `tokenizers_hash` of the model that it is for: what its numbers mean
    offsets      int32 [source vocabulary + 1]: where the list of each source token begins
    tokens       int16 or int32: the lists, one after the other
    provenance   where it comes from, as text by key
    """

    frequent: int
    shared: bool
    tokenizers: str
    offsets: npt.NDArray[np.int32]
    tokens: npt.NDArray[np.integer[Any]]
    provenance: dict[str, str]

    def __post_init__(self) -> None:
        """Raises ModelFileError for lists that are not what they should be."""
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
        """Whether it belongs to vocabularies of these sizes, and to these `tokenizers`."""
        largest = max(self.frequent - 1, int(self.tokens.max(initial=0)))
        return (
            len(self.offsets) == source_vocabulary + 1
            and largest < target_vocabulary
            and (not self.shared or source_vocabulary == target_vocabulary)
            and self.tokenizers == tokenizers
        )

    def candidates(self, source: Sequence[int], eos: int) -> npt.NDArray[np.int32]:
        """The target tokens that a sentence may be translated with, rising, int32 [count].

        They are the frequent ones, `eos`, the lists of the sentence's tokens, and where the
        vocabulary is shared those tokens themselves.
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
    """SHA-256, in hexadecimal, of the SHA-256 of both tokenizers' models, one after the other."""
    both = (hashlib.sha256(model).digest() for model in (source, target))
    return hashlib.sha256(b"".join(both)).hexdigest()


def beside(model: str | os.PathLike[str]) -> Path:
    """Where the shortlist of a model file lies, if it has one."""
    path = Path(model)
    return path.with_name(path.name.removesuffix(".safetensors") + SUFFIX)


def serialize(shortlist: Shortlist) -> bytes:
    """The bytes of its file: the same shortlist gives the same bytes."""
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
    """Write its file, whole or not at all.  Raises `OSError`."""
    write_whole(path, serialize(shortlist))


def load(path: str | os.PathLike[str]) -> Shortlist:
    """Read and check a shortlist's file; its tensors are views of the mapped file.

    Raises `ModelFileError`.
    """
    try:
        contents = container.unpack(container.map_file(path), METADATA)
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
