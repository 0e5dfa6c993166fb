"""Metrics: names, scopes, idempotence, and a registry of one's own."""

from __future__ import annotations

import pytest
import structlog
from moorage.observe.metrics import SECONDS, Metrics
from prometheus_client import CollectorRegistry, Histogram, generate_latest


def test_names_scopes_and_text() -> None:
    metrics = Metrics()
    metrics.counter("requests_total", "Requests.", ("plugin",)).labels("tmux").inc(2)
    scoped = metrics.scoped("my-plugin")
    scoped.gauge("viewers", "People who watch.").set(3)
    scoped.histogram("wait_seconds", "Waiting.", buckets=(0.1, 1)).observe(0.5)
    metrics.counter("moorage_done_total", "A name that has its prefix already.").inc()
    body, content_type = metrics.render()
    text = body.decode()
    assert content_type.startswith("text/plain; version=")
    for line in (
        'moorage_requests_total{plugin="tmux"} 2.0',
        "moorage_my_plugin_viewers 3.0",
        'moorage_my_plugin_wait_seconds_bucket{le="1.0"} 1.0',
        'moorage_my_plugin_wait_seconds_bucket{le="0.1"} 0.0',
        "moorage_done_total 1.0",
        "# HELP moorage_my_plugin_viewers People who watch.",
    ):
        assert line in text, line
    assert "process_resident_memory_bytes" in text


def test_asking_again_gives_the_same_and_goes_on_counting() -> None:
    metrics = Metrics()
    first = metrics.scoped("tmux").counter("keys_total", "Keys.", ("kind",))
    first.labels("a").inc()
    second = metrics.scoped("tmux").counter("keys_total", "Keys.", ("kind",))
    assert second is first
    with pytest.raises(ValueError, match="moorage_tmux_keys_total"):
        metrics.scoped("tmux").gauge("keys_total", "Keys.", ("kind",))
    with pytest.raises(ValueError, match="other labels"):
        metrics.scoped("tmux").counter("keys_total", "Keys.", ("other",))


def test_two_servers_in_one_process_do_not_meet() -> None:
    one, two = Metrics(), Metrics()
    one.counter("x_total", "X.").inc()
    two.counter("x_total", "X.")
    assert "moorage_x_total 1.0" in one.render()[0].decode()
    assert "moorage_x_total 0.0" in two.render()[0].decode()


def test_one_that_cannot_be_read_hides_no_other() -> None:
    metrics = Metrics()
    metrics.counter("x_total", "Counts x.").inc()
    metrics.gauge("broken", "Asks what is gone.").set_function(lambda: 1 / 0)
    metrics.gauge("y", "How much y.").set(2)
    with structlog.testing.capture_logs() as logged:
        text = metrics.render()[0].decode()
    assert "moorage_x_total 1.0" in text
    assert "moorage_y 2.0" in text
    assert "process_resident_memory_bytes" in text
    assert [entry["metric"] for entry in logged] == ["moorage_broken"]


def test_descriptions_for_the_reference() -> None:
    metrics = Metrics()
    metrics.counter("b_total", "Counts b.", ("kind",)).labels("x").inc()
    metrics.scoped("tmux").histogram("a_seconds", "Times a.")
    metrics.gauge("c", "How much c.")
    assert metrics.describe() == [
        ("moorage_b_total", "counter", "Counts b.", ("kind",)),
        ("moorage_c", "gauge", "How much c.", ()),
        ("moorage_tmux_a_seconds", "histogram", "Times a.", ()),
    ]


def test_a_loop_histogram_reads_like_the_library_s_own() -> None:
    metrics, registry = Metrics(), CollectorRegistry()
    ours = metrics.loop_histogram("wait_seconds", "Waited.", ("who",))
    theirs = Histogram("moorage_wait_seconds", "Waited.", ("who",), registry=registry, buckets=SECONDS)
    for who in ("a", 'q"\n'):
        for amount in (0.0, 0.0009, 0.7, 29.99, 30.01, 1e9, *SECONDS):
            ours.labels(who).observe(amount)
            theirs.labels(who).observe(amount)
    wanted = [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
    said = metrics.render()[0].decode().splitlines()
    assert [line for line in said if "wait_seconds" in line] == wanted
    assert metrics.loop_histogram("wait_seconds", "Waited.", ("who",)) is ours
    with pytest.raises(ValueError, match="another kind"):
        metrics.histogram("wait_seconds", "Waited.", ("who",))
