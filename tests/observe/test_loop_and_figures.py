"""The event loop's lag, and the stream of figures: shared by its viewers, asleep without them."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from moorage.errors import TooManyRequests
from moorage.events import TaskSupervisor
from moorage.observe import figures as module
from moorage.observe.figures import Figures
from moorage.observe.loop import LoopLag
from moorage.observe.metrics import Metrics
from owntime import own_time
from structlog.testing import capture_logs


async def test_a_blocked_loop_is_measured_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moorage.observe.loop.BLOCKED", 0.4)
    metrics = Metrics()
    lag = LoopLag(metrics)
    task = asyncio.create_task(lag.run(every=0.01))
    with capture_logs() as logs:
        await asyncio.sleep(0.05)
        assert lag.last < 0.4
        assert logs == []
        time.sleep(0.6)  # Nothing else runs meanwhile.
        while lag.last < 0.4:
            await asyncio.sleep(0)
        worst = lag.last
    task.cancel()
    assert 0.4 < worst < 5
    assert [(log["log_level"], log["seconds"]) for log in logs] == [("warning", round(worst, 3))]
    text = metrics.render()[0].decode()
    assert 'moorage_event_loop_lag_seconds_bucket{le="0.1"}' in text
    count = next(line for line in text.splitlines() if line.startswith("moorage_event_loop_lag_seconds_count"))
    assert float(count.split()[1]) >= 2


def read(event: bytes) -> dict[str, Any]:
    text = event.decode()
    assert text.startswith("data: ")
    assert text.endswith("\n\n")
    assert text.count("\n") == 2
    found: dict[str, Any] = json.loads(text[6:])
    return found


@pytest.fixture
def asked() -> list[int]:
    """One item for each sample."""
    return []


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch, asked: list[int]) -> Figures:
    monkeypatch.setattr(module, "EVERY", 0.02)

    def server() -> dict[str, Any]:
        asked.append(1)
        return {"n": len(asked)}

    async def containers() -> tuple[list[dict[str, Any]], list[str]]:
        return [], []

    return Figures(TaskSupervisor("test"), server, containers)


@own_time
async def test_viewers_share_one_sampler_that_sleeps_without_them(figures: Figures, asked: list[int]) -> None:
    viewers = [figures.open() for _ in range(5)]
    assert asked == []
    first = [read(await anext(viewer)) for viewer in viewers]
    assert [event["server"]["n"] for event in first] == [1] * 5, "at once, and one for all"
    second = [read(await anext(viewer))["server"]["n"] for viewer in viewers]
    assert second[0] == 2
    for viewer in viewers:
        await viewer.aclose()  # type: ignore[attr-defined]
    assert len(figures._tasks) <= 1
    seen = len(asked)
    await asyncio.sleep(0.1)
    assert len(asked) == seen
    assert len(figures._tasks) == 0
    again = figures.open()
    assert read(await anext(again))["server"]["n"] == seen + 1, "a fresh one"
    await again.aclose()  # type: ignore[attr-defined]


@own_time
async def test_a_slow_viewer_is_given_the_newest(figures: Figures, asked: list[int]) -> None:
    viewer = figures.open()
    await anext(viewer)
    await asyncio.sleep(0.15)
    assert read(await anext(viewer))["server"]["n"] == len(asked) > 3
    await viewer.aclose()  # type: ignore[attr-defined]


@own_time
async def test_silence_is_filled_with_comments(figures: Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 60)
    monkeypatch.setattr(module, "KEEPALIVE", 0.02)
    viewer = figures.open()
    read(await anext(viewer))
    assert await anext(viewer) == b": keepalive\n\n"
    assert await anext(viewer) == b": keepalive\n\n"
    await viewer.aclose()  # type: ignore[attr-defined]


async def test_viewers_are_bounded(figures: Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VIEWERS", 1)
    viewer = figures.open()
    await anext(viewer)
    with pytest.raises(TooManyRequests):
        figures.open()
    await viewer.aclose()  # type: ignore[attr-defined]
    other = figures.open()
    await anext(other)
    await other.aclose()  # type: ignore[attr-defined]


async def test_a_host_that_cannot_be_read_is_null_with_the_reason(
    figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise PermissionError

    monkeypatch.setattr("psutil.virtual_memory", fails)
    viewer = figures.open()
    event = read(await anext(viewer))
    assert event["host"] is None
    assert "PermissionError" in event["error"]
    await viewer.aclose()  # type: ignore[attr-defined]
