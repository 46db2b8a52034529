"""The interpreter of pickles: equal to Python's on plain data, and it runs nothing."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damage import FUZZ
from hypothesis import given
from hypothesis import strategies as st

from weights_import.errors import CheckpointError
from weights_import.sources.torch_pickle import unpickled
from weights_import.sources.torch_pickle_machine import MAXIMUM_STEPS
from weights_import.sources.torch_pickle_names import NAMES, storage

KEYS = st.text(max_size=9) | st.binary(max_size=9) | st.integers(-(2**32) + 1, 2**32 - 1)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**999), 2**999) | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=())) | st.binary()
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=5)
        | st.lists(KEYS, max_size=5, unique=True).map(OrderedDict.fromkeys)
    ),
    max_leaves=20,
)


def read(content: bytes) -> Any:
    value, end = unpickled(content, 0, NAMES, storage)
    assert end == len(content)
    return value


def refusal(content: bytes) -> str:
    """Return why a pickle is refused."""
    try:
        unpickled(content, 0, NAMES, storage)
    except CheckpointError as error:
        return str(error)
    return ""


@given(value=VALUES, protocol=st.integers(2, 5))
def test_plain_values_are_those_of_python(value: Any, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)) == value


def test_values_that_are_used_again_are_one() -> None:
    shared: list[Any] = [1]
    shared.append(shared)
    found = read(pickle.dumps((shared, shared, {"x": shared}), 2))
    assert found[0] is found[1] is found[2]["x"] is found[0][1]


def test_sets_are_lists() -> None:
    for protocol in (2, 4):
        assert read(pickle.dumps([{1}, frozenset((2,)), set()], protocol)) == [[1], [2], []]


def test_what_python_2_writes() -> None:
    """Texts of bytes, integers of 64 bits in decimals, and ordered dictionaries with pairs."""
    assert read(b"\x80\x02U\x03abc.") == "abc"
    assert read(b"\x80\x02T\x01\x00\x00\x00\xff.") == b"\xff"
    assert read(b"\x80\x02(I1099511627776\nI01\nI00\nl.") == [1 << 40, True, False]
    ordered = b"\x80\x02ccollections\nOrderedDict\n](](U\x01aK\x05e](U\x01bK\x06ee\x85R."
    assert read(ordered) == {"a": 5, "b": 6}


def test_attributes_of_a_namespace() -> None:
    namespace = b"\x80\x02cargparse\nNamespace\n)\x81}(X\x06\x00\x00\x00layersK\x02ub."
    assert read(namespace) == {"layers": 2}


RAN: list[str] = []


def ran(*arguments: object) -> None:
    """What a hostile pickle would run."""
    RAN.append("ran")


class Reduced:
    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


class Here:
    def __reduce__(self) -> Any:
        return ran, ()


SYSTEM = b"cposix\nsystem\n"
TEXT = b"X\x09\x00\x00\x00touch ran"
STATE = b"}X\x01\x00\x00\x00xK\x01s"
PAYLOADS: dict[str, tuple[bytes, str]] = {
    "REDUCE": (SYSTEM + TEXT + b"\x85R.", "posix.system"),
    "REDUCE of this module": (pickle.dumps(Here(), 2), "ran"),
    "REDUCE of a newer protocol": (pickle.dumps(Reduced(), 4), "posix.system"),
    "GLOBAL alone": (SYSTEM + b".", "posix.system"),
    "GLOBAL of a part of a name": (b"ctorch\nserialization.os.system\n.", "torch.serialization.os"),
    "STACK_GLOBAL": (b"\x8c\x02os\x8c\x06system\x93" + TEXT + b"\x85R.", "os.system"),
    "STACK_GLOBAL of no text": (b"K\x01K\x02\x93.", "a name that is no text"),
    "INST": (b"(" + TEXT + b"ios\nsystem\n.", "os.system"),
    "INST of a known name": (b"(icollections\nOrderedDict\n.", "the opcode INST, which"),
    "OBJ": (b"(" + SYSTEM + TEXT + b"o.", "posix.system"),
    "OBJ of a known name": (b"(ccollections\nOrderedDict\no.", "the opcode OBJ, which PyTorch"),
    "NEWOBJ": (b"csubprocess\nPopen\n" + TEXT + b"\x85\x81.", "subprocess.Popen"),
    "NEWOBJ_EX": (b"csubprocess\nPopen\n" + TEXT + b"\x85}\x92.", "subprocess.Popen"),
    "NEWOBJ_EX with names": (b"ccollections\nCounter\n)" + STATE + b"\x92.", "named arguments"),
    "BUILD": (b"c__main__\nX\n)\x81" + STATE + b"b.", "__main__.X"),
    "EXT1": (b"\x82\x01" + TEXT + b"\x85R.", "the opcode EXT1, which PyTorch does not write"),
    "EXT2": (b"\x83\x01\x00.", "the opcode EXT2"),
    "EXT4": (b"\x84\x01\x00\x00\x00.", "the opcode EXT4"),
    "PERSID": (b"Pstorage\n.", "the opcode PERSID"),
    "BINPERSID": (TEXT + b"Q.", "no storage of numbers of a known type"),
    "BINPERSID of a module": (
        b"(X\x06\x00\x00\x00moduleccollections\nOrderedDict\nX\x01\x00\x00\x000X\x01\x00\x00\x000tQ.",
        "no storage of numbers",
    ),
    "NEXT_BUFFER": (b"\x97.", "the opcode NEXT_BUFFER"),
    "READONLY_BUFFER": (b"\x98.", "the opcode READONLY_BUFFER"),
    "STRING": (b"S'x'\n.", "the opcode STRING"),
    "UNICODE": (b"Vx\n.", "the opcode UNICODE"),
    "eval": (b"c__builtin__\neval\n" + TEXT + b"\x85R.", "__builtin__.eval"),
    "getattr": (b"cbuiltins\ngetattr\n" + TEXT + TEXT + b"\x86R.", "builtins.getattr"),
    "a call of a type": (b"cbuiltins\nint\n" + TEXT + b"\x85R.", "a name that is no function"),
    "a call of a text": (TEXT + TEXT + b"\x85R.", "a call of what is no name"),
    "a call of a value": (b"ccollections\nOrderedDict\n)R)R.", "a call of what is no name"),
    "a class of torch": (b"ctorch.jit\n_load\n.", "torch.jit._load"),
    "bytes of PyTorch": (b"ctorch.storage\n_load_from_bytes\n.", "torch.storage._load_from_bytes"),
    "nested types": (
        b"ctorch._tensor\n_rebuild_from_type_v2\n(h\x00h\x00))tR.", "no value has the number 0",
    ),
    "a codec": (b"c_codecs\nencode\nU\x01xU\x04zlib\x86R.", "bytes of an unknown form"),
}  # fmt: skip


@pytest.mark.parametrize("case", PAYLOADS)
def test_a_payload_is_refused_by_name_and_never_run(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, message = PAYLOADS[case]
    start = b"" if content[:1] == b"\x80" else b"\x80\x02"
    with pytest.raises(CheckpointError) as caught:
        read(start + content)
    assert message in str(caught.value)
    assert "pickle at byte" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert not RAN


def test_every_opcode_of_python_is_read_or_refused() -> None:
    """One byte each, after enough on the stack."""
    for code in range(256):
        said = refusal(b"\x80\x02NN(" + bytes([code]) + b"\x01" + bytes(7) + b"\n\n.")
        assert said == "" or said.startswith("pickle at byte ")


FAULTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "pickle at byte 0: it has no end"),
    "no end": (b"N", "pickle at byte 1: it has no end"),
    "an empty stack": (b".", "no value is left"),
    "nothing to remember": (b"q\x00", "there is no object on the stack"),
    "no mark": (b"t", "no mark is left"),
    "a newer protocol": (b"\x80\x06", "protocol 6, at most 5 is read"),
    "a text beyond the end": (b"X\xff\xff\xff\x7f", "needs 2147483647 bytes"),
    "bytes beyond the end": (b"\x8e" + b"\xff" * 8, "needs 18446744073709551615 bytes"),
    "a long integer": (b"\x8b\x00\x01\x00\x00" + bytes(256), "an integer of 256 bytes"),
    "an integer that is none": (b"Ix\n", "damaged"),
    "an integer of many digits": (b"I" + b"9" * 400 + b"\n", "an integer of 400 digits"),
    "a long line": (b"c" + b"x" * 600 + b"\ny\n", "a line without an end"),
    "a text that is none": (b"X\x01\x00\x00\x00\xff", "damaged"),
    "a key without a value": (b"}(K\x01u", "a key without a value"),
    "a key that collides": (b"}(\x8a\x08" + b"\xff" * 7 + b"\x1fNu", "a key of a dictionary is"),
    "a key of tuples": (b"})Ns", "a key of a dictionary is of type tuple"),
    "items of no list": (b"}Na", "there is no list on the stack"),
    "items of no dictionary": (b"]NNs", "there is no dict on the stack"),
    "a value that was not kept": (b"h\x07", "no value has the number 7"),
    "an unknown opcode": (b"\xff", r"b'\xff' is no opcode"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told(fault: str) -> None:
    content, message = FAULTS[fault]
    with pytest.raises(CheckpointError) as caught:
        read(content)
    assert message in str(caught.value)


def many(start: bytes, step: bytes, count: int = MAXIMUM_STEPS) -> bytes:
    return b"\x80\x02" + start + step * count + b"."


BOMBS: dict[str, Callable[[], bytes]] = {
    "dictionaries": lambda: many(b"", b"}"),
    "tuples in tuples": lambda: many(b"N", b"\x85"),
    "marks": lambda: many(b"", b"("),
    "doubled tuples": lambda: many(b"N", b"2\x86", 99),
    "a list in a set, again and again": lambda: many(
        b"](" + b"N" * 9999 + b"eq\x00cbuiltins\nset\nq\x01", b"h\x01h\x00\x85R", 9999
    ),
    "attributes, again and again": lambda: many(
        b"cargparse\nNamespace\n)\x81}("
        + b"".join(b"M" + struct.pack("<H", i) + b"N" for i in range(9999))
        + b"uq\x00",
        b"bh\x00",
        9999,
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_end(bomb: str) -> None:
    """Nested tuples are one value each; the rest takes more steps than there are."""
    said = refusal(BOMBS[bomb]())
    assert f"more than {MAXIMUM_STEPS} steps" in said or (bomb, said) == ("doubled tuples", "")


@FUZZ
@given(data=st.data())
def test_random_opcodes_are_read_or_refused(data: st.DataObject) -> None:
    codes = "NK\x88]})(RbQcqhteausld\x85\x86\x81\x92\x93\x94\x8cX2010I."
    alphabet = st.sampled_from([code.encode("latin-1") for code in codes])
    parts = data.draw(st.lists(alphabet | st.binary(max_size=3), max_size=30))
    with contextlib.suppress(CheckpointError):
        unpickled(b"".join(parts), 0, NAMES, storage)
