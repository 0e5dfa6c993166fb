"""What changes in a workspace, told to those who watch it: coalesced for 250 ms, bounded, and honest when it lost some.

One watch of a folder is shared by all who watch it. Its work on the file system (setting watches on new folders) is
done in the pool's threads; the events themselves are read by the loop, which never waits for a disk by that.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from moorage.api import TaskSupervisor, Unavailable

from moorage_opencode.files import inotify
from moorage_opencode.files.confine import Cage, Fd, listing
from moorage_opencode.files.inotify import Happened, Inotify
from moorage_opencode.files.paths import Parts
from moorage_opencode.files.pool import Pool, Stop, stopping
from moorage_opencode.files.tree import HIDDEN_FOLDERS, TEMPORARY

DEBOUNCE = 0.25
MAX_WATCHES = 8192
MAX_NAMES = 200_000
MAX_CHANGES = 5000
MAX_WATCHED = 64
"""Folders of the server that can be watched at once: a user has a bounded number of inotify instances."""
_GRACE = 5.0


@dataclass(slots=True, frozen=True)
class Change:
    """What became of a path. what: "created", "modified", "deleted", or "resync": more than could be told."""

    what: str
    path: Parts = ()
    folder: bool = False


Listener = Callable[[list[Change]], None]


@dataclass(slots=True)
class _Folder:
    path: Parts
    names: dict[bytes, bool]
    """Those in it, and whether each is a folder: a rename over a file is a change of it, and not a new one."""


@dataclass(slots=True)
class _Scanned:
    watch: int
    folder: _Folder


class Watched:
    """One folder with all below it, as long as anybody watches it. Always hidden folders are left out."""

    def __init__(self, key: str, open_cage: Callable[[], Cage], base: Parts, pool: Pool, tasks: TaskSupervisor) -> None:
        self.key, self.base = key, base
        self._open, self._pool, self._tasks = open_cage, pool, tasks
        self._inotify = Inotify()
        self._folders: dict[int, _Folder] = {}
        self._names = 0
        self._changes: dict[Parts, Change] = {}
        self._lost = False
        self._timer: asyncio.TimerHandle | None = None
        self._scanning: asyncio.Task[None] | None = None
        self._to_scan: list[Parts] = []
        self._early: list[Happened] = []
        """Events of folders whose watch is set, while the thread that set it still lists them."""
        self._top: Fd | None = None
        self.full = False
        """Not all folders are watched: there are too many."""
        self.listeners: set[Listener] = set()

    async def open(self) -> None:
        """Set the watches. OSError; Forbidden for a path out."""
        self._top = await self._pool.run(self.key, self._enter)
        await self._scan([()], tell=False)
        asyncio.get_running_loop().add_reader(self._inotify.fd.number, self._readable)

    def close(self) -> None:
        """End the watches."""
        if self._inotify.fd.number >= 0:
            asyncio.get_running_loop().remove_reader(self._inotify.fd.number)
        if self._timer is not None:
            self._timer.cancel()
        if self._scanning is not None:
            self._scanning.cancel()
        self._inotify.close()
        self._folders.clear()

    def _enter(self) -> Fd:
        with self._open() as cage, cage.open(self.base) as fd:
            return listing(fd)

    # -- what the kernel says ---------------------------------------------------------------------------------------

    def _readable(self) -> None:
        for event in self._inotify.read():
            self._take(event)
        if self._to_scan and self._scanning is None:
            self._scanning = self._tasks.spawn(self._scan_new(), f"watch {self.key}")

    def _take(self, event: Happened) -> None:
        if event.mask & inotify.IN_Q_OVERFLOW:
            self._lose()
            return
        folder = self._folders.get(event.watch)
        if folder is None:
            self._keep(event)
        elif event.mask & inotify.IN_IGNORED:
            self._names -= len(folder.names)
            del self._folders[event.watch]
        elif event.mask & (inotify.IN_DELETE_SELF | inotify.IN_MOVE_SELF):
            if not folder.path:
                self._add(Change("deleted", (), True))
        elif event.name and not event.name.startswith(TEMPORARY):
            self._take_entry(folder, event)

    def _keep(self, event: Happened) -> None:
        """An event of a folder that is not known, yet or any more."""
        if self._scanning is not None:
            self._early.append(event)
            if len(self._early) > MAX_CHANGES:
                self._early.clear()
                self._lose()

    def _take_entry(self, folder: _Folder, event: Happened) -> None:
        is_folder = bool(event.mask & inotify.IN_ISDIR)
        if is_folder and event.name in HIDDEN_FOLDERS:
            return
        path = (*folder.path, event.name)
        if event.mask & (inotify.IN_CREATE | inotify.IN_MOVED_TO):
            self._came(folder, event.name, path, is_folder)
        elif event.mask & (inotify.IN_DELETE | inotify.IN_MOVED_FROM):
            self._went(folder, event, path, is_folder)
        elif event.name in folder.names and not is_folder:  # Linux tells of files without a name, too, as `#inode`.
            self._add(Change("modified", path))

    def _came(self, folder: _Folder, name: bytes, path: Parts, is_folder: bool) -> None:
        known = folder.names.get(name)
        if known is None:
            self._names += 1
        folder.names[name] = is_folder
        self._add(Change("modified" if known is False and not is_folder else "created", path, is_folder))
        if is_folder:
            self._to_scan.append(path)
        if self._names > MAX_NAMES:
            self.full = True

    def _went(self, folder: _Folder, event: Happened, path: Parts, is_folder: bool) -> None:
        if folder.names.pop(event.name, None) is not None:
            self._names -= 1
        self._add(Change("deleted", path, is_folder))
        if is_folder and event.mask & inotify.IN_MOVED_FROM:
            # It is watched still, under a name that it has no more; where it went, it is found anew.
            for watch, other in list(self._folders.items()):
                if other.path[: len(path)] == path:
                    self._inotify.remove(watch)

    # -- what is told -----------------------------------------------------------------------------------------------

    def _add(self, change: Change) -> None:
        if self._lost:
            return
        before = self._changes.pop(change.path, None)
        merged = _merged(before, change)
        if merged is not None:
            self._changes[change.path] = merged
        if len(self._changes) > MAX_CHANGES:
            self._lose()
        self._later()

    def _lose(self) -> None:
        self._lost = True
        self._changes.clear()
        self._later()

    def _later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DEBOUNCE, self._tell)

    def _tell(self) -> None:
        self._timer = None
        lost, changes = self._lost, list(self._changes.values())
        self._lost = False
        self._changes.clear()
        if lost:
            changes = [Change("resync", (), True)]
        if changes:
            for listener in list(self.listeners):
                listener(changes)

    # -- folders that are watched -----------------------------------------------------------------------------------

    async def _scan_new(self) -> None:
        try:
            while self._to_scan:
                folders, self._to_scan = self._to_scan, []
                await self._scan(folders, tell=True)
        except (OSError, Unavailable):
            self._lose()
        finally:
            self._scanning = None
            self._early.clear()

    async def _scan(self, folders: list[Parts], *, tell: bool) -> None:
        """Watch folders and those below. tell: what is in them is new to those who watch."""
        with stopping() as stop:
            scanned, full = await self._pool.run(self.key, lambda: self._look(folders, stop))
        if self._inotify.fd.number < 0:
            return
        for one in scanned:
            known = self._folders.get(one.watch)
            if known is not None:
                self._names -= len(known.names)
            self._folders[one.watch] = one.folder
            self._names += len(one.folder.names)
            if tell:
                for name, is_folder in one.folder.names.items():
                    if known is None or name not in known.names:
                        self._add(Change("created", (*one.folder.path, name), is_folder))
        early, self._early = self._early, []
        for event in early:
            self._take(event)
        if full and not self.full:
            self.full = True
            self._lose()

    def _look(self, folders: list[Parts], stop: Stop) -> tuple[list[_Scanned], bool]:
        """In a thread: set watches, then list, so that nothing falls between."""
        assert self._top is not None
        cage = Cage.at(self._top)
        scanned: list[_Scanned] = []
        names = self._names
        folders = list(folders)
        while folders:
            stop.check()
            path = folders.pop()
            if len(self._folders) + len(scanned) >= MAX_WATCHES or names > MAX_NAMES:
                return scanned, True
            try:
                with cage.plain(path) as fd:
                    watch = self._inotify.add(fd)
                    found = _names(fd)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    return scanned, True
                if not path and not scanned:
                    raise
                continue
            names += len(found)
            scanned.append(_Scanned(watch, _Folder(path, found)))
            folders += [(*path, name) for name, is_folder in found.items() if is_folder]
        return scanned, False


def _names(fd: Fd) -> dict[bytes, bool]:
    names: dict[bytes, bool] = {}
    with os.scandir(fd.number) as found:
        for item in found:
            name, is_folder = os.fsencode(item.name), item.is_dir(follow_symlinks=False)
            if not name.startswith(TEMPORARY) and not (is_folder and name in HIDDEN_FOLDERS):
                names[name] = is_folder
    return names


def _merged(before: Change | None, after: Change) -> Change | None:
    """Two changes of one path as one; None where the second undoes the first."""
    if before is None or before.folder != after.folder:
        return after
    if before.what == "created":
        return None if after.what == "deleted" else before
    if before.what == "deleted" and after.what in ("created", "modified"):
        return None if after.folder else Change("modified", after.path)
    return after


@dataclass(slots=True)
class Watching:
    """All that is watched."""

    pool: Pool
    tasks: TaskSupervisor
    watched: dict[tuple[str, Parts], Watched] = field(default_factory=dict)
    opening: dict[tuple[str, Parts], asyncio.Task[Watched | Exception]] = field(default_factory=dict)

    async def add(self, key: str, open_cage: Callable[[], Cage], base: Parts, listener: Listener) -> Watched:
        """Tell `listener` from now on what changes below `base`. Unavailable, OSError."""
        at = (key, base)
        watched = self.watched.get(at)
        if watched is None:
            if at not in self.opening:
                if len(self.watched) + len(self.opening) >= MAX_WATCHED:
                    raise Unavailable("Too many folders are watched")
                self.opening[at] = self.tasks.spawn(self._open(at, open_cage), f"watch {key}")
            opened = await asyncio.shield(self.opening[at])
            if isinstance(opened, Exception):
                raise opened
            watched = opened
        watched.listeners.add(listener)
        return watched

    async def _open(self, at: tuple[str, Parts], open_cage: Callable[[], Cage]) -> Watched | Exception:
        watched = None
        try:
            watched = Watched(at[0], open_cage, at[1], self.pool, self.tasks)
            await watched.open()
        except Exception as error:
            if watched is not None:
                watched.close()
            return error
        finally:
            del self.opening[at]
        self.watched[at] = watched
        # Who wanted it may have left meanwhile.
        asyncio.get_running_loop().call_later(_GRACE, self._end_unused, at, watched)
        return watched

    def remove(self, watched: Watched, listener: Listener) -> None:
        """Tell it no more; the last one ends the watch."""
        watched.listeners.discard(listener)
        self._end_unused((watched.key, watched.base), watched)

    def _end_unused(self, at: tuple[str, Parts], watched: Watched) -> None:
        if not watched.listeners and self.watched.get(at) is watched:
            del self.watched[at]
            watched.close()

    def close(self) -> None:
        """End them all."""
        for watched in self.watched.values():
            watched.close()
        self.watched.clear()
