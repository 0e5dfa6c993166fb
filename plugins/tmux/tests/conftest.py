"""Parts for the tmux plugin's tests: a private tmux server per test, and tmux itself as the terminal of a viewer."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Server
from moorage.api import TaskSupervisor
from moorage_tmux.background import Background
from moorage_tmux.directory import Directory
from moorage_tmux.pool import WatchPool
from moorage_tmux.sessions import SessionInfo, resolve
from moorage_tmux.subscription import Subscription
from moorage_tmux.tmux import Tmux
from moorage_tmux.viewers import Viewer
from moorage_tmux.watch import SessionWatch, WatchSettings
from terminals import ROLES, serving, token
from waits import WAIT

_numbers = itertools.count()


class TmuxServer:
    """A tmux server of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"t{next(_numbers)}"
        self.tmux = Tmux(socket_name=self.name)

    def run(self, *arguments: str, check: bool = True, stdin: bytes = b"") -> str:
        """Run one tmux command from outside."""
        done = subprocess.run(
            ["tmux", "-u", "-L", self.name, "-f", "/dev/null", *arguments],
            capture_output=True,
            input=stdin,
            timeout=WAIT,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "TMUX_TMPDIR": str(self.folder), "PS1": "$ "},
        )
        if check and done.returncode:
            raise AssertionError(f"tmux {arguments}: {done.stderr.decode()}")
        return done.stdout.decode("utf-8", "replace")

    def new(self, name: str, command: str = "exec sleep 1000", *, cols: int = 80, rows: int = 24) -> str:
        """A new detached session; returns its first pane's id."""
        wanted, form = ("-x", str(cols), "-y", str(rows)), "#{pane_id} #{window_width} #{window_height}"
        pane, *size = self.run("new-session", "-d", "-P", "-F", form, "-s", name, *wanted, command).split()
        if size != [str(cols), str(rows)]:
            # While a client of another session has a size, tmux gives that to a new one too, whatever it was asked.
            self.run("resize-window", "-t", pane, *wanted, ";", "set-option", "-wu", "-t", pane, "window-size")
        return pane

    def cat(self, name: str, *, cols: int = 80, rows: int = 24) -> str:
        """A new session that shows what is typed, byte for byte; it is ready when this returns."""
        channel = f"raw{next(_numbers)}"
        pane = self.new(name, f"stty raw -echo; {self.signal(channel)}; exec cat", cols=cols, rows=rows)
        self.run("wait-for", channel)
        return pane

    def capture(self, target: str, *more: str) -> list[str]:
        """What a pane shows, without blanks at the ends."""
        lines = self.run("capture-pane", "-p", "-t", target, *more).split("\n")
        return [line.rstrip() for line in lines]

    async def wait(self, channel: str) -> None:
        """Until somebody runs `tmux wait-for -S channel`."""
        process = await asyncio.create_subprocess_exec("tmux", "-L", self.name, "wait-for", channel)
        assert await asyncio.wait_for(process.wait(), WAIT) == 0

    def signal(self, channel: str) -> str:
        """The shell command that ends `wait`."""
        return f"tmux -L {self.name} wait-for -S {channel}"

    def clients(self) -> list[str]:
        """The clients that are attached."""
        return self.run("list-clients", "-F", "#{client_pid} #{session_name}", check=False).split("\n")[:-1]

    def emulate(self, stream: str, *, cols: int, rows: int) -> str:
        """Draw a stream in a fresh terminal (a tmux pane) of that size; returns the pane."""
        number = next(_numbers)
        source = self.folder / f"stream{number}"
        source.write_bytes(stream.encode())
        command = f"stty raw -echo; cat {source}; {self.signal(f'drawn{number}')}; exec sleep 1000"
        pane = self.new(f"terminal{number}", command, cols=cols, rows=rows)
        self.run("wait-for", f"drawn{number}")
        # The signal may pass the last bytes, which are still in the terminal's line: wait until they are drawn.
        before = None
        while before != (before := self.run("capture-pane", "-p", "-e", "-t", pane)):
            time.sleep(0.02)
        return pane


