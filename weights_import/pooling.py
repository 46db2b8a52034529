"""The pooling that a user asks for, in place of the pooling of a checkpoint."""

from __future__ import annotations

from dataclasses import replace

from int8ref.errors import UserError
from weights_import.float_model import FloatModel
from weights_import.operations.pool import Pool, Pooling


def pooled(model: FloatModel, asked: Pooling | None) -> FloatModel:
    """The model with the pooling `asked` for, or with its own pooling.

    Raises UserError if the model gives no embeddings.
    """
    if asked is None:
        return model
    if not model.encodes or model.labels:
        raise UserError(f"--pooling {asked}: only models that give embeddings pool their rows")
    encoder = tuple(
        replace(operation, rows=asked) if isinstance(operation, Pool) else operation
        for operation in model.program.encoder
    )
    return replace(model, program=replace(model.program, encoder=encoder))
