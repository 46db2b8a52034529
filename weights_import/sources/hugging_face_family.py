"""Reads decoders alone of Hugging Face's transformers, by a configuration and a table of names.

A module for a family says which kinds of models belong to it, what their configurations tell, and
where the file has their tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from weights_import.composer import Composer
from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel
from weights_import.operations.heads import Heads
from weights_import.sources import decoder_only, json_file, linear_biases
from weights_import.sources.containers import contents
from weights_import.sources.hugging_face import FOLLOWS, unused
from weights_import.sources.hugging_face_config import read_config, unknown_to
from weights_import.sources.hugging_face_decoder import companions, decoder_model, words
from weights_import.sources.hugging_face_decoder_config import Config
from weights_import.sources.hugging_face_kinds import Kinds
from weights_import.sources.hugging_face_names import NORMS, QUERY, QUERY_NORM, Names, placed
from weights_import.sources.lookup import Lookup, Own
from weights_import.sources.safetensors_file import Contents
from weights_import.sources.stored_rows import joined, scaled, turned_scaled
from weights_import.tensors import Stored

MASKS = re.compile(r"(.*\.)?(attn|attention)\.(bias|masked_bias)")
"""Constants of the attention that older versions of transformers store."""
FREQUENCIES = re.compile(r".*rotary_emb\.inv_freq")
OF_HEADS = re.compile(r"(.*)\.norms\.(\d{1,4})\.weight")
"""The gains of the norm of one head."""
ROUNDED = 1e-2
"""The largest relative error of the frequencies that a file stores: 16 bits round them."""


@dataclass(frozen=True)
class Family(Kinds):
    """One format: models of some kinds, each with its title, its fields and its names."""

    config: type[Config]
    names: Names

    @property
    def format(self) -> str:
        """Its name for people."""
        return f"Hugging Face {self.title} (.safetensors or .bin, and config.json)"

    def recognises(self, path: Path) -> bool:
        """Whether the file is a checkpoint of this family, with its configuration beside it."""
        return self.holds(path, self.names.always)

    def companions(self, path: Path) -> list[Path]:
        """The files beside it that `read` reads."""
        return companions(path)

    def read(self, path: Path) -> FloatModel:
        """Reads a checkpoint with the files beside it; raises CheckpointError."""
        with located(path):
            config = read_config(path, self.config)
            self.check(config.model_type)
            model = self._model(path, config, contents(path))
            model.warnings.extend(unknown_to(path, self.config))
            return model

    def made(self, path: Path, told: Mapping[str, Any], content: Contents) -> FloatModel:
        """The model of a configuration and of tensors that another container has.

        Its tokenizer lies beside `path`.  Raises CheckpointError.
        """
        return self._model(path, json_file.convert(told, self.config, path.name), content)

    def _model(self, path: Path, config: Config, content: Contents) -> FloatModel:
        kept = {n: x for n, x in content.tensors.items() if not FOLLOWS.fullmatch(n)}
        stored = with_joined_norms(kept)
        names = replace(self.names, parts={**self.names.parts, **config.own_names}).within(stored)
        own = words(config, stored, names.body + names.embedding, names.heads)
        inside = {n.removeprefix(names.body): x for n, x in stored.items()}
        own = config.widened(own, inside)
        own |= {"output.bias": head_bias(stored, names), linear_biases.TABLE: config.addends}
        check_biases(stored, config.biases)
        shape = config.shape
        found = Lookup(stored, names.stored, own)
        find = partial(tensor, config, found, shape.heads)
        c = Composer(find, config.width, config.norm, biases=False)
        logits = decoder_only.compose(c, shape)
        frequencies = {n: stored[n] for n in stored if FREQUENCIES.fullmatch(n)}
        others = {n for n in stored if MASKS.fullmatch(n)} | frequencies.keys()
        made = c.finish(logits, unused(found, others | names.words))
        origin = {"format": f"Hugging Face {self.titles[config.model_type]}"}
        model = decoder_model(path, origin | {"sha256": content.sha256}, config, made)
        model.warnings.extend(stored_frequencies(frequencies, shape.heads.rotary))
        return model


def with_joined_norms(stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """The tensors of a file, with one tensor for the gains of norms that each head has.

    Gains of several shapes, or of another rank, and gaps in their numbers stay as they are.
    """
    found, parts = dict(stored), dict[str, dict[int, str]]()
    for name in stored:
        if at := OF_HEADS.fullmatch(name):
            parts.setdefault(at[1], {})[int(at[2])] = name
    for place, names in parts.items():
        listed = [names[i] for i in sorted(names)]
        whole = sorted(names) == [*range(len(names))]
        shapes = {found[name].shape for name in listed}
        if whole and len(shapes) == 1 and len(shapes.pop()) == 1:
            found[f"{place}.weight"] = joined([found.pop(name) for name in listed])
    return found


def tensor(config: Config, found: Lookup, heads: Heads, canonical: str) -> Own:
    """The tensor of a canonical name in the form that an operation reads; None without one."""
    layer, part, leaf = placed(canonical)
    if part in NORMS and not config.has_gains:
        return Stored.of(np.ones(config.width, np.float32)) if leaf == "gain" else None
    if part in NORMS and leaf == "bias" and not config.norm.bias:
        return None
    there = found(canonical)
    if there is None:
        return None
    there = config.changed(part or canonical, there)
    if part != (QUERY_NORM if heads.norms else QUERY):
        return there
    there = scaled(there, config.query_factor(int(layer)))
    magnitude = config.rotary.magnitude
    single = there.shape[:1] == (heads.size,)
    turned = replace(heads, count=1, key_heads=1) if single else heads
    return turned_scaled(there, turned, magnitude * magnitude)


def head_bias(stored: Mapping[str, Stored], names: Names) -> Stored | None:
    """The bias of the logits, if such a file has one; raises CheckpointError where it lacks it."""
    if not names.head_bias:
        return None
    if names.head_bias not in stored:
        raise CheckpointError(f"missing {names.head_bias}")
    return stored[names.head_bias]


def check_biases(stored: Mapping[str, Stored], told: Mapping[str, bool]) -> None:
    """Raises CheckpointError where the file has biases that it must not have, or lacks some, for
    the parts of a layer that are `told`."""
    matrices = [n for n, x in stored.items() if n.endswith(".weight") and len(x.shape) == 2]
    for part, wanted in told.items():
        weights = [name for name in matrices if f".{part}." in name]
        biases = [name.removesuffix("weight") + "bias" in stored for name in weights]
        if any(biases) != wanted or any(biases) != all(biases):
            raise CheckpointError(
                f"{biases.count(True)} biases for {len(weights)} matrices of {part}, where the"
                f" configuration tells of {len(weights) if wanted else 0}"
            )


def stored_frequencies(found: Mapping[str, Stored], told: tuple[float, ...]) -> list[str]:
    """What is to be said of the frequencies of positions, which older files store and transformers
    no longer reads, because they follow from the configuration."""
    for name, there in found.items():
        values = there.read().ravel()
        if values.size != len(told) or not np.allclose(values, told, rtol=ROUNDED, atol=1e-6):
            return [f"{name} differs from the configuration, which counts"]
    return []
