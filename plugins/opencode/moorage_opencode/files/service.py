"""The files of sessions: every operation, off the loop and inside its workspace."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from moorage.api import Hub, NotFound

from moorage_opencode.config import OpenCodeConfig
from moorage_opencode.files import reading, tree, writing, zips
from moorage_opencode.files.confine import Cage
from moorage_opencode.files.highlight import MAX_BYTES, Highlighter
from moorage_opencode.files.paths import Parts, scope, shown, shown_path
from moorage_opencode.files.pool import Held, Pool, Stop, stopping
from moorage_opencode.files.reading import PIECE, Found
from moorage_opencode.files.refusals import IoError, Stalled, invalid, no_file, of_os, too_large
from moorage_opencode.files.tree import Tree, Wanted
from moorage_opencode.files.watch import Listener, Watched, Watching
from moorage_opencode.files.writing import Expect, Upload
from moorage_opencode.sessions import Live

T = TypeVar("T")
LONG = 600.0
"""Seconds for work that may be much: deleting a folder."""
STALL = 60.0
"""Seconds without a byte after which an upload is given up."""


@dataclass(slots=True, frozen=True)
class Scope:
    """A session's workspace, and the folder in it to which paths of this request are relative."""

    workspace: bytes
    base: Parts = ()

    @classmethod
    def of(cls, live: Live, directory: bytes = b"") -> Scope:
        """Forbidden for a directory that is not in the session's workspace."""
        workspace = os.fsencode(live.workspace)
        return cls(workspace, scope(directory, workspace))

    @property
    def key(self) -> str:
        """For the pool."""
        return shown(self.workspace)


