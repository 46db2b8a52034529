"""The exported file equals its model.  The test reads it without torch, and computes in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")

from toy import toy_config  # noqa: E402

from tests.training.file_model import FileModel  # noqa: E402
from training.export import export, load  # noqa: E402
from training.model.transformer import Transformer  # noqa: E402


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({}, [5, 6, 7, 3]),
        ({"attention": "softmax", "norm": "l2", "norm_position": "post"}, [5, 6, 7, 3]),
        ({"degree": 3, "norm_position": "post"}, [5, 6, 7, 3]),
        ({"encoder_layers": 0, "decoder_layers": 2}, None),
    ],
)
def test_file_alone_gives_the_same_logits(
    changes: dict[str, object], source: list[int] | None, toy_data: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    config = toy_config(model=changes)
    model = Transformer(config.model, config.data.vocabulary).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() != 2:  # changes the start values of biases, gains, b and delta
            parameter.data += 0.1 * torch.randn_like(parameter)
        if name.endswith("raw_delta"):
            parameter.data.neg_()
    file = FileModel(export(model, config, toy_data, tmp_path))
    inputs = [2, 9, 10, 11, 12]
    given = None if source is None else torch.tensor([source])
    states = model(given, torch.tensor([inputs]))
    expected = states @ model.embedding.weight.t()
    np.testing.assert_allclose(
        file.logits(source, inputs), expected[0].detach().numpy(), rtol=1e-4, atol=1e-4
    )
    again, _ = load(tmp_path / "toy.safetensors")
    torch.testing.assert_close(again(given, torch.tensor([inputs])), states)
    assert (tmp_path / file.shape["tokenizer"]).is_file()
    assert file.shape["vocabulary"] == len(file.tensors["embedding.weight"])
    assert file.shape["decoder_starts_with"] == (2 if source else 3)
