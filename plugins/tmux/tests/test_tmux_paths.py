"""Where tmux's socket and program lie on the server is in its log, and told to no user."""

from __future__ import annotations

import asyncio
import contextlib
import shutil

import pytest
from harness import Server
from moorage_tmux.tmux import TmuxError
from terminals import api, connect, token


@contextlib.contextmanager
def serving(folder, **options):
    """A server over a tmux that cannot be used, with an operator."""
    config = {
        "limits": {"enabled": False},
        "plugins": {"tmux": {"enabled": True, "required": True, "mount": ["/"], **options}},
    }
    server = Server(folder, config)
    try:
        server.start()
        server.add_user("ann")
        server.keys = {"ann": token(server, "ann")}
        yield server
    finally:
        server.stop()


async def told(server, name):
    """What users are told, by every way there is, of a tmux that cannot be used."""
    texts = []
    with api(server, "ann") as client:
        for method, path in (("GET", "/api/sessions"), ("GET", "/api/sessions/x"), ("POST", "/api/sessions")):
            body = {"name": name} if method == "POST" else None
            answer = await asyncio.to_thread(client.request, method, path, json=body)
            assert answer.status_code == 503, answer.text
            texts.append(answer.text)
    async with connect(server, "ann") as ann, connect(server, "ann", "/ws/terminal/x") as one:
        await ann.next("error", code="TMUX_ERROR")
        await ann.send(type="subscribe", sessionId="x")
        await ann.next("error", code="TMUX_ERROR")
        texts += [str(message) for message in ann.messages if message["type"] == "error"]
        await one.closed()
        texts += map(str, (*one.messages, one.connection.close_reason))
    return "\n".join(texts)


async def test_a_socket_that_cannot_be_reached(tmp_path):
    (tmp_path / "no folder").touch()
    socket = tmp_path / "no folder" / "sock et"
    with serving(tmp_path, socket_path=str(socket)) as server:
        text = await told(server, "new")
        assert "Not a directory" in text, "why is told"
        assert not [part for part in (str(tmp_path), "no folder", "sock et") if part in text], text
        assert f"error connecting to {socket} (Not a directory)" in server.stderr, "where is in the log"


async def test_a_program_that_is_gone(tmp_path):
    program = tmp_path / "my tmux"
    program.symlink_to(shutil.which("tmux"))
    with serving(tmp_path, tmux_binary=str(program), socket_path=str(tmp_path / "socket")) as server:
        program.unlink()
        text = await told(server, "new")
        assert "No such file or directory" in text
        assert not [part for part in (str(tmp_path), "my tmux") if part in text], text
        assert f"cannot run {program}" in server.stderr


@pytest.mark.parametrize(
    ("text", "public"),
    [
        (
            "error connecting to /tmp/t-0/my sock (x) (Permission denied)",
            "error connecting to … (Permission denied)",
        ),
        ("error creating /run/tmux-0/default (Read-only file system)", "error creating … (Read-only file system)"),
        (
            "couldn't create directory /tmp/t-0 (Permission denied)",
            "couldn't create directory … (Permission denied)",
        ),
        ("directory /tmp/tmux-0 has unsafe permissions", "directory … has unsafe permissions"),
        ("/etc/tmux.conf:3: unknown command: x", "…:3: unknown command: x"),
        ("no server running on /tmp/tmux-0/default", "no server running on …"),
        ("duplicate session: /a and /b", "duplicate session: /a and /b"),
        ("protocol version mismatch (client 8, server 7)", "protocol version mismatch (client 8, server 7)"),
        ("tmux spoke nonsense: 1/2", "tmux spoke nonsense: 1/2"),
    ],
)
def test_paths_are_cut_out(text, public):
    assert TmuxError(text).public == public
