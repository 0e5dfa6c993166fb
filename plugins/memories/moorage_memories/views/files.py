"""One's memories as files: taken along and brought in again. Our own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

from moorage.api import Route, Routes, UnsupportedMediaType, current_actor, json_response, read_query
from quart import Response, request

from moorage_memories import portable
from moorage_memories.bounds import with_store
from moorage_memories.config import MemoriesConfig
from moorage_memories.records import Memory
from moorage_memories.rights import VIEW, WRITE
from moorage_memories.service import Memories
from moorage_memories.views.octo import OWN
from moorage_memories.views.reading import OF_BACKENDS, StoreQuery
from moorage_memories.views.shapes import ImportedShape

LINES = "application/jsonl"
OF_LINES = frozenset({LINES, "application/x-ndjson", "application/x-jsonlines", "application/json"})
MAX_IMPORT = 32 * 1024 * 1024
"""Bytes of a file that is brought in."""
SECONDS = 300.0
PIECE = 64 * 1024
OF_EXPORTS = {**OF_BACKENDS, 504: None}


def routes(memories: Memories, config: MemoriesConfig) -> list[Route]:
    """`/api/memories/export` and `/api/memories/import`."""
    table = Routes()

    @table.get(OWN + "/export", access=VIEW.name, query=StoreQuery, media_type=LINES, timeout=0, answers=OF_EXPORTS)
    async def export() -> Response:
        """Give one's memories as a file of JSON lines, oldest first: of one store, or of all."""
        query, actor = read_query(StoreQuery), current_actor()
        scope = with_store(await memories.scope(actor, write=False), query.store)
        found = memories.export(actor, scope)
        # The first is waited for, so that a failure at the start is an answer of its own.
        first = await anext(found, None)
        headers = {
            "Content-Disposition": f'attachment; filename="memories-{datetime.now(UTC):%Y-%m-%d}.jsonl"',
            "Cache-Control": "no-store",
        }
        return Response(_lines(first, found), headers=headers, content_type=LINES)

    @table.post(
        OWN + "/import",
        access=WRITE.name,
        max_body=MAX_IMPORT,
        timeout=SECONDS,
        query=StoreQuery,
        body=portable.Line,
        answer=ImportedShape,
        answers=OF_BACKENDS,
    )
    async def bring_in() -> Response:
        """Bring in a file of JSON lines, a memory each. Those that are there already, by their id, are skipped.

        Each goes into the store that its line names, or all into `store`. A file with a fault is refused as a whole.
        """
        query, actor = read_query(StoreQuery), current_actor()
        scope = with_store(await memories.scope(actor, write=True), query.store, adds=True)
        if request.mimetype and request.mimetype not in OF_LINES:
            raise UnsupportedMediaType("Expected a body of type application/jsonl")
        data: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]
        done = await memories.import_(actor, scope, portable.Entries(data))
        answer: ImportedShape = {"imported": done.imported, "skipped": done.skipped}
        return json_response(answer)

    return list(table)


async def _lines(first: Memory | None, rest: AsyncGenerator[Memory]) -> AsyncIterator[bytes]:
    """Some lines at a time: each piece costs a turn through the server."""
    if first is None:
        return
    piece = bytearray(portable.line_of(first).encode())
    async with aclosing(rest):
        async for one in rest:
            piece += portable.line_of(one).encode()
            if len(piece) >= PIECE:
                yield bytes(piece)
                piece.clear()
    yield bytes(piece)
