"""What can be set."""

from __future__ import annotations

import re
from typing import Annotated

from moorage.api import PluginConfig
from pydantic import AfterValidator, Field


def _pattern(text: str) -> str:
    try:
        empty = re.compile(text).search("")
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if empty:
        raise ValueError("matches the empty text, so it would match everywhere")
    return text


Pattern = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_pattern)]


class GuardConfig(PluginConfig):
    """`[plugins.guard]`."""

    secrets: tuple[Pattern, ...] = Field(
        (r"\bsk-[\w-]{3,}", r"\bgh[pousr]_\w{3,}", r"\bAKIA[A-Z0-9]{4,}"),
        description="Regular expressions: what they match within one word is shown as stars.",
    )
    forbidden: tuple[Pattern, ...] = Field(
        (), description="Regular expressions: a line that they match somewhere cannot be sent off with Enter."
    )
