"""Each example and each row of a table of the contract (`chrote_contract.md`, the document's own text) as a test.

An answer holds at least what the example has, of the same types; what is more in it is additive. Client messages are
sent as they stand in the document.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from pathlib import Path

import httpx
import pytest
from moorage.api import CHROTE, MoorageError
from terminals import ISO, api, connect, ids, serving, token

TEXT = (Path(__file__).parent / "chrote_contract.md").read_text()
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
NULLABLE = {"avatarUrl"}
"""Members that are null where there is nothing to say; the examples have a text there."""
CLAIM = '{"userId": "user_123", "userName": "Alice", "expiresAt": "2026-02-03T12:00:00Z"}'
"""What the document abbreviates as `{...}`."""


def sections():
    """The text by headings; those below a heading of the second rank have that before them."""
    found, chapter = {}, ""
    for rank, title, body in re.findall(r"^(##+) (.*?)\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S):
        title = title.replace("`", "")
        chapter = title if rank == "##" else chapter
        found[f"{chapter}: {title}" if chapter and rank != "##" else title] = body
    return found


SECTIONS = sections()


def blocks(section):
    return [
        json.loads(text.replace("{...}", CLAIM)) for text in re.findall(r"```json\n(.*?)```", SECTIONS[section], re.S)
    ]


def example(section, number=0):
    """The JSON examples of the document."""
    return blocks(section)[number]


def table(section):
    """The rows of a section's table, without its head."""
    return [re.findall(r"`([^`]+)`", row)[0] for row in re.findall(r"^\| `.*$", SECTIONS[section], re.M)]


def fits(wanted, real, where="$"):
    """`real` has what the example has."""
    if isinstance(wanted, dict):
        assert isinstance(real, dict), where
        assert wanted.keys() <= real.keys(), f"{where}: {wanted.keys() - real.keys()} are missing"
        for key, value in wanted.items():
            if not (key in NULLABLE and real[key] is None):
                fits(value, real[key], f"{where}.{key}")
    elif isinstance(wanted, list):
        assert isinstance(real, list), where
        assert real, f"{where} is empty"
        for item in real:
            fits(wanted[0], item, f"{where}[]")
    elif isinstance(wanted, str) and INSTANT.fullmatch(wanted):
        assert ISO.match(real), f"{where}: {real!r} is no instant"
    else:
        assert type(real) is type(wanted), f"{where}: {real!r} is not like {wanted!r}"


@pytest.fixture(scope="module", autouse=True)
def sessions(tmux):
    """Sessions by the names of the examples."""
    for name in ("main", "dev", "chrote-chat"):
        tmux.cat(name)
    tmux.run("split-window", "-d", "-t", "chrote-chat:", "stty raw -echo; printf second; exec cat")


@pytest.fixture
def http(server):
    """A client of each user."""
    clients = {who: api(server, who) for who in server.keys}
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture
def free(http):
    """No session is claimed, before and after."""
    for name in ("main", "dev", "chrote-chat") * 2:
        http["ada"].delete(f"/api/sessions/{name}/claim")
    yield
    for name in ("main", "dev", "chrote-chat"):
        http["ada"].delete(f"/api/sessions/{name}/claim")


def test_every_example_of_the_document_is_tried():
    tried = {(name, int(number or 0)) for name, number in re.findall(r'example\("([^"]+)"(?:, (\d))?\)', source())}
    there = {(name, number) for name in SECTIONS for number in range(len(blocks(name)))}
    assert len(there) == TEXT.count("```json") > 20
    assert tried == there
    tables = {name for name in SECTIONS if table(name) and "endpoint" not in name.lower()}
    assert set(re.findall(r'table\("([^"]+)"\)', source())) == {name for name in tables if "capture" not in name}


def source():
    return Path(__file__).read_text()


# -- Authentication ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/sessions"),
        ("GET", "/api/sessions/main"),
        ("POST", "/api/sessions/main/claim"),
        ("DELETE", "/api/sessions/main/claim"),
        ("GET", "/api/tmux/sessions/main/panes/0/capture"),
    ],
)
def test_protected_routes(server, method, path):
    answer = httpx.request(method, server.url + path)
    wanted = example("Protected Routes")
    assert answer.status_code == 401
    assert wanted.items() <= answer.json().items()


# -- REST --------------------------------------------------------------------------------------------------------------


