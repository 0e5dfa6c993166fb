"""OpenCode's own clients, unmodified, against sessions of a running server: the SDK, `run --attach` and the TUI."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.sync.client
from realcode import Coding, coding
from realparts.llm import Call, Hang, Say
from realparts.opencode import OFFLINE
from realparts.tmux import TmuxServer

pytestmark = pytest.mark.timeout(300)
HERE = Path(__file__).parent
BROWSER = {"User-Agent": "Mozilla/5.0", "Sec-Fetch-Mode": "navigate", "Accept": "text/html"}


@pytest.fixture(scope="module")
def place(opencode_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coding]:
    """A server with the real OpenCode."""
    with coding(tmp_path_factory.mktemp("code"), opencode_binary) as place:
        yield place


@pytest.fixture(scope="module")
def project(place: Coding) -> Path:
    return place.project("shared", README__md="# here is the needle\n")


@pytest.fixture(scope="module")
def session(place: Coding, project: Path) -> str:
    """A session of Ann's."""
    return place.session("ann", project)


@pytest.fixture(scope="module")
def ann(place: Coding) -> Iterator[httpx.Client]:
    with place.client("ann") as client:
        yield client


def environment(folder: Path) -> dict[str, str]:
    """For OpenCode as a client: a home of its own."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **OFFLINE}


# -- unmodified clients ------------------------------------------------------------------------------------------


def test_the_sdk(place: Coding, session: str, project: Path, opencode_sdk: Path) -> None:
    place.llm.script(
        "make a file", Call("bash", {"command": "echo made > made.txt", "description": "make"}), Say("Made.")
    )
    (project / "made.txt").unlink(missing_ok=True)
    token = place.token("ann")
    done = subprocess.run(
        ["node", HERE / "sdk_client.mjs", opencode_sdk, place.code(session), token, shutil.which("rg") or ""],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["config"] == "scripted/scripted"
    assert said["providers"] == ["scripted"]
    assert said["files"] == ["README.md"]
    assert said.get("found", ["README.md"]) == ["README.md"]
    assert said["file"].startswith("# here is the needle")
    assert said["granted"] == ["bash"]
    assert said["answer"] == ["Made."]
    assert said["roles"] == ["user", "assistant", "assistant"]
    assert said["tools"] == ["completed"]
    assert (project / "made.txt").read_text() == "made\n"
    assert (said["title"], said["deleted"], said["after"]) == ("another", True, 404)
    wanted = {"server.connected", "session.created", "message.part.delta", "session.idle", "permission.replied"}
    assert wanted <= set(said["events"])


def test_run_attached(place: Coding, session: str, opencode_binary: Path, tmp_path: Path) -> None:
    arguments = ["run", "--attach", place.code(session), "--password", place.token("ann"), "say hello"]
    done = subprocess.run(
        [opencode_binary, *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert 'You said: "say hello"' in done.stdout


@pytest.mark.slow
def test_run_attached_with_a_wrong_password_is_refused(
    place: Coding, session: str, opencode_binary: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [opencode_binary, "run", "--attach", place.code(session), "--password", "mses_wrong", "hi"],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
    )
    assert "You said" not in done.stdout
    assert done.returncode != 0


@pytest.mark.slow  # The same program attaches in test_run_attached; to draw its terminal computes for half a minute.
def test_the_tui(place: Coding, session: str, opencode_binary: Path, tmp_path: Path) -> None:
    if reason := TmuxServer.missing():
        pytest.skip(reason)
    tmux = TmuxServer()
    tmux.env |= environment(tmp_path)
    key = place.server.key("ann")
    try:
        command = f"exec {opencode_binary} attach {place.code(session)} -p {key}"
        tmux.new_session("tui", command, cols=110, rows=35)
        tmux.wait_for("tui", "Ask anything", 90)
        tmux.run("send-keys", "-t", "tui", "-l", "typed in the terminal")
        tmux.wait_for("tui", "typed in the terminal", 30)
        tmux.run("send-keys", "-t", "tui", "Enter")
        tmux.wait_for("tui", "You said: typed in the terminal", 90)
    finally:
        tmux.stop()


# -- requests one by one -----------------------------------------------------------------------------------------


def test_every_method_reaches_it(place: Coding, session: str, ann: httpx.Client) -> None:
    made = ann.post(f"/api/session/{session}/code/session", json={"title": "one"}).json()
    path = f"/api/session/{session}/code/session/{made['id']}"
    assert ann.patch(path, json={"title": "two"}).json()["title"] == "two"
    assert ann.head(path).status_code == 200
    assert ann.options(path).status_code in (200, 204)
    assert ann.get(f"/api/sessions/{session}/opencode/session/{made['id']}").json()["title"] == "two"
    assert ann.delete(path).json() is True
    gone = ann.get(path)
    assert (gone.status_code, gone.json()["name"]) == (404, "NotFoundError")
    assert ann.get(f"/api/session/{session}/code/config?location[directory]=/x&q=%5B").status_code == 200


def test_what_comes_back_has_no_rights_in_our_origin(place: Coding, session: str, ann: httpx.Client) -> None:
    for path in ("", "/", "/any/page", "/assets/x.js", "/favicon-v3.svg"):
        answer = ann.get(f"/api/session/{session}/code{path}")
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "set-cookie" not in answer.headers


def test_events_are_a_stream_that_nobody_buffers(place: Coding, session: str, ann: httpx.Client) -> None:
    for path in ("/event", f"/event?directory={place.projects}/shared", "/global/event"):
        with ann.stream("GET", f"/api/session/{session}/code{path}") as stream:
            headers = stream.headers
            assert headers["content-type"].startswith("text/event-stream")
            assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache", "no")
            assert "server.connected" in next(line for line in stream.iter_lines() if line)


def test_a_terminal_of_its_own(place: Coding, session: str, ann: httpx.Client) -> None:
    base = f"/api/session/{session}/code/pty"
    # It says something only once it is asked: what comes before OpenCode listens to its own terminal is lost.
    command = "read word; echo $word-$((40+2)); cat"
    pty = ann.post(base, json={"command": "/bin/sh", "args": ["-c", command]}).json()["id"]
    uri = f"{place.server.ws_url}{base}/{pty}/connect?cursor=0"
    with websockets.sync.client.connect(uri, additional_headers={"Authorization": ann.headers["Authorization"]}) as ws:
        ws.send("from-the\n")
        seen = ""
        while "from-the-42" not in seen:
            data = ws.recv(timeout=30)
            seen += data if isinstance(data, str) else data.decode("utf-8", "replace")
    assert ann.delete(f"{base}/{pty}").status_code == 200


def test_who_may_not(place: Coding, session: str) -> None:
    path = f"/api/session/{session}/code/config"
    nobody = httpx.get(place.server.url + path, timeout=30)
    assert (nobody.status_code, "Basic" in nobody.headers["www-authenticate"]) == (401, True)
    page = httpx.get(place.server.url + path, headers={"User-Agent": "Mozilla/5.0"}, timeout=30)
    assert (page.status_code, page.headers["www-authenticate"]) == (401, "Bearer")
    for who, status in {"bob": 404, "vic": 403, "ada": 200}.items():
        with place.client(who) as client:
            assert client.get(path).status_code == status, who
    with place.client("ann") as client:
        assert client.get(f"/api/session/{'0' * 8}-0000-4000-8000-{'0' * 12}/code/config").status_code == 404
    # The session's own password opens nothing but the session, and that from behind only.
    assert (
        httpx.get(place.server.url + path, auth=("opencode", password(place, session)), timeout=30).status_code == 401
    )
    in_query = httpx.get(f"{place.server.url}{path}?auth_token={place.token('ann')}", timeout=30)
    assert in_query.status_code == 401


def test_a_login_in_the_query_does_not_go_on(place: Coding, session: str, ann: httpx.Client) -> None:
    for query in ("auth_token=bm9ib2R5Om5vdGhpbmc=", "x=1&%61uth_token=eA==&y=2", "auth%5Ftoken="):
        assert ann.get(f"/api/session/{session}/code/config?{query}").status_code == 200, query


def password(place: Coding, session: str) -> str:
    """OpenCode's password, as root of this machine can find it out: in the environment of the process."""
    for folder in Path("/proc").iterdir():
        try:
            held = dict(pair.split("=", 1) for pair in (folder / "environ").read_text().split("\0") if "=" in pair)
        except (OSError, ValueError):
            continue
        if held.get("HOME", "").endswith(session) and "OPENCODE_SERVER_PASSWORD" in held:
            return held["OPENCODE_SERVER_PASSWORD"]
    raise AssertionError("no process of the session was found")


