"""Where windows and panes are, and how large: told to those who watch, set by who drives."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import random
import struct
import subprocess
import termios
import threading
import time

import pytest
from moorage_tmux import watch as watches
from moorage_tmux.guards import PaneFilter, titled
from moorage_tmux.sessions import layout_sizes, server_version
from terminals import api, connect, session
from waits import WAIT

LAYOUT_KEYS = {"id", "index", "name", "active", "zoomed", "cols", "rows", "panes"}
PANE_KEYS = {"id", "index", "active", "left", "top", "cols", "rows", "title"}


async def until(condition, timeout=WAIT):
    """Wait for what only tmux knows."""
    async with asyncio.timeout(timeout):
        while not (result := condition()):
            await asyncio.sleep(0.01)
    return result


def of(socket, kind):
    return [message for message in socket.messages if message["type"] == kind]


def size(server, target):
    return server.run("display-message", "-p", "-t", target, "#{window_width}x#{window_height}").strip()


async def joined(engine, socket, **options):
    subscription = await engine.subscribe("main", socket, **options)
    await socket.until(lambda messages: messages)
    return subscription


# -- What tmux says -------------------------------------------------------------------------------------------------


def test_sizes_in_what_layout_change_says():
    visible = "d67e,180x24,0,0{140x24,0,0,0,39x24,141,0[39x12,141,0,1,39x11,141,13,22]}"
    assert layout_sizes(f"@0 x,1x1,0,0,9 {visible} *Z") == {"%0": (140, 24), "%1": (39, 12), "%22": (39, 11)}
    assert layout_sizes("@0") == {}


async def test_names_and_titles_of_any_kind(tmux_server, engine):
    tmux_server.new("main")
    names = ["with space", "größe 漢字 \U0001f600", "@1 0 1 0 80 24 %9", "##{pid} '\"\\", " ", "-x"]
    shown = [*names[:3], "#{pid} '\"\\", *names[4:]]
    # From 3.8 on, tmux refuses what is no one line.
    if server_version(tmux_server.run("display-message", "-p", "#{version}")) < (3, 8):
        names.append("two\nlines")
        shown.append("two")
    for name in names:
        tmux_server.run("new-window", "-d", "-t", "main:", "-n", name, "exec sleep 1000")
    tmux_server.run("select-pane", "-t", "main:1", "-T", "ti tle %1 größe")
    watch = await engine.watch("main")
    panes = await watch.panes()
    assert [pane.window_name for pane in panes][1:] == shown
    assert [pane.window_index for pane in panes] == list(range(len(shown) + 1))
    assert panes[1].title == "ti tle %1 größe"
    assert (panes[0].cols, panes[0].rows, panes[0].window_cols, panes[0].window_rows) == (80, 24, 80, 24)


async def test_titles_pass_the_filters_of_output(tmux_server, engine):
    class Mask:
        def whole(self, text):
            return text.replace("secret", "***")

    tmux_server.new("main")
    tmux_server.run("select-pane", "-t", "main", "-T", "a secret")
    watch = await engine.watch("main")
    found = titled(lambda session, pane: PaneFilter([("p", Mask())], print), watch.session, await watch.panes())
    assert found[0].title == "a ***"


# -- What viewers are told ------------------------------------------------------------------------------------------


async def test_each_change_of_the_layout_is_told(tmux_server, engine, fake_socket):
    tmux_server.cat("main")
    socket = fake_socket()
    await joined(engine, socket)

    async def after(*command):
        seen = len(of(socket, "layout"))
        tmux_server.run(*command)
        await socket.until(lambda _: len(of(socket, "layout")) > seen)
        await asyncio.sleep(2 * watches.LAYOUT_INTERVAL)
        return of(socket, "layout")[-1]["windows"]

    windows = await after("split-window", "-h", "-t", "main:", "exec sleep 1000")
    assert set(windows[0]) == LAYOUT_KEYS
    assert set(windows[0]["panes"][0]) == PANE_KEYS
    assert [(pane["left"], pane["cols"], pane["active"]) for pane in windows[0]["panes"]] == [
        (0, 40, False),
        (41, 39, True),
    ]
    assert (await after("select-pane", "-t", "main:0.0"))[0]["panes"][0]["active"]
    assert (await after("resize-pane", "-Z", "-t", "main:0.0"))[0]["zoomed"]
    windows = await after("new-window", "-n", "second", "-t", "main:", "exec sleep 1000")
    assert [(window["name"], window["active"]) for window in windows][1] == ("second", True)
    assert (await after("rename-window", "-t", "main:1", "other"))[1]["name"] == "other"
    assert len(await after("kill-window", "-t", "main:1")) == 1
    assert len((await after("kill-pane", "-t", "main:0.1"))[0]["panes"]) == 1
    assert of(socket, "resize") == [], "no size changed"


async def test_a_size_is_told_before_the_screen_that_has_it(tmux_server, engine, fake_socket):
    tmux_server.cat("main")
    socket = fake_socket()
    subscription = await joined(engine, socket)
    subscription.watch.resize(100, 30)
    await socket.until(lambda messages: any(each.get("snapshot") and each["cols"] == 100 for each in messages))
    kinds = [message["type"] for message in socket.messages if message["type"] != "output" or message["cols"] == 100]
    assert kinds == ["resize", "layout", "output"]
    told = of(socket, "resize")
    assert [(each["sessionId"], each["cols"], each["rows"]) for each in told] == [("main", 100, 30)]
    assert size(tmux_server, "main") == "100x30"


@pytest.mark.parametrize("viewers", [1, 100])
async def test_a_dragged_edge_costs_a_few_screens(viewers, tmux_server, engine, fake_socket):
    tmux_server.cat("main")
    socket = fake_socket()
    subscription = await joined(engine, socket)
    for _ in range(1, viewers):
        await engine.subscribe("main", fake_socket())
    started = time.monotonic()
    for number in range(200):
        subscription.watch.resize(40 + number, 10 + number % 7)
        await asyncio.sleep(0.001)
    subscription.watch.resize(123, 45)
    await socket.until(lambda messages: any(each.get("cols") == 123 for each in of(socket, "output")))
    assert size(tmux_server, "main") == "123x45"
    interval = watches.RESIZE_INTERVAL * max(1, viewers / watches.MANY)
    allowed = (time.monotonic() - started) / interval + 3
    assert 2 <= len(of(socket, "resize")) <= allowed
    assert len(of(socket, "output")) <= allowed + 1


async def test_a_flood_of_layouts_is_no_flood_of_messages(tmux_server, engine, fake_socket):
    tmux_server.cat("main")
    tmux_server.run("split-window", "-h", "-t", "main:", "exec sleep 1000")
    socket = fake_socket()
    await joined(engine, socket)
    started = time.monotonic()
    for number in range(20):
        widths = [10 + (number * 7 + n) % 50 for n in range(20)]
        commands = [word for cols in widths for word in ("resize-pane", "-t", "main:0.0", "-x", str(cols), ";")]
        await asyncio.to_thread(tmux_server.run, *commands[:-1])
    tmux_server.run("resize-pane", "-t", "main:0.0", "-x", "33")
    await socket.until(lambda _: of(socket, "layout")[-1]["windows"][0]["panes"][0]["cols"] == 33)
    allowed = (time.monotonic() - started) / watches.LAYOUT_INTERVAL + 3
    assert len(of(socket, "layout")) <= allowed


# -- Sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["latest", "largest", "smallest"])
async def test_all_windows_have_the_drivers_size(tmux_server, engine, fake_socket, mode):
    tmux_server.new("main")
    tmux_server.run("set", "-g", "window-size", mode)
    tmux_server.run("new-window", "-d", "-t", "main:", "exec sleep 1000")
    tmux_server.run(
        "new-window", "-d", "-t", "main:", "exec sleep 1000", ";", "set", "-w", "-t", "main:2", "window-size", "manual"
    )
    subscription = await joined(engine, fake_socket())
    watch = subscription.watch
    watch.resize(100, 30)
    await until(lambda: size(tmux_server, "main:0") == "100x30")
    assert size(tmux_server, "main:1") == "100x30"
    assert size(tmux_server, "main:2") == "80x24", "sized by hand"
    tmux_server.run("new-window", "-d", "-t", "main:", "exec sleep 1000")
    assert size(tmux_server, "main:3") == "100x30"
    watch.resize(90, 20)
    await until(lambda: size(tmux_server, "main:0") == "90x20")
    await watch.stop()
    assert size(tmux_server, "main:0") == "90x20", "it stays"


async def test_the_size_outlives_our_client(tmux_server, engine, fake_socket):
    tmux_server.cat("main")
    socket = fake_socket()
    subscription = await joined(engine, socket)
    subscription.watch.resize(100, 30)
    await until(lambda: size(tmux_server, "main") == "100x30")
    client = subscription.watch.client
    os.kill(client.pid, 9)
    await until(lambda: subscription.watch.client is not client and subscription.watch.client.alive)

    def made():
        tmux_server.run("new-window", "-d", "-t", "main:", "exec sleep 1000")
        return tmux_server.run("list-windows", "-t", "main", "-F", "#{window_width}x#{window_height}").split()[-1]

    await until(lambda: made() == "100x30")


async def test_a_terminal_that_is_attached_outranks_the_driver(tmux_server, engine, fake_socket):
    tmux_server.cat("main")
    socket = fake_socket()
    subscription = await joined(engine, socket)
    subscription.watch.resize(100, 30)
    await until(lambda: size(tmux_server, "main") == "100x30")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 21, 70, 0, 0))
    process = subprocess.Popen(
        ["tmux", "-u", "-L", tmux_server.name, "attach", "-t", "main"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", "TMUX_TMPDIR": str(tmux_server.folder)},
    )
    os.close(theirs)
    threading.Thread(target=drain, args=(ours,), daemon=True).start()
    try:
        await socket.until(lambda _: (of(socket, "resize") or [{}])[-1].get("cols") == 70)
        assert size(tmux_server, "main") == "70x20"
        subscription.watch.resize(120, 40)
        await subscription.watch.panes()
        assert size(tmux_server, "main") == "70x20"
    finally:
        process.terminate()
        process.wait(5)
    await socket.until(lambda _: of(socket, "resize")[-1]["cols"] == 120)


def drain(terminal):
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        os.close(terminal)


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_is_seen_is_right_however_often_the_size_changed(
    seed, tmux_server, engine, fake_socket, terminal_stream
):
    """Resized by the driver and by tmux while a program floods, which then goes on: as tmux shows it in the end."""
    script = tmux_server.folder / "program.sh"
    script.write_text(
        f"stty -echo\ntmux -L {tmux_server.name} wait-for go\nn=0\nwhile [ $n -lt 250 ]; do n=$((n+1))\n"
        f"[ $n = 170 ] && {tmux_server.signal('resized')}\n"
        "printf '\\033[3%dmcolour %d ' $((n%8)) $n; seq $n $((n+40)); printf '%0150d\\n' $n; sleep 0.004\ndone\n"
        "printf 'the%s' end\nexec sleep 1000\n"
    )
    pane = tmux_server.new("main", f"exec sh {script}", cols=80, rows=24)
    chance = random.Random(seed)
    sockets = [fake_socket() for _ in range(3)]
    for socket in sockets:
        subscription = await engine.subscribe("main", socket)
    resized = asyncio.create_task(tmux_server.wait("resized"))
    tmux_server.run("wait-for", "-S", "go")
    rounds = 0
    while not resized.done():
        rounds += 1
        subscription.watch.resize(chance.randint(20, 140), chance.randint(5, 50))
        await asyncio.sleep(chance.uniform(0, 0.15))
        if rounds % 5 == 0:
            # To another size and back, faster than anybody looks.
            cols, rows = size(tmux_server, "main").split("x")
            await asyncio.to_thread(
                tmux_server.run, "resize-window", "-t", "main", "-x", "33", "-y", "9", ";",
                "resize-window", "-t", "main", "-x", cols, "-y", rows, ";",
                "set", "-wu", "-t", "main", "window-size",
            )  # fmt: skip
    subscription.watch.resize(64, 18)
    for socket in sockets:
        await socket.until_text("theend")
    assert size(tmux_server, "main") == "64x18"
    assert rounds > 5
    wanted = tmux_server.capture(pane, "-e")
    for socket in sockets:
        assert [(each["cols"], each["rows"]) for each in of(socket, "resize")][-1] == (64, 18)
        drawn = await asyncio.to_thread(tmux_server.emulate, terminal_stream(socket.messages), cols=64, rows=18)
        assert tmux_server.capture(drawn, "-e") == wanted
    last = max(index for index, each in enumerate(of(sockets[0], "output")) if each.get("snapshot"))
    assert "theend" not in of(sockets[0], "output")[last]["data"], "the stream went on after the last screen"


# -- Through the server ---------------------------------------------------------------------------------------------


async def test_the_layout_comes_before_the_first_output(server, tmux, request):
    name = session(tmux, request)
    tmux.run("split-window", "-h", "-t", f"{name}:", "exec sleep 1000")
    async with connect(server, "vic") as vic:
        await vic.send(type="subscribe", sessionId=name)
        layout = await vic.next("layout")
        assert not [message for message in vic.messages if message["type"] == "output"]
        assert layout["sessionId"] == name
        assert [pane["left"] for pane in layout["windows"][0]["panes"]] == [0, 41]
        await vic.next("output")
        await vic.send(type="subscribe", sessionId=name, pane="0")
        await vic.next("output", pane="0")
        assert [message["type"] for message in vic.messages].count("layout") == 1
        tmux.run("select-pane", "-t", f"{name}:0.0")
        assert (await vic.next("layout"))["windows"][0]["panes"][0]["active"]
    async with connect(server, "vic", f"/ws/terminal/{name}") as vic:
        hello = await vic.next()
        assert (hello["type"], hello["cols"], hello["rows"]) == ("connected", 80, 24)
        assert (await vic.next())["type"] == "layout"
        assert (await vic.next())["type"] == "output"
    with api(server, "vic") as client:
        window = (await asyncio.to_thread(client.get, f"/api/sessions/{name}")).json()["windows"][0]
    assert {"zoomed": False, "cols": 80, "rows": 24}.items() <= window.items()
    assert {"left": 41, "top": 0, "width": 39, "height": 24}.items() <= window["panes"][1].items()
    assert "title" in window["panes"][0]


async def test_only_who_holds_the_claim_resizes(server, tmux, request):
    name = session(tmux, request)
    path = f"/ws/terminal/{name}"
    async with connect(server, "ann") as ann, connect(server, "bob", path) as bob, connect(server, "vic", path) as vic:

        async def refused(client, **message):
            await client.send(type="resize", **{"cols": 100, "rows": 30, **message})
            return (await client.next("error"))["code"]

        assert await refused(vic) == "NOT_OPERATOR"
        assert await refused(bob) == "NOT_CLAIMED"
        assert await refused(ann, sessionId=name) == "NOT_CLAIMED"
        assert await refused(ann, sessionId="nope") == "SESSION_NOT_FOUND"
        assert await refused(ann) == "INVALID_MESSAGE"
        async with connect(server, "vic") as main:
            assert await refused(main, sessionId=name) == "FORBIDDEN"
        await ann.send(type="claim", sessionId=name)
        await ann.next("claimed")
        assert await refused(bob) == "NOT_CLAIMED", "another's claim"
        for wrong in [19, 501, "80", 80.5, None, True, 1 << 70]:
            assert await refused(ann, sessionId=name, cols=wrong) == "INVALID_MESSAGE", wrong
        for wrong in [4, 301, [30]]:
            assert await refused(ann, sessionId=name, rows=wrong) == "INVALID_MESSAGE", wrong
        assert size(tmux, name) == "80x24"
        await ann.send(type="resize", sessionId=name, cols=100, rows=30)
        for client in (bob, vic):
            told = await client.next("resize")
            assert (told["sessionId"], told["cols"], told["rows"]) == (name, 100, 30)
            assert (await client.next("layout"))["windows"][0]["cols"] == 100
            assert (await client.next("output", snapshot=True, cols=100))["rows"] == 30
        await ann.send(type="release", sessionId=name)
        await bob.next("released")
        assert size(tmux, name) == "100x30", "it stays"
        await bob.send(type="claim")
        await bob.next("claimed")
        await bob.send(type="resize", cols=20, rows=5)
        assert (await vic.next("resize"))["cols"] == 20
        await bob.send(type="resize", cols=500, rows=300)
        assert (await vic.next("resize"))["rows"] == 300
        assert await refused(ann, sessionId=name) == "NOT_CLAIMED"
