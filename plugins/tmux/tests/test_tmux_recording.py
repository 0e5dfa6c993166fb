"""Recordings through a real server over a real tmux: what they hold, who may make and see them, how they end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import resource
import signal
import sqlite3
import stat
import time
from datetime import datetime
from urllib.parse import unquote

import pytest
from terminals import ISO, api, audited, connect, ids, serving, session, token
from waits import WAIT

DOWNLOAD = re.compile(r"""attachment; filename="([^"]+)"; filename\*=UTF-8''(\S+)""")


def folder(server):
    return server.data_dir / "plugins" / "tmux" / "recordings"


def events(text):
    """The events of a recording: (seconds since the beginning, code, text)."""
    at, found = 0.0, []
    lines = text.split("\n")
    head = json.loads(lines[0])
    assert lines[-1] == ""
    for line in lines[1:-1]:
        time, code, data = json.loads(line)
        at = at + time if head["version"] == 3 else time
        found.append((round(at, 3), code, data))
    return head, found


def stream(text, code="o"):
    return "".join(data for _, kind, data in events(text)[1] if kind == code)


def marks(text):
    return [data for _, kind, data in events(text)[1] if kind == "m"]


async def test_record_and_download(server, tmux, request):
    name, who = session(tmux, request), await asyncio.to_thread(ids, server)
    path = f"/api/sessions/{name}/recording"
    async with connect(server, "vic", f"/ws/terminal/{name}") as vic, connect(server, "ada") as ada:
        assert (await vic.next("connected"))["recording"] is None
        await ada.next("sessions")
        with api(server, "ann") as ann:
            answer = await asyncio.to_thread(ann.post, path)
            assert answer.status_code == 201, answer.text
            made = answer.json()["recording"]
            notice = {
                "id": made["id"],
                "startedAt": made["startedAt"],
                "by": {"id": who["ann"], "name": "ann"},
                "input": False,
            }
            for client in (vic, ada):
                assert (await client.next("recording", sessionId=name))["recording"] == notice
            tmux.run("send-keys", "-t", name, "-l", "grüße 漢字 \U0001f600")
            await vic.text("\U0001f600")
            tmux.run("send-keys", "-t", name, "-H", "1b", "5b", "33", "31", "6d", "72")
            await vic.text("r")
            entry = (await asyncio.to_thread(ann.get, f"/api/sessions/{name}")).json()
            assert entry["recording"] == notice
            listed = (await asyncio.to_thread(ann.get, "/api/sessions")).json()["sessions"]
            assert next(each for each in listed if each["name"] == name)["recording"] == notice
            assert (entry["attached"], [viewer["name"] for viewer in entry["viewers"]]) == (False, ["vic"])
            live = (await asyncio.to_thread(ann.get, f"/api/recordings/{made['id']}/cast")).text
            assert stream(live).endswith("grüße 漢字 \U0001f600\x1b[31mr")
            cast, have = f"/api/recordings/{made['id']}/cast", len(live.encode())
            none = await asyncio.to_thread(ann.get, cast, headers={"Range": f"bytes={have}-"})
            assert (none.status_code, none.json()["details"]) == (416, {"size": have})
            tmux.run("send-keys", "-t", name, "-l", "added")
            await vic.text("added")
            more = await asyncio.to_thread(ann.get, cast, headers={"Range": f"bytes={have}-"})
            assert (more.status_code, more.headers["content-length"]) == (206, str(len(more.content)))
            assert (
                more.headers["content-range"]
                == f"bytes {have}-{have + len(more.content) - 1}/{have + len(more.content)}"
            )
            assert stream(live + more.text).endswith("radded")
            reads = [
                row
                for row in audited(server)
                if row[:2] == ("tmux.recording_downloaded", f"tmux_recording:{made['id']}")
            ]
            assert len(reads) == 1, "who follows a recording is on record once"
            async with connect(server, "vic", f"/ws/terminal/{name}") as late:
                assert (await late.next("connected"))["recording"] == notice
                assert (await late.next("recording"))["recording"] == notice
                assert not any(message["type"] == "output" for message in late.messages), "before the screen"
            answer = await asyncio.to_thread(ann.delete, path)
            assert (await vic.next("recording"))["recording"] is None
            ended = answer.json()["recording"]
            assert (ended["endReason"], ended["live"], ended["startedBy"]) == ("stopped", False, notice["by"])
            assert ISO.match(ended["endedAt"])
            answer = await asyncio.to_thread(ann.get, f"/api/recordings/{made['id']}/cast")
    assert answer.headers["content-type"] == "application/x-asciicast"
    head, found = events(answer.text)
    assert (head["version"], head["term"]["cols"], head["term"]["rows"], head["title"]) == (3, 80, 24, name)
    assert [code for _, code, _ in found[-2:]] == ["m", "x"]
    assert abs(found[-1][0] - ended["duration"]) < 0.002
    assert ended["size"] == len(answer.content) == int(answer.headers["content-length"])
    file = folder(server) / f"{made['id']}.cast"
    assert file.read_bytes() == answer.content
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)


