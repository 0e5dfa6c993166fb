"""The event loop's lag: how late it comes to what is due. What blocks it makes everybody wait."""

from __future__ import annotations

import asyncio

import structlog

from moorage.observe.metrics import Metrics

EVERY = 0.5
"""Seconds between two measurements; a shorter block is seen if it falls on one."""
BLOCKED = 1.0
"""Seconds of lag that are worth a warning."""
_log = structlog.get_logger("moorage.loop")


class LoopLag:
    """Measures while `run` does. last: the newest lag in seconds."""

    def __init__(self, metrics: Metrics) -> None:
        self.last = 0.0
        self._series = metrics.loop_histogram(
            "event_loop_lag_seconds", "How late the event loop came to what was due; measured twice a second.", ()
        ).labels()

    async def run(self, every: float = EVERY) -> None:
        """Measure for ever. A block of more than `BLOCKED` seconds is logged."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + every
            await asyncio.sleep(every)
            self.last = max(0.0, loop.time() - due)
            self._series.observe(self.last)
            if self.last > BLOCKED:
                _log.warning("the event loop was blocked", seconds=round(self.last, 3))
