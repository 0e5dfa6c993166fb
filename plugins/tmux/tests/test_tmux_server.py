"""The contract of `api/chrote.md` through a real `moorage serve` over a real tmux."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import sqlite3
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import websockets
from harness import Server

ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
ROLES = {"ann": "operator", "bob": "operator", "vic": "viewer", "ada": "admin"}


@pytest.fixture(scope="module")
def tmux(tmux_servers):
    folder = Path(tempfile.mkdtemp(prefix="mt"))
    server = tmux_servers(folder)
    yield server
    server.run("kill-server", check=False)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def serving(folder, tmux, database="sqlite://moorage.db", **options):
    config = {
        "database": {"url": database},
        "limits": {"enabled": False},
        "plugins": {"tmux": {"enabled": True, "required": True, "mount": ["/"], "socket_name": tmux.name, **options}},
    }
    server = Server(folder, config, env={"TMUX_TMPDIR": str(tmux.folder)})
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def server(tmux, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("tmux-server"), tmux, linger_seconds=1) as server:
        with ThreadPoolExecutor(len(ROLES)) as pool:
            list(pool.map(server.add_user, ROLES, ROLES.values()))
        server.keys = {name: token(server, name) for name in ROLES}
        yield server


def token(server, name):
    """A token of a fresh login."""
    answer = httpx.post(f"{server.url}/api/auth/login", json={"username": name, "password": "correct horse battery"})
    return answer.json()["token"]


def session(tmux, request, command=None):
    """A session of the test's own, which shows what is typed unless it has another program."""
    name = request.node.name.removeprefix("test_")[:40].replace("[", "-").replace("]", "")
    tmux.new(name, command) if command else tmux.cat(name)
    return name


def api(server, who):
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.keys[who]}"}, timeout=20)


def ids(server):
    with contextlib.ExitStack() as stack:
        return {who: stack.enter_context(api(server, who)).get("/auth/me").json()["id"] for who in ROLES}


class Client:
    """One WebSocket and what came on it."""

    def __init__(self, connection):
        self.connection, self.messages = connection, []

    async def send(self, *texts, **message):
        await self.connection.send(texts[0] if texts else json.dumps(message))

    async def next(self, kind=None, timeout=10, **wanted):
        """The next message of that kind with these values; the others are kept in `messages`."""
        async with asyncio.timeout(timeout):
            while True:
                message = json.loads(await self.connection.recv())
                self.messages.append(message)
                if kind in (None, message["type"]) and wanted.items() <= message.items():
                    return message

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
        async with asyncio.timeout(10):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    self.messages.append(json.loads(await self.connection.recv()))
        return self.connection.close_code


@contextlib.asynccontextmanager
async def connect(server, who, path="/ws"):
    headers = {"Authorization": f"Bearer {server.keys[who]}"} if who else {}
    async with websockets.connect(server.ws_url + path, additional_headers=headers, max_size=None) as connection:
        yield Client(connection)


# -- HTTP ---------------------------------------------------------------------------------------------------------


def test_the_list_and_one_session(server, tmux, request):
    name = session(tmux, request, "printf 'hello\\n  there'; exec sleep 1000")
    tmux.run("split-window", "-t", f"{name}:", "exec sleep 1000")
    tmux.run("new-window", "-d", "-n", "logs", "-t", f"{name}:", "exec sleep 1000")
    with api(server, "vic") as client:
        entry = next(e for e in client.get("/api/sessions").json()["sessions"] if e["name"] == name)
        assert {"id": name, "windows": 2, "attached": False, "claim": None}.items() <= entry.items()
        assert ISO.match(entry["created"])
        one = client.get(f"/api/sessions/{name}").json()
    assert (one["id"], one["viewers"], one["claim"]) == (name, [], None)
    assert [(w["index"], w["name"] == "logs", w["active"]) for w in one["windows"]] == [
        (0, False, True),
        (1, True, False),
    ]
    panes = one["windows"][0]["panes"]
    assert [pane["index"] for pane in panes] == [0, 1]
    assert panes[0]["content"] == "hello\n  there"
    assert (panes[0]["width"], panes[0]["height"] < 24) == (80, True)


