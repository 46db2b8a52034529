"""The reader of Marian's .bin: round trips, and damaged, truncated or hostile files."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tiny_marian as tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.sources import checkpoint_bytes, marian, marian_bin

FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def read(folder: Path, content: bytes) -> FloatModel:
    path = folder / "model.bin"
    path.write_bytes(content)
    return marian_bin.read(path)


def refusal(folder: Path, content: bytes) -> str:
    with pytest.raises(CheckpointError) as caught:
        read(folder, content)
    assert str(folder) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("seed", range(3))
def test_float32_round_trip(tmp_path: Path, seed: int) -> None:
    items = tiny.stored(seed)
    model = read(tmp_path, tiny.write_bin(items))
    assert model.generation == tiny.GENERATION
    assert model.program == tiny.random_model(0, optional=False).program
    assert not model.grids
    assert model.provenance["format"] == "Marian float32"
    for old, new, shape in tiny.names():
        expected = items[old].values.ravel() if shape[0] == 1 else items[old].values.T
        np.testing.assert_array_equal(model.tensors[new], expected, err_msg=new)
    np.testing.assert_array_equal(model.tensors["output.weight"], items["Wemb"].values)
    stored = model.tensors.stored
    assert stored("source_embedding") is stored("target_embedding") is stored("output.weight")


@pytest.mark.parametrize("quantised", [False, True])
def test_a_decoder_with_self_attention(tmp_path: Path, quantised: bool) -> None:
    items = tiny.stored(0, quantised, "self")
    model = read(tmp_path, tiny.write_bin(items, tiny.SELF_ATTENTION_OPTIONS))
    assert "decoder.0.self.context" in model.program.producers()
    assert "decoder.0.ssru.out" not in model.program.producers()
    for old, new, shape in tiny.names("self"):
        expected = items[old].values.ravel() if shape[0] == 1 else items[old].values.T
        found = model.tensors[new] / model.grids.get(new, 1.0)
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=new)
    missing = {name: item for name, item in items.items() if "decoder_l1_self_Wq" not in name}
    message = refusal(tmp_path, tiny.write_bin(missing, tiny.SELF_ATTENTION_OPTIONS))
    assert "decoder.0.self.query.weight" in message


@pytest.mark.parametrize("seed", range(3))
def test_intgemm8_round_trip(tmp_path: Path, seed: int) -> None:
    items = tiny.stored(seed, quantised=True)
    model = read(tmp_path, tiny.write_bin(items))
    assert model.provenance["format"] == "Marian intgemm8"
    pairs = [(old, new) for old, new, shape in tiny.names() if shape[0] > 1]
    assert set(model.grids) == {new for _, new in pairs} | {
        "source_embedding", "target_embedding", "output.weight",
    }  # fmt: skip
    for old, new in [*pairs, ("Wemb", "output.weight")]:
        integers = np.rint(model.tensors[new] / model.grids[new])
        expected = items[old].values if old == "Wemb" else items[old].values.T
        np.testing.assert_array_equal(integers, expected, err_msg=new)
        multiplier = items[old].multiplier
        assert multiplier is not None
        assert model.grids[new] == 1 / multiplier


@pytest.mark.parametrize("value", [0.0, -1.0, np.inf, np.nan])
def test_multipliers_of_activations_are_positive_numbers(tmp_path: Path, value: float) -> None:
    """They are not used, because the importer calibrates activations itself."""
    items = tiny.stored(0, quantised=True)
    items["none_QuantMultA"] = tiny.Stored(np.ones((1, 1), np.float32))
    read(tmp_path, tiny.write_bin(items))
    name = "encoder_l1_self_Wq_QuantMultA"
    for values in (np.full((1, 1), value, np.float32), np.ones((1, 2), np.float32)):
        content = tiny.write_bin(items | {name: tiny.Stored(values)})
        assert f"{name}: not one positive number" in refusal(tmp_path, content)
    stranger = {"mystery_QuantMultA": tiny.Stored(np.ones((1, 1), np.float32))}
    assert "for a known weight" in refusal(tmp_path, tiny.write_bin(items | stranger))


def test_untied_embeddings(tmp_path: Path) -> None:
    items = tiny.stored(0, quantised=True)
    target = tiny.stored(1, quantised=True)["Wemb"]
    integers = np.random.default_rng(2).integers(-127, 128, (8, 11)).astype(np.int8)
    output = tiny.Stored(integers, 3.0)
    items |= {"encoder_Wemb": items.pop("Wemb"), "decoder_Wemb": target}
    items |= {"decoder_ff_logit_out_W": output}
    del items["Wemb_QuantMultA"]
    options = tiny.OPTIONS.replace("tied-embeddings-all: true", "tied-embeddings-all: false")
    model = read(tmp_path, tiny.write_bin(items, options))
    for name, item in [("source_embedding", items["encoder_Wemb"]), ("target_embedding", target)]:
        np.testing.assert_array_equal(np.rint(model.tensors[name] / model.grids[name]), item.values)
    stored = np.rint(model.tensors["output.weight"] / model.grids["output.weight"])
    np.testing.assert_array_equal(stored, output.values.T)


def test_every_truncation_and_extension_is_refused(tmp_path: Path) -> None:
    content = tiny.write_bin(tiny.stored(0, quantised=True))
    count = struct.unpack_from("<Q", content, 8)[0]
    ends = {*range(17), *range(16, 16 + 32 * count, 97), *range(16 + 32 * count, len(content), 211)}
    ends |= {len(content) - back for back in (1, 2, 255, 256, 257)}
    for end in ends:
        refusal(tmp_path, content[:end])
    assert "too many" in refusal(tmp_path, content + b"\0")


@FUZZ
@given(st.data())
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(tiny.write_bin(tiny.stored(0, quantised=True)))
    directory = 16 + 75 * 32 + 3000
    for _ in range(data.draw(st.integers(1, 3))):
        offset = data.draw(st.integers(0, directory) | st.integers(0, len(content) - 1))
        content[offset] = data.draw(st.integers(0, 255))
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    marian_bin.recognises(path)
    with contextlib.suppress(CheckpointError):
        marian_bin.read(path)


@pytest.mark.parametrize("value", [2**64 - 1, 2**63, 2**62 + 1, 2**32, 2**31, 10**6])
@pytest.mark.parametrize(
    ("field", "offset"),
    [("count", 8), ("name", 16), ("type", 24), ("rank", 32), ("data", 40), ("padding", -1)],
)
def test_hostile_counts_allocate_nothing(
    tmp_path: Path, field: str, offset: int, value: int
) -> None:
    items = tiny.stored(0)
    content = bytearray(tiny.write_bin(items, padding=0))
    if field == "padding":
        data = sum(len(tiny.payload(name, item)[1]) for name, item in items.items())
        offset = len(content) - data - len(tiny.OPTIONS) - 1 - 8
    struct.pack_into("<Q", content, offset, value)
    tracemalloc.start()
    message = refusal(tmp_path, bytes(content))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    assert "byte" in message


@pytest.mark.parametrize("shape", [(0, 8), (-11, -8), (11, 9), (2**31 - 1, 2**31 - 1), (11,)])
def test_wrong_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    entries = [("Wemb", shape, 0x404, bytes(4 * 88)), ("special:model.yml", (1,), 0x101, b"\0")]
    assert "Wemb" in refusal(tmp_path, tiny.pack(entries))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (("Wemb", (1, 8), 0x404, bytes(32)), "two items named Wemb"),
        (("W\x07", (1, 8), 0x404, bytes(32)), "not printable"),
        (("W", (1, 8), 0x4102, bytes(32)), "type 0x4102"),
        (("W", (1, 8), 0x101, bytes(8)), "W at byte 204 is a text"),
        (("W", (1, 8), 0x4101, bytes(12)), "multiplier of W"),
        (("W", (1, 8), 0x4101, bytes(8) + struct.pack("<f", np.nan)), "multiplier of W"),
        (("W", (1, 8), 0x4101, b"\x7f" * 8 + struct.pack("<f", 1e-44)), "multiplier of W"),
        (("W", (1, 8), 0x404, bytes(32 + 256)), "288 bytes, but the shape [1, 8] takes 32"),
    ],
)
def test_wrong_items(
    tmp_path: Path, entry: tuple[str, tuple[int, ...], int, bytes], message: str
) -> None:
    wemb = ("Wemb", (1, 8), 0x404, bytes(32))
    options = ("special:model.yml", (1,), 0x101, b"\0")
    assert message in refusal(tmp_path, tiny.pack([wemb, entry, options]))


def test_every_bad_tensor_is_listed_at_once(tmp_path: Path) -> None:
    items = tiny.stored(0)
    del items["encoder_l1_self_Wq"]
    items["decoder_l2_ffn_b1"].values[0, 3] = np.nan
    items["decoder_l1_rnn_bf"] = tiny.Stored(np.zeros((1, 9), np.float32))
    items["decoder_l3_mystery"] = tiny.Stored(np.zeros((1, 8), np.float32))
    message = refusal(tmp_path, tiny.write_bin(items))
    for part in (
        "4 bad tensors",
        "missing encoder.0.self.query.weight [8, 8]",
        "not finite decoder.1.ffn.inner.bias",
        "wrong shape decoder.0.ssru.gate.bias [9], expected [8]",
        "unused decoder_l3_mystery [8]",
    ):
        assert part in message


def test_a_name_must_end_with_nul(tmp_path: Path) -> None:
    content = tiny.write_bin(tiny.stored(0)).replace(b"Wemb\0", b"Wembs")
    assert "name 0" in refusal(tmp_path, content)


def test_too_many_items(tmp_path: Path) -> None:
    content = struct.pack("<2Q", 1, marian.MAXIMUM_ITEMS + 1) + bytes(32 * marian.MAXIMUM_ITEMS)
    assert "count 65537" in refusal(tmp_path, content + bytes(32))


def test_options_are_needed(tmp_path: Path) -> None:
    entries = [("Wemb", (11, 8), 0x404, bytes(4 * 88))]
    assert "no text named special:model.yml" in refusal(tmp_path, tiny.pack(entries))


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    with path.open("wb") as file:
        file.write(tiny.write_bin(tiny.stored(0)))
        file.truncate(checkpoint_bytes.MAXIMUM_BYTES + 1)
    with pytest.raises(CheckpointError, match="at most"):
        marian_bin.read(path)