def test_get_api_sessions(http, free):
    http["ann"].post("/api/sessions/dev/claim")
    listed = {entry["id"]: entry for entry in http["vic"].get("/api/sessions").json()["sessions"]}
    for entry in example("GET /api/sessions")["sessions"]:
        fits(entry, listed[entry["id"]])
        assert listed[entry["id"]]["name"] == entry["name"]
        assert (listed[entry["id"]]["claim"] is None) == (entry["claim"] is None)
    assert listed["dev"]["claim"]["userName"] == "ann"


async def test_get_api_sessions_id(server, http, free):
    async with connect(server, "ann", "/ws/terminal/main") as ann:
        await ann.next("output")
        real = (await asyncio.to_thread(http["vic"].get, "/api/sessions/main")).json()
        fits(example("GET /api/sessions/:id"), real)
        assert [viewer["name"] for viewer in real["viewers"]] == ["ann"]


def test_post_api_sessions_id_claim(server, http, free):
    who = ids(server)
    first = http["ann"].post("/api/sessions/main/claim")
    assert first.status_code == 200
    fits(example("POST /api/sessions/:id/claim"), first.json())
    assert (first.json()["claim"]["sessionId"], first.json()["claim"]["userId"]) == ("main", who["ann"])
    refused = http["bob"].post("/api/sessions/main/claim")
    wanted = example("POST /api/sessions/:id/claim", 1)
    assert refused.status_code == 403
    fits(wanted, refused.json())
    assert (refused.json()["error"], refused.json()["message"]) == (wanted["error"], wanted["message"])
    assert refused.json()["claimedBy"] == who["ann"]


def test_delete_api_sessions_id_claim(http, free):
    http["ann"].post("/api/sessions/main/claim")
    assert http["bob"].delete("/api/sessions/main/claim").status_code == 403, "own claim, or admin"
    released = http["ann"].delete("/api/sessions/main/claim")
    assert released.status_code == 200
    assert example("DELETE /api/sessions/:id/claim").items() <= released.json().items()
    http["ann"].post("/api/sessions/main/claim")
    assert http["ada"].delete("/api/sessions/main/claim").json()["success"] is True


@pytest.mark.parametrize("section", [name for name in SECTIONS if "/api/" in name])
def test_required_permissions(section, http, free):
    """`view`: everybody who is signed in; `claim`: operator and above."""
    method, path = section.split(" ")
    path = re.sub(r":session|:id", "main", path).replace(":pane", "0")
    (needed,) = re.findall(r"\*\*Required Permission:\*\* (.*)", SECTIONS[section])
    allowed = {
        "`view` (all authenticated users)": {"vic", "ann", "ada"},
        "`view`": {"vic", "ann", "ada"},
        "`claim` (operator+)": {"ann", "ada"},
        "Owner of claim or admin+": {"bob", "ada"},
    }[needed]
    for who in ("vic", "ann", "bob", "ada"):
        if "Owner" in needed:
            http["bob"].post("/api/sessions/main/claim")
        elif who == "bob":
            continue  # Another operator.
        status = http[who].request(method, path).status_code
        assert status == (200 if who in allowed else 403), (who, needed)


def test_get_api_tmux_sessions_session_panes_pane_capture(http):
    capture = "/api/tmux/sessions/{}/panes/0/capture"
    answer = http["vic"].get(capture.format("chrote-chat"))
    wanted = example("GET /api/tmux/sessions/:session/panes/:pane/capture")
    assert answer.status_code == 200
    fits(wanted, answer.json())
    assert (answer.json()["session"], answer.json()["pane"]) == (wanted["session"], wanted["pane"])
    missing = http["vic"].get(capture.format("nope"))
    assert missing.status_code == 404
    assert example("GET /api/tmux/sessions/:session/panes/:pane/capture", 1).items() <= missing.json().items()


async def test_capture_without_the_chrote_api_and_how_sockets_end(tmux_server, tmp_path):
    """What needs servers of its own. 503 is tried with each fault in test_tmux_capture.py."""
    with serving(tmp_path, tmux_server, chrote_url="http://127.0.0.1:9") as server:
        await asyncio.to_thread(server.add_user, "vic", "viewer")
        server.keys = {"vic": await asyncio.to_thread(token, server, "vic")}
        with api(server, "vic") as vic:
            answer = await asyncio.to_thread(vic.get, "/api/tmux/sessions/chrote-chat/panes/0/capture")
        assert answer.status_code == 503
        wanted = example("GET /api/tmux/sessions/:session/panes/:pane/capture", 2)
        assert wanted.items() <= answer.json().items()
        await lives_and_ends(server, tmux_server)


