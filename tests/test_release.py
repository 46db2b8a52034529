"""The metadata of a release: the README, the addresses, the citation."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import yaml

from tests.helpers.snippets import ROOT

pytest.importorskip("hatchling", reason="needs the extra test")

from hatch_build import Release, absolute

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def made(monkeypatch: pytest.MonkeyPatch, address: str | None) -> dict[str, Any]:
    """Return the metadata that a build adds."""
    monkeypatch.delenv("INT8REF_URL", raising=False)
    if address is not None:
        monkeypatch.setenv("INT8REF_URL", address)
    metadata: dict[str, Any] = {}
    Release(str(ROOT), {}).update(metadata)
    return metadata


def test_without_an_address_nothing_is_invented(monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = made(monkeypatch, None)
    assert metadata["readme"]["text"] == (ROOT / "README.md").read_text("utf-8")
    assert set(metadata) == {"readme"}
    assert PROJECT["dynamic"] == ["readme", "urls"]


def test_with_an_address_all_links_are_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = made(monkeypatch, "https://example.org/int8ref/")
    text = metadata["readme"]["text"]
    assert "](https://example.org/int8ref/docs/figures/overview.svg)" in text
    assert "](docs/" not in text
    assert "](CONTRIBUTING.md)" not in text
    for page in metadata["urls"].values():
        assert (ROOT / page.removeprefix("https://example.org/int8ref/")).exists()


def test_only_relative_links_change() -> None:
    text = "[a](b.md#c) [d](https://e.org/f) [g](#h) ![i](j/k.svg) `[l]`"
    changed = absolute(text, "https://x.org")
    assert changed == (
        "[a](https://x.org/b.md#c) [d](https://e.org/f) [g](#h) ![i](https://x.org/j/k.svg) `[l]`"
    )


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert {"title", "authors", "message"} <= set(citation)
