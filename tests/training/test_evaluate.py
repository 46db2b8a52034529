from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from safetensors import safe_open

torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")
pytest.importorskip("sacrebleu", reason="scores are sacrebleu's")

from toy import toy_config  # noqa: E402

from training import checkpoint, evaluate  # noqa: E402
from training.batches import Lines  # noqa: E402
from training.model.transformer import Transformer  # noqa: E402
from training.prepare import EOS  # noqa: E402
from training.train import Trainer  # noqa: E402


@torch.inference_mode()
@pytest.mark.parametrize(("length", "count"), [(8, None), (10, 3), (64, 2), (64, 7)])
def test_each_id_is_scored_once_behind_half_a_window(
    length: int, count: int | None, toy_data: Path
) -> None:
    torch.manual_seed(0)
    model = Transformer(toy_config(model={"encoder_layers": 0}).model, 40)
    lines = Lines(toy_data, "test.target")
    end = int(lines.offsets[len(lines.lengths) if count is None else count])
    ids = [EOS, *lines.ids[:end].tolist()]
    total, half = 0.0, length // 2
    model.eval()
    for place in range(end):
        begin = 0 if place < length else (place // half - 1) * half
        states = model(None, torch.tensor([ids[begin : place + 1]]))[0, -1]
        total -= float(torch.log_softmax(states @ model.embedding.weight.t(), -1)[ids[place + 1]])
    words = (toy_data / "test.target.txt").read_text().splitlines()[:count]
    found = evaluate.language_model(model, toy_data, "test", length, count)
    assert found["piece_perplexity"] == pytest.approx(math.exp(total / end), rel=1e-4)
    per_word = total / sum(len(line.split()) + 1 for line in words)
    assert found["word_perplexity"] == pytest.approx(math.exp(per_word), rel=1e-4)


def test_perfect_translations_score_100(toy_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (toy_data / "valid.target.txt").read_text().splitlines()
    monkeypatch.setattr(evaluate, "translate", lambda *arguments: text[: len(arguments[2])])
    model = Transformer(toy_config().model, 40)
    found = evaluate.translation(model, toy_data, "valid", 4)
    assert [found[k] for k in ("bleu", "bleu_lower", "chrf")] == pytest.approx([100.0] * 3)


def test_finish_writes_scores_and_the_averaged_weights(toy_data: Path, tmp_path: Path) -> None:
    trainer = Trainer(toy_config(optim={"steps": 4}), toy_data, tmp_path)
    trainer.run()
    path = trainer.finish()
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores) == {f"{split} beam {beam}" for split in ("valid", "test") for beam in (1, 5)}
    mean = checkpoint.average(checkpoint.snapshots(tmp_path))
    with safe_open(path, "pt") as file:
        for name in ("embedding.weight", "decoder.norm.gain"):
            assert torch.equal(file.get_tensor(name), mean[name])
