"""What the page for people asks for: translations with tokens and alignments, and receipts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import Response

from int8ref import translate
from int8ref.commands import output
from int8ref.commands.receipt import FIELDS, Receipt, header_of
from int8ref.commands.settings import arguments_of
from int8ref.options import Options
from int8ref.results import Result
from int8ref.serving.bodies import check_key, form
from int8ref.serving.libretranslate import Asked, lines_of
from int8ref.serving.service import Service

SHOWN = output.Shown(None, "hard", several=True)


class Collected:
    """A receipt in memory (`receipt.Sink`)."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, content: bytes) -> None:
        """Implement `receipt.Sink`."""
        self.lines.append(content)

    def commit(self) -> None:
        """Implement `receipt.Sink`."""

    def __enter__(self) -> Collected:
        return self

    def __exit__(self, *_: object) -> None: ...


class People:
    """The answers to the page."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(self, _: Request) -> Response:
        """`GET /`"""
        content, policy = page()
        headers = {
            "content-security-policy": policy,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        return Response(content, media_type="text/html", headers=headers)

    async def details(self, request: Request) -> Response:
        """`POST /details`: the JSON documents of the command, one for each line of `q`."""
        asked, _, options = await self._asked(request)
        results = await self._results(asked, options)
        lines = [output.json(number, result, SHOWN)[0] for number, result in enumerate(results)]
        return Response(f"[{','.join(lines)}]", media_type="application/json")

    async def receipt(self, request: Request) -> Response:
        """`POST /receipt`: a receipt that `int8ref.verify` accepts."""
        asked, place, options = await self._asked(request)
        witnessed = _with_digests(options)
        results = await self._results(asked, witnessed)
        content = self._written(place, witnessed, lines_of(asked.texts[0]), results)
        headers = {"content-disposition": 'attachment; filename="int8ref.receipt"'}
        return Response(content, media_type="application/jsonl", headers=headers)

    async def _asked(self, request: Request) -> tuple[Asked, int, Options]:
        service = self._service
        asked = await form(request, Asked, service.limits.body)
        check_key(request, service.policy.keys, asked.api_key)
        route = service.models.route(asked.source, asked.target)
        return asked, route.place, service.options(route, asked.alternatives, detailed=True)

    async def _results(self, asked: Asked, options: Options) -> list[Result]:
        service = self._service
        lines = lines_of(asked.texts[0]) if asked.texts else []
        service.check_texts(len(lines))
        place = service.models.route(asked.source, asked.target).place
        return await service.translate(place, lines, options)

    def _written(
        self, place: int, options: Options, lines: Sequence[str], results: Sequence[Result]
    ) -> bytes:
        """Return the receipt of a run of `int8ref.translate` with these options."""
        path, ready = self._service.models.every[place]
        parser = translate.parser()
        given = parser.parse_args(arguments_of(parser, _settings(options)))
        collected, waiting = Collected(), iter(lines)
        header = header_of("translate", (path, ready.model), parser, given)
        shown = output.Shown(given.scores, given.alignment, given.n_best is not None)
        receipt = Receipt(collected, lambda: next(waiting), FIELDS["translate"], header)
        with receipt:
            written = [
                "".join(f"{line}\n" for line in output.json(number, result, shown)).encode()
                for number, result in enumerate(results)
            ]
            receipt.add(results, written)
        return b"".join(collected.lines)


def _with_digests(options: Options) -> Options:
    return replace(options, logits_digest=True)


def _settings(options: Options) -> dict[str, str | bool]:
    """Return the options of the command that gives the translations of the page."""
    found: dict[str, str | bool] = {
        "beam-size": str(options.beam_size),
        "n-best": str(options.n_best),
        "alignment": "hard",
        "output-format": "json",
    }
    if options.distinct:
        found["distinct"] = True
    if options.shortlist:
        found["shortlist"] = True
    if options.copy_unknown:
        found["copy-unknown"] = True
    if options.source_language is not None:
        found["source-language"] = options.source_language
    if options.target_language is not None:
        found["target-language"] = options.target_language
    return found


@cache
def page() -> tuple[bytes, str]:
    """Return the page and its policy, which allows the scripts and styles of the page only."""
    folder = Path(__file__).parent
    parts = {name: folder.joinpath(f"page.{name}").read_text("utf-8") for name in ("css", "js")}
    content = Template(folder.joinpath("page.html").read_text("utf-8")).substitute(parts)
    rules = {
        "default-src": "'none'",
        "style-src": _digest(parts["css"]),
        "script-src": _digest(parts["js"]),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return content.encode(), "; ".join(f"{name} {value}" for name, value in rules.items())


def _digest(content: str) -> str:
    """Return the source expression of an inline script or style: content between the tags."""
    found = base64.b64encode(hashlib.sha256(f"\n{content}\n".encode()).digest()).decode()
    return f"'sha256-{found}'"
