"""The comparison with llama2.c: the written files are in its formats.  One run is complete."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.llama2c import GROUP, random_weights, write_floats, write_groups
from tests.helpers.processes import run
from weights_import.sources import llama2c

SIZES = [64, 128, 2, 4, 2, 13, 32]
PROGRAM = """#!{python}
import pathlib, sys
content = pathlib.Path(sys.argv[1]).read_bytes()
assert sys.argv[2] == "-z" and pathlib.Path(sys.argv[3]).name == "tokenizer.bin"
print("a text")
print(f"achieved tok/s: {{len(content) / 100}}", file=sys.stderr)
"""


def test_floats_are_read_by_the_importer(tmp_path: Path) -> None:
    weights = random_weights(SIZES)
    write_floats(tmp_path / "model.bin", SIZES, weights)
    model = llama2c.read(tmp_path / "model.bin")
    for layer in range(2):
        for part in ("gate", "inner", "outer"):
            found = model.tensors[f"decoder.{layer}.ffn.{part}.weight"]
            np.testing.assert_array_equal(found, weights[part][layer])
        found = model.tensors[f"decoder.{layer}.self.value.weight"]
        np.testing.assert_array_equal(found, weights["value"][layer])


def test_groups_are_the_floats_in_8_bits(tmp_path: Path) -> None:
    weights = random_weights(SIZES)
    write_groups(tmp_path / "groups.bin", SIZES, weights)
    content = (tmp_path / "groups.bin").read_bytes()
    at = 256 + 4 * 64 * 5  # norms come first, then the embedding
    table = weights["embedding"][0]
    integers = np.frombuffer(content, np.int8, table.size, at).reshape(-1, GROUP)
    scales = np.frombuffer(content, np.float32, len(integers), at + table.size)
    error = np.abs(integers * scales[:, None] - table.reshape(-1, GROUP))
    assert (error <= 0.501 * scales[:, None]).all()
    others = sum(part.size for name in weights for part in weights[name] if part.ndim == 2)
    assert len(content) == 256 + 4 * 64 * 5 + others + 4 * others // GROUP


@pytest.mark.skipif(sys.platform == "win32", reason="programs of a script")
def test_a_whole_run(tmp_path: Path) -> None:
    program, tokenizer = tmp_path / "run", tmp_path / "tok.bin"
    program.write_text(PROGRAM.format(python=sys.executable))
    os.chmod(program, 0o755)
    pieces_of = [b"<unk>", b"<s>", b"</s>", *(bytes([letter]) for letter in b"abcdefghij")]
    pieces = b"".join(struct.pack("<fI", 0, len(name)) + name for name in pieces_of)
    tokenizer.write_bytes(struct.pack("<I", 5) + pieces)
    options = ["--run", program, "--runq", program, "--tokenizer", tokenizer, "--tokens", "20"]
    shape = ",".join(map(str, SIZES))
    status, out, told = run(
        [sys.executable, "-m", "benchmarks.llama2c", *options, "--shape", shape, "--rounds", "2"]
    )
    assert status == 0, told
    rows = [line.split(" | ") for line in out.decode().splitlines()[2:]]
    assert [row[0] for row in rows] == [
        "| int8ref",
        "| llama2.c, float32",
        "| llama2.c, 8-bit weights",
    ]
    assert rows[0][2] == "1.00 |"
    assert rows[1][1].endswith("± 0.0%")