def post(client, path):
    answer = client.post(path)
    assert answer.status_code == 201, answer.text
    return answer.json()["recording"]


def download(client, pid, form="v3"):
    answer = client.get(f"/api/recordings/{pid}/cast", params={"format": form})
    assert answer.status_code == 200, answer.text
    return answer.text


async def until(condition, timeout=WAIT):
    """Wait until an answer of the server is as wanted; returns it."""
    async with asyncio.timeout(timeout):
        while not (found := await asyncio.to_thread(condition)):
            await asyncio.sleep(0.03)
        return found


async def test_the_replay_is_the_screen(server, tmux, request):
    """Colours, modes, another window and another size: what a terminal draws from the file is what tmux shows."""
    name = session(tmux, request, "exec sh")
    with api(server, "ann") as ann:
        tmux.run("send-keys", "-t", name, "seq 1 60; printf '\\033[7;38;2;9;8;7mcolour\\033[0m\\n'", "Enter")
        made = await asyncio.to_thread(post, ann, f"/api/sessions/{name}/recording")
        async with connect(server, "vic", f"/ws/terminal/{name}") as vic:
            await vic.next("output")
            tmux.run("send-keys", "-t", name, "printf '\\033[?1049h\\033[5;5Hon the \\033[1;44mother screen'", "Enter")
            await vic.text("other screen")
            tmux.run("resize-window", "-t", name, "-x", "61", "-y", "17")
            while (await vic.next("output")).get("cols") != 61:
                pass
            tmux.run("new-window", "-t", f"{name}:", "-n", "logs", "printf 'a log\\r\\n'; exec cat")
            await vic.text("a log")
            tmux.run("send-keys", "-t", name, "-l", "漢字 end")
            await vic.text("end")
        first, second = (download(ann, made["id"], form) for form in ("v3", "v2"))
        post_again = ann.post(f"/api/sessions/{name}/recording")
        assert (post_again.status_code, post_again.json()["details"]["code"]) == (409, "ALREADY_RECORDING")
        ann.delete(f"/api/sessions/{name}/recording")
    sizes = [data for _, code, data in events(first)[1] if code == "r"]
    assert sizes == ["61x17", "80x24"], "the other window has its own size"
    assert any("(logs)" in mark for mark in marks(first))
    drawn = tmux.emulate(stream(first), cols=80, rows=24)
    assert tmux.capture(drawn, "-e") == tmux.capture(f"{name}:", "-e")
    (head_3, events_3), (head_2, events_2) = events(first), events(second)
    assert (head_2["version"], head_2["width"], head_2["height"]) == (2, 80, 24)
    assert (head_2["title"], head_2["timestamp"]) == (head_3["title"], head_3["timestamp"])
    assert events_2 == events_3


