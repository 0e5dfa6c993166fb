"""Odd tmux servers: settings, windows and panes that move, servers and sessions that come and go."""

from __future__ import annotations

import asyncio

import pytest
from moorage_tmux.sessions import server_version
from waits import WAIT

CONF = """
set -g base-index 1
setw -g pane-base-index 1
set -g status off
set -g mouse on
set -g prefix C-a
set -g set-titles on
set -g default-terminal screen-256color
set -g detach-on-destroy off
set -g exit-empty off
set -g update-environment "DISPLAY FOO"
set -g history-limit 0
set -g window-size smallest
set -s command-alias[100] zoom="resize-pane -Z"
set -s command-alias[101] ls="list-sessions -F nothing"
set-hook -g after-list-sessions "display-message -p hooked"
set-hook -g client-attached "display-message -p attached ; rename-window hooked"
set-hook -g after-capture-pane "display-message -p captured"
bind-key -n C-x kill-server
"""


async def eventually(condition, timeout=WAIT):
    """Wait for what only tmux knows."""
    async with asyncio.timeout(timeout):
        while not (result := condition()):
            await asyncio.sleep(0.02)
    return result


async def test_a_server_with_an_odd_configuration(tmux_server, engine, fake_socket):
    conf = tmux_server.folder / "tmux.conf"
    conf.write_text(CONF)
    tmux_server.cat("main")
    tmux_server.run("source-file", str(conf))
    assert [session.name for session in await engine.directory.sessions()] == ["main"]
    socket = fake_socket()
    subscription = await engine.subscribe("main", socket, pane="0")
    await socket.until(lambda messages: any(message.get("snapshot") for message in messages))
    tmux_server.run("send-keys", "-t", subscription.pane, "-l", "it lives")
    await socket.until_text("it lives")
    late = fake_socket()
    await engine.subscribe("main", late)
    await late.until_text("it lives")
    assert [session.name for session in await engine.directory.sessions()] == ["main"]


async def test_a_server_that_ends_and_starts_anew(tmux_server, engine, fake_socket):
    assert await engine.directory.sessions() == []
    engine.directory.hold(engine)
    for word in ("first", "second"):
        tmux_server.new("main", f"printf '{word} life'; exec cat")
        await eventually(lambda: engine.changes and [session.name for session in engine.changes[-1]] == ["main"])
        socket = fake_socket()
        await engine.subscribe("main", socket)
        await socket.until_text(f"{word} life")
        lost = len(engine.lost)
        tmux_server.run("kill-server")
        await eventually(lambda before=lost: len(engine.lost) > before)
        await eventually(lambda: engine.changes[-1] == [])
    engine.directory.drop(engine)


async def test_a_window_in_two_sessions_and_a_group(tmux_server, engine, fake_socket):
    pane = tmux_server.cat("one")
    tmux_server.new("two")
    tmux_server.run("link-window", "-s", "one:", "-t", "two:5")
    tmux_server.run("new-session", "-d", "-s", "grouped", "-t", "one")
    sockets = {}
    for name, spec in (("one", None), ("two", "5.0"), ("grouped", None)):
        sockets[name] = fake_socket()
        subscription = await engine.subscribe(name, sockets[name], pane=spec)
        assert subscription.pane == pane
        await sockets[name].until(lambda messages: any(message.get("snapshot") for message in messages))
    tmux_server.run("send-keys", "-t", pane, "-l", "everywhere")
    for socket in sockets.values():
        await socket.until_text("everywhere")
    tmux_server.run("kill-session", "-t", "one")
    await eventually(lambda: engine.lost)
    tmux_server.run("send-keys", "-t", pane, "-l", " still")
    for name in ("two", "grouped"):
        await sockets[name].until_text("still")
    tmux_server.run("unlink-window", "-t", "two:5")
    await eventually(lambda: len(engine.lost) == 2)
    tmux_server.run("send-keys", "-t", pane, "-l", " alone")
    await sockets["grouped"].until_text("alone")


