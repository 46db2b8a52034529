"""The signature of a run: one line that identifies it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from int8ref.host import installed

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.files.model_file import Model


def signature(model: Model, told: dict[str, object]) -> str:
    """Return one line: versions, model hash, and what else is `told`, options and the backend.

    Two runs whose signatures differ only in the backend give the same bytes.  The line of a model
    with a name also has the digest of all its values (`files.digests`).
    """
    from int8ref.files.digests import DIGESTS
    from int8ref.spec import arithmetic

    sha256 = model.sha256
    parts = {
        "int8ref": installed.ours(),
        "arithmetic": arithmetic.VERSION,
        "model": model.name,
        "sha256": sha256,
        **({"values": DIGESTS[sha256]} if sha256 in DIGESTS else {}),
        **told,
    }
    return "|".join(f"{name}:{value}" for name, value in parts.items())