@pytest.mark.parametrize("name", ["with space", "emoji \U0001f600", "per%cent", "it's", "a/b", "$dollar", "%1"])
def test_names_in_paths(server, tmux, name):
    tmux.new(name)
    with api(server, "ann") as client:
        path = "/api/sessions/" + httpx.QueryParams({"n": name})["n"].encode().hex(" ").replace(" ", "%").join(
            ("%", "")
        )
        assert client.get(path).status_code == 200
        claimed = client.post(path + "/claim")
        assert claimed.status_code == 200
        assert client.delete(path + "/claim").json()["success"] is True
    tmux.run("kill-session", "-t", "=" + claimed.json()["claim"]["sessionId"].replace("\\", ""), check=False)


def test_refusals_over_http(server, tmux, request):
    name = session(tmux, request)
    with httpx.Client(base_url=server.url) as nobody:
        answer = nobody.get("/api/sessions")
        assert (answer.status_code, answer.json()["error"]) == (401, "UNAUTHORIZED")
    with api(server, "vic") as viewer:
        missing = viewer.get("/api/sessions/nope")
        assert (missing.status_code, missing.json()["error"]) == (404, "NOT_FOUND")
        assert viewer.get("/api/sessions/nope;kill-server").status_code == 404
        answer = viewer.post(f"/api/sessions/{name}/claim")
        assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN")
        wanted = {"required": "operator", "current": "viewer", "action": "claim"}
        assert wanted.items() <= answer.json()["details"].items()
        assert viewer.put(f"/api/sessions/{name}").status_code == 405
    with api(server, "ann") as operator:
        assert operator.post("/api/sessions/nope/claim").status_code == 404
        answer = operator.delete(f"/api/sessions/{name}/claim")
        assert (answer.status_code, answer.json()["details"]["code"]) == (404, "NOT_CLAIMED")


def test_claims_over_http(server, tmux, request):
    name, who = session(tmux, request), ids(server)
    path = f"/api/sessions/{name}/claim"
    with api(server, "ann") as ann, api(server, "bob") as bob, api(server, "ada") as ada:
        first = ann.post(path).json()
        assert first["success"] is True
        assert (first["claim"]["sessionId"], first["claim"]["userId"]) == (name, who["ann"])
        assert ISO.match(first["claim"]["expiresAt"])
        again = ann.post(path).json()["claim"]
        assert again["expiresAt"] > first["claim"]["expiresAt"], "one's own claim is renewed"
        refused = bob.post(path)
        assert refused.status_code == 403
        assert {
            "error": "FORBIDDEN",
            "message": "Session is claimed by another user",
            "claimedBy": who["ann"],
            "expiresAt": again["expiresAt"],
        }.items() <= refused.json().items()
        assert refused.json()["details"]["code"] == "ALREADY_CLAIMED"
        assert bob.delete(path).status_code == 403
        entry = next(e for e in bob.get("/api/sessions").json()["sessions"] if e["id"] == name)
        assert {"userId": who["ann"], "userName": "ann", "expiresAt": again["expiresAt"]}.items() <= entry[
            "claim"
        ].items()
        assert ada.post(path).json()["claim"]["userId"] == who["ada"], "an admin takes over"
        assert ann.delete(path).status_code == 403
        assert ada.delete(path).json()["success"] is True
        assert bob.post(path).status_code == 200
        assert ada.delete(path).status_code == 200, "an admin releases"


# -- /ws/terminal/{id} ----------------------------------------------------------------------------------------------


async def test_a_terminal(server, tmux, request):
    name = session(tmux, request)
    who = await asyncio.to_thread(ids, server)
    async with connect(server, "ann", f"/ws/terminal/{name}") as ann:
        hello = await ann.next()
        assert {
            "type": "connected",
            "sessionId": name,
            "userId": who["ann"],
            "role": "operator",
        }.items() <= hello.items()
        screen = await ann.next()
        assert (screen["type"], screen["sessionId"], screen["pane"], screen["cols"]) == ("output", name, "0", 80)
        assert ISO.match(screen["timestamp"])
        await ann.send(type="sendKeys", keys="x")
        refused = await ann.next("error")
        assert (refused["code"], refused["message"]) == (
            "NOT_CLAIMED",
            "You must claim the session before sending keys",
        )
        with api(server, "ann") as client:
            await asyncio.to_thread(client.post, f"/api/sessions/{name}/claim")
        assert (await ann.next("claimed"))["by"] == {"id": who["ann"], "name": "ann"}
        await ann.send(type="sendKeys", keys="größe 漢字\n", pane="0")
        assert await ann.text("\r") == "größe 漢字\r"
        await ann.send(type="sendKeys", keys="a\nb", raw=True)
        assert await ann.text("b") == "a\nb"
        await ann.send(type="heartbeat")
        await ann.send(type="sendKeys", keys="x", pane="7")
        assert (await ann.next("error"))["code"] == "SESSION_NOT_FOUND"
        async with connect(server, "vic", f"/ws/terminal/{name}?pane=0") as vic:
            assert (await vic.next())["claim"]["userId"] == who["ann"]
            await vic.next("output", snapshot=True)
            await vic.send(type="sendKeys", keys="x")
            refused = await vic.next("error")
            assert (refused["code"], refused["message"]) == ("NOT_OPERATOR", "Only operators can send keys")
            present = await ann.next("presence")
            while len(present["users"]) < 2:
                present = await ann.next("presence")
            assert {(u["name"], u["status"]) for u in present["users"]} == {("ann", "controlling"), ("vic", "viewing")}
        while len((await ann.next("presence"))["users"]) > 1:
            pass


