"""Reads and writes model files without the code under test."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from int8ref.files.model_file import Model, ModelFileError, load

Header = dict[str, Any]


def read_plainly(content: bytes) -> tuple[Header, dict[str, np.ndarray]]:
    """Read a model file by the definition of the format, without checks."""
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    document = json.loads(header.pop("__metadata__")["int8ref"])
    codes = {"I8": "<i1", "I16": "<i2", "I32": "<i4", "U8": "<u1"}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        data = content[8 + length + begin : 8 + length + end]
        tensors[name] = np.frombuffer(data, codes[entry["dtype"]]).reshape(entry["shape"])
    return document, tensors


def write_plainly(header: Header | str | bytes, body: bytes, padding: int | None = None) -> bytes:
    """Return a file with the given header and body, and a correct digest."""
    text = json.dumps(header) if isinstance(header, dict) else header
    raw = text.encode() if isinstance(text, str) else text
    raw += b" " * (-len(raw) % 8 if padding is None else padding)
    content = struct.pack("<Q", len(raw)) + raw + body
    return content + hashlib.sha256(content).digest()


def parts(content: bytes) -> tuple[Header, bytes]:
    """Return the decoded header of a file, and its body without the digest."""
    (length,) = struct.unpack_from("<Q", content)
    return json.loads(content[8 : 8 + length]), content[8 + length : -32]


def load_bytes(folder: Path, content: bytes) -> Model:
    path = folder / "file.safetensors"
    path.write_bytes(content)
    return load(path)


def refused(folder: Path, content: bytes, why: str = ".") -> None:
    with pytest.raises(ModelFileError, match=why) as caught:
        load_bytes(folder, content)
    assert "file.safetensors: " in str(caught.value)
