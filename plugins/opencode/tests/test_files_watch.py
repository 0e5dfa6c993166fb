"""WS …/ws/watch: what changes in a session's files, told as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import websockets
from files_server import Workspace, serving
from moorage.api import TaskSupervisor
from moorage_opencode.files import watch as watching
from moorage_opencode.files.confine import Cage
from moorage_opencode.files.pool import Pool
from moorage_opencode.files.watch import Change, Watching

WAIT = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with serving(tmp_path_factory.mktemp("watch")) as server:
        yield server


@pytest.fixture
def ws(server: Any, request: pytest.FixtureRequest) -> Iterator[Workspace]:
    with server.workspace("ann", request.node.name) as workspace:
        yield workspace


class Watch:
    def __init__(self, connection: Any, name: str) -> None:
        self._connection, self._prefix = connection, name + "/"
        self.seen: list[tuple[str, str]] = []

    async def until(self, *wanted: tuple[str, str]) -> None:
        """Until each has come, in any order."""
        async with asyncio.timeout(WAIT):
            while not set(wanted) <= set(self.seen):
                event = json.loads(await self._connection.recv())
                assert set(event) == {"type", "path", "entry_type"}
                kind = "directory" if event["type"].startswith("dir_") else "file"
                assert event["type"] == "resync" or event["entry_type"] == kind
                self.seen.append((event["type"], event["path"].removeprefix(self._prefix)))


@contextlib.asynccontextmanager
async def watch(ws: Workspace, query: str = "", who: str = "ann") -> AsyncIterator[Watch]:
    headers = {"Authorization": f"Bearer {ws.server.keys[who]}"}
    url = f"{ws.server.ws_url}{ws.base}/ws/watch?path={ws.inside('')}{query}"
    async with websockets.connect(url, additional_headers=headers) as connection:
        yield Watch(connection, ws.inside(""))


async def test_what_happens_is_told(ws: Workspace) -> None:
    ws.make("old", b"1")
    ws.make("d/inner", b"1")
    async with watch(ws) as told:
        ws.make("new", b"1")
        await told.until(("file_created", "new"))
        ws.make("old", b"2")
        await told.until(("file_modified", "old"))
        (ws.path / "old").unlink()
        await told.until(("file_deleted", "old"))
        ws.make("made/deep/file")
        await told.until(("dir_created", "made"), ("dir_created", "made/deep"), ("file_created", "made/deep/file"))
        ws.make("made/deep/later")
        await told.until(("file_created", "made/deep/later"))
        (ws.path / "d").rename(ws.path / "moved")
        await told.until(("dir_deleted", "d"), ("dir_created", "moved"), ("file_created", "moved/inner"))
        ws.make("moved/inner", b"2")
        await told.until(("file_modified", "moved/inner"))
        shutil.rmtree(ws.path / "made")
        await told.until(("dir_deleted", "made"), ("file_deleted", "made/deep/file"))


async def test_a_file_that_is_saved_by_a_rename_is_modified_and_ours_are_seen_too(ws: Workspace) -> None:
    ws.make("f", b"1")
    async with watch(ws) as told:
        ws.make("f.tmp", b"2")
        (ws.path / "f.tmp").rename(ws.path / "f")
        await told.until(("file_modified", "f"))
        told.seen.clear()
        await asyncio.to_thread(ws.put, "/file?path=f", content=b"3")
        await told.until(("file_modified", "f"))
        await asyncio.to_thread(ws.put, "/file?path=g", content=b"3")
        await told.until(("file_created", "g"))
        assert not [path for _, path in told.seen if path not in ("f", "g", "f.tmp")]
        assert ("file_created", "f") not in told.seen


async def test_many_changes_of_one_file_are_few_events(ws: Workspace) -> None:
    async with watch(ws) as told:
        with (ws.path / "log").open("wb", buffering=0) as log:
            for _ in range(2000):
                log.write(b"line\n")
        (ws.path / "brief").touch()
        (ws.path / "brief").unlink()
        ws.make("end")
        await told.until(("file_created", "end"))
        assert ("file_created", "log") in told.seen
        assert len(told.seen) < 20


async def test_only_some_endings(ws: Workspace) -> None:
    async with watch(ws, "&ext=.md,TXT") as told:
        for name in ("a.py", "b.md", "c.TXT", "d"):
            ws.make(name)
        ws.make("end.md")
        await told.until(("file_created", "end.md"))
        assert sorted(set(told.seen)) == [
            ("file_created", "b.md"),
            ("file_created", "c.TXT"),
            ("file_created", "end.md"),
        ]


async def test_hidden_folders_and_links_out_are_not_watched(ws: Workspace, tmp_path: Any) -> None:
    (ws.path / "out").symlink_to(tmp_path)
    ws.make("node_modules/x")
    async with watch(ws) as told:
        (tmp_path / "secret").touch()
        ws.make("node_modules/y")
        ws.make(".git/config")
        (ws.path / "later").symlink_to(tmp_path)
        (tmp_path / "secret2").touch()
        ws.make("end")
        await told.until(("file_created", "end"))
        assert {path for _, path in told.seen} == {"later", "end"}


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [("bob", ".", 404), ("vic", ".", 403), ("ann", "..", 403), ("ann", "no/such", 404), ("ann", "file", 400)],
)
async def test_who_may_not_is_refused(ws: Workspace, who: str, path: str, status: int) -> None:
    ws.make("file")
    headers = {"Authorization": f"Bearer {ws.server.keys[who]}"}
    path = ws.inside("file") if path == "file" else path
    with pytest.raises(websockets.InvalidStatus) as error:
        async with websockets.connect(f"{ws.server.ws_url}{ws.base}/ws/watch?path={path}", additional_headers=headers):
            pass
    assert error.value.response.status_code == status


class Watcher:
    """Watches a folder without the server around it."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.pool, self.tasks = Pool(), TaskSupervisor("test")
        self.watching = Watching(self.pool, self.tasks)
        self.changes: list[Change] = []
        self._came = asyncio.Event()

    def heard(self, changes: list[Change]) -> None:
        self.changes += changes
        self._came.set()

    async def until(self, what: str, path: tuple[bytes, ...] = ()) -> None:
        async with asyncio.timeout(WAIT):
            while not any(change.what == what and change.path == path for change in self.changes):
                self._came.clear()
                await self._came.wait()

    async def add(self) -> Any:
        key = str(self.root)
        return await self.watching.add(key, lambda: Cage(key.encode()), (), self.heard)

    async def close(self) -> None:
        self.watching.close()
        self.pool.close()
        assert await self.tasks.stop() == []