@pytest.mark.parametrize(
    ("path", "who", "code"),
    [("/ws/terminal/nope", "vic", 4004), ("/ws/terminal/nope", None, 4001), ("/ws", None, 4001)],
)
async def test_closed_at_the_door(server, path, who, code):
    async with connect(server, who, path) as client:
        assert await client.closed() == code
        if code == 4004:
            assert client.messages[0]["code"] == "SESSION_NOT_FOUND"


async def test_a_pane_that_does_not_exist(server, tmux, request):
    name = session(tmux, request)
    async with connect(server, "vic", f"/ws/terminal/{name}?pane=9") as client:
        assert await client.closed() == 4004


async def test_the_session_ends(server, tmux, request):
    name = session(tmux, request)
    async with connect(server, "vic", f"/ws/terminal/{name}") as client, connect(server, "vic") as main:
        await client.next("output")
        await main.send(type="subscribe", sessionId=name)
        await main.next("output")
        tmux.run("kill-session", "-t", name)
        assert await client.closed() == 4004
        await main.until(("error", "SESSION_NOT_FOUND"), ("sessionDestroyed", None))


async def test_bad_messages(server, tmux, request):
    name = session(tmux, request)
    bad = ["", "x", "{", "null", "[]", "7", '"x"', b"\x00\xff", "[" * 5000, '{"a":' * 200 + "1" + "}" * 200, "NaN"]
    async with connect(server, "ann", f"/ws/terminal/{name}") as ann:
        for text in bad:
            await ann.send(text)
            assert (await ann.next("error"))["code"] == "INVALID_MESSAGE", text
        for message in ({}, {"type": None}, {"type": []}, {"type": "reboot"}, {"type": "subscribe", "sessionId": name}):
            await ann.send(**message)
            assert (await ann.next("error"))["code"] == "UNKNOWN_TYPE", message
        with api(server, "ann") as client:
            await asyncio.to_thread(client.post, f"/api/sessions/{name}/claim")
        wrong = [{}, {"keys": None}, {"keys": ""}, {"keys": 5}, {"keys": ["x"]}, {"keys": "x", "raw": 1}]
        wrong += [{"keys": "x", "pane": {}}, {"keys": "x", "pane": True}]
        for message in wrong:
            await ann.send(type="sendKeys", **message)
            assert (await ann.next("error"))["code"] == "INVALID_MESSAGE", message
        await ann.send('{"type":"sendKeys","keys":"\\ud800"}')
        assert (await ann.next("error"))["code"] == "INVALID_MESSAGE"
        await ann.send(type="sendKeys", keys="still here")
        await ann.text("still here")
    async with connect(server, "ann") as main:
        await main.next("sessions")
        for kind in ("subscribe", "unsubscribe", "sendKeys", "claim", "release"):
            for value in (None, 5, "", [], {}):
                await main.send(type=kind, sessionId=value, keys="x")
                assert (await main.next("error"))["code"] == "INVALID_MESSAGE", (kind, value)
        await main.send(type="subscribe", sessionId=name, since="x")
        assert (await main.next("error"))["code"] == "INVALID_MESSAGE"
        for kind in ("subscribe", "sendKeys", "claim", "release"):
            await main.send(type=kind, sessionId="nope", keys="x")
            refused = await main.next("error")
            assert (refused["code"], refused["sessionId"]) == ("SESSION_NOT_FOUND", "nope")


