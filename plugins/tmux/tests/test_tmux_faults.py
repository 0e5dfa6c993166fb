"""What goes wrong around terminals: tmux hangs, clients die, networks go silent, programs flood, disks are full."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sqlite3
import sys
import time
from pathlib import Path

import httpx
import pytest
import websockets
from moorage_tmux import keys, unread
from moorage_tmux.tmux import TmuxError
from moorage_tmux.watch import WatchSettings
from terminals import Client, api, connect, serving, session, token
from waits import WAIT


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
            await one.next("output", snapshot=True, timeout=WAIT)
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


async def test_a_program_that_does_not_read(engine, tmux_server):
    engine = type(engine)(tmux_server.tmux, WatchSettings(timeout=0.5))
    pane, reading = tmux_server.new("deaf", "stty raw -echo; exec sleep 1000"), tmux_server.cat("reading")
    tmux_pid = int(tmux_server.run("display-message", "-p", "#{pid}"))
    try:
        deaf, other = await engine.watch("deaf"), await engine.watch("reading")
        before = rss(tmux_pid)
        pasting = asyncio.create_task(keys.type_into(deaf, pane, "line\r" * 400_000))
        await keys.type_into(other, reading, "x" * 400_000)  # As long as it reads, as much as one likes.
        assert not pasting.done(), "nobody else waits"
        with pytest.raises(TmuxError, match="does not read"):
            await pasting
        started = time.monotonic()
        for _ in range(300):
            with contextlib.suppress(TmuxError):
                await keys.type_into(deaf, pane, "x" * 256)
        assert time.monotonic() - started < 10, "one that is known not to read is not waited for"
        assert rss(tmux_pid) - before < 2, "tmux keeps little of it"
        tmux_server.run("respawn-pane", "-k", "-t", pane, f"stty raw -echo; {tmux_server.signal('up')}; exec cat")
        await tmux_server.wait("up")
        await keys.type_into(deaf, pane, "hello")
        while "hello" not in tmux_server.capture(pane)[0]:
            await asyncio.sleep(0.02)
    finally:
        await engine.close()


# -- clients ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["hypercorn", "uvicorn"])
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


async def asked_until_told(client, name, line, text):
    """Type a line until it has an answer: of a string that random bytes opened, tmux itself shows nothing for 5 s."""

    async def asking():
        while True:
            await client.send(type="sendKeys", sessionId=name, keys=line)
            await asyncio.sleep(1.5)

    task = asyncio.create_task(asking())
    try:
        await client.text(text)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_floods_in_one_session_and_work_in_another(server, tmux, request):
    flood, other = session(tmux, request, "PS1='$ ' exec sh"), f"{request.node.name}-other"
    tmux.cat(other)
    async with connect(server, "ann") as ann, connect(server, "bob") as bob, connect(server, "vic") as stuck:
        await subscribed(ann, flood)
        await subscribed(stuck, flood)
        await subscribed(bob, other)
        stuck.connection.transport.pause_reading()
        for command in ("yes $(seq 1 40)", "cat /dev/urandom"):
            await ann.send(type="sendKeys", sessionId=flood, keys=command + "\n")
            reading = asyncio.create_task(drain(ann))
            times = [await echo(bob, other, f"<{number}>") for number in range(25)]
            reading.cancel()
            await asyncio.wait([reading])
            assert sorted(times)[len(times) // 2] < 0.5, f"others type: {sorted(times)[-1]:.3f} s at worst"
            before = time.perf_counter()
            await ann.send(type="sendKeys", sessionId=flood, keys="\x03")
            await asked_until_told(ann, flood, "reset; stty sane; echo do'ne'\n", "done")
            assert time.perf_counter() - before < 14, "Ctrl-C is obeyed"
        stuck.connection.transport.resume_reading()
        await ann.send(type="sendKeys", sessionId=flood, keys="echo the'end'\n")
        await stuck.text("theend")


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.slow)])
async def test_many_viewers_on_one_session(count, server, tmux, request):
    name = session(tmux, request, "PS1='$ ' exec sh")
    users = ("ann", "bob", "vic", "ada")
    async with contextlib.AsyncExitStack() as stack, connect(server, "ann") as driver:
        await subscribed(driver, name)
        before = rss(server.process.pid)

        async def join(number):
            viewer = await stack.enter_async_context(connect(server, users[number % 4], f"/ws/terminal/{name}"))
            await viewer.next("output", timeout=60)
            return viewer

        viewers = []
        for start in range(0, count, 50):
            viewers += await asyncio.gather(*map(join, range(start, min(count, start + 50))))
        stuck, readers = viewers[:4], viewers[4:]
        for viewer in stuck:
            viewer.connection.transport.pause_reading()

        async def until(viewer, text):
            seen = ""
            while text not in seen:
                seen = seen[-100:] + (await viewer.next("output", timeout=60))["data"]

        for command, text in (("echo a'few'", "afew"), ("seq 1 40000; echo the'end'", "theend")):
            waiting = [asyncio.create_task(until(viewer, text)) for viewer in readers]
            await driver.send(type="sendKeys", sessionId=name, keys=command + "\n")
            await asyncio.gather(*waiting)
        assert rss(server.process.pid) - before < 40 + 3 * len(stuck) + 0.25 * count, "MiB"
        for viewer in stuck:
            viewer.connection.transport.resume_reading()
            await until(viewer, "theend")
        with api(server, "vic") as client:
            one = (await asyncio.to_thread(client.get, f"/api/sessions/{name}")).json()
        assert {viewer["name"] for viewer in one["viewers"]} == set(users)


@pytest.mark.parametrize("count", [250, pytest.param(1000, marks=pytest.mark.slow)])
async def test_megabytes_of_keys(count, server, tmux, request):
    name, other = session(tmux, request, "stty raw -echo; exec cat > /dev/null"), f"{request.node.name}-other"
    tmux.cat(other)
    tmux_pid = int(tmux.run("display-message", "-p", "#{pid}"))
    async with connect(server, "ann") as ann, connect(server, "bob") as bob:
        await subscribed(ann, name)
        await subscribed(bob, other)
        quiet = sorted([await echo(bob, other, f"[{number}]") for number in range(9)])[4]
        before = rss(server.process.pid), rss(tmux_pid)
        text = json.dumps({"type": "sendKeys", "sessionId": name, "keys": "x" * 10_000})

        async def send():
            for _ in range(count):
                await ann.connection.send(text)

        sending, times = asyncio.create_task(send()), []
        while not sending.done():
            times.append(await echo(bob, other, f"<{len(times)}>"))
        await sending
        assert (await ann.next("error"))["code"] == "RATE_LIMITED"
        assert sorted(times)[len(times) // 2] < 0.2 + 3 * quiet, "bob does not notice, as far as the machine goes"
        grown = rss(server.process.pid) - before[0], rss(tmux_pid) - before[1]
        assert grown[0] < 40, "MiB of the server"
        assert grown[1] < 10, "MiB of tmux"


def resources(server, tmux):
    """What sockets and viewers take: open files and control clients of the server."""
    return len(os.listdir(f"/proc/{server.process.pid}/fd")), len(tmux.clients())


@pytest.mark.parametrize("count", [30, pytest.param(190, marks=pytest.mark.slow)])
async def test_sockets_that_come_and_go_leave_nothing(count, server, tmux, request):
    names = [f"come-and-go-{count}-{number}" for number in range(5)]
    for name in names:
        tmux.new(name)

    async def visit(number):
        path = f"/ws/terminal/{names[number % 5]}" if number % 2 else "/ws"
        with contextlib.suppress(websockets.ConnectionClosed, websockets.InvalidHandshake):
            async with connect(server, "ann", path) as client:
                if number % 3 == 0:
                    client.connection.transport.abort()
                    return
                if not number % 2:
                    for name in names:
                        await client.send(type="subscribe", sessionId=name)
                        await client.send(type="subscribe", sessionId=name, pane="0")
                        await client.send(type="unsubscribe", sessionId=name)
                if number % 4 == 0:
                    await client.next("output")

    with api(server, "ann") as client:
        await asyncio.gather(*map(visit, range(10)))
        await nobody_left(client, names)
        before = resources(server, tmux)
        await asyncio.gather(*map(visit, range(count)))
        await nobody_left(client, names)
    async with asyncio.timeout(WAIT):
        while (after := resources(server, tmux)) > before:
            await asyncio.sleep(0.1)
    assert after <= before


async def nobody_left(client, names):
    """Until no session has viewers."""
    async with asyncio.timeout(WAIT):
        while True:
            sessions = (await asyncio.to_thread(client.get, "/api/sessions")).json()["sessions"]
            if not any(entry["viewers"] for entry in sessions if entry["id"] in names):
                return
            await asyncio.sleep(0.1)


async def test_64_subscriptions_and_no_more(server, tmux, request):
    name = session(tmux, request)
    for _ in range(15):
        tmux.run("new-window", "-d", "-t", f"{name}:", "exec cat")
    for window in range(16):
        for _ in range(4):
            tmux.run("split-window", "-d", "-t", f"{name}:{window}", "exec cat", check=False)
            tmux.run("select-layout", "-t", f"{name}:{window}", "tiled")
    panes = tmux.run("list-panes", "-s", "-t", f"{name}:", "-F", "#{pane_id}").split()
    assert len(panes) >= 65
    async with connect(server, "ann") as ann:
        for pane in panes[:65]:
            await ann.send(type="subscribe", sessionId=name, pane=pane)
        assert (await ann.next("error"))["code"] == "TOO_MANY_SUBSCRIPTIONS"
        while len({message["pane"] for message in ann.messages if message["type"] == "output"}) < 64:
            await ann.next("output")
        await ann.send(type="unsubscribe", sessionId=name)
        await ann.send(type="subscribe", sessionId=name, pane=panes[64])
        await ann.next("output", pane=panes[64])


# -- rights -----------------------------------------------------------------------------------------------------------


async def test_who_is_deleted_or_revoked_is_out_at_once(server, tmux, request):
    name = session(tmux, request)
    for who in ("tom", "tim"):
        await asyncio.to_thread(server.add_user, who, "operator")
        server.keys[who] = await asyncio.to_thread(token, server, who)
    async with connect(server, "bob") as bob:
        await subscribed(bob, name)
        for who, command in (("tom", ("users", "delete", "tom", "--yes")), ("tim", None)):
            async with connect(server, who, f"/ws/terminal/{name}") as one, connect(server, who) as two:
                await one.next("output")
                await one.send(type="claim")
                await bob.next("claimed")
                if command is None:
                    with api(server, who) as client:
                        assert (await asyncio.to_thread(client.post, "/auth/logout")).status_code == 200
                else:
                    done = await asyncio.to_thread(server.cli, *command)
                    assert done.returncode == 0, done.stderr
                assert await one.closed() == 4001
                assert await two.closed() == 4001
            if command is None:
                with api(server, "ada") as ada:  # The user is still there, so the grace is theirs.
                    path = f"/api/sessions/{name}/claim"
                    assert (await asyncio.to_thread(ada.delete, path)).status_code == 200
                await bob.next("released", reason="released")
            else:
                await bob.next("released", reason="withdrawn")


async def test_a_claim_made_by_http_goes_with_the_role(server, tmux, request):
    name = session(tmux, request)
    await asyncio.to_thread(server.add_user, "kim", "operator")
    server.keys["kim"] = await asyncio.to_thread(token, server, "kim")
    async with connect(server, "bob") as bob:
        with api(server, "kim") as kim:
            assert (await asyncio.to_thread(kim.post, f"/api/sessions/{name}/claim")).status_code == 200
        await bob.next("claimed", sessionId=name)
        await asyncio.to_thread(server.cli, "users", "set-role", "kim", "viewer")
        assert (await bob.next("released", sessionId=name))["reason"] == "withdrawn"


UP_TO_A_STOP = """
import os
size = 0
while not (data := os.read(0, 65536)).endswith(b"."):
    size += len(data)
