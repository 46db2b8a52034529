"""Flips single bits, and checks that `int8ref.verify` finds and locates each of them:

python -m tests.fuzz.flips [--first N] [--count N]

A seed chooses one of three kinds of flips: in a value of a dump, in any bit of a receipt, and in a
token of a receipt whose seals are made again.  The last one is a forgery.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from int8ref import generate, translate, verify
from int8ref.commands import receipt as form
from int8ref.corners import record_corners
from int8ref.errors import UserError
from int8ref.files.model_file import save
from int8ref.golden.archive import archive
from int8ref.golden.folder import write_folder
from int8ref.golden.vectors import Vectors
from int8ref.translation.recording import record
from int8ref.verification.dumps import PARTS, open_dump
from int8ref.verification.results import compare, golden_of
from tests.helpers.models import SENTENCES, Kind, build_tiny_model

MODELS: dict[Kind, int] = {"translation": 6, "rotary": 9}
RUNS: list[tuple[Kind, list[str]]] = [
    ("translation", []),
    ("translation", ["--beam-size", "3", "--n-best", "2"]),
    ("translation", ["--temperature", "1.2", "--seed", "5", "--n-best", "2"]),
    ("rotary", ["--max-tokens", "12"]),
]
COMMANDS = {"translation": translate.main, "rotary": generate.main}
OPS = ["linear", "layer_norm_l1", "requantize", "append"]


class MissedError(AssertionError):
    """A flip that was not found, or whose place was wrong."""


@cache
def folder() -> Path:
    """Return a folder with the models."""
    made = Path(tempfile.mkdtemp())
    for kind, seed in MODELS.items():
        save(made / f"{kind}.safetensors", build_tiny_model(seed, kind))
    return made


@cache
def receipt_of(run: int) -> bytes:
    """Return a receipt of the command `run` of `RUNS`."""
    kind, options = RUNS[run]
    file = folder() / f"{run}.receipt"
    texts = [*SENTENCES[:3], "", "The cat"]
    arguments = ["-m", str(folder() / f"{kind}.safetensors"), "-q"]
    with contextlib.redirect_stdout(io.StringIO()):
        status = COMMANDS[kind]([*arguments, *options, "--receipt", str(file), *texts])
    assert status == 0
    return file.read_bytes()


@cache
def vectors_of(source: int) -> Vectors:
    """Return vectors: of a sentence, or corner cases."""
    if source:
        return record_corners(OPS)
    return record(build_tiny_model(MODELS["translation"], "translation"), SENTENCES[:2], steps=3)


def verified(file: Path, kind: Kind) -> str:
    """Return what the command tells about a receipt: the message of an error, or nothing."""
    errors = io.StringIO()
    model = str(folder() / f"{kind}.safetensors")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        status = verify.main([str(file), "-m", model, "-q"])
    if status not in (0, 1) or bool(status) != bool(errors.getvalue()):
        raise MissedError(f"exit status {status}: {errors.getvalue()}")
    return errors.getvalue()


def damaged_receipt(chosen: random.Random) -> str:
    """Flip any bit of a receipt.  Return a description if it is not found in its line."""
    run = chosen.randrange(len(RUNS))
    content = bytearray(receipt_of(run))
    at, bit = chosen.randrange(len(content)), chosen.randrange(8)
    line = content[:at].count(b"\n") + 1
    content[at] ^= 1 << bit
    file = folder() / "damaged.receipt"
    file.write_bytes(content)
    told = verified(file, RUNS[run][0])
    # a damaged first byte makes another kind of file, and texts have a line less than receipts
    places = rf"\bline ({line}|{line - 1})\b|no zip file|not a zip file"
    return "" if re.search(places, told) else f"byte {at}, bit {bit} of line {line}: {told!r}"


def forged_token(chosen: random.Random) -> str:
    """Flip a bit of a token, and seal the receipt again."""
    run = chosen.randrange(len(RUNS))
    lines = [json.loads(line) for line in receipt_of(run).splitlines()]
    places = [
        (n, r, t)
        for n, line in enumerate(lines)
        for r, result in enumerate(line.get("results", []))
        for t in range(len(result["tokens"]))
    ]
    n, r, t = chosen.choice(places)
    lines[n]["results"][r]["tokens"][t] ^= 1 << chosen.randrange(5)
    file = folder() / "forged.receipt"
    file.write_bytes(b"".join(sealed_again(lines)))
    told = verified(file, RUNS[run][0])
    wanted = f"line {n + 1} of the receipt, translation {r + 1}, token {t + 1}:"
    return "" if wanted in told else f"{wanted} {told!r}"


def sealed_again(lines: list[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the lines of a forged receipt."""
    seal = ""
    kinds = [form.Header, *[form.Record] * (len(lines) - 2), form.End]
    for line, kind in zip(lines, kinds, strict=True):
        line.pop("seal", None)
        content, seal = form.sealed(msgspec.convert(line, kind), seal)
        yield content


