"""Draws simple figures as SVG: boxes, arrows and texts on a card.

A figure has its own background, so that it is legible on light and dark pages, and takes the dark
colours of the reader's system.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

STYLE = """
    .card { fill: #ffffff; stroke: #d0d7de }
    .ink { fill: #1f2328 }
    .quiet { fill: #59636e }
    .integer { fill: #e8f0fe; stroke: #3b6fd4 }
    .float { fill: #fdeee2; stroke: #bf5f22 }
    .plain { fill: #f3f4f6; stroke: #818b98 }
    .line { stroke: #59636e; stroke-width: 1.5; fill: none }
    .tip { fill: #59636e }
    @media (prefers-color-scheme: dark) {
      .card { fill: #171a1f; stroke: #3d444d }
      .ink { fill: #e6e8eb }
      .quiet { fill: #a3adb8 }
      .integer { fill: #1b2b4a; stroke: #7aa2f0 }
      .float { fill: #45291a; stroke: #e39b66 }
      .plain { fill: #262b32; stroke: #8b949e }
      .line { stroke: #a3adb8 }
      .tip { fill: #a3adb8 }
    }
"""
LINE = 21
"""Height of a line of text."""


@dataclass
class Drawing:
    """A figure of a width and a height.  `about` describes it for people who do not see it."""

    width: int
    height: int
    about: str
    parts: list[str] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        kind: str = "ink",
        anchor: str = "middle",
        size: int = 15,
    ) -> None:
        """Write a line; a line in `backticks` has letters of one width."""
        code = text.startswith("`")
        font = "ui-monospace, Menlo, Consolas, monospace" if code else "system-ui, sans-serif"
        size -= code
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}" font-size="{size}"'
            f' font-family="{font}">{escape(text.strip("`"))}</text>'
        )

    def box(self, x: float, y: float, width: float, lines: list[str], kind: str = "plain") -> float:
        """Draw a box around lines.  Return the y of its lower edge."""
        height = LINE * len(lines) + 14
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
            f' rx="6" class="{kind}"/>'
        )
        for number, line in enumerate(lines):
            self.text(x + width / 2, y + 22 + LINE * number, line)
        return y + height

    def arrow(self, x: float, top: float, bottom: float, label: str = "") -> None:
        """Draw an arrow down, with a label on its right side."""
        self.parts.append(f'<path d="M {x:g} {top:g} V {bottom - 7:g}" class="line"/>')
        self.parts.append(f'<path d="M {x - 5:g} {bottom - 8:g} h 10 l -5 8 z" class="tip"/>')
        if label:
            self.text(x + 12, (top + bottom) / 2 + 4, label, "quiet", "start", 14)

    def svg(self) -> str:
        """Return the file."""
        size = (
            f'width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}"'
        )
        card = (
            f'<rect x="0.5" y="0.5" width="{self.width - 1}" height="{self.height - 1}" rx="8"'
            ' class="card"/>'
        )
        about = escape(self.about)
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
                f"<title>{about}</title>",
                f"<style>{STYLE}</style>",
                card,
                *self.parts,
                "</svg>",
                "",
            ]
        )
