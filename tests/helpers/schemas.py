"""JSON Schemas of the Program and of the documents of files, from the classes that read them.

`tests.helpers.pages` writes them to docs/specification/.  msgspec makes the types.  The ranges and
the meaning of operands come from their declarations.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from int8ref.files import model_file, shortlist, subword_file, tokenizer_file
from int8ref.golden import description
from int8ref.program.program import Program
from int8ref.reference import instructions
from int8ref.spec import arithmetic
from int8ref.spec.instruction import Instruction, operands_of
from int8ref.spec.operands import Constant
from tests.helpers import specification

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PROGRAM = "program.schema.json"
ROOTS: dict[str, tuple[str, Any]] = {
    PROGRAM: ("Program of a model file", Program),
    "document.schema.json": ("Document of a model file", model_file._Header),
    "shortlist.schema.json": ("Document of a shortlist", shortlist._Header),
    "tokenizers.schema.json": ("Tokenizer of the kind tokenizers", tokenizer_file.Document),
    "vectors-index.schema.json": ("index.json of a folder of vectors", description.Index),
    "vectors-desc.schema.json": ("desc.json of a folder of vectors", description.Description),
    "subword-nmt.schema.json": ("Tokenizer of the kind subword-nmt", subword_file.Document),
}
"""The title and the class of each file."""
VERSIONS = {
    "document.schema.json": {"format": model_file.FORMAT, "arithmetic": arithmetic.VERSION},
    "shortlist.schema.json": {"format": shortlist.FORMAT},
}


def schema(file: str) -> str:
    """Return the text of a schema."""
    title, kind = ROOTS[file]
    made: dict[str, Any] = msgspec.json.schema(kind)
    definitions = made["$defs"]
    for name, cls in ((c.__name__, c) for c in instructions().values()):
        if name in definitions:
            _describe(definitions[name], cls)
    if kind is not Program and "Program" in definitions:
        definitions = _without_program(definitions)
    for definition in definitions.values():
        definition.pop("title", None)
    for name, version in VERSIONS.get(file, {}).items():
        definitions["_Header"]["properties"][name] = {"const": version}
    head = {"$schema": DIALECT, "title": title, "$ref": made["$ref"]}
    return json.dumps(_portable(head | {"$defs": definitions}), indent=2) + "\n"


def _portable(content: Any) -> Any:
    """Replace the anchors of Python's regular expressions by anchors that every dialect has."""
    if isinstance(content, list):
        return [_portable(one) for one in content]
    if not isinstance(content, dict):
        return content
    found = {key: _portable(value) for key, value in content.items()}
    if isinstance(found.get("pattern"), str):
        found["pattern"] = found["pattern"].replace("\\A", "^").replace("\\Z", "$")
    return found


def _describe(definition: dict[str, Any], cls: type[Instruction]) -> None:
    """Add the declaration of each operand, and the limits of constants that are numbers."""
    limits = {n: x for n in dir(cls) if isinstance(x := getattr(cls, n), int)}
    for name, operand in operands_of(cls):
        field = definition["properties"][name]
        field["description"] = specification.operand(operand, cls)
        if not isinstance(operand, Constant):
            continue
        for bound, number in (("minimum", operand.low), ("maximum", operand.high)):
            known = number if isinstance(number, int) else limits.get(number.text)
            if known is not None:
                field[bound] = known
    definition.pop("description", None)


def _without_program(definitions: dict[str, Any]) -> dict[str, Any]:
    """Refer to the schema of the Program in place of a copy."""
    kept = {name: d for name, d in definitions.items() if name in ("_Header", *_own(definitions))}
    kept["Program"] = {"$ref": PROGRAM}
    return kept


def _own(definitions: dict[str, Any]) -> list[str]:
    """Return the names that the document needs, without the names that only the Program needs."""
    text = json.dumps(definitions["_Header"])
    return [name for name in definitions if f'"#/$defs/{name}"' in text and name != "Program"]
