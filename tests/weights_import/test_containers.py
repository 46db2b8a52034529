"""One model in every container: the readers give the same, and refuse what is not whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_gpt2
import tiny_hugging_face
import tiny_llama
import torch_writer as writer
from safetensors.numpy import load_file, save_file

from weights_import import sources
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.sources import containers


def marian(folder: Path) -> Path:
    return tiny_hugging_face.write(folder)


def bart(folder: Path) -> Path:
    tensors = tiny_hugging_face.bart_tensors()
    return tiny_hugging_face.write(folder, tensors, **tiny_hugging_face.BART)


def qwen2(folder: Path) -> Path:
    return tiny_llama.write(folder, **tiny_llama.QWEN2)


MODELS: tuple[Callable[[Path], Path], ...] = (
    marian, bart, tiny_llama.write, qwen2, tiny_gpt2.write,
)  # fmt: skip
PARTS = 3


def name_of(part: int, end: str) -> str:
    stem = "model" if end == "safetensors" else "pytorch_model"
    return f"{stem}-{part + 1:05}-of-{PARTS:05}.{end}"


def index_of(folder: Path, end: str) -> Path:
    stem = "model" if end == "safetensors" else "pytorch_model"
    return folder / f"{stem}.{end}.index.json"


def in_zip(path: Path) -> Path:
    found = path.with_name("pytorch_model.bin")
    found.write_bytes(writer.saved(load_file(path)))
    path.unlink()
    return found


def in_legacy(path: Path) -> Path:
    found = path.with_name("pytorch_model.bin")
    found.write_bytes(writer.saved(load_file(path), legacy=True))
    path.unlink()
    return found


def in_parts(path: Path, end: str = "safetensors") -> Path:
    """Write the tensors in three parts with an index."""
    tensors = load_file(path)
    path.unlink()
    names = sorted(tensors)
    listed = {}
    for part in range(PARTS):
        own = {name: tensors[name] for name in names[part::PARTS]}
        file = path.with_name(name_of(part, end))
        if end == "safetensors":
            save_file(own, file)
        else:
            file.write_bytes(writer.saved(own, legacy=part == 1))
        listed |= dict.fromkeys(own, file.name)
    index = index_of(path.parent, end)
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": listed}))
    return index


def in_parts_of_pytorch(path: Path) -> Path:
    return in_parts(path, "bin")


CONTAINERS: tuple[Callable[[Path], Path], ...] = in_zip, in_legacy, in_parts, in_parts_of_pytorch


def same(found: FloatModel, wanted: FloatModel) -> bool:
    assert (found.program, found.generation) == (wanted.program, wanted.generation)
    assert found.tensors.keys() == wanted.tensors.keys()
    return all(np.array_equal(found.tensors[name], wanted.tensors[name]) for name in found.tensors)


@pytest.mark.parametrize("pack", CONTAINERS, ids=lambda pack: pack.__name__)
@pytest.mark.parametrize("write", MODELS, ids=lambda write: write.__name__)
def test_the_model_is_the_same(
    write: Callable[[Path], Path], pack: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = write(tmp_path)
    wanted = sources.read(path)
    for name in wanted.tensors:
        wanted.tensors[name] = wanted.tensors[name]  # keeps it in memory
    whole = pack(path)
    for given in (tmp_path, *tmp_path.glob("*.bin"), *tmp_path.glob("*.safetensors"), whole):
        assert same(sources.read(given), wanted)
        assert sources.read(given).provenance["file"] == whole.name
        first, *others = sources.files(given)
        assert first == whole
        assert {*tmp_path.iterdir()} == {first, *others}


def test_the_digest_of_parts_is_that_of_their_digests(tmp_path: Path) -> None:
    index = in_parts(tiny_llama.write(tmp_path))
    lines = ""
    for part in sorted(tmp_path.glob("*.safetensors")):
        lines += f"{hashlib.sha256(part.read_bytes()).hexdigest()}  {part.name}\n"
    wanted = hashlib.sha256(lines.encode()).hexdigest()
    assert sources.read(index).provenance["sha256"] == wanted


ORDER: tuple[Callable[[Path], Path], ...] = (
    lambda path: path, in_parts, in_zip, in_parts_of_pytorch,
)  # fmt: skip


@pytest.mark.parametrize("better", range(3))
def test_of_several_containers_the_first_one_is_read(better: int, tmp_path: Path) -> None:
    wanted = ""
    for pack in ORDER[:better:-1] + ORDER[better : better + 1]:
        wanted = pack(tiny_llama.write(tmp_path)).name
    assert sources.read(tmp_path).provenance["file"] == wanted


def test_two_files_of_one_container_are_not_chosen_from(tmp_path: Path) -> None:
    in_zip(tiny_llama.write(tmp_path)).rename(tmp_path / "other.bin")
    in_zip(tiny_llama.write(tmp_path))
    with pytest.raises(CheckpointError, match=r"several checkpoints, .* other.bin, pytorch_model"):
        sources.read(tmp_path)


def test_other_files_of_a_training_do_no_harm(tmp_path: Path) -> None:
    path = in_zip(tiny_llama.write(tmp_path))
    state = {"state": {0: {"exp_avg": np.ones(3, np.float32)}}, "param_groups": []}
    (tmp_path / "optimizer.pt").write_bytes(writer.saved(state))
    arguments = writer.Call(writer.Named("transformers.training_args", "TrainingArguments"), ())
    (tmp_path / "training_args.bin").write_bytes(writer.saved(arguments))
    assert sources.read(tmp_path).provenance["file"] == path.name


def test_buffers_are_passed_over(tmp_path: Path) -> None:
    """What older versions of transformers have stored beside the weights."""
    path = tiny_gpt2.write(tmp_path)
    wanted = sources.read(path)
    for name in wanted.tensors:
        wanted.tensors[name] = wanted.tensors[name]
    stored: dict[str, Any] = dict(load_file(path))
    for layer in range(tiny_gpt2.LAYERS):
        at = f"transformer.h.{layer}.attn"
        stored[f"{at}.bias"] = np.ones((1, 1, 8, 8), np.uint8)
        stored[f"{at}.masked_bias"] = np.array(-1e4, np.float32)
    path.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(writer.saved(stored))
    assert same(sources.read(tmp_path), wanted)


def test_frequencies_and_positions_are_passed_over(tmp_path: Path) -> None:
    path = tiny_llama.write(tmp_path)
    stored: dict[str, Any] = dict(load_file(path))
    half = tiny_llama.HEAD_SIZE // 2
    frequencies = (10000.0 ** (-np.arange(half) / half)).astype(np.float32)
    stored["model.layers.0.self_attn.rotary_emb.inv_freq"] = frequencies
    stored["model.embeddings.position_ids"] = np.arange(9)[None]
    path.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(writer.saved(stored))
    assert sources.read(tmp_path).warnings == []


def changed_index(folder: Path, change: Callable[[dict[str, str]], Any]) -> None:
    index = in_parts(tiny_llama.write(folder))
    told = json.loads(index.read_text())
    told["weight_map"] = change(told["weight_map"]) or told["weight_map"]
    index.write_text(json.dumps(told))


def listed_as(name: object) -> Callable[[Path], None]:
    return lambda folder: changed_index(
        folder, lambda listed: {**listed, "model.norm.weight": name}
    )


def without_a_part(folder: Path) -> None:
    in_parts(tiny_llama.write(folder))
    (folder / name_of(1, "safetensors")).unlink()


def with_the_part_of_another(folder: Path) -> None:
    in_parts(tiny_llama.write(folder))
    first, second = (folder / name_of(part, "safetensors") for part in (0, 1))
    second.write_bytes(first.read_bytes())


def with_a_tensor_twice(folder: Path) -> None:
    in_parts(tiny_llama.write(folder))
    first, last = (folder / name_of(part, "safetensors") for part in (0, 2))
    save_file(load_file(first) | load_file(last), last)


def with_an_unlisted_tensor_twice(folder: Path) -> None:
    in_parts(tiny_llama.write(folder))
    for part in (0, 2):
        path = folder / name_of(part, "safetensors")
        save_file(load_file(path) | {"x": np.zeros(3, np.float32)}, path)


def with_a_damaged_part(folder: Path) -> None:
    in_parts(tiny_llama.write(folder))
    path = folder / name_of(2, "safetensors")
    path.write_bytes(path.read_bytes()[:-1])


def with_a_part_that_is_no_part(folder: Path) -> None:
    in_parts(tiny_llama.write(folder))
    (folder / name_of(0, "safetensors")).write_bytes(
        b"version https://git-lfs.github.com/spec/v1\n"
    )


def without_a_list(folder: Path) -> None:
    index = in_parts(tiny_llama.write(folder))
    index.write_text(index.read_text().replace("weight_map", "weight_maps"))


def with_a_damaged_index(folder: Path) -> None:
    index = in_parts(tiny_llama.write(folder))
    index.write_text(index.read_text()[:-1])


ELSEWHERE = "is no name of a file in the same folder, and no other file is read"
WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "a part is missing": (
        without_a_part,
        "model-00002-of-00003.safetensors is missing, which model.safetensors.index.json lists as a"
        " part; put all parts into the folder of the index",
    ),
    "a part of another checkpoint": (
        with_the_part_of_another, "model-00002-of-00003.safetensors: it is another file than the",
    ),
    "a tensor in two parts": (with_a_tensor_twice, "is a tensor of another part too"),
    "an unlisted tensor in two": (with_an_unlisted_tensor_twice, "x is a tensor of another part"),
    "a damaged part": (with_a_damaged_part, "model-00003-of-00003.safetensors: "),
    "a pointer": (
        with_a_part_that_is_no_part, "model-00001-of-00003.safetensors: a pointer of Git LFS",
    ),
    "no list": (without_a_list, "model.safetensors.index.json: no weight_map"),
    "half an index": (with_a_damaged_index, "model.safetensors.index.json: "),
    "an empty list": (lambda folder: changed_index(folder, dict.clear), "no weight_map"),
    "a folder above": (listed_as("../secret"), ELSEWHERE),
    "an absolute path": (listed_as("/etc/passwd"), ELSEWHERE),
    "a folder of Windows": (listed_as("..\\secret"), ELSEWHERE),
    "a disk of Windows": (listed_as("C:secret"), ELSEWHERE),
    "the folder itself": (listed_as("."), ELSEWHERE),
    "an index as a part": (listed_as("x.index.json"), ELSEWHERE),
    "a line": (listed_as("a\nb"), ELSEWHERE),
    "a name that is none": (listed_as(7), ELSEWHERE),
    "no name": (listed_as(""), ELSEWHERE),
    "a long name": (listed_as("x" * 3000), ELSEWHERE),
    "half a character": (listed_as("\ud800"), ELSEWHERE),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_parts_are_told(case: str, tmp_path: Path) -> None:
    write, message = WRONG[case]
    write(tmp_path)
    for given in (tmp_path, index_of(tmp_path, "safetensors")):
        with pytest.raises(CheckpointError) as caught:
            sources.read(given)
        assert message in str(caught.value)


def test_a_part_alone_is_told(tmp_path: Path) -> None:
    in_parts(tiny_llama.write(tmp_path)).unlink()
    for given in (tmp_path, tmp_path / name_of(1, "safetensors")):
        with pytest.raises(CheckpointError, match=r"a part of a checkpoint, without the index"):
            sources.read(given)


def test_a_pickle_that_would_run_something(tmp_path: Path) -> None:
    """It is refused by name, whether a reader recognises the file or none."""
    path = tiny_llama.write(tmp_path)
    tensors: dict[str, Any] = dict(load_file(path))
    path.unlink()
    payload = writer.Call(writer.Named("posix", "system"), (f"touch {tmp_path / 'ran'}",))
    for content in ({"x": payload}, tensors | {"x": payload}):
        for legacy in (False, True):
            made = writer.saved(content, legacy)
            (tmp_path / "pytorch_model.bin").write_bytes(made)
            with pytest.raises(CheckpointError, match=r"pytorch_model.bin: pickle .* posix.system"):
                sources.read(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_contents_are_those_of_each_container(tmp_path: Path) -> None:
    path = tmp_path / "x"
    values = {"a": np.arange(6, dtype=np.float32).reshape(2, 3)}
    save_file(values, path)
    assert containers.title(path) == "a safetensors"
    for content in (path.read_bytes(), writer.saved(values), writer.saved(values, legacy=True)):
        path.write_bytes(content)
        assert containers.names_tensor(path, "a")
        assert not containers.names_tensor(path, "aa")
        np.testing.assert_array_equal(containers.contents(path).tensors["a"].read(), values["a"])
    assert containers.title(path) == "a checkpoint of PyTorch"
