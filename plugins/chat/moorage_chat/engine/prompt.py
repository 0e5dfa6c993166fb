"""What a model is sent: the messages that led to the one that is answered, as OpenAI's chat completions have them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moorage_chat.engine.toolcalls import sent
from moorage_chat.records import Message, Role


def prompt(path: Iterable[Message], system: str | None, *, tools: bool) -> list[dict[str, Any]]:
    """The messages of a path. system: said before them. tools: whether tools are offered now.

    A message of a tool that no call of the model's belongs to (Orbital's clients write such) is sent as a user's:
    providers refuse it else.
    """
    found: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for message in path:
        if message.role is Role.TOOL and not message.parts.get("tool_call_id"):
            found.append({"role": Role.USER.value, "content": message.content})
        else:
            found += sent(message, tools=tools)
    return found
