"""`python -m weights_import SOURCE -o MODEL.safetensors`: a float checkpoint becomes integers."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.errors import UserError
from int8ref.files.model_file import MAX_NAME, NAME_CHARACTERS, Model, Tokenizer, save
from int8ref.files.models import MODELS
from int8ref.files.shortlist import Shortlist, beside, tokenizers_hash
from int8ref.files.shortlist import load as load_shortlist
from int8ref.files.shortlist import save as save_shortlist
from int8ref.spec.scope import ProgramError
from weights_import import sources
from weights_import.arguments import CHOICES, parser
from weights_import.calibrate import calibrate, own_text
from weights_import.calibration_text import ADVICE, calibration_text, shortage
from weights_import.float_model import CheckpointError, FloatModel
from weights_import.languages import pair_in
from weights_import.lower import Options, lower
from weights_import.outliers import outliers
from weights_import.processor import processor
from weights_import.scale_propagation import LoweringError
from weights_import.sources import marian_shortlist
from weights_import.sources.tokenizers import names_of_models, unread_tokenizers


def main(arguments: list[str] | None = None) -> int:
    """Run the command: 0 when the model is written, 1 for an error, 2 for wrong usage."""
    options = parser().parse_args(arguments)
    return command.run(partial(run, options), "error" if options.quiet else "info")


def run(options: argparse.Namespace, console: Console) -> None:
    """Read, calibrate, lower, write; what can be refused is refused before the long work."""
    name = options.name or legal_name(options.output.stem)
    choices = {name: getattr(options, name) for name, _, _ in CHOICES}
    lowering = Options(positions=options.positions, **choices)
    checkpoint, *companions = sources.files(options.source)
    lists = options.shortlist or marian_shortlist.find(checkpoint)
    others = filter(None, (lists, options.calibration))
    check_output(options.output, [checkpoint, *companions, *others])
    model = framed(sources.read(checkpoint), checkpoint, options.source_frame)
    console.info(f"read {checkpoint.name}: {model.provenance.get('format', '')}")
    longest = model.architecture.max_positions
    if longest > options.positions:
        console.info(f"at most {options.positions} of its {longest} positions, see --positions")
    for warning in (*model.warnings, *outliers(model)):
        console.warning(f"{checkpoint.name}: {warning}")
    source, target = tokenizers(model, checkpoint.parent)
    languages = languages_of(model, options.languages, name)
    shortlist = import_shortlist(lists, model, source, target) if lists else None
    if shortlist is None:
        check_old_shortlist(beside(options.output), source, target)
    text = options.calibration or "the text that ships"
    sentences: list[str] | list[list[int]]
    lacking = ""
    if options.calibration is None and not model.architecture.encoder_layers:
        console.info("writing texts to calibrate on ...")
        sentences = own_text(model)
    else:
        sentences = calibration_text(options.calibration, languages[0], console.warning)
        lacking = shortage(model, sentences, options.positions)
    if lacking:
        console.warning(f"{text}: {lacking}; {ADVICE}")
    console.info(f"calibrating on {len(sentences)} sentences ...")
    ranges = calibrate(model, sentences, positions=options.positions)
    console.info("lowering ...")
    try:
        program, tensors = lower(model, ranges, lowering)
    except LoweringError as error:
        if not lacking:
            raise
        told = f"{lacking}, on which it cannot be calibrated ({error}); {ADVICE}"
        raise UserError(f"{text}: {told}") from None
    provenance = {
        **model.provenance,
        **ranges.provenance,
        "importer": f"weights_import {version('int8ref')}",
        **{choice: str(value) for choice, value in choices.items()},
    }
    if name in MODELS:
        provenance |= {"licence": MODELS[name].licence, "origin": MODELS[name].origin}
    if shortlist is not None:
        save_shortlist(beside(options.output), shortlist)
    lowered = Model(name, languages, program, tensors, source, target, provenance)
    size = write(options.output, lowered, options.compact)
    console.info(
        f"wrote {options.output.name}: {size / 1e6:.2f} MB,"
        f" {model.nbytes / size:.2f} times smaller than the weights in float32"
    )


def framed(model: FloatModel, path: Path, asked: str | None) -> FloatModel:
    """The model with what is `asked` for around its sources, which is its own where nothing is.

    Raises UserError for a frame that it cannot have, CheckpointError where it must be asked for.
    """
    if asked is None:
        if model.doubt:
            raise CheckpointError(f"{path}: {model.doubt}")
        return model
    if asked not in model.frames:
        known = f"one of {', '.join(model.frames)}" if model.frames else "told by the checkpoint"
        raise UserError(f"--source-frame {asked}: for {path.name} it is {known}")
    frame = model.frames[asked]
    return replace(model, architecture=replace(model.architecture, source_frame=frame), doubt="")


def write(output: Path, model: Model, compact: bool) -> int:
    """Write the model's file; its bytes.  Raises LoweringError where the program is not sound."""
    try:
        save(output, model, compact)
    except ProgramError as error:
        raise LoweringError(f"{model.provenance['file']}: {error}") from None
    return output.stat().st_size


