"""What goes wrong around terminals: tmux hangs, clients die, networks go silent, programs flood, disks are full."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from pathlib import Path

import httpx
import pytest
import websockets
from terminals import Client, connect, serving, session, token


def rss(pid):
    """Resident memory of a process, MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


async def echo(client, name, mark):
    """Seconds from a key to its echo."""
    before = time.perf_counter()
    await client.send(type="sendKeys", sessionId=name, keys=mark)
    await client.text(mark)
    return time.perf_counter() - before


async def subscribed(client, name):
    await client.send(type="subscribe", sessionId=name)
    await client.next("output", sessionId=name)
    return client


async def drain(client, seen=None):
    """Read all that comes; the messages that are no output are put into `seen`."""
    with contextlib.suppress(websockets.ConnectionClosed):
        async for text in client.connection:
            if seen is not None and not text.startswith('{"type":"output"'):
                seen.append(json.loads(text))


class Proxy:
    """A way to the server that can go silent: it takes what comes, as a kernel does, and passes on nothing."""

    def __init__(self, server):
        self.port, self.silent, self.writers = server.port, False, []

    async def __aenter__(self):
        self.listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self.listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.listener.close()
        for writer in self.writers:
            writer.close()

    async def _serve(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers += [writer, far_writer]
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))

    async def _pass(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not self.silent:
                    writer.write(data)
                    await writer.drain()


# -- tmux -------------------------------------------------------------------------------------------------------------


async def test_tmux_hangs_and_comes_back(tmux_server, tmp_path):
    tmux_server.cat("main")
    with serving(tmp_path, tmux_server, command_timeout=0.6) as server:
        await asyncio.to_thread(server.add_user, "ann")
        server.keys = {"ann": await asyncio.to_thread(token, server, "ann")}
        tmux_pid = int(tmux_server.run("display-message", "-p", "#{pid}"))
        async with (
            connect(server, "ann") as ann,
            connect(server, "ann", "/ws/terminal/main") as one,
            httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {server.keys['ann']}"}) as client,
        ):
            await subscribed(ann, "main")
            await one.next("output")
            await one.send(type="claim")
            await one.next("claimed")
            os.kill(tmux_pid, signal.SIGSTOP)
            try:
                for _ in range(3):  # Before, while and after the clients that hang are given up.
                    before = time.monotonic()
                    asked = [client.get("/api/sessions", timeout=10) for _ in range(10)]
                    asked += [client.get("/api/sessions/main", timeout=10), client.post("/api/sessions/main/claim")]
                    answers = await asyncio.gather(*asked)
                    assert {answer.status_code for answer in answers} == {503}
                    assert all("tmux" in answer.json()["message"] for answer in answers)
                    assert time.monotonic() - before < 4, "nobody waits after the others"
                await ann.send(type="sendKeys", sessionId="main", keys="lost?")
                assert (await ann.next("error"))["code"] == "TMUX_ERROR"
                await ann.send(type="subscribe", sessionId="main", pane="0")
                assert (await ann.next("error"))["code"] == "TMUX_ERROR"
                await asyncio.sleep(3)
            finally:
                os.kill(tmux_pid, signal.SIGCONT)
            await one.next("output", snapshot=True, timeout=15)
            await one.send(type="sendKeys", keys="again")
            await one.text("again")
            await ann.text("again")
            told = {message["type"] for message in (*ann.messages, *one.messages)}
            assert not told & {"released", "sessionDestroyed"}, "a server that hangs has not ended"
            answer = await client.get("/api/sessions/main")
            assert answer.json()["claim"]["userName"] == "ann"


async def test_our_control_client_is_killed(server, tmux, request):
    name = session(tmux, request)
    async with connect(server, "ann") as ann:
        await subscribed(ann, name)
        for line in tmux.run("list-clients", "-F", "#{client_pid}").split():
            os.kill(int(line), signal.SIGKILL)
        await ann.next("output", snapshot=True)
        await ann.send(type="sendKeys", sessionId=name, keys="goes on")
        await ann.text("goes on")


# -- clients ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["hypercorn", pytest.param("uvicorn", marks=pytest.mark.slow)])
async def test_the_network_of_a_holder_goes_silent(engine, tmux_server, tmp_path):
    tmux_server.cat("main")
    core = {"server": {"ws_ping_interval": 1.0, "engine": engine}}
    with serving(tmp_path, tmux_server, core=core, claim_grace_seconds=0.3) as server:
        await asyncio.to_thread(server.add_user, "ann")
        await asyncio.to_thread(server.add_user, "bob")
        server.keys = {who: await asyncio.to_thread(token, server, who) for who in ("ann", "bob")}
        headers = {"Authorization": f"Bearer {server.keys['ann']}"}
        async with (
            Proxy(server) as proxy,
            connect(server, "bob") as bob,
            websockets.connect(
                proxy.url + "/ws", additional_headers=headers, ping_interval=None, close_timeout=0.1
            ) as connection,
        ):
            ann = Client(connection)
            await subscribed(ann, "main")
            await ann.send(type="claim", sessionId="main")
            await bob.next("claimed")
            await subscribed(bob, "main")
            proxy.silent = True
            released = await bob.next("released", timeout=40)
            assert released["reason"] == "disconnected"
            await bob.send(type="sendKeys", sessionId="main", keys="free")
            await bob.text("free")
            present = await bob.next("presence")
            while len(present["users"]) > 1:
                present = await bob.next("presence")
