"""The backplane over Redis publish/subscribe: at most once, bounded, and back by itself after a loss."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from moorage.errors import ConfigError, StartError
from moorage.events.backplane import Data, Receiver
from moorage.events.tasks import TaskSupervisor

MAX_PENDING = 10_000
"""Events that wait to be sent while Redis is away or slow; the oldest are dropped first."""
MAX_BYTES = 1024 * 1024
"""The longest event, as JSON."""
_BATCH = 200
_TIMEOUT = 5.0
_FIRST_RETRY, _LAST_RETRY = 0.1, 5.0
_SILENT_SECONDS = 10

_log = structlog.get_logger("moorage.backplane")


class RedisBackplane:
    """Events between the servers that share the Redis at `url`.

    prefix: what channels begin with; installations that share a Redis take different ones.
    ConfigError for a URL that Redis does not understand, StartError when its library is not installed.
    """

    def __init__(self, url: str, *, prefix: str = "moorage:events:", max_pending: int = MAX_PENDING) -> None:
        self._redis, self._errors = _connect(url)
        self._prefix = prefix
        self._origin = secrets.token_hex(8)
        self._pending: deque[tuple[str, str]] = deque()
        self._max_pending = max_pending
        self._wake = asyncio.Event()
        self._sent = asyncio.Event()
        self._sent.set()
        self._receivers: dict[str, list[Receiver]] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._tasks = TaskSupervisor("backplane")
        self._listening = asyncio.Event()
        self._gap = False
        self._pubsub: Any = None
        self.dropped = 0
        """Events that were never sent: Redis was away for too long, or too slow."""

    @property
    def connected(self) -> bool:
        """Whether events of other servers arrive now."""
        return self._listening.is_set()

    async def start(self) -> None:
        """Begin to send and listen; an absent Redis is tried again until it is there."""
        self._tasks.spawn(self._keep(self._listen, "listen"), "listen")
        self._tasks.spawn(self._keep(self._send, "send"), "send")

    async def wait_connected(self, timeout: float) -> bool:
        """Wait until events of other servers arrive; False after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._listening.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Send what waits, for at most a second, and disconnect."""
        try:
            async with asyncio.timeout(1 if self.connected else 0):
                await self._sent.wait()
        except TimeoutError:
            pass
        if self._pending:
            _log.warning("events were not sent before the end", count=len(self._pending))
        await self._tasks.stop(_TIMEOUT)
        self._listening.clear()
        await self._redis.aclose()

    def publish(self, topic: str, data: Data) -> None:
        """Send to the other servers, in order; never waits. TypeError or ValueError for what JSON cannot say."""
        text = json.dumps({"from": self._origin, "data": data}, separators=(",", ":"), allow_nan=False)
        if len(text) > MAX_BYTES:
            raise ValueError(f"event of {topic} has {len(text)} bytes, more than {MAX_BYTES}")
        if len(self._pending) >= self._max_pending:
            self._pending.popleft()
            self._drop(1)
        self._pending.append((self._prefix + topic, text))
        self._sent.clear()
        self._wake.set()

    def subscribe(self, topic: str, receiver: Receiver) -> None:
        """Call `receiver(topic, data)` for the other servers' events of `topic`."""
        self._receivers.setdefault(topic, []).append(receiver)
        if self._pubsub is not None:
            self._tasks.spawn(self._join(topic), f"subscribe:{topic}")

    def on_restored(self, callback: Callable[[], None]) -> None:
        """Call `callback()` each time that the connection is back after a gap."""
        if callback not in self._callbacks:
            self._callbacks.append(callback)

    # -- one connection after the other --------------------------------------------------------------------

    async def _keep(self, work: Callable[[Callable[[], None]], Awaitable[None]], name: str) -> None:
        """Run `work` again and again; it calls what it is given when it has a connection, so that pauses begin anew."""
        pause = _FIRST_RETRY

        def connected() -> None:
            nonlocal pause
            pause = _FIRST_RETRY

        while True:
            try:
                await work(connected)
            except self._errors as error:
                if pause == _FIRST_RETRY:
                    _log.warning("Redis is away, trying again", task=name, reason=type(error).__name__)
            # Spread, so that many servers do not come back in one moment.
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
            pause = min(_LAST_RETRY, pause * 2)

    async def _listen(self, connected: Callable[[], None]) -> None:
        pubsub = self._redis.pubsub()
        try:
            # The channel of our own is there so that something is always subscribed to.
            topics = list(self._receivers)
            async with asyncio.timeout(_TIMEOUT):
                await pubsub.subscribe(f"{self._prefix}node:{self._origin}", *(self._prefix + one for one in topics))
            self._pubsub = pubsub
            for topic in set(self._receivers).difference(topics):
                await self._join(topic)  # It came while the connection was made.
            await self._receive(pubsub, connected)
        finally:
            self._pubsub = None
            self._listening.clear()
            self._gap = True
            await pubsub.aclose()

    async def _receive(self, pubsub: Any, connected: Callable[[], None]) -> None:
        quiet = 0
        while True:
            message = await pubsub.get_message(timeout=1.0)
            if message is None:
                quiet += 1
                if quiet == _SILENT_SECONDS:
                    # A connection that died without a word is found by asking.
                    async with asyncio.timeout(_TIMEOUT):
                        await pubsub.ping()
                elif quiet > _SILENT_SECONDS + _TIMEOUT:
                    raise TimeoutError
                continue
            quiet = 0
            if message["type"] == "message":
                self._deliver(message["channel"], message["data"])
            elif message["type"] == "subscribe" and not self._listening.is_set():
                connected()
                self._arrived()

    def _arrived(self) -> None:
        self._listening.set()
        self._wake.set()
        if not self._gap:
            return
        self._gap = False
        _log.warning("Redis is back, events of other servers arrive again")
        for callback in self._callbacks:
            callback()

    def _deliver(self, channel: bytes, body: bytes) -> None:
        topic = channel.decode("utf-8", "replace").removeprefix(self._prefix)
        try:
            message = json.loads(body)
            origin, data = message["from"], message["data"]
            if not isinstance(data, dict):
                raise TypeError("data is not an object")
        except (ValueError, TypeError, KeyError) as error:
            _log.warning("what came over the backplane is no event", topic=topic, reason=type(error).__name__)
            return
        if origin == self._origin:
            return
        for receiver in self._receivers.get(topic, ()):
            try:
                receiver(topic, data)
            except Exception:
                _log.exception("event of another server failed here", topic=topic)

    async def _join(self, topic: str) -> None:
        """Subscribe to one more channel on the open connection; if that fails, the next connection has it."""
        pubsub = self._pubsub
        if pubsub is not None:
            with contextlib.suppress(*self._errors):
                async with asyncio.timeout(_TIMEOUT):
                    await pubsub.subscribe(self._prefix + topic)

    async def _send(self, connected: Callable[[], None]) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                await self._flush()
                connected()
            self._sent.set()

    async def _flush(self) -> None:
        """Send one batch; what could not be sent waits at the front."""
        batch = [self._pending.popleft() for _ in range(min(_BATCH, len(self._pending)))]
        try:
            async with asyncio.timeout(_TIMEOUT), self._redis.pipeline(transaction=False) as pipe:
                for channel, text in batch:
                    pipe.publish(channel, text)
                await pipe.execute()
        except BaseException:
            room = max(0, self._max_pending - len(self._pending))
            kept = batch[len(batch) - min(room, len(batch)) :]
            self._pending.extendleft(reversed(kept))
            self._drop(len(batch) - len(kept))
            self._wake.set()
            raise

    def _drop(self, count: int) -> None:
        before, self.dropped = self.dropped, self.dropped + count
        # One line per power of two: an absent Redis must not fill the log as well.
        if before.bit_length() != self.dropped.bit_length():
            _log.error("events for other servers dropped", dropped=self.dropped)


def _connect(url: str) -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError
    except ImportError as error:
        raise StartError("redis.url is set, but its library is missing: pip install 'moorage[redis]'") from error
    try:
        # Without retries of its own: a silent reconnection would hide the gap. Without its time-out for sockets,
        # which is `asyncio.wait_for` and loses cancellations on Python 3.11; every call here has one around it.
        client = Redis.from_url(url, socket_timeout=None, socket_connect_timeout=_TIMEOUT, retry=Retry(NoBackoff(), 0))
    except ValueError as error:
        # The URL may hold a password and is not repeated.
        raise ConfigError(["redis.url: not a URL that Redis understands (redis://host:port/db)"]) from error
    return client, (RedisError, OSError, TimeoutError)
