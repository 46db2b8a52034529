"""Receipts: JSON lines that describe a run: its model, its inputs, and all that was computed.

    header   the model, the tokenizers, the arithmetic, the options
    record   for each line: its text, token ids, digests of the logits and of the output
    end      the number of lines, digests of the whole input and the whole output

Each line ends with a seal: the SHA-256 of the seal of the line before, and of this line without its
seal.  Therefore the last seal identifies the whole run.  A receipt is the same bytes for every
backend, batch size, number of threads and machine.
"""

from __future__ import annotations

import hashlib
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import msgspec

from int8ref.commands.settings import Setting, settings_of
from int8ref.host import installed

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.files.models import ModelFile

SEAL = b',"seal":"'
SEAL_BYTES = len(SEAL) + 64 + len(b'"}')

Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z", description="a SHA-256")]
Count = Annotated[int, msgspec.Meta(ge=0)]
Struct = msgspec.Struct
CommandName = Literal["translate", "generate", "embed", "classify"]
Settings = dict[str, Setting]


class Header(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first line.

    receipt           version of the form
    command           module of the command, without the package
    int8ref           version of int8ref
    arithmetic        version of the arithmetic
    model, sha256     name of the model, and SHA-256 of its file
    source_tokenizer  SHA-256 of the tokenizer of sources
    target_tokenizer  SHA-256 of the tokenizer of translations
    shortlist         SHA-256 of the lexical shortlist, or null if the run used none
    options           the options of the command that are not the defaults
    """

    receipt: Literal[1]
    command: CommandName
    int8ref: str
    arithmetic: int
    model: str
    sha256: Digest
    source_tokenizer: Digest
    target_tokenizer: Digest
    shortlist: Digest | None
    options: Settings


class Tokens(Struct, frozen=True, forbid_unknown_fields=True):
    """A translation, or a continuation: its token ids, and the SHA-256 of its logits."""

    tokens: list[Count]
    logits: Digest


class Record(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A line of the input.

    line     number of the line, from 1
    input    text of the line
    results  translations in their order, or one continuation
    values   of an encoder alone: SHA-256 of the embedding, int8, or of the log-probabilities of the
             labels, int32, little-endian
    output   SHA-256 of the bytes that the command wrote for the line
    """

    line: Count
    input: str
    results: list[Tokens] | msgspec.UnsetType = msgspec.UNSET
    values: Digest | msgspec.UnsetType = msgspec.UNSET
    output: Digest


class End(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The last line.

    lines   number of lines of the input
    input   SHA-256 of all lines of the input, each with a line feed
    output  SHA-256 of all bytes that the command wrote
    """

    lines: Count
    input: Digest
    output: Digest


class SealedHeader(Header, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A header with its seal."""

    seal: Digest


class SealedRecord(Record, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record with its seal."""

    seal: Digest


class SealedEnd(End, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An end with its seal."""

    seal: Digest


class Sink(Protocol):
    """Takes the lines of a receipt: a file, or the comparison with another receipt."""

    def write(self, content: bytes) -> None:
        """Take one line."""
        ...

    def commit(self) -> None:
        """Take note that the receipt is complete."""
        ...

    def __enter__(self) -> Sink: ...

    def __exit__(self, *_: object) -> None: ...


def sealed(line: Struct, seal: str) -> tuple[bytes, str]:
    """Return the bytes of a line with its seal, and the seal.  `seal`: of the line before."""
    body = msgspec.json.encode(line)
    new = hashlib.sha256(seal.encode() + body).hexdigest()
    return body[:-1] + SEAL + new.encode() + b'"}\n', new


class Receipt:
    """Writes the receipt of a run, in constant memory.  A receipt appears when it is complete."""

    def __init__(
        self,
        sink: Sink,
        take: Callable[[], str],
        fields: Callable[[Any], dict[str, Any]],
        header: Header,
    ) -> None:
        """Prepare a receipt.

        take    returns the next line of the input
        fields  returns the fields of a record that follow from a result
        """
        self._sink, self._take, self._fields, self._header = sink, take, fields, header
        self._seal, self._count = "", 0
        self._input, self._output = hashlib.sha256(), hashlib.sha256()

    def __enter__(self) -> Receipt:
        self._sink.__enter__()
        try:
            self._write(self._header)
        except BaseException as error:
            self._sink.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                ends = self._input.hexdigest(), self._output.hexdigest()
                self._write(End(lines=self._count, input=ends[0], output=ends[1]))
                self._sink.commit()
        finally:
            self._sink.__exit__(kind, *_)

    def add(self, results: Sequence[Any], outputs: Sequence[bytes]) -> None:
        """Write the records of results.  `outputs`: the bytes that were written for each result."""
        for result, output in zip(results, outputs, strict=True):
            text = self._take()
            self._count += 1
            self._input.update(f"{text}\n".encode())
            self._output.update(output)
            own = hashlib.sha256(output).hexdigest()
            fields = self._fields(result)
            self._write(Record(line=self._count, input=text, output=own, **fields))

    def _write(self, line: Struct) -> None:
        content, self._seal = sealed(line, self._seal)
        self._sink.write(content)


def header_of(
    command: CommandName, model: ModelFile, parser: ArgumentParser, given: Namespace
) -> Header:
    """Return the header of a run.  `model`: the file and its content."""
    return Header(receipt=1, command=command, **identity(model, parser, given))


def identity(model: ModelFile, parser: ArgumentParser, given: Namespace) -> dict[str, Any]:
    """Return what decides the results of a run: the fields of a `Header` from `int8ref` on."""
    from int8ref.files.container import file_hash
    from int8ref.files.shortlist import beside
    from int8ref.spec import arithmetic

    settings = settings_of(parser, given)
    path, content = model
    return {
        "int8ref": installed.ours(),
        "arithmetic": arithmetic.VERSION,
        "model": content.name,
        "sha256": content.sha256,
        "source_tokenizer": hashlib.sha256(content.source.model).hexdigest(),
        "target_tokenizer": hashlib.sha256(content.target.model).hexdigest(),
        "shortlist": file_hash(beside(path)) if settings.get("shortlist") else None,
        "options": settings,
    }


def translations(result: Any) -> dict[str, Any]:
    """Return the fields of a `Result`."""
    return {"results": [Tokens(list(t.ids), t.logits) for t in result.translations]}


def continuation(result: Any) -> dict[str, Any]:
    """Return the fields of a `Continuation`."""
    several = [result, *result.others]
    return {"results": [Tokens(list(one.ids), one.logits) for one in several]}


def embedding(result: Any) -> dict[str, Any]:
    """Return the fields of an `Embedding`."""
    return {"values": hashlib.sha256(result.vector.tobytes()).hexdigest()}


def labels(result: Any) -> dict[str, Any]:
    """Return the fields of a `Classification`."""
    content = b"".join(value.to_bytes(4, "little", signed=True) for value in result.log2)
    return {"values": hashlib.sha256(content).hexdigest()}


FIELDS: dict[CommandName, Callable[[Any], dict[str, Any]]] = {
    "translate": translations,
    "generate": continuation,
    "embed": embedding,
    "classify": labels,
}
"""The fields of a record that follow from a result of each command."""