@pytest.fixture
async def watcher(tmp_path: Any) -> AsyncIterator[Watcher]:
    watcher = Watcher(tmp_path)
    yield watcher
    await watcher.close()


async def test_more_changes_than_can_be_told_are_a_resync(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MAX_CHANGES", 50)
    await watcher.add()
    for number in range(200):
        (watcher.root / str(number)).touch()
    await watcher.until("resync")
    assert len(watcher.changes) < 150
    (watcher.root / "after").touch()
    await watcher.until("created", (b"after",))


async def test_more_folders_than_can_be_watched_are_a_resync(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MAX_WATCHES", 5)
    (watcher.root / "a").mkdir()
    watched = await watcher.add()
    assert watched.full is False
    for number in range(10):
        (watcher.root / "a" / str(number)).mkdir()
    await watcher.until("resync")
    assert watched.full is True
    assert len(watched._folders) <= 5


async def test_an_overflow_of_the_kernel_is_a_resync(watcher: Watcher) -> None:
    await watcher.add()
    # The loop does not read meanwhile: the kernel's queue (max_queued_events) runs over.
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        queue = int(file.read())
    one, other = watcher.root / "x", watcher.root / "y"
    one.touch()
    for _ in range(queue // 2 + 10):
        one.rename(other)
        one, other = other, one
    await watcher.until("resync")


async def test_a_watch_ends_with_its_last_listener(watcher: Watcher) -> None:
    first = await watcher.add()
    assert await watcher.add() is first
    watcher.watching.remove(first, watcher.heard)
    assert not watcher.watching.watched
    assert first._inotify.fd.number == -1


async def test_no_more_than_so_many_folders_are_watched(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    from moorage.api import Unavailable

    monkeypatch.setattr(watching, "MAX_WATCHED", 0)
    with pytest.raises(Unavailable):
        await watcher.add()


async def test_what_happens_while_a_new_folder_is_looked_at_is_told(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, go = threading.Event(), threading.Event()
    names = watching._names

    def slowly(fd: Any) -> dict[bytes, bool]:
        found = names(fd)
        if found.keys() == {b"first"}:
            listed.set()
            go.wait(WAIT)
        return found

    monkeypatch.setattr(watching, "_names", slowly)
    await watcher.add()
    (watcher.root / "new").mkdir()
    (watcher.root / "new" / "first").touch()
    await asyncio.to_thread(listed.wait, WAIT)
    (watcher.root / "new" / "second").mkdir()
    (watcher.root / "marker").touch()
    await watcher.until("created", (b"marker",))  # So the event of `second` was read as well.
    go.set()
    await watcher.until("created", (b"new", b"second"))
    (watcher.root / "new" / "second" / "third").touch()
    await watcher.until("created", (b"new", b"second", b"third"))