async def test_panes_that_move(tmux_server, engine, fake_socket):
    tmux_server.new("other")
    first = tmux_server.cat("main")
    second = tmux_server.run("split-window", "-P", "-F", "#{pane_id}", "-t", "main:", "exec cat").strip()
    sockets = {}
    for pane in (first, second):
        sockets[pane] = fake_socket()
        await engine.subscribe("main", sockets[pane], pane=pane)
    tmux_server.run("swap-pane", "-s", first, "-t", second)
    tmux_server.run("break-pane", "-d", "-s", second)
    tmux_server.run("move-window", "-s", "main:0", "-t", "main:7")
    tmux_server.run("resize-window", "-t", "main:7", "-x", "70", "-y", "20")
    for pane in (first, second):
        tmux_server.run("send-keys", "-t", pane, "-l", f"I am {pane}")
        await sockets[pane].until_text(f"I am {pane}")
    tmux_server.run("join-pane", "-d", "-s", second, "-t", "other:")
    await eventually(lambda: engine.lost)
    socket = fake_socket()
    await engine.subscribe("other", socket, pane=second)
    await socket.until_text(f"I am {second}")


async def test_a_pane_that_dies_and_is_respawned(tmux_server, engine, fake_socket):
    tmux_server.new("keeper")
    pane = tmux_server.cat("main")
    tmux_server.run("set", "-w", "-t", "main:", "remain-on-exit", "on")
    socket = fake_socket()
    await engine.subscribe("main", socket)
    await socket.until(lambda messages: any(message.get("snapshot") for message in messages))
    tmux_server.run("send-keys", "-t", pane, "-l", "last words")
    await socket.until_text("last words")
    tmux_server.run("respawn-pane", "-k", "-t", pane, "exit 3")
    await eventually(lambda: tmux_server.run("display-message", "-p", "-t", pane, "#{pane_dead}") == "1\n")
    assert not engine.lost
    late = fake_socket()
    await engine.subscribe("main", late)
    await late.until_text("Pane is dead")
    if server_version(tmux_server.run("display-message", "-p", "#{version}")) < (3, 8):
        return  # An older tmux may leave its control clients without a respawned pane's output.
    tmux_server.run("respawn-pane", "-t", pane, "printf 'one more life'; exec cat")
    for each in (socket, late):
        await each.until_text("one more life")


@pytest.mark.parametrize("option", ["detach-on-destroy", "destroy-unattached"])
async def test_a_watched_session_is_killed(option, tmux_server, engine, fake_socket):
    tmux_server.new("keeper")
    tmux_server.cat("main")
    socket = fake_socket()
    await engine.subscribe("main", socket)
    await socket.until(lambda messages: any(message.get("snapshot") for message in messages))
    # Only now: tmux ends a session that nobody is attached to at once.
    tmux_server.run("set", "-t", "main", option, "on" if option == "destroy-unattached" else "off")
    tmux_server.run("kill-session", "-t", "main")
    await eventually(lambda: engine.lost)
    assert "keeper" in tmux_server.run("list-sessions")
    await eventually(lambda: len(engine.pool) == 0)


async def test_names_of_any_length(tmux_server, engine, fake_socket):
    name = "größe \U0001f600 " * 60
    tmux_server.new(name, "printf 'a long name'; exec cat")
    listed = await engine.directory.sessions()
    assert [session.name for session in listed] == [tmux_server.run("list-sessions", "-F", "#{session_name}")[:-1]]
    socket = fake_socket()
    await engine.subscribe(listed[0].name, socket)
    await socket.until_text("a long name")
    tmux_server.run("rename-window", "-t", listed[0].id, "x" * 5000)
    tmux_server.run("rename-session", "-t", listed[0].id, "short")
    await eventually(lambda: tmux_server.run("list-sessions", "-F", "#{session_name}") == "short\n")
    assert (await engine.directory.find("short")) is not None
    tmux_server.run("send-keys", "-t", listed[0].id, "-l", "still here")
    await socket.until_text("still here")
