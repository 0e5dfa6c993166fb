"""GET /api/v1/health as Octoprox's document has it, /health and chat's /version beside it."""

import re
import time

import moorage
import pytest
from harness import running
from moorage.observe.health import Component, HealthReport
from moorage.plugin import Health
from moorage.surfaces.octoprox.health import _shown


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("health"), {"limits": {"general": "2/hour"}}) as server:
        yield server


def test_it_is_bare_public_and_never_limited(server):
    with server.client() as client:
        for _ in range(5):
            answer = client.get("/api/v1/health")
            assert answer.status_code == 200
        body = answer.json()
        assert "x-ratelimit-limit" not in answer.headers
    assert body.keys() == {"status", "timestamp", "components", "workspaces"}
    assert body["status"] == "healthy"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["timestamp"])
    assert body["components"].keys() == {"database", "docker"}
    assert body["components"]["database"].keys() == {"status", "response_time_ms"}
    assert body["components"]["database"]["status"] == "healthy"
    assert 0 < body["components"]["database"]["response_time_ms"] < 5000
    assert body["components"]["docker"] == {"status": "disabled"}
    assert body["workspaces"] == {"total": 0, "active": 0}


def test_chats_health_and_version_are_public(server):
    with server.client() as client:
        assert client.get("/health").json()["status"] == "healthy"
        assert client.get("/version").json() == {"version": moorage.__version__}


def test_a_stale_credential_does_not_hide_the_health(server):
    with server.client() as client:
        answer = client.get("/api/v1/health", headers={"Authorization": "Bearer mcp_0123abcd_nothing"})
    assert answer.status_code == 200


def report(status="ok", **parts):
    components = {name: Component(health, 1.26, required=name == "database") for name, health in parts.items()}
    return HealthReport(status, components)


def test_what_plugins_say_of_docker_and_workspaces_is_shown_and_nothing_else_of_them():
    said = {"workspaces": {"total": 10, "active": 8}, "docker": {"status": "ok", "version": "24.0.7"}}
    mcp = Health("degraded", "a secret place", said)
    odd = Health("ok", data={"workspaces": {"total": "x", "active": -1}, "docker": "up"})
    shown = _shown(report("degraded", database=Health(), mcp=mcp, odd=odd))
    assert shown["status"] == "degraded"
    assert shown["components"] == {
        "database": {"status": "healthy", "response_time_ms": 1.3},
        "docker": {"status": "healthy", "version": "24.0.7"},
    }
    assert shown["workspaces"] == {"total": 10, "active": 8}


def test_a_database_that_is_away_is_unhealthy():
    shown = _shown(report("failed", database=Health("failed")))
    assert (shown["status"], shown["components"]["database"]["status"]) == ("unhealthy", "unhealthy")


def test_an_engine_that_is_away_is_told_and_takes_nothing_else_with_it(tmp_path):
    settings = {"runtimes": {"docker": {"enabled": True, "url": f"unix://{tmp_path}/no.sock"}}}
    with running(tmp_path, settings) as server, server.client() as client:
        deadline = time.monotonic() + 30
        while (answer := client.get("/api/v1/health")).json()["components"]["docker"] != {"status": "unhealthy"}:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.1)
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
