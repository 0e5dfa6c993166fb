"""Events as a stream of server-sent events, as the chat contract's page reads them.

Source: the HTML standard, 9.2, and `api/chat.md`, Stream Chat. The page takes one line `event: ` and one line `data: `
with exactly one space each, and decodes each chunk of the network by itself: so the JSON is ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from moorage_chat.engine.log import DELTA, DONE, ERROR
from moorage_chat.records import Event

HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_escaped = json.encoder.encode_basestring_ascii


class Renderer:
    """Spells the events of one generation. legacy: repeat what the oldest pages read: `type`, `content`, `text`."""

    def __init__(self, generation_id: str, *, legacy: bool = False) -> None:
        self._id, self._legacy = generation_id, legacy
        self._delta = f'\nevent: delta\ndata: {{"generation_id": {_escaped(generation_id)}, "delta": '

    def render(self, events: Iterable[Event]) -> bytes:
        """Events as bytes. Those without a number have no `id`: a client that comes back does not name them."""
        return "".join([self._one(event) for event in events]).encode("ascii")

    def _one(self, event: Event) -> str:
        if event.type == DELTA and event.seq and not self._legacy:
            return f"id: {event.seq}{self._delta}{_escaped(event.data['delta'])}}}\n\n"
        data = {"generation_id": self._id, **event.data}
        if self._legacy:
            data |= legacy(event.type, event.data)
        number = f"id: {event.seq}\n" if event.seq else ""
        return f"{number}event: {event.type}\ndata: {json.dumps(data)}\n\n"


def legacy(type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What the oldest pages read of an event beside its own members."""
    more: dict[str, Any] = {"type": type}
    if type == DELTA:
        more |= {"content": data["delta"], "text": data["delta"]}
    elif type == ERROR:
        more["error"] = data.get("message", "")
    elif type == DONE:
        more["finished"] = True
    return more
