"""Text as it is kept: what databases refuse is kept out, titles have a length, searches know no capitals."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from moorage.api import ValidationFailed

MAX_TITLE = 500
"""Characters of a title."""
LINE_TITLE = 80
"""Characters of a title that was made of a message's first line."""
_UNSOUND = re.compile("[\x00\ud800-\udfff]")
_SPACE = re.compile(r"\s+")


def checked(field: str, text: str) -> str:
    """The text, when it can be stored: PostgreSQL takes no NUL, and neither database halves of a surrogate pair.

    ValidationFailed otherwise.
    """
    if _UNSOUND.search(text):
        message = "has characters that no text may have: U+0000, or half of a surrogate pair"
        raise ValidationFailed(f"{field} {message}", problems=[{"field": field, "message": message}])
    return text


def sound(text: str) -> str:
    """The text with U+FFFD for what cannot be stored: what a model says is kept, whatever it is.

    The two halves of a character that some servers send as two are joined.
    """
    if _UNSOUND.search(text) is None:
        return text
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return joined.replace("\0", "\ufffd")


def sound_json(value: Any) -> Any:
    """The same for a value of JSON: PostgreSQL takes no NUL there either, and no number that JSON has not."""
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, Mapping):
        return {sound(str(key)): sound_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [sound_json(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def checked_title(text: str) -> str:
    """A title that somebody gave, in one line. ValidationFailed for one that is too long or cannot be stored."""
    title = one_line(checked("title", text))
    if len(title) > MAX_TITLE:
        message = f"is longer than {MAX_TITLE} characters"
        raise ValidationFailed(f"title {message}", problems=[{"field": "title", "message": message}])
    return title


def first_line(text: str) -> str:
    """A title made of a message: its first line with something in it, cut at a word where it is long. "" for none."""
    line = next((one for one in (one_line(part) for part in text[:10_000].splitlines()) if one), "")
    if len(line) <= LINE_TITLE:
        return line
    cut = line[: LINE_TITLE - 1]
    head, _, _ = cut.rpartition(" ")
    return f"{head if len(head) > LINE_TITLE // 2 else cut}…"


def one_line(text: str) -> str:
    """The text without line ends, control characters and space around it."""
    return "".join(char for char in _SPACE.sub(" ", text) if unicodedata.category(char) != "Cc").strip()


def folded(text: str) -> str:
    """The text as it is compared in searches: neither capitals nor widths matter."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
