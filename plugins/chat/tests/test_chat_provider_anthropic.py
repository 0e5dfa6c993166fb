"""Anthropic's API through its SDK, against a scripted stand-in: answers, faults, and conversations in its form."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest
from chatproviders import Heard, ask, hear, providers
from moorage_chat.providers.base import Ask, ErrorCode
from moorage_chat.providers.registry import Choice
from realparts.llm import Chunks, Fail, Hang, Llm, Step
from waits import WAIT

CHOICE = Choice("claude", "claude-x")


def event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def start(**usage: int) -> str:
    return event("message_start", message={"id": "msg_1", "role": "assistant", "content": [], "usage": usage})


def block(index: int, *deltas: dict[str, Any], **first: Any) -> str:
    said = [event("content_block_start", index=index, content_block=first)]
    said += [event("content_block_delta", index=index, delta=delta) for delta in deltas]
    return "".join([*said, event("content_block_stop", index=index)])


def words(*texts: str, index: int = 0) -> str:
    return block(index, *({"type": "text_delta", "text": text} for text in texts), type="text", text="")


def stop(reason: str = "end_turn", **usage: int) -> str:
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)


START, PING = start(input_tokens=10, cache_read_input_tokens=5, output_tokens=1), event("ping")
STOP, END = stop(output_tokens=7), event("message_stop")


@pytest.fixture(scope="module")
def llm():
    provider = Llm()
    provider.models = [{"type": "model", "id": "claude-x", "display_name": "Claude X"}]
    yield provider
    provider.stop()


@pytest.fixture(autouse=True)
def _fresh(llm: Llm, monkeypatch) -> None:
    llm.clear()
    # What the SDK would find by itself for Anthropic's own service.
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-somebody-else")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-of-somebody-else")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9/elsewhere")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Api-Key: sk-ant-of-somebody-else\nX-Team: somebody-else")


def settings(llm: Llm, **more: Any) -> dict[str, Any]:
    base = llm.url.removesuffix("/v1")
    times = {"first_token_timeout": WAIT, "idle_timeout": WAIT}
    return {"claude": {"kind": "anthropic", "base_url": base, **times, **more}}


async def answer(llm: Llm, step: Step | str, prompt: str | Ask = "the fault", **more: Any) -> Heard:
    llm.script("the fault", Chunks((step,)) if isinstance(step, str) else step)
    async with providers(settings(llm, **more)) as service:
        return await hear(service, prompt, CHOICE)


async def test_an_answer(llm: Llm, monkeypatch) -> None:
    monkeypatch.setenv("CLAUDE_KEY", "sk-ant-mine")
    thinking = block(0, {"type": "thinking_delta", "thinking": "hmm"}, {"type": "signature_delta", "signature": "x"})
    said = START + PING + thinking + words("One ", "two", index=1) + PING + STOP + END
    heard = await answer(llm, said, api_key={"env": "CLAUDE_KEY"})
    assert (heard.text, heard.thought, heard.usage, heard.reason) == ("One two", "hmm", (15, 7), "stop")
    [sent] = llm.requests
    said_by_user = [{"type": "text", "text": "the fault"}]
    assert sent == {
        "model": "claude-x",
        "messages": [{"role": "user", "content": said_by_user}],
        "max_tokens": 8192,
        "stream": True,
    }
    [headers] = llm.headers
    assert headers["x-api-key"] == "sk-ant-mine"
    assert "somebody-else" not in str(headers)
    assert headers["anthropic-version"]


async def test_its_models(llm: Llm) -> None:
    async with providers(settings(llm)) as service:
        assert (await service.health("claude")).ok
        [info] = await service.listed()
        assert [(model.id, model.label) for model in info.models] == [("claude-x", "Claude X")]
        assert await service.choose(None, None) == CHOICE
    assert all("x-api-key" not in headers and "authorization" not in headers for headers in llm.headers)


@pytest.mark.parametrize(
    ("step", "said", "code"),
    [
        pytest.param(Chunks((START, words("Half")), cut=True), "Half", ErrorCode.INCOMPLETE, id="cut"),
        pytest.param(START + words("Half"), "Half", ErrorCode.INCOMPLETE, id="ends"),
        pytest.param(START + words("Half") + STOP, "Half", ErrorCode.INCOMPLETE, id="no message_stop"),
        pytest.param(Chunks((START, words("Half"), STOP, END), cut=True), "Half", None, id="cut after the end"),
        pytest.param(
            START + words("Half") + event("error", error={"type": "overloaded_error", "message": "Overloaded"}),
            "Half",
            ErrorCode.RATE_LIMITED,
            id="overloaded amid",
        ),
        pytest.param(
            event("error", error={"type": "api_error", "message": "x"}), "", ErrorCode.ERROR, id="error first"
        ),
        pytest.param(START + words("No") + stop("refusal") + END, "No", ErrorCode.CONTENT_FILTER, id="refusal"),
        pytest.param("data: []\n\n", "", ErrorCode.ERROR, id="no object"),
        pytest.param("data: [DONE]\n\n", "", ErrorCode.ERROR, id="OpenAI's end"),
        pytest.param(Fail(401, "invalid x-api-key", {"type": "authentication_error"}), "", ErrorCode.AUTH, id="401"),
        pytest.param(
            Fail(404, "model: claude-9", {"type": "not_found_error"}), "", ErrorCode.MODEL_NOT_FOUND, id="404"
        ),
        pytest.param(Fail(429, "x", {"type": "rate_limit_error"}), "", ErrorCode.RATE_LIMITED, id="429"),
        pytest.param(Fail(529, "Overloaded", {"type": "overloaded_error"}), "", ErrorCode.RATE_LIMITED, id="529"),
        pytest.param(Fail(400, "x", {"type": "billing_error"}), "", ErrorCode.RATE_LIMITED, id="billing"),
        pytest.param(
            Fail(400, "prompt is too long: 210000 tokens > 200000 maximum", {"type": "invalid_request_error"}),
            "",
            ErrorCode.CONTEXT_LENGTH,
            id="too long",
        ),
        pytest.param(Fail(413, "x", {"type": "request_too_large"}), "", ErrorCode.CONTEXT_LENGTH, id="413"),
        pytest.param(Fail(400, "x", {"type": "invalid_request_error"}), "", ErrorCode.ERROR, id="400"),
        pytest.param(Fail(500, "x", {"type": "api_error"}), "", ErrorCode.ERROR, id="500"),
    ],
)
async def test_an_answer_is_whole_only_with_message_stop(
    llm: Llm, step: Step | str, said: str, code: ErrorCode | None
) -> None:
    heard = await answer(llm, step)
    assert (heard.text, heard.code) == (said, code)
    assert heard.reason == (None if code else "stop")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("something_new", "stop"),
    ],
)
async def test_why_it_ends(llm: Llm, reason: str, told: str) -> None:
    assert (await answer(llm, START + words("x") + stop(reason) + END)).reason == told


async def test_a_mute_provider_falls_back_although_it_counted_the_prompt(llm: Llm) -> None:
    llm.script("the fault", Chunks((START, event("error", error={"type": "overloaded_error"}))))
    both = {**settings(llm, fallback=["lm"]), "lm": {"base_url": llm.url, "models": [{"id": "small"}]}}
    async with providers(both) as service:
        heard = await hear(service, "the fault", CHOICE)
        assert [one.choice for one in heard.switched] == [Choice("lm", "small")]


async def test_stopped_it_is_let_go_at_once(llm: Llm) -> None:
    llm.script("the fault", Hang("data: {}"))
    async with providers(settings(llm)) as service:
        task = asyncio.create_task(hear(service, "the fault", CHOICE))
        await asyncio.to_thread(llm.wait_hanging)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, WAIT)
        await asyncio.to_thread(llm.wait_left)


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


async def test_tools_both_ways(llm: Llm) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    calls = [
        {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Kiel"}'}},
        {"id": "t2", "type": "function", "function": {"name": "clock", "arguments": "not json"}},
    ]
    image = "data:image/png;base64,aGk="
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "the fault"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": " "}],
        },
        {"role": "assistant", "content": "I look.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "t1", "content": "Rain"},
        {"role": "tool", "tool_call_id": "t2", "content": ""},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://pictures.test/a.png"}}]},
        {"role": "assistant", "content": ""},
    ]
    said = (
        START
        + words("Let me see.")
        + block(
            1,
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"city": '},
            {"type": "input_json_delta", "partial_json": '"Kiel"}'},
            type="tool_use",
            id="toolu_1",
            name="weather",
            input={},
        )
        + block(2, type="tool_use", id="toolu_2", name="clock", input={})
        + stop("tool_use", output_tokens=3)
        + END
    )
    llm.script("the fault", Chunks((said,)))
    wanted = Ask(
        "",
        messages,
        temperature=1.5,
        top_p=0.5,
        max_tokens=99,
        tools=[function("weather", description="The weather", parameters=schema), function("clock")],
        tool_choice="required",
        more={"stop": "END", "parallel_tool_calls": False, "seed": 1},
    )
    # The last thing that the user says, by which the script goes, is a tool's answer here.
    llm.script("", Chunks((said,)))
    async with providers(settings(llm)) as service:
        heard = await hear(service, wanted, CHOICE)
    assert heard.error is None
    assert (heard.text, heard.reason, heard.usage) == ("Let me see.", "tool_calls", (15, 3))
    assert heard.tools == {0: ["toolu_1", "weather", '{"city": "Kiel"}'], 1: ["toolu_2", "clock", "{}"]}
    [sent] = llm.requests
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    elsewhere = {"type": "image", "source": {"type": "url", "url": "https://pictures.test/a.png"}}
    rain = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "Rain"}]}
    assert sent == {
        "model": "claude-x",
        "stream": True,
        "max_tokens": 99,
        "temperature": 1.0,
        "stop_sequences": ["END"],
        "system": "Be brief.\n\nBe kind.",
        "tools": [
            {"name": "weather", "description": "The weather", "input_schema": schema},
            {"name": "clock", "description": "", "input_schema": {"type": "object", "properties": {}}},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "the fault"}, picture]},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Kiel"}},
                    {"type": "tool_use", "id": "t2", "name": "clock", "input": {}},
                ],
            },
            {"role": "user", "content": [rain, {"type": "tool_result", "tool_use_id": "t2"}, elsewhere]},
        ],
    }


@pytest.mark.parametrize(
    ("chosen", "sent"),
    [
        (None, None),
        ("auto", None),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        (function("clock"), {"type": "tool", "name": "clock"}),
    ],
)
async def test_choices_of_tools(llm: Llm, chosen: Any, sent: Any) -> None:
    wanted = ask("the fault", tools=[function("clock")], tool_choice=chosen, top_p=0.5)
    await answer(llm, START + words("x") + STOP + END, wanted)
    assert llm.requests[-1].get("tool_choice") == sent
    assert llm.requests[-1]["top_p"] == 0.5


async def test_without_the_extra(llm: Llm, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    async with providers(settings(llm)) as service:
        heard = await hear(service, "hello", CHOICE)
        assert heard.code is ErrorCode.UNREACHABLE
        assert "pip install 'moorage[anthropic]'" in heard.error.detail
        assert not (await service.health("claude")).ok
