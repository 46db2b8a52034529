"""Images: the linker links objects correctly or rejects them.  Loaded code is read-only."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.machine.toolchain import image
from int8ref.machine.toolchain.image import LinkError, link, load

pytestmark = pytest.mark.skipif(not image.supported(), reason="no images on this machine")

CALLER = """
@table = private constant [2 x ptr] [ptr @inner, ptr @outer]
declare i64 @outer(i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
define internal i64 @inner(i64 %x) {
    %y = mul i64 %x, 3
    ret i64 %y
}
define i64 @entry(i64 %x, i64 %size, ptr %room) {
    call void @llvm.memset.p0.i64(ptr %room, i8 7, i64 %size, i1 false)
    %which = and i64 %x, 1
    %place = getelementptr [2 x ptr], ptr @table, i64 0, i64 %which
    %function = load ptr, ptr %place
    %y = call i64 %function(i64 %x)
    %z = call i64 @outer(i64 %y)
    ret i64 %z
}"""
OUTER = """
@numbers = private constant [4 x i64] [i64 10, i64 20, i64 30, i64 40]
define i64 @outer(i64 %x) {
    %rest = and i64 %x, 3
    %place = getelementptr [4 x i64], ptr @numbers, i64 0, i64 %rest
    %number = load i64, ptr %place
    %y = add i64 %x, %number
    ret i64 %y
}"""


@cache
def compiled(text: str) -> bytes:
    """Compile LLVM IR to object code."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(reloc="pic", codemodel="small")
    code: bytes = target.emit_object(llvm.parse_assembly(text))
    return code


def outer(x: int) -> int:
    return x + (10, 20, 30, 40)[x % 4]


@pytest.mark.parametrize("order", [(CALLER, OUTER), (OUTER, CALLER), (OUTER, CALLER, OUTER)])
def test_linked_code_runs(order: tuple[str, ...]) -> None:
    """Calls within and between objects, constants, addresses in tables, and system functions."""
    linked = link([compiled(text) for text in order], "entry")
    assert list(linked.imports) == ["memset"]
    assert len(linked.addresses) == 2
    address, kept = load(linked)
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(address)
    room = ctypes.create_string_buffer(100)
    for x in range(8):
        assert run(x, 50, room) == outer(outer(x) if x % 2 else 3 * x)
    assert room.raw == b"\7" * 50 + bytes(50)
    assert kept is not None


def test_loaded_code_cannot_be_written() -> None:
    address, kept = load(link([compiled(OUTER)], "outer"))
    rights = {
        line.split()[1]
        for line in Path("/proc/self/maps").read_text().splitlines()
        for low, high in [line.split()[0].split("-")]
        if int(low, 16) <= address < int(high, 16)
    }
    assert rights == {"r-xp"}
    assert kept is not None


def test_linking_is_deterministic() -> None:
    objects = [compiled(CALLER), compiled(OUTER)]
    assert link(objects, "entry") == link(objects, "entry")


REFUSED = {
    "no entry": (OUTER, "no object has a function 'entry'"),
    "a foreign function": (
        "declare void @system(ptr)\n"
        "define void @entry(ptr %x) {\n call void @system(ptr %x)\n ret void\n}",
        "'system' is neither",
    ),
    "a foreign variable": (
        "@environ = external global ptr\n"
        "define ptr @entry() {\n %x = load ptr, ptr @environ\n ret ptr %x\n}",
        "environ",
    ),
    "a variable": (
        "@counter = internal global i64 0\n"
        "define void @entry(i64 %x) {\n store i64 %x, ptr @counter\n ret void\n}",
        r"section \.bss",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(LinkError, match=message):
        link([compiled(text)], "entry")


def test_what_is_no_object_is_refused() -> None:
    whole = compiled(OUTER)
    for content in (b"", b"\x7fELF", whole[:64], b"\xcf\xfa\xed\xfe" + whole[4:], bytes(1000)):
        with pytest.raises(LinkError):
            link([content], "outer")


@given(st.data())
def test_a_damaged_object_is_linked_or_refused(data: st.DataObject) -> None:
    whole = bytearray(compiled(CALLER))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    length = data.draw(st.just(len(whole)) | st.integers(0, len(whole)))
    try:
        linked = link([bytes(whole[:length]), compiled(OUTER)], "entry")
    except LinkError:
        return
    assert linked.entry >= 0
