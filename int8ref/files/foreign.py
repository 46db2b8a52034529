"""Recognises files that are given as a model and are no model, by their first bytes.

Nothing is unpacked, and nothing is run.  The functions read only the first bytes of a file, or the
names in a folder.
"""

from __future__ import annotations

import os
from pathlib import Path

HEAD_BYTES = 1 << 16
"""Number of bytes that are read.  A model file of int8ref has its mark in its first bytes."""
MAX_TENSORS = 1 << 16
"""Largest number of tensors of a Marian checkpoint."""
MARK = b'{"__metadata__":{"int8ref":'
IMPORT = "import it with: python -m weights_import"
PICKLE = "export the weights as safetensors, then"
KINDS = (
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file: get it with git lfs pull"),
    (0, b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (0, b"BZh", "compressed by bzip2: unpack it first"),
    (0, b"\xfd7zXZ\x00", "compressed by xz: unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it first"),
    (257, b"ustar", "a tar archive: unpack it first"),
    (0, b"GGUF", "a GGUF file, which cannot be imported: take the checkpoint that it was made of"),
    (0, b"\x89HDF\r\n", "an HDF5 file, which cannot be imported: save the model as safetensors"),
    (0, b"\x80\x02", f"a pickle, which is never opened: {PICKLE} {IMPORT}"),
    (0, b"\x80\x03", f"a pickle, which is never opened: {PICKLE} {IMPORT}"),
    (0, b"\x80\x04", f"a pickle, which is never opened: {PICKLE} {IMPORT}"),
    (0, b"\x80\x05", f"a pickle, which is never opened: {PICKLE} {IMPORT}"),
    (0, b"\x93NUMPY", "a single NumPy array, not a model"),
    (0, b"%PDF", "a PDF document, not a model"),
)
"""Offset, bytes at the offset, and the description of the file."""
CHECKPOINT_FILES = ("config.json", "model.bin", "model.safetensors", "params.json")
CHECKPOINT_ENDINGS = (".npz", ".bin", ".safetensors")


def told(path: str | os.PathLike[str], error: str) -> str:
    """Return an error message for a file that was given as a model and has the fault `error`.

    The message names the kind of the file, such as a pickle.  For an unknown kind, the message is
    `error`, sometimes with advice.
    """
    place = Path(path)
    try:
        if place.is_dir():
            return _folder(place) or error
        if not place.is_file():  # a pipe may have no writer
            return error
        with place.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return error
    if kind := _file(place, head):
        return kind
    if head[8:9] == b"{" and not head.startswith(MARK, 8):
        of = place.parent if (place.parent / "config.json").exists() else place
        return f"{error}; if it is a checkpoint in safetensors, {_command(of)}"
    return error if head else f"an empty file: {error}"


def _folder(place: Path) -> str | None:
    names = [entry.name for entry in os.scandir(place)]
    if any(n in CHECKPOINT_FILES or n.endswith(CHECKPOINT_ENDINGS) for n in names):
        return f"a folder, not a model file; if it holds a checkpoint, {_command(place)}"
    return None


def _file(place: Path, head: bytes) -> str | None:
    for offset, mark, kind in KINDS:
        if head.startswith(mark, offset):
            return kind
    if head.startswith(b"PK\x03\x04"):
        return _archive(place, head)
    if _is_checkpoint(head):
        return f"a checkpoint, not a model file: {_command(place)}"
    if head and _is_text(head):
        return "a text, not a model file"
    return None


def _archive(place: Path, head: bytes) -> str:
    """Describe a zip archive by the name of its first file."""
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if name.endswith(b"data.pkl"):
        return f"a pickle, which is never opened: {PICKLE} {IMPORT}"
    if name.endswith(b".npy"):
        return f"a checkpoint, not a model file: {_command(place)}"
    return "a zip archive: unpack it first, and import the checkpoint in it"


def _is_checkpoint(head: bytes) -> bool:
    """Return whether the bytes begin a checkpoint of Marian (.bin) or CTranslate2 (model.bin)."""
    version, tensors = (int.from_bytes(head[at : at + 8], "little") for at in (0, 8))
    marian = version == 1 and 0 < tensors <= MAX_TENSORS
    length = int.from_bytes(head[4:6], "little")
    return marian or head[6 : 6 + length].rstrip(b"\0").endswith(b"Spec")


def _is_text(head: bytes) -> bool:
    """Return whether the bytes are UTF-8 without control characters.

    The last character may be cut.
    """
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4 or len(head) < HEAD_BYTES:
            return False
        text = head[: error.start].decode()
    return all(c.isprintable() or c.isspace() for c in text)


def _command(place: Path) -> str:
    return f"{IMPORT} {place} -o model.safetensors"