async def test_markers_and_a_rename(server, tmux, request):
    name = session(tmux, request)
    with api(server, "ann") as ann, api(server, "ada") as ada:
        made = await asyncio.to_thread(post, ann, f"/api/sessions/{name}/recording")
        for client, method in ((ann, "post"), (ann, "post"), (ada, "post"), (ada, "delete")):
            answer = await asyncio.to_thread(getattr(client, method), f"/api/sessions/{name}/claim")
            assert answer.status_code == 200
        tmux.run("rename-session", "-t", name, "another name")
        await until(lambda: ann.get(f"/api/recordings/{made['id']}").json()["sessionId"] == "another name")
        found = await until(lambda: ann.get("/api/recordings", params={"session": "another name"}).json()["total"])
        assert found == 1
        tmux.run("kill-session", "-t", "another name")
        ended = await until(lambda: (r := ann.get(f"/api/recordings/{made['id']}").json())["endedAt"] and r)
        assert (ended["endReason"], ended["sessionId"]) == ("session_ended", "another name")
        text = download(ann, made["id"])
    assert marks(text) == [
        "ann took control",
        "ann lost control (overridden)",
        "ada took control",
        "ada lost control (released)",
        "renamed to another name",
        "recording ended: session_ended",
    ]
    assert stream(text, "i") == "", "what is typed is not recorded unless the operator wants it"


def test_who_may(server, tmux, request):
    name = session(tmux, request)
    path = f"/api/sessions/{name}/recording"
    with api(server, "ann") as ann, api(server, "bob") as bob, api(server, "vic") as vic, api(server, "ada") as ada:
        for answer in (vic.post(path), vic.delete(path), vic.get("/api/recordings"), vic.get("/api/recordings/rec_x")):
            assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN")
        missing = ann.delete(path)
        assert (missing.status_code, missing.json()["details"]["code"]) == (404, "NOT_RECORDING")
        assert ann.post("/api/sessions/nope/recording").status_code == 404
        made = [post(ann, path)]
        for answer in (ann.delete(f"/api/recordings/{made[0]['id']}"), ada.delete(f"/api/recordings/{made[0]['id']}")):
            assert (answer.status_code, answer.json()["details"]["code"]) == (409, "RECORDING_LIVE")
        assert bob.delete(path).json()["recording"]["endReason"] == "stopped", "any operator may end it"
        for _ in range(2):
            made.append(post(ann, path))
            ann.delete(path)
        page = bob.get("/api/recordings", params={"session": name, "limit": 2}).json()
        assert ([r["id"] for r in page["recordings"]], page["total"]) == ([made[2]["id"], made[1]["id"]], 3)
        page = bob.get("/api/recordings", params={"session": name, "limit": 2, "offset": 2}).json()
        assert [r["id"] for r in page["recordings"]] == [made[0]["id"]]
        for wrong in ({"limit": 0}, {"limit": 201}, {"offset": -1}, {"limit": "x"}):
            assert bob.get("/api/recordings", params=wrong).status_code == 400
        one = f"/api/recordings/{made[0]['id']}"
        refused = bob.delete(one)
        assert (refused.status_code, refused.json()["details"]["permission"]) == (403, "tmux:recording:delete")
        assert vic.delete(one).status_code == vic.get(one + "/cast").status_code == 403
        assert bob.get(one + "/cast", params={"format": "v1"}).status_code == 400
        head = bob.head(one + "/cast")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) == bob.get(one).json()["size"]
        assert ann.delete(one).json() == {"success": True}, "one's own"
        assert not (folder(server) / f"{made[0]['id']}.cast").exists()
        assert ada.delete(f"/api/recordings/{made[1]['id']}").json() == {"success": True}
        for gone in (bob.get(one), bob.get(one + "/cast"), ann.delete(one), ann.get("/api/recordings/" + "x" * 40)):
            assert gone.status_code == 404
        (folder(server) / f"{made[2]['id']}.cast").unlink()
        gone = bob.get(f"/api/recordings/{made[2]['id']}/cast")
        assert (gone.status_code, gone.json()["details"]["code"]) == (404, "RECORDING_FILE_MISSING")
        assert ann.delete(f"/api/recordings/{made[2]['id']}").status_code == 200
    rows = [(action, target) for action, target, _ in audited(server) if target == f"tmux_recording:{made[0]['id']}"]
    kinds = ("started", "ended", "deleted")
    assert [action for action, _ in rows] == [f"tmux.recording_{kind}" for kind in kinds], "HEAD is no download"


