"""The command writes a model file that is whole: names, origins, positions, compact or not."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_training as tiny

from int8ref.files import container
from int8ref.files.model_file import load, serialize
from int8ref.program.sizes import max_steps
from weights_import.__main__ import main


@pytest.mark.parametrize("kind", ["integer", "decoder"])
def test_the_command_imports_a_checkpoint(
    kind: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, deflated = [], container.deflate

    def deflate(tensor: container.Array, compact: bool) -> container.Array | None:
        asked.append(compact)
        return deflated(tensor, compact)

    monkeypatch.setattr(container, "deflate", deflate)
    checkpoint, text = tiny.write(tmp_path, **tiny.KINDS[kind]), tmp_path / "text"
    text.write_text("".join(f"{line}\n" for line in tiny.SENTENCES))
    output = tmp_path / "tiny-model.safetensors"
    arguments = [str(checkpoint), "-o", str(output), "--calibration", str(text), "-q"]
    assert main([*arguments, "--positions", "30"]) == 0
    model = load(output)
    assert (model.name, model.languages) == ("tiny-model", ("en", "de"))
    assert model.source.model == model.target.model == tiny.tokenizer()
    assert model.provenance["origin"] == "random numbers"
    assert model.provenance["calibration_sentences"] == "4"
    assert max_steps(model.program, model.tensors) == 30
    assert set(asked) == {False}
    assert main([*arguments, "--positions", "30", "--compact"]) == 0
    assert set(asked[asked.index(True) :]) == {True}
    assert serialize(load(output)) == serialize(model)
    with pytest.raises(SystemExit):
        main([*arguments, "--positions", "1"])
    assert "1 is outside [2, 131072]" in capsys.readouterr().err
