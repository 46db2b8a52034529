"""OPT models of Hugging Face's transformers (Zhang et al. 2022, section 2).

Positions are learned; the first two rows of their table are not used.  OPT-350M differs: its norms
stand after the sums, without a last norm, and its words are narrower than the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from msgspec import field

from weights_import.composer import Normed
from weights_import.errors import CheckpointError
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_decoder_config import Config, Function
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_names import Names
from weights_import.sources.lookup import Own
from weights_import.sources.safetensors_file import Size
from weights_import.sources.stored_rows import later
from weights_import.sources.widened_words import widened, widened_behind
from weights_import.tensors import Stored

UNUSED_POSITIONS = 2
EPSILON = 1e-5  # PyTorch's
WIDENING = "project_in.weight", "project_out.weight"
NAMES = Names(
    body="model.decoder.",
    layer="layers.{}.",
    embedding="embed_tokens.weight",
    positions="embed_positions.weight",
    last_norm="final_layer_norm",
    parts={
        "self.norm": "self_attn_layer_norm",
        "self.query": "self_attn.q_proj",
        "self.key": "self_attn.k_proj",
        "self.value": "self_attn.v_proj",
        "self.output": "self_attn.out_proj",
        "ffn.norm": "final_layer_norm",
        "ffn.inner": "fc1",
        "ffn.outer": "fc2",
    },
    widening=WIDENING,
)


class OptConfig(Config, frozen=True, kw_only=True):
    """The fields of OPT, with the defaults of transformers."""

    do_layer_norm_before: bool = True
    enable_bias: bool = True
    final_norm_removed: Literal[False] = field(default=False, name="_remove_final_layer_norm")
    hidden_act: Function = field(default="relu", name="activation_function")
    intermediate_size: Size | None = field(name="ffn_dim")
    layer_norm_elementwise_affine: bool = True
    tie_word_embeddings: bool = True
    word_embed_proj_dim: Size | None = None

    @property
    def norm(self) -> Normed:
        return Normed("l2", EPSILON, bias=self.layer_norm_elementwise_affine)

    @property
    def has_gains(self) -> bool:
        return self.layer_norm_elementwise_affine

    @property
    def biases(self) -> Mapping[str, bool]:
        return dict.fromkeys(("self_attn", "fc1", "fc2"), self.enable_bias)

    @property
    def embedding_width(self) -> int:
        return self.word_embed_proj_dim or self.hidden_size

    def widened(self, words: Mapping[str, Own], found: Mapping[str, Stored]) -> dict[str, Own]:
        if self.embedding_width == self.hidden_size:
            return dict(words)
        table, head = words["target_embedding"], words["output.weight"]
        before, behind = (found.get(name) for name in WIDENING)
        if table is None or head is None or before is None or behind is None:
            raise CheckpointError(f"missing {' or '.join(WIDENING)}")
        return {
            **words,
            "target_embedding": widened(table, before),
            "output.weight": widened_behind(head, behind),
        }

    @property
    def shape(self) -> Shape:
        return replace(
            super().shape,
            gated=False,
            norms="before" if self.do_layer_norm_before else "after",
            positions=self.max_position_embeddings,
        )

    def changed(self, part: str, tensor: Stored) -> Stored:
        return later(tensor, UNUSED_POSITIONS) if part == "positions" else tensor


FAMILY = Family({"opt": "OPT"}, OptConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
