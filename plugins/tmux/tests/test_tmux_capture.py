"""`GET /api/tmux/sessions/{session}/panes/{pane}/capture`: of the tmux here, and of a CHROTE server with its faults."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

import httpx
import pytest
from moorage.api import Unavailable
from moorage_tmux.chrote import Chrote
from terminals import ISO, api, serving, session, token

NOT_AVAILABLE = (503, "CHROTE API not available")
NO_CONTENT = (502, "CHROTE API error: no content in its answer")
AT = "2026-02-04T12:00:00.000Z"
CONTENT = "user@host:~$ ls\nfile1.txt  file2.txt\nuser@host:~$ "


def path(name, pane="0", query=""):
    return f"/api/tmux/sessions/{quote(name, safe='')}/panes/{quote(pane, safe='')}/capture{query}"


# -- the tmux here ----------------------------------------------------------------------------------------------------


def test_what_stands_in_a_pane(server, tmux, request):
    name = session(tmux, request, "seq 100; printf 'here \\346\\274\\242'; exec sleep 1000")
    tmux.run("split-window", "-d", "-t", f"{name}:", "printf second; exec sleep 1000")
    with api(server, "vic") as vic:
        while "here" not in (answer := vic.get(path(name))).json()["content"]:
            pass
        assert answer.status_code == 200
        body = answer.json()
        assert {"session": name, "pane": "0"}.items() <= body.items()
        assert ISO.match(body["timestamp"])
        rows = body["content"].split("\n")
        assert rows[-2:] == ["100", "here 漢"]
        assert len(rows) < 24
        more = vic.get(path(name, query="?lines=50")).json()["content"].split("\n")
        assert len(more) == len(rows) + 50
        assert more[-len(rows) :] == rows
        everything = vic.get(path(name, query="?lines=10000")).json()["content"].split("\n")
        assert everything == [*map(str, range(1, 101)), "here 漢"]
        assert vic.get(path(name, "0.1")).json()["content"] == "second"
        assert vic.get(path(name, body["paneId"])).json()["content"] == body["content"]


def test_what_is_not_there_in_the_words_of_the_contract(server, tmux, request):
    name = session(tmux, request)
    with api(server, "vic") as vic:
        answer = vic.get(path("nope"))
        assert (answer.status_code, answer.json()["error"]) == (404, "Session not found")
        answer = vic.get(path(name, "9"))
        assert (answer.status_code, answer.json()["error"]) == (404, "Pane not found")
        for odd in ("0;kill-server", "-1", "x", "%", "0.0.0", "#{pid}"):
            assert vic.get(path(name, odd)).json()["error"] == "Pane not found", odd
        for query in ("?lines=0", "?lines=10001", "?lines=x", "?lines="):
            answer = vic.get(path(name, query=query))
            assert (answer.status_code, answer.json()["error"]) == (400, "VALIDATION_ERROR"), query
    answer = httpx.get(server.url + path(name))
    assert (answer.status_code, answer.json()["error"]) == (401, "UNAUTHORIZED")


def test_tmux_that_does_not_answer(tmux_server, tmp_path):
    stuck = tmp_path / "stuck-tmux"
    stuck.write_text('#!/bin/sh\n[ "$1" = -V ] && exec tmux -V\nexec sleep 60\n')
    stuck.chmod(0o755)
    with serving(tmp_path, tmux_server, tmux_binary=str(stuck), command_timeout=0.3) as server:
        server.add_user("ann")
        server.keys = {"ann": token(server, "ann")}
        with api(server, "ann") as ann:
            answer = ann.get(path("main"))
            assert (answer.status_code, answer.json()["error"]) == NOT_AVAILABLE
            assert answer.json()["details"]["code"] == "TMUX_ERROR"


# -- a CHROTE server --------------------------------------------------------------------------------------------------


class Backend(BaseHTTPRequestHandler):
    """Answers as the program's backend was seen to, or as `server.fault` says: a function of this handler."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        split = urlsplit(self.path)
        parts = split.path.split("/")
        if parts[:4] != ["", "api", "tmux", "sessions"]:
            self.answer(404, {"error": "no such path"})
        elif len(parts) == 4:
            if not self.server.fault("list", self):
                names = ["chrote-chat", "a/b c", "broken"]
                sessions = [{"name": name, "windows": 1, "attached": False, "group": ""} for name in names]
                self.answer(200, {"sessions": sessions, "grouped": {}, "timestamp": AT})
        elif not self.server.fault("capture", self):
            name = unquote(parts[4])
            if name in ("chrote-chat", "a/b c"):
                self.answer(200, {"content": CONTENT + split.query, "session": name})
            elif name == "broken":
                self.answer(500, {"error": {"code": "TMUX_ERROR", "message": "lost the tmux server"}})
            else:
                self.answer(500, {"success": False, "error": {"code": "TMUX_ERROR", "message": "exit status 1"}})

    def answer(self, status, body, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            for name, value in {"Content-Length": len(data), **headers}.items():
                self.send_header(name.replace("_", "-"), str(value))
            self.end_headers()
            self.wfile.write(data)
        return True

    def log_message(self, *arguments):
        pass


def no_fault(step, handler):
    return False


@pytest.fixture(scope="module")
def backend():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    server.daemon_threads = True
    server.asked, server.fault = [], no_fault
    server.handle_error = lambda *of_hanging_up: None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def remote(backend, tmux, tmp_path_factory):
    """A client of a server that has the backend as its `chrote_url`."""
    url = f"http://127.0.0.1:{backend.server_port}/"
    with serving(tmp_path_factory.mktemp("remote"), tmux, chrote_url=url, chrote_timeout=1.0) as server:
        server.add_user("vic", "viewer")
        server.keys = {"vic": token(server, "vic")}
        with api(server, "vic") as client:
            client.cookies.set("chrote_session", "secret-cookie")
            yield client


@pytest.fixture(autouse=True)
def reset(backend):
    backend.asked.clear()
    backend.fault = no_fault


def test_a_capture_of_a_chrote_server(remote, backend):
    answer = remote.get(path("chrote-chat"))
    assert answer.status_code == 200
    body = answer.json()
    assert body.keys() == {"session", "pane", "content", "timestamp"}
    assert (body["session"], body["pane"], body["content"]) == ("chrote-chat", "0", CONTENT)
    assert ISO.match(body["timestamp"])
    assert [asked for asked, _ in backend.asked] == [
        "/api/tmux/sessions",
        "/api/tmux/sessions/chrote-chat/capture",
    ], "it is asked whether it lives, and is not told of the pane"
    assert remote.get(path("chrote-chat", "1.2", "?lines=7")).json()["content"] == CONTENT + "lines=7"
    assert remote.get(path("a/b c")).json()["session"] == "a/b c"
    assert backend.asked[-1][0] == "/api/tmux/sessions/a%2Fb%20c/capture"
    for _, headers in backend.asked:
        names = {name.lower() for name in headers}
        assert not names & {"cookie", "authorization", "x-forwarded-for", "x-request-id"}
        assert "secret" not in str(headers)


def test_other_spellings_of_an_answer(remote, backend):
    answers = [
        ({"output": "x", "timestamp": AT}, "x", AT),
        ({"content": "y", "output": "x", "timestamp": 5}, "y", None),
        ({"content": "", "timestamp": "t" * 100}, "", None),
        ({"content": "\ud800"}, "?", None),
    ]
    for body, content, at in answers:
        backend.fault = lambda step, handler, body=body: step == "capture" and handler.answer(200, body)
        answer = remote.get(path("chrote-chat")).json()
        assert answer["content"] == content
        assert answer["timestamp"] == at if at else ISO.match(answer["timestamp"])


def test_sessions_that_it_has_not(remote, backend):
    answer = remote.get(path("nope"))
    assert (answer.status_code, answer.json()["error"]) == (404, "Session not found")
    refusals = [(404, {"error": "?"}), (500, {"error": "can't find session: main"}), (500, b"can't find pane")]
    for status, body in refusals:
        backend.fault = lambda step, handler, s=status, b=body: step == "capture" and handler.answer(s, b)
        answer = remote.get(path("chrote-chat"))
        assert (answer.status_code, answer.json()["error"]) == (404, "Session not found"), (status, body)
    backend.asked.clear()
    for name in (".", "..", "x" * 300):
        assert remote.get(path(name).replace("/./", "/%2E/").replace("/../", "/%2E%2E/")).status_code == 404
    assert remote.get(path("chrote-chat", "0;reboot")).json()["error"] == "Pane not found"
    assert backend.asked == [], "what cannot be is not asked for"


def sleeps(step, handler):
    time.sleep(1.5)
    return handler.answer(200, {})


def drips(step, handler):
    """A header now, and a byte now and then: no single wait is long."""
    with contextlib.suppress(OSError):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(8):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.2)
    handler.close_connection = True
    return True


