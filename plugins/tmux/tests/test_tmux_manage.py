"""Sessions, windows and panes made, renamed and ended over HTTP: a real `moorage serve` over a real tmux."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from moorage_tmux import names
from moorage_tmux.sessions import server_version
from moorage_tmux.tmux import Tmux, TmuxError, TmuxGone, TmuxRefused, TmuxSilent
from terminals import api, audited, connect, serving, session, token
from waits import WAIT


def path(name, *more):
    return "/".join(["/api/sessions", quote(name, safe=""), *(quote(part, safe="") for part in more)])


def named(server, name):
    with api(server, "vic") as client:
        return next((each for each in client.get("/api/sessions").json()["sessions"] if each["name"] == name), None)


# -- Sessions -----------------------------------------------------------------------------------------------------


async def test_a_session_s_life(server, tmux):
    tmux.new("keeper")
    renamed = "v1.2:x" if newest(tmux) else "v1_2_x"
    async with connect(server, "vic") as vic:
        await vic.next("sessions")
        with api(server, "ann") as ann, api(server, "ada") as ada:
            answer = await asyncio.to_thread(
                ann.post, "/api/sessions", json={"name": "born here", "cols": 101, "rows": 31}
            )
            assert answer.status_code == 201, answer.text
            made = answer.json()["session"]
            assert answer.json()["success"] is True
            assert {"id": "born here", "name": "born here", "windows": 1, "attached": False}.items() <= made.items()
            assert (await vic.next("sessionCreated"))["session"]["name"] == "born here"
            assert tmux.run("list-windows", "-t", "born here", "-F", "#{window_width}x#{window_height}") == "101x31\n"
            taken = await asyncio.to_thread(ann.post, "/api/sessions", json={"name": "born here"})
            assert (taken.status_code, taken.json()["error"]) == (409, "CONFLICT")
            taken = await asyncio.to_thread(ann.patch, path("born here"), json={"name": "keeper"})
            assert (taken.status_code, taken.json()["error"]) == (409, "CONFLICT")
            answer = await asyncio.to_thread(ann.patch, path("born here"), json={"name": "v1.2:x"})
            assert (answer.status_code, answer.json()["session"]["name"]) == (200, renamed)
            assert (await vic.next("sessionRenamed", sessionId="born here"))["name"] == renamed
            assert (await asyncio.to_thread(ann.delete, path(renamed))).status_code == 403, "operators end none"
            answer = await asyncio.to_thread(ada.delete, path(renamed))
            assert (answer.status_code, answer.json()) == (200, {"success": True})
            assert (await vic.next("sessionDestroyed"))["sessionId"] == renamed
            assert (await asyncio.to_thread(ada.delete, path(renamed))).status_code == 404
            assert (await asyncio.to_thread(ann.patch, path(renamed), json={"name": "x"})).status_code == 404
    actions = [(action, target) for action, target, _ in audited(server)]
    assert actions[-3:] == [
        ("tmux.session_created", "tmux_session:born here"),
        ("tmux.session_renamed", f"tmux_session:{renamed}"),
        ("tmux.session_deleted", f"tmux_session:{renamed}"),
    ]


def newest(tmux):
    """Whether this tmux takes dots and colons in names of sessions, and spells names of windows as those."""
    return server_version(tmux.run("display-message", "-p", "#{version}")) >= (3, 8)


NAMES = [
    "-x",
    "--",
    "$1",
    "=x",
    "%1",
    "@1",
    "\U0001f600",
    "#{pid}",
    "##",
    "#[x",
    "'q\"",
    ";",
    "a;",
    "\\;",
    "a b ",
    "+1",
]


def test_names_that_are_no_syntax(server, tmux, tmp_path):
    tmux.new("stays")
    mark = tmp_path / "ran"
    hostile = [*NAMES, f"#(touch {mark})", "x#(kill-server);", "%H%M"]
    with api(server, "ann") as ann:
        for wanted in hostile:
            answer = ann.post("/api/sessions", json={"name": wanted})
            assert answer.status_code == 201, (wanted, answer.text)
            made = answer.json()["session"]["name"]
            # tmux shows a backslash as two.
            assert made == wanted.replace("\\", "\\\\")
            again = ann.patch(path(made), json={"name": "r" + wanted})
            assert again.json()["session"]["name"] == "r" + made, again.text
            window = ann.post(path("r" + made, "windows"), json={"name": wanted}).json()["window"]
            assert window["name"] == (made if newest(tmux) else wanted)
            windows = ann.patch(path("r" + made, "windows", window["id"]), json={"name": "w" + wanted}).json()[
                "windows"
            ]
            assert windows[-1]["name"] == "w" + made
            tmux.run("kill-session", "-t", tmux.run("list-sessions", "-F", "#{session_id}").split()[-1])
    assert not mark.exists()


def test_names_that_tmux_cannot_have(server, tmux):
    tmux.new("unnamed")
    with api(server, "ann") as ann:
        for name in [
            "",
            " ",
            "a\nb",
            "a\tb",
            "\x00",
            "x\x7f",
            "\x85",
            "\u2028",
            "\u202eabc",
            "n" * 201,
            7,
            None,
            ["x"],
        ]:
            for method, where in [("PATCH", path("unnamed")), ("POST", "/api/sessions")]:
                if name is None and method == "POST":
                    continue
                answer = ann.request(method, where, json={"name": name})
                assert (answer.status_code, answer.json()["error"]) == (400, "VALIDATION_ERROR"), (name, answer.text)
        for size in [
            {"cols": 19},
            {"cols": 501},
            {"rows": 4},
            {"rows": 301},
            {"cols": 80.5},
            {"cols": "80"},
            {"rows": True},
        ]:
            assert ann.post("/api/sessions", json={"name": "sized", **size}).status_code == 400, size
        assert ann.post("/api/sessions", json={"name": "x" * 5000}).status_code in (400, 413)
    assert named(server, "sized") is None


def test_a_session_without_a_name_and_a_long_one(server, tmux):
    with api(server, "ann") as ann:
        number = ann.post("/api/sessions").json()["session"]["name"]
        assert number.isdigit()
        long = "é" * 200
        assert ann.post("/api/sessions", json={"name": long}).json()["session"]["name"] == long
        assert ann.get(path(long)).status_code == 200
    tmux.run("kill-session", "-t", "=" + number)
    tmux.run("kill-session", "-t", "=" + long)


def test_who_may_manage(server, tmux, request):
    name = session(tmux, request)
    tmux.run("split-window", "-t", f"{name}:", "exec sleep 1000")
    tries = [
        ("POST", "/api/sessions", {"name": "no"}),
        ("PATCH", path(name), {"name": "no"}),
        ("DELETE", path(name), None),
        ("POST", path(name, "windows"), {}),
        ("PATCH", path(name, "windows", "0"), {"name": "no"}),
        ("DELETE", path(name, "windows", "0"), None),
        ("POST", path(name, "panes"), {"direction": "right"}),
        ("PATCH", path(name, "panes", "0"), {"active": True}),
        ("DELETE", path(name, "panes", "0"), None),
    ]
    before = tmux.run("list-panes", "-s", "-t", name)
    with httpx.Client(base_url=server.url) as nobody, api(server, "vic") as vic:
        for method, where, body in tries:
            assert nobody.request(method, where, json=body).status_code == 401
            answer = vic.request(method, where, json=body)
            assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN"), (method, where)
            assert answer.json()["details"]["current"] == "viewer"
    with api(server, "ann") as ann, api(server, "bob") as bob, api(server, "ada") as ada:
        claim = ann.post(path(name, "claim")).json()["claim"]
        for method, where, body in tries[3:] + tries[1:2]:
            for other in (bob, ada):
                answer = other.request(method, where, json=body)
                assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN"), (method, where)
                refusal = answer.json()
                assert (refusal["claimedBy"], refusal["expiresAt"]) == (claim["userId"], claim["expiresAt"])
                assert refusal["details"]["code"] == "CLAIM_REQUIRED"
        assert tmux.run("list-panes", "-s", "-t", name) == before
        renewed = ann.patch(path(name, "panes", "0"), json={"active": True})
        assert renewed.status_code == 200
        assert named(server, name)["claim"]["expiresAt"] > claim["expiresAt"], "it renews the claim as typing does"
        assert ada.delete(path(name)).status_code == 200, "whoever may end sessions need not ask the holder"


# -- Windows and panes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [0, 1])
def test_windows_and_panes(server, tmux, request, base):
    tmux.new(f"beside-{base}")  # Without any session tmux ends, and forgets its options.
    tmux.run("start-server", ";", "set", "-g", "base-index", str(base), ";", "set", "-g", "pane-base-index", str(base))
    name = session(tmux, request)
    first = str(base)
    try:
        with api(server, "ann") as ann:
            answer = ann.post(path(name, "windows"), json={"name": "logs"})
            assert answer.status_code == 201, answer.text
            window = answer.json()["window"]
            assert (window["index"], window["name"], window["active"]) == (base + 1, "logs", True)
            assert {"zoomed": False, "cols": 80, "rows": 24}.items() <= window.items()
            assert [pane["index"] for pane in window["panes"]] == [base]
            windows = ann.patch(path(name, "windows", "0"), json={"active": True, "name": "one"}).json()["windows"]
            assert [(each["name"], each["active"]) for each in windows] == [("one", True), ("logs", False)]
            answer = ann.post(path(name, "panes"), json={"direction": "right"})
            assert answer.status_code == 201, answer.text
            right = answer.json()["pane"]
            below = ann.post(path(name, "panes"), json={"pane": right, "direction": "down"}).json()["pane"]
            panes = ann.get(path(name)).json()["windows"][0]["panes"]
            assert [(pane["left"], pane["top"], pane["active"]) for pane in panes] == [
                (0, 0, False),
                (41, 0, False),
                (41, 13, True),
            ]
            assert [pane["id"] for pane in panes][1:] == [right, below]
            windows = ann.patch(path(name, "panes", first), json={"cols": 30}).json()["windows"]
            assert [pane["cols"] for pane in windows[0]["panes"]] == [30, 49, 49]

            def zoom(pane, zoomed):
                window = ann.patch(path(name, "panes", pane), json={"zoomed": zoomed}).json()["windows"][0]
                return window["zoomed"], next(pane["id"] for pane in window["panes"] if pane["active"])

            assert zoom(right, True) == (True, right)
            assert zoom(right, True) == (True, right)
            assert zoom(below, True) == (True, below)
            assert zoom(right, False) == (True, below), "it was not zoomed"
            assert zoom(below, False) == (False, below)
            windows = ann.patch(path(name, "panes", f"{base + 1}.{base}"), json={"active": True}).json()["windows"]
            assert [each["active"] for each in windows] == [False, True], "its window becomes the active one"
            assert ann.patch(path(name, "panes", right), json={"active": True}).json()["windows"][0]["active"]
            assert len(ann.delete(path(name, "panes", below)).json()["windows"][0]["panes"]) == 2
            assert [each["name"] for each in ann.delete(path(name, "windows", first)).json()["windows"]] == ["logs"]
            assert ann.delete(path(name, "windows", window["id"])).json() == {"success": True, "windows": []}
            assert ann.get(path(name)).status_code == 404
    finally:
        tmux.run("start-server", ";", "set", "-g", "base-index", "0", ";", "set", "-g", "pane-base-index", "0")
    assert [action for action, target, _ in audited(server) if target == f"tmux_session:{name}"] == [
        "tmux.pane_deleted",
        "tmux.window_deleted",
        "tmux.window_deleted",
    ]


def test_what_cannot_be_done_to_windows_and_panes(server, tmux, request):
    name = session(tmux, request)
    tmux.new("other-" + name)
    strange = tmux.run("list-panes", "-t", "other-" + name, "-F", "#{pane_id} #{window_id}").split()
    with api(server, "ann") as ann:
        for pane in ["7", "3.0", "%9999", "x", "-1", "0.0.0", "$0", strange[0]]:
            assert ann.patch(path(name, "panes", pane), json={"active": True}).status_code == 404, pane
            assert ann.delete(path(name, "panes", pane)).status_code == 404, pane
        for window in ["7", "@9999", "x", "-1", "0;kill-server", strange[1]]:
            assert ann.patch(path(name, "windows", window), json={"active": True}).status_code == 404, window
            assert ann.delete(path(name, "windows", window)).status_code == 404, window
        for body in [{}, {"active": False}, {"zoomed": 1}, {"cols": 0}, {"rows": 301}, {"cols": None}]:
            assert ann.patch(path(name, "panes", "0"), json=body).status_code == 400, body
        for body in [{}, {"active": False}, {"name": ""}, {"name": "a\x1b"}]:
            assert ann.patch(path(name, "windows", "0"), json=body).status_code == 400, body
        for body in [{}, {"direction": "left"}, {"direction": "down", "pane": ""}, {"direction": "down", "pane": 3}]:
            assert ann.post(path(name, "panes"), json=body).status_code == 400, body
        assert ann.post(path(name, "panes"), json={"direction": "down", "pane": "9"}).status_code == 404
        for _ in range(10):
            answer = ann.post(path(name, "panes"), json={"direction": "down", "pane": "0"})
            if answer.status_code != 201:
                break
        assert (answer.status_code, answer.json()["error"]) == (409, "CONFLICT")
        assert "no space" in answer.json()["message"]
        # tmux 3.3 would die of it, and every session with it.
        tmux.run("set", "-g", "window-size", "manual")
        try:
            version = tmux.run("display-message", "-p", "#{version}")
            wanted = 409 if server_version(version) < (3, 8) else 201
            assert ann.post(path(name, "windows"), json={}).status_code == wanted
            assert ann.post("/api/sessions", json={"name": "sized by hand"}).status_code == wanted
        finally:
            tmux.run("set", "-g", "window-size", "latest")
    assert named(server, name) is not None


# -- A tmux server of our own making --------------------------------------------------------------------------------


async def test_sessions_made_at_once_while_people_come(server, tmux):
    """A control client that attaches while tmux makes a session has killed tmux 3.3."""
    tmux.new("before")

    async def watch(name):
        async with connect(server, "vic") as vic:
            await vic.send(type="subscribe", sessionId=name)
            await vic.next("output")

    async def make(number):
        with api(server, "ann") as ann:
            answer = await asyncio.to_thread(ann.post, "/api/sessions", json={"name": f"at once {number % 10}"})
        if answer.status_code == 201:
            await watch(f"at once {number % 10}")
        return answer.status_code

    pid = tmux.run("display-message", "-p", "#{pid}")
    done = await asyncio.gather(*(make(number) for number in range(20)), *(watch("before") for _ in range(20)))
    assert sorted(done[:20]) == [201] * 10 + [409] * 10
    assert tmux.run("display-message", "-p", "#{pid}") == pid
    for number in range(10):
        tmux.run("kill-session", "-t", f"=at once {number}")


async def test_a_tmux_server_is_started_without_our_secrets_and_outlives_us(tmux_server, tmp_path, monkeypatch):
    monkeypatch.setenv("PASSWORD_OF_THE_DATABASE", "secret")
    monkeypatch.setenv("HOME", str(tmp_path))

    def ask(method, *where, **body):
        with api(server, "ada") as ada:
            answer = ada.request(method, *where, json=body or None)
        assert answer.is_success, answer.text
        return answer.json()

    with serving(tmp_path, tmux_server) as server:
        await asyncio.to_thread(server.add_user, "ada", "admin")
        server.keys = {"ada": await asyncio.to_thread(token, server, "ada")}
        async with connect(server, "ada") as ada:
            assert (await ada.next("sessions"))["sessions"] == []
            for _ in range(2):
                # With the last session the server ends, and the next one starts another.
                await asyncio.to_thread(ask, "POST", "/api/sessions", name="first")
                assert (await ada.next("sessionCreated", timeout=WAIT))["session"]["name"] == "first"
                assert (await ada.next("sessions"))["sessions"][0]["name"] == "first"
                await asyncio.to_thread(ask, "DELETE", path("first"))
                assert (await ada.next("sessionDestroyed", timeout=WAIT))["sessionId"] == "first"
            for _ in range(12):
                # Asked again in the moment in which our client's pipe is closed, and its end is not known yet.
                await asyncio.to_thread(ask, "POST", "/api/sessions", name="first")
                await asyncio.to_thread(ask, "DELETE", path("first"))
        await asyncio.to_thread(ask, "POST", "/api/sessions", name="first")
        windows = (await asyncio.to_thread(ask, "POST", path("first", "windows")))["windows"]
        await asyncio.to_thread(ask, "POST", path("first", "panes"), direction="down")
        known = tmux_server.run("show-environment", "-g") + tmux_server.run("show-environment", "-t", "first")
        pid = tmux_server.run("display-message", "-p", "#{pid}").strip()
    assert len(windows) == 2
    held = Path(f"/proc/{pid}/environ").read_text() + known
    assert "MOORAGE" not in held
    assert "secret" not in held
    assert tmux_server.run("list-sessions", "-F", "#{session_name} #{session_path}") == f"first {tmp_path}\n"
    panes = tmux_server.run("list-panes", "-s", "-t", "first", "-F", "#{pane_start_path} #{pane_dead}")
    assert panes == f"{tmp_path} 0\n" * 3

    def sockets():
        found = 0
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found += "socket" in str(fd.readlink())
        return found

    # Its own is the one it listens on; ours would keep the port. That of the client just now goes a moment after it.
    async with asyncio.timeout(WAIT):
        while sockets() != 1:
            await asyncio.sleep(0.02)


def test_no_more_sessions_than_the_bound(server, tmux, monkeypatch):
    there = len(tmux.run("list-sessions", "-F", "x", check=False).split())
    commands = []
    for number in range(200 - there):
        commands += ["new-session", "-d", "-s", f"many{number}", "exec sleep 1000", ";"]
    for begin in range(0, len(commands), 300):  # A command has its greatest length.
        tmux.run(*commands[begin : begin + 300][:-1])
    try:
        with api(server, "ann") as ann:
            answer = ann.post("/api/sessions", json={"name": "one too many"})
            assert (answer.status_code, answer.json()["details"]["code"]) == (409, "TOO_MANY_SESSIONS")
    finally:
        for number in range(200 - there):
            tmux.run("kill-session", "-t", f"=many{number}")


@pytest.mark.parametrize(
    ("text", "told"),
    [("#", "##"), ("a#(x)", "a##(x)"), ("##{x}#", "####{x}##"), ("#[x]#", "#[x]##"), ("##[", "##["), ("a;", "a\\;")],
)
def test_names_are_told_so_that_tmux_takes_them_as_they_are(text, told):
    assert names.argument(text) == told


@pytest.mark.parametrize(
    ("binary", "wanted"),
    [
        ("echo 'no server running on /x' >&2; exit 1", TmuxGone),
        ("echo 'error connecting to /x (No such file or directory)' >&2; exit 1", TmuxGone),
        ("echo 'error connecting to /x (Permission denied)' >&2; exit 1", TmuxError),
        ("echo 'protocol version mismatch (client 8, server 7)' >&2; exit 1", TmuxError),
        ("echo 'duplicate session: x' >&2; exit 1", TmuxRefused),
        ("exit 1", TmuxRefused),
        ("exec sleep 60", TmuxSilent),
        (None, TmuxError),
    ],
)
async def test_what_an_ordinary_client_s_complaints_mean(tmp_path, binary, wanted):
    program = tmp_path / "tmux"
    if binary is not None:
        program.write_text(f"#!/bin/sh\n{binary}\n")
        program.chmod(0o755)
    with pytest.raises(TmuxError) as refusal:
        await Tmux(str(program)).run("list-sessions", timeout=0.5)
    assert type(refusal.value) is wanted
