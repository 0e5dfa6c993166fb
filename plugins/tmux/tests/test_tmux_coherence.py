"""Whoever joins, whenever: their snapshot and the stream after it give exactly what tmux itself shows."""

from __future__ import annotations

import asyncio
import random

import pytest

ROUNDS = 50
"""That a program writes at least; it goes on, to MANY, until enough have joined at different times."""
MANY = 5000
DIFFERENT = 10
"""Texts that lead to one screen."""
# What a program writes in round $n. Only printf and seq: they are in every shell and write at once.
PROGRAMS = {
    "plain": "seq $n $((n+300))",
    "colours": (
        "for i in 1 2 3 4 5 6 7 8 9; do printf '\\033[3%dmcolour \\033[4%dmback\\033[49m  ' $(((i+n)%8)) $(((i+3)%8)); "
        "[ $(((i+n)%5)) = 0 ] && printf '\\033[0m\\n'; [ $((i%7)) = 0 ] && printf '\\033[1m%d\\n' $i; done"
    ),
    "unicode": (
        "for i in 1 2 3 4 5 6 7; do printf 'größe 漢字 \U0001f600 %d\u0301 é ' $((n*i)); [ $((i%3)) = 0 ] && echo; done"
    ),
    "full lines": "for i in 1 2 3; do printf '%0120d' $((n*i)); [ $(((n+i)%4)) = 0 ] && echo; done",
    "halves": (
        "printf '\\033[3%d' $((n%8)); sleep 0.004; printf 'mred\\033]2;ti'; sleep 0.004; printf 'tle\\007'; "
        "printf '\\346\\274'; sleep 0.004; printf '\\242 '"
    ),
    "cursor": (
        "for i in 1 2 3 4 5 6 7 8 9; do "
        "printf '\\033[%d;%dH\\033[%dm#%d' $((i*n%12+1)) $((i*n*13%40+1)) $((30+i%8)) $i; done"
    ),
    "alternate": (
        "[ $n = 5 ] && printf '\\033[?1049h\\033[2J'; seq 1 3; for i in 1 2 3 4 5 6 7; do "
        "printf '\\033[%d;1Hline %d\\033[K' $((i*n%12+1)) $n; done"
    ),
    "alternate and back": (
        "[ $((n%6)) = 2 ] && printf '\\033[?1049h\\033[2J'; seq 1 20; [ $((n%6)) = 4 ] && printf '\\033[?1049l'"
    ),
    "margins": "printf '\\033[3;9r\\033[9;1H'; seq $n $((n+50)); printf '\\033[2;5Hafter'",
    "titles and questions": (
        "printf '\\033]2;t %d\\007\\033kname\\033\\\\\\033[c\\033[6n\\033]11;?\\007\\033P$q q\\033\\\\x %d\\n' $n $n"
    ),
}
_STATE = "#{cursor_x},#{cursor_y},#{alternate_on},#{scroll_region_upper},#{scroll_region_lower},#{cursor_flag}"


def _program(server, body):
    script = server.folder / "program.sh"
    script.write_text(
        f"stty -echo\ntmux -L {server.name} wait-for go\nn=0\n"
        f"while [ $n -lt {ROUNDS} ] || [ ! -e {server.folder}/enough -a $n -lt {MANY} ]; do n=$((n+1))\n{body}\n"
        f"sleep 0.004\ndone\nprintf 'the%s' end\n{server.signal('finished')}\nexec sleep 1000\n"
    )
    return f"exec sh {script}"


def _texts(sockets, terminal_stream):
    return list(dict.fromkeys(terminal_stream(socket.messages) for socket in reversed(sockets)))


@pytest.mark.parametrize("name", PROGRAMS)
async def test_snapshot_and_stream_equal_the_capture(name, tmux_server, engine, fake_socket, terminal_stream):
    tmux_server.new("keeper")
    pane = tmux_server.new("main", _program(tmux_server, PROGRAMS[name]), cols=40, rows=12)
    chance = random.Random(name)
    sockets = [fake_socket()]
    await engine.subscribe("main", sockets[0])
    finished = asyncio.create_task(tmux_server.wait("finished"))
    tmux_server.run("wait-for", "-S", "go")
    while not finished.done():
        socket = fake_socket()
        sockets.append(socket)
        await engine.subscribe("main", socket)
        await asyncio.sleep(chance.uniform(0, 0.006))
        if len(sockets) % DIFFERENT == 0 and len(_texts(sockets, terminal_stream)) > DIFFERENT:
            (tmux_server.folder / "enough").touch()
    await finished
    for socket in sockets:
        await socket.until_text("theend")
    wanted = (tmux_server.capture(pane, "-e"), tmux_server.run("display-message", "-p", "-t", pane, _STATE))
    # Different joins led to different texts; all must lead to one screen. The later the join, the less is overwritten.
    streams = _texts(sockets, terminal_stream)
    assert len(streams) > DIFFERENT
    for stream in [*streams[:8], chance.choice(streams[8:])]:
        drawn = await asyncio.to_thread(tmux_server.emulate, stream, cols=40, rows=12)
        got = (tmux_server.capture(drawn, "-e"), tmux_server.run("display-message", "-p", "-t", drawn, _STATE))
        assert got == wanted
