"""YAML as training frameworks write it beside a checkpoint: plain data, whatever its tags say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]

from weights_import.errors import CheckpointError
from weights_import.sources import json_file
from weights_import.sources.checkpoint_bytes import one_line
from weights_import.sources.json_file import Kind
from weights_import.sources.tokenizers import read_limited


def parse_file(path: Path) -> dict[str, Any]:
    """The mapping in a file, whose scalars stay texts, because no tag and no form of them counts.

    Raises CheckpointError for what is no mapping.
    """
    try:
        told = yaml.load(read_limited(path), Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path.name}: {one_line(error)}") from None
    if not isinstance(told, dict):
        raise CheckpointError(f"{path.name}: not a mapping")
    return told


def read(path: Path, kind: type[Kind]) -> Kind:
    """What is of a kind in a file, whose texts become numbers and truth values.

    Raises CheckpointError for what is not.
    """
    return json_file.convert(parse_file(path), kind, path.name, strict=False)
