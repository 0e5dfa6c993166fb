"""The answer while it comes: its text, its reasoning, its tokens."""

from __future__ import annotations

from typing import Any

from moorage_chat.limits import estimate_bytes
from moorage_chat.providers.base import Usage
from moorage_chat.store.text import sound


class Pieces:
    """Text in pieces, cleaned: a character that was cut in two is whole again, what is no text becomes U+FFFD.

    Some servers send the two halves of a surrogate pair in two pieces. PostgreSQL stores no NUL.
    size: bytes so far; length: characters.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._half = ""
        self.size = self.length = 0

    def add(self, text: str) -> str:
        """Take one more; what of it is known to be text now."""
        if self._half or not text.isascii() or "\0" in text:
            text = self._half + text
            self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
            text = sound(text[:-1] if self._half else text)
            self.size += len(text.encode())
        else:
            self.size += len(text)
        if text:
            self.length += len(text)
            self._parts.append(text)
        return text

    def text(self) -> str:
        """All so far."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""


class Answer:
    """What a model has said so far, in all rounds."""

    def __init__(self) -> None:
        self.content, self.reasoning = Pieces(), Pieces()
        self.heard = False
        """Whether the model has said anything in the round in hand."""
        self._spent = Usage(0, 0)
        self._counted = self._estimated = False
        self._apart = False
        self._open: tuple[int, int] | None = None
        self._told: Usage | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.content.size + self.reasoning.size

    def ask(self, prompt_tokens: int) -> None:
        """A round begins. prompt_tokens: about how many are sent."""
        self.heard, self._told = False, None
        self._apart = self.content.length > 0
        self._open = (prompt_tokens, self.size)

    def say(self, text: str) -> str:
        """Some more of its text; what of it is known now. After the use of tools a paragraph begins."""
        if self._apart and text:
            self._apart = False
            if not text[0].isspace() and not self.content.text()[-1:].isspace():
                text = f"\n\n{text}"
        return self.content.add(text)

    def count(self, usage: Usage) -> None:
        """The provider's count for the round in hand; a later one replaces an earlier."""
        self._told = usage

    def end_round(self, *, billed: bool = True) -> None:
        """The round is over, however: what it used is added. billed=False: nothing, unless the provider counted."""
        if self._open is None:
            return
        (prompt, before), self._open = self._open, None
        used = self._told
        if used is None:
            if not billed:
                return
            used, self._estimated = Usage(prompt, estimate_bytes(self.size - before)), True
        spent = self._spent
        self._counted = True
        self._spent = Usage(
            spent.prompt_tokens + max(0, used.prompt_tokens), spent.completion_tokens + max(0, used.completion_tokens)
        )

    def usage(self) -> dict[str, Any] | None:
        """What was used in all rounds that have ended, as it is stored and told; None when nothing was."""
        if not self._counted:
            return None
        spent = self._spent
        found: dict[str, Any] = {
            "prompt_tokens": spent.prompt_tokens,
            "completion_tokens": spent.completion_tokens,
            "total_tokens": spent.total_tokens,
        }
        return found | {"estimated": True} if self._estimated else found
