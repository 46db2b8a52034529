"""What the Marian formats share: the options, the tensor names, the files beside a checkpoint.

Both forms of a checkpoint hold the same names and, as YAML in `special:model.yml`, the options the
model was trained with.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import yaml  # type: ignore[import-untyped, unused-ignore]

from weights_import.float_model import (
    Activation,
    Architecture,
    CheckpointError,
    Float32,
    FloatModel,
    declare,
)
from weights_import.sources.checkpoint_bytes import one_line
from weights_import.sources.tokenizers import tokenizers_in

OPTIONS = "special:model.yml"
FACTORED = "*.fsv"
MULTIPLIER = "_QuantMultA"
MAXIMUM_ITEMS = 1 << 16
MAXIMUM_OPTION_BYTES = 1 << 16

# Marian gives these ids to every vocabulary it trains itself, SentencePiece ones included.
EOS, UNK = 0, 1
LAYER_NORM_EPSILON = 1e-6
# The decoder settings that go with the published small models; Marian's own default is 3.
MAX_LENGTH_FACTOR = 2.5
# Marian normalises the scores of a beam on request only (its option normalize).
ALPHA = 0.0

STEPS = {
    "transformer-preprocess": "",
    "transformer-postprocess": "dan",
    "transformer-postprocess-top": "",
}
"""Options that say what happens before and after a sublayer and after the last one, with Marian's
defaults: a = add, n = normalise, d = dropout, which only training has."""
NORM_POSITIONS: dict[tuple[str, ...], Literal["post", "pre"]] = {
    ("", "an", ""): "post",
    ("n", "a", "n"): "pre",
}

# Options that change the computation: the supported values, and what Marian takes if it is absent.
SUPPORTED: dict[str, tuple[list[object], object]] = {
    "type": (["transformer"], "amun"),
    "factors-combine": (["sum"], "sum"),
    "input-types": ([[], ["sequence", "sequence"]], []),
    "layer-normalization": ([False], False),
    "lemma-dependency": ([""], ""),
    "lemma-dim-emb": ([0], 0),
    "output-omit-bias": ([False, True], False),
    "right-left": ([False], False),
    "transformer-decoder-autoreg": (["self-attention", "rnn"], "self-attention"),
    "transformer-decoder-dim-ffn": ([0], 0),
    "transformer-decoder-ffn-depth": ([0], 0),
    "transformer-ffn-activation": (["relu", "swish", "gelu"], "swish"),
    "transformer-ffn-depth": ([2], 2),
    "transformer-no-projection": ([False], False),
    "transformer-pool": ([False], False),
    "transformer-postprocess-emb": (["d", ""], "d"),
    "transformer-rnn-projection": ([False], False),
    "transformer-tied-layers": ([[]], []),
    "transformer-train-position-embeddings": ([False], False),
    "transformer-train-positions": ([False], False),
    "ulr": ([False], False),
}

SIZES = "dim-emb", "transformer-dim-ffn", "transformer-heads"
ALIGNMENT = "transformer-guided-alignment-layer"
HARMLESS = {
    ALIGNMENT,
    "transformer-aan-activation",
    "transformer-aan-depth",
    "transformer-aan-nogate",
    "transformer-depth-scaling",
    "transformer-dim-aan",
    "transformer-dropout",
    "transformer-dropout-attention",
    "transformer-dropout-ffn",
}
"""Options that only training has, or other decoders than these."""
OF_TRANSFORMERS = "transformer-"
"""What options begin with that change the computation, unless they are known to be harmless."""
OFF: tuple[object, ...] = (None, False, 0, "", [], "none")

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
SHORT = reprlib.Repr()
SHORT.maxlevel = 2  # A list of lists of lists can be a trillion long on 300 bytes of YAML.

NORM_PARTS = {"norm.gain": "ln_scale", "norm.bias": "ln_bias"}
POST_NORMS = {"self": "self_Wo", "cross": "context_Wo", "ffn": "ffn_ffn", "ssru": "rnn_ffn"}
NORMS = {  # what a norm is named after, and its suffix
    "post": (POST_NORMS, ""),
    "pre": (POST_NORMS | {"ssru": "rnn"}, "_pre"),
}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in Marian's orientation (weights [in, out]); int8 * step if it has a step."""

    values: Float32
    step: float | None = None