async def test_a_large_paste(server, tmux, request):
    target = tmux.folder / "pasted"
    text = "a line of a large paste \U0001f600\r" * 30_000
    size = len(text.encode())
    command = f"stty raw -echo; printf ready; head -c {size} > {target}; printf 'got%s' all; exec sleep 1000"
    name = session(tmux, request, command)
    async with connect(server, "ann") as ann:
        await ann.send(type="subscribe", sessionId=name)
        await ann.text("ready")
        await ann.send(json.dumps({"type": "sendKeys", "sessionId": name, "keys": text}, ensure_ascii=False))
        await ann.text("gotall")
    assert target.read_bytes() == text.encode()


async def test_come_back_where_one_left(server, tmux, request):
    name = session(tmux, request)
    async with connect(server, "vic", f"/ws/terminal/{name}") as first:
        await first.next("output")
        tmux.run("send-keys", "-t", name, "-l", "one")
        seq = (await first.next("output"))["seq"]
    tmux.run("send-keys", "-t", name, "-l", "two")
    async with connect(server, "vic", f"/ws/terminal/{name}?since={seq}") as again:
        came = ""
        while came != "two":  # tmux may not have told of it yet when the socket was opened.
            message = await again.next("output")
            assert message.get("snapshot") is None
            came += message["data"]
            assert "two".startswith(came)
        seq = message["seq"]
    async with connect(server, "vic") as main:
        await main.send(type="subscribe", sessionId=name, since=seq)
        assert (await main.next("output"))["data"] == ""
        await main.send(type="subscribe", sessionId=name, since=seq - 3)
        assert (await main.next("output"))["data"] == "two"
    for since in ("1", "x", "-1", "9" * 30, ""):
        async with connect(server, "vic", f"/ws/terminal/{name}?since={since}") as lost:
            assert (await lost.next("output"))["snapshot"] is True


# -- /ws --------------------------------------------------------------------------------------------------------------


async def test_everything_on_one_socket(server, tmux, request):
    name = session(tmux, request)
    who = await asyncio.to_thread(ids, server)
    async with connect(server, "ann") as ann, connect(server, "bob") as bob, connect(server, "ada") as ada:
        assert {"type": "connected", "userId": who["ann"], "role": "operator"}.items() <= (await ann.next()).items()
        assert name in {entry["id"] for entry in (await ann.next())["sessions"]}
        for client in (ann, bob):
            await client.send(type="subscribe", sessionId=name)
            assert (await client.next("output"))["sessionId"] == name
        present = await ann.next("presence", sessionId=name)
        while len(present["users"]) < 2:
            present = await ann.next("presence", sessionId=name)
        assert {(user["id"], user["name"]) for user in present["users"]} == {(who["ann"], "ann"), (who["bob"], "bob")}

        await bob.send(type="sendKeys", sessionId=name, keys="unclaimed\n")
        await ann.text("unclaimed\r")

        await ann.send(type="claim", sessionId=name)
        for client in (ann, bob, ada):
            claimed = await client.next("claimed", sessionId=name)
            assert claimed["by"] == {"id": who["ann"], "name": "ann"}
            assert ISO.match(claimed["expiresAt"])
        await bob.send(type="sendKeys", sessionId=name, keys="x")
        refused = await bob.next("error")
        assert (refused["code"], refused["claimedBy"]) == ("CLAIM_REQUIRED", who["ann"])
        await bob.send(type="claim", sessionId=name)
        assert (await bob.next("error"))["code"] == "CLAIM_REQUIRED"
        await bob.send(type="release", sessionId=name)
        assert (await bob.next("error"))["code"] == "FORBIDDEN"
        await ann.send(type="sendKeys", sessionId=name, keys="mine")
        await bob.text("mine")

        await ada.send(type="claim", sessionId=name)
        assert await ann.next("released", sessionId=name)
        assert (await ann.next("claimed", sessionId=name))["by"]["id"] == who["ada"]
        await ann.send(type="sendKeys", sessionId=name, keys="x")
        assert (await ann.next("error"))["code"] == "CLAIM_REQUIRED"
        await ada.send(type="release", sessionId=name)
        assert await bob.next("released", sessionId=name)
        await ada.send(type="release", sessionId=name)
        assert (await ada.next("error"))["code"] == "NOT_CLAIMED"

        await bob.send(type="unsubscribe", sessionId=name)
        while len((await ann.next("presence", sessionId=name))["users"]) > 1:
            pass
        await bob.send(type="listSessions")
        await bob.next("sessions")
        await ann.send(type="sendKeys", sessionId=name, keys="not for bob")
        await ann.text("not for bob")
        await bob.send(type="listSessions")
        await bob.next("sessions")
        assert not any("not for bob" in message.get("data", "") for message in bob.messages)


