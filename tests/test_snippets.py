"""Every command and every example on every page is run, or the page says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import stand_ins
from tests.helpers.real_models import imported
from tests.helpers.snippets import (
    PAGES,
    ROOT,
    RUN,
    SHOWN,
    Session,
    Snippet,
    languages,
    missing_programs,
    shown,
    snippets,
)

FOUND = {page: list(snippets(page.read_text("utf-8"))) for page in PAGES}
RUNNING = [page for page in PAGES if any(not s.reason and not s.slow for s in FOUND[page])]
SLOW = [page for page in PAGES if any(not s.reason and s.slow for s in FOUND[page])]
TRANSLATORS = ("int8ref.translate", "int8ref.load", "int8ref.score", "int8ref.vectors", "en-pt")


def names(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run_page(folder: Path, chosen: list[Snippet]) -> None:
    """Run blocks in one folder, with the files that their reader has."""
    missing = missing_programs(chosen)
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    code = "\n".join(snippet.code for snippet in chosen)
    if any(name in code for name in TRANSLATORS):
        imported("en-pt")
    if "safe_open" in code:
        pytest.importorskip("safetensors", reason="an example reads a file with safetensors")
    stand_ins.make(folder, code)
    session = Session(folder)
    for snippet in chosen:
        session.run(snippet)


@pytest.mark.parametrize("page", RUNNING, ids=names)
def test_the_page_works_as_it_is_written(tmp_path: Path, page: Path) -> None:
    run_page(tmp_path, [s for s in FOUND[page] if not s.reason and not s.slow])


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW, ids=names)
def test_the_slow_parts_work_too(tmp_path: Path, page: Path) -> None:
    run_page(tmp_path, [s for s in FOUND[page] if not s.reason])


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_block_is_run_or_only_shown(page: Path) -> None:
    text = page.read_text("utf-8")
    assert languages(text) <= {*RUN, *SHOWN}
    assert [s.line for s in FOUND[page] if s.language == "console" and not s.steps] == []
    assert shown(text) == []


def test_the_specification_has_examples() -> None:
    found = {page for page in RUNNING if "specification" in page.parts}
    assert len({page.name[:2] for page in found if page.parent.name == "specification"}) >= 6
    assert len([page for page in found if page.parent.name == "06-operations"]) == 6


PAGE = """
<!-- not run: needs a disk of 5 TB -->

```sh
false
```

```console
$ echo one; echo two >&2
one
...
$ cd there && \\
  pwd
...there
```

<!-- needs: no-such-program -->
<!-- slow -->
```python
raise SystemExit(1)
```

```text
$ this is shown
```

<!-- not run from here: the rest changes the system -->
```sh
reboot
```

```python
>>> 1 / 0
```
"""


def test_marks_are_read() -> None:
    first, second, third, fourth, fifth = snippets(PAGE)
    assert first.reason == "needs a disk of 5 TB"
    assert second.steps == [
        ("echo one; echo two >&2", "one\n...\n"),
        ("cd there && \\\n  pwd", "...there\n"),
    ]
    assert (second.reason, second.slow, second.line) == ("", False, 8)
    assert (third.needs, third.slow) == (("no-such-program",), True)
    assert missing_programs([second, third]) == ["no-such-program"]
    assert fourth.reason == fifth.reason == "the rest changes the system"
    assert languages(PAGE) == {"sh", "console", "python", "text"}
    assert shown(PAGE) == ["$ this is shown"]


def test_a_session_keeps_its_folder_and_its_names(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    session = Session(tmp_path)
    session.run(list(snippets(PAGE))[1])
    session.run(Snippet("python", ">>> x = 3\n", 1))
    session.run(
        Snippet("python", ">>> x\n3\n>>> import os; os.path.basename(os.getcwd())\n'there'\n", 1)
    )


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("sh", "false\ntrue\n"),
        ("console", "$ echo one\ntwo\n"),
        ("console", "$ false\n"),
        ("python", "import sys; sys.exit(1)\n"),
        ("python", "import warnings; warnings.warn('no')\n"),
        ("python", ">>> 1 + 1\n3\n"),
    ],
)
def test_a_wrong_block_is_found(tmp_path: Path, language: str, code: str) -> None:
    with pytest.raises(AssertionError, match="line 7"):
        Session(tmp_path).run(Snippet(language, code, 7))
