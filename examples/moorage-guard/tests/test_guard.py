"""What this plugin does, in terminals that are shared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from moorage.testing.server import Server
from pydantic import ValidationError
from websockets.asyncio.client import ClientConnection

from moorage_guard.config import GuardConfig

Tmux = Callable[..., str]


async def until(socket: ClientConnection, text: str) -> str:
    """What the terminal shows until it shows `text`."""
    seen = ""
    async with asyncio.timeout(10):
        while text not in seen:
            seen += json.loads(await socket.recv()).get("data", "")
    return seen


async def send(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def test_secrets_are_masked_for_those_who_watch_and_for_those_who_join(moorage_app: Server, tmux: Tmux) -> None:
    viewer = await moorage_app.as_user("viewer")
    async with viewer.connect("/ws/terminal/main") as socket:
        await until(socket, "\x1b")
        tmux("send-keys", "-t", "main", "-l", "one sk-abc\n")
        tmux("send-keys", "-t", "main", "-l", "two sk-xyz 3\n")
        assert "sk-" not in await until(socket, " 3")
    async with viewer.connect("/ws/terminal/main") as socket:
        seen = await until(socket, " 3")
        assert "one ******" in seen
        assert "sk-" not in seen
    shown = (await viewer.get("/api/sessions/main")).json()["windows"][0]["panes"][0]["content"]
    assert shown.rstrip() == "one ******\ntwo ****** 3"


@pytest.mark.parametrize("pieces", [["reboot\n"], [*"rebo", "xx\x7f\x7f", "ot now", "\n"], ["ok\nreboot\n"]])
async def test_a_forbidden_line_is_not_sent_off(moorage_app: Server, tmux: Tmux, pieces: list[str]) -> None:
    operator = await moorage_app.as_user("operator")
    async with operator.connect("/ws") as socket:
        for piece in pieces:
            await send(socket, type="sendKeys", sessionId="main", keys=piece)
        async with asyncio.timeout(10):
            while (message := json.loads(await socket.recv()))["type"] != "error":
                pass
        assert (message["code"], message["message"]) == ("INPUT_REFUSED", "This command is not allowed here")
        await send(socket, type="subscribe", sessionId="main")
        await send(socket, type="sendKeys", sessionId="main", keys="\x15uptime\n")
        assert "reboot" not in await until(socket, "uptime")


async def test_who_is_in_control_is_logged(moorage_app: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ann = await moorage_app.as_user("operator", name="ann")
    await ann.post("/api/sessions/main/claim")
    await ann.delete("/api/sessions/main/claim")
    await moorage_app.stop()
    first, second = [line for line in caplog.messages if "control changed" in line]
    assert "holder=ann" in first
    assert "reason=claimed" in first
    assert "holder=None" in second
    assert "reason=released" in second


@pytest.mark.parametrize("pattern", ["(", "", "a*"])
def test_a_pattern_that_cannot_work_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        GuardConfig(secrets=(pattern,))
