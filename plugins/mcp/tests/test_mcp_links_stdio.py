"""Links with MCP servers over stdio: both eras, and what servers do wrong."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from mcplinks import ANSWERS, IDENTITY, Person, Program
from moorage.api import TaskSupervisor
from moorage_mcp.links.base import Link, LinkClosed
from moorage_mcp.links.connect import Connector, Wish
from moorage_mcp.links.http import Http
from moorage_mcp.links.targets import Targets
from moorage_mcp.records import Kind, UpstreamInfo
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import RpcError
from realparts.mcpservers.parts import everything, faulty, pypi_server
from waits import WAIT

UPSTREAM = UpstreamInfo(id=1, pid="ups_1", workspace_id=1, name="it", kind=Kind.STDIO)
LIMIT = 1_000_000


@asynccontextmanager
async def linked(
    command: list[str],
    *,
    limit: int = LIMIT,
    timeout: float = WAIT,
    seconds: float | None = WAIT * 2,
    **wish: Any,
) -> AsyncIterator[tuple[Link, Program, list[int]]]:
    """A link with a program, which must have ended when the link has; how many notifications were dropped."""
    tasks, http = TaskSupervisor("mcp"), Http(Targets([]))
    program = await Program.start(command)
    dropped: list[int] = []
    connector = Connector(http, tasks.spawn, limit=limit, dropped=lambda: dropped.append(1))

    async def start() -> Program:
        return program

    try:
        async with asyncio.timeout(seconds):
            wished = Wish(client_info=IDENTITY, **wish)
            link = await connector.connect(UPSTREAM, start, wished, timeout)
            try:
                yield link, program, dropped
            finally:
                await link.close()
    finally:
        assert program.process.returncode is not None
        assert await tasks.stop() == []


async def call(link: Link, name: str, person: Person | None = None, *, timeout: float = WAIT, **arguments: Any) -> str:
    params: dict[str, Any] = {"name": name, "arguments": arguments, "_meta": {"progressToken": "its own"}}
    found = await link.request("tools/call", params, person or Person(), timeout=timeout)
    return str(found["content"][0]["text"])


@pytest_asyncio.fixture(params=["legacy", "modern"], scope="module", loop_scope="module")
async def link(request: pytest.FixtureRequest) -> AsyncIterator[Link]:
    """With the server that does everything right: of each era, for one client alone."""
    wish = {"alone": True, "capabilities": Person(**ANSWERS).capabilities}
    async with linked(everything("--era", request.param), seconds=None, **wish) as (found, _, _):
        yield found


SHARED = pytest.mark.asyncio(loop_scope="module")


@SHARED
async def test_requests_of_several_at_once_get_what_is_theirs(link: Link) -> None:
    assert link.server.info["name"] == "everything"
    assert link.server.capabilities["tools"] is not None
    assert link.server.instructions == "Call whatever you like."
    people = [Person() for _ in range(5)]
    said = await asyncio.gather(*(call(link, "slow", one, seconds=0.2, steps=n) for n, one in enumerate(people, 1)))
    assert said == ["slow and done"] * 5
    for steps, one in enumerate(people, 1):
        assert one.progress() == list(range(steps))
        assert {params["progressToken"] for _, params in one.heard} == {"its own"}
    assert await asyncio.gather(*(call(link, "echo", message=str(n)) for n in range(50))) == [*map(str, range(50))]


@SHARED
async def test_what_a_server_asks_is_answered_by_who_called(link: Link) -> None:
    person = Person(**ANSWERS)
    assert "Ann" in await call(link, "test_input_required_result_elicitation", person)
    assert "Paris" in await call(link, "test_sampling", person, prompt="?")
    assert "file:///work" in await call(link, "test_input_required_result_list_roots", person)
    assert [need.method for need in person.asked] == ["elicitation/create", "sampling/createMessage", "roots/list"]
    assert person.asked[0].params["message"] == "What is your name?"
    assert await call(link, "test_input_required_result_multi_round", person) == "Ann likes red"


@SHARED
async def test_a_client_that_keeps_state_gets_questions_as_results(link: Link) -> None:
    if link.server.era is Era.MODERN:
        person = Person(**ANSWERS)
        person.keeps_state = True
        params = {"name": "test_input_required_result_request_state", "arguments": {}}
        found = await link.request("tools/call", params, person, timeout=WAIT)
        assert found["resultType"] == "input_required"
        again = {**params, "requestState": found["requestState"]}
        again["inputResponses"] = {"confirm": {"action": "accept", "content": {"ok": True}}}
        found = await link.request("tools/call", again, person, timeout=WAIT)
        assert (found["content"][0]["text"], person.asked) == ("state-ok", [])


async def test_a_question_that_could_be_anybodys_is_refused() -> None:
    """A server of the older era does not say on stdio for which request it asks."""
    wish = {"capabilities": Person(**ANSWERS).capabilities}
    async with linked(everything("--era", "legacy"), **wish) as (link, _, _):
        other, person = Person(), Person(**ANSWERS)
        going = asyncio.create_task(call(link, "slow", other, seconds=30, steps=1))
        await other.something.wait()
        with pytest.raises(RpcError, match="no client"):
            await call(link, "test_sampling", person, prompt="?")
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        assert person.asked == other.asked == []
        assert "Paris" in await call(link, "test_sampling", person, prompt="?")


@SHARED
async def test_a_request_that_nobody_waits_for_is_cancelled(link: Link) -> None:
    person = Person()
    going = asyncio.create_task(call(link, "slow", person, seconds=60, steps=1))
    await person.something.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    with pytest.raises(TimeoutError):
        await call(link, "slow", seconds=60, steps=1, timeout=0.3)
    while json.loads(await call(link, "calls"))["cancelled"] < 2:
        await asyncio.sleep(0.05)


@SHARED
async def test_progress_is_a_sign_of_life(link: Link) -> None:
    assert await call(link, "slow", seconds=2.4, steps=12, timeout=1) == "slow and done"


@SHARED
async def test_log_messages_come_as_they_are_wanted(link: Link) -> None:
    for level, wanted in (("info", 3), ("error", 0)):
        person = Person(log_level=level)
        await call(link, "test_tool_with_logging", person)
        assert [method for method, _ in person.heard] == ["notifications/message"] * wanted


@SHARED
async def test_changes_are_heard_by_who_listens(link: Link) -> None:
    heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    others: list[str] = []
    uri = "test://watched-resource"
    end = await link.listen(
        {"toolsListChanged": True, "resourceSubscriptions": [uri]}, lambda *said: heard.put_nowait(said)
    )
    end_other = await link.listen({"resourceSubscriptions": [uri]}, lambda method, _: others.append(method))
    await call(link, "test_trigger_prompt_change")
    await call(link, "test_trigger_tool_change")
    assert await heard.get() == ("notifications/tools/list_changed", {})
    end_other()
    await call(link, "touch_resource", uri=uri)
    assert (await heard.get())[1] == {"uri": uri}
    end()
    await call(link, "touch_resource", uri=uri)
    await call(link, "echo", message="x")
    assert heard.empty()
    assert others == []


async def test_a_server_that_refuses_subscriptions() -> None:
    async with linked(faulty("--era", "both")) as (link, _, _):
        with pytest.raises(RpcError):
            await link.listen({"resourceSubscriptions": ["x:y"]}, lambda *_: None)


async def test_the_servers_of_pypi(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec("git", "init", "-q", str(tmp_path))
    await process.wait()
    command = pypi_server("mcp_server_git", "--repository", str(tmp_path))
    for era in (None, Era.LEGACY):
        async with linked(command, era=era) as (link, _, _):
            assert link.server.era is (era or Era.MODERN)
            assert "No commits yet" in await call(link, "git_status", repo_path=str(tmp_path))


# -- faults ------------------------------------------------------------------------------------------------------


FAULTY = pytest.mark.parametrize("era", ["legacy", "modern"])


@FAULTY
async def test_what_is_no_answer_ends_its_call_alone(era: str) -> None:
    async with linked(faulty("--era", era)) as (link, _, _):
        slow = asyncio.create_task(call(link, "linger", n=300))
        for fault in ("no_result", "list_result", "odd_error", "no_rpc", "deep"):
            with pytest.raises(RpcError) as error:
                await call(link, fault, n=200_000)
            assert error.value.data == {"gateway": True, "reason": "bad_answer"}, fault
        assert await slow == "lingered"
        for fault in ("garbage", "wrong_id", "hang"):
            with pytest.raises(TimeoutError):
                await call(link, fault, timeout=0.3)
        for good in ("ok", "garbage_first", "surrogate", "twice", "stderr"):
            assert await call(link, good, n=2) != ""
        with pytest.raises(RpcError) as error:
            await call(link, "rpc_error")
        assert (error.value.code, error.value.data, error.value.gateway) == (-32050, {"why": "because"}, False)


@FAULTY
async def test_an_answer_that_is_too_large_ends_its_call_alone(era: str) -> None:
    async with linked(faulty("--era", era), limit=100_000) as (link, _, _):
        with pytest.raises(RpcError, match="larger than 100000 bytes") as error:
            await call(link, "huge", n=1)
        assert error.value.data["reason"] == "too_large"
        assert await call(link, "ok") == "ok"
        with pytest.raises(LinkClosed, match="larger than"):
            await call(link, "huge", n=5)


async def test_an_answer_of_100_mb_takes_no_memory() -> None:
    async with linked(faulty(), limit=LIMIT) as (link, _, _):
        with pytest.raises(LinkClosed, match="larger than"):
            await call(link, "huge", n=100)


@FAULTY
async def test_a_flood_of_notifications_drowns_nobody(era: str) -> None:
    async with linked(faulty("--era", era)) as (link, _, dropped):
        person, other = Person(log_level="debug"), Person()
        hold = asyncio.Event()

        async def slowly(method: str, params: Any) -> None:
            await hold.wait()

        person.notify = slowly  # type: ignore[method-assign]
        flood = asyncio.create_task(call(link, "flood", person, n=20_000))
        assert await call(link, "ok", other) == "ok"
        while len(dropped) < 1000:
            await asyncio.sleep(0.02)
        hold.set()
        assert await flood == "flooded"
        assert other.heard == []
        endless = asyncio.create_task(call(link, "endless", Person()))
        for _ in range(5):
            assert await call(link, "ok") == "ok"
        endless.cancel()
        assert await call(link, "ok") == "ok"


@pytest.mark.parametrize(("fault", "why"), [("crash", "exit code 139|signal"), ("half", "exit code 0")])
async def test_a_server_that_ends_in_mid_call(fault: str, why: str) -> None:
    async with linked(faulty()) as (link, _, _):
        going = asyncio.create_task(call(link, "hang"))
        with pytest.raises(LinkClosed, match=why):
            await call(link, fault)
        with pytest.raises(LinkClosed, match=why):
            await going
        await link.wait_closed()
        with pytest.raises(LinkClosed):
            await call(link, "ok")


@pytest.mark.parametrize(
    ("start", "why"),
    [("crash", "exit code 3"), ("leave", "exit code 0"), ("version", "no version of MCP"), ("garbage", None)],
)
@FAULTY
async def test_a_server_that_does_not_begin(start: str, why: str | None, era: str) -> None:
    if start == "version" and era == "modern":
        why = "refuses"  # It answers no `initialize` either.
    with pytest.raises(LinkClosed if why else (LinkClosed, TimeoutError), match=why):
        async with linked(faulty("--era", era, "--start", start), timeout=WAIT if why else 1):
            pass


async def test_a_server_that_says_nothing_when_it_is_asked_for_the_newer_era() -> None:
    code = (
        "import sys, json\n"
        "for line in sys.stdin:\n"
        "    found = json.loads(line)\n"
        "    if found['method'] == 'initialize':\n"
        "        result = {'protocolVersion': '2024-11-05', 'capabilities': {}, 'serverInfo': {'name': 'old'}}\n"
        "        print(json.dumps({'jsonrpc': '2.0', 'id': found['id'], 'result': result}), flush=True)\n"
    )
    async with linked([sys.executable, "-c", code], timeout=2) as (link, _, _):
        assert (link.server.era, link.server.version) == (Era.LEGACY, "2024-11-05")


async def test_a_server_of_both_eras_that_begins_slowly() -> None:
    """The first question was lost on it; it refuses the older era's, and answers when it is asked again."""
    code = (
        "import sys, json\n"
        "sys.stdin.readline()\n"
        "for line in sys.stdin:\n"
        "    found = json.loads(line)\n"
        "    if 'id' not in found:\n"
        "        continue\n"
        "    if found['method'] == 'initialize':\n"
        "        more = {'error': {'code': -32022, 'message': 'No', 'data': {'supported': ['2026-07-28']}}}\n"
        "    else:\n"
        "        more = {'result': {'supportedVersions': ['2026-07-28'], 'capabilities': {}, 'ttlMs': 0}}\n"
        "    print(json.dumps({'jsonrpc': '2.0', 'id': found['id'], **more}), flush=True)\n"
    )
    async with linked([sys.executable, "-c", code], timeout=2) as (link, _, _):
        assert link.server.era is Era.MODERN


