"""The languages of a model: as the user gives them, or from other sources."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_marian

from int8ref.errors import UserError
from int8ref.files.model_file import load
from weights_import.__main__ import languages_of, main
from weights_import.arguments import parser

Errors = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "languages",
    ["", "en-fr_", "english-portuguese", "en-pt-de", "-", "en-", "en-p", "en_pt_de", "1-2"],
)
@pytest.mark.usefixtures("unread")
def test_languages_of_another_form(marian: Path, languages: str, capsys: Errors) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(marian), "-o", str(marian / "y"), f"--languages={languages}"])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "argument --languages: " in told
    assert "such as en-pt" in told


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("en-pt", ("en", "pt")),
        ("en-pt_BR", ("en", "pt-BR")),
        ("en-pt-BR", ("en", "pt-BR")),
        ("pt_br-en", ("pt-BR", "en")),
        ("zh_hans", ("zh-Hans",)),
        ("zh-Hans", ("zh-Hans",)),
        ("en-zh-hant-TW", ("en", "zh-Hant-TW")),
        ("eng_Latn-por_Latn", ("eng-Latn", "por-Latn")),
        ("es-419", ("es-419",)),
        ("ca_valencia-sl_rozaj", ("ca-valencia", "sl-rozaj")),
        ("de-1996", ("de-1996",)),
        ("fil-en", ("fil", "en")),
        ("en", ("en",)),
        ("EN-PT", ("en", "pt")),
        ("pt-br", ("pt", "br")),
    ],
)
def test_codes_of_languages(text: str, codes: tuple[str, ...]) -> None:
    found = parser().parse_args(["x", "-o", "y", f"--languages={text}"]).languages
    assert found == codes


def test_languages_that_a_model_file_holds(training: list[str], tmp_path: Path) -> None:
    """The calibration text of the package depends on the language without its region."""
    output = tmp_path / "en-pt_BR.safetensors"
    arguments = [training[0], "-q", "-o", str(output)]
    assert main([*arguments, "--languages", "en_GB-zh_hans"]) == 0
    assert load(output).languages == ("en-GB", "zh-Hans")


def test_which_languages() -> None:
    model = tiny_marian.random_model(0)
    assert languages_of(model, ("en", "pt"), "de-en") == ("en", "pt")
    assert languages_of(model, None, "de-en") == ("de", "en")
    assert languages_of(model, None, "my-model") == ("und", "und")
    assert languages_of(model, None, "my-new-model") == ("und", "und")
    assert languages_of(model, None, "en-pt_BR") == ("en", "pt-BR")
    with pytest.raises(UserError, match=r"--languages fr: .*en-pt"):
        languages_of(model, ("fr",), "de-en")
    model.languages = "cs", "sk"
    assert languages_of(model, None, "de-en") == ("cs", "sk")
    alone = tiny_marian.random_model(0, encoder_layers=0, source_vocabulary=0)
    assert languages_of(alone, ("en",), "x") == ("en", "en")