def test_passwords_are_seen_nowhere_and_open_one_session_each(place: Coding, session: str) -> None:
    other = place.session("ann", place.project("second"))
    first, second = password(place, session), password(place, other)
    assert first != second
    with place.client("ann") as client:
        direct = client.get(f"/api/sessions/{session}").json()["opencode_port"]
        url = f"http://127.0.0.1:{direct}/config"
        assert httpx.get(url, auth=("opencode", first), timeout=30).status_code == 200
        assert httpx.get(url, auth=("opencode", second), timeout=30).status_code == 401
        assert httpx.get(url, timeout=30).status_code == 401
        shown = [client.get(path).text for path in ("/api/sessions", f"/api/sessions/{other}", "/health")]
        assert client.delete(f"/api/sessions/{other}").status_code == 204
    arguments = b"".join(read(folder / "cmdline") for folder in Path("/proc").iterdir() if folder.name.isdigit())
    database = b"".join(path.read_bytes() for path in place.server.data_dir.glob("moorage.db*"))
    for secret in (first, second):
        assert secret.encode() not in arguments
        assert secret.encode() not in database
        assert secret not in place.server.stderr + "".join(shown)
    kept = [path for path in place.server.data_dir.rglob("*") if path.is_file() and first.encode() in read(path)]
    assert {oct(path.stat().st_mode & 0o077) for path in kept} <= {"0o0"}


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


# -- ends and faults ---------------------------------------------------------------------------------------------


