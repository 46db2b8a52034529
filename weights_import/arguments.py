"""The command line of the importer: the names, values and meanings of its options."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from int8ref.commands.parser import command_parser
from int8ref.commands.table import program
from int8ref.files.model_file import MAX_NAME, NAME_CHARACTERS
from int8ref.reference.attention import MAX_KEYS
from weights_import import sources
from weights_import.languages import codes_of
from weights_import.lowering.options import LoweringOptions
from weights_import.operations.pool import ROWS as POOLINGS
from weights_import.sources.ctranslate2_frame import NAMES as FRAMES

DESCRIPTION = """\
Import a Transformer as one int8 model file: a checkpoint of Marian, of Hugging Face's transformers,
of sentence-transformers, of CTranslate2, of fairseq, OpenNMT-py, JoeyNMT or Sockeye, of llama2.c, a
GGUF file, a package of Argos Translate, or a checkpoint of the training recipe.  --list prints all
kinds.

The activations' scales come from running the float model on a text in the source language: a few
hundred sentences like those to be translated later.  No code of the checkpoint is run and no
training framework is needed."""

PROGRAM = program("weights_import")
EXAMPLES = f"""\
examples:
  {PROGRAM} model.bin -o model.safetensors --languages en-pt
  {PROGRAM} model.npz -o model.safetensors --calibration news.txt --requantize shift
  {PROGRAM} runs/1/en-de.safetensors -o en-de.safetensors --calibration train.en

A lexical shortlist (.s2t.bin) beside the checkpoint is imported too, to a file beside the model:
MODEL.shortlist.safetensors.
"""

NAME = re.compile(rf"[{NAME_CHARACTERS}]{{1,{MAX_NAME}}}")

CHOICES: tuple[tuple[str, tuple[str, ...] | tuple[int, ...], str], ...] = (
    ("requantize", ("multiplier", "shift"), "how accumulators return to int8"),
    (
        "rescaling",
        ("gated", "static", "dynamic"),
        "which inputs of products each row shifts by what it needs: gated hidden layers, none"
        " (static), or all hidden layers and contexts (dynamic)",
    ),
    (
        "scales",
        ("channel", "tensor"),
        "a scale for each channel where that is possible, or for each tensor",
    ),
    ("residual", (16, 8), "bits of the residual"),
    (
        "weights",
        ("quads", "full"),
        "weights whose sums of four products stay within 16 bits, which CPUs without 8-bit dot"
        " products add up faster, or weights that use all of 8 bits",
    ),
)
"""Options of lowering, which the provenance of the model file contains: name, choices, help."""
USUAL_OF_ENCODERS = {"weights": ", and full for encoders that embed or classify"}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = command_parser(PROGRAM, DESCRIPTION, EXAMPLES)
    p.add_argument("source", type=Path, help="checkpoint: a file, or a folder that holds one")
    p.add_argument("-o", "--output", type=Path, required=True, help="the .safetensors to write")
    add_choices(p)
    p.add_argument(
        "--compact",
        action="store_true",
        help="deflate the weights too: a smaller file, which is unpacked at its first use",
    )
    p.add_argument(
        "--shortlist",
        type=Path,
        help="lexical shortlist (default: *.s2t.bin beside the checkpoint)",
    )
    p.add_argument(
        "--name", type=model_name, help="name of the model (default: the output file's name)"
    )
    add_reading(p)
    p.add_argument("-q", "--quiet", action="store_true", help="only errors on stderr")
    p.add_argument(
        "--list", action=_List, nargs=0, help="print the kinds of checkpoints that are read"
    )
    return p


def add_choices(p: argparse.ArgumentParser) -> None:
    """Add the calibration text and the options of lowering."""
    p.add_argument(
        "--calibration",
        type=Path,
        help="UTF-8 text, one sentence a line (default: the text that ships for the language;"
        " for a language model, texts that it writes itself)",
    )
    for name, choices, told in CHOICES:
        p.add_argument(
            f"--{name}",
            type=type(choices[0]),
            choices=choices,
            help=f"{told} (default: {getattr(LoweringOptions, name)}"
            f"{USUAL_OF_ENCODERS.get(name, '')})",
        )
    p.add_argument(
        "--positions",
        type=number_of_positions,
        default=LoweringOptions.positions,
        help="most tokens of a source with eos, or of the context of a language model, if the "
        "checkpoint has as many (default: %(default)s)",
    )


def add_reading(p: argparse.ArgumentParser) -> None:
    """Add what a checkpoint may leave open: its languages, its frame, its pooling."""
    p.add_argument(
        "--languages",
        type=language_codes,
        help="source and target, such as en-pt or en-pt_BR, or the one of a language model, such as"
        " en (default: the checkpoint's own, or from the name)",
    )
    for side, what in (("source", "the sources"), ("target", "the translations")):
        p.add_argument(
            f"--{side}-language",
            metavar="CODE",
            help=f"default language of {what}, for a model of many languages, such as eng_Latn"
            " of NLLB, en of M2M100 or en_XX of mBART-50",
        )
    p.add_argument(
        "--source-frame",
        choices=FRAMES,
        help="what stands around a source, for models of CTranslate2 (default: what follows from"
        " the checkpoint)",
    )
    p.add_argument(
        "--pooling",
        choices=POOLINGS,
        help="how the rows of a text become its embedding: their mean, the row of the first token"
        " (cls), or the row of the last token (default: the checkpoint's own, or else mean)",
    )


class _List(argparse.Action):
    """Prints the formats of all readers, and ends the command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        for source in sources.formats():
            print(source.FORMAT)
        parser.exit()


def number_of_positions(text: str) -> int:
    """A number that a program may have positions for."""
    number = int(text)
    if not 2 <= number <= MAX_KEYS:
        raise argparse.ArgumentTypeError(f"{number} is outside [2, {MAX_KEYS}]")
    return number


def model_name(text: str) -> str:
    """A name that a model file may have."""
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not 1 to {MAX_NAME} of the characters {NAME_CHARACTERS}"
        )
    return text


def language_codes(text: str) -> tuple[str, ...]:
    """("en", "pt-BR") of "en-pt_BR", ("en",) of "en"."""
    found = codes_of(text.split("-"))
    if not 1 <= len(found) <= 2:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither source and target, such as en-pt or en-pt_BR,"
            " nor the one language of a language model, such as en"
        )
    return found
