"""What providers that speak OpenAI's API may do wrong, one by one: which of it is an answer, and what else it is."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from chatproviders import ask, hear, providers
from moorage_chat.providers import sse
from moorage_chat.providers.base import ErrorCode
from moorage_chat.providers.faults import text
from moorage_chat.providers.registry import Choice
from realparts.llm import Call, Chunks, Cut, Endless, Fail, Hang, Llm, Raw, Say, Step
from realparts.ports import free_port
from waits import WAIT

DONE = "data: [DONE]\n\n"
HTML = b"<html><body>Sign in to the network first</body></html>"


def chunk(text: str | None = None, reason: str | None = None, **delta: Any) -> dict[str, Any]:
    if text is not None:
        delta["content"] = text
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def event(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


WORDS, END = chunk("Half an answer"), chunk(reason="stop")


@pytest.fixture(scope="module")
def llm():
    provider = Llm()
    yield provider
    provider.stop()


@pytest.fixture(autouse=True)
def _fresh(llm: Llm) -> None:
    llm.clear()
    llm.refuses.clear()


def settings(llm: Llm, **more: Any) -> dict[str, Any]:
    # Times that a busy machine does not need for what comes.
    return {"lm": {"base_url": llm.url, "first_token_timeout": WAIT, "idle_timeout": WAIT, **more}}


async def answer(llm: Llm, step: Step, /, **more: Any) -> Any:
    llm.script("the fault", step)
    async with providers(settings(llm, **more)) as service:
        return await hear(service, "the fault")


async def test_an_answer_in_pieces_with_its_usage(llm: Llm) -> None:
    heard = await answer(llm, Say("One two three", think="hmm"))
    assert (heard.text, heard.thought, heard.usage, heard.reason) == ("One two three", "hmm", (11, 7), "stop")
    assert heard.error is None
    sent = llm.requests[-1]
    assert sent["stream_options"] == {"include_usage": True}
    assert sent.keys() == {"model", "messages", "stream", "stream_options"}
    assert sent["model"] == "scripted"


@pytest.mark.parametrize(
    ("step", "said", "code"),
    [
        pytest.param(Cut("Half an answer"), "Half an answer", ErrorCode.INCOMPLETE, id="cut"),
        pytest.param(Chunks((WORDS, DONE)), "Half an answer", ErrorCode.INCOMPLETE, id="no finish_reason"),
        pytest.param(Chunks((WORDS,)), "Half an answer", ErrorCode.INCOMPLETE, id="ends without a word"),
        pytest.param(Chunks(()), "", ErrorCode.INCOMPLETE, id="empty"),
        pytest.param(Chunks((WORDS, END), cut=True), "Half an answer", None, id="cut after the end"),
        pytest.param(Chunks((WORDS, END)), "Half an answer", None, id="no [DONE]"),
        pytest.param(Chunks((WORDS, END, "data: {brok"), cut=True), "Half an answer", None, id="broken after the end"),
        pytest.param(Chunks(({"error": {"message": "no"}},)), "", ErrorCode.ERROR, id="error first"),
        pytest.param(Chunks((WORDS, {"error": "no"})), "Half an answer", ErrorCode.ERROR, id="error amid"),
        pytest.param(
            Chunks(({"object": "error", "message": "too bad", "code": 500}, DONE)), "", ErrorCode.ERROR, id="vLLM"
        ),
        pytest.param(
            Chunks(
                ({"object": "error", "message": "This model's maximum context length is 4096 tokens", "code": 400},)
            ),
            "",
            ErrorCode.CONTEXT_LENGTH,
            id="vLLM's context",
        ),
        pytest.param(
            Chunks((WORDS, 'error: {"code":500,"message":"slot unavailable"}\n\n')),
            "Half an answer",
            ErrorCode.ERROR,
            id="llama.cpp's line",
        ),
        pytest.param(Chunks((WORDS, "error: out of memory\n\n")), "Half an answer", ErrorCode.ERROR, id="in words"),
        pytest.param(
            Chunks((": OPENROUTER PROCESSING\n\n", {"error": {"code": 429, "message": "slow down"}, **END})),
            "",
            ErrorCode.RATE_LIMITED,
            id="OpenRouter",
        ),
        pytest.param(Chunks((WORDS, chunk(reason="error"))), "Half an answer", ErrorCode.ERROR, id="ends with error"),
        pytest.param(
            Chunks((WORDS, chunk(reason="content_filter"))), "Half an answer", ErrorCode.CONTENT_FILTER, id="filtered"
        ),
        pytest.param(Chunks(("data: <html>\n\n",)), "", ErrorCode.ERROR, id="no JSON"),
        pytest.param(Chunks(("data: 17\n\n",)), "", ErrorCode.ERROR, id="no object"),
        pytest.param(Raw(HTML, "text/html"), "", ErrorCode.ERROR, id="HTML"),
        pytest.param(Raw(HTML, "text/html", 502), "", ErrorCode.UNREACHABLE, id="HTML of a proxy"),
        pytest.param(Raw(b"not {json", "application/json"), "", ErrorCode.ERROR, id="JSON that is none"),
        pytest.param(Raw(b'{"error":{"message":"no"}}', "application/json"), "", ErrorCode.ERROR, id="JSON error"),
        pytest.param(Raw(event(WORDS), length=10_000), "Half an answer", ErrorCode.INCOMPLETE, id="claims more"),
        pytest.param(Raw(event(WORDS) + event(END), length=10_000), "Half an answer", None, id="claims more, whole"),
        pytest.param(Raw(b"", status=302, headers={"Location": "/v1/models"}), "", ErrorCode.ERROR, id="redirect"),
        pytest.param(Endless(b"x" * 65_536), "", ErrorCode.ERROR, id="a line without end"),
        pytest.param(Endless(b"data: x" + b"\ndata: x" * 8000), "", ErrorCode.ERROR, id="an event without end"),
        pytest.param(Endless(b"x" * 65_536, "text/html"), "", ErrorCode.ERROR, id="HTML without end"),
    ],
)
async def test_an_answer_is_whole_only_with_a_mark_of_its_end(
    llm: Llm, step: Step, said: str, code: ErrorCode | None
) -> None:
    heard = await answer(llm, step)
    assert (heard.text, heard.code) == (said, code)
    assert heard.reason == (None if code else "stop")


async def test_an_answer_that_is_longer_than_it_claims(llm: Llm) -> None:
    """What is left over is no HTTP. It depends on the packets whether that is seen with the head or not at all."""
    heard = await answer(llm, Raw(event(WORDS) * 9 + event(END), length=20))
    assert (heard.text, heard.reason) == ("", None)
    assert heard.code in (ErrorCode.INCOMPLETE, ErrorCode.ERROR)


CONTEXT = (
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with 4096.",
    "the request exceeds the available context size. try increasing the context size",
    "The decoder prompt (length 9000) is longer than the maximum model length of 4096.",
)


@pytest.mark.parametrize(
    ("fail", "code"),
    [
        (Fail(401, "Incorrect API key provided: sk-no"), ErrorCode.AUTH),
        (Fail(403, "Country not supported"), ErrorCode.AUTH),
        (Fail(402, "Insufficient credits"), ErrorCode.RATE_LIMITED),
        (Fail(429, "quota", {"code": "insufficient_quota"}), ErrorCode.RATE_LIMITED),
        (Fail(404, 'model "llama9" not found, try pulling it first'), ErrorCode.MODEL_NOT_FOUND),
        (Fail(404, "Unexpected endpoint or method"), ErrorCode.ERROR),
        (Fail(400, "x", {"code": "model_not_found"}), ErrorCode.MODEL_NOT_FOUND),
        *((Fail(400, text), ErrorCode.CONTEXT_LENGTH) for text in CONTEXT),
        (Fail(400, "x", {"code": "context_length_exceeded"}), ErrorCode.CONTEXT_LENGTH),
        (Fail(413, "too large"), ErrorCode.CONTEXT_LENGTH),
        (Fail(400, "x", {"code": "content_filter"}), ErrorCode.CONTENT_FILTER),
        (Fail(400, "triggering Azure OpenAI's content management policy"), ErrorCode.CONTENT_FILTER),
        (Fail(400, "what is this"), ErrorCode.ERROR),
        (Fail(408, "x"), ErrorCode.TIMEOUT),
        (Fail(500, "x"), ErrorCode.ERROR),
        (Fail(503, "Loading model", {"type": "unavailable_error"}), ErrorCode.UNREACHABLE),
        (Fail(504, "x"), ErrorCode.TIMEOUT),
    ],
)
async def test_refusals_by_what_they_say(llm: Llm, fail: Fail, code: ErrorCode) -> None:
    heard = await answer(llm, fail)
    assert heard.code is code
    assert fail.message not in text(heard.code)
    assert len(llm.requests) == 1, "a refused request is not sent again by itself"


async def test_how_long_to_wait_is_read(llm: Llm) -> None:
    assert (await answer(llm, Fail(429, "slow down", headers={"Retry-After": "7"}))).error.retry_after == 7
    date = {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert (await answer(llm, Fail(429, "slow down", headers=date))).error.retry_after is None


async def test_nobody_there() -> None:
    async with providers({"lm": {"base_url": f"http://127.0.0.1:{free_port()}/v1"}}) as service:
        heard = await hear(service, "hello")
        assert heard.code is ErrorCode.UNREACHABLE
        assert not (await service.health("lm")).ok
    async with providers({"lm": {"base_url": "http://nowhere.invalid/v1"}}) as service:
        assert (await hear(service, "hello")).code is ErrorCode.UNREACHABLE


@pytest.mark.parametrize(
    ("step", "limit", "text"),
    [
        pytest.param(Hang(mute=True), "first_token_timeout", "", id="silent"),
        pytest.param(Hang(), "first_token_timeout", "", id="silent after the head"),
        pytest.param(Endless(b": still here\n\n" * 100), "first_token_timeout", "", id="nothing but comments"),
        pytest.param(Hang("Half an"), "idle_timeout", "Half an", id="stalls"),
    ],
)
async def test_silence_is_bounded(llm: Llm, step: Step, limit: str, text: str) -> None:
    heard = await answer(llm, step, **{limit: 0.3})
    assert (heard.code, heard.text) == (ErrorCode.TIMEOUT, text)
    await asyncio.to_thread(llm.wait_left)


async def test_a_provider_that_keeps_the_connection_open_after_the_end(llm: Llm, monkeypatch) -> None:
    monkeypatch.setattr("moorage_chat.providers.openai.LINGER", 0.2)
    heard = await answer(llm, Chunks((WORDS, END), hold=True))
    assert (heard.text, heard.reason, heard.error) == ("Half an answer", "stop", None)
    await asyncio.to_thread(llm.wait_left)


@pytest.mark.parametrize("step", [Hang("Half an"), Hang(mute=True), Endless()])
async def test_stopped_the_provider_is_let_go_at_once(llm: Llm, step: Step) -> None:
    llm.script("the fault", step)
    async with providers(settings(llm)) as service:
        task = asyncio.create_task(hear(service, "the fault"))
        if isinstance(step, Hang):
            await asyncio.to_thread(llm.wait_hanging)
        else:
            while not llm.requests:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, WAIT)
        await asyncio.to_thread(llm.wait_left)
        assert service.load() == {"lm": (0, 0)}


async def test_a_server_that_does_not_stream(llm: Llm) -> None:
    message = {"role": "assistant", "content": "All at once", "reasoning": "quick"}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    whole["usage"] = {"prompt_tokens": 3, "completion_tokens": 4}
    heard = await answer(llm, Raw(json.dumps(whole).encode(), "application/json; charset=utf-8"))
    assert (heard.text, heard.thought, heard.usage, heard.reason) == ("All at once", "quick", (3, 4), "stop")


@pytest.mark.parametrize(
    ("chunks", "text", "thought"),
    [
        ([chunk(None, role="assistant"), chunk("a", role="assistant"), chunk("b"), END], "ab", ""),
        ([{"choices": [{"delta": {"content": None, "reasoning": "r"}}]}, chunk("b", "stop")], "b", "r"),
        ([chunk(None, reasoning_content="r"), chunk("", reasoning_content=None), chunk("b", "stop")], "b", "r"),
        ([chunk(None, content=[{"type": "text", "text": "b"}]), END], "b", ""),
        (
            [chunk(None, content=[{"type": "thinking", "thinking": [{"type": "text", "text": "r"}]}]), END],
            "",
            "r",
        ),
        ([chunk(None, refusal="I will not"), END], "I will not", ""),
        (
            [{"id": "x"}, {"choices": []}, {"choices": [None]}, {"choices": [{"delta": None}]}, chunk("b", "stop")],
            "b",
            "",
        ),
        ([b'data:{"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}\r\n\r\n'], "b", ""),
        (
            [b'event: x\nid: 1\ndata: {"choices":[{"delta":{"content":"b"},\ndata: "finish_reason":"stop"}]}\n\n'],
            "b",
            "",
        ),
        ([b'data: {"choices":[{"delta":{"content":"\xc3', b'\xa9"},"finish_reason":"stop"}]}\r', b"\n\r\n"], "é", ""),
        ([b'data: {"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}'], "b", ""),
    ],
)
async def test_variants_of_chunks(llm: Llm, chunks: list[Any], text: str, thought: str) -> None:
    heard = await answer(llm, Chunks(tuple(chunks)))
    assert (heard.text, heard.thought, heard.reason, heard.error) == (text, thought, "stop", None)


def call(**fields: Any) -> dict[str, Any]:
    return chunk(None, tool_calls=[fields])


@pytest.mark.parametrize(
    ("chunks", "tools"),
    [
        (
            [
                call(index=0, id="a", function={"name": "f", "arguments": ""}),
                call(index=0, function={"arguments": '{"x"'}),
                call(index=1, id="b", function={"name": "g", "arguments": "{}"}),
                call(index=0, function={"arguments": ":1}"}),
            ],
            {0: ["a", "f", '{"x":1}'], 1: ["b", "g", "{}"]},
        ),
        # Id and name with each fragment.
        (
            [
                call(index=0, id="a", function={"name": "f", "arguments": "{"}),
                call(index=0, id="a", function={"name": "f", "arguments": "}"}),
            ],
            {0: ["a", "f", "{}"]},
        ),
        # Without an index.
        (
            [
                call(id="a", function={"name": "f", "arguments": "{"}),
                call(function={"arguments": "}"}),
                call(id="b", function={"name": "g", "arguments": "{}"}),
            ],
            {0: ["a", "f", "{}"], 1: ["b", "g", "{}"]},
        ),
        # Arguments as an object, and no id.
        ([call(index=0, function={"name": "f", "arguments": {"x": 1}})], {0: ["call_0", "f", '{"x": 1}']}),
        ([call(index=0, id="a", function=None), call(index=0, id=None)], {0: ["a", "", ""]}),
    ],
)
async def test_variants_of_tool_calls(llm: Llm, chunks: list[Any], tools: dict[int, list[str]]) -> None:
    heard = await answer(llm, Chunks((*chunks, chunk(reason="tool_calls"), DONE)))
    assert (heard.tools, heard.reason) == (tools, "tool_calls")


async def test_tools_and_parameters_are_passed_on(llm: Llm) -> None:
    llm.script("call it", Call("weather", {"city": "Kiel"}, say="I look."))
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    more = {"stop": ["END"], "seed": 7, "n": 5, "stream": False, "model": "other"}
    wanted = ask("call it", tools=tools, tool_choice="auto", temperature=0.5, top_p=0.9, max_tokens=64, more=more)
    async with providers(settings(llm)) as service:
        heard = await hear(service, wanted)
    [(id, name, arguments)] = heard.tools.values()
    assert (name, json.loads(arguments), heard.text, heard.reason) == (
        "weather",
        {"city": "Kiel"},
        "I look.",
        "tool_calls",
    )
    assert id.startswith("call_")
    sent = llm.requests[-1]
    kept = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 64, "stop": ["END"], "seed": 7}
    assert {name: sent.get(name) for name in kept} == kept
    assert (sent["tools"], sent["tool_choice"], sent["stream"], sent["model"]) == (tools, "auto", True, "scripted")
    assert "n" not in sent


async def test_a_server_that_refuses_to_tell_the_usage(llm: Llm) -> None:
    llm.refuses["stream_options"] = "Unrecognized request argument supplied: stream_options"
    async with providers(settings(llm)) as service:
        for _ in range(2):
            heard = await hear(service, "hello there")
            assert (heard.text, heard.usage, heard.error) == ("You said: hello there", None, None)
    # It was asked once more, and then never again.
    assert ["stream_options" in sent for sent in llm.requests] == [True, False, False]


async def test_models_that_call_the_longest_answer_otherwise(llm: Llm) -> None:
    llm.refuses["max_tokens"] = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    async with providers(settings(llm)) as service:
        heard = await hear(service, ask("hello", max_tokens=9))
    assert heard.error is None
    assert llm.requests[-1]["max_completion_tokens"] == 9


async def test_models_that_take_only_their_own_temperature(llm: Llm) -> None:
    llm.refuses = {"temperature": "'temperature' does not support 0.5 with this model", "top_p": "not supported"}
    async with providers(settings(llm)) as service:
        heard = await hear(service, ask("hello", temperature=0.5, top_p=0.9))
        assert heard.error is None
        assert [sent.keys() & {"temperature", "top_p"} for sent in llm.requests] == [
            {"temperature", "top_p"},
            {"top_p"},
            set(),
        ]
        # A refusal of what cannot be left out is one.
        llm.refuses = {"seed": "no seed"}
        assert (await hear(service, ask("hello", more={"seed": 1}))).code is ErrorCode.ERROR


async def test_what_is_packed_is_not_unpacked(llm: Llm) -> None:
    """Some hundred bytes may be gigabytes: two layers of gzip kept the event loop busy for minutes."""
    bomb = gzip.compress(gzip.compress(b":\n" * 50_000_000, 1))
    for status in (200, 500):
        step = Raw(bomb, status=status, headers={"Content-Encoding": "gzip, gzip"})
        async with asyncio.timeout(WAIT):
            assert (await answer(llm, step)).code is ErrorCode.ERROR
    plain = event(WORDS) + event(END) + DONE.encode()
    assert (await answer(llm, Raw(plain, headers={"Content-Encoding": "identity"}))).text == "Half an answer"


@pytest.mark.parametrize("what", [event(WORDS), b'data: {"choices":[]}\n\n', b": nothing\n"])
async def test_others_have_their_turn_however_much_comes(what: bytes) -> None:
    """What has been received is there without waiting: the reader must let go of the event loop by itself."""

    async def flood() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield what * (20_000 // len(what))

    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    waiting = asyncio.create_task(other())
    began = time.monotonic()
    async for _ in sse.events(flood()):
        pass
    waiting.cancel()
    assert turns >= (time.monotonic() - began) / 0.1, "one in a tenth of a second at the least"


async def test_models_that_nobody_could_name_are_not_listed(llm: Llm, monkeypatch) -> None:
    wrong = ["", "x" * 257, "nul\0", "\ud800", 7, None]
    monkeypatch.setattr(llm, "models", [{"id": id} for id in wrong] + [{"id": "fine", "name": "A\0" + "b" * 999}])
    async with providers(settings(llm)) as service:
        (found,) = await service.listed()
    assert [(one.id, one.label[:3], len(one.label)) for one in found.models] == [("fine", "A\ufffdb", 256)]


async def test_usage_that_is_no_usage(llm: Llm) -> None:
    last = {"choices": [], "usage": {"prompt_tokens": 5}}
    assert (await answer(llm, Chunks((WORDS, END, last, DONE)))).usage == (5, 0)
    # Nor is it nothing that was used: it is estimated.
    wrong = ({"prompt_tokens": -1, "completion_tokens": 3}, {"prompt_tokens": 5, "completion_tokens": "3"})
    wrong += ({"prompt_tokens": 5, "completion_tokens": 10**25}, {"prompt_tokens": True, "completion_tokens": 3.5})
    for usage in (None, {}, "many", {"prompt_tokens": None, "completion_tokens": None}, *wrong):
        assert (await answer(llm, Chunks((WORDS, END, {"choices": [], "usage": usage}, DONE)))).usage is None


async def test_two_models_at_one_provider_at_once(llm: Llm) -> None:
    async with providers(settings(llm)) as service:
        choices = [Choice("lm", f"model-{n}") for n in range(4)]
        heard = await asyncio.gather(*(hear(service, f"prompt {n}", choice) for n, choice in enumerate(choices)))
    assert [one.text for one in heard] == [f"You said: prompt {n}" for n in range(4)]
    assert {sent["model"]: sent["messages"][-1]["content"] for sent in llm.requests} == {
        f"model-{n}": f"prompt {n}" for n in range(4)
    }