def damaged_value(chosen: random.Random) -> str:
    """Flip a bit of a value of a dump: in an archive, or in a file of a folder."""
    source, as_folder = chosen.randrange(2), chosen.randrange(2) == 1
    vectors = vectors_of(source)
    named = [
        (number, part, field, name)
        for number, told in enumerate(vectors.records)
        for part in PARTS
        for field, name in told[part].items()
        if vectors.arrays[name].size
    ]
    *where, name = chosen.choice(named)
    if not as_folder or name.startswith("model/"):  # several operations share the array
        *where, _ = next(place for place in named if place[-1] == name)
    array = vectors.arrays[name]
    place, bit = chosen.randrange(array.size), chosen.randrange(8 * array.itemsize)
    dump = dump_of(source, as_folder)
    file, start = position(dump, vectors, where, name)
    content = file.read_bytes()
    wrong = bytearray(content)
    at = start + place * array.itemsize + bit // 8
    wrong[at] ^= 1 << bit % 8
    file.write_bytes(wrong)
    told = answer(dump, source)
    file.write_bytes(content)
    number, part, field = where
    index = np.unravel_index(place, array.shape)
    labels = ("row", "column") if len(index) == 2 else ("row", "step", "column")[: len(index)]
    axes = ", ".join(f"{label} {int(n)}" for label, n in zip(labels, index, strict=True))
    size = array.itemsize
    begin = start + place * size
    got = int.from_bytes(wrong[begin : begin + size], "little", signed=True)
    wanted = f"{part[:-1]} {field}, {axes}: got {got}, expected {array[index]}"
    right = told.startswith((f"record {number}, ", f"{number:05}-")) and told.endswith(wanted)
    return "" if right else f"record {number}, {wanted}: {told!r}"


@cache
def dump_of(source: int, as_folder: bool) -> Path:
    """Return a dump of `vectors_of(source)`."""
    path, vectors = folder() / f"dump{source}{as_folder}", vectors_of(source)
    origin = (None, None) if source else ("tiny", "0" * 64)
    if as_folder:
        write_folder(path, vectors, *origin)
    else:
        path.write_bytes(archive(vectors, *origin))
    return path


def position(dump: Path, vectors: Vectors, where: list[Any], name: str) -> tuple[Path, int]:
    """Return the file of an array in a dump, and the place of the first byte of its elements."""
    number, part, field = where
    if dump.is_dir():
        case = dump / f"{number:05}-{vectors.records[number]['op']}"
        told = json.loads((case / "desc.json").read_text())
        return (case / told[part][field]["file"]).resolve(), 0
    member = io.BytesIO()
    np.lib.format.write_array(member, vectors.arrays[name], allow_pickle=False)
    with zipfile.ZipFile(dump) as content:
        begin = content.getinfo(f"{name}.npy").header_offset
    at = dump.read_bytes().index(member.getvalue(), begin)
    return dump, at + len(member.getvalue()) - vectors.arrays[name].nbytes


def answer(path: Path, source: int) -> str:
    """Return the first difference of a dump, or nothing."""
    model = None
    if source == 0:
        model = build_tiny_model(MODELS["translation"], "translation")
    with open_dump(str(path)) as dump:
        try:
            list(compare(dump, golden_of(dump, model, (None, None))))
        except UserError as error:
            return str(error)
    return ""


KINDS = (damaged_value, damaged_receipt, forged_token)


def flip(seed: int) -> str:
    """Flip one bit.  Return a description of a flip that was missed, or nothing."""
    return KINDS[seed % len(KINDS)](random.Random(seed))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=1000, help="number of flips")
    given = parser.parse_args()
    missed = 0
    for seed in range(given.first, given.first + given.count):
        told = flip(seed)
        missed += bool(told)
        if told:
            print(f"seed {seed}: {told}", flush=True)
    print(f"{given.count - missed} of {given.count} flips found and located")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
