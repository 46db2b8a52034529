"""The readers of mBART, M2M100, NLLB, Pegasus and FSMT: equal to transformers; languages."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tiny_seq2seq as tiny
from damage import FUZZ, damage
from decoder_checks import integer_loss
from hypothesis import given
from hypothesis import strategies as st
from log_probabilities import log_probabilities

from int8ref.errors import UserError
from int8ref.program.languages import Languages, TargetLanguage
from int8ref.program.program import SourceFrame
from weights_import import sources
from weights_import.calibrate import calibration, tokenize
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.language_choice import chosen, spoken
from weights_import.processor import reader
from weights_import.sources.vocabulary import Piece, byte_pairs

EOS = 2
EN, PT, FR = (tiny.FAIRSEQ + i for i in range(3))
SOURCES = {
    "mbart-50": [EN, 5, 6, 7, 4, EOS], "mbart-cc25": [5, 6, 7, 4, EOS, PT],
    "m2m100": [EN, 5, 6, 7, 4, EOS], "nllb": [EN, 5, 6, 7, 4, EOS],
    "pegasus": [8, 9, 10, 12, 1], "fsmt": [5, 6, 7, 14, EOS],
}  # fmt: skip
TARGETS = {
    "mbart-50": [FR, 5, 9, 6, 3], "mbart-cc25": [5, 9, 6, 3], "m2m100": [FR, 5, 9, 6, 3],
    "nllb": [FR, 5, 9, 6, 3], "pegasus": [8, 9, 13, 7], "fsmt": [5, 9, 6, 12],
}  # fmt: skip
# log P of each token of the target and of the end, by transformers 5.24.0 in float32.
SCORES = {
    "mbart-50": [-3.06202, -2.95199, -3.07062, -3.3401, -5.04539, -2.84289],
    "mbart-cc25": [-1.47677, -2.92562, -3.11863, -3.58898, -4.10466],
    "m2m100": [-5.00354, -3.4366, -4.05756, -5.13801, -3.69893, -4.48124],
    "nllb": [-4.13653, -3.57675, -4.31999, -4.93848, -2.51162, -2.62728],
    "pegasus": [-2.87057, -4.2333, -3.5076, -6.31907, -2.89626],
    "fsmt": [-5.2301, -3.1098, -3.09815, -2.3715, -2.10269],
}
MANY = ("mbart-50", "mbart-cc25", "m2m100", "nllb")
NAMES = {"mbart-50": "en_XX", "mbart-cc25": "en", "m2m100": "en", "nllb": "eng_Latn"}


def languages_of(model: FloatModel) -> Languages:
    assert model.generation.languages is not None
    return model.generation.languages


@pytest.mark.parametrize("kind", tiny.CONFIGS)
def test_log_probabilities_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, kind))
    found = log_probabilities(model, SOURCES[kind], TARGETS[kind])
    np.testing.assert_allclose(found, SCORES[kind], atol=2e-5)


@pytest.mark.parametrize("kind", tiny.CONFIGS)
def test_log_probabilities_of_an_installed_transformers(kind: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the reference of transformers needs torch")
    transformers = pytest.importorskip("transformers", reason="it is the reference")
    model = sources.read(tiny.write(tmp_path, kind))
    other = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path, dtype=torch.float32)
    path = [*TARGETS[kind], model.generation.eos]
    with torch.no_grad():
        logits = other.eval()(
            input_ids=torch.tensor([SOURCES[kind]]),
            decoder_input_ids=torch.tensor([[model.generation.start, *path[:-1]]]),
            use_cache=False,
        ).logits[0]
    wanted = logits.log_softmax(-1).numpy()[range(len(path)), path]
    found = log_probabilities(model, SOURCES[kind], TARGETS[kind])
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("kind", tiny.CONFIGS)
def test_in_integers(kind: str, tmp_path: Path) -> None:
    """The loss changes by less than 0.025 nats a token, on other texts than it has seen.

    The Kullback-Leibler divergence is below 0.01 nats.
    """
    path = tiny.write(tmp_path, kind)
    model = spoken(sources.read(path), path, NAMES.get(kind), None)
    random = np.random.default_rng(5)
    lengths = random.integers(2, 9, 120)
    own = [random.integers(4, 13, length).tolist() for length in lengths]
    text = calibration(model, [model.generation.frame.around(ids) for ids in own])
    most = [target[:20] for target in text.targets]
    pairs = list(zip(text.sources, most, strict=True))
    assert integer_loss(model, pairs[:80], pairs[80:]) < 0.025


def test_where_the_tokens_of_languages_stand(tmp_path: Path) -> None:
    found = languages_of(sources.read(tiny.write(tmp_path / "nllb", "nllb")))
    assert found.sources["eng_Latn"] == SourceFrame((EN,), (EOS,))
    assert found.targets["fra_Latn"] == TargetLanguage(target=(FR,))
    path = tiny.write(tmp_path / "m2m100", "m2m100")
    assert list(languages_of(sources.read(path)).sources) == ["en", "pt", "fr"]
    told = path.with_name("tokenizer_config.json")
    told.write_text(json.dumps({"legacy_behaviour": True}))
    assert languages_of(sources.read(path)).sources["en"] == SourceFrame((), (EOS, EN))
    told.write_text(json.dumps({"tokenizer_class": "SMALL100Tokenizer"}))
    found = languages_of(sources.read(path))
    assert (found.sources, found.targets["pt"]) == ({}, TargetLanguage(source=(PT,)))


def test_where_the_tokens_of_mbart_stand(tmp_path: Path) -> None:
    found = languages_of(sources.read(tiny.write(tmp_path, "mbart-50", forced_bos_token_id=EN)))
    assert found.sources["pt_XX"] == SourceFrame((FR,), (EOS,))
    assert found.target == "en_XX"
    model = sources.read(tiny.write(tmp_path, "mbart-cc25"))
    found = languages_of(model)
    assert found.sources["en_XX"] == SourceFrame((), (EOS, PT))
    assert (found.target, found.targets) == ("ro_RO", {"ro_RO": TargetLanguage()})
    assert model.generation.start == FR
    path = tiny.write(tmp_path, "mbart-cc25", decoder_start_token_id=None)
    model = sources.read(path)
    assert model.starts == {"ar_AR": EN, "en_XX": PT, "ro_RO": FR}
    with pytest.raises(CheckpointError, match="by --target-language, one of ar_AR, en_XX, ro_RO"):
        spoken(model, path, "en", None)
    made = spoken(model, path, "en", "ar")
    assert (made.generation.start, languages_of(made).targets) == (EN, {"ar_AR": TargetLanguage()})


def test_default_languages_of_an_import(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "nllb")
    model = sources.read(path)
    with pytest.raises(CheckpointError, match="--source-language, one of eng_Latn, fra_Latn, por"):
        spoken(model, path, None, "por")
    with pytest.raises(UserError, match="no language 'pt' of the target: the closest of 3 are"):
        spoken(model, path, "eng", "pt")
    made = spoken(model, path, "eng", "por_Latn")
    assert (languages_of(made).source, languages_of(made).target) == ("eng_Latn", "por_Latn")
    assert chosen(made) == ("eng-Latn", "por-Latn")
    assert chosen(spoken(model, path, "por", None)) == ("por-Latn", "mul")
    path = tiny.write(tmp_path / "pegasus", "pegasus")
    with pytest.raises(UserError, match=r"--source-language en: model.* has one pair of languages"):
        spoken(sources.read(path), path, "en", None)


def test_a_calibration_is_into_the_default_language_or_into_each_in_turn(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "m2m100")
    model = sources.read(path)
    for target, first in ((None, [EN, PT, FR, EN]), ("fr", [FR] * 4)):
        made = spoken(model, path, "en", target)
        found = calibration(made, ["ab", "ch a", "b", "bad"])
        assert [ids[0] for ids in found.targets] == first
        assert all(ids[0] == EN for ids in found.sources)


@pytest.mark.parametrize("kind", [*MANY, "pegasus"])
def test_no_text_has_the_tokens_of_languages(kind: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, kind))
    special = tiny.LANGUAGES.get(kind, ["<unk_2>"])
    read = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizers["target"])
    named = [read.id_to_piece(i) for i in read.encode(f"ab {special[0]} ch<pad><s></s><unused20>")]
    assert set(named) <= {"<unk>", *tiny.PIECES}
    controls = [i for i in range(read.vocab_size()) if read.is_control(i)]
    assert {read.id_to_piece(i) for i in controls} >= {
        "<pad>",
        "</s>",
        *tiny.LANGUAGES.get(kind, []),
    }
    assert read.decode([controls[-1], *read.encode("ab ch"), *controls]) == "ab ch"
    assert read.vocab_size() == model.generation.target_vocabulary
    assert (read.eos_id(), read.unk_id()) == (model.generation.eos, model.generation.unk)


def test_the_ids_of_pieces(tmp_path: Path) -> None:
    """The ids are those of the tokenizers of transformers."""
    model = sources.read(tiny.write(tmp_path / "nllb", "nllb"))
    assert tokenize(spoken(model, tmp_path, "eng", None), ["ab"])[0][0] == EN
    read = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizers["source"])
    assert read.id_to_piece(4) == tiny.PIECES[0]
    model = sources.read(tiny.write(tmp_path / "m2m100", "m2m100"))
    read = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizers["source"])
    assert read.id_to_piece(4) == tiny.PIECES[-1]
    model = sources.read(tiny.write(tmp_path / "pegasus", "pegasus"))
    read = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizers["source"])
    assert read.id_to_piece(tiny.OFFSET + 3) == tiny.PIECES[0]
    assert model.generation.unk == tiny.OFFSET + 2


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("nllb", {"activation_function": "tanh"}, "activation_function"),
        ("nllb", {"vocab_size": 21}, "wrong shape source_embedding [22, 16], expected [21, 16]"),
        ("nllb", {"vocab_size": 18}, "token 'por_Latn' is 18, of 18 embeddings"),
        ("nllb", {"encoder_layers": 2}, "missing encoder.1.self.query.weight"),
        ("nllb", {"max_position_embeddings": 0}, "max_position_embeddings"),
        ("mbart-50", {"max_position_embeddings": 39}, "wrong shape positions [40, 16]"),
        ("mbart-50", {"normalize_embedding": "no"}, ""),
        ("pegasus", {"static_position_embeddings": False}, "static_position_embeddings"),
        ("pegasus", {"eos_token_id": 2}, ""),
        ("fsmt", {"src_vocab_size": 14}, "wrong shape source_embedding [15, 16]"),
        ("fsmt", {"tgt_vocab_size": None}, "tgt_vocab_size"),
        ("fsmt", {"length_penalty": 11}, "length_penalty"),
    ],
)
def test_what_is_refused(kind: str, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, kind, **changes)
    if not message:
        sources.read(path)
        return
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", tiny.CONFIGS)
def test_code_of_a_configuration_is_not_run(kind: str, tmp_path: Path) -> None:
    (tmp_path / "modeling_x.py").write_text("raise SystemExit(9)\n")
    wanted = sources.read(tiny.write(tmp_path, kind))
    code = {"auto_map": {"AutoModelForSeq2SeqLM": "modeling_x.Y"}, "extra_depth": 2}
    found = sources.read(tiny.write(tmp_path, kind, **code))
    assert found.program == wanted.program
    assert wanted.warnings == []
    (said,) = found.warnings
    assert "names code of its own (auto_map), which is not run, and fields" in said
    assert "'extra_depth'" in said


def test_files_of_tokenizers_that_are_refused(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "m2m100")
    (tmp_path / "special_tokens_map.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"no tokens of languages in added_tok.*, token"):
        sources.read(path)
    (tmp_path / "added_tokens.json").write_text('{"__en__": 17, "__pt__": 17}')
    with pytest.raises(CheckpointError, match="two tokens are 17: '__en__', '__pt__'"):
        sources.read(path)
    (tmp_path / "added_tokens.json").write_text('{"__en__": 17, "<term>": 18}')
    with pytest.raises(CheckpointError, match=r"1 tokens were added to the tokenizer \('<term>'"):
        sources.read(path)
    (tmp_path / "added_tokens.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"added_tokens\.json: not a JSON object"):
        sources.read(path)
    (tmp_path / "added_tokens.json").unlink()
    tiny.write_tokenizer(tmp_path, "m2m100")
    (tmp_path / "sentencepiece.bpe.model").unlink()
    assert sources.read(path).tokenizers == {}
    path = tiny.write(tmp_path / "pegasus", "pegasus")
    (path.parent / "tokenizer_config.json").write_text('{"offset": 103}')
    with pytest.raises(CheckpointError, match="the offset is 103, not from 0 to 20"):
        sources.read(path)


# "ab  ch<unk>" cut by transformers 5.24.0: the pieces of texts, without the marks around them.
LIBRARY_IDS = {kind: [4, 15, 4, 16, 3] for kind in MANY} | {"pegasus": [8, 19, 8, 20, 7]}


@pytest.mark.parametrize("kind", [*MANY, "pegasus"])
def test_a_tokenizer_json_alone(kind: str, tmp_path: Path) -> None:
    """transformers 5 saves no SentencePiece model."""
    pytest.importorskip("tokenizers", reason="it cuts the texts")
    path = tiny.write(tmp_path, kind)
    tiny.write_library(tmp_path, kind)
    model = sources.read(path)
    assert tmp_path / "tokenizer.json" in sources.files(path)
    made = reader(model.tokenizers["source"])
    assert model.tokenizers["source"] == model.tokenizers["target"]
    assert made.encode("ab  ch<unk>") == LIBRARY_IDS[kind]
    assert made.size == model.generation.source_vocabulary
    assert model.generation.unk == LIBRARY_IDS[kind][-1]
    if kind in MANY:
        codes = [token.strip("_") for token in tiny.LANGUAGES[kind]]
        assert list(languages_of(model).sources) == codes
        first = spoken(model, path, NAMES[kind], "ro_RO" if kind == "mbart-cc25" else None)
        frame = first.generation.frame
        assert tokenize(first, ["ab"]) == [frame.around(LIBRARY_IDS[kind][:2])]
    special = [model.generation.eos, *([EN] if kind in MANY else [])]
    assert made.text([*LIBRARY_IDS[kind], *special]) == "ab ch"


@pytest.mark.parametrize("kind", [*MANY, "pegasus"])
def test_a_tokenizer_json_of_an_installed_transformers(kind: str, tmp_path: Path) -> None:
    """The class of transformers makes the file from a SentencePiece model."""
    transformers = pytest.importorskip("transformers", reason="it is the reference")
    pytest.importorskip("tokenizers", reason="it cuts the texts")
    if kind == "m2m100":
        pytest.skip("transformers has no tokenizer.json of M2M100")
    name = {"mbart-50": "MBart50", "mbart-cc25": "MBart", "nllb": "Nllb", "pegasus": "Pegasus"}
    made = tmp_path / "made"
    made.mkdir()
    tiny.write_tokenizer(made, kind)
    (made / "tokenizer_config.json").unlink(missing_ok=True)
    more = {"offset": tiny.OFFSET} if kind == "pegasus" else {}
    if kind == "nllb":
        more = {"extra_special_tokens": tiny.NLLB}
        scores = {p: Piece(-float(i)) for i, p in enumerate(("<unk>", "<s>", "</s>", *tiny.PIECES))}
        model = byte_pairs(scores, "<unk>", "<s>", "</s>")
        (made / "sentencepiece.bpe.model").write_bytes(model)
    other = getattr(transformers, f"{name[kind]}Tokenizer").from_pretrained(made, **more)
    size = len(other) + 2
    there = tmp_path / "there"
    tensors = tiny.tensors(kind)
    words = "model.shared.weight"
    tensors[words] = tensors[words][[i % tiny.CONFIGS[kind]["vocab_size"] for i in range(size)]]
    tensors.pop("final_logits_bias", None)
    path = tiny.write(there, kind, tensors, vocab_size=size, decoder_start_token_id=2)
    for file in there.iterdir():
        if file.name not in ("config.json", path.name):
            file.unlink()
    other.save_pretrained(there)
    model = sources.read(path)
    found = reader(model.tokenizers["target"])
    for line in ("ab ch", "a  b", "hag <unk> d!", "</s>x", "b<mask>b"):
        wanted = other.encode(line, add_special_tokens=False)
        assert found.encode(line) == wanted


@FUZZ
@given(data=st.data())
@pytest.mark.parametrize("kind", ["mbart-50", "pegasus"])
def test_damage_of_a_tokenizer_json_is_read_or_refused(
    kind: str, tmp_path: Path, data: st.DataObject
) -> None:
    path = tiny.write(tmp_path, kind)
    tiny.write_library(tmp_path, kind)
    damage(data, [tmp_path / "tokenizer.json"], 4000)
    with contextlib.suppress(CheckpointError):
        sources.read(path)


@FUZZ
@given(data=st.data())
@pytest.mark.parametrize("kind", ["mbart-50", "m2m100", "pegasus"])
def test_damage_is_read_or_refused(kind: str, tmp_path: Path, data: st.DataObject) -> None:
    path = tiny.write(tmp_path, kind)
    files = sorted(set(tmp_path.iterdir()) - {path})
    damage(data, [path, *files], 4000)
    with contextlib.suppress(CheckpointError):
        sources.read(path)
