"""Long texts in parts: the model reads 256 tokens, and one vector says little of many subjects."""

from __future__ import annotations

import re

SPACED, UNSPACED = 700, 220
"""Characters of a part, by its script: what fits into 256 tokens of most languages."""
MOST = 16
"""Parts of a memory that get a vector. What comes after them is found by its words."""
READ = MOST * SPACED
"""Characters of a memory that are needed for that."""
_DENSE = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_ENDS = ("\n\n", "\n", ". ", "! ", "? ", "。", "; ", ", ", " ")


def parts(text: str) -> list[str]:
    """The parts of a text, cut where one of its own ends if there is such a place. At least one, which may be ""."""
    found: list[str] = []
    rest = text[:READ].strip()
    while rest and len(found) < MOST:
        head = rest[:SPACED]
        size = UNSPACED if len(_DENSE.findall(head)) * 3 > len(head) else SPACED
        at = len(rest) if len(rest) <= size * 5 // 4 else _end(rest[:size])
        found.append(rest[:at].strip())
        rest = rest[at:].strip()
    return found or [""]


def _end(text: str) -> int:
    """Where to cut: in its latter half."""
    for end in _ENDS:
        at = text.rfind(end, len(text) // 2)
        if at > 0:
            return at + len(end)
    return len(text)
