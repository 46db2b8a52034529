"""The model file: a `.safetensors` container with a strictly checked header.

    u64 length | JSON header, padded | tensors of the program | tokenizers (xz) | sha256

Any safetensors reader can read the tensors.  The metadata value `int8ref` holds one JSON document:
the versions of format and arithmetic, the Program, the tensors of the tokenizers, the small tensors
that are zlib streams, and the origin of the weights.  The last 32 bytes are the SHA-256 of all
bytes before them.  One pass over the file detects damage and computes the hash of the file.

A file is data from a stranger.  Nothing in the file is executed.  Sizes are checked before memory
is allocated.  Every fault raises `ModelFileError`, which names the file and the fault.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from int8ref.files import (
    cached,
    container,
    foreign,
    shortlist,
    tokenizer,
)
from int8ref.files.container import DIGEST, DIGEST_BYTES, ModelFileError, OtherFileError
from int8ref.files.shortlist import Shortlist
from int8ref.files.tokenizer import Tokenizer, TokenizerKind
from int8ref.host.storage import write_whole
from int8ref.program.program import Program, Tensors
from int8ref.program.validate import Checked, validate
from int8ref.spec import arithmetic
from int8ref.spec.scope import ProgramError

FORMAT = 1
"""Version of the layout of the file.  The arithmetic has its own version."""
SOURCE_TOKENIZER: Literal["tokenizer.source"] = "tokenizer.source"
TARGET_TOKENIZER: Literal["tokenizer.target"] = "tokenizer.target"
METADATA = "int8ref"
UNPACKED = "unpacked"
"""Kind of the cache entry with the unpacked tensors, because unpacking takes a tenth of a start."""

NAME_CHARACTERS, MAX_NAME = "A-Za-z0-9._+-", 64
"""Characters of names and languages in a header, as in a regular expression, and maximum length."""

MAX_LABEL = 1 << 10
"""Maximum length of a label, in characters."""

_Word = Annotated[str, msgspec.Meta(pattern=rf"\A[{NAME_CHARACTERS}]{{1,{MAX_NAME}}}\Z")]

_Label = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_LABEL)]

__all__ = ["Model", "ModelFileError", "Tokenizer", "load", "model_hash", "save", "serialize"]


@dataclass(frozen=True, eq=False)
class Model:
    """The content of a model file.

    name            short name, such as en-pt
    languages       codes of source and target language
    program         the operations of the model
    tensors         the constants that the program names; read-only
    source, target  tokenizers, often equal
    provenance      origin of the weights, as text by key: source, source_sha256,
                    calibration_sha256, licence, origin, importer options
    shortlist       lexical shortlist, or None.  A shortlist has its own file.
    labels          names of the logits of an encoder that classifies; else empty
    """

    name: str
    languages: tuple[str, str]
    program: Program
    tensors: Tensors
    source: Tokenizer
    target: Tokenizer
    provenance: dict[str, str]
    shortlist: Shortlist | None = None
    labels: tuple[str, ...] = ()
    _read: _Read | None = field(default=None, init=False, repr=False)

    def __repr__(self) -> str:
        languages = "-".join(dict.fromkeys(self.languages))
        return f"<Model {self.name}, {languages}, {len(self.tensors)} tensors>"

    @property
    def types(self) -> Checked:
        """Types of all values of the program.  Raises `ProgramError` if the program is invalid."""
        known = self._as_read()
        return known.types if known else validate(self.program, self.tensors)

    @property
    def digest(self) -> str | None:
        """The digest at the end of the file, or None if a tensor is not the tensor of the file."""
        known = self._as_read()
        return known.digest if known else None

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file, or of the file that `save` would write."""
        known = self._as_read()
        return known.sha256 if known else model_hash(self)

    def _as_read(self) -> _Read | None:
        """Return the data of the reading, or None if a tensor has changed since then."""
        known, tensors = self._read, self.tensors
        if known is None or known.tensors.keys() != tensors.keys():
            return None
        same = all(known.tensors[n] is t and not t.flags.writeable for n, t in tensors.items())
        return known if same else None


class _Read(msgspec.Struct, frozen=True):
    """Data of the reading of a file: its digest, its tensors, the types of its program, and the
    SHA-256 of the whole file."""

    digest: str
    tensors: Tensors
    types: Checked
    sha256: str


class _TokenizerEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: TokenizerKind
    tensor: Literal["tokenizer.source", "tokenizer.target"]


