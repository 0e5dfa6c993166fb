"""A real `moorage serve` with the tmux plugin over a tmux of the test's own, and clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sqlite3

import httpx
import websockets
from harness import Server
from openapi_check import Checker, checked, documents_of
from waits import WAIT

ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
ROLES = {"ann": "operator", "bob": "operator", "vic": "viewer", "ada": "admin"}
"""The users of the fixture `server`."""


@contextlib.contextmanager
def serving(folder, tmux, database="sqlite://moorage.db", core=None, **options):
    config = {
        **(core or {}),
        "database": {"url": database},
        "limits": {"enabled": False},
        "plugins": {"tmux": {"enabled": True, "required": True, "mount": ["/"], "socket_name": tmux.name, **options}},
    }
    server = Server(folder, config, env={"TMUX_TMPDIR": str(tmux.folder)})
    try:
        yield server.start()
    finally:
        server.stop()


def token(server, name):
    """A token of a fresh login."""
    answer = httpx.post(f"{server.url}/api/auth/login", json={"username": name, "password": "correct horse battery"})
    return answer.json()["token"]


def session(tmux, request, command=None):
    """A session of the test's own, which shows what is typed unless it has another program."""
    name = request.node.name.removeprefix("test_")[:40].replace("[", "-").replace("]", "")
    if (again := getattr(request.node, "execution_count", 1)) > 1:
        name += f"-{again}"  # That of the failed run is still there.
    tmux.new(name, command) if command else tmux.cat(name)
    return name


def api(server, who):
    """A client of a user, each answer of which is checked against the server's OpenAPI documents."""
    if not hasattr(server, "checker"):
        server.checker = Checker(documents_of(server))
    headers = {"Authorization": f"Bearer {server.keys[who]}"}
    return checked(httpx.Client(base_url=server.url, headers=headers, timeout=WAIT), server, server.checker)


def ids(server):
    with contextlib.ExitStack() as stack:
        return {who: stack.enter_context(api(server, who)).get("/auth/me").json()["id"] for who in ROLES}


class Client:
    """One WebSocket and what came on it."""

    def __init__(self, connection):
        self.connection, self.messages = connection, []

    async def send(self, *texts, **message):
        await self.connection.send(texts[0] if texts else json.dumps(message))

    async def next(self, kind=None, timeout=WAIT, **wanted):
        """The next message of that kind with these values; the others are kept in `messages`."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    message = json.loads(await self.connection.recv())
                    self.messages.append(message)
                    if kind in (None, message["type"]) and wanted.items() <= message.items():
                        return message
        except TimeoutError:
            last = [str(message)[:300] for message in self.messages[-8:]]
            raise TimeoutError(f"no {kind} {wanted or ''}; the last that came: {last}") from None

    async def until(self, *wanted):
        """Until a message of each (kind, code) has come, in any order."""
        while not set(wanted) <= {(message["type"], message.get("code")) for message in self.messages}:
            await self.next()

    async def text(self, wanted):
        """Until the output holds a text."""
        seen = ""
        while wanted not in seen:
            seen += (await self.next("output"))["data"]
        return seen

    async def closed(self):
        """The close code."""
        async with asyncio.timeout(WAIT):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    self.messages.append(json.loads(await self.connection.recv()))
        return self.connection.close_code


@contextlib.asynccontextmanager
async def connect(server, who, path="/ws"):
    headers = {"Authorization": f"Bearer {server.keys[who]}"} if who else {}
    async with websockets.connect(server.ws_url + path, additional_headers=headers, max_size=None) as connection:
        yield Client(connection)


def audited(server):
    """What the plugin put on record: action, target, address."""
    with contextlib.closing(sqlite3.connect(f"file:{server.data_dir}/moorage.db?mode=ro", uri=True)) as database:
        query = "SELECT action, target, address FROM core_audit_events WHERE action LIKE 'tmux.%' ORDER BY id"
        return database.execute(query).fetchall()
