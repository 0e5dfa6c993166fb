"""How an upstream has been doing: what it said of itself, when it may be started again, and why not before."""

from __future__ import annotations

import enum
import math
import random
from dataclasses import dataclass

from moorage.api import Unavailable

from moorage_mcp.links.base import LinkClosed, ServerInfo
from moorage_mcp.wire.eras import Era

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before the next start of a server that failed: doubled each time."""
STEADY_SECONDS = 60.0
"""A server that ran so long is none that fails again and again."""


class Away(Unavailable, LinkClosed):
    """There is no connection, and none could be made now: nothing of a request was carried out."""


class State(enum.StrEnum):
    """How an upstream is, as people are shown it."""

    IDLE = "idle"
    """Nobody uses it; it is started when somebody does."""
    STARTING = "starting"
    UP = "up"
    FAILING = "failing"
    """Its last start failed, or it ended; it is not tried for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamState:
    """An upstream now. error: why it fails, for people. era, version, server: as last found out; server: its name."""

    state: State
    error: str = ""
    retry_in: float = 0.0
    era: Era | None = None
    version: str | None = None
    server: str | None = None


class Record:
    """What is known of one version of an upstream. Times are of the event loop's clock."""

    def __init__(self) -> None:
        self.server: ServerInfo | None = None
        self.eras: dict[Era, bool] = {}
        self.error = ""
        self.failures = 0
        self.until = 0.0

    def found(self, server: ServerInfo) -> None:
        """It is up."""
        self.server, self.error, self.until = server, "", 0.0
        self.eras[server.era] = True

    def failed(self, why: str, now: float) -> None:
        """It could not be started."""
        self.server = None  # Whatever it was, it may be another by the next time.
        self.failures += 1
        self._wait(why, now, self.failures)

    def ended(self, why: str, now: float, lived: float) -> None:
        """It ended by itself, after so many seconds. The first time it is started again at once."""
        self.failures = 1 if lived >= STEADY_SECONDS else self.failures + 1
        self._wait(why, now, self.failures - 1)

    def _wait(self, why: str, now: float, times: int) -> None:
        self.error = why
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(times - 1, 10)) if times else 0.0
        self.until = now + pause * random.uniform(0.75, 1.25)  # noqa: S311 a jitter is no secret

    def check(self, name: str, now: float) -> None:
        """Away while it is not to be started, with the seconds."""
        if now < self.until:
            raise away(name, self.error, self.until - now)


def away(name: str, why: str, seconds: float) -> Away:
    """An upstream cannot be used now."""
    left = max(1, math.ceil(seconds))
    return Away(
        f"The MCP server {name!r} cannot be used now: {why}. Try again in {left} s", headers={"Retry-After": str(left)}
    )
