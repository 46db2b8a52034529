"""Packed weights in the cache: computed once, mapped, always right, always checked."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from int8ref.engines.backends import load_engine
from int8ref.engines.compiled import CompiledEngine
from int8ref.files import cached, container
from int8ref.files.model_file import Model, load, save
from int8ref.host import installed
from int8ref.kernels.gemm.layout import pack
from int8ref.machine.model import packed, prepare
from int8ref.machine.model.prepare import Prepared, coarse_keys, linears, packed_key, start_key
from int8ref.program.program import Tensors
from int8ref.translation.worker import Worker
from tests.helpers.engines import requests
from tests.helpers.machine_text import machine_text
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import TIMEOUT, python

BATCH, LIMITS = [[5, 9, 3, 0], [7, 0]], [9, 9]


@pytest.fixture
def model(tmp_path: Path, tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model from a file, and an empty cache that has only the machine."""
    machine_text()
    load_engine(build_tiny_model(2).program, build_tiny_model(2).tensors)
    monkeypatch.setenv("INT8REF_CACHE", str(tmp_path / "cache"))
    return load(tiny_file)


def engine_of(model: Model) -> CompiledEngine:
    found = load_engine(
        model.program, model.tensors, "compiled", model.types, model.digest, model.name
    )
    assert isinstance(found, CompiledEngine)
    return found


def works(model: Model) -> bool:
    """Return whether the engine equals the reference, with a packed and a plain output layer."""
    reference = load_engine(model.program, model.tensors, "reference")
    candidates = [np.arange(0, 40, 2, dtype=np.int32)] * 2
    plain, restricted = (requests(BATCH, LIMITS, some) for some in (None, candidates))
    return all(
        engine_of(model).greedy(asked) == reference.greedy(asked) for asked in (plain, restricted)
    )


def kept(model: Model) -> Path:
    """Return the only file of packed weights."""
    (path,) = Path(os.environ["INT8REF_CACHE"]).glob("packed-*")
    return path


