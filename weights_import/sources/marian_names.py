"""The names of Marian's tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

BLOCKS = {"self": "self", "cross": "context", "ffn": "ffn", "ssru": "rnn"}
PARTS = {
    **{
        f"{projection}.{part}": f"{symbol}{projection[0]}"
        for projection in ("query", "key", "value", "output")
        for part, symbol in (("weight", "W"), ("bias", "b"))
    },
    "inner.weight": "W1",
    "inner.bias": "b1",
    "outer.weight": "W2",
    "outer.bias": "b2",
    "cell.weight": "W",
    "cell.bias": "b",
    "gate.weight": "Wf",
    "gate.bias": "bf",
}
NORM_PARTS = {"norm.gain": "ln_scale", "norm.bias": "ln_bias"}
POST_NORMS = {"self": "self_Wo", "cross": "context_Wo", "ffn": "ffn_ffn", "ssru": "rnn_ffn"}
PRE_NORMS = POST_NORMS | {"ssru": "rnn"}
"""What a norm is named after."""


def is_embedding(name: str) -> bool:
    """Embeddings are the weights that Marian stores [out, in], because it looks up their rows."""
    return name.removeprefix("encoder_").removeprefix("decoder_") == "Wemb"


def names_of(options: Mapping[str, object], pre_norm: bool) -> Callable[[str], str]:
    """A function that gives Marian's name for a canonical name."""
    tied_all = options.get("tied-embeddings-all") is True
    shared = tied_all or options.get("tied-embeddings-src") is True
    target = "Wemb" if shared else "decoder_Wemb"
    tied = tied_all or options.get("tied-embeddings") is True
    names = {
        "source_embedding": "Wemb" if shared else "encoder_Wemb",
        "target_embedding": target,
        "output.weight": target if tied else "decoder_ff_logit_out_W",
        "output.bias": "decoder_ff_logit_out_b",
    }
    return lambda canonical: names.get(canonical) or _of_stack(canonical, pre_norm)


def _of_stack(canonical: str, pre_norm: bool) -> str:
    """Marian's name of a tensor of a layer, or of the norm behind the last one."""
    stack, _, rest = canonical.partition(".")
    if rest in NORM_PARTS:
        return f"{stack}_top_{NORM_PARTS[rest]}"
    layer, block, part = rest.split(".", 2)
    at = f"{stack}_l{int(layer) + 1}"
    if part not in NORM_PARTS:
        return f"{at}_{BLOCKS[block]}_{PARTS[part]}"
    if pre_norm:
        return f"{at}_{PRE_NORMS[block]}_{NORM_PARTS[part]}_pre"
    return f"{at}_{POST_NORMS[block]}_{NORM_PARTS[part]}"
