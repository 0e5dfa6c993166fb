"""How fast one socket may send: what it may use up, what is refused, and when a flood ends the connection."""

from __future__ import annotations

import math

CLOSE_FLOOD = 4029
"""The core's close code for what HTTP calls 429."""
MESSAGE_BURST = 5.0
"""Seconds' worth of messages that may come at once."""
BYTE_BURST = 4.0
ERROR_INTERVAL = 1.0
"""Seconds between two errors: a flood must not be answered by another one."""
WORST = 4.0
"""Times the limit at which refused messages are still read. What comes faster waits in the client."""
FLOOD, FLOOD_SECONDS = 2.0, 30.0
"""Whoever is refused so many times the limit for so long is not going to stop."""
MAX_PAUSE = 1.0
COSTS = {
    **dict.fromkeys(("claim", "release", "requestControl", "declineControl", "handOver"), 20.0),
    **dict.fromkeys(("subscribe", "unsubscribe", "listSessions", "resize"), 10.0),
}
"""Messages' worth of kinds that cost more than being read: they are told to everybody, stored, or asked of tmux."""


class Bucket:
    """A token bucket. rate: units per second; capacity: units that may be used at once."""

    def __init__(self, rate: float, capacity: float) -> None:
        self.rate, self.capacity = rate, capacity
        self._level, self._at = capacity, -math.inf

    def wait(self, cost: float, now: float) -> float:
        """Seconds until `cost` may be used up; 0 is now. One that is over the capacity needs a full bucket."""
        if now > self._at:
            self._level = min(self.capacity, self._level + (now - self._at) * self.rate)
            self._at = now
        return max(0.0, min(cost, self.capacity) - self._level) / self.rate

    def take(self, cost: float) -> None:
        """Use it up. What is over the capacity is a debt."""
        self._level -= cost


class Pace:
    """One socket's pace. Times are the loop's, in seconds."""

    def __init__(self, messages_per_second: float, bytes_per_second: float) -> None:
        self._messages = Bucket(messages_per_second, messages_per_second * MESSAGE_BURST)
        self._bytes = Bucket(bytes_per_second, bytes_per_second * BYTE_BURST)
        self._told = -math.inf
        self._unpaid = 0.0
        self._window, self._refused = -math.inf, 0.0
        self._flooding: float | None = None

    def admit(self, size: int, now: float) -> float:
        """Count a message of `size` bytes. 0: handle it; else it is refused, and these seconds are to be waited."""
        wait = max(self._messages.wait(1.0, now), self._bytes.wait(size, now))
        if wait <= 0:
            self._messages.take(1.0)
            self._bytes.take(size)
        else:
            worth = max(1.0 / self._messages.rate, size / self._bytes.rate)
            self._unpaid += worth
            self._note(worth, now)
        return wait

    def charge(self, kind: str, now: float) -> float:
        """Count what a kind of message costs beyond being read; as `admit`."""
        cost = COSTS.get(kind, 1.0) - 1.0
        if cost <= 0:
            return 0.0
        wait = self._messages.wait(cost, now)
        if wait <= 0:
            self._messages.take(cost)
        return wait

    def tells(self, now: float) -> bool:
        """Whether a refusal is told, and not only done."""
        if now < self._told + ERROR_INTERVAL:
            return False
        self._told = now
        return True

    def pause(self) -> float:
        """Seconds for which nothing more is to be read, after refusals; seldom enough to be worth a timer."""
        due = self._unpaid / WORST
        if due < 0.05:
            return 0.0
        self._unpaid = 0.0
        return min(due, MAX_PAUSE)

    def flooding(self, now: float) -> bool:
        """Whether the client has been far over the limit for too long."""
        return self._flooding is not None and now >= self._flooding + FLOOD_SECONDS

    def _note(self, worth: float, now: float) -> None:
        if now >= self._window + 1.0:
            length = now - self._window
            if self._refused < FLOOD * length or length > 2 * MAX_PAUSE:
                self._flooding = None
            elif self._flooding is None:
                self._flooding = self._window
            self._window, self._refused = now, 0.0
        self._refused += worth