# -- WebSocket Protocol ------------------------------------------------------------------------------------------------


async def test_the_messages_of_the_main_socket(server, http, free):
    who = await asyncio.to_thread(ids, server)
    async with connect(server, "ann") as ann, connect(server, "vic") as vic:
        listed = await vic.next("sessions")
        by_name = {entry["id"]: entry for entry in listed["sessions"]}
        wanted = example("WebSocket Protocol: Session List Update")
        fits({**wanted["sessions"][0], "claim": None}, by_name["main"])

        await ann.send(**example("WebSocket Protocol: Subscribe to Session"))
        output = await ann.next("output")
        fits(example("WebSocket Protocol: Terminal Output"), output)
        presence = await ann.next("presence")
        fits(example("WebSocket Protocol: Presence Update"), presence)
        assert [(user["id"], user["name"]) for user in presence["users"]] == [(who["ann"], "ann")]

        await ann.send(**example("WebSocket Protocol: Send Keys"))
        assert await ann.text("\r") == "ls -la\r", "unclaimed, an operator may; a new line is Enter"

        await ann.send(**example("WebSocket Protocol: Claim Session"))
        for client in (ann, vic):
            claimed = await client.next("claimed")
            fits(example("WebSocket Protocol: Claim Created"), claimed)
            assert claimed["by"] == {"id": who["ann"], "name": "ann"}
        await vic.send(type="listSessions")
        again = {entry["id"]: entry for entry in (await vic.next("sessions"))["sessions"]}
        fits({**wanted["sessions"][1], "id": "main"}, again["main"])
        await ann.send(**example("WebSocket Protocol: Send Keys"))
        await ann.text("ls -la\r")

        refusal = example("WebSocket Protocol: Error")
        await vic.send(**example("WebSocket Protocol: Send Keys"))
        assert refusal.items() <= (await vic.next("error")).items()
        await vic.send(**example("WebSocket Protocol: Claim Session"))
        assert (await vic.next("error"))["code"] == "FORBIDDEN"
        await vic.send(**example("WebSocket Protocol: Release Claim"))
        assert (await vic.next("error"))["code"] == "FORBIDDEN"

        await ann.send(**example("WebSocket Protocol: Heartbeat"))
        await ann.send(**example("WebSocket Protocol: Release Claim"))
        for client in (ann, vic):
            assert example("WebSocket Protocol: Claim Released").items() <= (await client.next("released")).items()
        await ann.send(**example("WebSocket Protocol: Unsubscribe from Session"))
        await ann.send(type="listSessions")
        await ann.next("sessions")
        async with connect(server, "bob") as bob:
            await bob.send(**example("WebSocket Protocol: Send Keys"))
            await bob.send(**example("WebSocket Protocol: Subscribe to Session"))
            await bob.next("output")
        await ann.send(type="listSessions")
        before = len(ann.messages)
        await ann.next("sessions")
        assert not [message for message in ann.messages[before:] if message["type"] == "output"]


# -- Per-Session WebSocket ---------------------------------------------------------------------------------------------


async def test_the_messages_of_a_terminals_socket(server, http, free):
    who = await asyncio.to_thread(ids, server)
    async with connect(server, "ann", "/ws/terminal/chrote-chat") as ann:
        connected = await ann.next()
        wanted = example("Per-Session WebSocket: Connected")
        fits(wanted, connected)
        assert {**wanted, "userId": who["ann"]}.items() <= connected.items()
        output = await ann.next("output")
        wanted = example("Per-Session WebSocket: Terminal Output")
        fits(wanted, output)
        assert (output["sessionId"], output["pane"]) == (wanted["sessionId"], wanted["pane"])
        await ann.send(**example("Per-Session WebSocket: Send Keys"))
        assert example("Per-Session WebSocket: Error").items() <= (await ann.next("error")).items()
        await asyncio.to_thread(http["ann"].post, "/api/sessions/chrote-chat/claim")
        await ann.next("claimed")
        await ann.send(**example("Per-Session WebSocket: Send Keys"))
        assert await ann.text("\r") == "ls -la\r"
        await ann.send(**example("Per-Session WebSocket: Heartbeat"))
    async with connect(server, "vic", "/ws/terminal/chrote-chat?pane=1") as vic:
        assert (await vic.next())["type"] == "connected"
        assert "second" in (await vic.next("output"))["data"]


