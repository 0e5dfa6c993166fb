"""How many sessions may be and run, who makes room for whom, and what is idle."""

from __future__ import annotations

import threading

import pytest
from moorage_opencode.states import FOLLOWS, Status, follows
from sessionserver import alive, becomes, coding, starts, until
from waits import WAIT

FULL = "active sessions at limit (2); no idle sessions available to stop"


def post(client, project):
    return client.post("/api/sessions", json={"project_path": str(project)})


def make(client, project):
    answer = post(client, project)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_no_more_run_than_may(tmp_path):
    limits = {"max_running_per_user": 2, "max_running": 3, "max_sessions_per_user": 4}
    with coding(tmp_path, "ann", "bob", **limits) as server, server.api("ann") as ann, server.api("bob") as bob:
        project = server.project("p")
        first, second = make(ann, project), make(ann, project)
        refused = post(ann, project)
        assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")
        assert FULL in refused.json()["error"]
        assert len(ann.get("/api/sessions").json()) == 2, "what was refused is not kept"
        make(bob, project)
        assert "limit (3)" in post(bob, project).json()["error"], "that of all together"
        # One that runs can be made anew; a stopped one gives its place away, and needs one to come back.
        assert ann.post(f"/api/sessions/{first['id']}/upgrade").json()["status"] == "running"
        ann.post(f"/api/sessions/{first['id']}/stop")
        third = make(ann, project)
        for verb in ("resume", "upgrade"):
            refused = ann.post(f"/api/sessions/{first['id']}/{verb}")
            assert (refused.status_code, FULL in refused.json()["error"]) == (409, True)
        assert ann.get(f"/api/sessions/{first['id']}").json()["status"] == "stopped"
        # As many as may be kept, running or not.
        for session in (second, third):
            ann.post(f"/api/sessions/{session['id']}/stop")
        ann.post(f"/api/sessions/{make(ann, project)['id']}/stop")
        refused = post(ann, project)
        assert (refused.status_code, "as many as are allowed" in refused.json()["error"]) == (409, True)
        assert ann.delete(f"/api/sessions/{first['id']}").status_code == 204
        make(ann, project)


def test_many_at_once_do_not_pass_a_limit(tmp_path):
    with coding(tmp_path, "ann", max_running_per_user=2) as server:
        project, found = server.project("p", slow=0.3), []

        def create():
            with server.api("ann") as client:
                found.append(post(client, project).status_code)

        server.api("ann").close()
        threads = [threading.Thread(target=create) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * WAIT)
        assert sorted(found) == [201, 201, 409, 409, 409, 409]


def test_the_oldest_idle_one_makes_room_unless_its_agent_is_at_work(tmp_path):
    with coding(tmp_path, "ann", max_running_per_user=2, idle_seconds=0) as server, server.api("ann") as ann:
        one, two, three = (server.project(name) for name in ("one", "two", "three"))
        oldest, newer = make(ann, one), make(ann, two)
        ann.post(f"/api/sessions/{oldest['id']}/activity")
        third = make(ann, three)
        states = {session["id"]: session["status"] for session in ann.get("/api/sessions").json()}
        assert states == {oldest["id"]: "running", newer["id"]: "stopped", third["id"]: "running"}
        assert not alive(starts(two)[0][0])
        # Nobody may need it more than an agent that works.
        (one / "busy").touch()
        assert ann.post(f"/api/sessions/{newer['id']}/resume").status_code == 200
        states = {session["id"]: session["status"] for session in ann.get("/api/sessions").json()}
        assert states == {oldest["id"]: "running", newer["id"]: "running", third["id"]: "stopped"}
        (two / "busy").touch()
        assert post(ann, three).status_code == 409
        assert ("opencode.session_stopped", f"opencode_session:{third['id']}") in server.audited()


def test_what_nobody_uses_is_stopped(tmp_path):
    with coding(tmp_path, "ann", stop_idle_seconds=1) as server, server.api("ann") as ann:
        lazy, busy = server.project("lazy"), server.project("busy")
        (busy / "busy").touch()
        forgotten, working = make(ann, lazy), make(ann, busy)
        becomes(ann, forgotten, "stopped")
        assert ann.get(f"/api/sessions/{working['id']}").json()["status"] == "running"
        (busy / "busy").unlink()
        becomes(ann, working, "stopped")


def test_use_is_written_down_for_the_next_start(tmp_path):
    with coding(tmp_path, "ann") as server, server.api("ann") as ann:
        session = make(ann, server.project("used"))
        server.query("UPDATE opencode_sessions SET last_activity_at = '2026-01-01 00:00:00+00:00'")
        assert ann.post(f"/api/sessions/{session['id']}/activity").status_code == 204
        used = ann.get(f"/api/sessions/{session['id']}").json()["last_activity_at"]
        server.stop_gently()
        ((stored,),) = server.query("SELECT last_activity_at FROM opencode_sessions")
        assert stored[:19].replace(" ", "T") + "Z" == used
        server.start()
        until(lambda: ann.get(f"/api/sessions/{session['id']}").json()["status"] == "running")


@pytest.mark.parametrize("before", list(Status))
@pytest.mark.parametrize("after", list(Status))
def test_which_state_follows_which(before, after):
    """Told again in other words than the table's: what is not here is not allowed."""
    ways = {
        "pending": "starting stopping failed",
        "starting": "running stopping failed",
        "running": "starting stopping failed",
        "stopping": "running stopped failed",
        "stopped": "pending starting stopping failed",
        "failed": "pending starting stopping",
    }
    assert follows(before, after) == (after.value in ways[before.value].split())
    assert set(FOLLOWS) == set(Status)