print("read", size + len(data) - 1)
"""
"""Says how much came before a full stop."""


async def test_a_paste_ends_where_the_claim_does(server, tmux, request):
    reader = tmux.folder / "reader.py"
    reader.write_text(UP_TO_A_STOP)
    waits = f"tmux -L {tmux.name} wait-for read"
    command = f"stty raw -echo; printf ready; {waits}; {sys.executable} {reader}; exec sleep 1000"
    name = session(tmux, request, command)
    async with connect(server, "ann") as ann, connect(server, "ada") as ada:
        await ann.send(type="subscribe", sessionId=name)
        await ann.text("ready")
        await ann.send(type="claim", sessionId=name)
        await ada.next("claimed")
        await ann.send(type="sendKeys", sessionId=name, keys="x" * 900_000)
        # Or ada could be the first of the two.
        tty = tmux.run("display-message", "-p", "-t", name, "#{pane_tty}").strip()
        async with asyncio.timeout(WAIT):
            while not unread.waiting(tty):
                await asyncio.sleep(0.01)
        await ada.send(type="claim", sessionId=name)
        await ada.next("released", reason="overridden")
        tmux.run("wait-for", "-S", "read")
        assert (await ann.next("error"))["code"] == "CLAIM_REQUIRED"
        # What ann could still send is before it.
        await ada.send(type="sendKeys", sessionId=name, keys=".")
        said = re.search(r"read (\d+)", await ann.text("\n"))
        assert 0 < int(said[1]) < 900_000


# -- the database -----------------------------------------------------------------------------------------------------


async def test_a_claim_that_cannot_be_stored_does_not_hold(tmux_server, tmp_path):
    tmux_server.cat("main")
    with serving(tmp_path, tmux_server) as server:
        await asyncio.to_thread(server.add_user, "ann")
        server.keys = {"ann": await asyncio.to_thread(token, server, "ann")}

        def trigger(statement):
            with contextlib.closing(sqlite3.connect(f"{server.data_dir}/moorage.db", timeout=WAIT)) as database:
                database.execute(statement)
                database.commit()

        def refuse(event):
            return f"CREATE TRIGGER full_{event} BEFORE {event} ON tmux_claims BEGIN SELECT RAISE(FAIL, 'full'); END"

        async with connect(server, "ann") as ann, connect(server, "ann", "/ws/terminal/main") as one:
            await subscribed(ann, "main")
            trigger(refuse("INSERT"))
            await ann.send(type="claim", sessionId="main")
            refused = await ann.next("error")
            assert refused["code"] == "STORE_ERROR"
            assert "released" in {message["type"] for message in ann.messages}
            await ann.send(type="sendKeys", sessionId="main", keys="unclaimed")
            await one.text("unclaimed")
            trigger("DROP TRIGGER full_INSERT")
            await ann.send(type="claim", sessionId="main")
            await ann.next("claimed")
            await ann.send(type="listSessions")
            assert (await ann.next("sessions"))["sessions"][0]["claim"]["userName"] == "ann"
            # What cannot be deleted now is deleted later: it must not come back with a restart.
            trigger(refuse("DELETE"))
            await ann.send(type="release", sessionId="main")
            assert (await ann.next("error"))["code"] == "STORE_ERROR"
            trigger("DROP TRIGGER full_DELETE")
            async with asyncio.timeout(WAIT):
                while stored(server):
                    await asyncio.sleep(0.1)


@pytest.mark.slow
def test_claims_of_another_tmux_are_left_alone(tmux_server, tmp_path):
    tmux_server.new("main")
    with serving(tmp_path, tmux_server) as server:
        server.add_user("ann")
        server.keys = {"ann": token(server, "ann")}
        with api(server, "ann") as client:
            made = client.post("/api/sessions/main/claim").json()["claim"]
        server.kill()
        mine = dict(server.config["plugins"]["tmux"])
        for name in ("another", mine["socket_name"]):
            server.write_config({"plugins": {"tmux": mine | {"socket_name": name}}})
            server.start()
            with api(server, "ann") as client:
                listed = {entry["id"]: entry["claim"] for entry in client.get("/api/sessions").json()["sessions"]}
            server.stop()
        assert listed["main"]["expiresAt"] == made["expiresAt"]


def stored(server):
    """The rows of the table of claims."""
    with contextlib.closing(sqlite3.connect(f"file:{server.data_dir}/moorage.db?mode=ro", uri=True)) as database:
        return database.execute("SELECT session_name FROM tmux_claims").fetchall()
