"""A whole turn with the real OpenCode over `/api/ws`, and the terminal of the session that it runs in."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from agentstub import standin
from moorage.testing.client import Client
from moorage.testing.server import Server
from realparts.llm import Call, Llm, Say
from waits import WAIT
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

Make = Callable[..., AbstractAsyncContextManager[Server]]
Message = dict[str, Any]
START = 120.0
"""Seconds in which OpenCode starts, however busy the machine."""


def config(binary: Path, projects: Path, settings: Message) -> Message:
    plugin = {
        "binary": str(binary),
        "roots": [str(projects)],
        "opencode_config": settings,
        "shell": "bash --norc",
        "start_timeout": START,
    }
    return {"plugins": {"opencode": plugin}}


@asynccontextmanager
async def session(client: Client, project: Path) -> AsyncIterator[str]:
    """A session that does not outlive the test; others outlive their server."""
    project.mkdir(parents=True)
    answer = await client.post("/api/sessions", json={"project_path": str(project)}, timeout=START * 2)
    try:
        assert answer.status_code == 201, answer.text
        yield answer.json()["id"]
    finally:
        for left in (await client.get("/api/sessions")).json():
            assert (await client.delete(f"/api/sessions/{left['id']}", timeout=WAIT)).status_code == 204


async def until(socket: ClientConnection, told: list[Message], kind: str) -> Message:
    async with asyncio.timeout(WAIT * 2):
        while True:
            told.append(json.loads(await socket.recv()))
            if told[-1]["type"] == "ping":
                await socket.send('{"type":"pong"}')
            if told[-1]["type"] == kind:
                return told[-1]


async def screen_of(socket: ClientConnection, pattern: str) -> None:
    """Until this stands in a terminal's output, whichever dialect it is in."""
    output = b""
    async with asyncio.timeout(WAIT):
        while not re.search(pattern, output.decode("utf-8", "replace")):
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            output += frame[1:] if socket.subprotocol == "tty" else frame


async def end_of(socket: ClientConnection) -> tuple[int | None, str | None]:
    with pytest.raises(ConnectionClosed):
        await screen_of(socket, "nothing that comes")
    return socket.close_code, socket.close_reason


async def test_a_turn_with_a_permission_and_the_terminal_beside_it(
    moorage_server: Make, opencode_binary: Path, llm: Llm, tmp_path: Path
) -> None:
    llm.script(
        "make a file",
        Call("bash", {"command": "echo mäde > made.txt && cat made.txt", "description": "make"}),
        Say("It is máde ✓", think="let me see"),
    )
    project = tmp_path / "projects" / "one"
    async with moorage_server(
        "opencode", config=config(opencode_binary, tmp_path / "projects", llm.config())
    ) as server:
        ann = await server.as_user()
        told: list[Message] = []
        async with session(ann, project) as pid, ann.connect("/api/ws") as socket:
            await socket.send(json.dumps({"type": "subscribe", "session_id": pid}))
            await until(socket, told, "agent_connected")
            await socket.send(json.dumps({"type": "send_message", "session_id": pid, "message": "make a file"}))
            asked = await until(socket, told, "permission_request")
            assert (asked["session_id"], asked["permission_type"]) == (pid, "bash")
            assert asked["metadata"]["command"].startswith("echo mäde")
            granted = {"permission_id": asked["permission_id"], "granted": True}
            await socket.send(json.dumps({"type": "permission_reply", "session_id": pid, **granted}))
            await until(socket, told, "permission_resolved")
            assert granted.items() <= told[-1].items()
            end = await until(socket, told, "tool_end")
            assert (end["tool_name"], end["result"], end["is_error"]) == ("bash", "mäde\n", False)
            await until(socket, told, "session_idle")
            texts = "".join(m["delta"] for m in told if m["type"] == "text_delta")
            assert texts == "It is máde ✓", "each text once, and nothing of the user's"
            kinds = [m["type"] for m in told]
            assert kinds.count("tool_start") == kinds.count("tool_end") == 1
            assert kinds.index("session_busy") < kinds.index("tool_start") < kinds.index("tool_end")
            assert (project / "made.txt").read_text() == "mäde\n"
            await socket.send(json.dumps({"type": "get_messages", "session_id": pid}))
            shown = await until(socket, told, "messages")
            assert [message["info"]["role"] for message in shown["messages"]] == ["user", "assistant", "assistant"]
            assert shown["opencode_session_id"] == asked["opencode_session_id"]
            # The terminal is in the same project, and ends with the session.
            async with ann.connect(f"/api/session/{pid}/term", subprotocols=["tty"]) as terminal:
                await terminal.send(b'{"AuthToken":"","columns":100,"rows":30}')
                await terminal.send(b"0stty size; cat made.txt\n")
                await screen_of(terminal, r"30 100\r\nmäde\r\n")
                stopped = await ann.post(f"/api/sessions/{pid}/stop")
                assert stopped.status_code in (200, 204), stopped.text
                assert await end_of(terminal) == (1000, "The session was stopped")
            await until(socket, told, "agent_disconnected")
            statuses = [m["status"] for m in told if m["type"] == "session_updated"]
            assert "stopping" in statuses
            # A message to the stopped session starts it again, in the same conversation.
            await socket.send(json.dumps({"type": "send_message", "session_id": pid, "message": "hello again"}))
            await until(socket, told, "agent_connected")
            busy = await until(socket, told, "session_busy")
            assert busy["opencode_session_id"] == asked["opencode_session_id"]
            await until(socket, told, "session_idle")


async def test_a_terminal_in_a_workload_leaves_nothing(moorage_server: Make, tmp_path: Path) -> None:
    """SIGHUP reaches the shell, and what it started goes with it, in the real runtime."""
    project = tmp_path / "projects" / "one"
    async with moorage_server("opencode", config=standin(tmp_path)) as server:
        ann = await server.as_user()
        async with session(ann, project) as pid:
            await _leave_and_come_again(ann, pid, project)


async def _leave_and_come_again(ann: Client, pid: str, project: Path) -> None:
    async with ann.connect(f"/api/session/{pid}/term") as terminal:
        await terminal.send("trap 'echo hup > hup; exit' HUP; sleep 4242 & echo r$((1+1)); wait\n")
        await screen_of(terminal, "r2")
        async with asyncio.timeout(WAIT):
            while not sleeping(project):  # It may have to become `sleep` yet.
                await asyncio.sleep(0.02)
        terminal.transport.abort()
    async with asyncio.timeout(WAIT):
        while not (project / "hup").exists() or sleeping(project):
            await asyncio.sleep(0.02)
    async with ann.connect(f"/api/session/{pid}/term") as terminal:
        paste = bytes(97 + i * i % 26 for i in range(65536))
        await terminal.send("stty raw -echo; echo r$((1+1)); head -c 10485760 | md5sum; stty sane\n")
        await screen_of(terminal, "r2")
        for _ in range(160):
            await terminal.send(paste)
        await screen_of(terminal, md5(paste * 160))
        await terminal.send("exit 3\n")
        assert (await end_of(terminal))[0] == 1011


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def sleeping(project: Path) -> bool:
    """Whether the process of this test lives: others may run the same test beside it."""
    for entry in os.listdir("/proc"):
        try:
            found = entry.isdigit() and Path(f"/proc/{entry}/cmdline").read_bytes() == b"sleep\x004242\x00"
            if found and os.readlink(f"/proc/{entry}/cwd") == str(project):
                return True
        except OSError:
            continue
    return False
