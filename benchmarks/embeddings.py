"""Times embeddings beside PyTorch in float32 and ONNX Runtime with dynamic int8, in turns:

python -m benchmarks.embeddings all-MiniLM-L6-v2/ --text lines.txt

All read the same checkpoint, and turn the same lines into unit vectors, the tokenizer included.
Each uses one thread of one processor.  The lines of a batch have similar lengths, because that
favours the contestants, which pad them.  This needs torch, transformers, onnx and onnxruntime
beside int8ref.  The table reports lines a second, the median over the rounds, half of the
interquartile range, and the ratio of int8ref's speed to each contestant.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.summary import paired_ratio, summarize

Vectors = npt.NDArray[Any]
Embed = Callable[[Sequence[str]], Vectors]
"""Turns a batch of lines into vectors."""
OWN, FLOAT, INTEGER = "int8ref", "PyTorch float32", "ONNX Runtime int8"


def own(folder: Path, work: Path, size: int) -> Embed:
    """Return int8ref's function, after an import."""
    from int8ref.encoder import Encoder
    from int8ref.files.model_file import load
    from int8ref.translation.ready import Speed
    from weights_import.__main__ import main

    path = work / "embeddings.safetensors"
    if not path.exists() and main([str(folder), "-o", str(path), "-q"]):
        raise SystemExit("the import failed")
    encoder = Encoder(load(path), speed=Speed(size))
    if size == 1:
        return lambda lines: encoder.embed(lines[0])[np.newaxis]
    return lambda lines: encoder.embed(list(lines))


def pooled(rows: Vectors, mask: Vectors) -> Vectors:
    """Return the unit vectors of the means of the rows."""
    sums = (rows * mask[..., np.newaxis]).sum(1)
    return np.asarray(sums / np.sqrt((sums * sums).sum(1, keepdims=True)))


def in_floats(folder: Path) -> Embed:
    """Return PyTorch's function."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()

    def embed(lines: Sequence[str]) -> Vectors:
        with torch.inference_mode():
            batch = tokenizer(list(lines), padding=True, truncation=True, return_tensors="pt")
            rows = model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            found = torch.nn.functional.normalize((rows * mask).sum(1))
        return np.asarray(found.numpy())

    return embed


def in_onnx(folder: Path, work: Path) -> Embed:
    """Return ONNX Runtime's function for weights and activations of 8 bits."""
    import onnxruntime
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    exact, quantized = work / "exact.onnx", work / "int8.onnx"
    if not quantized.exists():
        made = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

        class Rows(torch.nn.Module):  # type: ignore[misc, name-defined]
            """The last values of the tokens."""

            def __init__(self) -> None:
                super().__init__()
                self.model = made

            def forward(self, *given: Any) -> Any:
                return self.model(**dict(zip(names, given, strict=True))).last_hidden_state

        given = tokenizer(["a line", "a longer line of words"], padding=True, return_tensors="pt")
        torch.onnx.export(
            Rows(),
            tuple(given[name] for name in names),
            exact,
            input_names=names,
            output_names=["rows"],
            dynamic_axes={name: {0: "batch", 1: "length"} for name in [*names, "rows"]},
            dynamo=False,
        )
        quantize_dynamic(exact, quantized, weight_type=QuantType.QInt8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(quantized, options, ["CPUExecutionProvider"])

    def embed(lines: Sequence[str]) -> Vectors:
        batch = tokenizer(list(lines), padding=True, truncation=True, return_tensors="np")
        given = {name: batch[name].astype(np.int64) for name in names}
        return pooled(session.run(["rows"], given)[0], given["attention_mask"])

    return embed


def measured(embed: Embed, batches: Sequence[Sequence[str]], clock: Callable[[], float]) -> float:
    """Return the lines a second of one pass."""
    begun = clock()
    for batch in batches:
        embed(batch)
    return sum(map(len, batches)) / (clock() - begun)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.embeddings", description=__doc__)
    made.add_argument("checkpoint", type=Path, help="folder of sentence-transformers, mean pooling")
    made.add_argument("--text", type=Path, required=True, help="lines to embed")
    made.add_argument("--lines", type=int, default=200, help="number of lines (default: 200)")
    made.add_argument("--rounds", type=int, default=7, help="default: 7")
    made.add_argument("--sizes", default="1,32", help="sizes of batches (default: 1,32)")
    made.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="default: wall")
    made.add_argument("--cpu", type=int, help="processor (default: the last allowed one)")
    made.add_argument("--work", type=Path, help="folder of the models that are made")
    return made


def main() -> None:
    """Measure, and print the table."""
    given = parser().parse_args()
    cpu = max(os.sched_getaffinity(0)) if given.cpu is None else given.cpu
    os.sched_setaffinity(0, {cpu})
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    clock = time.process_time if given.clock == "cpu" else time.perf_counter
    lines = given.text.read_text("utf-8").splitlines()[: given.lines]
    with tempfile.TemporaryDirectory() as folder:
        work = given.work or Path(folder)
        floats, onnx = in_floats(given.checkpoint), in_onnx(given.checkpoint, work)
        for size in map(int, given.sizes.split(",")):
            run = {OWN: own(given.checkpoint, work, size), FLOAT: floats, INTEGER: onnx}
            compare(run, lines, size, given.rounds, clock)


def compare(
    run: dict[str, Embed], lines: list[str], size: int, rounds: int, clock: Callable[[], float]
) -> None:
    """Measure all contestants in turns for one size of batches, and print their rows."""
    ordered = sorted(lines, key=len) if size > 1 else lines
    batches = [ordered[at : at + size] for at in range(0, len(ordered), size)]
    exact = run[FLOAT](batches[0])
    for name, embed in run.items():
        found = embed(batches[0]).astype(np.float64)
        cosine = (found * exact).sum(1) / np.sqrt((found**2).sum(1))
        print(f"batch {size}, {name}: cosine to {FLOAT} {cosine.mean():.4f}")
    samples: dict[str, list[float]] = {name: [] for name in run}
    for turn in range(rounds):
        names = [*run][turn % len(run) :] + [*run][: turn % len(run)]
        for name in names:
            samples[name].append(measured(run[name], batches, clock))
    for name, speeds in samples.items():
        told = summarize(speeds)
        row = f"batch {size:3d}  {name:20s} {told.median:9.1f} lines/s +- {told.spread:.1%}"
        if name != OWN:
            row += f"   int8ref {paired_ratio(samples[OWN], speeds).median:.2f} times"
        print(row, flush=True)


if __name__ == "__main__":
    main()
