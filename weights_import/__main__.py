"""`python -m weights_import SOURCE -o MODEL.safetensors`: makes a model file of a checkpoint."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.errors import UserError
from int8ref.files.model_file import Model, Tokenizer
from int8ref.files.models import MODELS
from int8ref.files.shortlist import beside
from int8ref.files.shortlist import save as save_shortlist
from weights_import import sources
from weights_import.arguments import CHOICES, parser
from weights_import.arithmetic import VERSION
from weights_import.calibrate import calibration, own_text
from weights_import.calibration_text import ADVICE, calibration_text, shortage, usual
from weights_import.errors import CheckpointError, LoweringError
from weights_import.float_model import FloatModel
from weights_import.language_choice import chosen, spoken
from weights_import.languages import pair_in
from weights_import.lower import Lowered, lowered
from weights_import.lowering.options import LoweringOptions
from weights_import.outliers import outliers
from weights_import.output import (
    check_old_shortlist,
    check_output,
    import_shortlist,
    legal_name,
    write,
)
from weights_import.pooling import pooled
from weights_import.processor import told
from weights_import.progress import stage
from weights_import.sources import marian_shortlist
from weights_import.sources.tokenizers import names_of_models, unread_tokenizers


def main(arguments: list[str] | None = None) -> int:
    """Run the command: 0 when the model is written, 1 for an error, 2 for wrong usage."""
    options = parser().parse_args(arguments)
    return command.run(partial(run, options), "error" if options.quiet else "info")


def run(options: argparse.Namespace, console: Console) -> None:
    """Read, calibrate, lower, write.  Errors that can be found early come before the long work."""
    name = options.name or legal_name(options.output.stem)
    LoweringOptions(**choices_of(options))  # raises an error of the options before the reading
    checkpoint, *companions = sources.files(options.source)
    lists = options.shortlist or marian_shortlist.find(checkpoint)
    others = filter(None, (lists, options.calibration))
    check_output(options.output, [checkpoint, *companions, *others])
    model = read_model(options, checkpoint, console)
    source, target = tokenizers(model, checkpoint.parent)
    languages = languages_of(model, options.languages, name)
    shortlist = import_shortlist(lists, model, source, target) if lists else None
    if shortlist is None:
        check_old_shortlist(beside(options.output), source, target)
    choices = choices_of(options, model.encodes)
    lowering = LoweringOptions(positions=options.positions, **choices)
    text = Text(options.calibration, languages[0])
    made, provenance = in_integers(model, text, lowering, console)
    provenance |= {choice: str(value) for choice, value in choices.items()}
    if name in MODELS:
        provenance |= {"licence": MODELS[name].licence, "origin": MODELS[name].origin}
    if shortlist is not None:
        save_shortlist(beside(options.output), shortlist)
    program, tensors, labels = made.program, made.tensors, model.labels
    content = Model(
        name,
        languages,
        program,
        tensors,
        source,
        target,
        provenance,
        labels=labels,
        chat=model.chat,
    )
    size = write(options.output, content, options.compact)
    console.info(
        f"wrote {options.output.name}: {size / 1e6:.2f} MB,"
        f" {model.tensors.nbytes / size:.2f} times smaller than the weights in float32"
    )


def choices_of(options: argparse.Namespace, encodes: bool = False) -> dict[str, Any]:
    """The options of lowering that are given, or else the usual ones.

    An encoder alone has weights of all 8 bits, because its output shows every rounding.
    """
    usual = {"weights": "full"} if encodes else {}
    given = {name: getattr(options, name) for name, _, _ in CHOICES}
    own = {n: usual.get(n, getattr(LoweringOptions, n)) for n in given}
    return {name: own[name] if value is None else value for name, value in given.items()}


def read_model(options: argparse.Namespace, checkpoint: Path, console: Console) -> FloatModel:
    """The float model of a checkpoint, with the frame that the options ask for."""
    model = framed(sources.read(checkpoint), checkpoint, options.source_frame)
    model = spoken(model, checkpoint, options.source_language, options.target_language)
    model = pooled(model, options.pooling)
    console.info(f"read {checkpoint.name}: {model.provenance.get('format', '')}")
    longest = model.generation.max_positions
    if longest > options.positions:
        console.info(f"at most {options.positions} of its {longest} positions, see --positions")
    for warning in (*model.warnings, *outliers(model)):
        console.warning(f"{checkpoint.name}: {warning}")
    return model


class Text(NamedTuple):
    """The text to calibrate on: a file, or without one the text that ships for the language."""

    path: Path | None
    language: str

    def __str__(self) -> str:
        return str(self.path or "the text that ships")


def in_integers(
    model: FloatModel, text: Text, options: LoweringOptions, console: Console
) -> tuple[Lowered, dict[str, str]]:
    """A model in integers, and the provenance of these.

    A model that cannot be lowered because the calibration text lacks something has an error that
    says so.
    """
    sentences: list[str] | list[list[int]]
    lacking = ""
    if text.path is None and not model.translates:
        sentences = own_text(model, stage(console, "writing texts to calibrate on"))
    else:
        language = usual(text.language) if model.encodes else text.language
        sentences = calibration_text(text.path, language, console.warning)
        lacking = shortage(model, sentences, options.positions)
    if lacking:
        console.warning(f"{text}: {lacking}; {ADVICE}")
    calibrating = stage(console, f"calibrating on {len(sentences)} sentences")
    found = calibration(model, sentences, options.positions, calibrating)
    lowering = stage(console, "lowering")
    try:
        made = lowered(model, found.sources, found.targets, options, lowering)
    except LoweringError as error:
        if not lacking:
            raise
        told = f"{lacking}, on which it cannot be calibrated ({error}); {ADVICE}"
        raise UserError(f"{text}: {told}") from None
    importer = {"importer": "weights_import", "importer_arithmetic": str(VERSION)}
    return made, model.provenance | found.provenance | importer


def framed(model: FloatModel, path: Path, asked: str | None) -> FloatModel:
    """The model with the frame `asked` for around its sources, or with its own frame.

    Raises UserError for a frame that it cannot have.  Raises CheckpointError if the checkpoint does
    not tell the frame and nothing is asked for.
    """
    if asked is None:
        if model.doubt:
            raise CheckpointError(f"{path}: {model.doubt}")
        return model
    if asked not in model.frames:
        known = f"one of {', '.join(model.frames)}" if model.frames else "told by the checkpoint"
        raise UserError(f"--source-frame {asked}: for {path.name} it is {known}")
    frame = model.frames[asked]
    generation = replace(model.generation, source_frame=frame)
    return replace(model, generation=generation, doubt="")


def languages_of(model: FloatModel, given: tuple[str, ...] | None, name: str) -> tuple[str, str]:
    """Source and target language.

    They are the given languages, or else the languages of the checkpoint, or else the languages in
    the name of the model, such as en-pt, or else undetermined ("und", BCP 47).  A language model
    and an encoder alone have one language, which is both.  Raises UserError if only one is given
    for a model that translates.
    """
    if given and len(given) == 1 and model.translates and not model.encodes:
        raise UserError(
            f"--languages {given[0]}: a model that translates has two, source and target, such as"
            " en-pt"
        )
    codes = given or model.languages or chosen(model) or pair_in(name) or ("und",)
    return codes[0], codes[-1]


def tokenizers(model: FloatModel, folder: Path = Path()) -> tuple[Tokenizer, Tokenizer]:
    """Source and target tokenizer of a checkpoint in a folder, which must have both.

    A model without an encoder has the target tokenizer twice, and an encoder alone has the source
    tokenizer twice.  Raises CheckpointError that names the files that were looked for.
    """
    sides = ("source" if model.translates else "target", "source" if model.encodes else "target")
    missing = sorted(set(sides) - model.tokenizers.keys())
    if missing:
        wanted = model.wanted or names_of_models(missing)
        raise CheckpointError(
            f"no tokenizer of the {' and the '.join(missing)} in {folder}: looked for"
            f" {wanted}{unread_tokenizers(folder, wanted)}"
        )
    source, target = (model.tokenizers[side] for side in sides)
    for content in {source, target}:
        told(content)
    return Tokenizer.of(source), Tokenizer.of(target)


if __name__ == "__main__":
    sys.exit(main())
