"""Reading of text, before the conversion to ids."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sentencepiece", reason="the training recipe needs SentencePiece")

from training.config import Data
from training.prepare import read_corpora


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
