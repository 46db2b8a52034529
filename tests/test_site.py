"""The documentation site: it builds without a warning, and works without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import int8ref
from tests.helpers.commands import PARSERS
from tests.helpers.processes import TIMEOUT
from tests.helpers.snippets import PAGES, ROOT

pytest.importorskip("sphinx", reason="needs the extra docs")
stemmer = pytest.importorskip("snowballstemmer", reason="needs the extra docs").stemmer

LINKS = {"a": "href", "img": "src", "link": "href", "script": "src"}
LOADED = ("img", "link", "script")


class Links(HTMLParser):
    """The links and the ids of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.ids.add(given.get("id") or "")
        link = given.get(LINKS.get(tag, ""))
        if link and not link.startswith("data:"):
            self.links.append((tag, link))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once for all tests."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-E"]
    done = subprocess.run(
        [*command, "-c", "docs", "-d", str(folder / "doctrees"), ".", str(folder / "html")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder / "html"


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Links]:
    return {path: Links(path.read_text("utf-8")) for path in site.rglob("*.html")}


def test_every_page_is_in_the_site(site: Path) -> None:
    expected = {page.relative_to(ROOT).with_suffix(".html") for page in PAGES}
    built = {path.relative_to(site) for path in site.rglob("*.html")}
    assert expected - built == {Path("README.html")}  # docs/index.md takes its place


def test_links_lead_somewhere(site: Path, pages: dict[Path, Links]) -> None:
    """Links within the site, with their anchors.  The search page has its own."""
    missing = []
    for path, found in pages.items():
        for _, link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].ids if target in pages else set()
            if not target.exists() or (
                parts.fragment and target in pages and unquote(parts.fragment) not in anchors
            ):
                missing.append((str(path.relative_to(site)), link))
    assert missing == []


def test_nothing_is_loaded_from_a_network(site: Path, pages: dict[Path, Links]) -> None:
    loaded = {link for found in pages.values() for tag, link in found.links if tag in LOADED}
    assert [link for link in loaded if urlsplit(link).netloc] == []
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)]+", styles) == []


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("beam search", "docs/reference/glossary"),
        ("SQNR", "docs/reference/glossary"),
        ("requantization", "docs/explanation/scales"),
        ("per-channel quantization", "docs/explanation/scales"),
        ("golden model", "docs/reference/glossary"),
        ("shortlist", "docs/command-line"),
        ("testbench", "docs/how-to/testbench"),
    ],
)
def test_the_search_finds(site: Path, word: str, page: str) -> None:
    """The index of the search is a script, so that it works from a disk."""
    text = (site / "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").rstrip().removesuffix(")"))
    number = index["docnames"].index(page)
    stem = stemmer("english").stemWord
    for part in map(stem, re.findall(r"\w+", word.lower())):
        found = [index[kind].get(part, []) for kind in ("titleterms", "terms")]
        assert any(number in (f if isinstance(f, list) else [f]) for f in found), part


def test_every_command_and_public_name_is_described(site: Path) -> None:
    text = (site / "docs" / "reference" / "commands.html").read_text("utf-8")
    assert set(PARSERS) <= set(re.findall(r"<h2>([\w.]+)<", text))
    assert text.count("--help") >= len(PARSERS)
    described = Links((site / "docs" / "reference" / "python.html").read_text("utf-8")).ids
    assert {f"int8ref.{name}" for name in int8ref.__all__} <= described


def test_columns_of_docstrings_are_lists(site: Path) -> None:
    text = (site / "docs" / "reference" / "python.html").read_text("utf-8")
    for name in ("beam_size", "log_probability", "ModelFileError"):
        assert re.search(rf'<dt><code[^>]*><span class="pre">{name}</span>', text), name
    assert re.search(r"<pre>.*gnmt    log_probability / \(\(5 \+ n\)", text, re.S)


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_search_page_works_from_a_disk(site: Path, tmp_path: Path) -> None:
    """A browser without a network opens the search page as a file."""
    page = f"{(site / 'search.html').as_uri()}?q=requantization"
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    dumped = ["--virtual-time-budget=20000", "--dump-dom", page]
    done = subprocess.run(
        [str(CHROMIUM), *options, *dumped],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    assert re.search(r"found \d+ pages", done.stdout)
    assert "docs/explanation/scales.html" in done.stdout
