"""Sessions without a runtime around them, and an OpenCode that says what a test tells it to: for the faults.

The plugin's sockets are the real ones, in a real server; behind them are sessions that a test changes by hand, a shell
in a terminal of this machine, and a server that speaks OpenCode's API and events as they were recorded from 1.18.33.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import os
import signal
import struct
import sys
import termios
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from moorage.api import (
    OCTO,
    Actor,
    Forbidden,
    Hub,
    Manifest,
    NotFound,
    Permission,
    Plugin,
    TerminalSize,
    Unavailable,
    hookimpl,
)
from moorage_opencode.config import OpenCodeConfig
from moorage_opencode.live import Events
from moorage_opencode.opencode import OpenCode
from moorage_opencode.rights import PERMISSIONS, VIEW
from moorage_opencode.sessions import CHANGED, Live
from moorage_opencode.terminal import Terminals
from moorage_opencode.views import live as live_views
from moorage_opencode.views import terminal as terminal_views

PASSWORD = "Basic b3BlbmNvZGU6c2VjcmV0"
_numbers = itertools.count(1)


class PtyExec:
    """A program in a terminal of this machine."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.process, self.master = process, master
        self.reads = self.read_bytes = 0
        self.sizes: list[TerminalSize] = []
        os.set_blocking(master, False)

    async def _ready(self, add: Callable[..., Any], remove: Callable[[int], Any]) -> None:
        ready = asyncio.get_running_loop().create_future()
        add(self.master, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            remove(self.master)

    async def read(self, limit: int = 65536) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = os.read(self.master, limit)
            except BlockingIOError:
                await self._ready(loop.add_reader, loop.remove_reader)
            except OSError:
                return b""
            else:
                self.reads, self.read_bytes = self.reads + 1, self.read_bytes + len(data)
                return data

    async def write(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        while data:
            try:
                data = data[os.write(self.master, data) :]
            except BlockingIOError:
                await self._ready(loop.add_writer, loop.remove_writer)
            except OSError as error:
                raise ConnectionError from error

    async def close_input(self) -> None:
        pass

    async def resize(self, size: TerminalSize) -> None:
        self.sizes.append(size)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))

    async def wait(self) -> int:
        code = await self.process.wait()
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGHUP)
            try:
                async with asyncio.timeout(2):
                    await self.process.wait()
            except TimeoutError:
                os.killpg(self.process.pid, signal.SIGKILL)
                await self.process.wait()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


class PtyRuntime:
    """Runs programs beside the server. `programs`: all that it ever ran."""

    def __init__(self) -> None:
        self.programs: list[PtyExec] = []
        self.refuse: Exception | None = None

    async def exec(
        self,
        name: str,
        command: Any,
        *,
        env: Any = None,
        workdir: str | None = None,
        terminal: TerminalSize | None = None,
    ) -> PtyExec:
        if self.refuse is not None:
            raise self.refuse
        assert terminal is not None
        master, slave = os.openpty()
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", terminal.rows, terminal.columns, 0, 0))
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=workdir,
            env={"PATH": os.environ["PATH"], "PS1": "$ ", "HOME": str(workdir), "LANG": "C.UTF-8", **(env or {})},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        program = PtyExec(process, master)
        self.programs.append(program)
        return program


class StubSessions:
    """Sessions that a test makes and changes."""

    def __init__(self, hub: Hub, config: OpenCodeConfig) -> None:
        self.hub, self.config = hub, config
        self.all: dict[str, Live] = {}
        self.terminals = PtyRuntime()
        self.touched: list[str] = []
        self.held: Counter[str] = Counter()
        self.resumed: list[str] = []
        self.may_resume = asyncio.Event()
        self.may_resume.set()

    def add(self, owner: int, workspace: Path, *, status: str = "running", port: int = 9) -> Live:
        """A session with its OpenCode at that port."""
        workspace.mkdir(parents=True, exist_ok=True)
        pid = f"00000000-0000-4000-8000-{next(_numbers):012}"
        live = Live(pid, owner, status, workspace, f"s-{pid[-6:]}", "process", None, PASSWORD)
        self.all[pid] = live
        self._reach(live, port)
        return live

    def _reach(self, live: Live, port: int) -> None:
        name = f"session-{live.pid}"
        if live.status == "running":
            live.upstream = self.hub.upstreams.register(name, port=port)
        else:
            live.upstream = None
            self.hub.upstreams.remove(name)

    def turn(self, live: Live, status: str, *, port: int = 9, error: str | None = None) -> None:
        """Another state, and everybody hears of it."""
        live.status = status
        self._reach(live, port)
        if status == "deleted":
            self.all.pop(live.pid)
        data = {"id": live.pid, "user_id": live.user_id, "status": status, "workspace_path": str(live.workspace)}
        self.hub.bus.publish(CHANGED, {**data, "error": error})

    def live(self, actor: Actor, pid: str, permission: Permission) -> Live:
        live = self.all.get(pid)
        if live is None or not self.hub.access.can(actor, VIEW.name, owner_id=live.user_id):
            raise NotFound("Session not found")
        if not self.hub.access.can(actor, permission.name, owner_id=live.user_id):
            raise Forbidden(details={"required": permission.name})
        return live

    async def running(self, live: Live, *, resume: bool = True) -> Live:
        if live.status == "stopped" and resume:
            self.resumed.append(live.pid)
            self.turn(live, "starting")
        if live.status in ("starting", "pending"):
            await self.may_resume.wait()
            if live.status == "starting":
                self.turn(live, "running")
        if live.status != "running":
            raise Unavailable(f"The session is {live.status}")
        return live

    async def runtime(self, live: Live) -> PtyRuntime:
        return self.terminals

    def touch(self, live: Live) -> None:
        self.touched.append(live.pid)

    @contextmanager
    def hold(self, live: Live) -> Iterator[None]:
        self.held[live.pid] += 1
        try:
            yield
        finally:
            self.held[live.pid] -= 1


