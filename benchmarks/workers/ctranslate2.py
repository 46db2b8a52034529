"""CTranslate2 on a Transformer of random weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGES = ("ctranslate2",)


class Engine:
    """Runs CTranslate2.

    options: {"folder", "type": float32 or int8}

    work: {"source": ids of each sentence, "length": number of target tokens, "beam"}
    """

    def __init__(self, options: dict[str, Any]) -> None:
        import ctranslate2

        self._translator = ctranslate2.Translator(
            str(Path(options["folder"], f"ctranslate2-{options['type']}")),
            device="cpu",
            compute_type=options["type"],
            inter_threads=1,
            intra_threads=1,
        )
        supported = sorted(ctranslate2.get_supported_compute_types("cpu"))
        forced = os.environ.get("CT2_FORCE_CPU_ISA", "chosen by itself")
        self.description = f"compute types {', '.join(supported)}; instruction set {forced}"

    def prepare(self, work: dict[str, Any]) -> Callable[[], list[list[int]]]:
        source = [["</s>" if i == 0 else f"t{i}" for i in row] for row in work["source"]]
        options = {
            "beam_size": work["beam"],
            "max_decoding_length": work["length"],
            "max_batch_size": 0,
            "max_input_length": 0,
            "return_scores": False,
        }

        def run() -> list[list[int]]:
            found = self._translator.translate_batch(source, **options)
            return [[int(token[1:]) for token in result.hypotheses[0]] for result in found]

        return run
