"""Writes files as torch.save does, without PyTorch: an oracle for the reader.

It uses Python's own pickler, so the reader and the writer share no code.  A file may have anything
in it, hostile things too.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
KINDS = {
    "<f4": "FloatStorage", "<f8": "DoubleStorage", "<f2": "HalfStorage", "<i8": "LongStorage",
    "<i4": "IntStorage", "<i2": "ShortStorage", "|i1": "CharStorage", "|u1": "ByteStorage",
    "|b1": "BoolStorage", "<u2": "BFloat16Storage",
}  # fmt: skip


@dataclass(frozen=True)
class Named:
    """A global name, which the pickler writes as it is.  Nobody calls it here."""

    module: str
    name: str

    def __call__(self) -> None:
        raise AssertionError


class Storage:
    """The numbers that several tensors may share."""

    def __init__(self, values: Any) -> None:
        self.values = np.ascontiguousarray(values).ravel()


@dataclass(eq=False)
class View:
    """A tensor: some numbers of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, values: Any) -> View:
        """A tensor that has its own storage."""
        array = np.asarray(values)
        strides = np.empty(array.shape, np.uint8).strides
        return cls(Storage(array), 0, array.shape, strides)


@dataclass(eq=False)
class Parameter:
    """A tensor as torch.nn.Parameter."""

    data: View


@dataclass(eq=False)
class Call:
    """REDUCE of a name with arguments, and BUILD with a state."""

    function: Named
    arguments: tuple[Any, ...]
    state: Any = None


class Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
    """Python's pickler with tensors as PyTorch has them."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, out: io.BytesIO, protocol: int, legacy: bool) -> None:
        super().__init__(out, protocol)
        self.legacy, self.storages = legacy, dict[str, Storage]()

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Storage):
            return None
        keys = [key for key, one in self.storages.items() if one is value]
        key = keys[0] if keys else str(len(self.storages) + (94 << 10 if self.legacy else 0))
        self.storages[key] = value
        named = Named("torch", KINDS[value.values.dtype.str])
        told = ("storage", named, key, "cpu", value.values.size)
        return (*told, None) if self.legacy else told

    def save_named(self, value: Named) -> None:
        self.write(b"c" + f"{value.module}\n{value.name}\n".encode())
        self.memoize(value)

    def save_view(self, value: View) -> None:
        arguments = (value.storage, value.offset, value.shape, value.strides, False, OrderedDict())
        self.save_reduce(Named("torch._utils", "_rebuild_tensor_v2"), arguments, obj=value)

    def save_parameter(self, value: Parameter) -> None:
        named = Named("torch._utils", "_rebuild_parameter")
        self.save_reduce(named, (value.data, True, OrderedDict()), obj=value)

    def save_call(self, value: Call) -> None:
        self.save_reduce(value.function, value.arguments, value.state, obj=value)

    def save_array(self, value: Any) -> None:
        self.save(View.of(value))

    dispatch[Named] = save_named
    dispatch[View] = save_view
    dispatch[Parameter] = save_parameter
    dispatch[Call] = save_call
    dispatch[np.ndarray] = save_array


def pickled(value: Any, protocol: int = 2, legacy: bool = False) -> tuple[bytes, dict[str, Any]]:
    """Return the pickle, and the numbers of each storage."""
    out = io.BytesIO()
    pickler = Pickler(out, protocol, legacy)
    pickler.dump(value)
    return out.getvalue(), {key: one.values for key, one in pickler.storages.items()}


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip of these members in a folder, as PyTorch names it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)
    return out.getvalue()


def zip_of(content: bytes, storages: Mapping[str, Any] | None = None, **more: bytes) -> bytes:
    """Return a file of the newer form for a pickle."""
    stored = {f"data/{key}": values.tobytes() for key, values in (storages or {}).items()}
    members = {"data.pkl": content, "byteorder": b"little", **stored, "version": b"3\n"}
    return zipped(members | more)


def legacy_of(
    content: bytes, storages: Mapping[str, Any] | None = None, little_endian: bool = True
) -> bytes:
    """Return a file of the older form for a pickle."""
    machine = {"protocol_version": VERSION, "little_endian": little_endian, "type_sizes": {}}
    stored = storages or {}
    head = [pickle.dumps(one, 2) for one in (MAGIC, VERSION, machine)]
    keys = pickle.dumps(list(stored), 2)
    numbers = [struct.pack("<q", one.size) + one.tobytes() for one in stored.values()]
    return b"".join([*head, content, keys, *numbers])


def saved(value: Any, legacy: bool = False, protocol: int = 2) -> bytes:
    """Return what torch.save writes of a value in either form."""
    made = pickled(value, protocol, legacy)
    return legacy_of(*made) if legacy else zip_of(*made)
