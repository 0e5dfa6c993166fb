"""Whatever a program writes, and whoever joins, resumes or lags meanwhile: all screens are tmux's own."""

from __future__ import annotations

import asyncio
import random
import sys

import pytest
from moorage_tmux.sessions import resolve
from moorage_tmux.subscription import Subscription
from moorage_tmux.viewers import Viewer
from vtfuzz import Program

PIECES, AFTER = 120, 30
_STATE = ",".join(
    f"#{{{name}}}"
    for name in (
        "cursor_x",
        "cursor_y",
        "cursor_flag",
        "alternate_on",
        "scroll_region_upper",
        "scroll_region_lower",
        "insert_flag",
        "keypad_flag",
        "keypad_cursor_flag",
        "wrap_flag",
        "origin_flag",
        "mouse_any_flag",
        "mouse_standard_flag",
        "mouse_button_flag",
        "mouse_all_flag",
        "mouse_sgr_flag",
        "mouse_utf8_flag",
        "pane_tabs",
        "pane_width",
        "pane_height",
    )
)
WRITER = """import os, sys, time
pieces = open(sys.argv[1], "rb").read().split(b"\\n--piece--\\n")
for number, piece in enumerate(pieces):
    # A short one is read by tmux at once, if it stands alone.
    time.sleep(0.002 if number % 3 == 0 or len(piece) < 50 else 0)
    alone = len(piece) < 50
    while piece:
        piece = piece[os.write(1, piece):]
    time.sleep(0.002 if alone else 0)
"""


class Watcher:
    """Somebody who watches, goes away and comes back, and reads slowly at times."""

    def __init__(self, engine, fake_socket):
        self.engine, self.make = engine, fake_socket
        self.before, self.socket, self.subscription = [], None, None

    @property
    def messages(self):
        return self.before + [message for message in self.socket.messages if message["type"] == "output"]

    async def join(self, since=None):
        watch = await self.engine.watch("main")
        self.socket = self.make()
        viewer = Viewer(self.socket, limit=2000, spawn=self.engine.background.spawn, on_recovered=self._show)
        self.subscription = Subscription(
            watch, viewer, pane=resolve(await watch.panes(), None), label="0", follow=True, on_lost=lambda *_: None
        )
        watch.add(self.subscription)
        self.subscription.show(since)

    async def until(self, condition):
        """Wait until what was shown satisfies a condition."""
        try:
            await self.socket.until(lambda _: self.messages and condition(self.messages))
        except TimeoutError:
            last = [{**message, "data": message["data"][-200:]} for message in self.messages[-3:]]
            raise AssertionError(f"lagging: {self.subscription.viewer.lagging}, last: {last}") from None

    def _show(self):
        self.subscription.show()

    async def come_back(self):
        if self.socket.stuck or self.subscription.viewer.lagging or not self.messages:
            return
        self.before = self.messages
        self.subscription.watch.remove(self.subscription)
        await asyncio.sleep(0.003)
        await self.join(self.before[-1]["seq"])


def program(server, seed, cols, rows, resized):
    """The pane's command: waits, writes what the seed gives, says that it is done."""
    script = server.folder / "writer.py"
    script.write_text(WRITER)
    random_output = Program(seed, cols, rows, resized=resized)
    shell = "stty raw -echo"
    for part, count in (("first", PIECES), ("second", AFTER)):
        pieces = [random_output.piece() for _ in range(count)]
        file = server.folder / part
        file.write_bytes("\n--piece--\n".join([*pieces, f"\x1b]2;{part} end\x07"]).encode())
        shell += (
            f"; tmux -L {server.name} wait-for go-{part}; {sys.executable} -S {script} {file}; {server.signal(part)}"
        )
    return f"{shell}; exec sleep 1000"


def screen(server, pane):
    """All that a screen is: the newest scrollback, rows with their renditions, modes."""
    return server.capture(pane, "-e"), server.run("display-message", "-p", "-t", pane, _STATE)


async def run(seed, tmux_server, engine, fake_socket, terminal_stream, *, resize, streams=4):
    cols, rows = 40, 12
    tmux_server.new("keeper")
    pane = tmux_server.new("main", program(tmux_server, seed, cols, rows, resize), cols=cols, rows=rows)
    chance = random.Random(f"{seed}'s viewers")
    watchers = [Watcher(engine, fake_socket)]
    await watchers[0].join()
    await watchers[0].socket.until(lambda messages: messages)
    finished = asyncio.create_task(tmux_server.wait("first"))
    tmux_server.run("wait-for", "-S", "go-first")
    while not finished.done():
        action, watcher = chance.random(), chance.choice(watchers)
        if action < 0.4 and len(watchers) < 40:
            watchers.append(Watcher(engine, fake_socket))
            await watchers[-1].join()
        elif action < 0.6:
            await watcher.come_back()
        elif action < 0.7:
            watcher.socket.stuck = True
        elif action < 0.9:
            watcher.socket.unstick()
        elif resize:
            cols, rows = chance.randint(20, 60), chance.randint(4, 20)
            tmux_server.run("resize-window", "-t", "main", "-x", str(cols), "-y", str(rows))
        await asyncio.sleep(chance.uniform(0, 0.01))
    await finished
    for watcher in watchers:
        watcher.socket.unstick()
    if resize:
        cols, rows = 61, 21  # As at no time before.
        tmux_server.run("resize-window", "-t", "main", "-x", str(cols), "-y", str(rows))
        for watcher in watchers:
            await watcher.until(lambda messages: (messages[-1].get("cols"), messages[-1].get("rows")) == (61, 21))
    tmux_server.run("wait-for", "-S", "go-second")
    for watcher in watchers:
        await watcher.until(lambda messages: "second end" in terminal_stream(messages))
    wanted = screen(tmux_server, pane)
    different = list(dict.fromkeys(terminal_stream(watcher.messages) for watcher in reversed(watchers)))
    assert len(watchers) > 5, "nobody joined while it was written"
    for stream in dict.fromkeys([*different[: streams - 1], different[-1]]):
        drawn = await asyncio.to_thread(tmux_server.emulate, stream, cols=cols, rows=rows)
        (rows_drawn, state_drawn), (rows_wanted, state_wanted) = screen(tmux_server, drawn), wanted
        wrong = {n: pair for n, pair in enumerate(zip(rows_drawn, rows_wanted, strict=False)) if pair[0] != pair[1]}
        assert (wrong, state_drawn) == ({}, state_wanted), f"seed {seed!r}: {stream!r}"
        tmux_server.run("kill-pane", "-t", drawn)


@pytest.mark.parametrize("seed", range(3))
async def test_random_output(seed, tmux_server, engine, fake_socket, terminal_stream):
    await run(seed, tmux_server, engine, fake_socket, terminal_stream, resize=False)


@pytest.mark.parametrize("seed", [f"resized {number}" for number in range(2)])
async def test_random_output_of_a_window_that_is_resized(seed, tmux_server, engine, fake_socket, terminal_stream):
    await run(seed, tmux_server, engine, fake_socket, terminal_stream, resize=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [f"slow {number}" for number in range(100)])
async def test_much_random_output(seed, tmux_server, engine, fake_socket, terminal_stream):
    await run(
        seed, tmux_server, engine, fake_socket, terminal_stream, resize=seed.endswith(("1", "3", "5")), streams=10
    )
