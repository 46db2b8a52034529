"""An interpreter of pickles that makes plain values, and that runs nothing of a file.

Python's own reader of pickles imports and calls what a file names.  This one has a table of names,
and refuses every other name.  It knows the opcodes of protocols 2 to 5 that describe data.

The number of steps has a limit, and so has every length.  Therefore the memory is bounded by the
size of the file, and no pickle takes long.  Keys of a dictionary are texts and small integers,
because a file could choose other keys such that they all collide.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from weights_import.errors import CheckpointError
from weights_import.sources.checkpoint_bytes import Cursor
from weights_import.sources.torch_pickle_machine import Known, Machine

MAXIMUM_BYTES = 1 << 25
"""Of a pickle, without the numbers of its tensors, which stand outside."""
MAXIMUM_INTEGER_BYTES = 1 << 7
MAXIMUM_PROTOCOL = 5
MAXIMUM_KEY = 1 << 32
STOP = b"."
INSTANCE = b"i"


def unpickled(
    content: bytes,
    offset: int,
    names: Mapping[str, Known],
    persistent: Callable[[object], object],
) -> tuple[Any, int]:
    """The value of the pickle that begins at a byte, and the byte after its end.

    Raises CheckpointError with what is wrong and where.
    """
    machine = Machine(Cursor(content), names, persistent, [], [], {})
    machine.input.offset = offset
    while True:
        at = machine.input.offset
        try:
            machine.spend(1)
            machine.input.offset += 1
            code = content[at : at + 1]
            if code == STOP:
                return machine.pop(), machine.input.offset
            if code in VALUES:
                machine.push(VALUES[code](machine))
            elif code in CHANGES:
                CHANGES[code](machine)
            else:
                raise CheckpointError(_unread(machine, code))
        except CheckpointError as error:
            raise CheckpointError(f"pickle at byte {at}: {error}") from None
        except (ValueError, OverflowError) as error:
            raise CheckpointError(f"pickle at byte {at}: damaged ({error})") from None


def _unread(machine: Machine, code: bytes) -> str:
    """What is said of an opcode that is not read."""
    if not code:
        return "it has no end"
    if code == INSTANCE:
        machine.known(machine.line(), machine.line())
    names = [one.name for one in pickletools.opcodes if one.code.encode("latin-1") == code]
    if not names:
        return f"{code!r} is no opcode"
    return f"the opcode {names[0]}, which PyTorch does not write"


def as_dictionary(values: list[object]) -> dict[Any, object]:
    """A dictionary of keys and values in turn; raises CheckpointError for other keys."""
    if len(values) % 2:
        raise CheckpointError("a key without a value")
    found: dict[Any, object] = {}
    for key, value in zip(values[::2], values[1::2], strict=True):
        if not isinstance(key, str | bytes | int | None) or (
            isinstance(key, int) and abs(key) >= MAXIMUM_KEY
        ):
            raise CheckpointError(f"a key of a dictionary is of type {type(key).__name__}")
        found[key] = value
    return found


def _integer(code: bytes) -> int:
    if len(code) > MAXIMUM_INTEGER_BYTES:
        raise CheckpointError(f"an integer of {len(code)} bytes")
    return int.from_bytes(code, "little", signed=True)


def _integer_of_line(line: str) -> int | bool:
    """Python 2 writes integers that are not small so, and truth values as 00 and 01."""
    if len(line) > MAXIMUM_INTEGER_BYTES:
        raise CheckpointError(f"an integer of {len(line)} digits")
    return line == "01" if line in ("00", "01") else int(line)


def _text(code: bytes) -> str:
    return code.decode("utf-8", "surrogatepass")


def _old_text(code: bytes) -> str | bytes:
    """A text of Python 2, in which bytes are texts too."""
    try:
        return code.decode()
    except UnicodeDecodeError:
        return code


def _protocol(machine: Machine) -> None:
    if (protocol := machine.number("<B")) > MAXIMUM_PROTOCOL:
        raise CheckpointError(f"protocol {protocol}, at most {MAXIMUM_PROTOCOL} is read")


def _remember(machine: Machine, number: int) -> None:
    machine.memo[number] = machine.top(object)


def _without_names(machine: Machine) -> object:
    """A call with arguments that have names, of which there must be none."""
    function, arguments, named = machine.last(3)
    if named != {}:
        raise CheckpointError("a call with named arguments")
    return machine.called(function, arguments)


VALUES: dict[bytes, Callable[[Machine], object]] = {
    b"N": lambda m: None,
    b"\x88": lambda m: True,
    b"\x89": lambda m: False,
    b"K": lambda m: m.number("<B"),
    b"M": lambda m: m.number("<H"),
    b"J": lambda m: m.number("<i"),
    b"G": lambda m: m.number(">d"),
    b"\x8a": lambda m: _integer(m.bytes("<B")),
    b"\x8b": lambda m: _integer(m.bytes("<I")),
    b"I": lambda m: _integer_of_line(m.line()),
    b"X": lambda m: _text(m.bytes("<I")),
    b"\x8c": lambda m: _text(m.bytes("<B")),
    b"\x8d": lambda m: _text(m.bytes("<Q")),
    b"T": lambda m: _old_text(m.bytes("<I")),
    b"U": lambda m: _old_text(m.bytes("<B")),
    b"B": lambda m: m.bytes("<I"),
    b"C": lambda m: m.bytes("<B"),
    b"\x8e": lambda m: m.bytes("<Q"),
    b"\x96": lambda m: m.bytes("<Q"),
    b")": lambda m: (),
    b"]": lambda m: [],
    b"}": lambda m: {},
    b"\x8f": lambda m: [],
    b"\x85": lambda m: tuple(m.last(1)),
    b"\x86": lambda m: tuple(m.last(2)),
    b"\x87": lambda m: tuple(m.last(3)),
    b"t": lambda m: tuple(m.since_mark()),
    b"l": lambda m: m.since_mark(),
    b"\x91": lambda m: m.since_mark(),
    b"d": lambda m: as_dictionary(m.since_mark()),
    b"2": lambda m: m.top(object),
    b"h": lambda m: m.recalled(m.number("<B")),
    b"j": lambda m: m.recalled(m.number("<I")),
    b"Q": lambda m: m.persistent(m.pop()),
    b"c": lambda m: m.known(m.line(), m.line()),
    b"\x93": lambda m: m.known(*m.last(2)),
    b"R": lambda m: m.called(*m.last(2)),
    b"\x81": lambda m: m.called(*m.last(2)),
    b"\x92": _without_names,
}
"""What an opcode puts on the stack; a set is a list here."""

CHANGES: dict[bytes, Callable[[Machine], object]] = {
    b"\x80": _protocol,
    b"\x95": lambda m: m.number("<Q"),
    b"(": lambda m: m.mark(),
    b"0": lambda m: m.pop(),
    b"1": lambda m: m.since_mark(),
    b"q": lambda m: _remember(m, m.number("<B")),
    b"r": lambda m: _remember(m, m.number("<I")),
    b"\x94": lambda m: _remember(m, len(m.memo)),
    b"a": lambda m: (values := m.last(1), m.top(list).extend(values)),
    b"e": lambda m: (values := m.since_mark(), m.top(list).extend(values)),
    b"\x90": lambda m: (values := m.since_mark(), m.top(list).extend(values)),
    b"s": lambda m: (values := m.last(2), m.top(dict).update(as_dictionary(values))),
    b"u": lambda m: (values := m.since_mark(), m.top(dict).update(as_dictionary(values))),
    b"b": lambda m: m.built(),
}
"""What an opcode changes without a new value."""
