"""The server's figures of the last quarter of an hour."""

from __future__ import annotations

import time

import pytest
from harness import running
from moorage.observe.history import KEPT, History, Now, quantile
from moorage.observe.metrics import Metrics
from waits import WAIT


def made() -> tuple[History, object]:
    seconds = Metrics().loop_histogram("http_request_seconds", "x", ("plugin", "route", "method", "status"))
    return History(seconds, lambda: Now(time.process_time(), 1, 2, 3, 0.004)), seconds


def test_a_sample_counts_what_came_since_the_one_before() -> None:
    history, seconds = made()
    for plugin, status, took in (
        ("chat", "200", 0.002),
        ("chat", "404", 0.002),
        ("core", "429", 0.002),
        ("x", "503", 9),
    ):
        seconds.labels(plugin, "/r", "GET", status).observe(took)
    history.sample()
    history.sample()
    first, second = history.samples()
    counted = ("requests", "client_errors", "limited", "server_errors")
    assert [first[key] for key in counted] == [4, 1, 1, 1]
    assert (first["p50"], first["p99"]) == (0.0025, 10.0)
    assert first["plugins"] == {"chat": 2, "core": 1, "x": 1}
    assert [second[key] for key in counted] == [0, 0, 0, 0]
    assert (second["p50"], second["plugins"]) == (None, {})
    assert (second["connections"], second["users"], second["lag"]) == (2, 3, 0.004)


def test_it_is_bounded_and_read_from_a_sample_on() -> None:
    history, _ = made()
    for _ in range(KEPT + 5):
        history.sample()
    every = history.samples()
    assert len(every) == KEPT
    assert history.samples(every[-1]["at"]) == []


@pytest.mark.parametrize(
    ("counts", "part", "expected"),
    [([0, 0, 0], 0.5, None), ([1, 0, 0], 0.99, 1.0), ([1, 1, 0], 0.5, 1.0), ([0, 1, 9], 0.5, 2.0)],
)
def test_quantiles_are_upper_bounds(counts, part, expected) -> None:
    assert quantile((1.0, 2.0), counts, part) == expected


def test_how_long_a_stream_was_open_is_no_latency(tmp_path) -> None:
    with running(tmp_path) as server:
        server.add_users({"ann": "admin"})
        with server.client("ann") as ann:
            started = time.monotonic()
            with ann.stream("GET", "/api/admin/metrics") as stream:
                events = (line for line in stream.iter_lines() if line.startswith("data:"))
                next(events)
                first = time.monotonic() - started
                next(events)  # Two seconds later.
            deadline = time.monotonic() + WAIT
            total = 'seconds_sum{method="GET",plugin="core",route="/api/admin/metrics",status="200"} '
            while total not in (text := ann.get("/metrics").text):
                assert time.monotonic() < deadline, text
                time.sleep(0.1)
            assert float(text.partition(total)[2].split()[0]) <= first


def test_administrators_read_it(tmp_path) -> None:
    with running(tmp_path) as server:
        server.add_users({"ann": "admin", "vic": "viewer"})
        with server.client("vic") as vic, server.client("ann") as ann:
            assert vic.get("/api/core/metrics/history").status_code == 403
            deadline = time.monotonic() + WAIT
            while not (samples := ann.get("/api/core/metrics/history").json()["samples"]):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert samples[0]["rss_bytes"] > 0
            assert ann.get("/api/core/metrics/history", params={"since": "9"}).json()["samples"] == []
            assert ann.get("/api/core/metrics/history", params={"since": "x" * 99}).status_code == 422
