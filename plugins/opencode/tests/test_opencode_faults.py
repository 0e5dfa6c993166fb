"""Sessions on bad days: programs that do not start, end, hang; servers that are killed in the middle of anything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time

import pytest
from sessionserver import alive, becomes, coding, install, starts, until
from waits import WAIT


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with coding(tmp_path_factory.mktemp("faults"), "ann", start_timeout=5) as running:
        yield running


@pytest.fixture
def ann(server):
    with server.api("ann") as client:
        yield client


def make(client, project, status=201, **more):
    answer = client.post("/api/sessions", json={"project_path": str(project), **more})
    assert answer.status_code == status, answer.text
    return answer.json()


def only(client, project):
    """The one session with a project."""
    (found,) = [one for one in client.get("/api/sessions?limit=1000").json() if one["project_path"] == str(project)]
    return found


def nothing_left(server, session):
    """No workload, no process, no port."""
    assert not server.workload_folder(session).exists()
    assert session["opencode_port"] is None


# -- starts that fail ----------------------------------------------------------------------------------------


def test_a_program_that_ends_at_once(server, ann):
    project = server.project("ends", exit=3)
    answer = make(ann, project, 500)
    assert "OpenCode ended by itself (exit code 3)" in answer["error"]
    assert "there is something wrong with me" in answer["error"]
    session = only(ann, project)
    assert session["id"] == answer["details"]["session_id"]
    assert session["status"] == "failed"
    assert "there is something wrong with me" in session["error_message"]
    assert "starting with the password ***" in session["error_message"]
    nothing_left(server, session)
    assert ann.delete(f"/api/sessions/{session['id']}").status_code == 204


def test_a_program_that_never_answers(server, ann):
    project = server.project("deaf", deaf=True)
    answer = make(ann, project, 500)
    assert "did not become ready within 5 s" in answer["error"]
    session = only(ann, project)
    nothing_left(server, session)
    assert not alive(starts(project)[0][0])
    (project / "standin.json").unlink()
    assert ann.post(f"/api/sessions/{session['id']}/resume").json()["status"] == "running"


def test_without_opencode(server, ann):
    project = server.project("without")
    kept = make(ann, project)
    ann.post(f"/api/sessions/{kept['id']}/stop")
    server.program.rename(server.bin / "away")
    try:
        answer = make(ann, project, 503)
        assert "OpenCode is not installed" in answer["error"]
        assert "npm install -g opencode-ai" in answer["error"]
        assert only(ann, project)["id"] == kept["id"], "what cannot be is not kept"
        refused = ann.post(f"/api/sessions/{kept['id']}/resume")
        assert refused.status_code == 503
        assert "npm install" in ann.get(f"/api/sessions/{kept['id']}").json()["error_message"]
        with server.api("root") as root:
            health = root.get("/health").json()
        assert health["status"] == "healthy", "a server without it is well"
        assert ann.get(f"/api/sessions/{kept['id']}/update").json()["update_available"] is False
    finally:
        (server.bin / "away").rename(server.program)
    assert ann.post(f"/api/sessions/{kept['id']}/resume").json()["status"] == "running"


def test_a_program_that_is_none(server, ann):
    project = server.project("nonsense")
    server.program.write_text("#!/nonexistent/interpreter\n")
    try:
        assert "cannot be run" in make(ann, project, 503)["error"]
    finally:
        install(server.bin)


@pytest.mark.parametrize("verb", ["stop", "delete"])
def test_ended_while_it_starts(server, ann, verb):
    project = server.project(f"{verb}-early", deaf=True)
    answers = []

    def create():
        with server.api("ann") as client:
            answers.append(client.post("/api/sessions", json={"project_path": str(project)}))

    thread = threading.Thread(target=create)
    thread.start()
    until(lambda: starts(project))
    session, begun = only(ann, project), time.monotonic()
    path = f"/api/sessions/{session['id']}"
    ended = ann.post(path + "/stop") if verb == "stop" else ann.delete(path)
    assert ended.status_code == 204
    assert time.monotonic() - begun < 4, "it did not wait for the start"
    thread.join(WAIT)
    assert answers[0].status_code == 409
    assert "stopped while it was starting" in answers[0].json()["error"]
    assert ann.get(path).status_code == (200 if verb == "stop" else 404)
    assert not alive(starts(project)[0][0])


# -- programs that end by themselves --------------------------------------------------------------------------


def test_started_again_once_and_then_failed(server, ann):
    project = server.project("dies")
    session = make(ann, project)
    (project / "die").touch()
    until(lambda: len(starts(project)) == 2)
    again = becomes(ann, session, "running")
    assert again["container_id"] != session["container_id"]
    (project / "die").touch()
    failed = becomes(ann, session, "failed")
    assert "OpenCode ended by itself (exit code 7)" in failed["error_message"]
    assert "told to die" in failed["error_message"]
    assert len(starts(project)) == 2
    assert ann.post(f"/api/sessions/{session['id']}/resume").json()["status"] == "running"
    (project / "die").touch()
    until(lambda: len(starts(project)) == 4)
    becomes(ann, session, "running")


def test_killed_from_outside(server, ann):
    project = server.project("shot")
    session = make(ann, project)
    os.kill(starts(project)[0][0], signal.SIGKILL)
    until(lambda: len(starts(project)) == 2)
    becomes(ann, session, "running")


# -- a server that is killed ----------------------------------------------------------------------------------

CASES = [
    # what the row said when the server was killed; what had become of the workload; what is to come of it
    ("pending", None, "missing", "running", "new"),
    ("pending", None, "dead", "running", "new"),
    ("pending", None, "alive", "running", "same"),
    ("starting", None, "missing", "running", "new"),
    ("starting", None, "dead", "running", "new"),
    ("starting", None, "alive", "running", "same"),
    ("running", None, "missing", "failed", None),
    ("running", None, "dead", "running", "new"),
    ("running", None, "alive", "running", "same"),
    ("stopping", None, "missing", "stopped", None),
    ("stopping", None, "dead", "stopped", None),
    ("stopping", None, "alive", "stopped", None),
    ("stopped", None, "alive", "stopped", None),
    ("failed", None, "alive", "failed", None),
    ("stopping", "upgrade", "alive", "running", "new"),
    ("stopped", "upgrade", "dead", "running", "new"),
    ("pending", "upgrade", "missing", "running", "new"),
    ("starting", "upgrade", "alive", "running", "new"),
    ("stopping", "delete", "alive", None, None),
    ("stopping", "delete", "missing", None, None),
]


def test_killed_in_the_middle_of_anything(tmp_path):
    """The row is what the server wrote before it was killed, so each step is looked at as if it had been the last."""
    with coding(tmp_path, "ann") as server, server.api("ann") as ann:
        sessions, projects = [], []
        for number, _ in enumerate(CASES):
            projects.append(server.project(f"case{number}"))
            sessions.append(make(ann, projects[-1]))
        server.kill()
        for (status, operation, workload, _, _), session in zip(CASES, sessions, strict=True):
            for pid in reversed(server.keeper(session)) if workload != "alive" else ():
                os.kill(pid, signal.SIGKILL)
            if workload == "missing":
                shutil.rmtree(server.workload_folder(session))
            change = "UPDATE opencode_sessions SET status = ?, operation = ? WHERE pid = ?"
            server.query(change, status, operation, session["id"])
        server.start()
        for case, session, project in zip(CASES, sessions, projects, strict=True):
            check_case(server, ann, case, session, project)


def check_case(server, ann, case, session, project):
    _, operation, _, wanted, process = case
    first = starts(project)[0][0]
    path = f"/api/sessions/{session['id']}"
    if wanted is None:
        until(lambda: ann.get(path).status_code == 404, str(case))
        assert not (server.data_dir / "plugins/opencode/homes" / session["id"]).exists()
        assert not server.workload_folder(session).exists()
        assert not alive(first), case
        return
    if wanted == "running":
        until(lambda: len(starts(project)) == (2 if process == "new" else 1), str(case))
        assert becomes(ann, session, "running")["id"] == session["id"]
        assert alive(first) == (process == "same"), case
        assert alive(starts(project)[-1][0]), case
    else:
        becomes(ann, session, wanted)
        until(lambda: not alive(first), str(case))
        assert len(starts(project)) == 1, case
    if operation == "upgrade":
        ((generation, left),) = server.query(
            "SELECT generation, operation FROM opencode_sessions WHERE pid = ?", session["id"]
        )
        assert (generation > 1, left) == (True, None), case
    if wanted == "failed":
        assert ann.get(path).json()["error_message"] is None or "does not know" in ann.get(path).json()["error_message"]
    if wanted == "running":
        assert ann.post(path + "/stop").status_code == 204, "it is as any other"


@pytest.mark.slow  # What the server does then is in the test before, for each of them.
@pytest.mark.parametrize("moment", ["starting", "stopping", "upgrading"])
def test_killed_while_it_works(tmp_path, moment):
    """The same with a server that is really caught in the act; the workload goes on without it."""
    with coding(tmp_path, "ann") as server, server.api("ann") as ann:
        project = server.project("work", **({"slow": 2} if moment == "starting" else {"stubborn": True}))
        if moment == "starting":
            answer = ann.post("/api/sessions", json={"project_path": str(project)}, headers={"Prefer": "respond-async"})
            session = answer.json()
            until(lambda: starts(project))
        else:
            session = make(ann, project)
            verb = "stop" if moment == "stopping" else "upgrade"
            threading.Thread(target=ask_in_vain, args=(server, f"/api/sessions/{session['id']}/{verb}")).start()
            becomes(ann, session, "stopping")
        first = starts(project)[0][0]
        server.kill()
        assert alive(first), "the workload does not need the server"
        (project / "standin.json").unlink()
        server.start()
        becomes(ann, session, "stopped" if moment == "stopping" else "running")
        until(lambda: alive(first) == (moment == "starting"), "the end of what ran before")
        assert len(starts(project)) == (2 if moment == "upgrading" else 1)


def ask_in_vain(server, path):
    try:
        with server.api("ann") as client:
            client.post(path)
    except Exception:
        pass


def test_a_restart_leaves_sessions_alone(tmp_path):
    with coding(tmp_path, "ann") as server, server.api("ann") as ann:
        project = server.project("calm")
        session = make(ann, project)
        server.stop_gently()
        assert alive(starts(project)[0][0])
        server.start()
        now = becomes(ann, session, "running")
        assert (now["container_id"], now["opencode_port"]) == (session["container_id"], session["opencode_port"])
        assert len(starts(project)) == 1
        # What runs and has no session is ended: it could not be found by anybody.
        server.stop_gently()
        server.query("DELETE FROM opencode_sessions")
        server.start()
        until(lambda: not alive(starts(project)[0][0]), "the end of a workload without a session")


def test_the_secret_was_changed(tmp_path):
    with coding(tmp_path, "ann") as server, server.api("ann") as ann:
        session = make(ann, server.project("sealed"))
        server.stop_gently()
        (server.data_dir / "secret.key").unlink()
        server.start()
        server.people_again("ann")
        with server.api("ann") as again:
            failed = becomes(again, session, "failed")
            assert "secret" in failed["error_message"]
            assert again.delete(f"/api/sessions/{session['id']}").status_code == 204


# -- people who go ---------------------------------------------------------------------------------------------


def test_users_who_are_disabled_or_deleted(tmp_path):
    with coding(tmp_path, "ann", "bob") as server, server.api("root") as root:
        who = {}
        for name in ("ann", "bob"):
            with server.api(name) as client:
                who[name] = (make(client, server.project(name)), client.get("/api/me").json()["id"])
        (anns, ann_id), (bobs, bob_id) = who["ann"], who["bob"]
        assert root.post(f"/api/admin/users/{ann_id}/deactivate").status_code == 200
        becomes(root, anns, "stopped")
        assert root.post(f"/api/sessions/{anns['id']}/resume").status_code == 409, "not even by an administrator"
        assert root.post(f"/api/admin/users/{ann_id}/activate").status_code == 200
        assert root.post(f"/api/sessions/{anns['id']}/resume").json()["status"] == "running"
        assert root.delete(f"/api/admin/users/{bob_id}").status_code == 204
        until(lambda: root.get(f"/api/sessions/{bobs['id']}").status_code == 404)
        until(lambda: not alive(starts(server.projects / "bob")[0][0]))
        # The same while the server is away.
        server.stop_gently()
        server.cli("users", "delete", "ann", "--yes")
        server.start()
        until(lambda: root.get(f"/api/sessions/{anns['id']}").status_code == 404)
        assert json.loads(json.dumps(root.get("/api/admin/sessions").json())) == []