class Files:
    """One object for all sessions; used from the event loop."""

    def __init__(self, hub: Hub, config: OpenCodeConfig) -> None:
        self.max_bytes, self.max_entries = config.max_file_bytes, config.max_tree_entries
        self.pool = Pool()
        self.watching = Watching(self.pool, hub.tasks)
        self.highlighter = Highlighter()

    def close(self) -> None:
        """End the watches and the threads."""
        self.watching.close()
        self.pool.close()

    async def _run(self, where: Scope, parts: Parts, work: Callable[[Cage], T], *, seconds: float | None = None) -> T:
        """Call `work` with the workspace open, in a thread; what the kernel says as errors of the contract."""

        def job() -> T:
            try:
                cage = Cage(where.workspace)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise NotFound("The session's workspace is not there any more") from error
            with cage:
                return work(cage)

        return await self._try(where, parts, job, seconds)

    async def _try(self, where: Scope, parts: Parts, job: Callable[[], T], seconds: float | None = None) -> T:
        try:
            return await self.pool.run(where.key, job, seconds=seconds)
        except OSError as error:
            raise of_os(error, shown_path(parts)) from error

    async def check(self, where: Scope) -> None:
        """NotFound when the workspace is not there."""
        await self._run(where, (), lambda cage: cage.open(where.base).close())

    # -- reading ----------------------------------------------------------------------------------------------------

    async def tree(self, where: Scope, parts: Parts, wanted: Wanted, as_json: Callable[[Tree], T]) -> T:
        """What is in a folder, made into an answer in the thread too: it may be long."""
        with stopping() as stop:
            return await self._run(where, parts, lambda cage: as_json(tree.tree(cage, where.base, parts, wanted, stop)))

    async def find(self, where: Scope, parts: Parts) -> Found:
        """Open a file; the caller closes `held`."""
        if not where.base + parts:
            raise no_file()
        return await self._run(where, parts, lambda cage: reading.find(cage, where.base + parts))

    async def is_folder(self, where: Scope, parts: Parts) -> bool:
        """Whether a folder is there. NotFound when nothing is."""
        return await self._run(where, parts, lambda cage: reading.is_folder(cage, where.base + parts))

    async def whole(self, where: Scope, found: Found) -> bytes:
        """A small file's bytes."""
        try:
            return await self._try(where, (found.name,), lambda: found.read(0, found.size))
        finally:
            found.held.close()

    async def pieces(self, where: Scope, found: Found, start: int, end: int) -> AsyncIterator[bytes]:
        """A part of a file. IoError when it has become shorter: the answer breaks off."""
        try:
            while start < end:
                piece = await self.pool.run(where.key, partial(found.read, start, min(PIECE, end - start)))
                if not piece:
                    raise IoError("The file has become shorter")
                start += len(piece)
                yield piece
        finally:
            found.held.close()

    async def highlighted(self, where: Scope, found: Found, theme: str) -> bytes:
        """A file as a page with colours. PayloadTooLarge over 1 MB."""
        if found.size > MAX_BYTES:
            found.held.close()
            raise too_large(found.size, MAX_BYTES)
        return await self.highlighter.page(await self.whole(where, found), shown(found.name), theme)

    async def zipped(self, where: Scope, paths: list[Parts]) -> AsyncIterator[bytes]:
        """An archive of files and folders. NotFound, before the first piece, for one that is not there."""
        chosen, stop = zips.chosen([where.base + parts for parts in paths]), Stop()

        def begin() -> zips.Archive:
            return zips.Archive(Cage(where.workspace), chosen, stop)

        archive = await self._try(where, chosen[0], begin)
        first = await self._try(where, chosen[0], archive.next_piece)
        return self._pieces_of(where, archive, first)

    async def _pieces_of(self, where: Scope, archive: zips.Archive, piece: bytes) -> AsyncIterator[bytes]:
        try:
            while piece:
                yield piece
                piece = await self.pool.run(where.key, archive.next_piece)
        finally:
            archive.close()

    # -- writing ----------------------------------------------------------------------------------------------------

    async def write(
        self,
        where: Scope,
        parts: Parts,
        body: AsyncIterator[bytes],
        *,
        follow: bool,
        make_folders: bool,
        expect: Expect | None = None,
    ) -> tuple[int, str, bool]:
        """Write a file from a stream. Returns its size, its tag and whether it is new.

        What was there stays, whole, until the new one is on the disk; and for good if that does not come about.
        """
        if not where.base + parts:
            raise invalid("Invalid path: it is the root directory")

        def begin(cage: Cage) -> Held[Upload]:
            return Held(
                Upload(
                    cage,
                    where.base + parts,
                    follow=follow,
                    make_folders=make_folders,
                    limit=self.max_bytes,
                    expect=expect,
                )
            )

        held = await self._run(where, parts, begin)
        try:
            while (data := await _next(body)) is not None:
                await self._try(where, parts, partial(_add, held, data))
            tag, new = await self._try(where, parts, partial(_commit, held), LONG)
        finally:
            held.close()
        return held.thing.size, tag, new

    async def delete(self, where: Scope, parts: Parts, expect: Expect | None) -> bool:
        """Delete a file, or a folder with all that is in it. Returns whether it was a folder."""
        if not parts:
            raise invalid("The root directory cannot be deleted")
        with stopping() as stop:
            return await self._run(
                where, parts, lambda cage: writing.delete(cage, where.base + parts, stop, expect), seconds=LONG
            )

    async def make_folder(self, where: Scope, parts: Parts) -> bool:
        """Make a folder and those above it. Returns whether it was not there."""
        return await self._run(where, parts, lambda cage: writing.make_folder(cage, where.base + parts))

    async def rename(self, where: Scope, old: Parts, new: Parts) -> None:
        """Move a file or folder; nothing is ever replaced."""
        if not old or not new:
            raise invalid("The root directory cannot be renamed")
        await self._run(where, new[:-1], lambda cage: writing.rename(cage, where.base + old, where.base + new))

    # -- watching ---------------------------------------------------------------------------------------------------

    async def watch(self, where: Scope, parts: Parts, listener: Listener) -> Watched:
        """Tell `listener` what changes below a folder. End it with `watching.remove`."""
        try:
            return await self.watching.add(where.key, lambda: Cage(where.workspace), where.base + parts, listener)
        except OSError as error:
            raise of_os(error, shown_path(parts)) from error


def _add(held: Held[Upload], data: bytes) -> None:
    with held.use() as upload:
        upload.write(data)


def _commit(held: Held[Upload]) -> tuple[str, bool]:
    with held.use() as upload:
        return upload.commit()


async def _next(body: AsyncIterator[bytes]) -> bytes | None:
    try:
        async with asyncio.timeout(STALL):
            return await anext(body, None)
    except TimeoutError:
        raise Stalled from None
