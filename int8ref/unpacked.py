"""What a model's file holds compressed, kept as it is used: to unpack it takes a tenth of a start.

A file in the cache is a container of its own, named for the digest of the model's file and checked
as that is.  Where there is none, or it is damaged, the model's file is unpacked again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Set

from int8ref import container, storage
from int8ref.container import Array, ModelFileError

METADATA = "int8ref.unpacked"

_log = logging.getLogger(__name__)


def kept(digest: str, names: Set[str], unpack: Callable[[], dict[str, Array]]) -> dict[str, Array]:
    """The arrays of these names that `unpack` gives for the file of this digest: from the cache, or
    kept there."""
    path = storage.cache_folder() / f"unpacked-{digest[:32]}.safetensors"
    try:
        contents = container.unpack(container.map_file(path), METADATA)
        if contents.document == digest and contents.tensors.keys() == names:
            return contents.tensors
    except ModelFileError as error:
        if path.exists():
            _log.info("%s: %s; unpacking again", path, error)
    arrays = unpack()
    try:
        content = container.pack(arrays, METADATA, json.dumps(digest))
    except ModelFileError as error:
        _log.info("the unpacked model cannot be kept: %s", error)
    else:
        storage.keep(path, content, "the unpacked model")
    return arrays
