"""What the Marian formats share: the options, the tensor names, the files beside a checkpoint.

Both forms of a checkpoint hold the same names and, as YAML in `special:model.yml`, the options the
model was trained with.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import yaml  # type: ignore[import-untyped, unused-ignore]

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel, Generation
from weights_import.sources import encoder_decoder
from weights_import.sources.checkpoint_bytes import one_line
from weights_import.sources.language_tokens import of_marks
from weights_import.sources.lookup import Lookup, described
from weights_import.sources.marian_names import is_embedding, names_of
from weights_import.sources.tokenizers import tokenizers_in
from weights_import.tensors import Float32, Stored

OPTIONS = "special:model.yml"
FACTORED = "*.fsv"
MULTIPLIER = "_QuantMultA"
"""What the name of a weight is followed by where its product with activations is calibrated."""
NO_NAME = "none"
"""The output layer, as Marian names it when a shortlist has picked columns of it."""
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
PRE_NORM: dict[tuple[str, ...], bool] = {("", "an", ""): False, ("n", "a", "n"): True}
"""Whether the norms stand before the sublayers, for such steps."""

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

SHORT = reprlib.Repr()
SHORT.maxlevel = 2  # A list of lists of lists can be a trillion long on 300 bytes of YAML.


@dataclass(frozen=True)
class MarianTensor:
    """A tensor in Marian's orientation (weights [in, out]); int8 * step if it has a step."""

    stored: Stored
    step: float | None = None


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


def shape_of(options: Mapping[str, object], tensors: int) -> encoder_decoder.Shape:
    """The shape that the options describe.

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
    pre_norm = norms_before(options)
    if pre_norm is None:
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
    if problems or pre_norm is None:
        raise CheckpointError("unsupported options: " + "; ".join(dict.fromkeys(problems)))
    return encoder_decoder.Shape(
        d_model=sizes["dim-emb"],
        heads=sizes["transformer-heads"],
        d_ffn=sizes["transformer-dim-ffn"],
        encoder_layers=depths["enc-depth"],
        decoder_layers=depths["dec-depth"],
        activation=cast(Activation, options.get("transformer-ffn-activation", "swish")),
        source_vocabulary=vocabularies[0],
        target_vocabulary=vocabularies[1],
        embedding_scale=math.sqrt(sizes["dim-emb"]),
        pre_norm=pre_norm,
        recurrent=recurrent,
    )


def norms_before(options: Mapping[str, object]) -> bool | None:
    """Whether the norms stand before the sublayers, or None for a place that is not supported.

    Pre-norm is what Marian trains.  Its search (1.12) differs from that where the decoder has
    self-attention: from the second token on it takes keys and values from before the norm.
    """
    steps = [options.get(name, default) for name, default in STEPS.items()]
    if not all(isinstance(step, str) for step in steps):
        return None
    return PRE_NORM.get(tuple(str(step).replace("d", "") for step in steps))


def alignment(options: Mapping[str, object], layers: int) -> list[str]:
    """What is to be said of a model that was trained to align in another layer than the last."""
    layer = options.get(ALIGNMENT, "last")
    if layer in ("last", layers, str(layers)):
        return []
    return [
        f"the model aligns by layer {_spelled(layer)} of its decoder (--{ALIGNMENT}), but"
        " alignments here are those of the last one"
    ]


def assemble(
    stored: Mapping[str, MarianTensor], text: bytes, provenance: dict[str, str], folder: Path
) -> FloatModel:
    """The model; raises CheckpointError with all that is wrong with it, such as a tensor that no
    operation reads."""
    options = read_options(text)
    shape = shape_of(options, len(stored))
    how = generation(shape)
    if factored := sorted(folder.glob(FACTORED)):
        raise CheckpointError(f"{factored[0].name}: a vocabulary of factors, which is not read")
    name_of = names_of(options, shape.pre_norm)
    found = Lookup(
        {name: _oriented(name, tensor.stored) for name, tensor in stored.items()}, name_of
    )
    c = Composer(found, shape.d_model, Normed("l2", LAYER_NORM_EPSILON))
    logits = encoder_decoder.compose(c, shape)
    _check_multipliers(stored, {*found.asked, NO_NAME})
    unused = found.unasked(others=[name for name in stored if name.endswith(MULTIPLIER)])
    program, tensors = c.finish(logits, described(unused))
    steps = {name: stored[name_of(name)].step for name in tensors}
    tokenizers = tokenizers_in(folder)
    return FloatModel(
        program,
        tensors,
        replace(how, languages=of_marks(tokenizers)),
        grids={name: step for name, step in steps.items() if step is not None},
        tokenizers=tokenizers,
        provenance=provenance,
        warnings=alignment(options, shape.decoder_layers),
    )


def generation(shape: encoder_decoder.Shape) -> Generation:
    """How Marian reads and writes; the decoder begins with the zero vector."""
    return Generation(
        start=-1,
        eos=EOS,
        unk=UNK,
        source_vocabulary=shape.source_vocabulary,
        target_vocabulary=shape.target_vocabulary,
        max_length_factor=MAX_LENGTH_FACTOR,
        alpha=ALPHA,
    )


def _spelled(value: object) -> str:
    """A value as Marian's command line spells it, cut short where it is long."""
    if value is None:
        return "(absent)"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else SHORT.repr(value).replace("'", "")


def _oriented(name: str, stored: Stored) -> Stored:
    """[in, out] to [out, in], but for embeddings; Marian's [1, n] vectors to [n]."""
    if is_embedding(name):
        return stored
    if len(stored.shape) == 2 and stored.shape[0] == 1:
        return stored.changed(stored.shape[1:], np.ravel)
    return stored.changed(stored.shape[::-1], _transposed)


def _transposed(values: Float32) -> Float32:
    return np.ascontiguousarray(values.T)


def _check_multipliers(stored: Mapping[str, MarianTensor], known: Collection[str]) -> None:
    """Raises CheckpointError unless each NAME_QuantMultA is one positive number for a weight NAME
    that is `known`."""
    for name in sorted(stored):
        if name.endswith(MULTIPLIER):
            values = stored[name].stored.read().ravel()
            fits = name.removesuffix(MULTIPLIER) in known and len(values) == 1
            if not fits or not 0 < values[0] < np.inf:
                raise CheckpointError(f"{name}: not one positive number for a known weight")
