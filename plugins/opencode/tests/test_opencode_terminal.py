"""The terminal over its WebSocket: both dialects, bounds, ends. Behind it a real shell in a real terminal."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from agentstub import StubPlugin, StubSessions
from moorage.api import Unavailable
from moorage.testing.client import Client
from moorage.testing.server import Server
from moorage_opencode.terminal import viewer
from waits import WAIT
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

Make = Callable[..., AbstractAsyncContextManager[Server]]


@pytest.fixture
async def server(moorage_server: Make) -> AsyncIterator[Server]:
    config = {"plugins": {"opencode": {"shell": "bash --norc", "terminals": 3}}}
    async with moorage_server(StubPlugin, config=config) as server:
        yield server


def sessions_of(server: Server) -> StubSessions:
    plugin = server.plugin("opencode")
    assert isinstance(plugin, StubPlugin)
    return plugin.sessions


class Screen:
    """What a terminal said, read with a time-out."""

    def __init__(self, socket: ClientConnection, *, native: bool) -> None:
        self.socket, self.native = socket, native
        self.frames: list[bytes] = []
        self.text = ""

    async def until(self, pattern: str) -> re.Match[str]:
        """Read until this stands in the output."""
        async with asyncio.timeout(WAIT):
            while not (found := re.search(pattern, self.text)):
                await self.next()
        return found

    async def next(self) -> None:
        frame = await self.socket.recv()
        assert isinstance(frame, bytes), f"output is bytes, not {frame!r}"
        self.frames.append(frame)
        if not self.native:
            self.text += frame.decode("utf-8", "replace")
        elif frame[:1] == b"0":
            self.text += frame[1:].decode("utf-8", "replace")

    async def type(self, text: str) -> None:
        await self.socket.send(b"0" + text.encode() if self.native else text)

    async def end(self) -> ConnectionClosed:
        """Read to the end of the connection."""
        async with asyncio.timeout(WAIT):
            try:
                while True:
                    await self.next()
            except ConnectionClosed as closed:
                return closed


def code(closed: ConnectionClosed) -> int:
    assert closed.rcvd is not None, "the server did not say why it closed"
    return closed.rcvd.code


async def test_ttyd_s_transcript(server: Server, tmp_path: Path) -> None:
    """As it was recorded from ttyd 1.7.7: title, preferences, sizes 100x30 then 70x20, 1011 after `exit 3`."""
    ann = await server.as_user()
    live = sessions_of(server).add(ann.user.id, tmp_path / "project")
    async with ann.connect(f"/api/session/{live.pid}/term", subprotocols=["tty"]) as socket:
        assert socket.subprotocol == "tty"
        await socket.send(json.dumps({"AuthToken": "", "columns": 100, "rows": 30}).encode())
        screen = Screen(socket, native=True)
        await screen.type("stty size; pwd; echo $TERM; tty | cut -c1-9\n")
        await screen.until(rf"30 100\r\n{tmp_path}/project\r\nxterm-256color\r\n/dev/pts/")
        assert screen.frames[0] == b"1bash (project)"
        assert screen.frames[1] == b"2{ }"
        assert {frame[:1] for frame in screen.frames[2:]} == {b"0"}
        await socket.send(b'1{"columns":70,"rows":20}')
        await screen.type("stty size\n")
        await screen.until("20 70\r\n")
        await screen.type("exit 3\n")
        assert code(await screen.end()) == 1011
    async with ann.connect(f"/api/session/{live.pid}/term", subprotocols=["other", "tty"]) as socket:
        await socket.send(b'{"AuthToken":""}')
        screen = Screen(socket, native=True)
        await screen.type("stty size; exit 0\n")
        await screen.until("24 80\r\n")
        assert code(await screen.end()) == 1000


async def test_the_contract_s_dialect(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    live = sessions_of(server).add(ann.user.id, tmp_path / "project")
    for path in ("/api/session/{}/term", "/api/sessions/{}/terminal", "/api/session/{}/workspace/term"):
        async with ann.connect(path.format(live.pid)) as socket:
            assert socket.subprotocol is None
            screen = Screen(socket, native=False)
            await screen.type("stty size; echo $((6 * 7))\n")
            await screen.until("40 120\r\n42\r\n")
            await screen.type('{"columns":70,"rows":20}')
            await screen.type("stty size\n")
            await screen.until("20 70\r\n")
            await socket.send(b'1{"columns":71,"rows":21}')
            await socket.send(b"0stty size\n")
            await screen.until("21 71\r\n")
            await socket.send(b"echo as bytes\n")
            await screen.until("[\r\n]as bytes\r\n")
            await screen.type("{ echo '\"columns\"'; }\n")
            await screen.until('[\r\n]"columns"\r\n')
            assert not any(frame.startswith((b"1bash", b"2{")) for frame in screen.frames)
            await screen.type("exit\n")
            assert code(await screen.end()) == 1000


async def test_what_a_shell_leaves_in_the_background_does_not_keep_it_open(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    live = sessions_of(server).add(ann.user.id, tmp_path / "project")
    async with ann.connect(f"/api/session/{live.pid}/term") as socket:
        screen = Screen(socket, native=False)
        await screen.type("nohup sleep 1000 2>/dev/null & echo pid=$!.; echo last; exit 7\n")
        pid = int((await screen.until(r"pid=(\d+)\."))[1])
        assert code(await screen.end()) == 1011
        assert "last" in screen.text
    os.kill(pid, signal.SIGKILL)  # It may outlive the terminal: that is what nohup is for.


async def test_what_ttyd_s_client_asks_for_beside_it(server: Server, tmp_path: Path) -> None:
    ann, ben = await server.as_user(), await server.as_user()
    live = sessions_of(server).add(ann.user.id, tmp_path / "project")
    path = f"/api/session/{live.pid}/term"
    assert (await ann.get(f"{path}/token")).json() == {"token": ""}
    script = await ann.get(f"{path}/auth_token.js")
    assert (script.text, script.headers["content-type"]) == (
        'var tty_auth_token = "";\n',
        "text/javascript; charset=utf-8",
    )
    assert (await ben.get(f"{path}/token")).status_code == 404
    assert (await server.anonymous.get(f"{path}/token")).status_code == 401
    async with ann.connect(f"{path}/ws", subprotocols=["tty"]) as socket:
        await socket.send(b'{"AuthToken":"whatever"}')
        assert (await socket.recv()).startswith(b"1")


async def test_only_who_may(server: Server, tmp_path: Path) -> None:
    ann, ben, admin = await server.as_user(), await server.as_user(), await server.as_user("admin")
    viewer_ = await server.as_user("viewer")
    limited = await server.as_user(scopes=["opencode:session:view"])
    sessions = sessions_of(server)
    path = f"/api/session/{sessions.add(ann.user.id, tmp_path / 'a').pid}/term"

    async def refused(client: Client, where: str) -> int:
        with pytest.raises(InvalidStatus) as caught:
            await client.connect(where)
        return caught.value.response.status_code

    assert await refused(server.anonymous, path) == 401
    assert await refused(ben, path) == 404
    assert await refused(ann, "/api/session/00000000-0000-4000-8000-999999999999/term") == 404
    own = sessions.add(viewer_.user.id, tmp_path / "v").pid
    assert await refused(viewer_, f"/api/session/{own}/term") == 403
    own = sessions.add(limited.user.id, tmp_path / "l").pid
    assert await refused(limited, f"/api/session/{own}/term") == 403
    assert sessions.terminals.programs == []
    async with admin.connect(path) as socket:
        screen = Screen(socket, native=False)
        await screen.type("echo ok$((1+1))\n")
        await screen.until("ok2")


async def test_as_many_as_the_operator_says(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    path = f"/api/session/{sessions_of(server).add(ann.user.id, tmp_path / 'a').pid}/term"
    async with ann.connect(path), ann.connect(path):
        async with ann.connect(path):
            with pytest.raises(InvalidStatus) as caught:
                await ann.connect(path)
            assert caught.value.response.status_code == 429
        async with asyncio.timeout(WAIT):
            while True:  # The place of the one that closed is free as soon as its program has ended.
                try:
                    async with ann.connect(path):
                        break
                except InvalidStatus:
                    await asyncio.sleep(0.02)


async def ended(server: Server) -> None:
    """Until every program has ended."""
    async with asyncio.timeout(WAIT):
        for program in sessions_of(server).terminals.programs:
            await program.process.wait()
        while server.plugin("opencode").terminals._open:  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)


async def test_nothing_is_left_of_a_client_that_goes(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    live = sessions_of(server).add(ann.user.id, tmp_path / "a")
    mark = tmp_path / "hup"
    async with ann.connect(f"/api/session/{live.pid}/term") as socket:
        screen = Screen(socket, native=False)
        await screen.type(f"trap 'echo hup > {mark}; exit' HUP; sleep 1000 & echo r$((1+1)); wait\n")
        await screen.until("r2")
        socket.transport.abort()  # No close frame: a browser that crashed.
    await ended(server)
    assert mark.read_text() == "hup\n"


@pytest.mark.parametrize("engine", ["hypercorn", "uvicorn"])
async def test_a_program_that_does_not_read_holds_back_its_client_and_keeps_nothing(
    moorage_server: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    config = {"server": {"engine": engine}, "plugins": {"opencode": {"shell": "bash --norc"}}}
    async with moorage_server(StubPlugin, config=config) as server:
        await _hold_back(server, tmp_path, monkeypatch)


async def _hold_back(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "PROBE_SECONDS", 0.2)
    ann = await server.as_user()
    live = sessions_of(server).add(ann.user.id, tmp_path / "a")
    async with ann.connect(f"/api/session/{live.pid}/term", write_limit=0) as socket:
        screen = Screen(socket, native=False)
        await screen.type("stty raw -echo; trap 'exit' HUP; echo r$((1+1)); sleep 1000 & wait\n")
        await screen.until("r2")

        async def flood() -> None:
            while True:
                await socket.send(b"x" * 65536)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flood(), 3)
        socket.transport.abort()
    await ended(server)


async def test_a_paste_of_ten_megabytes_arrives_whole(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    live = sessions_of(server).add(ann.user.id, tmp_path / "a")
    async with ann.connect(f"/api/session/{live.pid}/term") as socket:
        screen = Screen(socket, native=False)
        await screen.type("stty raw -echo; echo r$((1+1)); head -c 10485760 | md5sum; stty sane\n")
        await screen.until("r2")
        paste = bytes(97 + i * i % 26 for i in range(65536))
        for _ in range(160):
            await socket.send(paste)
        await screen.until(hashlib.md5(paste * 160, usedforsecurity=False).hexdigest())


async def test_one_who_does_not_read_stops_the_program_and_not_the_server(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    sessions = sessions_of(server)
    live = sessions.add(ann.user.id, tmp_path / "a")
    path = f"/api/session/{live.pid}/term"
    async with ann.connect(path, max_queue=1) as stuck:
        await stuck.send("exec yes\n")
        async with asyncio.timeout(WAIT):
            while not sessions.terminals.programs or sessions.terminals.programs[0].read_bytes < 1 << 20:
                await asyncio.sleep(0.02)
            program, before = sessions.terminals.programs[0], -1
            while before != (before := program.read_bytes):  # Until it stands still.
                await asyncio.sleep(0.3)
        assert before < 32 << 20, "what nobody reads is not gathered"
        async with ann.connect(path) as other:
            screen = Screen(other, native=False)
            await screen.type("echo still$((1+1))\n")
            await screen.until("still2")
        read = 0
        async with asyncio.timeout(WAIT):
            while read < before + (1 << 20):  # And goes on once it reads.
                read += len(await stuck.recv())
        await stuck.send("\x03")
        # Hypercorn does not wait for the client's close frame: one that is behind may see a reset instead of the code.
        await Screen(stuck, native=False).end()
        assert stuck.close_code in (1011, 1006)
    await ended(server)


async def test_pause_and_resume(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    live = sessions_of(server).add(ann.user.id, tmp_path / "a")
    async with ann.connect(f"/api/session/{live.pid}/term", subprotocols=["tty"]) as socket:
        await socket.send(b'{"AuthToken":"","columns":80,"rows":24}')
        screen = Screen(socket, native=True)
        await screen.type("echo r$((1+1))\n")
        await screen.until("r2")
        await socket.send(b"2")
        await screen.type("echo paused$((1+1))\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await screen.until("paused2")
        await socket.send(b"3")
        await screen.until("paused2")


SIZES = [
    b'1{"columns":0,"rows":0}',
    b'1{"columns":-5,"rows":20}',
    b'1{"columns":99999999999,"rows":20}',
    b'1{"columns":NaN,"rows":20}',
    b'1{"columns":"80","rows":"24"}',
    b'1{"columns":80.5,"rows":24}',
    b'1{"columns":true,"rows":true}',
    b'1{"columns":80}',
    b'1{"columns":',
    b"1",
    b"1[1,2]",
    b"1" + b"[" * 5000,
    b"1\xff\xfe",
    b"",
    b"9what",
    b"{again}",
]


async def test_what_is_no_size_and_no_command_changes_nothing(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    live = sessions_of(server).add(ann.user.id, tmp_path / "a")
    async with ann.connect(f"/api/session/{live.pid}/term", subprotocols=["tty"]) as socket:
        await socket.send(b"0typed before anybody is there\n")
        await socket.send(b'{"columns":"wide","rows":-1}')
        for frame in SIZES:
            await socket.send(frame)
        screen = Screen(socket, native=True)
        await screen.type("stty size; echo $((6*7))\n")
        await screen.until("24 80\r\n42\r\n")
        assert "typed before" not in screen.text
    async with ann.connect(f"/api/session/{live.pid}/term") as socket:
        for text in ('{"columns":0,"rows":0}', '{"columns":null,"rows":null}', '{"columns":1e9,"rows":7}'):
            await socket.send(text)
        screen = Screen(socket, native=False)
        await screen.type("stty size\n")
        await screen.until("40 120\r\n")


async def test_of_a_storm_of_sizes_the_last_counts(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    sessions = sessions_of(server)
    live = sessions.add(ann.user.id, tmp_path / "a")
    async with ann.connect(f"/api/session/{live.pid}/term", subprotocols=["tty"]) as socket:
        await socket.send(b'{"AuthToken":""}')
        screen = Screen(socket, native=True)
        await screen.type("echo r$((1+1))\n")
        await screen.until("r2")
        for columns in range(2, 2002):
            await socket.send(json.dumps({"columns": columns, "rows": 10}).encode().join([b"1", b""]))
        await screen.type("stty size\n")
        await screen.until("10 2001\r\n")


async def test_one_who_says_nothing_is_closed(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "FIRST_FRAME_SECONDS", 0.2)
    ann = await server.as_user()
    sessions = sessions_of(server)
    live = sessions.add(ann.user.id, tmp_path / "a")
    async with ann.connect(f"/api/session/{live.pid}/term", subprotocols=["tty"]) as socket:
        assert code(await Screen(socket, native=True).end()) == 1002
    assert sessions.terminals.programs == []


async def test_a_message_that_is_too_large_ends_it(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    live = sessions_of(server).add(ann.user.id, tmp_path / "a")
    async with ann.connect(f"/api/session/{live.pid}/term") as socket:
        await socket.send(b"x" * (1 << 20) + b"x")
        assert code(await Screen(socket, native=False).end()) == 1009
    await ended(server)


# The session's life.


async def test_a_stopped_session_is_resumed_first(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    sessions = sessions_of(server)
    live = sessions.add(ann.user.id, tmp_path / "a", status="stopped")
    sessions.may_resume.clear()
    async with ann.connect(f"/api/session/{live.pid}/term") as socket:
        await socket.send('{"columns":90,"rows":33}')
        await socket.send("stty size\n")
        await server.anonymous.get("/health")
        assert sessions.terminals.programs == []
        sessions.may_resume.set()
        await Screen(socket, native=False).until("33 90\r\n")
        assert sessions.held[live.pid] == 1, "an open terminal is use"
    assert sessions.resumed == [live.pid]
    await ended(server)
    assert sessions.held[live.pid] == 0


async def test_a_client_that_goes_while_the_session_starts(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    sessions = sessions_of(server)
    live = sessions.add(ann.user.id, tmp_path / "a", status="stopped")
    sessions.may_resume.clear()
    async with ann.connect(f"/api/session/{live.pid}/term") as socket:
        await socket.send("x")
    async with asyncio.timeout(WAIT):
        while server.plugin("opencode").terminals.count(live.pid):  # type: ignore[attr-defined]
            await asyncio.sleep(0.02)
    sessions.may_resume.set()
    assert sessions.terminals.programs == []


async def test_a_session_that_cannot_be_reached(server: Server, tmp_path: Path) -> None:
    ann = await server.as_user()
    sessions = sessions_of(server)
    for status in ("failed", "stopping"):
        live = sessions.add(ann.user.id, tmp_path / "a", status=status)
        with pytest.raises(InvalidStatus) as caught:
            await ann.connect(f"/api/session/{live.pid}/term")
        assert caught.value.response.status_code == 503
    live = sessions.add(ann.user.id, tmp_path / "a", status="starting")
    sessions.may_resume.clear()
    async with ann.connect(f"/api/session/{live.pid}/term") as socket:
        sessions.turn(live, "failed", error="It did not become ready")
        closed = await Screen(socket, native=False).end()
        assert (code(closed), closed.rcvd and closed.rcvd.reason) == (1011, "It did not become ready")
    live = sessions.add(ann.user.id, tmp_path / "a")
    sessions.terminals.refuse = Unavailable("The engine is away")
    async with ann.connect(f"/api/session/{live.pid}/term") as socket:
        closed = await Screen(socket, native=False).end()
        assert (code(closed), closed.rcvd and closed.rcvd.reason) == (1013, "The engine is away")


@pytest.mark.parametrize(
    ("status", "expected"),
    [("stopping", 1000), ("stopped", 1000), ("deleted", 1000), ("failed", 1011), ("starting", 1012)],
)
async def test_what_becomes_of_the_session_ends_the_terminal(
    server: Server, tmp_path: Path, status: str, expected: int
) -> None:
    ann = await server.as_user()
    sessions = sessions_of(server)
    live = sessions.add(ann.user.id, tmp_path / "a")
    async with ann.connect(f"/api/session/{live.pid}/term") as socket:
        screen = Screen(socket, native=False)
        await screen.type("echo r$((1+1))\n")
        await screen.until("r2")
        sessions.turn(live, status)
        assert code(await screen.end()) == expected
    await ended(server)


async def _demote(server: Server, ann: Client) -> None:
    admin = await server.as_user("owner")
    answer = await admin.patch(f"/api/users/{ann.user.pid}/role", json={"role": "viewer"})
    assert answer.status_code == 200, answer.text


async def _delete(server: Server, ann: Client) -> None:
    admin = await server.as_user("owner")
    answer = await admin.delete(f"/api/admin/users/{ann.user.pid}")
    assert answer.status_code == 204, answer.text


@pytest.mark.parametrize(("happens", "expected"), [(_demote, 4003), (_delete, 4001)])
async def test_a_right_that_goes_takes_the_terminal(
    server: Server, tmp_path: Path, happens: Callable[[Server, Client], Awaitable[Any]], expected: int
) -> None:
    ann = await server.as_user()
    live = sessions_of(server).add(ann.user.id, tmp_path / "a")
    async with ann.connect(f"/api/session/{live.pid}/term") as socket:
        screen = Screen(socket, native=False)
        await screen.type("echo r$((1+1))\n")
        await screen.until("r2")
        await happens(server, ann)
        assert code(await screen.end()) == expected
    await ended(server)


async def test_the_server_s_stop_ends_programs(moorage_server: Make, tmp_path: Path) -> None:
    async with moorage_server(StubPlugin, config={"plugins": {"opencode": {"shell": "no-such-shell -x"}}}) as server:
        ann = await server.as_user()
        sessions = sessions_of(server)
        live = sessions.add(ann.user.id, tmp_path / "a")
        socket = await ann.connect(f"/api/session/{live.pid}/term")
        screen = Screen(socket, native=False)
        await screen.type("echo sh$((1+1))\n")
        await screen.until("sh2")
    assert code(await screen.end()) == 1001
    assert sessions.terminals.programs[0].process.returncode is not None
