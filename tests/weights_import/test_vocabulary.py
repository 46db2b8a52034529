"""SentencePiece models with the ids of a vocabulary: equal pieces, other ids."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import sentencepiece
import tiny_training
from hypothesis import given, settings
from hypothesis import strategies as st

from weights_import.float_model import CheckpointError
from weights_import.sources.tokenizers import tokenizers_in
from weights_import.sources.vocabulary import renumbered

Processor = sentencepiece.SentencePieceProcessor
SPM = tiny_training.tokenizer()
PLAIN = Processor(model_proto=SPM)
MARKS = ("<pad>", "<s>")  # pieces that a vocabulary of Marian lacks
PIECES = [p for p in map(PLAIN.id_to_piece, range(PLAIN.vocab_size())) if p not in MARKS]
TEXTS = st.text(st.sampled_from("the cat sdogiunlrfw .,?;aATW"), max_size=40)


def numbered(pieces: list[str]) -> dict[str, int]:
    return {piece: i for i, piece in enumerate(pieces)}


@settings(deadline=None)
@given(st.permutations([*PIECES, "▁Haus", ">>fra<<"]), TEXTS)
def test_the_same_pieces_with_the_ids_of_the_list(order: list[str], text: str) -> None:
    made = Processor(model_proto=renumbered(SPM, numbered(order)))
    assert (made.eos_id(), made.unk_id()) == (order.index("</s>"), order.index("<unk>"))
    assert made.vocab_size() == len(order)
    ids = made.encode(text)
    assert [order[i] for i in ids] == [PLAIN.id_to_piece(i) for i in PLAIN.encode(text)]
    assert made.decode(ids) == PLAIN.decode(PLAIN.encode(text))


def test_a_language_mark_is_one_piece_at_the_beginning() -> None:
    order = [*PIECES, ">>fra<<", ">>por_Latn<<"]
    made = Processor(model_proto=renumbered(SPM, numbered(order)))
    cat = made.encode("the cat")
    assert made.encode(">>fra<< the cat") == [order.index(">>fra<<"), *cat]
    assert made.encode(">>por_Latn<< the cat") == [order.index(">>por_Latn<<"), *cat]


def test_pieces_of_the_other_language_are_decoded_and_never_chosen() -> None:
    order = [*PIECES, "▁the▁cat"]
    made = Processor(model_proto=renumbered(SPM, numbered(order)))
    assert order.index("▁the▁cat") not in made.encode("the cat sat")
    assert made.decode([order.index("▁the▁cat")]) == "the cat"


def test_pieces_that_are_not_listed_are_cut_into_others() -> None:
    long = max((piece for piece in PIECES if piece.strip("▁").isalpha()), key=len)
    made = Processor(model_proto=renumbered(SPM, numbered([p for p in PIECES if p != long])))
    text = long.replace("▁", " ").strip()
    assert made.decode(made.encode(text)) == text


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        ({"</s>": 0, "<unk>": 2}, "the ids are not 0 to 1"),
        ({"</s>": 0, "<unk>": 0}, "the ids are not 0 to 1"),
        ({"</s>": 0, "a": 1}, "no <unk>"),
        ({"a": 0}, "no </s> and no <unk>"),
    ],
)
def test_lists_that_are_refused(vocabulary: dict[str, int], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        renumbered(SPM, vocabulary)


@settings(deadline=None)
@given(st.data())
def test_a_damaged_model_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(SPM)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    with contextlib.suppress(CheckpointError):
        renumbered(bytes(content[:cut]), numbered(PIECES))


def yaml_of(pieces: list[str]) -> str:
    return "".join(f"{json.dumps(piece)}: {i}\n" for i, piece in enumerate(pieces))


def test_files_beside_a_checkpoint(tmp_path: Path) -> None:
    """One list for both sides, or one list for each side, in Marian's YAML or in JSON."""
    for side in ("source", "target"):
        (tmp_path / f"{side}.spm").write_bytes(SPM)
    assert tokenizers_in(tmp_path) == {"source": SPM, "target": SPM}
    backwards = PIECES[::-1]
    expected = renumbered(SPM, numbered(PIECES))
    other = renumbered(SPM, numbered(backwards))
    both = tmp_path / "opus.spm32k-spm32k.vocab.yml"
    both.write_text(yaml_of(PIECES))
    assert tokenizers_in(tmp_path) == {"source": expected, "target": expected}
    both.rename(tmp_path / "source.vocab.yml")
    (tmp_path / "target.vocab.yml").write_text(yaml_of(backwards))
    assert tokenizers_in(tmp_path) == {"source": expected, "target": other}
    for path in tmp_path.glob("*.yml"):
        path.unlink()
    (tmp_path / "vocab.json").write_text(json.dumps(numbered([*PIECES, "<pad>"])))
    found = tokenizers_in(tmp_path, leave_out=("<pad>",))
    assert found == {"source": expected, "target": expected}


def test_names_are_names_in_yaml(tmp_path: Path) -> None:
    """A name without quotes that YAML would read as another type."""
    (tmp_path / "vocab.spm").write_bytes(SPM)
    (tmp_path / "vocab.yml").write_text(yaml_of(PIECES) + f"no: {len(PIECES)}\n")
    made = Processor(model_proto=tokenizers_in(tmp_path)["source"])
    assert made.id_to_piece(len(PIECES)) == "no"


@pytest.mark.parametrize("text", ["", "- a", "a: [", "a: x", "a: {b: 1}", "a: 1\n? [b]\n: 2"])
def test_what_is_no_list(text: str, tmp_path: Path) -> None:
    (tmp_path / "vocab.spm").write_bytes(SPM)
    (tmp_path / "vocab.yml").write_text(text)
    with pytest.raises(CheckpointError, match=r"vocab\.spm with vocab\.yml"):
        tokenizers_in(tmp_path)


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
    for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.json", '{"a": 1.5}', "an id is of type float"),
        ("vocab.json", '{"a": true}', "an id is of type bool"),
        ("vocab.json", '{"a": 1e400}', "an id is of type float"),
        ("vocab.json", '{"\\ud800": 0, "</s>": 1, "<unk>": 2}', "half a surrogate pair"),
        ("vocab.yml", LAUGHS, "an id is of type list"),
        ("vocab.yml", "a: 0\0", "ReaderError: unacceptable character"),
    ],
)
def test_lists_that_are_none(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.spm").write_bytes(SPM)
    (tmp_path / name).write_text(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        tokenizers_in(tmp_path)
    assert f"x.spm with {name}" in str(caught.value)
    assert len(str(caught.value)) < 1000
