"""The engine over a real tmux: what goes wrong in the world, and what viewers see of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from dataclasses import replace

import pytest
from moorage_tmux import directory, snapshot
from moorage_tmux.client import ControlClient
from moorage_tmux.keys import to_text, type_into
from moorage_tmux.sessions import resolve
from moorage_tmux.tmux import Tmux, TmuxError, TmuxGone
from waits import WAIT


async def until(condition, timeout=WAIT):
    """Wait for what only tmux knows."""
    async with asyncio.timeout(timeout):
        while not (result := condition()):
            await asyncio.sleep(0.01)
    return result


def outputs(socket):
    return [message for message in socket.messages if message["type"] == "output"]


async def joined(engine, socket, name="main", **options):
    """Subscribe and wait for the first screen."""
    subscription = await engine.subscribe(name, socket, **options)
    await socket.until(lambda messages: messages)
    return subscription


async def test_a_viewer_who_never_reads_hurts_nobody(tmux_server, engine, fake_socket):
    tmux_server.new("main", "stty -echo; exec sh")
    reads, stuck = fake_socket(), fake_socket()
    subscription = await joined(engine, reads)
    await joined(engine, stuck)
    stuck.stuck = True
    await type_into(subscription.watch, subscription.pane, "seq 1 400000; echo the'end'\r")
    await reads.until_text("theend", 30)
    assert stuck.pending <= stuck.capacity
    got = sum(len(text) for text in stuck.texts)
    assert got < stuck.capacity + 300_000, "it was sent no more than its bound"
    assert not any(message.get("snapshot") for message in outputs(reads)[1:]), "the others got every byte"
    before = len(stuck.texts)
    stuck.unstick()
    # What had been handed over before it was behind may come first.
    await stuck.until(lambda messages: any(one.get("snapshot") for one in messages[before:]))
    fresh = next(one for one in stuck.messages[before:] if one.get("snapshot"))
    assert "theend" in fresh["data"], "caught up by a fresh screen"
    await type_into(subscription.watch, subscription.pane, "echo more'over'\r")
    await stuck.until_text("moreover")


async def test_ctrl_c_bites_under_a_flood(tmux_server, engine, fake_socket):
    tmux_server.new("main", "exec sh")
    socket = fake_socket()
    subscription = await joined(engine, socket)
    await type_into(subscription.watch, subscription.pane, "seq 1 100000000\r")
    await socket.until(lambda messages: len(messages) > 20)
    began = time.monotonic()
    await type_into(subscription.watch, subscription.pane, "\x03")
    await type_into(subscription.watch, subscription.pane, "echo stop'ped'\r")
    await socket.until_text("stopped")
    assert time.monotonic() - began < 3


async def test_a_screen_that_imitates_the_protocol(tmux_server, engine, fake_socket, terminal_stream):
    lines = ["%end 1 2 1", "%error 1 2 1", "%exit", "%output %0 lie", "%session-changed $9 x", "\\134 %begin 1 2 1"]
    words = " ".join(f"'{line}'" for line in lines)
    pane = tmux_server.new("main", f"printf '%s\\n' {words}; exec sleep 1000")
    await until(lambda: "%begin" in tmux_server.run("capture-pane", "-p", "-t", pane))
    socket = fake_socket()
    subscription = await joined(engine, socket)
    drawn = await asyncio.to_thread(tmux_server.emulate, terminal_stream(socket.messages), cols=80, rows=24)
    assert tmux_server.capture(drawn) == tmux_server.capture(pane)
    assert subscription.watch.client.alive
    assert not engine.lost


async def test_a_screen_that_holds_the_very_end_of_its_own_capture(tmux_server, engine, fake_socket):
    """The guard of the next capture is guessed right: still the whole screen comes through, and nothing beyond it."""
    # tmux stores rows in quarters of the width: at 84 columns a row of 21 characters has no blanks after it.
    pane = tmux_server.cat("main", cols=84)
    socket = fake_socket()
    subscription = await joined(engine, socket)
    watch = subscription.watch
    said = tmux_server.run("-C", "attach-session", "-t", "main", stdin=b"display-message -p x\n")
    *_, last = (line.split() for line in said.split("\n") if line.startswith("%begin "))
    now, number = int(last[1]), int(last[2])
    guards = [f"%end {now + late} {number + more} 1\r\n" for late in range(3) for more in range(300)]
    await type_into(watch, subscription.pane, "".join(guards) + "%output %0 lie\r\nlast line\r\n")
    await socket.until_text("last line")
    late = fake_socket()
    await joined(engine, late)
    data = outputs(late)[0]["data"]
    assert data.count("%end") == len(guards), "every row came through"
    assert "last line" in data
    await type_into(watch, subscription.pane, "more")
    await late.until_text("more")
    assert outputs(late)[1]["data"] == "more", "no row was taken for output"
    assert watch.client.alive
    assert pane in {p.id for p in await watch.panes()}


async def test_the_session_is_killed(tmux_server, engine, fake_socket):
    tmux_server.new("keeper")
    tmux_server.new("main")
    socket = fake_socket()
    subscription = await joined(engine, socket)
    tmux_server.run("kill-session", "-t", "main")
    await until(lambda: engine.lost)
    assert engine.lost == [(subscription, "Session ended")]
    assert len(engine.pool) == 0
    assert [session.name for session in await engine.directory.sessions()] == ["keeper"]


async def test_tmux_would_move_our_client_to_another_session(tmux_server, engine, fake_socket):
    tmux_server.new("keeper", "printf secret; exec sleep 1000")
    tmux_server.new("main")
    tmux_server.run("set-option", "-g", "detach-on-destroy", "off")
    socket = fake_socket()
    await joined(engine, socket)
    tmux_server.run("kill-session", "-t", "main")
    await until(lambda: engine.lost)
    assert "secret" not in "".join(socket.texts)
    await until(lambda: len([line for line in tmux_server.clients() if "keeper" in line]) <= 1)


async def test_the_server_is_killed_and_comes_back(tmux_server, engine, fake_socket):
    tmux_server.new("main")
    first = fake_socket()
    await joined(engine, first)
    old = (await engine.directory.sessions())[0]
    tmux_server.run("kill-server")
    await until(lambda: engine.lost)
    assert await engine.directory.sessions() == []
    tmux_server.new("main", "printf reborn; exec sleep 1000")
    new = await engine.directory.find("main")
    assert new is not None
    assert new.id == old.id
    assert new.key != old.key, "another life has another key, though tmux gives the id again"
    second = fake_socket()
    await joined(engine, second)
    await second.until_text("reborn")


async def test_our_client_dies_and_the_session_lives(tmux_server, engine, fake_socket):
    tmux_server.cat("main")
    socket = fake_socket()
    subscription = await joined(engine, socket)
    await type_into(subscription.watch, subscription.pane, "before")
    await socket.until_text("before")
    seen = len(socket.texts)
    os.kill(subscription.watch.client.pid, signal.SIGKILL)
    await socket.until(lambda messages: len(messages) > seen)
    assert socket.messages[seen]["snapshot"]
    await type_into(subscription.watch, subscription.pane, "after")
    await socket.until_text("after")
    assert not engine.lost


async def test_lost_output_ends_in_a_fresh_screen(tmux_server, engine, fake_socket):
    """tmux pauses a pane for a client that does not read in time, and drops what comes meanwhile."""
    tmux_server.new("main", "stty -echo; exec sh")
    tmux_server.new("keeper")
    # Somebody else reads, or the program would be stopped instead.
    await engine.watch("keeper")
    socket = fake_socket()
    subscription = await joined(engine, socket)
    seq = outputs(socket)[-1]["seq"]
    client = subscription.watch.client
    await client.call("refresh-client -f pause-after=1")
    other = await asyncio.create_subprocess_exec(
        "tmux",
        "-L",
        tmux_server.name,
        "-C",
        "attach",
        "-t",
        "main",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    paused = []
    client._on_event = lambda event, real=client._on_event: (paused.append(event), real(event))
    enough = tmux_server.folder / "enough"
    flood = f"while [ ! -e {enough} ]; do seq 1 1000; done; echo the'end'\r"
    await type_into(subscription.watch, subscription.pane, flood)
    time.sleep(2.2)  # The loop itself must stand still, as under a load that is too much for it.
    enough.touch()
    await socket.until_text("theend", 30)
    assert any(getattr(event, "name", "") == "pause" for event in paused)
    assert any(message.get("snapshot") for message in outputs(socket)[1:])
    again = fake_socket()
    await joined(engine, again, since=seq)
    assert outputs(again)[0].get("snapshot"), "nobody resumes over a gap"
    other.terminate()
    await other.wait()


async def test_sessions_of_any_name(tmux_server, engine, fake_socket):
    names = [
        "with space",
        "per%cent",
        "$dollar",
        "it's",
        'dou"ble',
        "emoji \U0001f600",
        "a;b",
        "=x",
        "@1",
        "%0",
        "\\back",
    ]
    for number, name in enumerate(names):
        tmux_server.new(name, f"printf 'this is {number}.'; exec sleep 1000")
    tmux_server.new("dot.and:colon")
    listed = {session.name for session in await engine.directory.sessions()}
    assert listed == set(tmux_server.run("list-sessions", "-F", "#{session_name}").split("\n")) - {""}
    assert {"with space", "per%cent", "it's", 'dou"ble', "emoji \U0001f600"} <= listed
    assert listed & {"dot_and_colon", "dot.and:colon"}, "tmux 3.8 keeps them"
    for number, name in enumerate(names):
        socket = fake_socket()
        await joined(engine, socket, name)
        await socket.until_text(f"this is {number}.")
    assert await engine.directory.find("nope") is None
    first = await engine.directory.find("with space")
    assert await engine.directory.find(first.id) == first, "the id stands for a name that nobody has"


async def test_panes_where_counting_begins_at_one(tmux_server, engine):
    tmux_server.new("keeper")
    tmux_server.run("set-option", "-g", "base-index", "1")
    tmux_server.run("set-option", "-g", "pane-base-index", "1")
    first = tmux_server.new("main")
    second = tmux_server.run("split-window", "-d", "-P", "-F", "#{pane_id}", "-t", first, "sleep 1000").strip()
    other = tmux_server.run("new-window", "-d", "-P", "-F", "#{pane_id}", "-t", "main:", "sleep 1000").strip()
    foreign = tmux_server.run("list-panes", "-t", "keeper", "-F", "#{pane_id}").strip()
    panes = await (await engine.watch("main")).panes()

    def found(spec):
        pane = resolve(panes, spec)
        return pane.id if pane else None

    assert found(None) == found("1") == found("0") == found("1.1") == found("0.0") == first
    assert found("2") == found("1.2") == second
    assert found("2.1") == found("2.0") == found(other) == other
    for bad in ("3", "1.3", "9.1", foreign, "", "x", "1.", ".1", "-1", "1;2", "%", "1.1.1", "99999999999", "1\n", "١"):
        assert found(bad) is None, bad


async def test_typing_is_exact(tmux_server, engine, fake_socket):
    target = tmux_server.folder / "typed"
    size = 1_000_000
    tmux_server.new("main", f"stty raw -echo; printf ready; head -c {size} > {target}; {tmux_server.signal('typed')}")
    tmux_server.new("keeper")
    socket = fake_socket()
    subscription = await joined(engine, socket)
    await socket.until_text("ready")
    short = "a'b\"c\\$HOME `x` #{pid} ~ ; %0 \x00\x1b[A\t\x7f\r ünï 漢字\U0001f600 {}"
    long = ("line 'quoted' \"twice\" $HOME ~ #{pid} ; \\n \x1b[1;5A\x7f\t größe \U0001f600 {a} %end 1 2 3\r" * 20_000)[
        :900_000
    ]
    with_nul = "x" * 300 + "\0" + "y" * 300
    text = short + with_nul + long
    text = text.encode()[:size].decode("utf-8", "ignore")
    text += "z" * (size - len(text.encode()))
    await type_into(subscription.watch, subscription.pane, text[: len(short)])
    await type_into(subscription.watch, subscription.pane, text[len(short) : len(short) + len(with_nul)])
    finished = asyncio.create_task(tmux_server.wait("typed"))
    await type_into(subscription.watch, subscription.pane, text[len(short) + len(with_nul) :])
    await finished
    assert target.read_bytes() == text.encode()
    assert tmux_server.run("list-buffers") == "", "no paste buffer is left behind"


def test_line_ends_act_as_enter():
    assert to_text("ls\na\r\nb\rc", raw=False) == "ls\ra\rb\rc"
    assert to_text("ls\na\r\nb", raw=True) == "ls\na\r\nb"
    with pytest.raises(ValueError):
        to_text("\ud800", raw=False)


async def test_two_who_type_at_once_are_not_mixed(tmux_server, engine, fake_socket):
    tmux_server.cat("main", cols=200)
    socket = fake_socket()
    subscription = await joined(engine, socket)
    texts = [letter * 30_000 + "\r\n" for letter in "abc"]
    await asyncio.gather(*(type_into(subscription.watch, subscription.pane, text) for text in texts))
    await type_into(subscription.watch, subscription.pane, "theend")
    await socket.until_text("theend")
    stream = "".join(message["data"] for message in outputs(socket)[1:]).replace("\r", "").replace("\n", "")
    assert stream == "".join(text.strip() for text in texts) + "theend"


async def test_resume_by_position(tmux_server, engine, fake_socket):
    tmux_server.cat("main")
    socket = fake_socket()
    subscription = await joined(engine, socket)
    watch, pane = subscription.watch, subscription.pane
    await type_into(watch, pane, "one ")
    await socket.until_text("one ")
    seq = outputs(socket)[-1]["seq"]
    subscription.watch.remove(subscription)
    await type_into(watch, pane, "two größe ")
    back = fake_socket()
    await joined(engine, back, since=seq)
    await back.until_text("two größe ")
    assert not any(message.get("snapshot") for message in outputs(back)), "only what was missed"
    assert "".join(message["data"] for message in outputs(back)) == "two größe "
    stranger = fake_socket()
    await joined(engine, stranger, since=12345)
    assert outputs(stranger)[0]["snapshot"]


async def test_a_pane_that_is_resized_is_drawn_anew(tmux_server, engine, fake_socket):
    tmux_server.cat("main", cols=80, rows=24)
    socket = fake_socket()
    await joined(engine, socket)
    assert (outputs(socket)[0]["cols"], outputs(socket)[0]["rows"]) == (80, 24)
    tmux_server.run("resize-window", "-t", "main", "-x", "100", "-y", "30")
    await socket.until(lambda messages: messages[-1].get("cols") == 100)
    assert outputs(socket)[-1]["rows"] == 30


async def test_viewers_follow_the_active_pane_or_stay(tmux_server, engine, fake_socket):
    first = tmux_server.cat("main")
    follows, stays = fake_socket(), fake_socket()
    await joined(engine, follows)
    await joined(engine, stays, pane="0.0")
    second = tmux_server.run(
        "new-window", "-P", "-F", "#{pane_id}", "-t", "main:", "printf second; exec sleep 1000"
    ).strip()
    await follows.until_text("second")
    assert outputs(follows)[-1]["paneId"] == second
    tmux_server.run("send-keys", "-t", first, "-l", "in the first")
    await stays.until_text("in the first")
    assert {message["pane"] for message in outputs(stays)} == {"0.0"}
    tmux_server.run("kill-pane", "-t", second)
    await follows.until_text("in the first")
    assert not engine.lost
    tmux_server.run("new-window", "-t", "main:", "sleep 1000")
    tmux_server.run("kill-pane", "-t", first)
    await until(lambda: engine.lost)
    assert [(sub.label, reason) for sub, reason in engine.lost] == [("0.0", "Pane closed")]


async def test_attached_in_the_middle_of_a_sequence(tmux_server, engine, fake_socket, terminal_stream):
    pane = tmux_server.new(
        "main", "stty raw -echo; printf 'plain \\033[31'; tmux wait-for go; printf 'mred'; exec sleep 1000"
    )
    await until(lambda: "plain" in tmux_server.run("capture-pane", "-p", "-t", pane))
    socket = fake_socket()
    await joined(engine, socket)
    tmux_server.run("wait-for", "-S", "go")
    await socket.until_text("red")
    drawn = await asyncio.to_thread(tmux_server.emulate, terminal_stream(socket.messages), cols=80, rows=24)
    assert tmux_server.capture(drawn, "-e") == tmux_server.capture(pane, "-e")
    assert "\x1b[31mred" in tmux_server.capture(pane, "-e")[0]


async def test_scrollback_comes_with_the_screen(tmux_server, engine, fake_socket, terminal_stream):
    pane = tmux_server.new("main", "seq 1 500; exec sleep 1000", cols=40, rows=10)
    await until(lambda: "500" in tmux_server.run("capture-pane", "-p", "-t", pane))
    socket = fake_socket()
    await joined(engine, socket)
    drawn = await asyncio.to_thread(tmux_server.emulate, terminal_stream(socket.messages), cols=40, rows=10)
    assert tmux_server.capture(drawn, "-S", "-") == tmux_server.capture(pane, "-S", "-")


async def test_a_crowd_that_joins_at_once_costs_one_capture(tmux_server, engine, fake_socket, monkeypatch):
    tmux_server.cat("main")
    made = []
    monkeypatch.setattr(snapshot, "command", lambda *args, real=snapshot.command: made.append(args) or real(*args))
    watch = await engine.watch("main")
    sockets = [fake_socket() for _ in range(100)]
    await asyncio.gather(*(engine.subscribe("main", socket) for socket in sockets))
    for socket in sockets:
        await socket.until(lambda messages: messages)
    assert len(made) <= 3
    pane = next(iter(watch.subscriptions)).pane
    await type_into(watch, pane, "to all")
    for socket in sockets:
        await socket.until_text("to all")
    assert len({socket.texts[-1] for socket in sockets}) == 1


async def test_nothing_runs_when_nobody_watches(tmux_server, fake_socket, engine):
    tmux_server.cat("main")
    engine.pool._settings = type(engine.pool._settings)(linger=0.05)
    engine.directory._linger = 0.05
    socket = fake_socket()
    subscription = await joined(engine, socket)
    pid = subscription.watch.client.pid
    subscription.watch.remove(subscription)
    await until(lambda: tmux_server.clients() == [])
    await until(lambda: not os.path.exists(f"/proc/{pid}"))
    again = fake_socket()
    await joined(engine, again)


async def test_a_watch_does_not_end_before_the_eyes_of_who_is_about_to_subscribe(tmux_server, fake_socket, engine):
    tmux_server.cat("main")
    engine.pool._settings = replace(engine.pool._settings, linger=0.05)
    watch = await engine.watch("main")
    asking = asyncio.create_task(watch.panes())
    await asyncio.sleep(0)
    engine.pool._expire(watch)
    pane = (await asking)[0]
    assert not watch.ended
    async with watch.typing(pane.id):
        engine.pool._expire(watch)
        assert await watch.panes()
    await until(lambda: watch.ended)


async def test_a_client_that_ends_behind_its_answer_is_not_kept(tmux_server, fake_socket, engine, monkeypatch):
    tmux_server.cat("main")
    session = await engine.directory.find("main")
    answered = ControlClient.call

    async def call(self, command, **options):
        replies = await answered(self, command, **options)
        os.kill(self.pid, signal.SIGKILL)
        await until(lambda: not self.alive)
        return replies

    with monkeypatch.context() as patched:
        patched.setattr(ControlClient, "call", call)
        with pytest.raises(TmuxGone):
            await engine.pool.acquire(session)
    await joined(engine, fake_socket())


async def test_what_raises_in_the_reader_is_told_and_costs_no_more_than_the_client(
    tmux_server, fake_socket, engine, monkeypatch
):
    tmux_server.cat("main")
    socket, faults = fake_socket(), []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context["exception"]))
    subscription = await joined(engine, socket)
    watch = subscription.watch
    client, stream = watch.client, watch.feed(subscription.pane).stream
    append, fault = stream.append, RuntimeError("a fault")

    def fail(data):
        monkeypatch.setattr(stream, "append", append)
        raise fault

    monkeypatch.setattr(stream, "append", fail)
    tmux_server.run("send-keys", "-t", "main", "-l", "typed")
    await socket.until(lambda messages: sum(bool(message.get("snapshot")) for message in messages) == 2)
    assert faults == [fault]
    assert "typed" in outputs(socket)[-1]["data"]
    assert watch.client is not client
    await type_into(watch, subscription.pane, "more")
    await socket.until_text("more")

    # Whoever waits for the answer that could not be taken is told.
    def refuse(panes):
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(watch, "_arrange", refuse)
        with pytest.raises(TmuxError):
            await watch.panes()
    assert faults == [fault, fault]
    await socket.until(lambda messages: sum(bool(message.get("snapshot")) for message in messages) == 3)


async def test_changes_are_told_while_somebody_listens(tmux_server, engine):
    engine.directory.hold("test")
    await until(lambda: engine.changes == [[]])
    tmux_server.new("main")
    await until(lambda: engine.changes and [s.name for s in engine.changes[-1]] == ["main"])
    tmux_server.run("rename-session", "-t", "main", "other")
    await until(lambda: [s.name for s in engine.changes[-1]] == ["other"])
    tmux_server.run("new-window", "-t", "other:", "sleep 1000")
    await until(lambda: [s.windows for s in engine.changes[-1]] == [2])
    assert not engine.changes[-1][0].attached, "our own client does not count"
    tmux_server.new("second")
    await until(lambda: len(engine.changes[-1]) == 2)
    tmux_server.run("kill-session", "-t", "other")
    await until(lambda: [s.name for s in engine.changes[-1]] == ["second"])
    tmux_server.run("kill-server")
    await until(lambda: engine.changes[-1] == [])
    engine.directory.drop("test")


async def test_waiting_for_a_tmux_server_costs_little(tmux_server, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(directory, "POLL_SECONDS", 0.2)
    calls = tmp_path / "calls"
    program = tmp_path / "tmux"
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexec {shutil.which("tmux")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(engine.directory, "_tmux", replace(tmux_server.tmux, binary=str(program)))
    started = time.monotonic()
    engine.directory.hold("test")
    await until(lambda: calls.exists() and len(calls.read_text().splitlines()) >= 3)
    assert time.monotonic() - started >= 0.4, "it looks at each poll, and not at once again"
    assert "-C" not in calls.read_text().split(), "a control client could crash a tmux that is just starting"
    tmux_server.new("main")
    await until(lambda: engine.changes and [s.name for s in engine.changes[-1]] == ["main"])
    engine.directory.drop("test")


async def test_a_tmux_that_hangs_is_given_up(tmux_server):
    tmux_server.new("main")
    server = int(tmux_server.run("display-message", "-p", "#{pid}"))
    ended = asyncio.get_running_loop().create_future()
    client = ControlClient(tmux_server.tmux, timeout=0.3, on_event=lambda event: None, on_exit=ended.set_result)
    await client.start()
    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(TmuxError, match="in time"):
            await client.call("list-sessions")
        assert "stopped answering" in await asyncio.wait_for(ended, WAIT)
        assert not client.alive
    finally:
        os.kill(server, signal.SIGCONT)
        await client.stop()


async def test_no_tmux_to_run():
    from moorage_tmux.plugin import tmux_version

    with pytest.raises(RuntimeError, match="apt install tmux"):
        await tmux_version(Tmux(binary="no-such-tmux"))


async def test_a_tmux_that_is_slow_to_say_its_version(tmp_path, monkeypatch):
    from moorage_tmux import plugin

    monkeypatch.setattr(plugin, "VERSION_SECONDS", 2.0)
    slow = tmp_path / "tmux"
    slow.write_text(f"#!/bin/sh\necho >>{tmp_path}/asked\n[ -e {tmp_path}/well ] || exec sleep 1000\necho tmux 3.4\n")
    slow.chmod(0o755)
    asking = asyncio.create_task(plugin.tmux_version(Tmux(binary=str(slow))))
    async with asyncio.timeout(WAIT):
        while not (tmp_path / "asked").exists():
            await asyncio.sleep(0.02)
    (tmp_path / "well").touch()
    assert await asking == "tmux 3.4", "asked again"
    (tmp_path / "well").unlink()
    monkeypatch.setattr(plugin, "VERSION_SECONDS", 0.1)
    with pytest.raises(RuntimeError, match="is this machine busy"):
        await plugin.tmux_version(Tmux(binary=str(slow)))


async def test_a_target_is_an_id_or_nothing(tmux_server, engine):
    tmux_server.new("main")
    watch = await engine.watch("main")
    with pytest.raises(ValueError):
        await type_into(watch, "main'; kill-server #", "x")
    await engine.pool.close()
    with pytest.raises(TmuxGone):
        await watch.client.call("list-sessions")
