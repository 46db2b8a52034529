"""Reading of text, before the conversion to ids."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sentencepiece", reason="the training recipe needs SentencePiece")

from training import prepare as preparing
from training.config import Data
from training.prepare import prepare, read_corpora, spread


@pytest.mark.parametrize("lowercase", [False, True])
def test_all_text_is_lower_cased_where_that_is_asked(tmp_path: Path, lowercase: bool) -> None:
    texts = {"source": "A Cat.\nTHE End\n", "target": "Die Straße.\nÄPFEL\n"}
    files = {}
    for split in ("train", "valid", "test"):
        for side, text in texts.items():
            name = f"{split}.{side}"
            (tmp_path / name).write_text(text, encoding="utf-8")
            files[f"{split}_{side}"] = (name,)
    corpora = read_corpora(Data(**files, lowercase=lowercase), tmp_path)
    found = {name: {side: list(lines) for side, lines in c.items()} for name, c in corpora.items()}
    wanted = {side: text.splitlines() for side, text in texts.items()}
    if lowercase:
        wanted = {"source": ["a cat.", "the end"], "target": ["die straße.", "äpfel"]}
    assert found == dict.fromkeys(("train", "valid", "test"), wanted)


def test_both_directions_hold_out_the_same_pairs(tmp_path: Path) -> None:
    for side in ("en", "ro"):
        lines = "".join(f"{side} {number}\n" for number in range(50))
        (tmp_path / side).write_text(lines, encoding="utf-8")
    data = Data(train_source=("en",), train_target=("ro",), held_out=(5, 10))
    there, back = read_corpora(data, tmp_path), read_corpora(replace(data, reverse=True), tmp_path)
    assert [len(list(there[split]["source"])) for split in there] == [35, 5, 10]
    for split in there:
        assert list(there[split]["source"]) == list(back[split]["target"])
        assert list(there[split]["target"]) == list(back[split]["source"])
        assert all(line.startswith("ro") for line in back[split]["source"])


def test_text_may_come_in_pieces(
    toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Data(
        train_source=("toy.source",),
        train_target=("toy.target",),
        valid_source=("toy.source",),
        valid_target=("toy.target",),
        test_source=("toy.source",),
        test_target=("toy.target",),
        vocabulary=40,
    )
    prepare(data, toy_root, tmp_path / "whole")
    monkeypatch.setattr(preparing, "LINES_AT_ONCE", 7)
    prepare(data, toy_root, tmp_path / "pieces")
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "pieces").iterdir())
    for name in names:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "pieces" / name).read_bytes()


def test_sides_of_different_length_are_refused(tmp_path: Path) -> None:
    (tmp_path / "long").write_text("a\nb\n", encoding="utf-8")
    (tmp_path / "short").write_text("a\n", encoding="utf-8")
    data = Data(train_source=("long",), train_target=("short",))
    with pytest.raises(ValueError, match="train: 2 source lines, but 1 target lines"):
        prepare(data, tmp_path, tmp_path / "data")
    assert not (tmp_path / "data" / "data.json").exists()


@given(
    st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=40),
    st.integers(min_value=0, max_value=50),
)
def test_chosen_lines_are_spread_evenly(lines: list[str], count: int) -> None:
    found, written = list(spread(lines, count)), [line for line in lines if line]
    if not count:
        assert found == lines
    elif count >= len(written):
        assert found == written
    else:
        assert found == [written[i * len(written) // count] for i in range(count)]
