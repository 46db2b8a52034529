"""Golden vectors as one file: a NumPy archive (.npz), without pickles and without compression."""

from __future__ import annotations

import io
import json
import re
import zipfile

import numpy as np

from int8ref.errors import UserError
from int8ref.golden.vectors import Vectors

INDEX = "vectors.json"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every file in an archive, so that the bytes depend only on the content."""
UNIX = 3
"""Operating system in the header of every archive, so that all systems write equal bytes."""


def archive(vectors: Vectors, model: str | None = None, sha256: str | None = None) -> bytes:
    """Return a NumPy archive.  `INDEX` holds all data except the arrays.

    `model`: name of the model.  `sha256`: digest of its file.  `numpy.load` reads the archive.  No
    member is a pickle.  Raises `UserError` for a name with "..", because unpacking could leave the
    folder.
    """
    index = vectors.index(model, sha256) | {"records": vectors.records}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        made.writestr(_member(INDEX), json.dumps(index, indent=1))
        for name in sorted(vectors.arrays):
            if ".." in re.split(r"[/\\]", name):  # unpacking could leave the folder
                raise UserError(f"the model has a tensor or value of the name {name!r}")
            member = io.BytesIO()
            np.lib.format.write_array(member, vectors.arrays[name], allow_pickle=False)
            made.writestr(_member(f"{name}.npy"), member.getvalue())
    return content.getvalue()


def _member(name: str) -> zipfile.ZipInfo:
    """Return the header of a file in an archive, equal on every system."""
    made = zipfile.ZipInfo(name, EPOCH)
    made.create_system = UNIX
    return made
