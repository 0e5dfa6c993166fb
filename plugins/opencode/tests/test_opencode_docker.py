"""Sessions as containers of a real Docker engine: the real OpenCode in an image of this machine's own files."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.sync.client
from realcode import Coding, coding
from realparts.docker_engine import DockerEngine, no_busybox
from realparts.fixtures import need
from realparts.llm import Call, Say
from realparts.opencode_image import NAME, import_opencode, renewed
from waits import WAIT

pytestmark = pytest.mark.timeout(300)
OTHER = "opencode:other"
Message = dict[str, Any]


@pytest.fixture(scope="module")
def engine(own_docker_engine: DockerEngine, opencode_binary: Path) -> DockerEngine:
    """An engine with the image, which tests end and start."""
    need(no_busybox())
    import_opencode(own_docker_engine, opencode_binary)
    return own_docker_engine


@pytest.fixture
def up(engine: DockerEngine) -> Iterator[DockerEngine]:
    """The engine; it runs again afterwards, whatever the test did."""
    yield engine
    if not engine.runs:
        engine.start()


@pytest.fixture(scope="module")
def place(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coding]:
    """A server whose sessions are containers; it has no OpenCode of its own. Nothing is left of it."""
    core = {"runtimes": {"docker": {"enabled": True, "url": engine.url}}}
    folder = tmp_path_factory.mktemp("docker")
    with coding(
        folder, Path("/nonexistent/opencode"), core,
        llm_host=engine.bridge.address, runtime="docker", image=NAME, other_images=[OTHER, "opencode:nowhere"],
        start_timeout=120, max_running_per_user=20,
    ) as place:  # fmt: skip
        yield place
    assert containers(engine) == set(), "containers are left"


@pytest.fixture
def ann(place: Coding) -> Iterator[httpx.Client]:
    with place.client("ann") as client:
        yield client


def containers(engine: DockerEngine) -> set[str]:
    """The full ids of all that there are, running or not."""
    return set(engine.docker("ps", "-aq", "--no-trunc").stdout.split())


def inspected(engine: DockerEngine, session: Message) -> Message:
    found: Message = json.loads(engine.docker("inspect", session["container_id"]).stdout)[0]
    return found


def until(condition: Callable[[], Any], what: str, seconds: float = 2 * WAIT) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.1)
    return found


def session_of(client: httpx.Client, pid: str) -> Message:
    found: Message = client.get(f"/api/sessions/{pid}").json()
    return found


def becomes(client: httpx.Client, pid: str, status: str) -> Message:
    seen: Message = {}

    def there() -> bool:
        seen.update(session_of(client, pid))
        return seen["status"] == status

    try:
        until(there, status)
    except AssertionError as error:
        raise AssertionError(f"{error}: {seen}") from None
    return seen


def ask(client: httpx.Client, pid: str, text: str, conversation: str | None = None) -> tuple[str, str]:
    """Put a prompt, grant what it asks for; (conversation, the answer's text)."""
    code = f"/api/session/{pid}/code"
    if conversation is None:
        conversation = client.post(f"{code}/session", json={}).json()["id"]
    sent = client.post(f"{code}/session/{conversation}/prompt_async", json={"parts": [{"type": "text", "text": text}]})
    assert sent.status_code == 204, sent.text

    def answered() -> str:
        for wanted in client.get(f"{code}/permission").json():
            client.post(f"{code}/permission/{wanted['id']}/reply", json={"reply": "once"})
        last = client.get(f"{code}/session/{conversation}/message").json()[-1]
        done = last["info"]["role"] == "assistant" and last["info"].get("finish") == "stop"
        return "".join(part.get("text", "") for part in last["parts"]) if done else ""

    return str(conversation), str(until(answered, "an answer"))


def typed(place: Coding, pid: str, line: str, end: str) -> str:
    """What a session's terminal shows after a line, until `end` stands there."""
    url = f"{place.server.ws_url}/api/session/{pid}/term"
    headers = {"Authorization": f"Bearer {place.tokens['ann']}"}
    shown = ""
    with websockets.sync.client.connect(url, additional_headers=headers, proxy=None) as socket:
        socket.send(line + "\n")
        while end not in shown:
            shown += bytes(socket.recv(WAIT)).decode()  # type: ignore[arg-type]
    return shown


def test_a_session_is_a_container(place: Coding, up: DockerEngine, ann: httpx.Client) -> None:
    project = place.project("one", README__md="# one\n")
    command = "mkdir sub; hostname > sub/made.txt; stat -c %u sub >> sub/made.txt"
    place.llm.script("make a file", Call("bash", {"command": command, "description": "make"}), Say("Made."))
    pid = place.session("ann", project)
    session = session_of(ann, pid)
    path, name = f"/api/sessions/{pid}", session["container_name"]
    digest = up.docker("inspect", "--type", "image", "--format", "{{.Id}}", NAME).stdout.strip()
    wanted = {"runtime": "docker", "runtime_mode": "container", "image": NAME, "image_digest": digest}
    assert wanted.items() <= session.items()
    told = inspected(up, session)
    assert told["HostConfig"]["ReadonlyRootfs"]
    assert told["HostConfig"]["CapDrop"] == ["ALL"]
    assert told["Config"]["User"] == f"{os.getuid()}:{os.getgid()}"
    assert told["NetworkSettings"]["Ports"]["41820/tcp"][0]["HostPort"] == str(session["opencode_port"])
    # The agent works inside; what it makes is the server's user's, and is seen by /files at once.
    conversation, said = ask(ann, pid, "make a file")
    assert said == "Made."
    made = project / "sub/made.txt"
    assert made.read_text().split() == [name, str(os.getuid())]
    assert (made.stat().st_uid, made.stat().st_gid) == (os.getuid(), os.getgid())
    files = f"/api/session/{pid}/files"
    assert ann.get(f"{files}/file", params={"path": "sub/made.txt"}).text == made.read_text()
    assert ann.put(f"{files}/file", params={"path": "sub/ours.txt"}, content=b"ours").status_code < 300
    home = place.server.data_dir / "plugins/opencode/homes" / pid
    assert (home.stat().st_mode & 0o777, any(home.iterdir())) == (0o700, True)
    # So does the terminal.
    shown = typed(place, pid, "hostname; cat sub/ours.txt; touch /etc/x; id -u; echo e''nd", "end\r\n")
    assert f"{name}\r\nours" in shown
    assert "/etc/x: Read-only file system" in shown
    assert "server listening on" in ann.get(path + "/logs").text
    stats = ann.get(path + "/stats").json()["stats"]
    assert stats["memory_bytes"] > 10_000_000
    assert stats["memory_limit"] == 4 * 2**30
    with place.client("ada") as ada, ada.stream("GET", "/api/admin/metrics") as answer:
        event = json.loads(next(answer.iter_lines()).removeprefix("data: "))
    (figures,) = [one for one in event["containers"] if one["session_id"] == pid]
    assert (figures["container_id"], figures["container_name"]) == (session["container_id"], name)
    # Stopped it is kept, and the same is started again.
    assert ann.post(path + "/stop").status_code == 204
    assert containers(up) == {session["container_id"]}
    assert ann.get(path + "/stats").json()["stats"] is None
    resumed = ann.post(path + "/resume").json()
    assert (resumed["status"], resumed["container_id"]) == ("running", session["container_id"])
    # A newer image of the same name.
    assert ann.get("/api/sessions/updates").json() == []
    newer = renewed(up, NAME, up.folder / "newer")
    update = {"session_id": pid, "update_available": True, "new_digest": newer}
    assert ann.get("/api/sessions/updates").json() == [update]
    upgraded = ann.post(path + "/upgrade").json()
    assert (upgraded["status"], upgraded["image_digest"]) == ("running", newer)
    assert containers(up) == {upgraded["container_id"]} != {session["container_id"]}
    assert ann.get("/api/sessions/updates").json() == []
    assert ask(ann, pid, "and now", conversation) == (conversation, "You said: and now")
    told = ann.get(f"/api/session/{pid}/code/session/{conversation}/message").json()
    assert [one["info"]["role"] for one in told] == ["user", "assistant", "assistant", "user", "assistant"]
    # A server that was killed finds it again.
    place.server.kill()
    place.server.start()
    found = becomes(ann, pid, "running")
    assert (found["container_id"], found["opencode_port"]) == (upgraded["container_id"], upgraded["opencode_port"])
    assert until(lambda: ann.get(f"/api/session/{pid}/code/session").status_code == 200, "an answer")
    assert ann.delete(path).status_code == 204
    assert containers(up) == set()
    assert not home.exists()
    assert made.exists()


def test_images_that_will_not_do(place: Coding, up: DockerEngine, ann: httpx.Client) -> None:
    project = place.project("wrong-image")
    before = ann.get("/api/sessions").headers["x-total-count"]
    missing = ann.post("/api/sessions", json={"project_path": str(project), "image": "opencode:nowhere"})
    assert missing.status_code == 503
    assert "The image 'opencode:nowhere' is not there: pull or build it" in missing.json()["error"]
    assert ann.get("/api/sessions").headers["x-total-count"] == before, "there is no row of it"
    up.docker("tag", up.import_busybox(), OTHER)
    without = ann.post("/api/sessions", json={"project_path": str(project), "image": OTHER})
    assert without.status_code == 500
    assert "Its program is not in the image" in without.json()["error"]
    pid = without.json()["details"]["session_id"]
    assert session_of(ann, pid)["status"] == "failed"
    assert containers(up) == set()
    up.docker("rmi", OTHER)
    assert ann.delete(f"/api/sessions/{pid}").status_code == 204


@pytest.mark.slow
def test_an_engine_that_goes_and_comes(place: Coding, up: DockerEngine, ann: httpx.Client) -> None:
    project = place.project("engine")
    pid, idle = place.session("ann", project), place.session("ann", place.project("idle"))
    container = session_of(ann, pid)["container_id"]
    conversation, _ = ask(ann, pid, "before")
    assert ann.post(f"/api/sessions/{idle}/stop").status_code == 204
    for _ in range(2):  # More often than a session that ends by itself is started again.
        up.end()
        began = time.monotonic()
        for method, path in [
            ("POST", "/api/sessions"),
            ("GET", f"/api/sessions/{pid}/logs"),
            ("GET", f"/api/sessions/{pid}/stats"),
            ("GET", f"/api/session/{pid}/code/session"),
            ("POST", f"/api/sessions/{idle}/resume"),
            ("DELETE", f"/api/sessions/{idle}"),
        ]:
            answer = ann.request(method, path, json={"project_path": str(project)} if method == "POST" else None)
            assert answer.status_code in (502, 503), (path, answer.text)
            assert str(up.folder) not in answer.text
        assert time.monotonic() - began < 20
        assert ann.get(f"/api/session/{pid}/files/tree").status_code == 200, "files need no engine"
        assert session_of(ann, idle)["status"] == "failed"
        up.start()
        assert becomes(ann, pid, "running")["container_id"] == container
        assert ask(ann, pid, "after", conversation) == (conversation, "You said: after")
    # The server is killed, and starts before the engine does.
    place.server.kill()
    up.end()
    place.server.start()
    assert ann.get(f"/api/session/{pid}/code/session").status_code == 503
    up.start()
    until(lambda: ann.get(f"/api/session/{pid}/code/session").status_code == 200, "an answer")
    assert session_of(ann, pid)["container_id"] == container
    assert ann.post(f"/api/sessions/{idle}/resume").json()["status"] == "running"
    # Somebody else removes its container: it has failed, and can be had again with what it knew.
    up.docker("rm", "-f", container)
    until(lambda: session_of(ann, pid)["container_id"] != container or becomes(ann, pid, "failed"), "the end")
    assert ann.post(f"/api/sessions/{pid}/resume").json()["status"] == "running"
    assert ask(ann, pid, "at last", conversation)[1] == "You said: at last"
    for one in (pid, idle):
        assert ann.delete(f"/api/sessions/{one}").status_code == 204
    assert containers(up) == set()


@pytest.mark.slow
def test_a_server_of_roots_has_workloads_of_another_user(
    engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("other-user")
    core = {"runtimes": {"docker": {"enabled": True, "url": engine.url, "user": "4321:4321"}}}
    with coding(
        folder, Path("/nonexistent/opencode"), core,
        llm_host=engine.bridge.address, runtime="docker", image=NAME, start_timeout=120,
    ) as place:  # fmt: skip
        project = place.project("theirs")
        for one in (project, *project.rglob("*")):
            os.chown(one, 4321, 4321)
        pid = place.session("ann", project)
        home = place.server.data_dir / "plugins/opencode/homes" / pid
        assert home.stat().st_uid == 4321
        with place.client("ann") as ann:
            shown = typed(place, pid, "git status; touch made; echo e''nd", "end\r\n")
            assert "No commits yet" in shown
            assert (project / "made").stat().st_uid == 4321
            put = ann.put(f"/api/session/{pid}/files/file", params={"path": "ours"}, content=b"ours")
            assert put.status_code < 300, put.text
        assert (project / "ours").stat().st_uid == 4321, "what the server writes is theirs as well"
    assert containers(engine) == set()
