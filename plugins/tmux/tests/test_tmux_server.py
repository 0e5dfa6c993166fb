"""The contract of `api/chrote.md` over HTTP, and the life of a real `moorage serve` with a real tmux."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from terminals import ISO, api, audited, connect, ids, serving, session, token
from waits import WAIT

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


# -- lives of their own ------------------------------------------------------------------------------------------------


async def test_leases_heartbeats_and_shutdown(tmux_server, tmp_path):
    tmux_server.new("main")
    tmux_server.new("other")
    options = {"claim_seconds": 1.0, "claim_warning_seconds": 0.6, "claim_grace_seconds": 0.2, "heartbeat_seconds": 0.5}
    with serving(tmp_path, tmux_server, **options) as server:
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
            async with asyncio.timeout(WAIT):
                while (await asyncio.to_thread(client.get, "/api/sessions/main")).json()["claim"] is not None:
                    await asyncio.sleep(0.05)
        async with connect(server, "ann") as ann:
            await ann.next("sessions")
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            assert await ann.closed() == 1001
            assert await stopping == 0
    assert tmux_server.clients() == [], "no client of ours is left behind"
    assert tmux_server.run("list-sessions", "-F", "#{session_name}").split() == ["main", "other"], "tmux goes on"


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_claim_outlives_the_server_but_not_its_session(database, tmux_server, tmp_path, request):
    tmux_server.new("main")
    tmux_server.new("other")
    url = "sqlite://moorage.db" if database == "sqlite" else request.getfixturevalue("postgres_url")
    with serving(tmp_path, tmux_server, url) as server:
        server.add_user("ann")
        server.keys = {"ann": token(server, "ann")}
        with api(server, "ann") as client:
            claims = {name: client.post(f"/api/sessions/{name}/claim").json()["claim"] for name in ("main", "other")}
        server.kill()
        tmux_server.run("kill-session", "-t", "other")
        tmux_server.new("other")
        server.start()
        with api(server, "ann") as client:
            listed = {entry["id"]: entry["claim"] for entry in client.get("/api/sessions").json()["sessions"]}
        assert listed["main"]["expiresAt"] == claims["main"]["expiresAt"]
        assert listed["other"] is None, "another session of the same name is not claimed"
        if database != "sqlite":
            return
        made = [("tmux.claimed", f"tmux_session:{name}", "127.0.0.1") for name in ("main", "other")]
        ended = ("tmux.claim_destroyed", "tmux_session:other", "")
        deadline = time.monotonic() + WAIT
        while (rows := audited(server))[:2] == made and ended not in rows and time.monotonic() < deadline:
            time.sleep(0.05)
        assert rows[:2] == made
        assert ended in rows


def test_without_a_tmux_server(tmux_server, tmp_path):
    with serving(tmp_path, tmux_server) as server:
        server.add_user("ann")
        with server.client("ann") as client:
            assert client.get("/api/sessions").json() == {"sessions": []}
            assert client.get("/api/sessions/main").status_code == 404
            tmux_server.new("main")
            assert [entry["id"] for entry in client.get("/api/sessions").json()["sessions"]] == ["main"]
            tmux_server.run("kill-server")
            assert client.get("/api/sessions").json() == {"sessions": []}
        assert "Traceback" not in server.stderr


def test_without_tmux(tmux_server, tmp_path):
    with serving(tmp_path, tmux_server, required=False, tmux_binary="/nowhere/tmux") as server:
        server.add_user("ann")
        with server.client("ann") as client:
            answer = client.get("/api/sessions")
            assert answer.status_code == 503
            assert "message" in answer.json()
        assert "apt install tmux" in server.cli("plugins", "list", "--json").stdout