async def test_a_viewer_on_the_main_socket(server, tmux, request):
    name = session(tmux, request)
    async with connect(server, "vic") as vic:
        await vic.send(type="sendKeys", sessionId=name, keys="x")
        refused = await vic.next("error")
        assert (refused["code"], refused["message"]) == ("FORBIDDEN", "Viewers cannot send keys")
        await vic.send(type="claim", sessionId=name)
        assert (await vic.next("error"))["code"] == "FORBIDDEN"


async def test_sessions_come_and_go(server, tmux, request):
    name = request.node.name
    async with connect(server, "vic") as vic:
        await vic.next("sessions")
        tmux.new(name)
        created = await vic.next("sessionCreated")
        assert created["session"]["id"] == name
        assert name in {entry["id"] for entry in (await vic.next("sessions"))["sessions"]}
        await vic.send(type="subscribe", sessionId=name)
        await vic.next("output")
        tmux.run("rename-session", "-t", name, "renamed")
        assert await vic.next("sessionRenamed", sessionId=name, name="renamed")
        tmux.run("send-keys", "-t", "renamed", "-l", "hello")
        tmux.run("kill-session", "-t", "renamed")
        assert await vic.next("sessionDestroyed", sessionId="renamed")


async def test_a_scope_of_a_key_is_a_bound(server, tmux, request):
    name = session(tmux, request)
    server.keys["bob, to look only"] = await asyncio.to_thread(server.key, "bob", "tmux:session:view")
    async with connect(server, "bob, to look only") as bob:
        await bob.send(type="subscribe", sessionId=name)
        await bob.next("output")
        await bob.send(type="sendKeys", sessionId=name, keys="x")
        assert (await bob.next("error"))["code"] == "FORBIDDEN"


async def test_a_role_that_is_lost_in_between(server, tmux, request):
    name = session(tmux, request)
    await asyncio.to_thread(server.add_user, "eve", "operator")
    server.keys["eve"] = await asyncio.to_thread(token, server, "eve")
    async with connect(server, "eve") as eve, connect(server, "ann") as ann:
        await eve.send(type="claim", sessionId=name)
        await ann.next("claimed", sessionId=name)
        await eve.send(type="subscribe", sessionId=name)
        await eve.send(type="sendKeys", sessionId=name, keys="may")
        await eve.text("may")
        await asyncio.to_thread(server.cli, "users", "set-role", "eve", "viewer")
        assert (await ann.next("released", sessionId=name))["reason"] == "withdrawn"
        await eve.send(type="sendKeys", sessionId=name, keys="may not")
        assert (await eve.next("error"))["code"] == "FORBIDDEN"
        await asyncio.to_thread(server.cli, "users", "disable", "eve")
        assert await eve.closed() == 4001


async def test_a_client_that_never_reads(server, tmux, request):
    name = session(tmux, request, "exec sh")
    async with connect(server, "ann") as ann, connect(server, "bob", f"/ws/terminal/{name}") as stuck:
        await stuck.next("output")
        stuck.connection.transport.pause_reading()
        await ann.send(type="subscribe", sessionId=name)
        await ann.next("output")
        await ann.send(type="sendKeys", sessionId=name, keys="seq 1 600000; echo the'end'\n")
        await ann.text("theend")
        stuck.connection.transport.resume_reading()
        await ann.send(type="sendKeys", sessionId=name, keys="echo more'over'\n")
        seen = ""
        while "moreover" not in seen:
            seen = seen[-100:] + (await stuck.next("output", timeout=20))["data"]
        got = sum(len(message.get("data", "")) for message in stuck.messages)
        assert got < 4_500_000, "what it did not read was not kept for it"
        assert sum(bool(message.get("snapshot")) for message in stuck.messages) >= 2


# -- lives of their own ------------------------------------------------------------------------------------------------


@pytest.fixture
def own_tmux(tmux_server):
    return tmux_server


