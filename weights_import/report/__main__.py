"""`python -m weights_import.report CHECKPOINT [MODEL] --text T -o report.html`: where the integers
lose."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.commands.parser import command_parser
from int8ref.commands.table import program
from int8ref.engines.backends import load_engine
from int8ref.errors import UserError
from int8ref.files.model_file import Model, load
from int8ref.host.storage import write_whole
from int8ref.text.tokenizers import TextTokenizer
from weights_import import sources
from weights_import.__main__ import Text as CalibrationText
from weights_import.__main__ import (
    choices_of,
    in_integers,
    languages_of,
    read_model,
    tokenizers,
)
from weights_import.arguments import CHOICES, add_choices, add_reading
from weights_import.calibration_text import calibration_text
from weights_import.float_model import FloatModel
from weights_import.lower import Lowered
from weights_import.lowering.options import LoweringOptions
from weights_import.output import check_place, check_unread, legal_name
from weights_import.processor import reader
from weights_import.progress import stage
from weights_import.report.document import Report, Writer
from weights_import.report.page import page
from weights_import.report.same_file import differences
from weights_import.report.texts import read
from weights_import.report.walk import Walk

DESCRIPTION = """\
Show where the integers of a model lose: which operations, on which values, at which positions and
on which sentences.  The float model of a checkpoint and the integer model that it lowers to read
the same text.  The report is one HTML page; each of its tables is a CSV file beside it."""
PROGRAM = program("weights_import.report")
EXAMPLES = f"""\
examples:
  {PROGRAM} model.bin --text news.txt -o report.html --languages en-pt
  {PROGRAM} stories260K/ stories.safetensors --text lines.txt -o report.html
"""
MOST_LINES = 10_000


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = command_parser(PROGRAM, DESCRIPTION, EXAMPLES)
    p.add_argument("source", type=Path, help="checkpoint: a file, or a folder that holds one")
    p.add_argument(
        "model",
        type=Path,
        nargs="?",
        help="the model file that it was imported to, whose options are the defaults (default: the"
        " checkpoint is imported in memory)",
    )
    p.add_argument(
        "--text", type=Path, required=True, help="UTF-8 text to compare on, one sentence a line"
    )
    p.add_argument(
        "-o", "--output", type=Path, required=True, help="the .html to write; CSV goes beside it"
    )
    p.add_argument(
        "--lines", type=_lines, default=MOST_LINES, help="the most lines of the text (default: all)"
    )
    add_choices(p)
    add_reading(p)
    p.add_argument("-q", "--quiet", action="store_true", help="only errors on stderr")
    return p


def _lines(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MOST_LINES:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_LINES}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: 0 when the report is written, 1 for an error, 2 for wrong usage."""
    options = parser().parse_intermixed_args(arguments)
    return command.run(partial(run, options), "error" if options.quiet else "info")


def run(options: argparse.Namespace, console: Console) -> None:
    """Read, lower, compare, write."""
    checkpoint, *companions = sources.files(options.source)
    text = calibration_text(options.text, "", console.warning)[: options.lines]
    _check_output(options, [checkpoint, *companions])
    file = None if options.model is None else load(options.model)
    model = read_model(options, checkpoint, console)
    _take_options(options, file)
    lowering = LoweringOptions(positions=options.positions, **choices_of(options, model.encodes))
    name = legal_name(options.source.resolve().stem)
    languages = languages_of(model, options.languages, file.name if file else name)
    tokenizers(model, checkpoint.parent)
    given = CalibrationText(options.calibration, languages[0])
    lowered, provenance = in_integers(model, given, lowering, console)
    if file is not None:
        _require_same(options.model, file, lowered, provenance | _told(lowering))
    engine = load_engine(lowered.program, lowered.tensors)
    sentences = read(lowered, engine, text, stage(console, "translating the text in floats"))
    walk = Walk(lowered, engine)
    found = walk.run(
        sentences.sources, sentences.targets, stage(console, f"comparing {len(text)} sentences")
    )
    writer = Writer(walk, sentences, _readers(model), model.labels)
    facts = _facts(model, lowering, provenance, options.text)
    title = file.name if file is not None else name
    _write(options.output, writer.report(found, title, facts), console)


def _check_output(options: argparse.Namespace, read: list[Path]) -> None:
    """Raises UserError for an output that cannot be, or that would replace an input."""
    output: Path = options.output
    if output.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{output}: the report is a page, give it a name that ends with .html")
    check_place(output)
    given = options.text, options.model, options.calibration
    check_unread(output, [*read, *filter(None, given)], "report")


def _take_options(options: argparse.Namespace, file: Model | None) -> None:
    """The options of a model file are the defaults."""
    if file is None:
        return
    for name, known, _ in CHOICES:
        if getattr(options, name) is None and name in file.provenance:
            setattr(options, name, type(known[0])(file.provenance[name]))
    if file.program.max_source_length and options.positions == LoweringOptions.positions:
        options.positions = file.program.max_source_length


def _told(lowering: LoweringOptions) -> dict[str, str]:
    return {name: str(getattr(lowering, name)) for name, _, _ in CHOICES}


def _require_same(path: Path, file: Model, lowered: Lowered, provenance: dict[str, str]) -> None:
    """Raises UserError that says how the file differs from what is lowered here."""
    found = list(differences(file, lowered, provenance))
    if found:
        raise UserError(
            f"{path}: not what this checkpoint lowers to with these options: {'; '.join(found)};"
            " give the checkpoint, the calibration text and the options of its import, or no model"
        )


def _readers(model: FloatModel) -> tuple[TextTokenizer, TextTokenizer]:
    """The tokenizers of source and target, which may be one."""
    contents = model.tokenizers
    usual = next(iter(contents.values()))
    return reader(contents.get("source", usual)), reader(contents.get("target", usual))


def _facts(
    model: FloatModel, lowering: LoweringOptions, provenance: dict[str, str], text: Path
) -> list[list[str]]:
    """What the page says about how it was made."""
    parameters = model.tensors.nbytes // 4
    return [
        ["checkpoint", f"{provenance.get('file', '')}, {provenance.get('format', '')}"],
        ["sha256 of the checkpoint", provenance.get("sha256", "")],
        ["parameters", f"{parameters:,}"],
        ["text", text.name],
        ["calibration", f"{provenance['calibration_sentences']} sentences, sha256 "
         f"{provenance['calibration_sha256'][:16]}"],
        *[[name, value] for name, value in _told(lowering).items()],
    ]  # fmt: skip


def _write(output: Path, report: Report, console: Console) -> None:
    """Write the tables, then the page."""
    for name, table in report.tables.items():
        write_whole(output.with_suffix(f".{name}.csv"), table.csv())
    content = page(report.document)
    write_whole(output, content)
    console.info(
        f"wrote {output.name}: {len(content) / 1e3:.0f} kB, and {len(report.tables)} CSV files"
    )


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
