"""GPT-2 models of Hugging Face's transformers (Radford et al. 2019).

Positions are learned.  A norm stands before each sublayer, and one more behind the last.  The file
stores a matrix as [in, out], which is the reverse of most files.  Queries, keys and values have one
matrix.  Some models divide the scores of a layer by its number, or do not divide them by the root
of the size of a head.
"""

from __future__ import annotations

from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_gpt_kind import JoinedConfig
from weights_import.sources.hugging_face_names import NORMS, Names
from weights_import.sources.stored_rows import part as block
from weights_import.sources.stored_rows import transposed
from weights_import.tensors import Stored

JOINED = ("self.query", "self.key", "self.value")
NAMES = Names(
    body="transformer.",
    layer="h.{}.",
    embedding="wte.weight",
    positions="wpe.weight",
    last_norm="ln_f",
    parts={
        "self.norm": "ln_1",
        **dict.fromkeys(JOINED, "attn.c_attn"),
        "self.output": "attn.c_proj",
        "ffn.norm": "ln_2",
        "ffn.inner": "mlp.c_fc",
        "ffn.outer": "mlp.c_proj",
    },
)


class Gpt2Config(JoinedConfig, frozen=True, kw_only=True):
    """The fields of GPT-2, with the defaults of transformers."""

    scale_attn_by_inverse_layer_idx: bool = False

    def query_factor(self, layer: int) -> float:
        root = super().query_factor(layer)
        return root / (layer + 1) if self.scale_attn_by_inverse_layer_idx else root

    def changed(self, part: str, tensor: Stored) -> Stored:
        if part in NORMS or part not in NAMES.parts:
            return tensor
        if len(tensor.shape) == 2:
            tensor = transposed(tensor)
        if part in JOINED:
            tensor = block(tensor, (len(JOINED), self.width), 0, JOINED.index(part))
        return tensor


FAMILY = Family({"gpt2": "GPT-2"}, Gpt2Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