class _Versions(msgspec.Struct, frozen=True):
    format: int
    arithmetic: int


class _Deflated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Type and shape of a tensor that the container stores as a zlib stream."""

    dtype: container.Code
    shape: container.Shape


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: int
    arithmetic: int
    name: _Word
    languages: tuple[_Word, _Word]
    program: Program
    source: _TokenizerEntry
    target: _TokenizerEntry
    deflated: dict[str, _Deflated]
    provenance: dict[str, str]
    labels: tuple[_Label, ...] | msgspec.UnsetType = msgspec.UNSET


def serialize(model: Model, compact: bool = False) -> bytes:
    """Return the bytes of a model file.  Equal models give equal bytes.

    `compact`: deflate also the weights, see `container.deflate`.  Raises `ProgramError` for an
    invalid program, and `ModelFileError` for a header that `load` would reject.
    """
    check_labels(model.labels, model.program, validate(model.program, model.tensors))
    reserved = sorted({SOURCE_TOKENIZER, TARGET_TOKENIZER, DIGEST} & model.tensors.keys())
    if reserved:
        raise ModelFileError(f"reserved tensor names: {', '.join(reserved)}")
    shared = model.source == model.target
    target = SOURCE_TOKENIZER if shared else TARGET_TOKENIZER
    tensors, deflated = _deflate(model.tensors, compact)
    header = _Header(
        format=FORMAT,
        arithmetic=arithmetic.VERSION,
        name=model.name,
        languages=model.languages,
        program=model.program,
        source=_TokenizerEntry(model.source.kind, SOURCE_TOKENIZER),
        target=_TokenizerEntry(model.target.kind, target),
        deflated=deflated,
        provenance=dict(sorted(model.provenance.items())),
        labels=model.labels or msgspec.UNSET,
    )
    tensors[SOURCE_TOKENIZER] = container.compress(model.source.model)
    if not shared:
        tensors[target] = container.compress(model.target.model)
    return container.pack(tensors, METADATA, _encode_header(header))


def save(path: str | os.PathLike[str], model: Model, compact: bool = False) -> None:
    """Write a model file atomically (see `storage.write_whole` and `serialize`).

    Raises the errors of `serialize`, and `OSError` if the folder is not writable.
    """
    write_whole(path, serialize(model, compact))


def load(
    path: str | os.PathLike[str], keep_unpacked: bool = False, sha256: str | None = None
) -> Model:
    """Read and check a model file.  The tensors are read-only views of the mapped file.

    The function also reads a shortlist beside the model (`shortlist.beside`).  The files must not
    change while the model is in use.  Replacing a file by a rename is safe.

    keep_unpacked  store the unpacked tensors in the cache for the next process
    sha256         SHA-256 that the whole file must have, in lower-case hexadecimal.  The mapped
                   bytes are hashed before they are parsed.  None: any file, and no hash.

    Raises `ModelFileError` and `OtherFileError`.
    """
    try:
        content = container.map_file(path)
        if sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != sha256:
            told = f"the file {os.fspath(path)} has the SHA-256 {found}"
            raise OtherFileError(f"{told}, not {sha256}")
        contents = container.unpack(content, METADATA, content)
        header = _decode_header(contents.document)
        unpack = partial(_unpack, header, contents.tensors)
        sides: set[str] = {header.source.tensor, header.target.tensor}
        wanted = sides | header.deflated.keys()
        if keep_unpacked:
            unpacked = cached.kept(
                UNPACKED,
                header.name,
                contents.digest,
                lambda found: found.keys() == wanted,
                unpack,
            )
        else:
            unpacked = unpack()
        tensors = {n: t for n, t in {**contents.tensors, **unpacked}.items() if n not in sides}
        types = validate(header.program, tensors)
        check_labels(header.labels or (), header.program, types)
        container.release(content)  # validation has read the weights
    except (ModelFileError, ProgramError) as error:
        raise ModelFileError(f"{os.fspath(path)}: {foreign.told(path, str(error))}") from None
    model = Model(
        name=header.name,
        languages=header.languages,
        program=header.program,
        tensors=tensors,
        source=Tokenizer(header.source.kind, unpacked[header.source.tensor].tobytes()),
        target=Tokenizer(header.target.kind, unpacked[header.target.tensor].tobytes()),
        provenance=header.provenance,
        shortlist=shortlist.load(lists) if (lists := shortlist.beside(path)).exists() else None,
        labels=header.labels or (),
    )
    known = _Read(contents.digest, dict(tensors), types, contents.sha256)
    object.__setattr__(model, "_read", known)
    return model


def model_hash(model: Model | str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a whole model file in hexadecimal.

    For a `Model`, this is the hash of the file that `save` would write.  A file is read, but not
    checked.  Raises `ModelFileError`.
    """
    if isinstance(model, Model):
        return hashlib.sha256(serialize(model)).hexdigest()
    return container.file_hash(model)