async def test_error_codes_of_a_terminals_socket(server, http, free):
    """TMUX_ERROR needs a tmux that does not answer: see `lives_and_ends`."""
    seen = {"TMUX_ERROR"}

    async def refused(client, text, code):
        await client.send(text)
        assert (await client.next("error"))["code"] == code
        seen.add(code)

    async with connect(server, "vic", "/ws/terminal/nope") as nobody:
        assert await nobody.closed() == 4004
        seen.add(nobody.messages[0]["code"])
    async with connect(server, "vic", "/ws/terminal/main") as vic, connect(server, "ann", "/ws/terminal/main") as ann:
        await refused(vic, '{"type": "sendKeys", "keys": "x"}', "NOT_OPERATOR")
        await refused(ann, '{"type": "sendKeys", "keys": "x"}', "NOT_CLAIMED")
        await refused(ann, "no JSON", "INVALID_MESSAGE")
        await refused(ann, '{"type": "reboot"}', "UNKNOWN_TYPE")
    assert seen == set(table("Per-Session WebSocket: Error Codes"))


async def test_close_codes(server):
    """4000 and 1001 need a server of their own: see `lives_and_ends`."""
    seen = {4000, 1001}
    for who, path, code in ((None, "/ws/terminal/main", 4001), (None, "/ws", 4001), ("vic", "/ws/terminal/nope", 4004)):
        async with connect(server, who, path) as client:
            assert await client.closed() == code
            seen.add(code)
    assert seen == set(map(int, table("Per-Session WebSocket: Close Codes")))


async def lives_and_ends(server, tmux):
    """What needs a server of its own: a tmux that does not answer, a client that falls silent, the end."""
    tmux.cat("main")
    pid = int(tmux.run("display-message", "-p", "#{pid}"))
    server.stop()
    server.write_config({"plugins": {"tmux": {"heartbeat_seconds": 1.0, "command_timeout": 0.5}}})
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(server.cli, "users", "set-role", "vic", "operator")
    async with connect(server, "vic", "/ws/terminal/main") as client, connect(server, "vic") as main:
        await client.next("output")
        await client.send(type="claim")
        await client.next("claimed")
        os.kill(pid, signal.SIGSTOP)
        try:
            await client.send(**example("Per-Session WebSocket: Send Keys"))
            assert (await client.next("error"))["code"] == "TMUX_ERROR"
        finally:
            os.kill(pid, signal.SIGCONT)
        await client.send(**example("Per-Session WebSocket: Heartbeat"))
        assert await client.closed() == 4000
        await main.next("sessions")
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        assert await main.closed() == 1001
        assert await stopping == 0


# -- Error Handling ----------------------------------------------------------------------------------------------------


def test_http_status_codes(server, http, free, tmux):
    """500 is what nothing of this may bring about; its shape is that of all errors."""
    created = http["ann"].post("/api/sessions", json={"name": "made"})
    http["ada"].delete("/api/sessions/made")
    seen = {"500", *(str(answer.status_code) for answer in (created, *errors(server, http)))}
    assert seen | {"200"} == set(table("Error Handling: HTTP Status Codes"))
    fault = MoorageError()
    assert CHROTE.status(fault) == 500
    fits(example("Error Handling: Error Response Format"), CHROTE.error(fault, ""))


def test_error_response_format(server, http, free):
    wanted = example("Error Handling: Error Response Format")
    for answer in errors(server, http):
        fits(wanted, answer.json())
        assert re.fullmatch(r"[A-Z_]+", answer.json()["error"])


def test_common_error_codes(server, http, free):
    seen = set()
    for answer in errors(server, http):
        body = answer.json()
        seen |= {body["error"], body["details"].get("code", body["error"])}
    assert set(table("Error Handling: Common Error Codes")) <= seen


def errors(server, http):
    """An answer of each kind."""
    http["ada"].post("/api/sessions/main/claim")
    return [
        httpx.get(f"{server.url}/api/sessions"),
        http["vic"].post("/api/sessions/main/claim"),
        http["vic"].get("/api/sessions/nope"),
        http["vic"].get("/api/sessions/main/panes/0/history?limit=x"),
        http["ann"].post("/api/sessions/main/claim"),
        http["ann"].post("/api/sessions/main/windows", json={}),
        http["ann"].post("/api/invites/nope/accept"),
    ]
