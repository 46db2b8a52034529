"""`python -m benchmarks.prepare.marian_float MODEL.bin MODEL.npz`: dequantises a checkpoint.

Converts Marian's 8-bit checkpoint to float32, because Marian without intgemm runs only float32.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np

FLOAT32, TEXT, INTGEMM8 = 0x404, 0x101, 0x4101
MULTIPLIER = "_QuantMultA"
EMBEDDING = "Wemb"


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays by name, with the names of Marian's .npz.  The file must be trustworthy."""
    content = path.read_bytes()
    _, count = struct.unpack_from("<QQ", content, 0)
    headers = [struct.unpack_from("<QQQQ", content, 16 + 32 * i) for i in range(count)]
    at = 16 + 32 * count
    names, shapes = [], []
    for length, *_ in headers:
        names.append(content[at : at + length - 1].decode())
        at += length
    for _, _, rank, _ in headers:
        shapes.append(struct.unpack_from(f"<{rank}i", content, at))
        at += 4 * rank
    (padding,) = struct.unpack_from("<Q", content, at)
    at += 8 + padding
    found = {}
    for name, shape, (_, kind, _, size) in zip(names, shapes, headers, strict=True):
        if not name.endswith(MULTIPLIER):
            found[name] = _array(name, kind, shape, content[at : at + size])
        at += size
    return found


def _array(name: str, kind: int, shape: tuple[int, ...], content: bytes) -> np.ndarray:
    count = int(np.prod(shape))
    if kind == TEXT:
        return np.frombuffer(content.rstrip(b"\0") + b"\0", np.int8)
    if kind == FLOAT32:
        return np.frombuffer(content, np.float32, count).reshape(shape)
    if kind != INTGEMM8:
        raise ValueError(f"{name}: unknown type {kind:#x}")
    integers = np.frombuffer(content, np.int8, count).astype(np.float32)
    (multiplier,) = np.frombuffer(content, np.float32, 1, count)
    # Marian stores all matrices transposed, except the embeddings, because it looks up their rows.
    values = integers.reshape(shape if name == EMBEDDING else shape[::-1]) / multiplier
    return np.ascontiguousarray(values if name == EMBEDDING else values.T)


if __name__ == "__main__":
    np.savez(sys.argv[2], **read(Path(sys.argv[1])))
