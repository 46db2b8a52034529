"""The stored schemas come from the code, and agree with the readers about Programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from int8ref.files import embedded
from int8ref.program.program import decode, encode
from int8ref.spec.scope import ProgramError
from tests.helpers.encoders import build_encoder
from tests.helpers.many_languages import speaking
from tests.helpers.models import build_tiny_model
from tests.helpers.schemas import PROGRAM, ROOTS, schema

SPECIFICATION = Path(__file__).parents[2] / "docs" / "specification"


def stored(name: str) -> Any:
    return json.loads((SPECIFICATION / name).read_text("utf-8"))


def programs() -> list[dict[str, Any]]:
    """Return Programs of all kinds, as JSON."""
    models = [build_tiny_model(2), build_tiny_model(4, "decoder"), speaking(), build_encoder()]
    return [json.loads(encode(model.program)) for model in models]


@pytest.mark.parametrize("name", sorted(ROOTS))
def test_schemas_are_as_the_code_says(name: str) -> None:
    """`python -m tests.helpers.pages` writes them."""
    assert (SPECIFICATION / name).read_text("utf-8") == schema(name)


def test_every_instruction_and_field_is_described() -> None:
    definitions = stored(PROGRAM)["$defs"]
    found = {
        d["properties"]["op"]["enum"][0]
        for d in definitions.values()
        if "op" in d.get("properties", {})
    }
    assert len(found) == len(definitions["Program"]["properties"]["encoder"]["items"]["anyOf"])
    for definition in definitions.values():
        for field, told in definition.get("properties", {}).items():
            if "op" in definition["properties"] and field != "op":
                assert told["description"].split(",")[0] in (
                    "value", "tensor", "result", "constant"
                ), field  # fmt: skip


def test_programs_agree_with_their_schema() -> None:
    validator = checker()
    for program in programs():
        assert list(validator.iter_errors(program)) == []


CHANGES: list[tuple[str, Any]] = [
    ("unknown", 1),
    ("eos", "3"),
    ("states", None),
    ("source_frame", None),
    ("source_frame", {"around": []}),
    ("more_eos", 7),
    ("languages", {}),
    ("encoder", [{"op": "convolve"}]),
    ("encoder", [{"op": "argmax", "x": "a"}]),
    ("encoder", [{"op": "argmax", "x": "a", "out": 3}]),
    ("encoder", [{"op": "lookup", "x": "a", "table": "b", "blocks": None, "out": "c"}]),
]


@pytest.mark.parametrize(("field", "content"), CHANGES)
def test_the_schema_refuses_what_the_reader_refuses(field: str, content: Any) -> None:
    changed = programs()[0] | {field: content}
    with pytest.raises(ProgramError):
        decode(json.dumps(changed))
    assert list(checker().iter_errors(changed)) != []


def test_the_schema_knows_ranges_of_constants() -> None:
    """The reader checks ranges later, in `validate`."""
    fields = {"op": "narrow", "x": "a", "multiplier": "m", "shift": "s", "out": "b"}
    add = {"op": "normalize", "x": "a", "length": 32768, "out": "b"}
    program = programs()[0]
    assert list(checker().iter_errors(program | {"encoder": [fields]})) == []
    assert list(checker().iter_errors(program | {"encoder": [add]})) != []


def test_a_document_agrees_with_its_schema() -> None:
    path = embedded.path("en-de-tatoeba")
    assert path is not None
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    document = json.loads(header["__metadata__"]["int8ref"])
    validator = checker("document.schema.json")
    assert list(validator.iter_errors(document)) == []
    for field in document:
        assert list(validator.iter_errors({k: v for k, v in document.items() if k != field}))
    assert list(validator.iter_errors(document | {"arithmetic": document["arithmetic"] + 1}))


def checker(name: str = PROGRAM) -> Any:
    """Return a validator of a stored schema.  Skips without the package jsonschema."""
    jsonschema = pytest.importorskip("jsonschema", reason="checks JSON against schemas")
    referencing = pytest.importorskip("referencing")
    resources = [(file, referencing.Resource.from_contents(stored(file))) for file in ROOTS]
    registry = referencing.Registry().with_resources(resources)
    return jsonschema.Draft202012Validator(stored(name), registry=registry)