class FakeSocket:
    """A viewer's socket as the fan-out sees it. `stuck`: it takes nothing, as a client that never reads."""

    def __init__(self, *, capacity: int = 1 << 20) -> None:
        self.texts: list[str] = []
        self._parsed: list[dict[str, Any]] = []
        self.pending = 0
        self.closed = False
        self.stuck = False
        self.capacity = capacity
        self._drained = asyncio.Event()
        self._drained.set()
        self._news = asyncio.Event()

    def post(self, data: str | bytes) -> bool:
        assert isinstance(data, str)
        if self.stuck:
            if self.pending + len(data) > self.capacity:
                return False
            self.pending += len(data)
            self._drained.clear()
        self.texts.append(data)
        self._news.set()
        return True

    def unstick(self) -> None:
        self.stuck, self.pending = False, 0
        self._drained.set()

    async def wait_drained(self, timeout: float | None = None) -> None:
        await asyncio.wait_for(self._drained.wait(), timeout)

    @property
    def messages(self) -> list[dict[str, Any]]:
        self._parsed += map(json.loads, self.texts[len(self._parsed) :])
        return self._parsed

    async def until(self, condition: Callable[[list[dict[str, Any]]], Any], timeout: float = WAIT) -> Any:
        """Wait until the messages so far satisfy `condition`; returns what it returned."""
        async with asyncio.timeout(timeout):
            while not (result := condition(self.messages)):
                self._news.clear()
                await self._news.wait()
        return result

    async def until_text(self, text: str, timeout: float = WAIT) -> None:
        """Wait until the stream holds `text`, if only cut in two."""
        seen = 0

        def arrived(messages: list[dict[str, Any]]) -> bool:
            nonlocal seen
            new, seen = messages[max(0, seen - 1) :], len(messages)
            return text in "".join(message.get("data", "") for message in new)

        await self.until(arrived, timeout)


def stream_of(messages: list[dict[str, Any]]) -> str:
    """What a viewer's terminal was given since its last snapshot."""
    outputs = [message for message in messages if message["type"] == "output"]
    for index in range(len(outputs) - 1, -1, -1):
        if outputs[index].get("snapshot"):
            return "".join(message["data"] for message in outputs[index:])
    return "".join(message["data"] for message in outputs)


class Engine:
    """Directory and watches over one tmux server, without the server around them."""

    def __init__(self, tmux: Tmux, settings: WatchSettings) -> None:
        self.tasks = TaskSupervisor("tmux")
        self.background = Background(self.tasks)
        self.background.open()
        self.changes: list[list[SessionInfo]] = []
        self.pool = WatchPool(tmux, settings, background=self.background, lives=self.lives)
        self.directory = Directory(
            tmux,
            background=self.background,
            timeout=5,
            linger=5,
            own_pids=self.pool.pids,
            on_change=self.changes.append,
        )
        self.lost: list[tuple[Subscription, str]] = []

    async def lives(self, session: SessionInfo) -> bool:
        return any(other.key == session.key for other in await self.directory.sessions())

    async def watch(self, name: str) -> SessionWatch:
        session = await self.directory.find(name)
        assert session is not None, f"no session {name}"
        return await self.pool.acquire(session)

    async def subscribe(
        self, name: str, socket: FakeSocket, *, pane: str | None = None, since: int | None = None
    ) -> Subscription:
        """Watch a session with a fake socket."""
        watch = await self.watch(name)
        found = resolve(await watch.panes(), pane)
        assert found is not None, f"no pane {pane}"
        viewer = Viewer(socket, limit=1 << 20, spawn=self.background.spawn, on_recovered=lambda: subscription.show())
        subscription = Subscription(
            watch,
            viewer,
            pane=found,
            label=pane or str(found.index),
            follow=pane is None,
            on_lost=lambda sub, reason: self.lost.append((sub, reason)),
        )
        watch.add(subscription)
        subscription.show(since)
        return subscription

    async def close(self) -> None:
        await self.pool.close()
        await self.directory.close()
        assert await self.tasks.stop() == []


@pytest.fixture
def tmux_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TmuxServer]:
    """A tmux server that ends with the test."""
    assert shutil.which("tmux"), "tmux is not installed"
    folder = Path(tempfile.mkdtemp(prefix="mt"))
    monkeypatch.setenv("TMUX_TMPDIR", str(folder))
    server = TmuxServer(folder)
    yield server
    server.run("kill-server", check=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def engine(tmux_server: TmuxServer) -> AsyncIterator[Engine]:
    """The engine over that server."""
    running = Engine(tmux_server.tmux, WatchSettings(linger=5.0))
    yield running
    await running.close()


@pytest.fixture(scope="session")
def engine_class() -> type[Engine]:
    """The class of the engine, for tests with settings of their own."""
    return Engine


@pytest.fixture
def fake_socket() -> type[FakeSocket]:
    """The class of a viewer's socket."""
    return FakeSocket


@pytest.fixture
def terminal_stream() -> Callable[[list[dict[str, Any]]], str]:
    """What a viewer's terminal was given since its last snapshot."""
    return stream_of


@pytest.fixture(scope="module")
def tmux() -> Iterator[TmuxServer]:
    """A tmux server for all tests of a file."""
    folder = Path(tempfile.mkdtemp(prefix="mt"))
    server = TmuxServer(folder)
    yield server
    server.run("kill-server", check=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server(tmux: TmuxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over it for all tests of a file, with the users of `terminals.ROLES`; `keys` has a token of each."""
    with serving(tmp_path_factory.mktemp("tmux-server"), tmux, linger_seconds=1) as server:
        server.add_users(ROLES)
        server.keys = {name: token(server, name) for name in ROLES}
        yield server
