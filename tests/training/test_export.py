"""The exported file against the model it came from, read without torch and computed in NumPy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open

torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")

from toy import toy_config  # noqa: E402

from training.export import export, load  # noqa: E402
from training.model.transformer import Transformer  # noqa: E402

Array = NDArray[np.float64]


class FileModel:
    """A slow forward pass for one sentence, from nothing but the file."""

    def __init__(self, path: Path) -> None:
        with safe_open(path, "np") as file:
            self.shape = json.loads(file.metadata()["architecture"])
            names = list(file.keys())
            self.tensors = {k: file.get_tensor(k).astype(np.float64) for k in names}

    def linear(self, name: str, x: Array) -> Array:
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def norm(self, name: str, x: Array) -> Array:
        centred, epsilon = x - x.mean(-1, keepdims=True), self.shape["norm_epsilon"]
        if self.shape["norm"] == "l1":
            spread = np.abs(centred).mean(-1, keepdims=True) + epsilon
        else:
            spread = np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return self.tensors[f"{name}.gain"] * centred / spread + self.tensors[f"{name}.bias"]

    def attention(self, name: str, x: Array, memory: Array, keep: Array) -> Array:
        def heads(y: Array) -> Array:
            return y.reshape(len(y), self.shape["heads"], -1).swapaxes(0, 1)

        q, k, v = (
            heads(self.linear(f"{name}.{part}", y))
            for part, y in (("query", x), ("key", memory), ("value", memory))
        )
        scores = q @ k.swapaxes(1, 2) * self.shape["score_scale"]
        if self.shape["attention"] == "polynomial":
            b = self.tensors[f"{name}.weights.shift"][:, None, None]
            delta = self.tensors[f"{name}.weights.delta"][:, None, None]
            p = (np.maximum(scores + b, 0) ** self.shape["degree"] + delta) * keep
        else:
            p = np.exp(scores) * keep
        mixed = (p / p.sum(-1, keepdims=True)) @ v
        return self.linear(f"{name}.output", mixed.swapaxes(0, 1).reshape(len(x), -1))

    def stack(self, side: str, ids: list[int], memory: Array | None) -> Array:
        x = self.tensors["embedding.weight"][ids] * self.shape["embedding_scale"]
        x = x + self.tensors["positions"][: len(ids)]
        keep = np.ones((len(ids), len(ids)))
        if side == "decoder":
            keep = np.tril(keep)

        def residual(name: str, x: Array, branch: object) -> Array:
            if self.shape["norm_position"] == "pre":
                return x + branch(self.norm(f"{name}.norm", x))  # type: ignore[operator]
            return self.norm(f"{name}.norm", x + branch(x))  # type: ignore[operator]

        for place in range(self.shape[f"{side}_layers"]):
            at = f"{side}.layers.{place}"
            name = f"{at}.self_attention"
            x = residual(f"{at}.self_residual", x, lambda y, n=name: self.attention(n, y, y, keep))
            if memory is not None:
                name, seen = f"{at}.cross_attention", np.ones((len(ids), len(memory)))
                x = residual(
                    f"{at}.cross_residual",
                    x,
                    lambda y, n=name, s=seen: self.attention(n, y, memory, s),
                )
            x = residual(
                f"{at}.feed_residual",
                x,
                lambda y, a=at: self.linear(
                    f"{a}.feed_forward.contract",
                    np.maximum(self.linear(f"{a}.feed_forward.expand", y), 0),
                ),
            )
        return self.norm(f"{side}.norm", x) if self.shape["norm_position"] == "pre" else x

    def logits(self, source: list[int] | None, inputs: list[int]) -> Array:
        memory = None if source is None else self.stack("encoder", source, None)
        return self.stack("decoder", inputs, memory) @ self.tensors["embedding.weight"].T


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
        if parameter.dim() != 2:  # biases, gains, b and delta leave the values they start from
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
