"""Sessions over HTTP, as the contract has them, on a real `moorage serve` with a program in OpenCode's place."""

from __future__ import annotations

import json
import re
import threading

import httpx
import pytest
from sessionserver import alive, becomes, coding, install, starts, until
from waits import WAIT

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
OF_THE_PROGRAM = {
    "id", "container_id", "container_name", "user_id", "workspace_path", "agent", "image", "image_digest",
    "opencode_port", "fileserver_port", "ttyd_port", "eavs_port", "agent_base_port", "max_agents", "eavs_key_id",
    "eavs_key_hash", "mmry_port", "status", "runtime_mode", "created_at", "started_at", "stopped_at",
    "last_activity_at", "error_message",
}  # fmt: skip
"""What the contract's program has in a session, beside what its document names."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with coding(tmp_path_factory.mktemp("sessions")) as running:
        yield running


@pytest.fixture
def project(server, request):
    name = re.sub(r"\W", "-", request.node.name.removeprefix("test_"))[:60]
    return server.project(name)


@pytest.fixture
def ann(server):
    with server.api("ann") as client:
        yield client


def made(client, project, **more):
    answer = client.post("/api/sessions", json={"project_path": str(project), **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_session_from_its_making_to_its_end(server, ann, project):
    session = made(ann, project, name="my work", env={"TEAM": "blue"}, agent="build")
    assert {"id", "name", "status", "created_at", "project_path", "urls", *OF_THE_PROGRAM} <= set(session)
    assert UUID.match(session["id"])
    assert (session["name"], session["status"], session["agent"]) == ("my work", "running", "build")
    assert session["project_path"] == session["workspace_path"] == str(project)
    assert (session["runtime_mode"], session["image"], session["container_name"]) == (
        "local", None, f"octo-{session['id'][:8]}",
    )  # fmt: skip
    assert all(TIME.match(session[name]) for name in ("created_at", "started_at", "last_activity_at"))
    assert session["urls"] == {
        "opencode": f"/session/{session['id']}/code",
        "fileserver": f"/session/{session['id']}/files",
        "terminal": f"/session/{session['id']}/term",
    }
    own = json.loads((project / "env.json").read_text())
    assert own["TEAM"] == "blue"
    assert not any("MOORAGE_CONFIG" in name for name in own)
    # It is OpenCode's own port, and without the password nothing comes from it.
    assert httpx.get(f"http://127.0.0.1:{session['opencode_port']}/session").status_code == 401

    path = f"/api/sessions/{session['id']}"
    assert ann.get(path).json()["status"] == "running"
    assert ann.post(path + "/stop").status_code == 204
    stopped = ann.get(path).json()
    assert (stopped["status"], stopped["opencode_port"]) == ("stopped", None)
    assert TIME.match(stopped["stopped_at"])
    assert not alive(starts(project)[0][0])
    assert ann.post(path + "/stop").status_code == 204, "no change, no error"

    resumed = ann.post(path + "/resume")
    assert (resumed.status_code, resumed.json()["status"], resumed.json()["stopped_at"]) == (200, "running", None)
    refused = ann.post(path + "/resume")
    assert refused.status_code == 400
    assert "cannot resume session in state running, must be stopped" in refused.json()["error"]
    assert ann.post(path + "/activity").status_code == 204

    home = server.data_dir / "plugins" / "opencode" / "homes" / session["id"]
    assert home.is_dir()
    pids = [pid for pid, _ in starts(project)]
    assert len(pids) == 2
    assert ann.delete(path).status_code == 204, "also one that runs"
    assert ann.get(path).status_code == 404
    assert ann.delete(path).status_code == 404
    assert not any(map(alive, pids))
    assert not home.exists()
    assert (project / "starts").exists(), "the project stays"
    ours = [action for action, target in server.audited() if target == f"opencode_session:{session['id']}"]
    assert ours == [f"opencode.session_{verb}" for verb in ("created", "stopped", "stopped", "resumed", "deleted")]


def test_lists_are_of_ones_own_newest_first_and_paged(server, project):
    ids = []
    with server.api("bob") as bob:
        for _ in range(3):
            ids.insert(0, made(bob, project)["id"])
        listed = bob.get("/api/sessions")
        assert [one["id"] for one in listed.json()] == ids
        assert listed.headers["x-total-count"] == "3"
        page = bob.get("/api/sessions?limit=1&offset=1")
        assert [one["id"] for one in page.json()] == [ids[1]]
        assert page.headers["x-total-count"] == "3"
        assert bob.get("/api/sessions?limit=0").status_code == 422
    with server.api("ada") as ada:
        assert ada.get("/api/sessions").json() == [], "an administrator's own are none"
        everybody = ada.get("/api/admin/sessions?limit=1000").json()
        assert set(ids) <= {one["id"] for one in everybody}
        owners = {one["user_id"] for one in everybody if one["id"] in ids}
    with server.api("bob") as bob:
        assert owners == {bob.get("/api/me").json()["id"]}


ROUTES = [
    ("GET", ""), ("DELETE", ""), ("POST", "/stop"), ("POST", "/resume"), ("POST", "/upgrade"), ("POST", "/activity"),
    ("GET", "/update"), ("GET", "/logs"), ("GET", "/stats"),
]  # fmt: skip


def test_nobody_reaches_anothers_session(server, ann, project):
    session = made(ann, project)
    with server.api("bob") as bob, server.api("vic") as viewer, httpx.Client(base_url=server.url) as nobody:
        for method, part in ROUTES:
            path = f"/api/sessions/{session['id']}{part}"
            assert bob.request(method, path).status_code == 404, (method, part)
            missing = bob.request(method, f"/api/sessions/00000000-0000-4000-8000-000000000000{part}")
            assert missing.json() == bob.request(method, path).json(), "it does not say that it is there"
            assert viewer.request(method, path).status_code in (403, 404), (method, part)
            assert nobody.request(method, path).status_code == 401, (method, part)
        for method, path in [
            ("GET", "/api/admin/sessions"),
            ("GET", "/api/admin/stats"),
            ("POST", f"/api/admin/sessions/{session['id']}/stop"),
            ("DELETE", f"/api/admin/sessions/{session['id']}"),
        ]:
            assert bob.request(method, path).status_code == 403, path
            assert nobody.request(method, path).status_code == 401, path
        assert session["id"] not in {one["id"] for one in bob.get("/api/sessions").json()}
        assert viewer.post("/api/sessions", json={"project_path": str(project)}).status_code == 403
        assert viewer.get("/api/sessions").json() == []
    assert ann.get(f"/api/sessions/{session['id']}").json()["status"] == "running"


def test_keys_do_what_their_scopes_say(server, ann, project):
    session = made(ann, project)
    for name, scope in (("looking", "opencode:session:view"), ("stopping", "opencode:session:control")):
        answer = ann.post("/api/v1/api-keys", json={"name": name, "scopes": [scope]})
        assert answer.status_code == 201, answer.text
        server.keys[name] = answer.json()["data"]["api_key"]
    path = f"/api/sessions/{session['id']}"
    with server.api("looking") as looking, server.api("stopping") as stopping:
        assert looking.get(path).json()["id"] == session["id"]
        assert looking.get(path + "/logs").status_code == 200
        assert looking.post(path + "/stop").status_code == 403
        assert looking.delete(path).status_code == 403
        assert looking.post("/api/sessions", json={}).status_code == 403
        assert stopping.get(path).status_code == 403
        assert stopping.post(path + "/stop").status_code == 204


def test_administrators(server, ann, project):
    session = made(ann, project)
    with server.api("ada") as ada:
        stats = ada.get("/api/admin/stats").json()
        assert {"total_users": 5, "active_users": 5}.items() <= stats.items()
        assert 1 <= stats["running_sessions"] <= stats["total_sessions"]
        assert ada.get(f"/api/sessions/{session['id']}").json()["id"] == session["id"]
        assert ada.post(f"/api/admin/sessions/{session['id']}/stop").status_code == 204
        assert ann.get(f"/api/sessions/{session['id']}").json()["status"] == "stopped"
        assert ada.delete(f"/api/admin/sessions/{session['id']}").status_code == 204
        assert ada.delete(f"/api/admin/sessions/{session['id']}").status_code == 404
    assert ann.get(f"/api/sessions/{session['id']}").status_code == 404


def test_asked_not_to_wait(server, ann):
    project = server.project("in-no-hurry", slow=1)
    answer = ann.post("/api/sessions", json={"project_path": str(project)}, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.json()["status"] in ("pending", "starting")
    becomes(ann, answer.json(), "running")


def test_a_client_that_leaves_does_not_end_the_start(server, ann):
    project = server.project("left-alone", slow=1)
    with server.api("ann") as hasty, pytest.raises(httpx.ReadTimeout):
        hasty.post("/api/sessions", json={"project_path": str(project)}, timeout=0.4)
    mine = until(lambda: [one for one in ann.get("/api/sessions").json() if one["project_path"] == str(project)])
    becomes(ann, mine[0], "running")
    assert len(starts(project)) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"agent": "../x y\n"}, "agent"),
        ({"agent": "-x"}, "agent"),
        ({"image": "debian"}, "image"),
        ({"runtime": "docker"}, "runtime"),
        ({"runtime": "nowhere"}, "runtime"),
        ({"env": {"LD_PRELOAD": "/tmp/x.so"}}, "env"),
        ({"env": {"OPENCODE_SERVER_PASSWORD": "x"}}, "env"),
        ({"env": {"A=B": "x"}}, "env"),
        ({"env": {"A": "nul\0"}}, "env"),
        ({"env": {"A": 1}}, "env"),
        ({"env": {f"A{n}": "" for n in range(100)}}, "env"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "x" * 600}, "name"),
        ({"project_path": "/a", "workspace_path": "/b"}, "workspace_path"),
        ({"project_path": 7}, "project_path"),
    ],
)
def test_wrong_wishes(server, ann, body, said):
    before = ann.get("/api/sessions").headers["x-total-count"]
    answer = ann.post("/api/sessions", json=body)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["error"]
    assert ann.get("/api/sessions").headers["x-total-count"] == before


def test_what_is_no_body(ann):
    assert ann.post("/api/sessions", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    assert ann.post("/api/sessions", content=b"x=1", headers={"Content-Type": "text/plain"}).status_code == 415
    assert ann.post("/api/sessions/get-or-create-for-workspace", json={}).status_code == 422


def test_found_or_made(server, ann, project):
    first = ann.post("/api/sessions/get-or-create", json={"workspace_path": str(project)})
    assert (first.status_code, first.json()["status"]) == (200, "running")
    path = f"/api/sessions/{first.json()['id']}"
    ask = {"workspace_path": str(project)}
    assert ann.post("/api/sessions/get-or-create-for-workspace", json=ask).json()["id"] == first.json()["id"]
    ann.post(path + "/stop")
    again = ann.post("/api/sessions/get-or-create-for-workspace", json=ask).json()
    assert (again["id"], again["status"]) == (first.json()["id"], "running"), "a stopped one is resumed"
    with server.api("bob") as bob:
        other = bob.post("/api/sessions/get-or-create", json=ask).json()
        assert other["id"] != first.json()["id"], "a project may have several people's sessions"
        assert (other["status"], bob.delete(f"/api/sessions/{other['id']}").status_code) == ("running", 204)


def test_many_at_once_find_one(server, project):
    found, ask = [], {"workspace_path": str(project)}

    def find():
        with server.api("ann") as client:
            found.append(client.post("/api/sessions/get-or-create", json=ask).json()["id"])

    together(find, 6)
    assert len(found) == 6
    assert len(set(found)) == 1
    assert len(starts(project)) == 1


def test_many_made_at_once(server, project):
    found = []

    def make():
        with server.api("ann") as client:
            found.append(made(client, project))

    together(make, 6)
    assert len({one["id"] for one in found}) == len({one["opencode_port"] for one in found}) == 6


def test_stop_resume_and_delete_in_one_order(server, project):
    """However they meet, each is answered by what the state then was, and the last one has the last word."""
    with server.api("ann") as ann:
        session = made(ann, project)
    statuses = []

    def ask(verb):
        with server.api("ann") as client:
            statuses.append((verb, client.post(f"/api/sessions/{session['id']}/{verb}").status_code))

    together(lambda: [ask("stop"), ask("resume"), ask("upgrade")], 4)
    assert {status for verb, status in statuses if verb == "stop"} == {204}
    assert {status for verb, status in statuses if verb == "resume"} <= {200, 400, 409}
    assert {status for verb, status in statuses if verb == "upgrade"} <= {200, 409}
    with server.api("ann") as ann:
        ann.post(f"/api/sessions/{session['id']}/stop")
        assert ann.get(f"/api/sessions/{session['id']}").json()["status"] == "stopped"
        assert not any(alive(pid) for pid, _ in starts(project))
        together(lambda: ann.delete(f"/api/sessions/{session['id']}"), 1)
        assert ann.get(f"/api/sessions/{session['id']}").status_code == 404


def test_the_log_and_the_figures(ann, project):
    session = made(ann, project)
    path = f"/api/sessions/{session['id']}"
    log = ann.get(path + "/logs")
    assert log.headers["content-type"].startswith("text/plain")
    assert "starting with the password ***" in log.text
    assert "listening on" in log.text
    assert len(ann.get(path + "/logs?lines=1").text.splitlines()) == 1
    assert ann.get(path + "/logs?lines=0").status_code == 422
    stats = ann.get(path + "/stats").json()
    assert stats["session_id"] == session["id"]
    assert stats["stats"]["memory_bytes"] > 1_000_000
    assert stats["stats"]["processes"] >= 1
    ann.post(path + "/stop")
    assert ann.get(path + "/stats").json()["stats"] is None


def test_a_newer_program_is_an_update(server, ann, project):
    session, other = made(ann, project), made(ann, server.project("stopped-early"))
    ann.post(f"/api/sessions/{other['id']}/stop")
    path = f"/api/sessions/{session['id']}"
    assert session["image_digest"] == "opencode@1.0.0"
    assert session["id"] not in {one["session_id"] for one in ann.get("/api/sessions/updates").json()}
    assert ann.get(path + "/update").json() == {
        "session_id": session["id"], "update_available": False, "new_digest": None,
    }  # fmt: skip
    install(server.bin, "1.1.0")
    try:
        wanted = {"session_id": session["id"], "update_available": True, "new_digest": "opencode@1.1.0"}
        assert ann.get(path + "/update").json() == wanted
        updates = ann.get("/api/sessions/updates").json()
        assert wanted in updates
        assert other["id"] not in {one["session_id"] for one in updates}, "it gets the new one when it is resumed"
        (server.data_dir / "plugins/opencode/homes" / session["id"] / "kept").touch()
        upgraded = ann.post(path + "/upgrade")
        assert (upgraded.status_code, upgraded.json()["status"]) == (200, "running")
        assert (upgraded.json()["id"], upgraded.json()["image_digest"]) == (session["id"], "opencode@1.1.0")
        assert [version for _, version in starts(project)] == ["1.0.0", "1.1.0"]
        assert not alive(starts(project)[0][0])
        assert (server.data_dir / "plugins/opencode/homes" / session["id"] / "kept").exists()
        assert ann.get(path + "/update").json()["update_available"] is False
        resumed = ann.post(f"/api/sessions/{other['id']}/resume").json()
        assert resumed["image_digest"] == "opencode@1.1.0"
    finally:
        install(server.bin)


def test_a_stopped_session_is_upgraded_too_and_one_that_cannot_start_is_failed(server, ann, project):
    session = made(ann, project)
    path = f"/api/sessions/{session['id']}"
    ann.post(path + "/stop")
    assert ann.post(path + "/upgrade").json()["status"] == "running"
    server.project(project.name, exit=3)
    failed = ann.post(path + "/upgrade")
    assert (failed.status_code, failed.json()["status"]) == (200, "failed")
    assert "exit code 3" in failed.json()["error_message"]
    (project / "standin.json").unlink()
    resumed = ann.post(path + "/resume")
    assert (resumed.status_code, resumed.json().get("status")) == (200, "running"), resumed.text


def test_metrics(server, ann, project):
    made(ann, project)
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.keys['ada']}"}) as ada:
        text = ada.get("/metrics").text
    assert re.search(r'^moorage_opencode_sessions\{status="running"\} [1-9]', text, re.M)
    assert re.search(r'^moorage_opencode_session_start_seconds_count\{runtime="process"\} [1-9]', text, re.M)


def test_the_stream_of_figures_has_what_sessions_use(server, ann, project):
    session = made(ann, project)

    def sampled():
        headers = {"Authorization": f"Bearer {server.keys['ada']}"}
        with httpx.stream("GET", server.url + "/api/admin/metrics", headers=headers) as answer:
            event = json.loads(next(answer.iter_lines()).removeprefix("data: "))
        assert event["error"] is None
        return [one for one in event["containers"] if one["session_id"] == session["id"]]

    (found,) = until(sampled)
    assert (found["container_id"], found["container_name"]) == (session["container_id"], session["container_name"])
    assert re.match(r"^[\d.]+%$", found["stats"]["CpuPercent"])
    assert re.match(r"^[\d.]+[KM]iB / 4GiB$", found["stats"]["MemUsage"])
    ann.post(f"/api/sessions/{session['id']}/stop")
    until(lambda: not sampled())


def together(work, times):
    """Run it in so many threads at once; an error in one is the test's."""
    errors = []

    def guarded():
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4 * WAIT)
    assert not errors, errors
