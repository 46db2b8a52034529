"""The signature of a run: one line that identifies it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from int8ref.host import installed

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.files.model_file import Model


def signature(model: Model | Sequence[Model], told: dict[str, object]) -> str:
    """Return one line: versions, model hash, and what else is `told`, options and the backend.

    Several models in a row have commas between their names, and between their hashes.

    Two runs whose signatures differ only in the backend give the same bytes.  The line of a model
    with a name also has the digest of all its values (`files.digests`).
    """
    from int8ref.files.digests import DIGESTS
    from int8ref.spec import arithmetic

    models = model if isinstance(model, Sequence) else [model]
    hashes = [one.sha256 for one in models]
    known = all(sha256 in DIGESTS for sha256 in hashes)
    parts = {
        "int8ref": installed.ours(),
        "arithmetic": arithmetic.VERSION,
        "model": ",".join(one.name for one in models),
        "sha256": ",".join(hashes),
        **({"values": ",".join(DIGESTS[sha256] for sha256 in hashes)} if known else {}),
        **told,
    }
    return "|".join(f"{name}:{value}" for name, value in parts.items())
