"""A changed `[plugins.opencode]` while sessions run, start and end: the next generation of the plugin takes them up."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sessionserver import alive, becomes, coding, starts, until


@pytest.fixture
def server(tmp_path):
    with coding(tmp_path, "ann") as server:
        yield server


def reload(server, **changes):
    """Apply other settings of the plugin."""
    server.write_config({"plugins": {"opencode": changes}})
    with server.api("root") as root:
        answer = root.post("/api/core/reload")
    assert answer.status_code == 200, answer.text
    assert answer.json()["changed"] == ["opencode"], answer.text


def test_what_runs_goes_on_and_has_one_keeper_of_its_state(server):
    project = server.project("p")
    with server.api("ann") as ann:
        session = ann.post("/api/sessions", json={"project_path": str(project)}).json()
        for terminals in (9, 10):
            reload(server, terminals=terminals)
            answer = ann.get(f"/api/session/{session['id']}/code/session")
            assert answer.status_code == 200, answer.text
        assert len(starts(project)) == 1
        # One generation looks after it: it is started again once and not twice.
        (project / "die").touch()
        until(lambda: len(starts(project)) == 2, "the second start")
        becomes(ann, session, "running")
        assert ann.get(f"/api/session/{session['id']}/code/session").status_code == 200
        assert ann.post(f"/api/sessions/{session['id']}/stop").status_code == 204
        assert len(starts(project)) == 2
        assert not any(alive(pid) for pid, _ in starts(project))


def test_what_is_just_starting_is_started_once(server):
    project = server.project("p", slow=1)
    with server.api("ann") as ann, ThreadPoolExecutor() as pool:
        asked = pool.submit(ann.post, "/api/sessions", json={"project_path": str(project)})
        until(lambda: starts(project), "the start")
        reload(server, terminals=9)
        assert asked.result().status_code == 503
        (session,) = ann.get("/api/sessions").json()
        becomes(ann, session, "running")
        assert len(starts(project)) == 1
        assert ann.get(f"/api/session/{session['id']}/code/session").status_code == 200


def test_none_is_left_that_nobody_looks_after(server):
    """What is asked of the generation that ends is done by the next one, or not at all."""
    program = server.program
    program.write_text(program.read_text().replace("print(version())", "time.sleep(0.5); print(version())"))
    with server.api("ann") as ann, ThreadPoolExecutor() as pool:
        asked = pool.submit(ann.post, "/api/sessions", json={"project_path": str(server.project("p"))})
        reload(server, terminals=9)
        asked.result()
        for session in ann.get("/api/sessions").json():
            becomes(ann, session, "running")


def test_an_operator_is_told_what_goes_on(server):
    """What is found again, stopped and deleted is in the log; what is missing there too, and where commands look."""
    project = server.project("p")
    with server.api("ann") as ann:
        session = ann.post("/api/sessions", json={"project_path": str(project)}).json()
        reload(server, terminals=9)
        until(lambda: told(server, "session found again", session), "the log of the next generation")
        assert ann.post(f"/api/sessions/{session['id']}/stop").status_code == 204
        assert ann.delete(f"/api/sessions/{session['id']}").status_code == 204
    assert told(server, "session stopped", session)
    assert told(server, "session deleted", session)

    assert "OpenCode is not installed" not in server.stderr
    reload(server, binary="/nowhere/opencode")
    assert "OpenCode is not installed" in server.stderr
    with server.api("root") as root:
        assert "npm install" in root.get("/health").json()["components"]["opencode"]["detail"]
    assert "OpenCode is not installed" in server.cli("plugins", "list").stdout
    doctor = server.cli("plugins", "doctor", "opencode")
    assert doctor.returncode == 0, "the plugin is well"
    assert "the running server says: OpenCode is not installed" in doctor.stdout
    reload(server, runtime="docker")
    with server.api("root") as root:
        assert "[plugins.opencode] image" in root.get("/health").json()["components"]["opencode"]["detail"]


def told(server, event, session):
    """Whether the log has it of a session."""
    return any(event in line and session["id"] in line for line in server.stderr.splitlines())
