"""What stands around the source of a CTranslate2 model.

Its configuration tells what CTranslate2 itself adds.  Its converter of transformers' models leaves
that to the tokenizer of the caller, so for those the frame follows from the kind of model:

    Marian      the decoder begins with the zero vector                 ... </s>
    BART        learned positions, and a norm of what is embedded       <s> ... </s>
    Pegasus     the decoder begins with <pad>                           ... </s>

Models of many languages have their own frames, see `ctranslate2_languages`.
"""

from __future__ import annotations

from collections.abc import Mapping

from int8ref.program.program import SourceFrame
from weights_import.errors import CheckpointError
from weights_import.sources.ctranslate2_text import CONFIG, Config
from weights_import.sources.ctranslate2_variables import STACKS, Variables

NAMES = "none", "bos", "eos", "bos-eos"
PAD = "<pad>"


def frames(vocabulary: Mapping[str, int], config: Config) -> dict[str, SourceFrame]:
    """The frames that the vocabulary of a source allows, by the names that a user asks for."""
    marks = {"bos": config.bos_token, "eos": config.eos_token}
    ids = {name: vocabulary[t] for name, t in marks.items() if t is not None and t in vocabulary}
    found = {}
    for name in NAMES:
        parts = [] if name == "none" else name.split("-")
        if all(part in ids for part in parts):
            before = (ids["bos"],) if "bos" in parts else ()
            found[name] = SourceFrame(before, (ids["eos"],) if "eos" in parts else ())
    return found


def frame(vocabulary: Mapping[str, int], config: Config, name: str) -> SourceFrame:
    """The frame of a name; raises CheckpointError where the vocabulary lacks its tokens."""
    found = frames(vocabulary, config)
    if name not in found:
        raise CheckpointError(
            f"a source of such a model begins with the bos_token of {CONFIG}, but"
            f" {config.bos_token!r:.80} is no token"
        )
    return found[name]


def frame_of(variables: Variables, config: Config) -> str:
    """The name of the frame that the model was trained with; empty where nothing tells it."""
    if config.add_source_bos or config.add_source_eos:
        told = {"bos": config.add_source_bos, "eos": config.add_source_eos}
        return "-".join(name for name, added in told.items() if added)
    if variables.number("decoder/start_from_zero_embedding", 0):
        return "eos"
    tables = any(f"{stack}/position_encodings/encodings" in variables for stack in STACKS)
    if tables and "encoder/layernorm_embedding/gamma" in variables:
        return "bos-eos"
    if config.decoder_start_token == PAD:
        return "eos"
    by_transformers = tables or config.decoder_start_token == config.eos_token
    return "" if by_transformers else "none"
