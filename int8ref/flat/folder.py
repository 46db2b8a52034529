"""Writes a flat model as a folder.

program.txt   the program: a line for each fact
arrays.bin    all tensors, one after another
model.h       their places, for C
hex/          on request: each tensor as text for $readmemh
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

import numpy as np

from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.flat.header import header_of
from int8ref.flat.layout import Place, layout, padded
from int8ref.flat.text import text_of
from int8ref.host.storage import TEMPORARY
from int8ref.program.languages import Direction


def write_folder(
    path: str | os.PathLike[str], model: Model, sha256: str, direction: Direction, hexadecimal: bool
) -> None:
    """Write a model to a new folder.  No other process sees a part of the folder.

    Raises `UserError` if `path` exists and is no empty folder, and `OSError` if the folder cannot
    be written.
    """
    target = Path(os.path.abspath(path))
    if target.exists() and not target.is_dir():
        raise UserError(f"{path}: is a file: choose another name for the folder")
    if target.is_dir() and any(target.iterdir()):
        raise UserError(f"{path}: the folder is not empty: remove it, or choose another name")
    made = layout(model, direction)
    temporary = target.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
    try:
        temporary.mkdir()
        (temporary / "program.txt").write_text(text_of(made, model.program, sha256), "ascii")
        (temporary / "model.h").write_text(header_of(made), "ascii")
        with (temporary / "arrays.bin").open("wb") as file:
            for place in made.arrays:
                file.write(padded(place))
        if hexadecimal:
            _write_hexadecimal(temporary / "hex", made.arrays)
        temporary.replace(target)
    except OSError as error:
        error.filename, error.filename2 = os.fspath(path), None
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_hexadecimal(folder: Path, arrays: tuple[Place, ...]) -> None:
    folder.mkdir()
    for number, place in enumerate(arrays):
        (folder / f"{number:05}.hex").write_bytes(readmemh(place))


def readmemh(place: Place) -> bytes:
    """Return an array as text for $readmemh: a line for each element, in two's complement."""
    big = np.ascontiguousarray(place.array, place.array.dtype.newbyteorder(">")).tobytes()
    digits = np.frombuffer(big.hex().encode(), np.uint8).reshape(-1, place.bits >> 2)
    lines = np.full((len(digits), digits.shape[1] + 1), ord("\n"), np.uint8)
    lines[:, :-1] = digits
    return lines.tobytes()
