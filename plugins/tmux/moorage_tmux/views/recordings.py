"""Recordings of terminals: begun and ended, listed, downloaded, deleted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Literal
from urllib.parse import quote

from moorage.api import MoorageError, Route, Routes, current_actor, json_response, read_query
from pydantic import BaseModel, Field
from quart import Response, request
from typing_extensions import TypedDict

from moorage_tmux.recording.cast import MEDIA_TYPE
from moorage_tmux.recording.files import pieces
from moorage_tmux.recording.recordings import Download
from moorage_tmux.rights import RECORD, REPLAY, VIEW
from moorage_tmux.service import Terminals
from moorage_tmux.views.sessions import PersonShape

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_UNSAFE_ANYWHERE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u2028-\u202e\u2066-\u2069]+')


class RecordingShape(TypedDict):
    """A recording. duration: seconds. size: bytes. startedBy: null where the operator's settings began it.

    endReason: "stopped", "session_ended", "size", "server_stopped", "interrupted" (by a crash), "error" (the disk).
    live: it goes on.
    """

    id: str
    sessionId: str
    startedAt: str
    endedAt: str | None
    endReason: str | None
    startedBy: PersonShape | None
    cols: int
    rows: int
    duration: float
    size: int
    live: bool


class RecordingAnswer(TypedDict):
    """A recording that was begun or ended."""

    success: bool
    recording: RecordingShape


class RecordingsAnswer(TypedDict):
    """GET /api/recordings."""

    recordings: list[RecordingShape]
    total: int


class Page(BaseModel):
    """Which recordings. session: of sessions with that name only."""

    session: Annotated[str, Field(max_length=1000)] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


class Form(BaseModel):
    """In which version of asciicast."""

    format: Literal["v3", "v2"] = "v3"


def routes(terminals: Terminals) -> list[Route]:
    """`/api/recordings`, and the recording of a session. Who may is decided in the service, where it is not reading."""
    table = Routes()
    recordings = terminals.recordings

    @table.post("/api/sessions/{name}/recording", access=RECORD.name, status=201, answer=RecordingAnswer)
    async def record(name: str) -> Response:
        """Begin to record a session; all who see it are told."""
        return json_response({"success": True, "recording": await recordings.record(name, current_actor())}, 201)

    @table.delete("/api/sessions/{name}/recording", access=RECORD.name, answer=RecordingAnswer)
    async def stop(name: str) -> Response:
        """End a session's recording. One that the operator's settings began goes on."""
        return json_response({"success": True, "recording": await recordings.stop(name, current_actor())})

    @table.get("/api/recordings", access=REPLAY.name, query=Page, answer=RecordingsAnswer)
    async def page() -> Response:
        """List recordings, the newest first."""
        wanted = read_query(Page)
        return json_response(await recordings.page(wanted.session, wanted.limit, wanted.offset))

    @table.get("/api/recordings/{id}", access=REPLAY.name, answer=RecordingShape)
    async def one(id: str) -> Response:
        """Show a recording."""
        return json_response(await recordings.one(id))

    @table.get("/api/recordings/{id}/cast", access=REPLAY.name, query=Form, media_type=MEDIA_TYPE, answers={206: str})
    async def cast(id: str) -> Response:
        """Download a recording as an asciicast file of version 3 or 2; one that goes on up to now.

        Of version 3 a part can be asked for (`Range: bytes=N-`), so that what was added can be fetched alone.
        """
        form = read_query(Form)
        head = request.method == "HEAD"
        ranged = not head and form.format == "v3" and request.range is not None
        download = await recordings.download(id, None if head else current_actor(), part=ranged)
        return _part(download) if ranged else _file(download, form.format, head=head)

    @table.delete("/api/recordings/{id}", access=VIEW.name, answer=dict[str, bool])
    async def delete(id: str) -> Response:
        """Delete a recording: one's own, or with the permission for it anybody's."""
        await recordings.delete(id, current_actor())
        return json_response({"success": True})

    return list(table)


class RangeNotSatisfiable(MoorageError):
    """416: nothing of the wanted part is there (yet)."""

    status, code, default_message = 416, "RANGE_NOT_SATISFIABLE", "The recording does not reach that far"


def _part(download: Download) -> Response:
    """The part that the request asks for, or all of it where it asks for several."""
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return _file(download, "v3", head=False)
    found = wanted.range_for_length(download.size)
    if found is None:
        download.file.close()
        raise RangeNotSatisfiable(details={"size": download.size})
    begin, end = found
    download.file.seek(begin)
    headers = {
        "Content-Disposition": _disposition(download),
        "Content-Length": str(end - begin),
        "Content-Range": f"bytes {begin}-{end - 1}/{download.size}",
    }
    body = _off_the_loop(pieces(download.file, end - begin, version_2=False))
    return Response(body, 206, headers=headers, content_type=MEDIA_TYPE)


def _file(download: Download, form: Literal["v3", "v2"], *, head: bool) -> Response:
    if head:
        download.file.close()
        response = Response(b"", content_type=MEDIA_TYPE)
        del response.headers["Content-Length"]
    else:
        body = pieces(download.file, download.size, version_2=form == "v2")
        response = Response(_off_the_loop(body), content_type=MEDIA_TYPE)
    response.headers["Content-Disposition"] = _disposition(download)
    if form == "v3":
        response.headers["Accept-Ranges"] = "bytes"
        response.content_length = download.size
    return response


async def _off_the_loop(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        if piece:
            yield piece


def _disposition(download: Download) -> str:
    """A file name for every browser, and the session's name as it is for those that take it."""
    at = f"-{download.at:%Y%m%d-%H%M%S}.cast"
    plain = _UNSAFE.sub("_", download.session_name)[:80].strip("._-") or "recording"
    exact = _UNSAFE_ANYWHERE.sub("_", download.session_name)[:80].strip(". ") or "recording"
    full = quote((exact + at).encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}{at}\"; filename*=UTF-8''{full}"