def test_a_model_with_other_weights_takes_the_place_of_the_older(
    tmp_path: Path, model: Model
) -> None:
    """The models have one name, and the Worker of a translator loads them."""
    Worker(model, "compiled")
    older = kept(model)
    os.utime(older, (0, 0))
    name = linears(model.program)[0].weight
    changed = {**model.tensors, name: 1 - model.tensors[name] // 2}
    save(tmp_path / "other.safetensors", replace(model, tensors=changed))
    Worker(load(tmp_path / "other.safetensors"), "compiled")
    assert kept(model) != older


def test_weights_are_packed_once(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    assert works(model)
    before = kept(model).stat()
    for module in (packed, prepare):
        monkeypatch.setattr(module, "pack", lambda weight: pytest.fail("packed again"))
        monkeypatch.setattr(module, "start", lambda *_: pytest.fail("summed up again"))
    monkeypatch.setattr(prepare, "pack_coarse", lambda *_: pytest.fail("split again"))
    assert works(model)
    assert kept(model).stat() == before


def test_what_is_kept_is_what_packing_gives(model: Model) -> None:
    assert model.digest is not None
    for _ in range(2):
        found = packed.weights(model.program, model.tensors, model.digest, model.name)
        for product in linears(model.program):
            weight = found[packed_key(product.weight)]
            np.testing.assert_array_equal(weight, pack(model.tensors[product.weight]))
            start = prepare.start(product, model.tensors)
            np.testing.assert_array_equal(found[start_key(product)], start)
            for array in (weight, found[start_key(product)]):
                assert array.ctypes.data % 64 == 0
                assert not array.flags.writeable


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "truncated": lambda whole: whole[:-1],
    "half": lambda whole: whole[: len(whole) // 2],
    "longer": lambda whole: whole + b"\0",
    "one bit": lambda whole: whole[:-500] + bytes([whole[-500] ^ 1]) + whole[-499:],
    "other": lambda whole: b"\x7fELF" * 1000,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_made_again(model: Model, damage: Callable[[bytes], bytes]) -> None:
    assert works(model)
    good = kept(model).read_bytes()
    kept(model).write_bytes(damage(good))
    assert works(model)
    assert kept(model).read_bytes() == good


def without(tensors: Tensors, name: str) -> Tensors:
    return {n: t for n, t in tensors.items() if n != name}


OTHER_TYPE = {"int8": np.int16, "int16": np.int8, "int32": np.int8}
HOSTILE: dict[str, Callable[[Tensors, str, str], tuple[Tensors, str]]] = {
    "of another model": lambda tensors, key, name: (tensors, "0" * 64),
    "a tensor is missing": lambda tensors, key, name: (without(tensors, name), key),
    "too small": lambda tensors, key, name: ({**tensors, name: tensors[name][:0:-1]}, key),
    "of another type": lambda tensors, key, name: (
        {**tensors, name: tensors[name].astype(OTHER_TYPE[tensors[name].dtype.name])}, key
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("which", ["weight", "start", "coarse"])
def test_a_sound_file_of_something_else_is_made_again(
    model: Model, change: Callable[[Tensors, str, str], tuple[Tensors, str]], which: str
) -> None:
    assert works(model)
    good = kept(model).read_bytes()
    contents = container.unpack(good, cached.metadata(packed.KIND))
    product, head = linears(model.program)[0], prepare.head(model.program)
    names = {"weight": packed_key(product.weight), "start": start_key(product)}
    if which == "coarse" and not prepare.coarse(head, model.tensors):
        pytest.skip("this CPU has no use for coarse weights")
    name = names.get(which, coarse_keys(head)[0])
    tensors, key = change(contents.tensors, contents.document, name)
    tensors = {n: np.ascontiguousarray(t) for n, t in tensors.items() if t.size}
    kept(model).write_bytes(container.pack(tensors, cached.metadata(packed.KIND), f'"{key}"', 64))
    assert works(model)
    assert kept(model).read_bytes() == good


@pytest.mark.parametrize("obstacle", ["a file", "the file is a folder"])
def test_works_without_a_folder_to_write_to(model: Model, obstacle: str) -> None:
    folder = Path(os.environ["INT8REF_CACHE"])
    if obstacle == "a file":
        folder.write_text("not a folder")
    else:
        assert works(model)
        path = kept(model)
        path.unlink()
        path.mkdir()
    assert works(model)


def test_other_tensors_have_no_digest(model: Model, tmp_path: Path) -> None:
    """The cache entry of a file's digest is used only for the tensors of this file."""
    assert model.digest is not None
    assert build_tiny_model(2).digest is None
    assert replace(model, name="other").digest is None
    name = linears(model.program)[0].weight
    other = replace(model, tensors={**model.tensors, name: 1 - model.tensors[name] // 2})
    assert works(other)
    model.tensors[name] = model.tensors[name].copy()
    assert model.digest is None
    save(tmp_path / "other.safetensors", other)
    assert works(load(tmp_path / "other.safetensors"))


def test_the_key_covers_model_layout_and_cpu(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = packed._key("0" * 64)
    assert packed._key("0" * 64) == mine
    assert packed._key("1" * 64) != mine
    with monkeypatch.context() as patch:
        patch.setenv("NUMBA_CPU_FEATURES", "+sse2")
        assert packed._key("0" * 64) != mine
    root = installed.PACKAGE
    for name in packed.SOURCES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((root / name).read_bytes())
    monkeypatch.setattr(installed, "PACKAGE", tmp_path)
    assert packed._key("0" * 64) == mine
    for name in packed.SOURCES:
        before = packed._key("0" * 64)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\n")
        assert packed._key("0" * 64) != before, name


RACER = """
import sys
from pathlib import Path
from int8ref.machine.model import packed
from int8ref.files.model_file import load
made = packed._pack
def both(program, tensors):
    Path(sys.argv[2]).touch()
    while len(list(Path(sys.argv[2]).parent.glob("started-*"))) < 2:
        pass
    return made(program, tensors)
packed._pack = both
model = load(sys.argv[1])
packed.weights(model.program, model.tensors, model.digest, model.name)
"""


def test_two_processes_may_pack_at_once(model: Model, tiny_file: Path, tmp_path: Path) -> None:
    """Each process waits until both have begun.  Then both write."""
    racers = [python(RACER, tiny_file, tmp_path / f"started-{i}") for i in range(2)]
    for racer in racers:
        _, errors = racer.communicate(timeout=TIMEOUT)
        assert racer.returncode == 0, errors
    before = kept(model).stat()
    assert works(model)
    assert kept(model).stat() == before


def test_threads_share_what_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model without a file, with a packed and a plain output layer."""
    machine_text()
    model = build_tiny_model(1)
    packings: list[int] = []

    def counted(weight: container.Array) -> container.Array:
        packings.append(id(weight))
        return pack(weight)

    monkeypatch.setattr(prepare, "pack", counted)
    engine = engine_of(model)
    with ThreadPoolExecutor(8) as pool:
        plain = [i % 2 == 0 for i in range(32)]
        codes = list(pool.map(lambda head: engine.code(plain_head=head), plain))
    assert len({id(code) for code in codes}) == 2
    assert sorted(packings) == sorted({id(model.tensors[i.weight]) for i in linears(model.program)})


def test_a_plain_head_is_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_text()
    model = build_tiny_model(1)
    head = model.program.decoder[-1]
    prepared = Prepared(model.tensors, {}, {})
    weight = model.tensors["embeddings"]
    monkeypatch.setattr(prepare, "pack", lambda weight: pytest.fail("packed"))
    types = model.types
    prepared = Prepared(model.tensors, types.encoder | types.decoder, {})
    assert prepared.operands(head, plain=True)["weight"] is weight
