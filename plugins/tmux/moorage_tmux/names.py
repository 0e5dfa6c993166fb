"""Names that people give to sessions and windows: which are fit, and how tmux is told them."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_NAME = 200
_UNFIT = frozenset(("Cc", "Cs", "Zl", "Zp"))
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_HASHES = re.compile(r"#+(?!#|\[)")


def fit(name: str) -> str:
    """The name itself. ValueError for one that is blank or could not be told apart from what surrounds it."""
    if not name.strip():
        raise ValueError("a name is not blank")
    if any(unicodedata.category(character) in _UNFIT or character in _TURNS for character in name):
        raise ValueError("a name has no control characters, line breaks or changes of direction")
    return name


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(fit)]


def argument(text: str) -> str:
    """A text as an argument of a tmux command that expands formats: what tmux makes of it is the text again.

    `#(…)` would run a command and `#{…}` be replaced, so `#` is doubled, but before `[`, where tmux keeps it as it is.
    A `;` at the end would end the command.
    """
    text = _HASHES.sub(lambda found: found[0] * 2, text)
    return text[:-1] + "\\;" if text.endswith(";") else text
