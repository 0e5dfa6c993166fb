"""The backplane: events between the servers of one installation; in memory, or over Redis (`redis.py`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

Data = dict[str, Any]
Receiver = Callable[[str, Data], None]


class Backplane(Protocol):
    """Carries JSON events between servers. What a server publishes does not come back to it.

    Delivery is at most once: after a gap, `on_restored` callbacks say that events may have been missed.
    """

    async def start(self) -> None:
        """Connect. Returns without waiting for the other side; it is tried again in the background."""

    async def stop(self) -> None:
        """Send what waits, for a short bounded time, and disconnect."""

    def publish(self, topic: str, data: Data) -> None:
        """Send to the other servers; never waits. TypeError when `data` is not JSON-able."""

    def subscribe(self, topic: str, receiver: Receiver) -> None:
        """Call `receiver(topic, data)` for the other servers' events of `topic`."""

    def on_restored(self, callback: Callable[[], None]) -> None:
        """Call `callback()` each time that the connection is back after a gap."""


class MemoryExchange:
    """Joins the memory backplanes of several servers in one process, for tests."""

    def __init__(self) -> None:
        self.members: list[MemoryBackplane] = []


class MemoryBackplane:
    """The backplane of a single server, or of several in one process that share an exchange."""

    def __init__(self, exchange: MemoryExchange | None = None) -> None:
        self._exchange = exchange or MemoryExchange()
        self._receivers: dict[str, list[Receiver]] = {}

    async def start(self) -> None:
        """Join the exchange."""
        if self not in self._exchange.members:
            self._exchange.members.append(self)

    async def stop(self) -> None:
        """Leave the exchange."""
        if self in self._exchange.members:
            self._exchange.members.remove(self)

    def publish(self, topic: str, data: Data) -> None:
        """Deliver to the other members at once. The data takes the way through JSON, as it would on a wire."""
        text = json.dumps(data)
        for member in list(self._exchange.members):
            if member is not self:
                member._receive(topic, json.loads(text))

    def subscribe(self, topic: str, receiver: Receiver) -> None:
        """See `Backplane`."""
        self._receivers.setdefault(topic, []).append(receiver)

    def on_restored(self, callback: Callable[[], None]) -> None:
        """See `Backplane`; in memory there are no gaps."""

    def _receive(self, topic: str, data: Data) -> None:
        for receiver in self._receivers.get(topic, ()):
            receiver(topic, data)
