"""The asciicast format, the files, and the way of lines from the event loop to the disk."""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from moorage_tmux.recording import cast
from moorage_tmux.recording.files import CastFile, Folder, pieces
from moorage_tmux.recording.policy import Policy
from moorage_tmux.recording.recorder import LAG_BYTES, Recorder
from moorage_tmux.sessions import active_pane
from waits import WAIT

AT = datetime(2026, 11, 21, 8, 0, 0, 500_000, UTC)
ODD = 'a\x00\x1b[31m\x07"\\\r\n\t\x7f\x85\u2028é漢\U0001f600'


def written(*events):
    """A file's text: (seconds, code, text) after a header."""
    clock = cast.Clock()
    lines = [clock.line(at, code, cast.literal(text)) for at, code, text in events]
    return cast.header(80, 24, at=AT, title=ODD) + "".join(lines)


def as_version_2(folder, text):
    file = folder / "x.cast"
    file.write_bytes(text.encode())
    return b"".join(pieces(file.open("rb"), len(text.encode()), version_2=True)).decode()


def test_version_3():
    lines = written((0, "o", ODD), (1.2344, "o", "b"), (1.2346, "r", "90x30"), (1.0, "m", ""), (61, "x", "0")).split(
        "\n"
    )
    assert lines.pop() == ""
    head = json.loads(lines[0])
    assert head == {
        "version": 3,
        "term": {"cols": 80, "rows": 24, "type": "xterm-256color"},
        "timestamp": 1795248000,
        "title": ODD,
    }
    assert [json.loads(line) for line in lines[1:]] == [
        [0.0, "o", ODD],
        [1.234, "o", "b"],
        [0.001, "r", "90x30"],
        [0.0, "m", ""],
        [59.765, "x", "0"],
    ]
    assert all(char.isprintable() for line in lines for char in line), "what is not printable is escaped"
    assert all(line.split(", ", 1)[0].lstrip("[").replace(".", "").isdigit() for line in lines[1:])


def test_intervals_do_not_drift():
    clock, rng, at, told = cast.Clock(), random.Random(4), 0.0, 0
    for _ in range(10_000):
        at += rng.random() / 100
        told += cast.interval(clock.line(at, "o", '""').encode())
    assert abs(told - at * 1000) <= 1


def test_version_2_has_the_same_content(tmp_path):
    rng = random.Random(1)
    seconds, events = 0.0, []
    for _ in range(300):
        seconds += rng.random()
        events.append((seconds, rng.choice("oiorm"), "".join(rng.choices(ODD, k=rng.randrange(4000)))))
    text = written(*events, (seconds, "x", "0"))
    lines = as_version_2(tmp_path, text).split("\n")
    assert lines.pop() == ""
    head = json.loads(lines[0])
    assert head == {
        "version": 2,
        "width": 80,
        "height": 24,
        "timestamp": 1795248000,
        "title": ODD,
        "env": {"TERM": "xterm-256color"},
    }
    assert [json.loads(line) for line in lines[1:]] == [[round(at, 3), code, data] for at, code, data in events]


def test_half_a_line_is_cut_off(tmp_path):
    folder = Folder(tmp_path / "recordings")
    text = written((1, "o", "one"), (2.5, "o", "two")).encode()
    for cut in ("", "[1.00", '[1.000, "o", "thr', '[x, "o", "y"]\n[1.0, "o", ""]\n', "\0\0\0\0\n"):
        pid = "rec_123456789012"
        folder.create(pid).close()
        folder.path(pid).write_bytes(text + cut.encode())
        assert folder.mend(pid) == (2.5, len(text)), cut
        assert folder.path(pid).read_bytes() == text
        folder.remove(pid)
    assert folder.mend("rec_000000000000") == (0.0, 0)
    for wrong in ("../rec_123456789012", "rec_12345678901/", "", "rec_" + "1" * 40):
        with pytest.raises(ValueError, match="not the id"):
            folder.path(wrong)


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    file = CastFile(tmp_path / "x.cast")
    file.write(["one\n"])
    real, left = os.write, [5]

    def write(fd, data):
        if not left[0]:
            raise OSError(28, "No space left on device")
        done = real(fd, data[: left[0]])
        left[0] -= done
        return done

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space"):
        file.write(["two\n", "three\n"])
    monkeypatch.undo()
    assert (tmp_path / "x.cast").read_text() == "one\n"
    file.write(["four\n"])
    file.close()
    assert (tmp_path / "x.cast").read_text() == "one\nfour\n"


def test_policy():
    always, some, none = Policy("always", []), Policy("request", ["prod-*", "a.b", "*[x]"]), Policy("off", ["*"])
    assert (always.active, some.active, none.active, Policy("request", []).active) == (True, True, False, False)
    assert (always.wants("x"), none.wants("x")) == (True, False)
    names = {"prod-1": True, "prod-": True, "my-prod-1": False, "a.b": True, "axb": False, "y[x]": True, "x": False}
    assert {name: some.wants(name) for name in names} == names


