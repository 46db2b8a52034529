"""Translates a text with an exported model in float and scores it:

python -m training.score MODEL.safetensors --source FILE --target FILE [--beam 5]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import sacrebleu
import sentencepiece
import torch

from training import export
from training.prepare import EOS
from training.search import translate
from training.text_files import read_lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--source", required=True, help="text file, plain, .gz or .xz")
    parser.add_argument("--target", required=True, help="its reference translation")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="file that receives the translations")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    source, target = (read_lines(Path(), [name]) for name in (arguments.source, arguments.target))
    if len(source) != len(target):
        parser.error(f"{len(source)} source lines, but {len(target)} target lines")
    model, described = export.load(arguments.model)
    tokenizer = sentencepiece.SentencePieceProcessor(
        model_file=str(arguments.model.parent / described["tokenizer"])
    )
    start = time.perf_counter()
    rows = [[*ids, EOS] for ids in tokenizer.encode(source)]
    found = translate(model, tokenizer, rows, arguments.beam)
    seconds = time.perf_counter() - start
    if arguments.out:
        text = "".join(f"{line}\n" for line in found)
        arguments.out.write_text(text, encoding="utf-8")
    for metric in (
        sacrebleu.BLEU(),
        sacrebleu.BLEU(lowercase=True),
        sacrebleu.CHRF(),
    ):
        print(metric.corpus_score(found, [target]), metric.get_signature())
    print(f"{len(source)} sentences in {seconds:.2f} s")


if __name__ == "__main__":
    main()
