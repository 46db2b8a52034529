"""Finds the tensors of a file by canonical names, and keeps count of what was found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from weights_import.tensors import Stored

Own = Stored | None
"""A tensor that a reader has made or chosen itself; None for a tensor that the file lacks."""


class Lookup:
    """The function with which a Composer finds tensors.

    `stored` are the tensors of the file.  `name_of` gives the name there for a canonical name.
    `own` are tensors of the reader by canonical names, and replace tensors of the file.  `asked`
    collects the names in the file that were asked for.
    """

    def __init__(
        self,
        stored: Mapping[str, Stored],
        name_of: Callable[[str], str],
        own: Mapping[str, Own] | None = None,
    ) -> None:
        self._stored, self._name_of, self._own = stored, name_of, own or {}
        self.asked: set[str] = set()

    def __call__(self, canonical: str) -> Own:
        """The tensor of a canonical name, None without one."""
        if canonical in self._own:
            return self._own[canonical]
        name = self._name_of(canonical)
        self.asked.add(name)
        return self._stored.get(name)

    def unasked(self, others: Collection[str] = ()) -> dict[str, Stored]:
        """The tensors that nobody has asked for, by their names in the file, but for `others`."""
        return {
            name: tensor
            for name, tensor in self._stored.items()
            if name not in self.asked and name not in others
        }


def described(tensors: Mapping[str, Stored]) -> list[str]:
    """The names of tensors with their shapes, for a message."""
    return [f"{name} {list(tensor.shape)}" for name, tensor in tensors.items()]
