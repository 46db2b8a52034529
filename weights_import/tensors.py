"""The tensors of a float model, which are read from the checkpoint at each use."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def from_bfloat16(halves: NDArray[np.uint16]) -> Float32:
    """The numbers that bfloat16 stores as the upper halves of float32."""
    words: NDArray[np.uint32] = halves.astype(np.uint32) << np.uint32(16)
    return words.view(np.float32)


@dataclass(frozen=True)
class Stored:
    """A tensor of a checkpoint: its name there, its shape, and how it is read as float32.

    With `bfloat16`, every value is a number of bfloat16, so half of the bytes are enough.
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[], Float32]
    bfloat16: bool = False

    @classmethod
    def of(cls, values: Float32, name: str = "") -> Stored:
        """A tensor that is in memory."""
        return cls(name, values.shape, lambda: values)

    def changed(self, shape: tuple[int, ...], change: Callable[[Float32], Float32]) -> Stored:
        """The tensor with a change of its form at each reading, such as a transposition."""
        return replace(self, shape=shape, read=lambda: change(self.read()))

    @property
    def nbytes(self) -> int:
        """Its bytes as float32."""
        return 4 * math.prod(self.shape)


class Tensors(MutableMapping[str, Float32]):
    """Tensors by name: float32 arrays, read anew at each access unless they were assigned.

    Tied tensors are the same `Stored` under several names.
    """

    def __init__(self, stored: Mapping[str, Stored | Float32] | None = None) -> None:
        self._stored: dict[str, Stored] = {}
        for name, tensor in (stored or {}).items():
            self.put(name, tensor)

    def put(self, name: str, tensor: Stored | Float32) -> None:
        """Keep a tensor under a name."""
        found = tensor if isinstance(tensor, Stored) else Stored.of(tensor, name)
        self._stored[name] = found

    def stored(self, name: str) -> Stored:
        """The tensor before it is read."""
        return self._stored[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Its shape, without reading it."""
        return self._stored[name].shape

    def tied(self, name: str) -> bool:
        """Whether a tensor has other names too."""
        return len(self.names_of(name)) > 1

    def names_of(self, name: str) -> set[str]:
        """All names of a tensor."""
        stored = self._stored[name]
        return {other for other, one in self._stored.items() if one is stored}

    def copy(self) -> Tensors:
        """The same tensors under the same names; assignments to the copy leave these alone."""
        return Tensors(self._stored)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors as float32, tied ones once."""
        return sum({id(one): one.nbytes for one in self._stored.values()}.values())

    def __getitem__(self, name: str) -> Float32:
        return self._stored[name].read()

    def __setitem__(self, name: str, tensor: Float32) -> None:
        self.put(name, tensor)

    def __delitem__(self, name: str) -> None:
        del self._stored[name]

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)
