"""`python -m int8ref.serve`: answers requests over HTTP, as LibreTranslate and OpenAI do."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from int8ref.commands import command
from int8ref.commands.arguments.messages import add_log_level
from int8ref.commands.arguments.search import add_beam_size
from int8ref.commands.arguments.speed import add_backend
from int8ref.commands.console import Console
from int8ref.commands.parser import command_parser
from int8ref.commands.table import program
from int8ref.commands.values import count
from int8ref.errors import UserError
from int8ref.host import extras
from int8ref.host.processors import processors
from int8ref.spec.limits import MAX_BEAM

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.serving.limits import Limits, Policy

PROGRAM = program("int8ref.serve")
EXAMPLES = f"""examples:
  {PROGRAM}
  {PROGRAM} -m en-pt -m pt-en --port 8080
  {PROGRAM} -m stories.safetensors -m minilm.safetensors --keys keys.txt

/translate, /translate_file, /languages and /detect work as in LibreTranslate, /v1/completions,
/v1/chat/completions and /v1/embeddings as in OpenAI's interface.  / is a page for people.  A
translation is the translation of int8ref.document, whatever else is asked at the time.  At SIGTERM,
the service finishes its requests, and refuses others.
"""
LIMITS = {
    "body": (1 << 20, "bytes of a request", 1 << 30),
    "file": (1 << 24, "bytes of a file to translate", 1 << 27),
    "downloads": (1 << 27, "bytes of translated files that wait for their download", 1 << 34),
    "texts": (2000, "lines, prompts or inputs of a request", 1 << 20),
    "queue": (10_000, "texts that wait, of all requests", 1 << 24),
    "seconds": (300, "seconds of a request", 86_400),
    "alternatives": (10, "alternative translations", MAX_BEAM - 1),
    "connections": (1000, "open connections", 1 << 16),
}
"""The limits: default, meaning, largest value."""
BATCH_SIZE = 64


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "Translate and continue texts over HTTP.", EXAMPLES)
    add = made.add_argument_group("models").add_argument
    about = "model file, or a name; several: -m NAME -m NAME (default: the default translator)"
    add("-m", "--model", action="append", metavar="MODEL", help=about)
    add_beam_size(add, "hypotheses of a translation; alternatives take as many as they need")
    add(
        "--shortlist",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="use the lexical shortlists of the models (default: --no-shortlist)",
    )
    _add_address(made)
    add = made.add_argument_group("limits").add_argument
    for name, (usual, meaning, most) in LIMITS.items():
        about = f"most {meaning} (default: {usual})"
        add(f"--max-{name}", type=count(most), metavar="N", default=usual, help=about)
    _add_speed(made)
    add_log_level(made.add_argument_group("messages").add_argument)
    return made


def _add_address(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("address and access").add_argument
    about = "address to listen at; 0.0.0.0 for other machines (default: 127.0.0.1)"
    add("--host", default="127.0.0.1", help=about)
    add("--port", type=_port, metavar="N", default=5000, help="0: any (default: 5000)")
    about = "file of API keys, one a line; a client needs one of them (default: no key is needed)"
    add("--keys", metavar="FILE", help=about)
    about = "origin whose pages may use the service, such as https://example.org; may be repeated"
    add("--cors", action="append", metavar="ORIGIN", default=[], help=f"{about} (default: none)")


def _add_speed(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("speed (these change no result)")
    add_backend(group.add_argument, "compiled")
    add = group.add_argument
    about = f"most texts computed together (default: {BATCH_SIZE})"
    add("--batch-size", type=count(4096), metavar="N", default=BATCH_SIZE, help=about)
    about = f"batches computed at once (default: the processors, here {processors()})"
    add("--threads", type=count(4096), metavar="N", default=processors(), help=about)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 1 << 16:
        raise argparse.ArgumentTypeError(f"{number} is not between 0 and 65535")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    given = parser().parse_args(arguments)
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    from int8ref.serving.models import Models

    try:
        from int8ref.serving.server import listen, serve
        from int8ref.serving.service import Service
    except ModuleNotFoundError as error:
        told = extras.lacking(error.name or "uvicorn", "serve", "a service needs")
        raise UserError(told) from None
    policy, limits = _policy(given), _limits(given)
    with listen(given.host, given.port) as listening:
        models = Models(_loaded(given, console))
        service = Service(models, limits, policy)
        names = ", ".join(models.names)
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        told = f"serving {names} at http://{shown}:{port}/"
        stopped_by = serve(service, listening, lambda: console.info(told))
    console.info("ended")
    if stopped_by == signal.SIGINT:
        raise KeyboardInterrupt


def _loaded(given: argparse.Namespace, console: Console) -> list[tuple[Path, Any]]:
    """Load the models."""
    from int8ref.engines.backends import prepare_backend
    from int8ref.files.models import load_model
    from int8ref.files.wanted import WantedModel
    from int8ref.translation.ready import Speed
    from int8ref.translator import ready

    speed = Speed(given.batch_size)
    loaded = []
    for name in given.model or [None]:
        begin = partial(prepare_backend, given.backend)
        path, model = load_model(WantedModel(name), console.info, begin)
        loaded.append((path, ready(model, given.backend, speed, path)))
        if given.shortlist and model.program.encoder and model.shortlist is None:
            raise UserError(f"model {model.name} has no shortlist beside it")
    return loaded


def _limits(given: argparse.Namespace) -> Limits:
    from int8ref.serving.limits import Limits

    named = {name: getattr(given, f"max_{name}") for name in LIMITS}
    return Limits(**named, batch_size=given.batch_size, threads=given.threads)


def _policy(given: argparse.Namespace) -> Policy:
    from int8ref.serving.limits import Policy

    keys: frozenset[str] = frozenset()
    if given.keys is not None:
        text = Path(given.keys).read_text("utf-8")
        keys = frozenset(line.strip() for line in text.splitlines() if line.strip())
        if not keys:
            raise UserError(f"{given.keys}: there is no key in the file")
    return Policy(
        keys=keys,
        origins=tuple(given.cors),
        beam_size=given.beam_size,
        shortlist=given.shortlist,
    )


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
