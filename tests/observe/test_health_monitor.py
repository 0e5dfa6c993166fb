"""Health reports: the worst of the parts, bounded in time, and not a way to make the server work."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from moorage.observe.health import HealthMonitor
from moorage.plugin import Health
from owntime import own_time


async def ok() -> Health:
    return Health("ok", data={"sessions": 3})


async def degraded() -> Health:
    return Health("degraded", "tmux is old")


async def failed() -> Health:
    return Health("failed", "gone")


async def raises() -> Health:
    raise ConnectionRefusedError("postgres://u:pw@db")


async def hangs() -> Health:
    await asyncio.Event().wait()
    raise AssertionError


async def test_the_worst_decides() -> None:
    monitor = HealthMonitor(ttl=60)
    assert (await monitor.report()).status == "ok"
    monitor.add("database", ok, required=True)
    monitor.add("tmux", ok)
    assert (await monitor.report()).status == "ok"
    monitor.add("tmux", degraded)
    assert (await monitor.report()).status == "degraded", "a change is seen at once, whatever the ttl"
    monitor.add("voice", failed)
    assert (await monitor.report()).status == "degraded", "a plugin that is not required"
    monitor.add("database", failed, required=True)
    assert (await monitor.report()).status == "failed"
    monitor.add("database", ok, required=True)
    monitor.remove("voice")
    monitor.remove("voice")
    monitor.remove("tmux")
    assert (await monitor.report()).status == "ok"


async def test_what_an_admin_sees() -> None:
    monitor = HealthMonitor(timeout=0.05)
    monitor.add("database", raises, required=True)
    monitor.add("tmux", hangs)
    monitor.add("chat", ok)
    with structlog.testing.capture_logs() as logged:
        body = (await monitor.report()).as_json()
    assert body["status"] == "failed"
    parts = body["components"]
    assert parts["database"]["status"] == "failed"
    assert parts["database"]["detail"] == "ConnectionRefusedError", "the kind of error, not its text"
    assert parts["tmux"] == {
        "status": "failed",
        "response_time_ms": parts["tmux"]["response_time_ms"],
        "detail": "no answer within 0.05 s",
    }
    assert 40 <= parts["tmux"]["response_time_ms"] < 5000
    assert parts["chat"]["data"] == {"sessions": 3}
    assert "detail" not in parts["chat"]
    assert {entry["event"] for entry in logged} == {"health check failed", "health check timed out"}


@own_time
async def test_checks_run_side_by_side() -> None:
    monitor = HealthMonitor(timeout=0.2)
    for name in "abcde":
        monitor.add(name, hangs)
    await monitor.report()
    assert asyncio.get_running_loop().time() == pytest.approx(0.2)


async def test_many_who_ask_cost_one_check() -> None:
    asked = 0

    async def counts() -> Health:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return Health()

    monitor = HealthMonitor(ttl=60)
    monitor.add("database", counts)
    reports = await asyncio.gather(*(monitor.report() for _ in range(50)))
    assert asked == 1
    assert len({id(report) for report in reports}) == 1
    eager = HealthMonitor(ttl=0)
    eager.add("database", counts)
    await eager.report()
    await eager.report()
    assert asked == 3
