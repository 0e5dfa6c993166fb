"""The pool of connections with MCP servers: one start for all, nothing shared by users, bounds, idleness, back-off."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcplinks import ANSWERS, Person, Pooled, pooled, upstream, workspace
from moorage.api import Unavailable
from moorage_mcp.config import McpConfig
from moorage_mcp.links.base import Link, LinkClosed
from moorage_mcp.links.health import Record, State
from moorage_mcp.links.turns import AT_ONCE, OF_ONE_USER, Turns
from moorage_mcp.records import Kind, Status, UpstreamInfo
from moorage_mcp.wire.eras import Era
from realparts.mcpservers.parts import faulty, serve_faulty
from waits import WAIT

NOBODY = Person()


def server(*options: str, **more: Any) -> UpstreamInfo:
    return upstream(command=tuple(faulty(*options)), **more)


async def pid(link: Link) -> int:
    params = {"name": "counts", "arguments": {}}
    found = await link.request("tools/call", params, NOBODY, timeout=WAIT)
    return int(json.loads(found["content"][0]["text"])["pid"])


async def used(p: Pooled, one: UpstreamInfo, user: int = 1, **more: Any) -> int:
    async with p.pool.lease(workspace(one), one, user, **more) as link:
        return await pid(link)


async def until(true: Any) -> None:
    async with asyncio.timeout(WAIT):
        while not true():
            await asyncio.sleep(0.02)


async def test_a_hundred_first_calls_start_it_once() -> None:
    one = server("--start", "slow:0.2")
    async with pooled() as p:
        pids = await asyncio.gather(*(used(p, one) for _ in range(100)))
        assert (len(set(pids)), len(p.programs)) == (1, 1)
        assert p.metric("server_starts_total", kind="stdio", outcome="ok") == 1
        assert p.metric("servers", kind="stdio") == 1
        assert (await p.pool.server(workspace(one), one, 1)).info["name"] == "faulty"
        assert p.pool.states(1)[one.pid].state is State.UP
        assert p.pool.states(1)[one.pid].server == "faulty"
        assert p.pool.states(2) == {}


async def test_users_clients_and_versions_share_nothing() -> None:
    one = server()
    async with pooled() as p:
        first = await used(p, one)
        assert await used(p, one) == first
        able = {"capabilities": Person(**ANSWERS).capabilities}
        others = [
            await used(p, one, 2),
            await used(p, one, alone="a"),
            await used(p, one, alone="b"),
            await used(p, one, **able),
            await used(p, replace(one, version=2)),
            await used(p, replace(one, pid="ups_2")),
        ]
        assert len({first, *others}) == 7
        assert await used(p, one, **able) == others[3]


async def test_starts_wait_for_their_turn() -> None:
    """So many at once of all users, so many of one; and others go on while one user's hang."""
    turns, begun, over = Turns(), [0], asyncio.Event()

    async def start(user: int) -> None:
        async with turns.take(user):
            begun[0] += 1
            await over.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(2 * OF_ONE_USER):
            group.create_task(start(1))
        await until(lambda: begun[0] == OF_ONE_USER)
        for user in range(2, 2 + AT_ONCE):
            group.create_task(start(user))
        await until(lambda: begun[0] == AT_ONCE)
        over.set()
    assert begun[0] == 2 * OF_ONE_USER + AT_ONCE


async def test_who_gives_up_waiting_does_not_stop_the_start() -> None:
    one = server("--start", "slow:0.3")
    async with pooled() as p:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await used(p, one)
        assert p.pool.states(1)[one.pid].state is State.STARTING
        await used(p, one)
        assert len(p.programs) == 1


async def test_what_nobody_uses_is_stopped() -> None:
    one, other = server(), server(pid="ups_2")
    async with pooled(idle_seconds=0.3) as p:
        async with p.pool.lease(workspace(one), one, 1) as link:
            await used(p, other)
            await until(lambda: p.programs[1].process.returncode is not None)
            assert await pid(link) == p.programs[0].process.pid, "what is in use is not idle"
        await until(lambda: p.programs[0].process.returncode is not None)
        assert p.metric("servers", kind="stdio") == 0
        assert p.pool.state(one, 1).state is State.IDLE
        assert p.pool.state(one, 1).error == ""
        await used(p, one)


async def test_a_server_that_does_not_start_is_left_alone_for_a_while() -> None:
    one = server("--start", "crash")
    async with pooled() as p:
        answers = await asyncio.gather(*(used(p, one) for _ in range(20)), return_exceptions=True)
        assert len(p.programs) == 1
        for error in answers:
            assert isinstance(error, Unavailable)
            assert isinstance(error, LinkClosed)
            assert "exit code 3" in error.message
            assert "secret" not in error.message
            assert int(error.headers["Retry-After"]) >= 1
        with pytest.raises(Unavailable, match=r"Try again in \d+ s"):
            await used(p, one)
        assert len(p.programs) == 1, "it was not even tried"
        state = p.pool.state(one, 1)
        assert (state.state, state.retry_in > 0) == (State.FAILING, True)
        await p.pool.restart(1)
        with pytest.raises(Unavailable):
            await used(p, replace(one, version=2))
        assert len(p.programs) == 2, "another version is tried at once"


async def test_a_server_that_starts_at_the_third_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moorage_mcp.links.health.FIRST_PAUSE", 0.05)
    one = server("--start", "crash:2", "--log", str(tmp_path / "log"))
    async with pooled() as p:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await used(p, one)
            await until(lambda: p.pool.state(one, 1).state is State.IDLE)
        await used(p, one)
        assert len(p.programs) == 3


