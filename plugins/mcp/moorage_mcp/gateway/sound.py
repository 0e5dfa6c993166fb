"""Text and JSON of strangers that everybody can take: in UTF-8, and with numbers that JSON has."""

from __future__ import annotations

import json
from typing import Any


def text(value: str) -> str:
    """Without half characters (lone surrogates), which JSON can spell and UTF-8 cannot."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def value(found: Any) -> Any:
    """The same of JSON, also without NaN and infinities: null. RecursionError when it is too deep to be written."""
    try:
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # So are both faults.
        shown = json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")
        return json.loads(shown, parse_constant=lambda _: None)
    return found