@pytest.mark.parametrize("name", ["größe/ü", 'a"b\\c', "漢字", "x\u202eexe", "..", "%41;x=1"])
def test_names_of_files(server, tmux, name):
    tmux.new(name)
    listed = tmux.run("list-sessions", "-F", "#{session_id}").split()[-1]
    with api(server, "ann") as ann:
        made = post(ann, f"/api/sessions/{listed}/recording")
        answer = ann.get(f"/api/recordings/{made['id']}/cast")
        ann.delete(f"/api/sessions/{listed}/recording")
    plain, full = DOWNLOAD.fullmatch(answer.headers["content-disposition"]).groups()
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*-\d{8}-\d{6}\.cast", plain)
    exact = unquote(full)
    assert exact.endswith(plain[-20:])
    assert not re.search(r"[\x00-\x1f/\\:\"\u202e]", exact)
    assert not exact.startswith(".")


async def test_a_disk_that_takes_no_more(server, tmux, request):
    """The recording ends, all are told, its file can be read, and nothing else is hurt."""
    name = session(tmux, request, "exec sh")
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    with api(server, "ann") as ann:
        made = await asyncio.to_thread(post, ann, f"/api/sessions/{name}/recording")
        async with connect(server, "vic", f"/ws/terminal/{name}") as vic:
            await vic.next("output")
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (5_000_000, limits[1]))
            try:
                tmux.run("send-keys", "-t", name, "seq 1 1000000; echo the''end", "Enter")
                assert (await vic.next("recording", timeout=WAIT))["recording"] is None
                await vic.text("theend")
            finally:
                resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
        ended = ann.get(f"/api/recordings/{made['id']}").json()
        assert (ended["endReason"], ended["live"], ended["size"] > 1_000_000) == ("error", False, True)
        text = download(ann, made["id"])
        assert len(text.encode()) == ended["size"] == (folder(server) / f"{made['id']}.cast").stat().st_size
        assert "\r\n1000\r\n" in stream(text)
        assert post(ann, f"/api/sessions/{name}/recording")["live"]
        ann.delete(f"/api/sessions/{name}/recording")


@pytest.mark.slow
async def test_twenty_recordings_slow_nobody(server, tmux, request):
    """Key to output, with 20 busy sessions that are recorded and with the same 20 that are watched by a viewer each."""
    name = session(tmux, request)
    busy = [f"busy{number}" for number in range(20)]
    for each in busy:
        tmux.new(each, "i=0; while :; do i=$((i+1)); printf '%0200d\\r\\n' $i; sleep 0.02; done")

    async def delays(client):
        found = []
        for number in range(150):
            began = time.perf_counter()
            await client.send(type="sendKeys", sessionId=name, keys=f"<{number}>")
            await client.text(f"<{number}>")
            found.append((time.perf_counter() - began) * 1000)
        return sorted(found)

    def told(found):
        return f"p50 {found[75]:.1f} ms, p95 {found[142]:.1f} ms"

    async with connect(server, "ann") as client:
        await client.send(type="subscribe", sessionId=name)
        await client.next("output")
        alone = await delays(client)
        async with contextlib.AsyncExitStack() as stack:
            viewers = [await stack.enter_async_context(connect(server, "vic", f"/ws/terminal/{each}")) for each in busy]
            readers = [asyncio.create_task(viewer.closed()) for viewer in viewers]
            watched = await delays(client)
            for reader in readers:
                reader.cancel()
        with api(server, "ann") as ann:
            for each in busy:
                await asyncio.to_thread(post, ann, f"/api/sessions/{each}/recording")
            recorded = await delays(client)
            for each in busy:
                await asyncio.to_thread(ann.delete, f"/api/sessions/{each}/recording")
    for each in busy:
        tmux.run("kill-session", "-t", each)
    print(f"alone {told(alone)}; 20 watched {told(watched)}; 20 recorded {told(recorded)}")
    assert recorded[75] < 2 * watched[75] + 5
    assert recorded[142] < 2 * watched[142] + 20