async def test_a_server_that_crashes_is_started_again() -> None:
    one = server()
    async with pooled() as p:
        first = await used(p, one)
        async with p.pool.lease(workspace(one), one, 1) as link:
            with pytest.raises(LinkClosed, match=r"exit code|signal"):
                await link.request("tools/call", {"name": "crash", "arguments": {}}, NOBODY, timeout=WAIT)
        await until(lambda: p.metric("servers", kind="stdio") == 0)
        assert await used(p, one) != first, "the first time it is started at once"
        async with p.pool.lease(workspace(one), one, 1) as link:
            with pytest.raises(LinkClosed):
                await link.request("tools/call", {"name": "crash", "arguments": {}}, NOBODY, timeout=WAIT)
        await until(lambda: p.metric("servers", kind="stdio") == 0)
        with pytest.raises(Unavailable, match=r"exit code|signal"):
            await used(p, one)


def test_pauses_grow_and_have_a_bound() -> None:
    record, pauses = Record(), []
    for _ in range(12):
        record.failed("x", 0.0)
        pauses.append(record.until)
    assert 0.75 <= pauses[0] <= 1.25
    assert all(45 <= pause <= 75 for pause in pauses[7:])
    steady = Record()
    for _ in range(3):
        steady.ended("x", 0.0, lived=100.0)
        assert steady.until == 0.0


async def test_there_is_room_for_so_many_and_the_idle_go_first() -> None:
    ones = [server(pid=f"ups_{n}") for n in range(4)]
    async with pooled(max_running=2) as p:
        async with p.pool.lease(workspace(ones[0]), ones[0], 1) as link:
            await used(p, ones[1])
            await used(p, ones[2])
            await until(lambda: p.programs[1].process.returncode is not None)
            async with p.pool.lease(workspace(ones[2]), ones[2], 1):
                with pytest.raises(Unavailable, match="Too many") as error:
                    await used(p, ones[3])
                assert error.value.headers["Retry-After"]
            assert await pid(link) == p.programs[0].process.pid
        assert len(p.programs) == 3


async def test_everything_of_somebody_ends_with_them() -> None:
    one = server()
    async with pooled() as p:
        for user in (1, 2):
            await used(p, one, user)
            await used(p, one, user, alone=f"session-{user}")
        await p.pool.close_alone("session-2")
        assert [program.process.returncode is None for program in p.programs] == [True, True, True, False]
        await p.pool.close_user(1)
        assert [program.process.returncode is None for program in p.programs] == [False, False, True, False]
        await p.pool.close_workspace(1)
        assert [program.process.returncode is None for program in p.programs] == [False] * 4
        assert p.pool.states(1) == {}


@pytest.mark.parametrize(
    "change", [{"status": Status.DELETED}, {"status": Status.INACTIVE}, {"upstreams": ()}, {"version": 2}]
)
async def test_a_change_ends_what_is_not_wanted_any_more(change: dict[str, Any]) -> None:
    one = server()
    async with pooled() as p:
        await used(p, one)
        p.pool.changed(replace(workspace(one), name="another"))
        assert len(p.pool.states(1)) == 1
        if "version" in change:
            change = {"upstreams": (replace(one, version=2),)}
        p.pool.changed(replace(workspace(one), **change))
        assert p.pool.states(1) == {}
        await until(lambda: p.programs[0].process.returncode is not None)


async def test_a_workspace_that_goes_while_its_server_starts() -> None:
    one = server("--start", "slow:0.3")
    async with pooled() as p:
        going = asyncio.create_task(used(p, one))
        await until(lambda: p.programs)
        await p.pool.close_workspace(1)
        with pytest.raises(Unavailable):
            await going
        await until(lambda: p.programs[0].process.returncode is not None)


async def test_a_server_that_never_answers_has_its_time() -> None:
    one = server("--start", "silent")
    async with pooled(start_timeout=0.5) as p:
        with pytest.raises(Unavailable, match="did not answer"):
            await used(p, one)


async def test_which_eras_a_server_speaks(tmp_path: Path) -> None:
    for era, wanted in (("both", (True, True)), ("legacy", (True, False)), ("modern", (False, True))):
        served = serve_faulty(tmp_path, "--era", era)
        one = upstream(Kind.HTTP, url=served.url)
        try:
            async with pooled(targets=[served.url]) as p:
                found = [await p.pool.speaks(workspace(one), one, 1, asked) for asked in (Era.LEGACY, Era.MODERN)]
                assert tuple(found) == wanted
                for asked, spoken in zip((Era.LEGACY, Era.MODERN), wanted, strict=True):
                    if spoken:
                        async with p.pool.lease(workspace(one), one, 1, era=asked) as link:
                            assert link.server.era is asked
                answer = await p.pool.http(one).send("POST", {"content-type": "application/json"}, b"{}")
                assert answer.status == 202
                answer.close()
        finally:
            served.stop()


async def test_what_is_under_way_when_the_server_stops() -> None:
    one = server()
    async with pooled() as p:
        async with p.pool.lease(workspace(one), one, 1) as link:
            params = {"name": "hang", "arguments": {}}
            going = asyncio.create_task(link.request("tools/call", params, NOBODY, timeout=WAIT))
            await asyncio.sleep(0.05)
            await p.pool.close()
            with pytest.raises(LinkClosed):
                await going
        with pytest.raises(Unavailable):
            await used(p, one)


def test_a_target_in_the_config_that_is_none() -> None:
    with pytest.raises(ValueError, match="no user and no password"):
        McpConfig(targets=["https://a:b@example.org/"])