def check_output(output: Path, read: list[Path]) -> None:
    """Raises UserError where a model, or the shortlist beside it, cannot be written to `output`, or
    would replace one of the files that are `read`."""
    if not output.parent.is_dir():
        raise UserError(f"{output}: there is no folder {output.parent}")
    if output.is_dir():
        raise UserError(f"{output}: a folder, not the file to write")
    for written in (output, beside(output)):
        if not written.exists():
            continue
        if not written.is_file():
            raise UserError(f"{written}: not a regular file, and would be replaced")
        for path in read:
            if path.exists() and written.samefile(path):
                raise UserError(f"{written}: would be replaced, but the import reads it")


def import_shortlist(
    path: Path, model: FloatModel, source: Tokenizer, target: Tokenizer
) -> Shortlist:
    """The shortlist in a file of Marian's; raises CheckpointError where it is not the model's."""
    architecture = model.architecture
    sizes = architecture.source_vocabulary, architecture.target_vocabulary
    shortlist = marian_shortlist.read(path, source.model, target.model)
    if not shortlist.fits(*sizes, shortlist.tokenizers):
        raise CheckpointError(f"{path}: not made for vocabularies of {sizes[0]} and {sizes[1]}")
    return shortlist


def check_old_shortlist(path: Path, source: Tokenizer, target: Tokenizer) -> None:
    """Raises UserError where the shortlist that lies beside the output, and that this import would
    leave there, is of a model with other tokenizers; ModelFileError where it cannot be read."""
    hashed = tokenizers_hash(source.model, target.model)
    if path.exists() and load_shortlist(path).tokenizers != hashed:
        raise UserError(f"{path}: the shortlist of another model; remove it first")


def legal_name(stem: str) -> str:
    """The name of a file as that of a model: a "-" for each run of characters that are not legal,
    cut where it is too long; "model" where nothing is left."""
    name = re.sub(rf"[^{NAME_CHARACTERS}]+", "-", stem)[:MAX_NAME]
    return name if name.strip("-") else "model"


def languages_of(model: FloatModel, given: tuple[str, ...] | None, name: str) -> tuple[str, str]:
    """Source and target language: those given, else those of the checkpoint, else those that the
    model's name tells, such as en-pt, else undetermined ("und", BCP 47).

    A language model has one language, which is both.  Raises UserError where a model that
    translates is given one.
    """
    if given and len(given) == 1 and model.architecture.encoder_layers:
        raise UserError(
            f"--languages {given[0]}: a model that translates has two, source and target, such as"
            " en-pt"
        )
    codes = given or model.languages or pair_in(name) or ("und",)
    return codes[0], codes[-1]


def tokenizers(model: FloatModel, folder: Path = Path()) -> tuple[Tokenizer, Tokenizer]:
    """Source and target tokenizer of a checkpoint in a folder, which must have both; without an
    encoder, that of the target twice.  Raises CheckpointError that says what was looked for."""
    sides = ("source", "target") if model.architecture.encoder_layers else ("target", "target")
    missing = sorted(set(sides) - model.tokenizers.keys())
    if missing:
        raise CheckpointError(
            f"no SentencePiece model of the {' and the '.join(missing)} in {folder}: looked for"
            f" {model.wanted or names_of_models(missing)}{unread_tokenizers(folder)}"
        )
    source, target = (model.tokenizers[side] for side in sides)
    for content in {source, target}:
        processor(content)
    return Tokenizer("sentencepiece", source), Tokenizer("sentencepiece", target)


if __name__ == "__main__":
    sys.exit(main())