# -- lives of their own ------------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmux_server, tmp_path):
    """Starts a server of the test's own; the users ann and ada are there."""
    with contextlib.ExitStack() as stack:

        def start(**options):
            server = stack.enter_context(serving(tmp_path, tmux_server, **options))
            server.add_user("ann", "operator")
            server.keys = {"ann": token(server, "ann")}
            return server

        yield start


def of_session(client, name):
    """A session's recordings, the newest first."""
    return client.get("/api/recordings", params={"session": name}).json()["recordings"]


async def test_policy_crash_and_restart(own, tmux_server):
    tmux_server.cat("prod-1")
    tmux_server.cat("other")
    server = await asyncio.to_thread(own, recording_sessions=["prod-*"], recording_input=True)
    with api(server, "ann") as ann:
        # A recording is listed a moment before it is live: its row is first, then its file.
        first = (await until(lambda: [one for one in of_session(ann, "prod-1") if one["live"]]))[0]
        assert first["startedBy"] is None
        assert of_session(ann, "other") == []
        refused = ann.delete("/api/sessions/prod-1/recording")
        assert (refused.status_code, refused.json()["details"]["code"]) == (403, "RECORDED_BY_POLICY")
        async with connect(server, "ann") as client:
            await client.send(type="subscribe", sessionId="prod-1")
            assert (await client.next("recording"))["recording"] == {
                "id": first["id"],
                "startedAt": first["startedAt"],
                "by": None,
                "input": True,
            }
            await client.send(type="sendKeys", sessionId="prod-1", keys="typed\n")
            await client.text("typed\r")
            # The client of tmux dies: the same recording goes on.
            for line in tmux_server.clients():
                if line.endswith("prod-1"):
                    os.kill(int(line.split()[0]), signal.SIGKILL)
            await client.next("output", snapshot=True)
            tmux_server.run("send-keys", "-t", "prod-1", "-l", "goes on")
            await client.text("goes on")
        tmux_server.new("prod-2")
        await until(lambda: of_session(ann, "prod-2"))
        text = download(ann, first["id"])
        assert stream(text, "i") == "typed\r"
        drawn = tmux_server.emulate(stream(text), cols=80, rows=24)
        assert tmux_server.capture(drawn) == tmux_server.capture("prod-1")
        tmux_server.run("send-keys", "-t", "prod-1", "-l", "!")
        file = folder(server) / f"{first['id']}.cast"
        await until(lambda: '"!"' in file.read_text())
        await asyncio.to_thread(server.kill)
        with file.open("ab") as crashed:
            crashed.write(b'[0.100, "o", "half of a li')
        await asyncio.to_thread(server.start)
        await until(
            # A recording is listed a moment before it is live: its row is first, then its file.
            lambda: (
                (found := of_session(ann, "prod-1"))[0]["live"] and len(found) == 2 and found[1]["endedAt"] and found
            )
        )
        second, was = of_session(ann, "prod-1")
        assert (second["live"], was["id"], was["endReason"]) == (True, first["id"], "interrupted")
        text = download(ann, first["id"])
        assert (was["size"], round(was["duration"], 3)) == (len(text.encode()), events(text)[1][-1][0])
        assert stream(text).endswith("!")
        assert await asyncio.to_thread(server.stop) == 0
        await asyncio.to_thread(server.start)
        stopped = (await until(lambda: len(found := of_session(ann, "prod-1")) == 3 and found))[1]
        assert (stopped["id"], stopped["endReason"]) == (second["id"], "server_stopped")
        assert events(download(ann, second["id"]))[1][-1][1:] == ("x", "0")
    assert "Traceback" not in server.stderr


