"""Quantised numbers of GGUF files: equal to their definitions, a number at a time, and to gguf."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_gguf as tiny

from weights_import import sources
from weights_import.errors import CheckpointError
from weights_import.forward import forced
from weights_import.sources import gguf_blocks, gguf_file
from weights_import.sources.gguf_types import CODES

f32 = np.float32
TABLE = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]


def half(block: bytes, at: int) -> Any:
    """Return the float16 at a byte, as float32."""
    return f32(struct.unpack_from("<e", block, at)[0])


def nibble(content: bytes, i: int) -> int:
    """Return number i of 32 in 16 bytes: the lower halves of the bytes come first."""
    return content[i % 16] >> 4 * (i // 16) & 15


def of_q4(block: bytes, i: int) -> Any:
    return half(block, 0) * f32(nibble(block[2:], i) - 8)


def of_q4_1(block: bytes, i: int) -> Any:
    return half(block, 0) * f32(nibble(block[4:], i)) + half(block, 2)


def fifth_bit(content: bytes, i: int) -> int:
    (bits,) = struct.unpack_from("<I", content)
    return (bits >> i & 1) << 4


def of_q5(block: bytes, i: int) -> Any:
    return half(block, 0) * f32((nibble(block[6:], i) | fifth_bit(block[2:], i)) - 16)


def of_q5_1(block: bytes, i: int) -> Any:
    return half(block, 0) * f32(nibble(block[8:], i) | fifth_bit(block[4:], i)) + half(block, 2)


def of_q8(block: bytes, i: int) -> Any:
    return half(block, 0) * f32(struct.unpack_from("<b", block, 2 + i)[0])


def of_iq4_nl(block: bytes, i: int) -> Any:
    return half(block, 0) * f32(TABLE[nibble(block[2:], i)])


def two_bits(content: bytes, i: int) -> int:
    """Return number i of 256 in 64 bytes, of which each half has 128."""
    part, rest = divmod(i, 128)
    return content[32 * part + rest % 32] >> 2 * (rest // 32) & 3


def of_q2_k(block: bytes, i: int) -> Any:
    group = block[i // 16]
    scaled = half(block, 80) * f32(group & 15) * f32(two_bits(block[16:], i))
    return scaled - half(block, 82) * f32(group >> 4)


def of_q3_k(block: bytes, i: int) -> Any:
    packed, j = block[96:108], i // 16
    low = packed[j] & 15 if j < 8 else packed[j - 8] >> 4
    s = low + 16 * (packed[8 + j % 4] >> 2 * (j // 4) & 3) - 32
    high = block[i % 32] >> i // 32 & 1
    return half(block, 108) * f32(s) * f32(two_bits(block[32:], i) - (0 if high else 4))


def s_and_m(packed: bytes, j: int) -> tuple[int, int]:
    if j < 4:
        return packed[j] & 63, packed[j + 4] & 63
    s = packed[j + 4] & 15 | packed[j - 4] >> 6 << 4
    return s, packed[j + 4] >> 4 | packed[j] >> 6 << 4


def half_byte(content: bytes, i: int) -> int:
    """Return number i of 256 in 128 bytes: 32 bytes have 64 numbers."""
    part, rest = divmod(i, 64)
    return content[32 * part + rest % 32] >> 4 * (rest // 32) & 15


def of_q4_k(block: bytes, i: int) -> Any:
    s, m = s_and_m(block[4:16], i // 32)
    return half(block, 0) * f32(s) * f32(half_byte(block[16:], i)) - half(block, 2) * f32(m)


def of_q5_k(block: bytes, i: int) -> Any:
    s, m = s_and_m(block[4:16], i // 32)
    q = half_byte(block[48:], i) + 16 * (block[16 + i % 32] >> i // 32 & 1)
    return half(block, 0) * f32(s) * f32(q) - half(block, 2) * f32(m)


def of_q6_k(block: bytes, i: int) -> Any:
    part, rest = divmod(i, 128)
    low = block[64 * part + rest % 64] >> 4 * (rest // 64) & 15
    high = block[128 + 32 * part + rest % 32] >> 2 * (rest // 32) & 3
    (s,) = struct.unpack_from("<b", block, 192 + i // 16)
    return half(block, 208) * f32(s) * f32(low + 16 * high - 32)


def of_iq4_xs(block: bytes, i: int) -> Any:
    j = i // 32
    high = struct.unpack_from("<H", block, 2)[0] >> 2 * j & 3
    s = (block[4 + j // 2] >> 4 * (j % 2) & 15) + 16 * high - 32
    return half(block, 0) * f32(s) * f32(TABLE[nibble(block[8 + 16 * j :], i % 32)])


DEFINED: dict[str, tuple[int, int, Callable[[bytes, int], Any]]] = {
    "Q4_0": (32, 18, of_q4), "Q4_1": (32, 20, of_q4_1), "Q5_0": (32, 22, of_q5),
    "Q5_1": (32, 24, of_q5_1), "Q8_0": (32, 34, of_q8), "IQ4_NL": (32, 18, of_iq4_nl),
    "Q2_K": (256, 84, of_q2_k), "Q3_K": (256, 110, of_q3_k), "Q4_K": (256, 144, of_q4_k),
    "Q5_K": (256, 176, of_q5_k), "Q6_K": (256, 210, of_q6_k), "IQ4_XS": (256, 136, of_iq4_xs),
}  # fmt: skip
"""The numbers and the bytes of a block of each type, and its number i."""
SCALES = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}


def random_blocks(kind: str, count: int, seed: int = 0) -> bytes:
    """Return blocks of any numbers, with scales up to 0.01."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (count, DEFINED[kind][1]), np.uint8)
    places = SCALES.get(kind, (0, 2) if kind.endswith("_1") else (0,))
    for at in places:
        scales = random.uniform(-0.01, 0.01, count).astype("<f2")
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(count, 2)
    return blocks.tobytes()


