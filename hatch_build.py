"""The metadata of a release: the README with absolute links, and the addresses of its pages.

The project has no fixed address.  Whoever builds a release sets `INT8REF_URL` to the address under
which the files of the project lie, such as https://HOST/OWNER/int8ref/blob/v0.1.0.  Without it, the
links of the README stay relative, and the metadata names no address.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(\]\()(?!https?://|#)([^)\s]+\))")
PAGES = {"Documentation": "docs/index.md", "Changelog": "CHANGELOG.md"}


def absolute(text: str, address: str) -> str:
    """Return Markdown whose relative links begin with an address."""
    return LINK.sub(rf"\g<1>{address}/\g<2>", text) if address else text


class Release(MetadataHookInterface):
    """Sets `readme` and `urls` of the project."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling for each build."""
        address = os.environ.get("INT8REF_URL", "").rstrip("/")
        text = (Path(self.root) / "README.md").read_text("utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, address)}
        if address:
            metadata["urls"] = {name: f"{address}/{page}" for name, page in PAGES.items()}
