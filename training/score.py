"""Translates a text and scores that, by each of the models: checkpoints of the recipe in float,
model files of int8ref in integers.

python -m training.score --source FILE --target FILE [--beam 5] MODEL.safetensors ...
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from training.evaluate import METRICS, of_translations
from training.text_files import read_parallel
from training.translators import BATCH, translator


def main(command: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--source", required=True, help="text file, plain, .gz or .xz")
    parser.add_argument("--target", required=True, help="its reference translation")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    parser.add_argument("--out", type=Path, help="file that receives the translations of one model")
    arguments = parser.parse_args(command)
    if arguments.out and len(arguments.models) > 1:
        parser.error("--out takes the translations of one model")
    torch.set_num_threads(arguments.threads)
    try:
        source, target = read_parallel(arguments.source, arguments.target)
    except ValueError as error:
        parser.error(str(error))
    print("| model | BLEU | lower-cased | chrF |\n|---|---|---|---|")
    for path in arguments.models:
        found = translator(path)(source, arguments.beam, BATCH)
        if arguments.out:
            text = "".join(f"{line}\n" for line in found)
            arguments.out.write_text(text, encoding="utf-8")
        scores = [f"{score:.2f}" for score in of_translations(found, target).values()]
        print(f"| {path.as_posix()} | {' | '.join(scores)} |", flush=True)
    for metric in METRICS.values():
        print(metric.get_signature())


if __name__ == "__main__":
    main()
