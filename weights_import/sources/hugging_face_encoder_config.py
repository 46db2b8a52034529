"""What is read of the configurations of encoders alone of Hugging Face's transformers.

Other keys do not change what a model computes.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from weights_import.arithmetic.activations import Activation
from weights_import.errors import CheckpointError
from weights_import.sources.hugging_face import Layers
from weights_import.sources.hugging_face_config import Id
from weights_import.sources.hugging_face_decoder_config import ACTIVATIONS, Epsilon, Function
from weights_import.sources.relative_buckets import Buckets
from weights_import.sources.safetensors_file import Size

CLASSIFIER = "ForSequenceClassification"
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=1 << 10)]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of BERT, with the defaults of transformers."""

    model_type: str
    add_cross_attention: Literal[False] = False
    architectures: list[str] = []
    bos_token_id: Id | None = None
    embedding_size: Size | None = None
    eos_token_id: Id | None = None
    hidden_act: Function = "gelu"
    hidden_size: Size
    id2label: dict[str, Label] = {}
    intermediate_size: Size
    is_decoder: Literal[False] = False
    layer_norm_eps: Epsilon = 1e-12
    max_position_embeddings: Size
    num_attention_heads: Size
    num_hidden_layers: Layers
    pad_token_id: Id = 0
    position_embedding_type: Literal["absolute"] = "absolute"
    problem_type: str = "single_label_classification"
    vocab_size: Size

    @property
    def activation(self) -> Activation:
        """The activation of the hidden layers."""
        return ACTIVATIONS[self.hidden_act]

    @property
    def classifies(self) -> bool:
        """Whether the model gives a label for a text."""
        return any(name.endswith(CLASSIFIER) for name in self.architectures)

    @property
    def unused_positions(self) -> int:
        """The rows of the table of positions before the row of the first token."""
        return 0

    @property
    def buckets(self) -> Buckets | None:
        """The buckets of relative positions, which all layers share; None without them."""
        return None

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels of a model that classifies; raises CheckpointError.

        transformers leaves out the names of two labels that have no names of their own.
        """
        if not self.classifies:
            return ()
        names = self.id2label or {"0": "LABEL_0", "1": "LABEL_1"}
        if [*names] != [str(i) for i in range(len(names))]:
            raise CheckpointError(f"id2label: the keys are not 0 to {len(names) - 1} in order")
        if len(names) == 1:
            raise CheckpointError(
                "the model gives one number for a text or a pair of texts, not labels, which is"
                " not read; models with two or more labels are read"
            )
        if self.problem_type != "single_label_classification":
            raise CheckpointError(
                f"problem_type={self.problem_type!r:.40} is not read; models that give one of"
                " several labels are read (single_label_classification)"
            )
        return tuple(names.values())
