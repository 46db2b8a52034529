"""Files of tiny models for a service: two translators, a language model, and an encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from int8ref.files.model_file import Model, save
from tests.helpers.chat_templates import TEMPLATES
from tests.helpers.encoders import build_encoder
from tests.helpers.models import build_tiny_model

TRANSLATORS: dict[str, Model] = {
    "tiny-translation": build_tiny_model(6, "translation"),
    "tiny-back": replace(build_tiny_model(2), name="tiny-back", languages=("pt", "en")),
}
LANGUAGE_MODEL = replace(build_tiny_model(9, "rotary"), chat=TEMPLATES["gemma"])


def files(folder: Path) -> dict[str, Path]:
    """Write the files of all models.  Return them by the names of the models."""
    found = {}
    for model in [*TRANSLATORS.values(), LANGUAGE_MODEL, build_encoder()]:
        found[model.name] = folder / f"{model.name}.safetensors"
        save(found[model.name], model)
    return found
