"""What a model file is: its kind, sizes, limits and origin, as one document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from int8ref.files.model_file import FORMAT, Model
from int8ref.files.shortlist import beside
from int8ref.program import sizes
from int8ref.program.program import takes_source
from int8ref.spec import arithmetic
from int8ref.translation.direction import languages_of


def kind_of(model: Model) -> str:
    """Return the kind of a model: translator, language model, embedder or classifier."""
    if model.program.encodes:
        return "classifier" if model.labels else "embedder"
    return "translator" if takes_source(model.program) else "language model"


def described(path: Path, model: Model) -> dict[str, Any]:
    """Return what a model file is.  Numbers of bytes and of tokens are integers."""
    program, tensors = model.program, model.tensors
    both = [*program.encoder, *program.decoder]
    lists = beside(path)
    return {
        "name": model.name,
        "kind": kind_of(model),
        "languages": _languages(model),
        "file": {
            "path": str(path),
            "bytes": path.stat().st_size,
            "sha256": model.sha256,
            "format": FORMAT,
            "arithmetic": arithmetic.VERSION,
        },
        "shortlist": str(lists) if model.shortlist is not None else None,
        "parameters": sum(tensor.size for tensor in tensors.values()),
        "bytes": _bytes(model),
        "vocabulary": _vocabulary(model),
        "tokenizers": {"source": model.source.kind, "target": model.target.kind},
        "operations": dict(sorted(Counter(i.op for i in both).items())),
        "limits": _limits(model),
        "labels": list(model.labels),
        "provenance": model.provenance,
    }


def _languages(model: Model) -> dict[str, Any]:
    found = languages_of(model)
    many = {"sources": found.sources, "targets": found.targets} if found.targets else {}
    return {"source": found.source, "target": found.target, **many}


def _bytes(model: Model) -> dict[str, int]:
    """Return the number of bytes of the tensors of each type."""
    found: Counter[str] = Counter()
    for tensor in model.tensors.values():
        found[str(tensor.dtype)] += tensor.nbytes
    return dict(sorted(found.items()))


def _vocabulary(model: Model) -> dict[str, int]:
    """Return the number of token ids of each side that the model has."""
    program, tensors = model.program, model.tensors
    found = {}
    if takes_source(program):
        found["source"] = min(sizes.embedding_sizes(program, tensors, "source"))
    if not program.encodes:
        found["target"] = sizes.vocabulary_size(program, tensors)
    return found


def _limits(model: Model) -> dict[str, int]:
    """Return the largest numbers of tokens."""
    program = model.program
    found = {}
    if takes_source(program):
        found["source_tokens"] = program.max_source_length
    if not program.encodes:
        found["target_tokens"] = sizes.max_steps(program, model.tensors)
    return found


def text_of(document: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a description for people: a name, two spaces, and a value."""
    rows = [(name, _plain(value)) for name, value in document.items()]
    told = [(name, value) for name, value in rows if value]
    width = max(len(name) for name, _ in told)
    for name, value in told:
        first, *more = value.split("\n")
        yield f"{name:{width}}  {first}"
        yield from (f"{'':{width}}  {line}" for line in more)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_plain(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
