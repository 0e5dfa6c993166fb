"""What is tried by those who may not: narrow keys, half characters, screens that imitate tmux."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from moorage.api import Forbidden
from moorage_tmux.captures import _parse
from moorage_tmux.manage import Management
from terminals import api, connect, ids, session


@contextlib.contextmanager
def narrow(server, who, *scopes):
    """A further key of a user, with less than all of their rights, as `who-narrow`."""
    server.keys[f"{who}-narrow"] = server.key(who, *scopes)
    with api(server, f"{who}-narrow") as client:
        yield client


async def test_a_key_to_watch_with_gives_no_claim_away(server, tmux, request):
    name, who = session(tmux, request), await asyncio.to_thread(ids, server)
    path = f"/api/sessions/{name}"
    with api(server, "ann") as ann, narrow(server, "ann", "tmux:session:view") as key:
        async with connect(server, "bob") as bob, connect(server, "ann-narrow", f"/ws/terminal/{name}") as socket:
            await bob.send(type="subscribe", sessionId=name)
            await bob.next("output")
            await socket.next("output")
            assert (await asyncio.to_thread(ann.post, f"{path}/claim")).status_code == 200
            await bob.send(type="requestControl", sessionId=name)
            await bob.next("controlRequested")
            for call in (
                lambda: key.delete(f"{path}/claim"),
                lambda: key.post(f"{path}/claim/transfer", json={"userId": who["bob"]}),
                lambda: key.post(f"/api/terminal/sessions/{name}/release"),
                lambda: key.post(f"/api/terminal/sessions/{name}/keys", json={"keys": "x"}),
                lambda: key.patch(path, json={"name": "mine"}),
                lambda: key.post(f"{path}/windows", json={}),
                lambda: key.post(f"{path}/recording"),
                lambda: key.get("/api/recordings"),
            ):
                answer = await asyncio.to_thread(call)
                assert answer.status_code == 403, answer.text
            for message in (
                {"type": "release"},
                {"type": "handOver", "userId": who["bob"]},
                {"type": "declineControl", "userId": who["bob"]},
                {"type": "resize", "cols": 100, "rows": 30},
                {"type": "sendKeys", "keys": "x"},
            ):
                await socket.send(**message)
                assert (await socket.next("error"))["code"] in ("FORBIDDEN", "NOT_OPERATOR"), message
            claim = (await asyncio.to_thread(ann.get, path)).json()["claim"]
            assert claim is not None
            assert claim["userId"] == who["ann"]
            assert (await asyncio.to_thread(ann.delete, f"{path}/claim")).status_code == 200


async def test_half_characters_are_bad_input_and_no_fault(server, tmux, request):
    name = session(tmux, request)
    async with connect(server, "ann") as ann, connect(server, "ann", f"/ws/terminal/{name}") as own:
        await own.next("output")
        await own.send(type="claim")
        await own.next("claimed")
        for text in (
            '{"type":"sendKeys","sessionId":"NAME","keys":"a\\ud800"}',
            '{"type":"subscribe","sessionId":"\\ud800"}',
            '{"type":"claim","sessionId":"\\ud800x"}',
            '{"type":"subscribe","sessionId":"NAME","pane":"\\udfff"}',
            '{"type":"handOver","sessionId":"NAME","userId":"\\ud800"}',
            '{"type":"\\ud800"}',
        ):
            for client in (ann, own):
                await client.send(text.replace("NAME", name))
                error = await client.next("error")
                assert error["code"] != "INTERNAL_ERROR", (text, error)
        with api(server, "ann") as http:
            body = b'{"keys":"a\\ud800"}'
            sent = {"content": body, "headers": {"Content-Type": "application/json"}}
            answer = await asyncio.to_thread(lambda: http.post(f"/api/terminal/sessions/{name}/keys", **sent))
            assert answer.status_code in (400, 422), answer.text
            for where in ("/api/sessions", f"/api/sessions/{name}/windows"):
                sent["content"] = b'{"name":"a\\ud800"}'
                answer = await asyncio.to_thread(functools.partial(http.post, where, **sent))
                assert answer.status_code in (400, 422), answer.text
        await own.send(type="release")


def test_one_line_without_end_is_read_in_time_that_is_linear():
    def seconds(rows, cols=200):
        line = "x" * (rows * cols)
        cut = [line[start : start + cols] for start in range(0, len(line), cols)]
        data = "\n".join((f"{rows - 24} 24", *cut, line, "")).encode()
        best = 1e9
        for _ in range(2):
            began = time.thread_time()
            found = _parse(data, -rows, 32767)
            best = min(best, time.thread_time() - began)
        assert found.lines() == [(0, rows)]
        return best

    assert seconds(32_000) < 25 * seconds(4_000), "eight times the rows"


def number_of_now(tmux, name):
    """tmux's count of commands, which replies bear."""
    said = tmux.run(
        "-C", "attach-session", "-t", name, "-f", "ignore-size,read-only", stdin=b"display-message -p x\n\n"
    )
    return max(int(line.split()[2]) for line in said.splitlines() if line.startswith("%begin"))


