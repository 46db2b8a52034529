"""Checkpoints of PyTorch (`pytorch_model.bin`, .pt, .pth, .ckpt), which torch.save writes: a pickle
that tells of tensors, and their numbers beside it.

Nothing of the pickle is run.  A tensor is read from the file whenever it is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weights_import.errors import CheckpointError
from weights_import.sources import torch_file_legacy, torch_file_zip
from weights_import.sources.safetensors_file import STORED, Contents, check_empty, stored
from weights_import.sources.torch_pickle_names import Tensor
from weights_import.sources.unchanged_file import UnchangedFile
from weights_import.tensors import Stored

WRAPPERS = "state_dict", "model", "model_state_dict", "model_state", "module"
"""What checkpoints of training keep the tensors under."""
DEPTH = 3
VIEWS = 4
"""All tensors of a storage have at most so many times its numbers, so that a model needs no more
memory than its file lets expect."""


def outline(path: Path) -> bytes:
    """The part of a file that names its tensors; empty for other files.

    A look that never raises for a readable file.
    """
    found: bytes = _form(path).outline(path)
    return found


def _form(path: Path) -> ModuleType:
    """The module that reads a file of these first bytes."""
    with path.open("rb") as file:
        is_zip = file.read(len(torch_file_zip.MAGIC)) == torch_file_zip.MAGIC
    return torch_file_zip if is_zip else torch_file_legacy


@dataclass(frozen=True)
class TorchFile:
    """A file that torch.save has written.

    value   what was saved: plain data, and a `Tensor` for each tensor
    places  where the bytes of each storage lie: their offset and their number
    """

    file: UnchangedFile
    value: Any
    places: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, path: Path) -> TorchFile:
        """The file as it is now; raises CheckpointError with what is wrong."""
        file = UnchangedFile.of(path)
        return cls(file, *_form(path).opened(file))

    def stored(self, tensors: Mapping[str, Tensor]) -> dict[str, Stored]:
        """The tensors, each of which is read when it is used; equal views are the same object.

        Raises CheckpointError for a storage that is no part of the file.
        """
        views: dict[Tensor, Stored] = {}
        numbers: Counter[str] = Counter()
        for name, tensor in tensors.items():
            if tensor not in views:
                views[tensor] = self._stored(name, tensor)
                key, count = tensor.storage.key, tensor.storage.count
                numbers[key] += tensor.count
                if numbers[key] > VIEWS * count:
                    raise CheckpointError(
                        f"{name}: the tensors of its storage have more than {VIEWS} times the"
                        f" {count} numbers of it"
                    )
        return {name: views[tensor] for name, tensor in tensors.items()}

    def _stored(self, name: str, tensor: Tensor) -> Stored:
        kind = np.dtype(STORED[tensor.storage.kind])
        offset, length = self.places[tensor.storage.key]
        if length != tensor.storage.count * kind.itemsize:
            raise CheckpointError(
                f"{name}: its storage has {length} bytes, not {tensor.storage.count} numbers"
            )
        if not tensor.count:
            check_empty(name, tensor.shape, kind)
        start = offset + tensor.offset * kind.itemsize

        def read() -> NDArray[Any]:
            return strided(self.file.numbers(start, tensor.span, kind), tensor)

        return stored(name, tensor.shape, tensor.storage.kind, read)


def strided(values: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    """The numbers of a tensor in order, of those from its first one to its last one."""
    if not tensor.count:
        return np.empty(tensor.shape, values.dtype)
    size = values.itemsize
    steps = zip(tensor.shape, tensor.strides, strict=True)
    strides = [stride * size if count > 1 else size for count, stride in steps]
    view: NDArray[Any] = np.ndarray(tensor.shape, values.dtype, values, strides=strides)
    return view if view.flags.c_contiguous else view.copy()


def named(value: Any) -> dict[str, Tensor]:
    """The tensors by name of what was saved; raises CheckpointError without any."""
    for _ in range(DEPTH):
        if not isinstance(value, dict):
            break
        found = {n: t for n, t in value.items() if isinstance(n, str) and isinstance(t, Tensor)}
        if found:
            return found
        inner = [value[name] for name in WRAPPERS if isinstance(value.get(name), dict)]
        value = inner[0] if inner else None
    raise CheckpointError("it has no tensors by name, as torch.save(model.state_dict(), FILE) has")


def contents(path: Path) -> Contents:
    """A file whose pickle is read now, and whose tensors are read when they are used.

    Raises CheckpointError with what is wrong.
    """
    file = TorchFile.of(path)
    return Contents({}, file.stored(named(file.value)), file.file.sha256())
