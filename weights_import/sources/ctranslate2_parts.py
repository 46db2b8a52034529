"""The parts of a CTranslate2 model that change its results, and that a reader may not read.

A model has a part if a variable has the name of the part, or lies below this name.  The model lacks
the part if the variable is the number in `ABSENT`.
"""

from __future__ import annotations

from collections.abc import Collection

from weights_import.errors import CheckpointError
from weights_import.sources.ctranslate2_variables import Variables

PARTS = {
    "relative_attention_bias": "relative positions as biases of attention, as in T5",
    "relative_position_keys": "relative positions (Shaw et al. 2018)",
    "relative_asymmetric_position_keys": "relative positions with other ones to the right",
    "alibi": "positions as linear biases of attention",
    "rms_norm": "norms by the root of the mean square",
    "multi_query_attention": "one head of keys and values",
    "num_heads_kv": "heads of queries that share keys and values",
    "head_dim": "heads of a size of their own",
    "rotary_dim": "rotary positions",
    "rotary_scaling_long_factor": "rotary positions with a factor for each frequency (longrope)",
    "sliding_window": "attention to a window of the last tokens",
    "linear_0_noact": "a gated hidden layer",
    "layer_norm_use_residual": "norms whose gain is stored less 1",
    "q_norm": "norms of queries and keys",
    "k_norm": "norms of queries and keys",
    "v_norm": "norms of values",
    "queries_scale": "another scale of the scores of attention",
    "pre_feedforward_layer_norm": "norms before and behind each sublayer",
    "shared_layer_norm": "attention and hidden layer side by side",
    "input_layer_norm": "attention and hidden layer side by side",
    "memory_kv": "attention to source and target at once",
    "layer_scalar": "a scale of each layer",
    "project_in": "embeddings of another width than the model",
    "scale_outputs": "a scale of the logits",
    "final_logit_softcapping": "logits that are pressed into a range",
    "embeddings_1": "several features of a token of the source",
    "weight_zero": "weights quantised by AWQ",
}
"""Names of variables or of scopes, and their meaning.  A message tells the first one found."""
ABSENT = {
    "alibi": 0,
    "layer_norm_use_residual": 0,
    "layer_scalar": 1,
    "multi_query_attention": 0,
    "rms_norm": 0,
    "scale_outputs": 1,
    "sliding_window": 0,
}
NEUTRAL = {
    "alibi_use_positive_positions",
    "alignment_heads",
    "alignment_layer",
    "embeddings_merge",
    "scale_alibi",
}
"""Numbers that say nothing about the computation of a model without the parts above."""


def refuse_parts(variables: Variables, read: Collection[str] = ()) -> None:
    """Raises CheckpointError for a part that the model has, unless it is among those `read`."""
    scopes: dict[str, list[str]] = {}
    for name in variables:
        for scope in dict.fromkeys(name.split("/")):
            scopes.setdefault(scope, []).append(name)
    for part, meaning in PARTS.items():
        for name in sorted(scopes.get(part, ())) if part not in read else ():
            if not _absent(variables, name, part):
                raise CheckpointError(f"{name}: {meaning}, which is not read")


def _absent(variables: Variables, name: str, part: str) -> bool:
    """Whether a variable is the number that says that the model lacks a part."""
    told = part in ABSENT and name.split("/")[-1] == part and variables.is_number(name)
    return told and variables.number(name, 0) == ABSENT[part]


def unused(variables: Variables) -> list[str]:
    """The names and shapes of variables that nobody has asked for, without neutral numbers."""
    left = variables.rest()
    return [f"{n} {list(left[n])}" for n in left if n.split("/")[-1] not in NEUTRAL]
