"""Other providers instead of one that fails, and plugins' providers, in answers over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from chatsite import parse, text
from moorage.api import Manifest, Plugin, Tool, ToolAnswer, ToolSet, hookimpl
from moorage_chat.providers.base import ErrorCode, Finish, ModelInfo, Provider, ProviderError, Reasoning, Text, Usage
from realparts.llm import Call, Fail, Llm, Say
from realparts.ports import free_port


class Dice(ToolSet):
    id, label = "dice:all", "Dice"

    async def tools(self):
        return [Tool("roll", "Roll a die", {"type": "object", "properties": {}})]

    async def call(self, name, arguments):
        return ToolAnswer("4")


class Poet(Provider):
    """Thinks, and then breaks off or not, as it is asked."""

    id, name = "poet", "Poet"

    async def models(self):
        return [ModelInfo("rhyme", "Rhyme")]

    async def generate(self, ask):
        yield Reasoning("A rhyme on sea … ")
        yield Text("By the sea ")
        if "fail" in ask.messages[-1]["content"]:
            raise ProviderError(ErrorCode.UNREACHABLE, "words of the poet's provider")
        yield Usage(3, 4)
        yield Finish("stop")


class Guest(Plugin):
    manifest = Manifest(name="guest", version="1", summary="A provider and a tool", after=("chat",))

    @hookimpl(optionalhook=True)
    def moorage_chat_providers(self):
        return [Poet()]

    @hookimpl(optionalhook=True)
    async def moorage_chat_tools(self, actor):
        return [Dice()]


@pytest.fixture(scope="module")
def llm():
    provider = Llm()
    yield provider
    provider.stop()


@pytest.fixture
async def ann(moorage_server, llm):
    llm.clear()
    lm = {"base_url": llm.url, "models": [{"id": "small"}]}
    providers = {
        "down": {"base_url": f"http://127.0.0.1:{free_port()}/v1", "models": [{"id": "big"}], "fallback": ["lm"]},
        "lm": lm,
        "backed": {**lm, "fallback": ["lm"]},
    }
    config = {"plugins": {"chat": {"providers": providers, "default_provider": "down"}}}
    async with moorage_server("chat", Guest, config=config) as server:
        yield await server.as_user()


async def asked(ann, content: str, tools: bool = False, **wish: Any):
    """(the answer's events but the signs of life, its message, how it went)."""
    talk = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
    await ann.post(f"{talk}/messages", json={"content": content})
    if tools:
        await ann.put(f"{talk}/tools", json={"tool_sets": ["dice:all"]})
    answer = await ann.post(f"{talk}/stream", json=wish)
    assert answer.status_code == 200, answer.text
    events = [parse(block) for block in answer.text.split("\n\n") if block]
    generation = (await ann.get(f"/chat/generations/{answer.headers['x-generation-id']}")).json()
    said = [one for one in (await ann.get(f"{talk}/messages")).json() if one["role"] == "assistant"]
    return [event for event in events if event.type != "ping"], said, generation


async def test_another_answers_and_it_is_said_which(ann, llm):
    events, [said], generation = await asked(ann, "Good day")
    assert text(events) == said["content"] == "You said: Good day"
    assert [event.data["status"] for event in events if event.type == "done"] == ["ok"]
    assert (generation["provider_id"], generation["model"], generation["status"]) == ("lm", "small", "ok")
    # It is counted as the one's that answered, and once.
    day = (await ann.get("/chat/usage")).json()["days"][0]
    assert [(one["provider_id"], one["model"], one["messages"]) for one in day["models"]] == [("lm", "small", 1)]


async def test_no_other_goes_on_with_what_one_began(ann, llm):
    # In the second round it fails before a word; but in the first round it has said some.
    llm.script("Roll it", Call("roll", {}, "I roll."), Fail(500), Say("from the other"))
    events, [said], generation = await asked(ann, "Roll it", tools=True, provider_id="backed")
    assert text(events) == said["content"] == "I roll."
    [error] = [event.data for event in events if event.type == "error"]
    assert error["code"] == "PROVIDER_ERROR"
    assert generation["provider_id"] == "backed"
    assert len(llm.requests) == 2


async def test_a_plugins_provider(ann):
    events, [said], generation = await asked(ann, "A poem", provider_id="poet")
    assert text(events) == said["content"] == "By the sea "
    assert (generation["provider_id"], generation["model"]) == ("poet", "rhyme")
    assert said["token_usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    # It cannot use tools, so it is offered none; and its own words about its faults are for the log.
    events, [said], generation = await asked(ann, "fail", tools=True, provider_id="poet")
    assert (text(events), said["status"], generation["status"]) == ("By the sea ", "partial", "error")
    assert "words of the poet" not in str(events)
    refused = await ann.post("/conversations", json={})
    number = refused.json()["id"]
    await ann.post(f"/conversations/{number}/messages", json={"content": "x"})
    wrong = await ann.post(f"/conversations/{number}/stream", json={"provider_id": "poet", "model": "prose"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "MODEL_NOT_FOUND")
