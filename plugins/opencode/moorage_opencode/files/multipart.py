"""The first field of a multipart body, as it streams in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from moorage.api import BadRequest, UnsupportedMediaType
from quart import request
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from moorage_opencode.files.paths import MAX_NAME
from moorage_opencode.files.refusals import invalid

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_SEPARATORS = re.compile(r'[/\\:*?"<>|]')


class FirstField:
    """Its name, and its bytes; what follows in the body is read and dropped."""

    def __init__(self, events: AsyncIterator[Event], head: Field | File) -> None:
        self._events = events
        self.file_name = head.filename if isinstance(head, File) else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Its bytes. BadRequest for a body that breaks off."""
        async for event in self._events:
            if isinstance(event, Data):
                if event.data:
                    yield bytes(event.data)
                if not event.more_data:
                    break
        else:
            raise BadRequest("Malformed multipart body: it breaks off")
        async for _ in self._events:
            pass


async def first_field(body: AsyncIterator[bytes]) -> FirstField:
    """The first field. UnsupportedMediaType for another body, BadRequest for a malformed or empty one."""
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType("Expected a body of type multipart/form-data")
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary or len(boundary) > 200 or not boundary.isascii():
        raise BadRequest("Malformed multipart body: no boundary")
    events = _events(body, boundary.encode())
    async for event in events:
        if isinstance(event, Field | File):
            return FirstField(events, event)
    raise BadRequest("The multipart body has no field")


async def _events(body: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[Event]:
    decoder = MultipartDecoder(boundary, max_parts=1000)
    try:
        while True:
            data = await anext(body, None)
            decoder.receive_data(data)
            while not isinstance(event := decoder.next_event(), NeedData):
                yield event
                if isinstance(event, Epilogue):
                    return
            if data is None:
                return
    except ValueError as error:
        raise BadRequest(f"Malformed multipart body: {error}") from None


def safe_name(name: str | None) -> bytes:
    """A file's name as the client's computer has it, made one that is harmless anywhere. BadRequest for none."""
    text = _SEPARATORS.sub("_", _CONTROL.sub("", name or "")).strip(" ").rstrip(". ")
    if not text.strip("."):
        raise invalid("No file name was given")
    raw = text.encode("utf-8", "replace")
    if len(raw) > MAX_NAME:
        stem, dot, ending = raw.rpartition(b".")
        ending = dot + ending if stem and len(ending) < 32 else b""
        raw = raw[: MAX_NAME - len(ending)].decode("utf-8", "ignore").encode() + ending
    return raw
