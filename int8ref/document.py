"""`python -m int8ref.document`: translates documents, and keeps their structure and markup."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from int8ref.commands import command, table
from int8ref.commands.arguments.chosen import chosen_options
from int8ref.commands.arguments.messages import add_messages
from int8ref.commands.arguments.model import add_languages, add_model
from int8ref.commands.arguments.search import add_document_search
from int8ref.commands.arguments.speed import add_speed
from int8ref.commands.console import Console
from int8ref.commands.parser import command_parser
from int8ref.commands.pivots import check_pivot
from int8ref.documents import DEFAULT_OPTIONS, FORMATS, MAX_BYTES, format_of
from int8ref.documents.errors import DocumentError
from int8ref.text.lines import check_output
from int8ref.text.streams import STANDARD, open_input, standard_output

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.options import Options
    from int8ref.pivot import Pivot
    from int8ref.results import Languages, Result
    from int8ref.translator import Translator

PROGRAM = table.program("int8ref.document")
EXAMPLES = f"""examples:
  {PROGRAM} letter.docx -o carta.docx
  {PROGRAM} -m pt-en,en-de-tatoeba livro.epub -o buch.epub
  {PROGRAM} --from-format html - -o - < page > pagina

Formats: {", ".join(FORMATS)}.  The name of the file says the format.

Paragraphs are split into sentences, and every sentence is translated as int8ref.translate
--copy-unknown translates it.  Tags within a sentence are carried over by the alignment.  Code,
scripts, images and what else is no text stay as they are.  The output appears when it is complete.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "Translate a document with integers only.", EXAMPLES)
    made.add_argument("file", metavar="FILE", help="document to translate; -: stdin")
    add = made.add_argument_group("model, input, output").add_argument
    add_model(add)
    add_languages(add)
    add("-o", "--output", metavar="FILE", required=True, help="translated document; -: stdout")
    add(
        "--from-format",
        choices=tuple(FORMATS),
        help="format of the document (default: the name of FILE says it)",
    )
    add_document_search(made)
    add_speed(made)
    add_messages(made)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    made = parser()
    given = made.parse_args(arguments)
    check_pivot(made, given)
    given.form = given.from_format or format_of(given.file)
    if given.form is None:
        made.error(f"the name {given.file!r} says no format: give --from-format")
    return command.run(partial(_run, given), given.log_level)


class _Counted:
    """A translator that counts its results, for --stats, progress and warnings."""

    def __init__(self, translator: Translator | Pivot, strict: bool, console: Console) -> None:
        from int8ref.commands.counts import Counts

        self._translator, self._console = translator, console
        self._warn = command.complaints(strict, console)
        self.counts = Counts()

    @property
    def languages(self) -> Languages:
        return self._translator.languages

    def fits(self, text: str, options: Options = DEFAULT_OPTIONS) -> bool:
        return self._translator.fits(text, options)

    def stream(self, lines: Iterable[str], options: Options = DEFAULT_OPTIONS) -> Iterator[Result]:
        for results in self._translator.batches(lines, options, self._warn):
            self.counts.add(results)
            self._console.progress(lambda seconds: f"{self.counts.lines} sentences")
            yield from results


def _run(given: argparse.Namespace, console: Console) -> None:
    from int8ref.documents import translate_bytes
    from int8ref.host.storage import write_whole

    content = _read(given.file)
    options = chosen_options(given)
    models = command.load_models(given, console)
    taken = {"model": models[0][0].stat()}
    if given.output != STANDARD:
        check_output(given.output, taken)
    translator = _Counted(command.ready(given, models), given.strict, console)
    console.start_progress(True)
    name = "standard input" if given.file == STANDARD else given.file
    translated = translate_bytes(translator, content, given.form, options, name)
    console.clear()
    if given.output == STANDARD:
        standard_output().write_all(translated)
    else:
        write_whole(given.output, translated)
    if not options.copy_unknown:
        translator.counts.unknown.tell(console.warning)
    if given.stats:
        console.say(translator.counts.describe())


def _read(path: str) -> bytes:
    """Return the content of a file.  Raises `DocumentError` for a file that is too large."""
    with open_input(path) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise DocumentError(f"{path}: has more than {MAX_BYTES} bytes")
    return content


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
