"""The bus: order, isolation, bounded queues, and bridges without echoes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import structlog
from moorage.events import EventBus, MemoryBackplane, MemoryExchange, Topic
from waits import WAIT

Data = dict[str, Any]


@pytest.fixture
async def bus() -> AsyncIterator[EventBus]:
    bus = EventBus(queue_size=10, timeout=0.2)
    yield bus
    await bus.close(1)


@pytest.fixture
def logged() -> Iterator[list[Data]]:
    """What is logged meanwhile."""
    with structlog.testing.capture_logs() as entries:
        yield entries


async def test_sync_handlers_run_inside_publish_in_order(bus: EventBus) -> None:
    seen: list[tuple[str, int]] = []
    bus.subscribe("a", lambda data: seen.append(("first", data["n"])))
    bus.subscribe("a", lambda data: seen.append(("second", data["n"])))
    bus.subscribe("b", lambda data: seen.append(("other", data["n"])))
    bus.publish("a", {"n": 1})
    bus.publish("nobody", {"n": 2})
    assert seen == [("first", 1), ("second", 1)]


async def test_an_error_stays_with_its_handler(bus: EventBus, logged: list[Data]) -> None:
    seen: list[int] = []

    def broken(data: Data) -> None:
        raise RuntimeError("boom")

    async def broken_too(data: Data) -> None:
        raise RuntimeError("bang")

    async def well(data: Data) -> None:
        seen.append(data["n"])

    bus.subscribe("a", broken)
    bus.subscribe("a", broken_too)
    bus.subscribe("a", well)
    bus.subscribe("a", lambda data: seen.append(-data["n"]))
    for n in (1, 2):
        bus.publish("a", {"n": n})
    assert await bus.join(2)
    assert seen == [-1, -2, 1, 2]
    assert [(entry["event"], entry["topic"]) for entry in logged] == [("event handler failed", "a")] * 4


async def test_async_handlers_keep_the_order_and_hold_up_nobody(bus: EventBus) -> None:
    gate = asyncio.Event()
    slow: list[int] = []
    quick: list[int] = []

    async def waits(data: Data) -> None:
        await gate.wait()
        slow.append(data["n"])

    async def runs(data: Data) -> None:
        quick.append(data["n"])

    bus.subscribe("a", waits)
    bus.subscribe("a", runs)
    for n in range(5):
        bus.publish("a", {"n": n})
    async with asyncio.timeout(WAIT):
        while len(quick) < 5:
            await asyncio.sleep(0)
    assert slow == []
    gate.set()
    assert await bus.join(2)
    assert slow == quick == [0, 1, 2, 3, 4]


async def test_a_full_queue_drops_the_oldest(bus: EventBus, logged: list[Data]) -> None:
    gate = asyncio.Event()
    seen: list[int] = []

    async def waits(data: Data) -> None:
        await gate.wait()
        seen.append(data["n"])

    bus.subscribe("a", waits)
    for n in range(100):
        bus.publish("a", {"n": n})
    gate.set()
    assert await bus.join(2)
    assert seen == list(range(90, 100))
    assert [entry["dropped"] for entry in logged] == [1, 2, 4, 8, 16, 32, 64], "one line per power of two"


async def test_a_handler_that_hangs_is_cut_off(bus: EventBus, logged: list[Data]) -> None:
    seen: list[int] = []

    async def hangs_once(data: Data) -> None:
        if data["n"] == 0:
            await asyncio.Event().wait()
        seen.append(data["n"])

    bus.subscribe("a", hangs_once)
    bus.publish("a", {"n": 0})
    bus.publish("a", {"n": 1})
    assert await bus.join(2)
    assert seen == [1]
    assert [entry["event"] for entry in logged] == ["event handler timed out"]


async def test_unsubscribing_also_from_within(bus: EventBus) -> None:
    seen: list[str] = []

    def once(data: Data) -> None:
        seen.append("once")
        leave()

    leave = bus.subscribe("a", once)
    bus.subscribe("a", lambda data: seen.append("always"))
    bus.publish("a", {})
    bus.publish("a", {})
    assert seen == ["once", "always", "always"]
    leave()  # a second time is harmless

    async def later(data: Data) -> None:
        seen.append("later")

    stop = bus.subscribe("b", later)
    stop()
    bus.publish("b", {})
    assert await bus.join(1)
    assert "later" not in seen


async def test_objects_with_an_async_call_are_async_handlers(bus: EventBus) -> None:
    class Handler:
        seen = 0

        async def __call__(self, data: Data) -> None:
            self.seen += 1

    handler = Handler()
    bus.subscribe("a", handler)
    bus.publish("a", {})
    assert await bus.join(1)
    assert handler.seen == 1


async def test_closing_lets_handlers_catch_up_but_not_for_ever() -> None:
    bus = EventBus(timeout=30)
    seen: list[int] = []

    async def takes(data: Data) -> None:
        await asyncio.sleep(0)
        seen.append(data["n"])

    bus.subscribe("a", takes)
    for n in range(3):
        bus.publish("a", {"n": n})
    await bus.close(2)
    assert seen == [0, 1, 2]

    stuck = EventBus(timeout=30)

    async def hangs(data: Data) -> None:
        await asyncio.Event().wait()

    stuck.subscribe("a", hangs)
    stuck.publish("a", {})
    async with asyncio.timeout(WAIT):
        await stuck.close(0.05)
    with pytest.raises(RuntimeError):
        stuck.subscribe("a", hangs)


# -- between servers ----------------------------------------------------------------------------------------


async def bridged(exchange: MemoryExchange, topics: set[str]) -> tuple[EventBus, list[Data]]:
    bus, plane = EventBus(), MemoryBackplane(exchange)
    await plane.start()
    bus.bridge(plane, topics)
    seen: list[Data] = []
    for topic in topics:
        bus.subscribe(topic, seen.append)
    return bus, seen


async def test_bridged_topics_reach_the_others_once() -> None:
    exchange = MemoryExchange()
    made = [await bridged(exchange, {"a"}) for _ in range(3)]
    made[0][0].publish("a", {"n": 1})
    assert [seen for _, seen in made] == [[{"n": 1}]] * 3, "once here, once at each other server, no echo"
    made[0][0].bridge(MemoryBackplane(exchange), set())
    made[1][0].publish("private", {"n": 2})
    assert [len(seen) for _, seen in made] == [1, 1, 1]


async def test_bridging_a_topic_twice_changes_nothing() -> None:
    exchange = MemoryExchange()
    plane = MemoryBackplane(exchange)
    await plane.start()
    bus = EventBus()
    bus.bridge(plane, ["a"])
    bus.bridge(plane, ["a"])
    seen: list[Data] = []
    bus.subscribe("a", seen.append)
    other, _ = await bridged(exchange, {"a"})
    other.publish("a", {"n": 1})
    assert seen == [{"n": 1}]


async def test_what_json_cannot_say_is_refused_before_anybody_hears_it() -> None:
    bus, seen = await bridged(MemoryExchange(), {"a"})
    with pytest.raises(TypeError):
        bus.publish("a", {"record": object()})
    assert seen == []
    local: list[Data] = []
    bus.subscribe(Topic.AUDIT_WRITTEN, local.append)
    bus.publish(Topic.AUDIT_WRITTEN, {"record": object()})
    assert len(local) == 1, "topics that stay here carry anything"


async def test_a_server_that_left_hears_nothing() -> None:
    exchange = MemoryExchange()
    one, _ = await bridged(exchange, {"a"})
    two, seen = EventBus(), []
    plane = MemoryBackplane(exchange)
    await plane.start()
    two.bridge(plane, ["a"])
    two.subscribe("a", seen.append)
    await plane.stop()
    one.publish("a", {})
    assert seen == []
