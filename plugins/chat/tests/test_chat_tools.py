"""Tools for models: which there are, how they are named, how a model's calls are made and bounded, what is kept."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import structlog
from moorage.api import Conflict, Manifest, Plugin, TaskSupervisor, Tool, ToolAnswer, ToolSet, hookimpl
from moorage_chat.config import ChatConfig
from moorage_chat.engine import bounded, toolbox, tools
from moorage_chat.engine.toolcalls import Collector, rounds_of, sent
from moorage_chat.engine.tools import ToolLoop
from moorage_chat.providers.base import Ask, ErrorCode, ProviderError, ToolFragment
from moorage_chat.records import Message, MessageStatus, Role
from waits import WAIT

OBJECT = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}


class Weather(ToolSet):
    """Tools that do what their names say. `hold` is awaited by `wait`; used: what was called."""

    def __init__(self, id="weather:one", label="Weather", names=("forecast", "fail", "refuse", "wait", "much")):
        self.id, self.label, self.names = id, label, names
        self.used, self.running, self.most, self.hold = [], 0, 0, asyncio.Event()
        self.cancelled = 0

    async def tools(self):
        return [Tool(name, f"It is {name}", OBJECT) for name in self.names]

    async def call(self, name, arguments):
        self.used.append((name, dict(arguments)))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return await self.do(name, arguments)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def do(self, name, arguments):
        if name == "fail":
            raise RuntimeError("with a secret in it")
        if name == "refuse":
            raise Conflict("The workspace is asleep")
        if name == "wait":
            await self.hold.wait()
        if name == "much":
            return ToolAnswer("x" * 5000)
        if name == "nul":
            return ToolAnswer("a\0b\ud800c")
        if name == "wrong":
            return "a string"
        return ToolAnswer(f"Rain in {arguments.get('place')}", is_error=arguments.get("place") == "Nowhere")


class Counter:
    """Counts nothing; that calls are counted is shown over HTTP."""

    def labels(self, *values):
        return self

    def inc(self):
        pass


class Broken(Weather):
    async def tools(self):
        raise Conflict("It is closed")


class Stubborn(Weather):
    """Ignores that it is cancelled."""

    async def call(self, name, arguments):
        while True:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                if self.hold.is_set():
                    raise
                continue
            return ToolAnswer("too late")


class WeatherPlugin(Plugin):
    manifest = Manifest(name="weather", version="1", summary="Tells the weather", after=("chat",))
    given: list = []

    @hookimpl
    async def moorage_chat_tools(self, actor):
        return [one for one in self.given if actor.user.username != "ben"]


@pytest.fixture
async def app(moorage_server):
    WeatherPlugin.given = [Weather(), Weather("weather:two", "Weather of ten days", ("forecast", "a.b/c"))]
    async with moorage_server("chat", WeatherPlugin) as server:
        yield server


@pytest.fixture
async def ann(app):
    return await app.as_user(name="ann")


@pytest.fixture
async def make():
    """make(*sets, **settings): a ToolLoop, and what it tells."""
    metrics = SimpleNamespace(counter=lambda *_: Counter())
    hub = SimpleNamespace(tasks=TaskSupervisor("test"), log=structlog.get_logger(), metrics=metrics)

    def make(*sets, **settings):
        told, config = [], ChatConfig(**settings)
        loop = ToolLoop(hub, config, toolbox.Toolbox(hub), sets, lambda kind, data: told.append((kind, dict(data))))
        return loop, told

    yield make
    assert await hub.tasks.stop() == []


def asks(loop, *calls):
    """A round in which a model asks for (tool, arguments)."""
    for number, (tool, arguments) in enumerate(calls):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        loop.take(ToolFragment(number, f"id{number}", tool, text[:4]))
        loop.take(ToolFragment(number, arguments=text[4:]))


async def one_round(loop, *calls, ask=None, text="", until=0):
    asks(loop, *calls)
    assert loop.wanted("tool_calls")
    return await loop.next(ask or Ask("m", []), text, until)


def answers(ask):
    return [message["content"] for message in ask.messages if message["role"] == "tool"]


# -- what there is, over HTTP ------------------------------------------------------------------------------------


async def test_users_see_the_sets_that_plugins_give_them(app, ann):
    assert (await ann.get("/chat/tools")).json() == [
        {"id": "weather:one", "label": "Weather"},
        {"id": "weather:two", "label": "Weather of ten days"},
    ]
    shown = (await ann.get("/chat/tools/weather:two")).json()
    assert shown["label"] == "Weather of ten days"
    assert shown["tools"][0] == {
        "name": "forecast", "title": "", "description": "It is forecast", "read_only": False, "parameters": OBJECT,
    }  # fmt: skip
    ben = await app.as_user(name="ben")
    assert (await ben.get("/chat/tools")).json() == []
    assert (await ben.get("/chat/tools/weather:two")).status_code == 404
    missing = await ann.get("/chat/tools/weather:three")
    assert (missing.status_code, missing.json()["code"]) == (404, "TOOLS_NOT_FOUND")
    assert (await app.anonymous.get("/chat/tools")).status_code == 401


async def test_what_plugins_give_wrong_is_left_out(app, ann):
    good = Weather()
    WeatherPlugin.given = ["no set", Weather("Weather one"), good, Weather(), Broken("weather:closed", "Closed")]
    assert [one["id"] for one in (await ann.get("/chat/tools")).json()] == ["weather:one", "weather:closed"]
    closed = await ann.get("/chat/tools/weather:closed")
    assert (closed.status_code, closed.json()["message"]) == (409, "It is closed")
    WeatherPlugin.given = None
    assert (await ann.get("/chat/tools")).json() == []


async def test_a_choice_is_kept_with_the_conversation(app, ann):
    path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}/tools"
    assert (await ann.get(path)).json() == {"tool_sets": []}
    for chosen in (["weather:two", "weather:one"], ["weather:one"], []):
        assert (await ann.put(path, json={"tool_sets": chosen})).json() == {"tool_sets": chosen}
        assert (await ann.get(path)).json() == {"tool_sets": chosen}
    await ann.put(path, json={"tool_sets": ["weather:one"]})
    for body, code in (
        ({"tool_sets": ["weather:three"]}, "TOOLS_NOT_FOUND"),
        ({"tool_sets": [1]}, "VALIDATION_ERROR"),
        ({"tool_sets": "weather:one"}, "VALIDATION_ERROR"),
        ({"tool_sets": [f"a:{n}" for n in range(33)]}, "VALIDATION_ERROR"),
        ({}, "VALIDATION_ERROR"),
        ({"tool_sets": [], "more": 1}, "VALIDATION_ERROR"),
    ):
        refused = await ann.put(path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (400, code), body
    assert (await ann.get(path)).json() == {"tool_sets": ["weather:one"]}, "what was refused changed nothing"
    ben = await app.as_user(name="ben")
    assert (await ben.get(path)).status_code == 404
    assert (await ben.put(path, json={"tool_sets": []})).status_code == 404


# -- names ---------------------------------------------------------------------------------------------------------


async def test_every_tool_has_a_name_that_providers_take_and_no_other_has():
    one, two = Weather("w:1", "Here"), Weather("w:2", "Here")
    names = ["forecast", "a.b/c", "é" * 100, "x" * 64, "x" * 65]
    found = [(one, [Tool(name, "", {}) for name in names]), (two, [Tool(name, "", {}) for name in names])]
    offered = toolbox.offer(found)
    assert len(offered.tools) == 10
    assert all(len(name) <= 64 and name.isascii() for name in offered.tools)
    assert {(tool.set.id, tool.tool.name) for tool in offered.tools.values()} == {
        (set_id, name) for set_id in ("w:1", "w:2") for name in names
    }
    assert toolbox.offer(found[:1]).tools.keys() >= {"forecast", "x" * 64}, "a name that fits stays as it is"
    assert toolbox.offer(found).tools.keys() == offered.tools.keys(), "and names are the same each time"


async def test_too_many_and_too_large_tools_are_left_out():
    one = Weather()
    many = [Tool(f"t{n}", "", {}) for n in range(toolbox.MAX_TOOLS + 5)]
    offered = toolbox.offer([(one, [Tool("large", "", {"description": "x" * toolbox.MAX_SCHEMA}), *many])])
    assert (len(offered.tools), offered.left_out) == (toolbox.MAX_TOOLS, 5)
    assert "large" not in offered.tools


# -- rounds --------------------------------------------------------------------------------------------------------


async def test_a_model_is_offered_tools_and_told_what_they_said(make):
    weather = Weather()
    loop, told = make(weather)
    await loop.open()
    first = loop.begin(Ask("m", [{"role": "user", "content": "Rain?"}]))
    assert first.tool_choice == "auto"
    assert {"name": "forecast", "description": "It is forecast", "parameters": OBJECT} in [
        tool["function"] for tool in first.tools
    ]
    assert not loop.wanted("tool_calls"), "it has not asked for any"
    second = await one_round(
        loop, ("forecast", {"place": "Kiel"}), ("forecast", {"place": "Nowhere"}), ask=first, text="I look.", until=7
    )
    assert second.messages == [
        {"role": "user", "content": "Rain?"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": f"id{n}",
                    "type": "function",
                    "function": {"name": "forecast", "arguments": json.dumps({"place": place})},
                }
                for n, place in enumerate(("Kiel", "Nowhere"))
            ],
        },
        {"role": "tool", "tool_call_id": "id0", "content": "Rain in Kiel"},
        {"role": "tool", "tool_call_id": "id1", "content": "Error: Rain in Nowhere"},
    ]
    assert second.tools == first.tools
    assert [kind for kind, _ in told] == ["tool_call", "tool_call", "tool_result", "tool_result"]
    assert told[0][1] == {"id": "id0", "set": "weather:one", "tool": "forecast", "arguments": {"place": "Kiel"}}
    assert told[3][1] | {"seconds": 0} == {"id": "id1", "text": "Rain in Nowhere", "is_error": True, "seconds": 0}
    (kept,) = loop.parts["tool_rounds"]
    assert kept["until"] == 7
    assert kept["calls"] == [told[0][1] | told[2][1], told[1][1] | told[3][1]]


async def test_what_goes_wrong_is_an_answer_to_the_model(make, monkeypatch):
    weather = Weather(names=("forecast", "fail", "refuse", "much", "nul", "wrong"))
    loop, _ = make(weather, max_tool_answer=100)
    await loop.open()
    ask = await one_round(
        loop,
        ("fail", {}),
        ("refuse", {}),
        ("no_such", {}),
        ("forecast", '{"place": '),
        ("forecast", "[1]"),
        ("forecast", '{"place": NaN}'),
        ("much", ""),
        ("nul", {"a\0": "b\0"}),
        ("wrong", {}),
    )
    said = answers(ask)
    assert said[:6] == [
        "Error: The tool failed",
        "Error: The workspace is asleep",
        "Error: There is no tool no_such",
        *["Error: The arguments are not a JSON object"] * 3,
    ]
    assert said[6] == "x" * 100 + "\n[4900 more characters are left out]"
    assert said[7] == "a\ufffdb\ufffdc", "what a database cannot keep is replaced"
    assert said[8] == "Error: The tool failed"
    assert weather.used[-2:] == [("nul", {"a\ufffd": "b\ufffd"}), ("wrong", {})]
    assert [used for used, _ in weather.used] == ["fail", "refuse", "much", "nul", "wrong"]
    echoed = ask.messages[0]["tool_calls"][3]["function"]["arguments"]
    assert echoed == "{}", "providers refuse arguments that are no JSON"


async def test_calls_run_side_by_side_and_within_their_time(make):
    weather = Weather(names=("wait",))
    loop, _ = make(weather, tool_timeout=0.05)
    await loop.open()
    ask = await one_round(loop, *[("wait", {"n": n}) for n in range(10)])
    assert answers(ask) == ["Error: The tool did not answer within 0.05 seconds"] * 10
    assert weather.most == 8
    assert weather.running == 0


async def test_cancelled_its_calls_are_too(make):
    weather = Weather(names=("wait",))
    loop, told = make(weather)
    await loop.open()
    asks(loop, ("wait", {}), ("wait", {}))
    task = asyncio.create_task(loop.next(Ask("m", []), "", 0))
    async with asyncio.timeout(WAIT):
        while weather.running < 2:
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (weather.running, weather.cancelled) == (0, 2)
    (kept,) = loop.parts["tool_rounds"]
    assert [call["text"] for call in kept["calls"]] == ["The use of the tool was broken off"] * 2
    assert loop.parts["tool_rounds"] == rounds_of(told), "as it is read from the log after a crash"


async def test_a_tool_that_will_not_end_is_left_behind(make, monkeypatch):
    monkeypatch.setattr(bounded, "GRACE", 0.02)
    stubborn = Stubborn(names=("wait",))
    loop, _ = make(stubborn, tool_timeout=0.02)
    await loop.open()
    assert "did not answer" in answers(await one_round(loop, ("wait", {})))[0]
    stubborn.hold.set()


async def test_rounds_are_bounded(make):
    loop, _ = make(Weather(), max_tool_rounds=2)
    await loop.open()
    call = ("forecast", {"place": "Kiel"})
    ask = await one_round(loop, call)
    assert ask.tool_choice == "auto"
    ask = await one_round(loop, call, ask=ask)
    assert ask.tool_choice == "none", "it is told to answer now"
    ask = await one_round(loop, call, ask=ask)
    assert "Answer now" in answers(ask)[-1], "and if it does not listen, once more"
    with pytest.raises(ProviderError) as caught:
        await one_round(loop, call, ask=ask)
    assert caught.value.code is ErrorCode.TOOL_LIMIT
    assert len(loop.parts["tool_rounds"]) == 3


async def test_all_that_tools_say_is_bounded(make, monkeypatch):
    monkeypatch.setattr(tools, "MAX_SAID", 7000)
    loop, _ = make(Weather())
    await loop.open()
    ask = await one_round(loop, ("much", {}), ("much", {}), ("much", {}))
    assert [said.count("x") for said in answers(ask)] == [5000, 2000, 0]


async def test_without_rounds_there_are_no_tools(make):
    loop, _ = make(Weather(), max_tool_rounds=0)
    await loop.open()
    ask = Ask("m", [])
    assert loop.begin(ask) == ask
    asks(loop, ("forecast", {}))
    assert not loop.wanted("tool_calls")
    assert loop.parts == {}


async def test_a_set_that_is_away_is_told_and_the_others_are_offered(make):
    loop, told = make(Weather(), Broken("weather:closed", "Closed"))
    await loop.open()
    assert loop.offers
    assert told == [
        (
            "status",
            {
                "status": "tools",
                "unavailable": [{"id": "weather:closed", "label": "Closed", "message": "It is closed"}],
                "left_out": 0,
            },
        )
    ]


async def test_half_calls_are_not_made(make):
    loop, _ = make(Weather())
    await loop.open()
    asks(loop, ("forecast", '{"place": "Ki'))
    assert not loop.wanted("length")
    assert not loop.wanted("content_filter")
    assert loop.wanted("stop"), "what some servers say where they mean tool_calls"


# -- fragments -----------------------------------------------------------------------------------------------------


def collected(*fragments):
    found = Collector(3)
    for fragment in fragments:
        found.take(ToolFragment(*fragment))
    return [(call.id, call.name, call.arguments) for call in found.calls()]


def test_fragments_are_put_together_as_servers_send_them():
    assert collected((0, "a", "f", ""), (1, "b", "g", "{"), (0, "", "", "{}"), (1, "", "", "}")) == [
        ("a", "f", "{}"),
        ("b", "g", "{}"),
    ]
    # Ollama and others number every call 0.
    assert collected((0, "a", "f", "{}"), (0, "b", "g", "{}")) == [("a", "f", "{}"), ("b", "g", "{}")]
    # Some repeat id and name with each fragment, and some give no ids, or the same one twice.
    assert collected((0, "a", "f", "{"), (0, "a", "f", "}")) == [("a", "f", "{}")]
    assert collected((0, "", "f", "{}"), (1, "", "g", "{}")) == [("call_3_0", "f", "{}"), ("call_3_1", "g", "{}")]
    assert collected((0, "a", "f", ""), (1, "a", "g", "")) == [("a", "f", ""), ("call_3_1", "g", "")]


def test_fragments_without_end_are_refused():
    with pytest.raises(ProviderError):
        collected(*[(number, f"id{number}", "f", "{}") for number in range(200)])
    with pytest.raises(ProviderError):
        collected(*[(0, "id", "f", "x" * 1000)] * 2000)


# -- what is kept --------------------------------------------------------------------------------------------------


def message(content, parts=None, role=Role.ASSISTANT):
    now = datetime.now(UTC)
    return Message(1, "m1", 1, 1, None, role, content, MessageStatus.COMPLETE, now, parts=parts or {})


async def test_a_stored_answer_is_sent_as_it_came_about(make):
    loop, told = make(Weather())
    await loop.open()
    first, then = "I look.", "\n\nIt rains."
    ask = await one_round(loop, ("forecast", {"place": "Kiel"}), text=first, until=len(first))
    stored = message(first + then, loop.parts)
    assert sent(stored, tools=True) == [*ask.messages, {"role": "assistant", "content": "It rains."}]
    assert sent(stored, tools=False) == [{"role": "assistant", "content": first + then}]
    log = [("delta", {"delta": first}), *told, ("delta", {"delta": then})]
    assert rounds_of(log) == loop.parts["tool_rounds"]


@pytest.mark.parametrize(
    "rounds",
    [
        "text",
        [1],
        [{}],
        [{"until": 1}],
        [{"until": 0, "calls": []}],
        [{"until": "0", "calls": [{"id": "a", "tool": "t", "arguments": {}, "text": ""}]}],
        [{"until": 0, "calls": [{"id": "a", "tool": "t", "arguments": [], "text": ""}]}],
        [{"until": 0, "calls": [{"id": 1, "tool": "t", "arguments": {}, "text": ""}]}],
        [{"until": 0, "calls": [{"id": "a", "tool": "t", "arguments": {}}]}],
    ],
)
def test_rounds_that_somebody_made_up_are_not_sent(rounds):
    assert sent(message("Hi", {"tool_rounds": rounds}), tools=True) == [{"role": "assistant", "content": "Hi"}]


async def test_rounds_in_the_log_are_told_apart(make):
    loop, told = make(Weather())
    await loop.open()
    for _ in range(2):
        await one_round(loop, ("forecast", {"place": "Kiel"}), ("forecast", {"place": "Lübeck"}))
        for number, (kind, data) in enumerate(told):
            told[number] = (kind, {**data, "id": data["id"] + str(len(told))} if len(data["id"]) == 3 else data)
    assert [len(one["calls"]) for one in rounds_of(told)] == [2, 2]


def test_messages_without_tools_are_sent_as_they_are():
    assert sent(message("Hi", role=Role.USER), tools=True) == [{"role": "user", "content": "Hi"}]
    assert sent(message(""), tools=True) == [], "an answer that says nothing is none"
    assert sent(message("42", role=Role.TOOL), tools=True) == []
