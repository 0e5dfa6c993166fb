"""The Redis backplane, over a real Redis that comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from moorage.errors import ConfigError
from moorage.events import EventBus, RedisBackplane, Topic
from waits import WAIT

if TYPE_CHECKING:
    from realparts.redis_server import RedisServer

Data = dict[str, Any]


class Server:
    """A bus with a backplane, which remembers what it heard."""

    def __init__(self, url: str, **options: Any) -> None:
        self.plane = RedisBackplane(url, **options)
        self.bus = EventBus()
        self.heard: asyncio.Queue[Data] = asyncio.Queue()
        self.restored = asyncio.Event()
        self.bus.bridge(self.plane, ["a"])
        self.bus.subscribe("a", self.heard.put_nowait)
        self.bus.subscribe(Topic.BACKPLANE_RESTORED, lambda data: self.restored.set())

    async def hears(self) -> Data:
        async with asyncio.timeout(WAIT):
            return await self.heard.get()


Make = Callable[..., Awaitable[Server]]


@pytest.fixture
async def server() -> AsyncIterator[Make]:
    made: list[Server] = []

    async def make(url: str, *, wait: bool = True, **options: Any) -> Server:
        one = Server(url, **options)
        made.append(one)
        await one.plane.start()
        if wait:
            assert await one.plane.wait_connected(10)
        return one

    yield make
    for one in made:
        await one.plane.stop()
        await one.bus.close(1)


async def test_events_reach_other_servers_in_order_and_do_not_come_back(redis_url: str, server: Make) -> None:
    one, two = await server(redis_url), await server(redis_url)
    for n in range(1000):
        one.bus.publish("a", {"n": n, "text": "é\n"})
    assert [(await two.hears())["n"] for _ in range(1000)] == list(range(1000))
    two.bus.publish("a", {"back": True})
    own = [one.heard.get_nowait() for _ in range(1000)]
    assert [data["n"] for data in own] == list(range(1000)), "heard here at once"
    assert await one.hears() == {"back": True}, "and nothing of one's own came back in between"
    assert await two.hears() == {"back": True}


async def test_a_topic_can_be_joined_while_running(redis_url: str, server: Make) -> None:
    one, two = await server(redis_url), await server(redis_url)
    got: asyncio.Queue[Data] = asyncio.Queue()
    two.bus.subscribe("late", got.put_nowait)
    one.bus.bridge(one.plane, ["late"])
    two.bus.bridge(two.plane, ["late"])
    async with asyncio.timeout(WAIT):
        while got.empty():  # the subscription is on its way
            one.bus.publish("late", {"n": 1})
            await asyncio.sleep(0.02)


async def test_a_topic_can_be_joined_while_the_connection_is_made(redis_url: str, server: Make) -> None:
    one, two = await server(redis_url), await server(redis_url, wait=False)
    await asyncio.sleep(0)  # Now it has said what to listen to, and waits for the connection.
    got: asyncio.Queue[Data] = asyncio.Queue()
    two.bus.subscribe("soon", got.put_nowait)
    two.bus.bridge(two.plane, ["soon"])
    one.bus.bridge(one.plane, ["soon"])
    async with asyncio.timeout(WAIT):
        while got.empty():
            one.bus.publish("soon", {"n": 1})
            await asyncio.sleep(0.02)


async def test_installations_with_other_prefixes_do_not_meet(redis_url: str, server: Make) -> None:
    one, two = await server(redis_url, prefix="x:"), await server(redis_url, prefix="y:")
    third = await server(redis_url, prefix="y:")
    one.bus.publish("a", {"from": "x"})
    third.bus.publish("a", {"from": "y"})
    assert await two.hears() == {"from": "y"}
    assert two.heard.empty()


async def test_nonsense_on_the_channel_hurts_nobody(redis_server: RedisServer, server: Make) -> None:
    one, two = await server(redis_server.url), await server(redis_server.url)
    with structlog.testing.capture_logs() as logged:
        for body in ("nonsense", '"text"', "[1]", '{"from":1}', '{"from":1,"data":2}'):
            redis_server.command("PUBLISH", "moorage:events:a", f"'{body}'")
        one.bus.publish("a", {"n": 1})
        assert await two.hears() == {"n": 1}
        two.bus.publish("a", {"n": 2})
        assert [await one.hears() for _ in range(2)] == [{"n": 1}, {"n": 2}]
    assert [entry["event"] for entry in logged] == ["what came over the backplane is no event"] * 10, "five at each"


async def test_redis_goes_and_comes_back(own_redis: RedisServer, server: Make) -> None:
    one, two = await server(own_redis.url), await server(own_redis.url)
    one.bus.publish("a", {"n": 1})
    assert await two.hears() == {"n": 1}
    assert not two.restored.is_set()
    own_redis.stop()
    async with asyncio.timeout(WAIT):
        while one.plane.connected or two.plane.connected:
            await asyncio.sleep(0.02)
    own_redis.start()
    async with asyncio.timeout(WAIT):
        await one.restored.wait()
        await two.restored.wait()
    one.bus.publish("a", {"n": 2})
    assert await two.hears() == {"n": 2}
    two.bus.publish("a", {"n": 3})
    assert [await one.hears() for _ in range(3)] == [{"n": 1}, {"n": 2}, {"n": 3}]


async def test_a_server_that_starts_without_redis(own_redis: RedisServer, server: Make) -> None:
    own_redis.stop()
    one = await server(own_redis.url, wait=False)
    one.bus.publish("a", {"n": 1})
    assert await one.hears() == {"n": 1}, "the server itself goes on"
    assert not await one.plane.wait_connected(0.3)
    own_redis.start()
    async with asyncio.timeout(WAIT):
        await one.restored.wait()


async def test_what_waits_is_bounded_and_the_newest_are_kept(own_redis: RedisServer, server: Make) -> None:
    own_redis.stop()
    one = await server(own_redis.url, wait=False, max_pending=50)
    for n in range(200):
        one.bus.publish("a", {"n": n})
    assert one.plane.dropped == 150
    assert len(one.plane._pending) == 50


async def test_too_long_or_unsayable_events_are_refused(redis_url: str, server: Make) -> None:
    one = await server(redis_url)
    with pytest.raises(ValueError, match="more than"):
        one.bus.publish("a", {"text": "x" * 2_000_000})
    with pytest.raises(TypeError):
        one.bus.publish("a", {"text": object()})
    with pytest.raises(ValueError):
        one.bus.publish("a", {"number": float("nan")})


async def test_stopping_sends_what_waits(redis_url: str, server: Make) -> None:
    one, two = await server(redis_url), await server(redis_url)
    for n in range(500):
        one.bus.publish("a", {"n": n})
    await one.plane.stop()
    assert [(await two.hears())["n"] for _ in range(500)] == list(range(500))


def test_a_wrong_url_is_told_without_its_password() -> None:
    with pytest.raises(ConfigError) as caught:
        RedisBackplane("htp://:pass-word@nowhere")
    assert "redis.url" in str(caught.value)
    assert "pass-word" not in str(caught.value)
