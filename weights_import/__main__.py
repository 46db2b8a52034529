"""`python -m weights_import SOURCE -o MODEL.safetensors`: a float checkpoint becomes integers."""

from __future__ import annotations

import argparse
import logging
import sys
from importlib.metadata import version
from pathlib import Path

from int8ref.errors import UserError
from int8ref.model_file import Model, Tokenizer, save
from int8ref.models import MODELS
from int8ref.shortlist import Shortlist, beside
from int8ref.shortlist import save as save_shortlist
from weights_import import sources
from weights_import.calibrate import calibrate, shipped_text
from weights_import.float_model import CheckpointError, FloatModel
from weights_import.lower import Options, lower
from weights_import.scale_propagation import LoweringError
from weights_import.sources import marian_shortlist

DESCRIPTION = """\
Import a float (or intgemm8) Transformer as one int8 model file.

The activations' scales come from running the float model on a text in the source language: a few
hundred sentences like those to be translated later.  No code of the checkpoint is run and no
training framework is needed."""

EXAMPLES = """\
examples:
  python -m weights_import model.bin -o model.safetensors --languages en-pt
  python -m weights_import model.npz -o model.safetensors --calibration news.txt --requantize shift
  python -m weights_import runs/1/en-de.safetensors -o en-de.safetensors --calibration train.en

A lexical shortlist (.s2t.bin) beside the checkpoint is imported too, to a file beside the model:
MODEL.shortlist.safetensors.
"""

CHOICES = "requantize", "rescaling", "scales", "residual", "weights"
"""Those of the importer that the model file tells."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command: 0 when the model is written, 1 for an error, 2 for wrong usage."""
    options = parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING if options.quiet else "INFO")
    try:
        run(options)
    except (CheckpointError, LoweringError, UserError, OSError, ValueError) as error:
        print(f"weights_import: error: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m weights_import",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("source", type=Path, help="checkpoint: a file, or a folder that holds one")
    p.add_argument("-o", "--output", type=Path, required=True, help="the .safetensors to write")
    p.add_argument(
        "--calibration",
        type=Path,
        help="UTF-8 text, one sentence a line (default: the text that ships for the language)",
    )
    p.add_argument(
        "--requantize",
        choices=("multiplier", "shift"),
        default=Options.requantize,
        help="how accumulators return to int8 (default: %(default)s)",
    )
    p.add_argument(
        "--rescaling",
        choices=("static", "dynamic"),
        default=Options.rescaling,
        help="hidden layers and contexts: on the scale that was calibrated, or shifted by what each"
        " row needs (default: %(default)s)",
    )
    p.add_argument(
        "--scales",
        choices=("channel", "tensor"),
        default=Options.scales,
        help="a scale for each channel where that is possible, or for each tensor"
        " (default: %(default)s)",
    )
    p.add_argument(
        "--residual",
        type=int,
        choices=(16, 8),
        default=Options.residual,
        help="bits of the residual (default: %(default)s)",
    )
    p.add_argument(
        "--weights",
        choices=("quads", "full"),
        default=Options.weights,
        help="weights whose sums of four products stay within 16 bits, which CPUs without 8-bit dot"
        " products add up faster, or weights that use all of 8 bits (default: %(default)s)",
    )
    p.add_argument(
        "--positions",
        type=number_of_positions,
        default=Options.positions,
        help="most tokens of a source with eos, or of the context of a language model, if the "
        "checkpoint has as many (default: %(default)s)",
    )
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
    p.add_argument("--name", help="name of the model (default: the output file's name)")
    p.add_argument(
        "--languages",
        help="source and target, such as en-pt (default: the checkpoint's own, or from the name)",
    )
    p.add_argument("-q", "--quiet", action="store_true", help="only errors on stderr")
    return p


def run(options: argparse.Namespace) -> None:
    """Read, calibrate, lower, write."""
    log = logging.getLogger("weights_import")
    name = options.name or options.output.stem
    model = sources.read(options.source)
    known = None if options.languages else model.languages
    languages = known or languages_of(options.languages or name)
    shortlist = import_shortlist(options.shortlist, options.source, model)
    log.info("read %s: %s", options.source.name, model.provenance.get("format", ""))
    sentences = calibration_text(options.calibration, languages[0])
    log.info("calibrating on %d sentences ...", len(sentences))
    ranges = calibrate(model, sentences, positions=options.positions)
    log.info("lowering ...")
    choices = {choice: getattr(options, choice) for choice in CHOICES}
    program, tensors = lower(model, ranges, Options(positions=options.positions, **choices))
    provenance = {
        **model.provenance,
        **ranges.provenance,
        "importer": f"weights_import {version('int8ref')}",
        **{choice: str(value) for choice, value in choices.items()},
    }
    if name in MODELS:
        provenance |= {"licence": MODELS[name].licence, "origin": MODELS[name].origin}
    source, target = tokenizers(model)
    if shortlist is not None:
        save_shortlist(beside(options.output), shortlist)
    lowered = Model(name, languages, program, tensors, source, target, provenance)
    save(options.output, lowered, options.compact)
    size = options.output.stat().st_size
    floats = 4 * sum(t.size for t in {id(t): t for t in model.tensors.values()}.values())
    log.info(
        "wrote %s: %.2f MB, %.2f times smaller than the weights in float32",
        options.output.name,
        size / 1e6,
        floats / size,
    )


def import_shortlist(path: Path | None, source: Path, model: FloatModel) -> Shortlist | None:
    """The shortlist in `path`, or the one beside the checkpoint `source`, or none."""
    path = path or marian_shortlist.find(source)
    if path is None:
        return None
    architecture = model.architecture
    sizes = architecture.source_vocabulary, architecture.target_vocabulary
    tokenizers = model.tokenizers
    shortlist = marian_shortlist.read(path, tokenizers.get("source") == tokenizers.get("target"))
    if not shortlist.fits(*sizes):
        raise CheckpointError(f"{path}: not made for vocabularies of {sizes[0]} and {sizes[1]}")
    return shortlist


def number_of_positions(text: str) -> int:
    """A number that a program may have positions for."""
    number = int(text)
    if not 2 <= number <= 1024:
        raise argparse.ArgumentTypeError(f"{number} is outside [2, 1024]")
    return number


def languages_of(pair: str) -> tuple[str, str]:
    """("en", "pt") of "en-pt"; anything else is undetermined ("und", BCP 47)."""
    source, dash, target = pair.partition("-")
    return (source, target) if dash and source.isalpha() and target.isalpha() else ("und", "und")


def calibration_text(path: Path | None, language: str) -> list[str]:
    """The sentences of a calibration file, or those that ship for a language; no blank lines."""
    lines = shipped_text(language) if path is None else path.read_text("utf-8").split("\n")
    sentences = [line for line in lines if line.strip()]
    if not sentences:
        raise ValueError(f"{path}: no sentences to calibrate on")
    return sentences


def tokenizers(model: FloatModel) -> tuple[Tokenizer, Tokenizer]:
    """Source and target tokenizer of a checkpoint, which must have both; without an encoder, that
    of the target twice."""
    sides = ("source", "target") if model.architecture.encoder_layers else ("target", "target")
    missing = [side for side in sides if side not in model.tokenizers]
    if missing:
        raise CheckpointError(f"no SentencePiece model beside the checkpoint for: {missing}")
    source, target = (model.tokenizers[side] for side in sides)
    return Tokenizer("sentencepiece", source), Tokenizer("sentencepiece", target)


if __name__ == "__main__":
    sys.exit(main())
