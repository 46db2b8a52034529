"""The files that an import writes: the model, and the shortlist beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from int8ref.errors import UserError
from int8ref.files.model_file import MAX_NAME, NAME_CHARACTERS, Model, Tokenizer, save
from int8ref.files.shortlist import Shortlist, beside, tokenizers_hash
from int8ref.files.shortlist import load as load_shortlist
from int8ref.spec.scope import ProgramError
from weights_import.errors import CheckpointError, LoweringError
from weights_import.float_model import FloatModel
from weights_import.sources import marian_shortlist


def check_output(output: Path, read: list[Path]) -> None:
    """Raises UserError if a model, or the shortlist beside it, cannot be written to `output`, or
    would replace one of the files that are `read`."""
    check_place(output)
    for written in (output, beside(output)):
        if written.exists() and not written.is_file():
            raise UserError(f"{written}: not a regular file, and would be replaced")
        check_unread(written, read, "import")


def check_place(output: Path) -> None:
    """Raises UserError unless a file can be at this place."""
    if not output.parent.is_dir():
        raise UserError(f"{output}: there is no folder {output.parent}")
    if output.is_dir():
        raise UserError(f"{output}: a folder, not the file to write")


def check_unread(written: Path, read: Iterable[Path], reader: str) -> None:
    """Raises UserError if a file that is written would replace a file that is read."""
    for path in read:
        if written.exists() and path.exists() and written.samefile(path):
            raise UserError(f"{written}: would be replaced, but the {reader} reads it")


def import_shortlist(
    path: Path, model: FloatModel, source: Tokenizer, target: Tokenizer
) -> Shortlist:
    """The shortlist in a file of Marian; raises CheckpointError if it belongs to another model."""
    generation = model.generation
    sizes = generation.source_vocabulary, generation.target_vocabulary
    shortlist = marian_shortlist.read(path, source.model, target.model)
    if not shortlist.fits(*sizes, shortlist.tokenizers):
        raise CheckpointError(f"{path}: not made for vocabularies of {sizes[0]} and {sizes[1]}")
    return shortlist


def check_old_shortlist(path: Path, source: Tokenizer, target: Tokenizer) -> None:
    """Raises UserError if a shortlist of a model with other tokenizers lies beside the output.

    This import would leave it there.  Raises ModelFileError if it cannot be read.
    """
    hashed = tokenizers_hash(source.model, target.model)
    if path.exists() and load_shortlist(path).tokenizers != hashed:
        raise UserError(f"{path}: the shortlist of another model; remove it first")


def legal_name(stem: str) -> str:
    """The name of a file as the name of a model: a "-" replaces each run of characters that are
    not legal, and a long name is cut.  The result is "model" if nothing is left."""
    name = re.sub(rf"[^{NAME_CHARACTERS}]+", "-", stem)[:MAX_NAME]
    return name if name.strip("-") else "model"


def write(output: Path, model: Model, compact: bool) -> int:
    """Write the model's file, and return its size.

    Raises LoweringError if the program is not sound.
    """
    try:
        save(output, model, compact)
    except ProgramError as error:
        raise LoweringError(f"{model.provenance['file']}: {error}") from None
    return output.stat().st_size