class Recording:
    """A recorder over an engine, whose disk can be made to hang."""

    def __init__(self, engine, watch, pane, path, limit=1 << 30):
        self.threads = ThreadPoolExecutor(1)
        self.path, self.ended, self.lags = path, [], 0
        self._free = threading.Event()
        self.recorder = Recorder(
            "rec_000000000000",
            watch.session,
            CastFile(path),
            by=None,
            at=AT,
            cols=pane.cols,
            rows=pane.rows,
            limit=limit,
            with_input=False,
            threads=self.threads,
            background=engine.background,
            told=self,
        )
        self.recorder.attach(watch, pane)

    def lost(self, recorder):
        self.ended.append("lost")

    def lagged(self, recorder):
        self.lags += 1

    def full(self, recorder):
        self.ended.append("size")

    def failed(self, recorder, error):
        self.ended.append(str(error))

    def written(self):
        pass

    def hang(self):
        self.threads.submit(self._free.wait)

    def go_on(self):
        self._free.set()

    async def finish(self):
        self.recorder.ending = True
        assert await self.recorder.finish("stopped") == "stopped"
        return [json.loads(line) for line in self.path.read_text().split("\n")[1:-1]]


async def recording(engine, name, path, **options):
    watch = await engine.watch(name)
    return Recording(engine, watch, active_pane(await watch.panes()), path, **options)


def output(events):
    return "".join(data for _, code, data in events if code == "o")


async def test_a_disk_that_hangs(tmux_server, engine, tmp_path, fake_socket):
    """What it does not take is left out, memory stays bounded, others see everything, and the end is exact."""
    tmux_server.cat("main")
    made = await recording(engine, "main", tmp_path / "x.cast")
    viewer = fake_socket()
    await engine.subscribe("main", viewer)
    made.hang()
    flood = tmux_server.folder / "flood"
    flood.write_bytes(b"".join(b"\x1b[3%dm%d: a line of a flood\r\n" % (n % 8, n) for n in range(150_000)))
    tmux_server.run("respawn-pane", "-k", "-t", "main", f"stty raw -echo; cat {flood}; printf 'the''end'; exec cat")
    tracemalloc.start()
    await viewer.until_text("theend", timeout=40)
    most = tracemalloc.get_traced_memory()[1] - sum(map(len, viewer.texts))
    tracemalloc.stop()
    assert made.recorder.viewer.lagging
    assert made.recorder.pending <= LAG_BYTES + (1 << 20)
    assert most < 6 * LAG_BYTES + 4 * (1 << 20), "the bound, and what the engine itself keeps"
    made.go_on()
    await asyncio.wait_for(made.recorder.wait_drained(), WAIT)
    tmux_server.run("send-keys", "-t", "main", "-l", "after")
    await viewer.until_text("after")
    async with asyncio.timeout(WAIT):
        while made.recorder.viewer.lagging:
            await asyncio.sleep(0.01)
    tmux_server.run("send-keys", "-t", "main", "-l", "wards")
    await viewer.until_text("wards")
    events = await made.finish()
    assert made.lags == 1
    assert sum("left out" in data for _, code, data in events if code == "m") == 1
    assert made.path.stat().st_size < 2 * LAG_BYTES + (1 << 21)
    pane = tmux_server.emulate(output(events), cols=80, rows=24)
    assert tmux_server.capture(pane, "-e") == tmux_server.capture("main", "-e")
    made.threads.shutdown()


async def test_a_flood_that_the_disk_takes(tmux_server, engine, tmp_path, fake_socket):
    """Every byte is there, however fast it came."""
    tmux_server.cat("main")
    made = await recording(engine, "main", tmp_path / "x.cast")
    flood = tmux_server.folder / "flood"
    flood.write_bytes(b"".join(b"%d: \xc3\xa4 line of a flood\r\n" % n for n in range(100_000)))
    tmux_server.run("respawn-pane", "-k", "-t", "main", f"stty raw -echo; cat {flood}; printf 'the''end'; exec cat")
    viewer = fake_socket()
    await engine.subscribe("main", viewer)
    await viewer.until_text("theend", timeout=40)
    events = await made.finish()
    assert not any(code == "m" and "left out" in data for _, code, data in events)
    text = output(events)
    assert flood.read_bytes().decode() + "theend" in text
    made.threads.shutdown()


async def test_the_bound_of_a_file(tmux_server, engine, tmp_path, fake_socket):
    tmux_server.cat("main")
    made = await recording(engine, "main", tmp_path / "x.cast", limit=64 * 1024)
    viewer = fake_socket()
    await engine.subscribe("main", viewer)
    tmux_server.run("respawn-pane", "-k", "-t", "main", "seq 1 30000; printf 'the''end'; exec sleep 1000")
    await viewer.until_text("theend", timeout=WAIT)
    assert made.ended == ["size"]
    events = await made.finish()
    assert [code for _, code, _ in events[-2:]] == ["m", "x"]
    assert made.path.stat().st_size <= 64 * 1024
    made.threads.shutdown()
