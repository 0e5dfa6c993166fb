"""A clock of a test's own: for tests about seconds, which a busy machine must not have a say in."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable
from typing import Any


class _Selector(selectors.DefaultSelector):
    """Waits for nothing: the time for which the loop would is over at once."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0 if timeout else timeout)
        if timeout and not found:
            self.passed += timeout
        return found


class Loop(asyncio.SelectorEventLoop):
    """Its time passes only while there is nothing to do, and then at once: what is due is never late."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.passed


def own_time(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test on such a loop. For what happens within the loop alone: processes and threads are not awaited.

    Async fixtures have another loop, and are of no use to it.
    """

    @functools.wraps(test)
    def run(**given: Any) -> None:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(test(**given))  # type: ignore[arg-type]

    return run
