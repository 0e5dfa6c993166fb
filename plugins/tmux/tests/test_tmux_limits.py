"""What one socket may send: the pace, what is refused, and what a flood costs the others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from statistics import median

import pytest
from moorage_tmux.pace import FLOOD_SECONDS, Pace
from terminals import connect, serving, session, token
from waits import WAIT

# -- the pace ---------------------------------------------------------------------------------------------------------


def test_a_burst_and_then_the_rate():
    pace = Pace(10, 1000)
    assert [pace.admit(1, 0.0) for _ in range(50)] == [0.0] * 50
    assert pace.admit(1, 0.0) == pytest.approx(0.1)
    assert [pace.admit(1, 1.0) == 0 for _ in range(11)] == [True] * 10 + [False]
    assert pace.admit(1, 0.5) > 0, "a clock that goes backwards gives nothing"


def test_bytes_count_as_well():
    pace = Pace(1000, 1000)
    assert pace.admit(3500, 0.0) == 0
    assert pace.admit(1500, 0.0) == pytest.approx(1.0)
    assert pace.admit(1500, 1.0) == 0
    assert pace.admit(10_000, 3.0) > 0
    assert pace.admit(10_000, 6.0) == 0, "with a full bucket even one that is larger"
    assert pace.admit(1, 6.0) == pytest.approx(6.001), "which is a debt"


def test_kinds_that_cost_more():
    pace = Pace(100, 1e9)
    assert [pace.charge("claim", 0.0) == 0 for _ in range(27)] == [True] * 26 + [False]
    assert pace.charge("sendKeys", 0.0) == 0


def test_errors_are_few():
    pace = Pace(1, 1)
    assert [pace.tells(now) for now in (0.0, 0.5, 0.99, 1.0, 1.5, 2.1)] == [True, False, False, True, False, True]


@pytest.mark.parametrize(("times", "ends"), [(1.5, False), (6.0, True)])
def test_a_flood_ends_it(times, ends):
    pace, now, sent = Pace(100, 1e6), 0.0, 0
    while now < 2 * FLOOD_SECONDS and not pace.flooding(now):
        sent += 1
        now = max(now, sent / (100 * times))
        if pace.admit(10, now) > 0:
            now += pace.pause()
    assert pace.flooding(now) == ends
    if ends:
        assert FLOOD_SECONDS <= now < FLOOD_SECONDS + 10


def test_a_flood_that_stops_is_forgotten():
    pace = Pace(100, 1e6)
    for start in (0.0, 40.0, 80.0):
        now = start
        while now < start + 20:
            pace.admit(10, now)
            now += 0.002
        assert not pace.flooding(now)


# -- on sockets -------------------------------------------------------------------------------------------------------


async def echo(client, name, mark):
    """Milliseconds from a key to its echo."""
    before = time.perf_counter()
    await client.send(type="sendKeys", sessionId=name, keys=mark)
    await client.text(mark)
    return (time.perf_counter() - before) * 1000


async def drain(client, seen):
    """Read as long as there is something to read."""
    async for text in client.connection:
        seen.append(json.loads(text))


@pytest.fixture(scope="module")
def limited(tmux, tmp_path_factory):
    """A server with low limits."""
    options = {"messages_per_second": 150, "input_bytes_per_second": 64 * 1024, "linger_seconds": 1}
    with serving(tmp_path_factory.mktemp("limited"), tmux, **options) as server:
        server.add_users({"ann": "operator", "bob": "operator"})
        server.keys = {name: token(server, name) for name in ("ann", "bob")}
        yield server


async def test_a_thousand_messages_a_second(limited, tmux, request):
    name, other = session(tmux, request), f"{request.node.name}-other"
    tmux.cat(other)
    async with connect(limited, "ann") as ann, connect(limited, "bob") as bob:
        await bob.send(type="subscribe", sessionId=other)
        await bob.next("output")
        await ann.send(type="subscribe", sessionId=name)
        await ann.next("output")
        quiet = [await echo(bob, other, f"q{number:04}") for number in range(20)]
        seen = []
        reading = asyncio.create_task(drain(ann, seen))
        text = json.dumps({"type": "sendKeys", "sessionId": name, "keys": "k"})
        kinds = [text, "{", json.dumps({"type": "heartbeat"}), "x" * 50]

        async def flood():
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                for message in kinds * 5:
                    await ann.connection.send(message)
                await asyncio.sleep(0.02)

        began = time.monotonic()
        flooding = asyncio.create_task(flood())
        await asyncio.sleep(0)
        times = []
        while not flooding.done():
            times.append(await echo(bob, other, f"m{len(times):04}"))
            await asyncio.sleep(0.02)
        await flooding
        lasted = max(time.monotonic() - began, 3)
        refused = [message for message in seen if message.get("code") == "RATE_LIMITED"]
        assert 1 <= len(refused) <= 2 + lasted, "at most one a second"
        assert all(message["retryAfter"] > 0 for message in refused)
        handled = sum(len(message.get("data", "")) for message in seen if message["type"] == "output")
        assert handled < 0.25 * 150 * (5 + lasted) + 10, "a quarter of the burst and of the rate is keys"
        assert median(times) < 50 + 3 * median(quiet), "bob does not notice"
        seen.clear()
        async with asyncio.timeout(WAIT):
            while not any(message["type"] == "sessions" for message in seen):
                await ann.send(type="listSessions")
                await asyncio.sleep(0.2)
        reading.cancel()


async def test_more_bytes_than_may_be_typed(limited, tmux, request):
    name = session(tmux, request)
    async with connect(limited, "ann") as ann:
        await ann.send(type="subscribe", sessionId=name)
        await ann.next("output")
        for number in range(60):
            await ann.send(type="sendKeys", sessionId=name, keys=f"{number:04}" + "x" * 8188)
        refused = await ann.next("error")
        assert (refused["code"], refused["retryAfter"] > 0) == ("RATE_LIMITED", True)
        await asyncio.sleep(0.5)
        await ann.send(type="sendKeys", sessionId=name, keys="the end")
        await ann.text("the end")


async def test_a_message_over_the_frame_limit(limited, tmux, request):
    name = session(tmux, request)
    async with connect(limited, "ann") as ann:
        await ann.send(type="sendKeys", sessionId=name, keys="x" * (10 << 20))
        assert await ann.closed() == 1009


async def test_a_storm_of_subscriptions(limited, tmux, request):
    name = session(tmux, request)
    async with connect(limited, "ann") as ann:
        for _ in range(60):
            await ann.send(type="subscribe", sessionId=name)
            await ann.send(type="unsubscribe", sessionId=name)
        refused = await ann.next("error")
        assert (refused["code"], refused["sessionId"]) == ("RATE_LIMITED", name)
        heard = False
        while not heard:  # The rest of the storm may take what there is again for a while.
            await ann.send(type="subscribe", sessionId=name)
            await ann.send(type="sendKeys", sessionId=name, keys="after the storm")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await ann.text("after the storm")
                    heard = True
