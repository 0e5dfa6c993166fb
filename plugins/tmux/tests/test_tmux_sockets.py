"""The contract's two WebSockets, `/ws` and `/ws/terminal/{name}`, through a real `moorage serve` over a real tmux."""

from __future__ import annotations

import asyncio
import json

import pytest
from terminals import ISO, api, connect, ids, session, token
from waits import WAIT

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
        assert (await ann.next())["type"] == "layout"
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
    async with connect(server, "vic") as vic:
        assert "command" not in await vic.next("connected"), "who may start none is not told how"
    async with connect(server, "eve") as eve, connect(server, "ann") as ann:
        hello = await eve.next("connected")
        assert "tmux:session:input" in hello["permissions"]
        assert hello["command"] == f"tmux -L {tmux.name} new -s main"
        await eve.send(type="claim", sessionId=name)
        await ann.next("claimed", sessionId=name)
        await eve.send(type="subscribe", sessionId=name)
        await eve.send(type="sendKeys", sessionId=name, keys="may")
        await eve.text("may")
        await asyncio.to_thread(server.cli, "users", "set-role", "eve", "viewer")
        assert (await ann.next("released", sessionId=name))["reason"] == "withdrawn"
        assert await eve.next("permissions", role="viewer", permissions=["tmux:session:view"])
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
            seen = seen[-100:] + (await stuck.next("output", timeout=WAIT))["data"]
        got = sum(len(message.get("data", "")) for message in stuck.messages)
        assert got < 4_500_000, "what it did not read was not kept for it"
        assert sum(bool(message.get("snapshot")) for message in stuck.messages) >= 2
