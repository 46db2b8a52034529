"""Models of many languages from the checkpoint to the command line, in real processes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_seq2seq as tiny

import int8ref
from int8ref.files.model_file import load
from weights_import.__main__ import main

TEXT = "ab ch\nbad a\ncab\nab ab\nhad ch\n" * 20
LINES = ["ab ch a", "bad", "", "cab ab had"]
CODES = {"nllb": ("eng_Latn", "por_Latn", "fra_Latn"), "m2m100": ("en", "pt", "fr")}


def imported(folder: Path, kind: str, *more: str) -> int:
    """Import a tiny checkpoint into `folder`/made.safetensors."""
    tiny.write(folder / kind, kind)
    (folder / "text").write_text(TEXT)
    arguments = [str(folder / kind), "-o", str(folder / "made.safetensors"), "-q"]
    return main([*arguments, "--calibration", str(folder / "text"), *more])


def translated(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "int8ref.translate", "-m", str(path), "-q", *arguments]
    text = "".join(f"{line}\n" for line in LINES)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", CODES)
def test_both_languages_are_chosen_at_run_time(kind: str, tmp_path: Path) -> None:
    """Greedy search, beam search and sampling, in both directions."""
    first, second, third = CODES[kind]
    path = tmp_path / "made.safetensors"
    assert imported(tmp_path, kind, "--source-language", first) == 0
    translator = int8ref.load(path)
    assert isinstance(translator, int8ref.Translator)
    assert translator.languages.sources == tuple(sorted(CODES[kind]))
    assert (translator.languages.source, translator.languages.target) == (first, None)
    searches: list[tuple[tuple[str, str], list[str], int8ref.Options]] = [
        ((first, second), [], int8ref.Options()),
        ((second, first), ["-b", "3"], int8ref.Options(beam_size=3)),
        ((first, third), ["--temperature", "1"], int8ref.Options(temperature=1)),
    ]
    for (source, target), more, usual in searches:
        chosen = ["--source-language", source, "--target-language", target]
        done = translated(path, *chosen, *more)
        options = replace(usual, source_language=source, target_language=target)
        lines = done.stdout.split("\n")[:-1]
        assert (done.returncode, done.stderr) == (0, "")
        assert lines == [one.text for one in translator.translate(LINES, options)]
        assert lines[2] == ""
        assert not any(code in line for line in lines for code in CODES[kind])
        other = replace(options, source_language=target, target_language=source)
        assert lines != [one.text for one in translator.translate(LINES, other)]
    done = translated(path)
    assert done.returncode == 2
    assert f"the language of the target is one of {', '.join(sorted(CODES[kind]))}" in done.stderr


def test_default_languages_of_a_model_file(tmp_path: Path) -> None:
    path = tmp_path / "made.safetensors"
    assert imported(tmp_path, "nllb", "--source-language", "eng", "--target-language", "fra") == 0
    model = load(path)
    assert model.languages == ("eng-Latn", "fra-Latn")
    assert model.provenance["source_language"] == "eng_Latn"
    assert model.provenance["target_language"] == "fra_Latn"
    done = translated(path)
    same = translated(path, "--target-language", "fra_Latn")
    assert (done.returncode, done.stdout) == (0, same.stdout)
    told = translated(path, "--signature").stdout
    assert told.endswith("|source-language:eng_Latn|target-language:fra_Latn\n")


def test_what_an_import_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported(tmp_path, "m2m100") == 1
    assert "by --source-language, one of en, fr, pt" in capsys.readouterr().err
    assert imported(tmp_path, "m2m100", "--source-language", "de") == 1
    assert "no language 'de' of the source: the closest of 3 are" in capsys.readouterr().err
    assert imported(tmp_path, "pegasus", "--target-language", "fr") == 1
    assert "--target-language fr: model.safetensors has one pair" in capsys.readouterr().err


def test_an_older_mbart_has_one_target(tmp_path: Path) -> None:
    path = tmp_path / "made.safetensors"
    assert imported(tmp_path, "mbart-cc25", "--source-language", "en") == 0
    assert load(path).languages == ("en-XX", "ro-RO")
    done = translated(path, "--source-language", "ar", "--target-language", "ro_RO")
    assert (done.returncode, done.stderr) == (0, "")
    assert translated(path, "--target-language", "en").returncode == 2