async def test_bounds(own, tmux_server):
    """A recording ends when it is full, all together make room by the oldest, and what is too old goes."""
    tmux_server.new("main", "exec sh")
    # What is told at once, up to 64 KiB, is written whole or not at all: two fit in any case, and four never do.
    server = await asyncio.to_thread(
        own, recording_bytes=200_000, recordings_bytes=400_000, recording_days=1, scrollback_lines=10
    )
    with api(server, "ann") as ann:
        made = []
        for number in range(4):
            made.append((await asyncio.to_thread(post, ann, "/api/sessions/main/recording"))["id"])
            full = {"type": "recording", "sessionId": "main", "recording": None}
            async with connect(server, "ann", "/ws/terminal/main") as client:
                await client.next("output")
                tmux_server.run("send-keys", "-t", "main", f"seq 1 50000; echo the''end{number}", "Enter")
                # In whatever order: the recording is full before the program ends, and written by a thread.
                await client.text(f"theend{number}")
                while not any(message == {**message, **full} for message in client.messages):
                    await client.next("recording")
            ended = ann.get(f"/api/recordings/{made[-1]}").json()
            assert (ended["endReason"], 100_000 < ended["size"] <= 200_000) == ("size", True)
        # Room is made in the background.
        left = await until(lambda: len(found := of_session(ann, "main")) < 4 and found)
        assert len(left) > 1
        assert [r["id"] for r in left] == made[: -len(left) - 1 : -1], "the newest stay"
        reasons = await until(lambda: deleted(server))
        assert reasons == ["room"] * (4 - len(left))
        on_disk = sum(file.stat().st_size for file in folder(server).iterdir())
        assert on_disk == sum(r["size"] for r in left) <= 400_000
        await asyncio.to_thread(server.stop)
        with contextlib.closing(sqlite3.connect(server.data_dir / "moorage.db")) as database:
            database.execute(
                "UPDATE tmux_recordings SET ended_at = '2026-01-01 00:00:00+00:00' WHERE pid = ?", [made[-2]]
            )
            database.commit()
        await asyncio.to_thread(server.start)
        found = await until(lambda: len(found := of_session(ann, "main")) < len(left) and found)
        assert [r["id"] for r in found] == [r["id"] for r in left if r["id"] != made[-2]]
        assert not (folder(server) / f"{made[-2]}.cast").exists()
        assert (await until(lambda: deleted(server)[len(reasons) :])) == ["retention"]


@pytest.mark.slow
async def test_policy_goes_on_in_another_file(own, tmux_server):
    tmux_server.new("busy", "while :; do printf '%03000d\\r\\n' 1; sleep 0.05; done")
    server = await asyncio.to_thread(own, recording="always", recording_bytes=100_000, scrollback_lines=0)
    with api(server, "ann") as ann:
        found = await until(lambda: len(found := of_session(ann, "busy")) > 2 and found, timeout=40)
    assert {recording["endReason"] for recording in found[1:]} == {"size"}
    begun = [datetime.fromisoformat(recording["startedAt"]) for recording in found]
    ended = [datetime.fromisoformat(recording["endedAt"]) for recording in found[1:]]
    assert all((begin - end).total_seconds() < 6 for begin, end in zip(begun, ended, strict=False))


def deleted(server):
    """The reasons why recordings were deleted."""
    with contextlib.closing(sqlite3.connect(f"file:{server.data_dir}/moorage.db?mode=ro", uri=True)) as database:
        query = "SELECT data FROM core_audit_events WHERE action = 'tmux.recording_deleted' ORDER BY id"
        return [json.loads(data)["reason"] for (data,) in database.execute(query)]


def test_off(own, tmux_server):
    tmux_server.new("main")
    server = own(recording="off", recording_sessions=["*"])
    with api(server, "ann") as ann:
        refused = ann.post("/api/sessions/main/recording")
        assert (refused.status_code, refused.json()["details"]["code"]) == (403, "RECORDING_OFF")
        assert ann.get("/api/recordings").json() == {"recordings": [], "total": 0}
        (folder(server).parent / "recordings").write_text("no folder")
        # What cannot be stored is refused in clear words.
    server.stop()
    server.write_config({"plugins": {"tmux": {"recording": "request", "recording_sessions": []}}})
    server.start()
    with api(server, "ann") as ann:
        refused = ann.post("/api/sessions/main/recording")
        assert (refused.status_code, refused.json()["error"]) == (503, "INSUFFICIENT_STORAGE")
        assert ann.get("/api/sessions/main").json()["recording"] is None
        assert ann.get("/api/recordings").json()["total"] == 0