def is_embedding(name: str) -> bool:
    """Embeddings are the weights that Marian stores [out, in], because it looks up their rows."""
    return name.removeprefix("encoder_").removeprefix("decoder_") == "Wemb"


def read_options(text: bytes) -> dict[str, object]:
    """Parses `special:model.yml`; raises CheckpointError unless it is a mapping of names."""
    if len(text) > MAXIMUM_OPTION_BYTES:
        raise CheckpointError(f"{OPTIONS}: {len(text)} bytes, at most {MAXIMUM_OPTION_BYTES}")
    try:
        options = yaml.safe_load(text.rstrip(b"\0").decode())
    except (yaml.YAMLError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise CheckpointError(f"{OPTIONS}: {one_line(error)}") from error
    if not isinstance(options, dict) or not all(isinstance(key, str) for key in options):
        raise CheckpointError(f"{OPTIONS}: not a mapping of option names")
    return options


def architecture(options: Mapping[str, object], tensors: int) -> Architecture:
    """The architecture that the options describe.

    Raises CheckpointError with every unsupported or malformed option at once, each spelled as on
    Marian's command line.  `tensors` is the number of tensors in the file: it bounds the depths.
    """
    problems = []
    wanted = dict(SUPPORTED)
    recurrent = options.get("transformer-decoder-autoreg") == "rnn"
    if recurrent:
        wanted["dec-cell"] = ["ssru"], "gru"
    for name, (supported, default) in wanted.items():
        value = options.get(name, default)
        if not any(type(value) is type(known) and value == known for known in supported):
            known = " or ".join(_spelled(value) for value in supported)
            problems.append(f"--{name} {_spelled(value)} (supported: {known})")

    known_names = {*wanted, *STEPS, *SIZES, *HARMLESS}
    problems += [
        f"--{name} {_spelled(value)} (not known)"
        for name, value in options.items()
        if name.startswith(OF_TRANSFORMERS) and name not in known_names and value not in OFF
    ]
    position = norm_position(options)
    if position is None:
        spelled = " ".join(f"--{name} {_spelled(options.get(name, STEPS[name]))}" for name in STEPS)
        problems.append(f"{spelled} (supported: norms after all sublayers, or before all and last)")

    def number(name: str, value: object, limit: int) -> int:
        if type(value) is int and 1 <= value <= limit:
            return value
        problems.append(f"--{name} {_spelled(value)} (expected a number in 1..{limit})")
        return 0

    sizes = {name: number(name, options.get(name), 1 << 20) for name in SIZES}
    depths = {name: number(name, options.get(name), tensors) for name in ("enc-depth", "dec-depth")}
    listed = options.get("dim-vocabs")
    pair = listed if isinstance(listed, list) and len(listed) == 2 else [listed, listed]
    vocabularies = [number("dim-vocabs", size, 1 << 24) for size in pair]
    if problems or position is None:
        raise CheckpointError("unsupported options: " + "; ".join(dict.fromkeys(problems)))
    return Architecture(
        d_model=sizes["dim-emb"],
        heads=sizes["transformer-heads"],
        d_ffn=sizes["transformer-dim-ffn"],
        encoder_layers=depths["enc-depth"],
        decoder_layers=depths["dec-depth"],
        decoder_cell="ssru" if recurrent else "self_attention",
        norm="l2",
        norm_position=position,
        norm_epsilon=LAYER_NORM_EPSILON,
        attention="softmax",
        activation=cast(Activation, options.get("transformer-ffn-activation", "swish")),
        embedding_scale=float(sizes["dim-emb"] ** 0.5),
        start=-1,
        eos=EOS,
        unk=UNK,
        source_vocabulary=vocabularies[0],
        target_vocabulary=vocabularies[1],
        max_length_factor=MAX_LENGTH_FACTOR,
        alpha=ALPHA,
    )


def norm_position(options: Mapping[str, object]) -> Literal["post", "pre"] | None:
    """Where the norms are, or None for a place that is not supported.

    Pre-norm is what Marian trains.  Its search (1.12) differs from that where the decoder has
    self-attention: from the second token on it takes keys and values from before the norm.
    """
    steps = [options.get(name, default) for name, default in STEPS.items()]
    if not all(isinstance(step, str) for step in steps):
        return None
    return NORM_POSITIONS.get(tuple(str(step).replace("d", "") for step in steps))


def stored_names(architecture: Architecture, options: Mapping[str, object]) -> dict[str, str]:
    """Canonical name -> Marian's name, for every tensor of the architecture."""
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
    normed, suffix = NORMS[architecture.norm_position]
    for name in declare(architecture):
        if name in names:
            continue
        stack, _, rest = name.partition(".")
        if rest in NORM_PARTS:
            names[name] = f"{stack}_top_{NORM_PARTS[rest]}"
            continue
        layer, block, part = rest.split(".", 2)
        at = f"{stack}_l{int(layer) + 1}"
        if part in NORM_PARTS:
            names[name] = f"{at}_{normed[block]}_{NORM_PARTS[part]}{suffix}"
        else:
            names[name] = f"{at}_{BLOCKS[block]}_{PARTS[part]}"
    return names


def alignment(options: Mapping[str, object], architecture: Architecture) -> list[str]:
    """What is to be said of a model that was trained to align in another layer than the last."""
    layer = options.get(ALIGNMENT, "last")
    if layer in ("last", architecture.decoder_layers, str(architecture.decoder_layers)):
        return []
    return [
        f"the model aligns by layer {_spelled(layer)} of its decoder (--{ALIGNMENT}), but"
        " alignments here are those of the last one"
    ]


def assemble(
    stored: dict[str, StoredTensor], text: bytes, provenance: dict[str, str], folder: Path
) -> FloatModel:
    """Builds and validates the model; what no name asks for stays under Marian's name, unused."""
    options = read_options(text)
    shape = architecture(options, len(stored))
    names = stored_names(shape, options)
    if factored := sorted(folder.glob(FACTORED)):
        raise CheckpointError(f"{factored[0].name}: a vocabulary of factors, which is not read")
    model = FloatModel(
        shape,
        {},
        tokenizers=tokenizers_in(folder),
        provenance=provenance,
        warnings=alignment(options, shape),
    )
    oriented: dict[str, Float32] = {}
    for name, value in stored.items():
        if not name.endswith(MULTIPLIER):
            oriented[name] = value.values if is_embedding(name) else _oriented(value.values)
    for canonical, name in names.items():
        if name in oriented:
            model.tensors[canonical] = oriented[name]
            step = stored[name].step
            if step is not None:
                model.grids[canonical] = step
    used = set(names.values())
    model.tensors |= {name: value for name, value in oriented.items() if name not in used}
    model.activation_multipliers = _multipliers(stored, names)
    model.validate()
    return model


def _spelled(value: object) -> str:
    """A value as Marian's command line spells it, cut short where it is long."""
    if value is None:
        return "(absent)"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else SHORT.repr(value).replace("'", "")


def _oriented(values: Float32) -> Float32:
    """[in, out] to [out, in]; Marian's [1, n] vectors to [n]."""
    vector = values.ndim == 2 and values.shape[0] == 1
    return values.reshape(-1) if vector else np.ascontiguousarray(values.T)


def _multipliers(stored: Mapping[str, StoredTensor], names: Mapping[str, str]) -> dict[str, float]:
    """NAME_QuantMultA under the canonical name of the weight NAME.

    The product with an embedding is the output layer; `none` is the output layer once more, as
    Marian names it when a shortlist has picked columns of it.
    """
    canonical = {name: canonical for canonical, name in names.items()}
    canonical |= {"none": "output.weight", names["output.weight"]: "output.weight"}
    multipliers: dict[str, float] = {}
    for name in sorted(stored):
        if name.endswith(MULTIPLIER):
            weight = name.removesuffix(MULTIPLIER)
            value = stored[name].values
            if weight not in canonical or value.size != 1 or not 0 < value.flat[0] < np.inf:
                raise CheckpointError(f"{name}: not one positive number for a known weight")
            multipliers.setdefault(canonical[weight], float(value.flat[0]))
    return multipliers
