"""What a session was made from, and whether there is something newer: an image's digest, or the program's version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from moorage.api import Hub, MoorageError, Unavailable

from moorage_opencode import store
from moorage_opencode.models import OpenCodeSession
from moorage_opencode.program import Program
from moorage_opencode.workload import PROCESS


@dataclass(frozen=True, slots=True)
class Update:
    """Whether a session would be made from something newer. digest: of that, None when there is nothing newer."""

    pid: str
    digest: str | None


class Digests:
    """Compares. In the runtime `process`, which has no images, `opencode@VERSION` stands for the digest."""

    def __init__(self, hub: Hub, program: Program) -> None:
        self._hub, self._program = hub, program

    async def of(self, kind: str, image: str | None) -> str | None:
        """Of what a session would be made now; None where nothing can be said. Unavailable when it is not there."""
        if image is not None:
            runtime = await self._hub.runtimes.get(kind)
            found = await runtime.digest(image)
            if found is None:
                raise Unavailable(f"The image {image!r} is not there: pull or build it on the server")
            return found
        if kind == PROCESS:
            return f"opencode@{await self._program.version()}"
        return None

    async def now(self, row: OpenCodeSession) -> str | None:
        """Of what the session would be made now."""
        return await self.of(row.runtime, row.image)

    async def updates(self, rows: Iterable[OpenCodeSession]) -> list[Update]:
        """Of each, in that order. What cannot be found out counts as nothing newer; no digest yet is filled in."""
        known: dict[tuple[str, str | None], str | None] = {}
        found = []
        for row in rows:
            key = (row.runtime, row.image)
            if key not in known:
                try:
                    known[key] = await self.of(*key)
                except MoorageError:
                    known[key] = None
            newest = known[key]
            if newest is not None and row.image_digest is None:
                await store.save(row, image_digest=newest)
            found.append(Update(row.pid, newest if newest not in (None, row.image_digest) else None))
        return found