def defined(kind: str, content: bytes) -> Any:
    numbers, size, number = DEFINED[kind]
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    return np.array([number(block, i) for block in blocks for i in range(numbers)], np.float32)


@pytest.mark.parametrize("kind", DEFINED)
def test_numbers_are_those_of_the_definition(kind: str) -> None:
    assert gguf_blocks.size_of(kind) == DEFINED[kind][:2]
    content = random_blocks(kind, 6)
    found = gguf_blocks.floats(kind, np.frombuffer(content, np.uint8))
    np.testing.assert_array_equal(found, defined(kind, content))


def test_every_type_has_a_definition() -> None:
    assert set(DEFINED) == set(gguf_blocks.KINDS)
    assert set(DEFINED) < set(CODES.values())


@pytest.mark.parametrize("kind", DEFINED)
def test_numbers_are_those_of_an_installed_gguf(kind: str) -> None:
    gguf = pytest.importorskip("gguf", reason="it is the reference")
    random = np.random.default_rng(1)
    blocks = random.integers(0, 256, (400, DEFINED[kind][1]), np.uint8)
    with np.errstate(all="ignore"):
        wanted = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[kind]).ravel()
    found = gguf_blocks.floats(kind, blocks.ravel())
    finite = np.isfinite(wanted)
    assert finite.mean() > 0.9
    np.testing.assert_array_equal(np.isfinite(found), finite)
    np.testing.assert_array_equal(found[finite], wanted[finite])


WIDTH, VOCABULARY = 256, 13
CONFIG = tiny.CASES["mistral, own size of heads"] | {
    "hidden_size": WIDTH, "intermediate_size": WIDTH, "head_dim": 16, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": VOCABULARY,
}  # fmt: skip


def matrices() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (VOCABULARY, WIDTH),
        "output.weight": (VOCABULARY, WIDTH),
    }
    for i in range(CONFIG["num_hidden_layers"]):
        rows = {"attn_q": 64, "attn_k": 32, "attn_v": 32, "ffn_gate": WIDTH, "ffn_up": WIDTH,
                "ffn_down": WIDTH}  # fmt: skip
        found |= {f"blk.{i}.{part}.weight": (count, WIDTH) for part, count in rows.items()}
    return found


def write(path: Path, kind: str, exact: bool) -> Path:
    """Write a model whose matrices are of a type, or the same matrices in floats."""
    random = np.random.default_rng(3)
    told = tiny.metadata(CONFIG)
    entries: list[tuple[str, tuple[int, ...], int, bytes]] = []
    for i, (name, shape) in enumerate(matrices().items()):
        content = random_blocks(kind, shape[0] * shape[1] // DEFINED[kind][0], i)
        code = next(code for code, named in CODES.items() if named == kind)
        if exact:
            numbers = gguf_blocks.floats(kind, np.frombuffer(content, np.uint8))
            code, content = 0, numbers.astype("<f4").tobytes()
        entries.append((name, shape, code, content))
    vectors = {"output_norm.weight": WIDTH}
    for i in range(CONFIG["num_hidden_layers"]):
        vectors |= {f"blk.{i}.{part}.weight": WIDTH for part in ("attn_norm", "ffn_norm")}
        shape = (WIDTH, 64)
        o = random.normal(0, 0.1, shape).astype("<f4").tobytes()
        entries.append((f"blk.{i}.attn_output.weight", shape, 0, o))
    for name, size in vectors.items():
        entries.append((name, (size,), 0, np.ones(size, "<f4").tobytes()))
    path.write_bytes(tiny.joined(told, entries))
    return path


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_K", "Q6_K"])
def test_a_whole_model(kind: str, tmp_path: Path) -> None:
    """The most common types.  The model is the model with the same numbers in float32."""
    models = [sources.read(write(tmp_path / f"{exact}.gguf", kind, exact)) for exact in (0, 1)]
    (x,), (y,) = (forced(model, [[]], [[4, 5, 6, 3, 11]]) for model in models)
    assert np.abs(y).max() > 0.1
    np.testing.assert_array_equal(x, y)


def test_rows_that_are_no_blocks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(tiny.joined({}, [("x", (4, 64), 12, bytes(144))]))
    with pytest.raises(CheckpointError, match=r"x: rows of \[4, 64\] are not blocks of 256"):
        gguf_file.contents(path)
    path.write_bytes(tiny.joined({}, [("x", (1, 256), 12, bytes(143))]))
    with pytest.raises(CheckpointError, match="reach beyond 143, where the file ends"):
        gguf_file.contents(path)


def test_a_scale_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", "Q4_0", exact=False)
    content = bytearray(path.read_bytes())
    first = content.index(random_blocks("Q4_0", VOCABULARY * WIDTH // 32, 0))
    content[first : first + 2] = struct.pack("<e", np.inf)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"token_embd\.weight|target_embedding"):
        forced(sources.read(path), [[]], [[4, 0]])
