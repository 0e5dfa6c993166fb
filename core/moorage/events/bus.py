"""The bus inside one server: publish to a topic, subscribe to it, never wait for a subscriber."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import structlog

from moorage.events.tasks import TaskSupervisor
from moorage.events.topics import Topic

if TYPE_CHECKING:
    from moorage.events.backplane import Backplane

Data = dict[str, Any]
Handler = Callable[[Data], Awaitable[None] | None]
Unsubscribe = Callable[[], None]

_log = structlog.get_logger("moorage.events")


class _Subscription:
    """One handler of one topic; an async handler has a bounded queue and one task that empties it in order."""

    def __init__(self, topic: str, handler: Handler, queue_size: int, timeout: float) -> None:
        self.topic = topic
        self.handler = handler
        self.timeout = timeout
        self.dropped = 0
        self.queue: asyncio.Queue[Data] | None = None
        self.worker: asyncio.Task[None] | None = None
        if _is_async(handler):
            self.queue = asyncio.Queue(queue_size)

    @property
    def name(self) -> str:
        return getattr(self.handler, "__qualname__", type(self.handler).__qualname__)

    def deliver(self, data: Data) -> None:
        if self.queue is None:
            try:
                self.handler(data)
            except Exception:
                _log.exception("event handler failed", topic=self.topic, handler=self.name)
            return
        if self.queue.full():
            self.queue.get_nowait()
            self.queue.task_done()
            self.dropped += 1
            # One line per power of two: a stuck handler must not fill the log as well.
            if self.dropped & (self.dropped - 1) == 0:
                _log.error("event dropped, handler too slow", topic=self.topic, handler=self.name, dropped=self.dropped)
        self.queue.put_nowait(data)

    async def run(self) -> None:
        assert self.queue is not None
        while True:
            data = await self.queue.get()
            try:
                async with asyncio.timeout(self.timeout):
                    result = self.handler(data)
                    assert result is not None
                    await result
            except TimeoutError:
                _log.exception("event handler timed out", topic=self.topic, handler=self.name, timeout=self.timeout)
            except Exception:
                _log.exception("event handler failed", topic=self.topic, handler=self.name)
            finally:
                self.queue.task_done()


class EventBus:
    """Events of one server. Use it from the event loop's thread only.

    queue_size: events that wait for one async handler; when full, the oldest is dropped and counted.
    timeout: seconds that an async handler may take for one event.
    """

    def __init__(self, *, queue_size: int = 1000, timeout: float = 30.0) -> None:
        self._queue_size = queue_size
        self._timeout = timeout
        self._subscriptions: dict[str, list[_Subscription]] = {}
        self._bridges: dict[str, list[Backplane]] = {}
        self._planes: list[Backplane] = []
        self._shared: set[str] = set()
        self._tasks = TaskSupervisor("events")

    def subscribe(self, topic: str, handler: Handler) -> Unsubscribe:
        """Call `handler(data)` for each event of `topic`; returns a function that ends it.

        A sync handler runs inside `publish`, in order of subscription: be quick. An async one runs in its own
        task, one event after the other. Errors of either are logged and stay with it.
        Subscribing an async handler needs a running loop.
        """
        subscription = _Subscription(topic, handler, self._queue_size, self._timeout)
        if subscription.queue is not None:
            subscription.worker = self._tasks.spawn(subscription.run(), f"{topic}:{subscription.name}")
        # Lists are replaced, not changed, so that a handler may (un)subscribe while an event is delivered.
        self._subscriptions[topic] = [*self._subscriptions.get(topic, ()), subscription]

        def unsubscribe() -> None:
            rest = [other for other in self._subscriptions.get(topic, ()) if other is not subscription]
            if rest:
                self._subscriptions[topic] = rest
            else:
                self._subscriptions.pop(topic, None)
            if subscription.worker is not None:
                subscription.worker.cancel()

        return unsubscribe

    def publish(self, topic: str, data: Data) -> None:
        """Tell all subscribers here, and the other servers if the topic is bridged. Never waits.

        `data` of a bridged topic must be JSON-able (TypeError otherwise). Handlers must not change it.
        """
        for backplane in self._bridges.get(topic, ()):
            backplane.publish(topic, data)
        self._deliver(topic, data)

    def bridge(self, backplane: Backplane, topics: Iterable[str]) -> None:
        """Share `topics` with the other servers on `backplane`.

        What comes from there is delivered here and not sent on, so that two servers cannot echo.
        """
        if backplane not in self._planes:
            self._planes.append(backplane)
            backplane.on_restored(self._restored)
        self._join(backplane, [*topics, *self._shared])

    def share(self, *topics: str) -> None:
        """Share topics with the other servers of the installation, if there are any. Harmless to repeat.

        Delivery is at most once: `Topic.BACKPLANE_RESTORED` says that something may have been missed.
        """
        self._shared.update(topics)
        for backplane in self._planes:
            self._join(backplane, topics)

    def _join(self, backplane: Backplane, topics: Iterable[str]) -> None:
        for topic in topics:
            planes = self._bridges.setdefault(topic, [])
            if backplane not in planes:
                planes.append(backplane)
                backplane.subscribe(topic, self._deliver)

    async def join(self, timeout: float = 5.0) -> bool:
        """Wait until async handlers have caught up; False when that took longer than `timeout` seconds."""
        queues = [s.queue for group in self._subscriptions.values() for s in group if s.queue is not None]
        try:
            async with asyncio.timeout(timeout):
                for queue in queues:
                    await queue.join()
        except TimeoutError:
            return False
        return True

    async def close(self, timeout: float = 5.0) -> None:
        """Let async handlers catch up, then end their tasks; at most `timeout` seconds each."""
        if not await self.join(timeout):
            _log.error("events lost at shutdown, handlers too slow", timeout=timeout)
        await self._tasks.stop(timeout)
        self._subscriptions.clear()
        self._bridges.clear()
        self._planes.clear()

    def _deliver(self, topic: str, data: Data) -> None:
        for subscription in self._subscriptions.get(topic, ()):
            subscription.deliver(data)

    def _restored(self) -> None:
        self._deliver(Topic.BACKPLANE_RESTORED, {})


class OwnBus(EventBus):
    """The bus as one plugin sees it: what it subscribed to ends with it, whether or not it thinks of that."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._ends: set[Unsubscribe] = set()

    def subscribe(self, topic: str, handler: Handler) -> Unsubscribe:
        """See `EventBus.subscribe`."""
        end = self._bus.subscribe(topic, handler)
        self._ends.add(end)

        def unsubscribe() -> None:
            self._ends.discard(end)
            end()

        return unsubscribe

    def publish(self, topic: str, data: Data) -> None:
        """See `EventBus.publish`."""
        self._bus.publish(topic, data)

    def bridge(self, backplane: Backplane, topics: Iterable[str]) -> None:
        """See `EventBus.bridge`."""
        self._bus.bridge(backplane, topics)

    def share(self, *topics: str) -> None:
        """See `EventBus.share`. Topics of the plugin's own, whose names begin with its name."""
        self._bus.share(*topics)

    async def join(self, timeout: float = 5.0) -> bool:
        """See `EventBus.join`."""
        return await self._bus.join(timeout)

    async def close(self, timeout: float = 5.0) -> None:
        """End its own subscriptions; the bus itself goes on."""
        self.leave()

    def leave(self) -> None:
        """End its own subscriptions."""
        while self._ends:
            self._ends.pop()()


def _is_async(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004