async def test_a_server_that_never_answers() -> None:
    with pytest.raises(TimeoutError):
        async with linked(faulty("--start", "silent"), timeout=0.5):
            pass


async def test_a_program_that_is_no_server() -> None:
    with pytest.raises(LinkClosed, match="no MCP"):
        async with linked(["sh", "-c", "yes hello"]):
            pass


async def test_a_server_that_does_not_read() -> None:
    """Whoever writes waits no longer than it wanted to."""
    code = (
        "import sys, json, time\n"
        "found = json.loads(sys.stdin.readline())\n"
        "result = {'protocolVersion': '2025-11-25', 'capabilities': {}, 'serverInfo': {}}\n"
        "print(json.dumps({'jsonrpc': '2.0', 'id': found['id'], 'result': result}), flush=True)\n"
        "time.sleep(3600)\n"
    )
    async with linked([sys.executable, "-c", code], era=Era.LEGACY) as (link, _, _):
        for _ in range(2):
            calls = [call(link, "echo", message="x" * 100_000, timeout=0.3) for _ in range(100)]
            assert {type(one) for one in await asyncio.gather(*calls, return_exceptions=True)} == {TimeoutError}


async def test_questions_that_no_client_can_answer() -> None:
    async with linked(faulty()) as (link, _, _):
        assert json.loads(await call(link, "ask_odd"))["code"] == -32601
        assert await call(link, "ask_many", n=1000) == "asked"
        assert await call(link, "ok") == "ok"