class Listening:
    """A stream of events in a thread, until it ends."""

    def __init__(self, url: str, token: str) -> None:
        self.connected, self.ended = threading.Event(), threading.Event()
        self._url, self._headers = url, {"Authorization": f"Bearer {token}"}
        threading.Thread(target=self._run, daemon=True).start()
        assert self.connected.wait(60), "no events came"

    def _run(self) -> None:
        try:
            with httpx.stream("GET", self._url, headers=self._headers, timeout=60) as stream:
                for _ in stream.iter_lines():
                    self.connected.set()
        except httpx.HTTPError:
            pass
        self.ended.set()


def test_a_stream_ends_with_the_login_and_with_the_role(place: Coding, session: str) -> None:
    token = place.token("ann")
    listening = Listening(place.code(session, "/event"), token)
    httpx.post(f"{place.server.url}/api/auth/logout", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert listening.ended.wait(30), "the login has ended, and the stream has not"
    assert httpx.get(place.code(session, "/config"), auth=("x", token), timeout=30).status_code == 401
    listening = Listening(place.code(session, "/event"), place.server.key("ann"))
    place.server.cli("users", "set-role", "ann", "viewer")
    try:
        assert listening.ended.wait(30), "the right has ended, and the stream has not"
    finally:
        place.server.cli("users", "set-role", "ann", "operator")


def test_a_stream_and_a_prompt_end_with_the_session(place: Coding, ann: httpx.Client) -> None:
    short = place.session("ann", place.project("short"))
    place.llm.script("take your time", Hang("One moment"))
    listening = Listening(place.code(short, "/event"), place.tokens["ann"])
    made = ann.post(f"/api/session/{short}/code/session", json={}).json()["id"]
    answers: list[Any] = []

    def prompt() -> None:
        body = {"parts": [{"type": "text", "text": "take your time"}]}
        try:
            answers.append(ann.post(f"/api/session/{short}/code/session/{made}/message", json=body).status_code)
        except httpx.HTTPError as error:
            answers.append(type(error).__name__)

    asking = threading.Thread(target=prompt)
    asking.start()
    place.llm.wait_hanging(60)
    assert ann.delete(f"/api/sessions/{short}").status_code == 204
    assert listening.ended.wait(30)
    asking.join(30)
    assert answers in ([503], [502], ["RemoteProtocolError"])
    assert ann.get(f"/api/session/{short}/code/config").status_code == 404
    place.llm.release()


@pytest.mark.slow
def test_a_stopped_session_is_resumed_by_being_used(place: Coding, ann: httpx.Client) -> None:
    own = place.session("ann", place.project("resumed"))
    assert ann.post(f"/api/sessions/{own}/stop").status_code == 204
    assert ann.get(f"/api/sessions/{own}").json()["status"] == "stopped"
    assert ann.get(f"/api/session/{own}/code/config").status_code == 200
    assert ann.get(f"/api/sessions/{own}").json()["status"] == "running"
    kill(own)
    # While nobody has noticed yet, and while it is started again: the request waits, or is told to come again.
    deadline = time.monotonic() + 90
    while (answer := ann.get(f"/api/session/{own}/code/config")).status_code != 200:
        assert answer.status_code in (502, 503), answer.text
        assert time.monotonic() < deadline, answer.text
    assert ann.delete(f"/api/sessions/{own}").status_code == 204


def kill(session: str) -> None:
    """End a session's OpenCode as a crash would."""
    for folder in Path("/proc").iterdir():
        environ = read(folder / "environ").decode("utf-8", "replace").split("\0")
        if f"HOME={homes(environ)}" in environ and homes(environ).endswith(session):
            os.kill(int(folder.name), signal.SIGKILL)
            return
    raise AssertionError("no process of the session was found")


def homes(environ: list[str]) -> str:
    return next((pair.removeprefix("HOME=") for pair in environ if pair.startswith("HOME=")), "")


@pytest.mark.slow
def test_the_killed_ends_its_streams(place: Coding, ann: httpx.Client) -> None:
    own = place.session("ann", place.project("killed"))
    listening = Listening(place.code(own, "/event"), place.tokens["ann"])
    kill(own)
    assert listening.ended.wait(30)
    assert ann.delete(f"/api/sessions/{own}").status_code == 204


# -- the way to the page -----------------------------------------------------------------------------------------


def test_a_browser_is_led_to_a_host_of_the_sessions_own(place: Coding, session: str, ann: httpx.Client) -> None:
    answer = ann.get(f"/api/session/{session}/code/", headers=BROWSER)
    assert answer.status_code == 303
    origin = f"http://{session}.opencode.localhost:{place.server.port}"
    assert answer.headers["location"].startswith(f"{origin}/.well-known/moorage/enter?ticket=")
    with place.client("bob") as bob:
        assert bob.get(f"/api/session/{session}/code/", headers=BROWSER).status_code == 404
    elsewhere = ann.get(f"/api/session/{session}/code/", headers={**BROWSER, "Host": "moorage.example.org"})
    assert (elsewhere.status_code, "page_host" in elsewhere.text) == (404, True)
