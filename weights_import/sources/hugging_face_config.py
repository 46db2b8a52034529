"""What lies beside a checkpoint of Hugging Face's transformers: the configuration of the model and
of its generation, and what a tokenizer has added to its vocabulary.

What changes the model and is not read is refused here where it may stand in every configuration;
where it belongs to one kind of model, by that kind's `msgspec.Struct`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from weights_import.errors import CheckpointError
from weights_import.sources import containers, json_file
from weights_import.sources.added_tokens import FILES, listed, named
from weights_import.sources.json_file import Kind

Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
Ids = Annotated[list[Id], msgspec.Meta(min_length=1, max_length=64)]

CONFIG, GENERATION = "config.json", "generation_config.json"
END = "eos_token_id"
GENERATED = "bos_token_id", "decoder_start_token_id", "eos_token_id", "forced_bos_token_id"
"""Fields that the configuration of the generation overrides.  transformers 5 writes some fields
only there."""
PASSED = {
    "_name_or_path", "activation_dropout", "architectures", "attention_dropout",
    "attention_probs_dropout_prob", "attn_implementation", "attn_pdrop", "auto_map",
    "bos_token_id", "classifier_dropout", "decoder_layerdrop", "dropout", "dropout_rate", "dtype",
    "embd_pdrop", "embedding_dropout", "encoder_layerdrop", "gradient_checkpointing",
    "hidden_dropout", "hidden_dropout_prob", "init_std", "initializer_factor",
    "initializer_range", "label2id", "num_hidden_layers", "pad_token_id", "pretraining_tp",
    "resid_pdrop", "residual_dropout", "tokenizer_class", "torch_dtype", "transformers_version",
    "type_vocab_size", "use_cache",
}  # fmt: skip
"""Fields that change no result of a model."""
TASKS = re.compile(r".*(Classification|QuestionAnswering|MultipleChoice|RewardModel)")
HARMLESS = re.compile(r"(?i)[<\[]/?(pad|s|unk|mask|bos|eos|cls|sep)[>\]]|\u2581*")
"""Tokens that stand in no text."""


def config_file(path: Path) -> Path:
    """The configuration of a checkpoint: config.json beside it, or NAME_config.json."""
    own = path.with_name(f"{path.stem}_config.json")
    return own if own.is_file() else path.with_name(CONFIG)


def beside(path: Path) -> list[Path]:
    """The configurations that `read_config` reads, what `added_tokens` looks at, and the parts of a
    checkpoint whose index `path` is."""
    named = [path.with_name(name) for name in (GENERATION, *FILES)]
    there = [file for file in (config_file(path), *named) if file.is_file()]
    return [*containers.files(path), *there]


def model_type(path: Path, tensor: str) -> str:
    """The kind of model that the configuration beside a checkpoint tells, if `path` is a whole one
    with a tensor of this name, which may have a prefix; else empty.  A look that never raises for
    readable files."""
    if containers.is_part(path) or not containers.names_tensor(path, tensor):
        return ""
    try:
        return str(configuration(path).get("model_type", ""))
    except CheckpointError:
        return ""


def configuration(path: Path) -> dict[str, Any]:
    """The configuration of a checkpoint, without null fields.

    Raises CheckpointError without a configuration.
    """
    return _object(config_file(path))


def read_config(path: Path, kind: type[Kind], tasks: tuple[str, ...] = ()) -> Kind:
    """The configuration of a checkpoint, with the fields of the configuration of the generation.

    The configuration may name code of its own, which is not run: `unknown_to` tells what to say of
    it.  `tasks` are endings of architectures that label texts and are read.  A null counts for the
    fields that are `nullable` in the kind.  A kind may have a table `older` of names that some
    configurations use for its fields.  Raises CheckpointError for a configuration of another kind,
    and for models that no reader reads.
    """
    told = configuration(path)
    file = config_file(path)
    for older, name in getattr(kind, "older", {}).items():
        if older in told:
            told.setdefault(name, told.pop(older))
    if problem := unread(told, code=True, tasks=tasks):
        raise CheckpointError(f"{file.name}: {problem}")
    generation = path.with_name(GENERATION)
    if file.name == CONFIG and generation.is_file():
        said = _object(generation)
        told |= {name: said[name] for name in GENERATED if name in said}
    if END not in told and _is_required(kind, END):
        told[END] = _end(path.parent)
    if nullable := getattr(kind, "nullable", ()):
        whole = json_file.parse_file(file)
        told |= {name: None for name in nullable if name in whole and whole[name] is None}
    return json_file.convert(told, kind, file.name)


def _is_required(kind: type[Any], name: str) -> bool:
    """Whether a configuration of a kind has to tell a field."""
    return any(f.encode_name == name and f.required for f in msgspec.structs.fields(kind))


def _end(folder: Path) -> int:
    """The token that the tokenizer in a folder names as the end of a text.

    Raises CheckpointError without one.
    """
    name = named(folder, "eos_token")
    token = listed(folder).get(name) if name is not None else None
    if token is None or token.id is None:
        raise CheckpointError(
            f"{CONFIG}: no {END}, and no tokenizer beside it tells the id of the token that ends a"
            f" text; add the id as {END}"
        )
    return token.id


def unknown_to(path: Path, kind: type[msgspec.Struct]) -> list[str]:
    """What is to be said of a configuration that names code of its own and has unknown fields."""
    told = configuration(path)
    if not _code(told):
        return []
    known = {field.encode_name for field in msgspec.structs.fields(kind)} | PASSED
    unknown = sorted(name for name, value in told.items() if value and name not in known)
    if not unknown:
        return []
    return [
        f"{config_file(path).name} names code of its own (auto_map), which is not run, and fields"
        f" that are not read: {shown(unknown)}"
    ]


def _code(told: Mapping[str, Any]) -> bool:
    """Whether a configuration names code that computes the model."""
    code = told.get("auto_map")
    return isinstance(code, dict) and any(str(name).startswith("AutoModel") for name in code)


def unread(told: Mapping[str, Any], code: bool = False, tasks: tuple[str, ...] = ()) -> str:
    """What a configuration of any kind says that no reader reads, or nothing.

    With `code`, it may name code of its own.  `tasks` as in `read_config`.
    """
    for name in ("quantization_config", "quantization"):
        if isinstance(found := told.get(name), dict):
            method = found.get("quant_method", "its own method")
            return (
                f"the weights are quantised by {method!s:.40}, which is not read; import the"
                " checkpoint in floats that they were made of"
            )
    if _code(told) and not code:
        return (
            "the model is computed by code of its own (auto_map), which is not run; where it is"
            " one of the kinds that are read, remove auto_map"
        )
    listed = told.get("architectures")
    for name in listed if isinstance(listed, list) else []:
        if isinstance(name, str) and TASKS.fullmatch(name) and not name.endswith(tasks):
            if tasks:
                return f"{name:.60} is not read; embeddings and labels of whole texts are read"
            return f"{name:.60} labels texts; models that write texts are read"
    return ""


class Marks:
    """The tokens that a configuration ends a text with, one or a list: each ends a text, and one of
    them is the end of a text that is given."""

    def __init__(self, told: int | list[int]) -> None:
        self._told = list(dict.fromkeys([told] if isinstance(told, int) else told))

    def chosen(self, own: int | None) -> int:
        """Of several, the `own` one of the tokenizer, or else the first."""
        return own if own is not None and own in self._told else self._told[0]

    def others(self, chosen: int) -> tuple[int, ...]:
        """The tokens besides the chosen one."""
        return tuple(token for token in self._told if token != chosen)


def begun(folder: Path) -> list[str]:
    """What is to be said of a language model whose tokenizer does not begin texts with a mark."""
    path = folder / "tokenizer_config.json"
    if not path.is_file() or _object(path).get("add_bos_token") is not False:
        return []
    return [f"{path.name} says add_bos_token: false, but a text begins with that token here"]


def added_tokens(folder: Path) -> list[str]:
    """The texts of the tokens that a tokenizer has beside its vocabulary, and of the special ones
    in it, but for those that stand in no text; raises CheckpointError for damaged files."""
    return [text for text in listed(folder) if not HARMLESS.fullmatch(text)]


def refuse_added(added: Collection[str], known: Collection[str]) -> None:
    """Raises CheckpointError where texts may hold tokens that are not `known` to the model of the
    tokenizer, which would cut them like any text."""
    unknown = [token for token in added if token not in known]
    if unknown:
        raise CheckpointError(
            f"{len(unknown)} tokens were added to the tokenizer ({shown(unknown)}), which is not"
            " supported, because its SentencePiece model cuts them like any text; if no text will"
            f" hold them, import a copy of the folder without {', '.join(FILES)}"
        )


def shown(tokens: Sequence[str]) -> str:
    """The first of some tokens, for a message."""
    listed = ", ".join(repr(token)[:40] for token in tokens[:4])
    return listed + (" ..." if len(tokens) > 4 else "")


def _object(path: Path) -> dict[str, Any]:
    """A JSON object without what is null; raises CheckpointError for what is none."""
    if not path.is_file():
        raise CheckpointError(f"no {path.name} beside it")
    told = json_file.parse_file(path)
    if not isinstance(told, dict):
        raise CheckpointError(f"{path.name}: not a JSON object")
    return {name: value for name, value in told.items() if value is not None}
