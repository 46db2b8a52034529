"""Writes a flat model as a folder.

program.txt   the program: a line for each fact
arrays.bin    all tensors, one after another
model.h       their places, for C
hex/          on request: each tensor as text for $readmemh
"""

from __future__ import annotations

import os

from int8ref.files.model_file import Model
from int8ref.flat.header import header_of
from int8ref.flat.layout import layout
from int8ref.flat.text import text_of
from int8ref.golden.folder import hexadecimal
from int8ref.golden.vectors import little_endian
from int8ref.host.new_folder import new_folder
from int8ref.program.languages import Direction


def write_model(
    path: str | os.PathLike[str], model: Model, sha256: str, direction: Direction, readmemh: bool
) -> None:
    """Write a model to a new folder.  No other process sees a part of the folder.

    sha256     digest of the model file
    direction  tokens of the languages of a run
    readmemh   whether the folder has the texts for $readmemh

    Raises `UserError` if `path` exists and is no empty folder, and `OSError` if the folder cannot
    be written.
    """
    made = layout(model, direction)
    with new_folder(path) as folder:
        (folder / "program.txt").write_text(text_of(made, model.program, sha256), "ascii")
        (folder / "model.h").write_text(header_of(made), "ascii")
        with (folder / "arrays.bin").open("wb") as file:
            for place in made.arrays:
                file.write(little_endian(place.array).tobytes())
                file.write(bytes(place.padding))
        if readmemh:
            (folder / "hex").mkdir()
            for number, place in enumerate(made.arrays):
                (folder / "hex" / f"{number:05}.hex").write_bytes(hexadecimal(place.array))
