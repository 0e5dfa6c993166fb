"""GET /api/admin/metrics: Octo's stream of figures over HTTP."""

import json
import time

import httpx
import pytest
from harness import running

CONFIG = {"accounts": {"argon2_memory_kib": 256, "argon2_time": 1}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("metrics"), CONFIG) as server:
        server.add_users({"root": "owner", "ada": "admin", "eve": "admin", "ann": "operator"})
        yield server


def test_events_have_no_names_and_the_first_comes_at_once(server):
    with server.client("ada") as ada:
        began = time.monotonic()
        with ada.stream("GET", "/api/admin/metrics") as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            lines = answer.iter_lines()
            first = next(lines)
            assert time.monotonic() - began < 1.5
            assert next(lines) == ""
            second = next(lines)
            assert 1.5 < time.monotonic() - began < 6
    for line in (first, second):
        assert line.startswith("data: ")
        event = json.loads(line[6:])
        assert event.keys() == {"timestamp", "host", "containers", "error", "server"}
        assert (event["containers"], event["error"]) == ([], None)
        host = event["host"]
        assert host.keys() == {"cpu_percent", "mem_total_bytes", "mem_used_bytes", "mem_available_bytes"}
        assert 0 <= host["cpu_percent"] <= 100
        assert 0 < host["mem_available_bytes"] <= host["mem_total_bytes"]
        assert event["server"]["requests_total"] > 0
        assert event["server"]["rss_bytes"] > 1_000_000
        assert 0 <= event["server"]["event_loop_lag_seconds"] < 5
    assert json.loads(second[6:])["server"]["sockets_open"] == 1
    assert json.loads(second[6:])["server"]["users_connected"] == 1


def test_only_who_may_sees_them_in_octos_words(server):
    with server.client() as anybody:
        answer = anybody.get("/api/admin/metrics")
        assert answer.status_code == 401
        assert answer.json()["error"].startswith("Unauthorized")
    with server.client("ann") as ann:
        answer = ann.get("/api/admin/metrics")
        assert answer.status_code == 403
        assert answer.json()["code"] == "FORBIDDEN"


def test_the_stream_ends_when_the_right_does(server):
    with server.client("eve") as eve, eve.stream("GET", "/api/admin/metrics") as answer:
        lines = answer.iter_lines()
        next(lines)
        server.cli("users", "set-role", "eve", "operator")
        began = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
        assert time.monotonic() - began < 1.5


def test_the_loops_lag_is_a_metric(server):
    with httpx.Client(base_url=server.url) as client:
        text = client.get("/metrics").text
    assert "moorage_event_loop_lag_seconds_count" in text