async def test_leases_heartbeats_and_shutdown(own_tmux, tmp_path):
    own_tmux.new("main")
    own_tmux.new("other")
    options = {"claim_seconds": 1.0, "claim_warning_seconds": 0.6, "claim_grace_seconds": 0.2, "heartbeat_seconds": 0.5}
    with serving(tmp_path, own_tmux, **options) as server:
        await asyncio.to_thread(server.add_user, "ann")
        server.keys = {"ann": await asyncio.to_thread(token, server, "ann")}
        async with connect(server, "ann") as ann, connect(server, "ann", "/ws/terminal/main") as silent:
            await ann.send(type="claim", sessionId="main")
            warned = await ann.next("claimExpiring")
            assert (warned["sessionId"], warned["secondsLeft"] <= 1) == ("main", True)
            await ann.send(type="claim", sessionId="main")
            await ann.next("claimExpiring")
            assert (await ann.next("released"))["reason"] == "expired"
            # Who never sends a heartbeat is not closed for want of one; who does must go on.
            await silent.send(type="heartbeat")
            assert await silent.closed() == 4000
        async with connect(server, "ann") as ann:
            await ann.send(type="claim", sessionId="main")
            await ann.next("claimed")
        with api(server, "ann") as client:
            async with asyncio.timeout(5):
                while (await asyncio.to_thread(client.get, "/api/sessions/main")).json()["claim"] is not None:
                    await asyncio.sleep(0.05)
        async with connect(server, "ann") as ann:
            await ann.next("sessions")
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            assert await ann.closed() == 1001
            assert await stopping == 0
    assert own_tmux.clients() == [], "no client of ours is left behind"
    assert own_tmux.run("list-sessions", "-F", "#{session_name}").split() == ["main", "other"], "tmux goes on"


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_claim_outlives_the_server_but_not_its_session(database, own_tmux, tmp_path, request):
    own_tmux.new("main")
    own_tmux.new("other")
    url = "sqlite://moorage.db" if database == "sqlite" else request.getfixturevalue("postgres_url")
    with serving(tmp_path, own_tmux, url) as server:
        server.add_user("ann")
        server.keys = {"ann": token(server, "ann")}
        with api(server, "ann") as client:
            claims = {name: client.post(f"/api/sessions/{name}/claim").json()["claim"] for name in ("main", "other")}
        server.kill()
        own_tmux.run("kill-session", "-t", "other")
        own_tmux.new("other")
        server.start()
        with api(server, "ann") as client:
            listed = {entry["id"]: entry["claim"] for entry in client.get("/api/sessions").json()["sessions"]}
        assert listed["main"]["expiresAt"] == claims["main"]["expiresAt"]
        assert listed["other"] is None, "another session of the same name is not claimed"
        if database != "sqlite":
            return
        made = [("tmux.claimed", f"tmux_session:{name}", "127.0.0.1") for name in ("main", "other")]
        ended = ("tmux.claim_destroyed", "tmux_session:other", "")
        deadline = time.monotonic() + 10
        while (rows := audited(server))[:2] == made and ended not in rows and time.monotonic() < deadline:
            time.sleep(0.05)
        assert rows[:2] == made
        assert ended in rows


def audited(server):
    """What the plugin put on record: action, target, address."""
    with contextlib.closing(sqlite3.connect(f"file:{server.data_dir}/moorage.db?mode=ro", uri=True)) as database:
        query = "SELECT action, target, address FROM core_audit_events WHERE action LIKE 'tmux.%' ORDER BY id"
        return database.execute(query).fetchall()


def test_without_a_tmux_server(own_tmux, tmp_path):
    with serving(tmp_path, own_tmux) as server:
        server.add_user("ann")
        with server.client("ann") as client:
            assert client.get("/api/sessions").json() == {"sessions": []}
            assert client.get("/api/sessions/main").status_code == 404
            own_tmux.new("main")
            assert [entry["id"] for entry in client.get("/api/sessions").json()["sessions"]] == ["main"]
            own_tmux.run("kill-server")
            assert client.get("/api/sessions").json() == {"sessions": []}
        assert "Traceback" not in server.stderr


def test_without_tmux(own_tmux, tmp_path):
    with serving(tmp_path, own_tmux, required=False, tmux_binary="/nowhere/tmux") as server:
        server.add_user("ann")
        with server.client("ann") as client:
            answer = client.get("/api/sessions")
            assert answer.status_code == 503
            assert "message" in answer.json()
        assert "apt install tmux" in server.cli("plugins", "list", "--json").stdout
