"""Two servers over one PostgreSQL and one Redis: each has sessions of its own, and leaves the other's alone."""

import pytest
from sessionserver import Coding, alive, becomes, starts, until

SHARED = {"accounts": {"secret_key": "one secret for both of them, long enough"}}


@pytest.fixture
def replicas(tmp_path, postgres_url, redis_url):
    servers = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        servers.append(Coding(tmp_path / name, {**SHARED, "redis": {"url": redis_url}}, postgres_url))
    yield servers
    for server in servers:
        server.stop()


def test_each_leaves_the_others_sessions_alone(replicas):
    a, b = replicas
    a.start().people("ann")
    project = a.project("p")
    with a.api("ann") as on_a:
        session = on_a.post("/api/sessions", json={"project_path": str(project)}).json()
        assert session["status"] == "running"
        # The other one takes up only what is its own, at every start.
        b.keys = a.keys
        with b.start().api("ann") as on_b:
            assert on_b.get("/api/sessions").json() == []
            assert on_b.get(f"/api/sessions/{session['id']}").status_code == 404
            own = on_b.post("/api/sessions", json={"project_path": str(b.project("q"))}).json()
            assert [s["id"] for s in on_b.get("/api/sessions").json()] == [own["id"]]
        b.stop_gently()
        assert [s["id"] for s in on_a.get("/api/sessions").json()] == [session["id"]]
        assert becomes(on_a, session, "running")["error_message"] is None
        assert on_a.get(f"/api/session/{session['id']}/code/session").status_code == 200
    assert len(starts(project)) == 1
    # A deleted user's sessions go on both, on each by its own hand.
    b.start()
    with b.api("root") as root:
        (ann,) = [user for user in root.get("/api/admin/users").json() if user["username"] == "ann"]
        assert root.delete(f"/api/admin/users/{ann['id']}").status_code in (200, 204)
    with a.api("root") as root_a, b.api("root") as root_b:
        for root in (root_a, root_b):
            until(lambda root=root: root.get("/api/admin/sessions").json() == [], "their end")
    assert not any(alive(pid) for pid, _ in starts(project))
