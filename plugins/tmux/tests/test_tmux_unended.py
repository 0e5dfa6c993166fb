"""Control strings that never end: tmux gives them up after five seconds, and viewers see what it shows then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import pytest
from moorage_tmux import pane
from moorage_tmux.watch import WatchSettings
from terminals import connect
from waits import WAIT

STRINGS = {"OSC": "]0;title", "DCS": "Pq", "APC": "_note", "PM": "^note", "SOS": "Xnote", "name": "kname"}


@pytest.fixture
async def watching(server, tmux, request):
    """One who types, and one who watches, a session that shows what is typed."""
    name = f"unended-{request.node.name.partition('[')[2] or '-'}"
    tmux.cat(name)
    async with connect(server, "ann") as ann, connect(server, "vic") as vic:
        for client in (ann, vic):
            await client.send(type="subscribe", sessionId=name)
            await client.next("output", snapshot=True)

        async def type_keys(keys):
            await ann.send(type="sendKeys", sessionId=name, keys=keys, raw=True)

        yield name, type_keys, vic


@pytest.mark.parametrize("kind", STRINGS)
async def test_a_string_without_end_is_given_up_as_tmux_does(kind, watching, server, tmux):
    name, type_keys, vic = watching
    await type_keys("\x1b[31mred\x1b" + STRINGS[kind])
    # Nothing comes after it, and yet the screen does, as soon as tmux shows again what is written.
    shot = await vic.next("output", snapshot=True)
    assert "red" in shot["data"]
    assert "note" not in shot["data"]
    await type_keys("plain")
    stream = shot["data"] + await vic.text("plain")
    drawn = await asyncio.to_thread(tmux.emulate, stream, cols=80, rows=24)
    assert tmux.capture(drawn, "-e") == tmux.capture(name, "-e"), "and as plain as tmux shows it"
    async with connect(server, "vic") as late:
        await late.send(type="subscribe", sessionId=name)
        await late.text("plain")
        # tmux still calls the string pending, which it is not.
        await type_keys(" and more")
        await late.text("and more")
        assert not [message for message in late.messages if message.get("snapshot")][1:]


async def test_a_program_that_goes_on_in_a_string(watching, server, tmux):
    _, type_keys, vic = watching
    await type_keys("\x1bPq")

    async def ticking():
        while True:
            await type_keys("tick\x1b[1m\r\n")
            await asyncio.sleep(0.05)

    ticker = asyncio.create_task(ticking())
    await vic.text("tick")
    ticker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await ticker


async def test_a_tmux_that_hangs_meanwhile_loses_no_viewer(engine_class, tmux_server, fake_socket, monkeypatch):
    monkeypatch.setattr(pane, "GIVEN_UP", 1.0)
    tmux_server.cat("main")
    pid = int(tmux_server.run("display-message", "-p", "#{pid}"))
    engine = engine_class(tmux_server.tmux, WatchSettings(timeout=0.5))
    socket = fake_socket()
    try:
        watch = (await engine.subscribe("main", socket)).watch
        await socket.until(lambda messages: messages)
        client = watch.client
        tmux_server.run("send-keys", "-t", "main", "-l", "here\x1b]0;open")
        await socket.until_text("here")
        os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(WAIT):
                while client.alive:
                    await asyncio.sleep(0.02)
        finally:
            os.kill(pid, signal.SIGCONT)
        before = len(socket.messages)
        await socket.until(lambda messages: messages[before:])
        assert not engine.lost
    finally:
        await engine.close()


async def test_who_joins_while_megabytes_are_pending(engine, tmux_server, fake_socket):
    """tmux keeps all of an open string, and tells it in one line."""
    filled = tmux_server.signal("filled")
    tmux_server.new("main", f"stty raw -echo; printf 'A\\033P'; head -c 6000000 /dev/zero; {filled}; exec sleep 1000")
    await tmux_server.wait("filled")
    socket = fake_socket()
    await engine.subscribe("main", socket)

    def screens(messages):
        return [message["data"] for message in messages if message.get("snapshot")]

    assert "A" in (await socket.until(screens))[0]
    await socket.until(lambda messages: screens(messages)[1:])  # For it was given up.