def huge(step, handler):
    """Without a length, and without an end."""
    with contextlib.suppress(OSError):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(64):
            handler.wfile.write(b"x" * 1_000_000)
    handler.close_connection = True
    return True


def hangs_up(step, handler):
    handler.close_connection = True
    handler.connection.close()
    return True


def redirects(step, handler):
    return handler.answer(302, b"", Location="/api/tmux/sessions/chrote-chat/capture", Set_Cookie="a=b; Path=/")


def compressed(step, handler):
    return handler.answer(200, gzip.compress(b'{"content": "x"}'), Content_Encoding="gzip")


FAULTS = [
    (sleeps, (504, "CHROTE API timeout after 1000ms")),
    (drips, (504, "CHROTE API timeout after 1000ms")),
    (huge, NOT_AVAILABLE),
    (hangs_up, NOT_AVAILABLE),
    (compressed, NOT_AVAILABLE),
    (redirects, (502, "CHROTE API error: 302")),
    (lambda step, handler: handler.answer(500, {"error": "boom"}), (502, "CHROTE API error: 500")),
    (
        lambda step, handler: handler.answer(200, b"<html>no</html>"),
        (502, "CHROTE API error: no content in its answer"),
    ),
    (lambda step, handler: handler.answer(200, b"{"), NO_CONTENT),
    (lambda step, handler: handler.answer(200, b"[" * 100_000), NO_CONTENT),
    (lambda step, handler: handler.answer(200, {"content": 5}), NO_CONTENT),
    (lambda step, handler: handler.answer(200, b"null"), NO_CONTENT),
]


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_a_capture_that_fails(remote, backend, fault, expected):
    backend.fault = lambda step, handler: step == "capture" and fault(step, handler)
    answer = remote.get(path("chrote-chat"))
    assert (answer.status_code, answer.json()["error"]) == expected
    backend.fault = no_fault
    assert remote.get(path("chrote-chat")).status_code == 200, "the next one is not harmed"
    assert not any("Cookie" in headers for _, headers in backend.asked), "its cookies are not kept"


def test_a_session_that_is_there_and_cannot_be_captured(remote):
    answer = remote.get(path("broken"))
    assert (answer.status_code, answer.json()["error"]) == (502, "CHROTE API error: 500")


@pytest.mark.parametrize("fault", [sleeps, drips, hangs_up, redirects, huge, compressed])
def test_a_server_that_does_not_live(remote, backend, fault):
    backend.fault = lambda step, handler: step == "list" and fault(step, handler)
    answer = remote.get(path("chrote-chat"))
    assert (answer.status_code, answer.json()["error"]) == NOT_AVAILABLE
    assert not any(asked.endswith("capture") for asked, _ in backend.asked)


def test_a_list_that_is_none_does_not_matter(remote, backend):
    for body in (b"ok", {}, {"sessions": 5}, {"sessions": [5, {}]}):
        backend.fault = lambda step, handler, body=body: step == "list" and handler.answer(200, body)
        assert remote.get(path("chrote-chat")).status_code == 200


async def test_nobody_there():
    chrote = Chrote("http://127.0.0.1:9/", 1.0, guards=None)
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            await chrote.capture("main", "0", None)
        assert refused.value.error_code == "CHROTE API not available"
        await chrote.close()
