"""Renders a chat template: `python -m int8ref.text.chat_render`, a process with little memory.

A template is a program of a stranger.  jinja2's sandbox lets it reach nothing but its input, and
this process bounds its time, its memory and the size of its text.  A JSON document on standard
input has the members `template`, `messages`, `special` and `limits`.  The answer on standard output
has the member `text` or `error`.

The clock is not there (`strftime_now` is undefined), because one conversation has one text.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    """Answer the document on standard input."""
    asked = json.load(sys.stdin)
    try:
        answer = {"text": rendered(asked)}
    except MemoryError:
        answer = {"error": "it needs too much memory"}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"[:300]}
    sys.stdout.buffer.write(json.dumps(answer).encode())


def rendered(asked: dict[str, Any]) -> str:
    """Return the text of a conversation.  Raises the errors of jinja2, and ValueError."""
    from jinja2 import nodes
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """The tag `generation`, which marks the words of the assistant and changes no text."""

        tags = {"generation"}  # noqa: RUF012  jinja2 declares it as a set

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def refuse(message: object) -> None:
        raise TemplateError(str(message))

    def to_json(value: object, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    limit_resources(**asked["limits"])
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse
    template = environment.from_string(asked["template"])
    values = asked["special"] | {"messages": asked["messages"], "add_generation_prompt": True}
    most, parts, size = asked["limits"]["characters"], [], 0
    for part in template.generate(**values):
        size += len(part)
        if size > most:
            raise ValueError(f"its text has more than {most} characters")
        parts.append(part)
    return "".join(parts)


def limit_resources(seconds: int, memory: int, characters: int) -> None:
    """Let the system end this process if it needs more time or memory, where it can."""
    try:
        import resource
    except ImportError:  # Windows: the parent process ends this one after the time
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


if __name__ == "__main__":
    main()