class StubPlugin(Plugin):
    """The plugin's terminal and events, over those sessions."""

    manifest = Manifest(
        name="opencode", version="0", summary="Stub", config=OpenCodeConfig, permissions=PERMISSIONS, dialect=OCTO
    )

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Any:
        assert isinstance(hub.config, OpenCodeConfig)
        self.sessions = StubSessions(hub, hub.config)
        self.opencode = OpenCode()
        self.terminals = Terminals(hub, hub.config, self.sessions)  # type: ignore[arg-type]
        self.events = Events(hub, self.sessions, self.opencode)  # type: ignore[arg-type]
        return [*terminal_views.routes(self.terminals), *live_views.routes(self.events)]

    @hookimpl
    async def moorage_startup(self) -> None:
        self.terminals.start()
        self.events.start()

    @hookimpl
    async def moorage_shutdown(self) -> None:
        await self.events.close()
        await self.terminals.close()
        await self.opencode.close()


class ScriptedOpenCode:
    """An OpenCode that answers from tables, and whose events a test sends.

    sessions: what `GET /session` lists. calls: (method, path, body) of all calls but `GET`s of state.
    """

    def __init__(self) -> None:
        self.sessions: list[dict[str, Any]] = []
        self.status: dict[str, Any] = {}
        self.permissions: list[dict[str, Any]] = []
        self.questions: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str, Any]] = []
        self.answers: dict[str, tuple[int, Any]] = {}
        self.streams: list[web.StreamResponse] = []
        self.opened = 0
        self.refuse_events = 0
        self._news = asyncio.Event()
        self._gone = asyncio.Event()
        self.port = 0

    async def __aenter__(self) -> ScriptedOpenCode:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_get("/event", self._events)
        app.router.add_route("*", "/{path:.*}", self._call)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await self.listen()
        return self

    async def listen(self) -> None:
        """Open the port (the same again after `shut`)."""
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def shut(self) -> None:
        """Close the port and all streams, as a server that ends."""
        await self._site.stop()
        await self.cut()

    async def cut(self) -> None:
        """Break off all streams of events."""
        self._gone.set()
        for stream in self.streams:
            if stream._req is not None and stream._req.transport is not None:
                stream._req.transport.abort()
        await self.until(lambda: not self.streams)
        self._gone = asyncio.Event()

    async def __aexit__(self, *_: object) -> None:
        self._gone.set()
        await self._runner.cleanup()

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self.opened += 1
        self._news.set()
        assert request.headers["Authorization"] == PASSWORD
        if self.refuse_events:
            self.refuse_events -= 1
            return web.Response(status=500)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.streams.append(response)
        gone = self._gone
        try:
            await response.write(_data("server.connected", {}))
            self._news.set()
            await gone.wait()
        finally:
            self.streams.remove(response)
            self._news.set()
        return response

    async def _call(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == PASSWORD
        key = f"{request.method} {request.path}"
        state = {
            "GET /session": self.sessions,
            "GET /session/status": self.status,
            "GET /permission": self.permissions,
            "GET /question": self.questions,
        }.get(key)
        if state is not None and key not in self.answers:
            return web.json_response(state)
        body = await request.json() if request.can_read_body else None
        self.calls.append((request.method, request.path, body))
        self._news.set()
        if key in self.answers:
            status, answer = self.answers[key]
            return web.json_response(answer, status=status)
        if key == "POST /session":
            session = {"id": f"ses_{next(_numbers)}", "time": {"created": next(_numbers)}}
            self.sessions.append(session)
            return web.json_response(session)
        if request.path.endswith("/message"):
            return web.json_response(self.messages)
        return web.Response(status=204)

    async def raw(self, data: bytes) -> None:
        """Bytes of the streams of events, as they are."""
        for stream in list(self.streams):
            await stream.write(data)

    async def send(self, kind: str, **properties: Any) -> None:
        """An event."""
        await self.raw(_data(kind, properties))

    async def until(self, condition: Callable[[], Any], timeout: float = 30) -> Any:
        """Wait until something that this server is asked makes the condition true."""
        async with asyncio.timeout(timeout):
            while not (result := condition()):
                self._news.clear()
                await self._news.wait()
        return result


def _data(kind: str, properties: dict[str, Any]) -> bytes:
    event = {"id": "evt_1", "type": kind, "properties": properties}
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode("utf-8", "surrogatepass")


_STANDIN = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"healthy": True, "version": "1.18.33"} if self.path == "/global/health" else []).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

if "--version" in sys.argv:
    sys.exit(print("1.18.33"))
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


def standin(folder: Path) -> dict[str, Any]:
    """Settings with which sessions start at once, with no OpenCode: for tests of what is beside it."""
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "projects").mkdir(exist_ok=True)
    program = folder / "bin" / "opencode"
    program.write_text(f"#!{sys.executable}\n{_STANDIN}")
    program.chmod(0o755)
    own = {"enabled": True, "binary": str(program), "roots": [str(folder / "projects")], "shell": "bash --norc"}
    # In a sandbox the Python of the tests may not be seen.
    return {"runtimes": {"process": {"isolation": "none"}}, "plugins": {"opencode": own}}
