"""Models of Llama's kind in Hugging Face's transformers, whose positions turn pairs of
neighbours."""

from __future__ import annotations

from weights_import.sources.hugging_face_llama_kind import LlamaConfig
from weights_import.sources.stored_rows import halves
from weights_import.tensors import Stored


class NeighboursConfig(LlamaConfig, frozen=True, kw_only=True):
    """The fields of such a model."""

    def changed(self, part: str, tensor: Stored) -> Stored:
        heads = self.heads
        counts = {"self.query": heads.count, "self.key": heads.key_heads}
        if part not in counts:
            return tensor
        return halves(tensor, counts[part], heads.size, len(heads.rotary))