async def test_a_screen_that_imitates_the_end_of_an_answer(server, tmux, request):
    """A reply of tmux ends at a line that repeats its beginning, `time number flags`: a program may print a guess."""
    name = request.node.name
    tmux.new(name, cols=80, rows=300)
    tty = tmux.run("display-message", "-p", "-t", f"{name}:", "#{pane_tty}").strip()
    with api(server, "vic") as vic:
        for _ in range(8):
            number = number_of_now(tmux, name)
            now = int(time.time() + 0.15)
            lines = [f"%end {now} {number + ahead} 1" for ahead in range(1, 290)]
            Path(tty).write_text("\x1b[H\x1b[2J" + "\r\n".join(lines))
            await asyncio.sleep(0.05)
            answer = await asyncio.to_thread(vic.get, f"/api/sessions/{name}")
            assert answer.status_code == 200, answer.text
            assert len(answer.json()["windows"][0]["panes"][0]["content"].split("\n")) == 289
            listed = await asyncio.to_thread(vic.get, "/api/sessions")
            assert name in [each["name"] for each in listed.json()["sessions"]]


async def test_a_half_sequence_that_imitates_the_end_of_an_answer(server, tmux, request):
    name = session(tmux, request, "stty -opost; exec sleep 1000")
    pane, tty = tmux.run("display-message", "-p", "-t", f"{name}:", "#{pane_id} #{pane_tty}").split()
    for _ in range(3):
        number, now = number_of_now(tmux, name), int(time.time())
        guesses = [(second, number + ahead) for second in (now, now + 1) for ahead in range(1, 60)]
        lines = "".join(f"\n%end {at} {guess} 1\n%output {pane} INJECTED" for at, guess in guesses)
        Path(tty).write_text(f"\x1b\\\x1b]0;{lines}\n")
        await asyncio.sleep(0.1)
        async with connect(server, "vic", f"/ws/terminal/{name}") as vic:
            await vic.next("output")
            await asyncio.to_thread(Path(tty).write_text, "\x1b\\the end")
            await vic.text("the end")
            said = [each["data"] for each in vic.messages if each["type"] == "output"]
            assert not [data for data in said if data.startswith("INJECTED")], "what tmux seemed to say"


@pytest.mark.parametrize(
    ("half", "rest", "shown"),
    [
        ("\x1b]52;c;", "QUJD\x07", ""),
        ("\x1b[", "c", ""),
        ("\x1bP$q", "m\x1b\\", ""),
        ("\x1b[1;3", "1m", "\x1b[1;31m"),
        ("\x1b]8;;http://", "x.example\x1b\\", "\x1b]8;;http://x.example\x1b\\"),
    ],
)
async def test_who_joins_in_the_middle_of_a_sequence_is_shown_no_more_of_it(server, tmux, request, half, rest, shown):
    name = f"half-{abs(hash(half))}"
    tmux.new(name)
    tty = tmux.run("display-message", "-p", "-t", f"{name}:", "#{pane_tty}").strip()
    await asyncio.to_thread(Path(tty).write_text, half)
    await asyncio.sleep(0.1)
    async with connect(server, "vic", f"/ws/terminal/{name}") as vic:
        first = await vic.next("output", snapshot=True)
        await asyncio.to_thread(Path(tty).write_text, rest + "the end")
        text = first["data"] + await vic.text("the end")
        before, _, _ = text.partition(f"{shown}the end")  # tmux answers the question, which the terminal echoes.
        assert "the end" not in before, text
        assert half not in before.removeprefix("\x1b[?1049l\x1bc\x1b[3J\x1b[H\x1b[2J\x1b)0\x1b[0m\x1b[1;1H"), text


async def test_a_claim_that_is_taken_while_tmux_is_asked_counts(monkeypatch):
    taken, done = [], []

    def check_free(key, actor):
        if taken:
            raise Forbidden("Session is claimed by another user")

    async def find(name):
        return SimpleNamespace(key="key", id="$1", name=name)

    async def panes(session):
        taken.append(session)
        return [SimpleNamespace(id="%1", window_id="@1")]

    async def run(*arguments, **options):
        done.append(arguments)

    claims = SimpleNamespace(check_free=check_free, get=lambda key: None)
    hub = SimpleNamespace(access=SimpleNamespace(can=lambda actor, permission: True))
    manage = Management(SimpleNamespace(hub=hub, claims=claims, find=find))
    monkeypatch.setattr(manage, "_panes", panes)
    monkeypatch.setattr(manage, "_run", run)
    with pytest.raises(Forbidden):
        await manage.delete_pane("main", None, "%1")
    assert done == []