def _deflate(tensors: Tensors, compact: bool) -> tuple[Tensors, dict[str, _Deflated]]:
    """Return the tensors as the container stores them, and the declarations of deflated tensors."""
    stored = dict(tensors)
    deflated: dict[str, _Deflated] = {}
    codes = {np.dtype(kind): code for code, kind in container.DTYPES.items()}
    room = container.MAX_INFLATED_BYTES
    for name, tensor in sorted(tensors.items()):
        packed = container.deflate(tensor, compact) if tensor.dtype in codes else None
        if packed is None:
            continue
        left = room + container.MAX_INFLATION * packed.nbytes - tensor.nbytes
        if left >= 0:  # else a reader would reject the file, see `_excess`
            room, stored[name] = left, packed
            deflated[name] = _Deflated(codes[tensor.dtype], list(tensor.shape))
    return stored, deflated


def _excess(deflated: dict[str, _Deflated], packed: Tensors) -> int:
    """Return by how many bytes the unpacked tensors exceed the limit of their streams."""
    unpacked = sum(
        np.dtype(container.DTYPES[entry.dtype]).itemsize * math.prod(entry.shape)
        for entry in deflated.values()
    )
    streams = sum(packed[name].nbytes for name in deflated)
    return unpacked - container.MAX_INFLATED_BYTES - container.MAX_INFLATION * streams


def _unpack(header: _Header, packed: Tensors) -> Tensors:
    """Return the unpacked tensors: tokenizers as bytes, and deflated tensors."""
    unpacked: Tensors = {}
    entries = header.source, header.target
    for side, kind in sorted({(entry.tensor, entry.kind) for entry in entries}):
        if side not in packed:
            raise ModelFileError(f"the tokenizer {side!r}, which the header names, is missing")
        unpacked[side] = np.frombuffer(container.decompress(side, packed[side]), np.uint8)
        tokenizer.check(side, kind, unpacked[side].tobytes())
    for name in header.deflated:
        if name not in packed or name in unpacked:
            raise ModelFileError(f"the deflated tensor {name!r} is missing")
    if (excess := _excess(header.deflated, packed)) > 0:
        raise ModelFileError(f"deflated tensors unpack to {excess} bytes more than a file may hold")
    for name, entry in header.deflated.items():
        unpacked[name] = container.inflate(name, packed[name], entry.dtype, entry.shape)
    return unpacked


def check_labels(labels: Sequence[str], program: Program, types: Checked) -> None:
    """Raise `ModelFileError` unless there is a label for each logit of an encoder."""
    classifies = program.encodes and bool(program.logits)
    wanted = types.encoder[program.logits].width if classifies else 0
    if len(labels) != wanted:
        raise ModelFileError(f"header: {len(labels)} labels for {wanted} logits of an encoder")


def _encode_header(header: _Header) -> str:
    """Encode a header, and check that `_decode_header` accepts it.  Raises `ModelFileError`."""
    _decode_header(msgspec.to_builtins(header))
    try:
        return msgspec.json.encode(header).decode()
    except UnicodeEncodeError as error:  # such as a file name in the provenance
        raise ModelFileError(f"header: {error.object!r} is not UTF-8") from None


def _decode_header(document: Any) -> _Header:
    try:
        versions = msgspec.convert(document, _Versions)
    except msgspec.ValidationError as error:
        raise ModelFileError(f"header: {error}") from None
    for what, found, known in (
        ("format", versions.format, FORMAT),
        ("arithmetic", versions.arithmetic, arithmetic.VERSION),
    ):
        if found != known:
            raise ModelFileError(
                f"{what} version {found}, but this int8ref has {what} version {known}:"
                " import the model again"
            )
    try:
        return msgspec.convert(document, _Header)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ModelFileError(f"header: {error}") from None


assert hashlib.sha256().digest_size == DIGEST_BYTES
assert sys.byteorder == "little", "the tensors are mapped as they lie in the file: little endian"
