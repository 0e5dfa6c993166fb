"""`/v1` as OpenAI's own client finds it: models, answers whole and streamed, tools, errors, limits."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import httpx2
import openai
import pytest
from moorage.commands import SYSTEM
from moorage_chat.models import ChatConversation, ChatMessage
from moorage_chat.openai_api import eventstream
from moorage_chat.store import usage
from moorage_chat.store.usage import Used
from realparts.llm import MODEL, USAGE, Call, Cut, Fail, Hang, Llm, Say
from waits import WAIT

NAME = f"lm/{MODEL}"
HI = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"town": {"default": None}}}},
}


@pytest.fixture(scope="module")
def llm():
    provider = Llm()
    yield provider
    provider.stop()


@pytest.fixture
def most():
    """The longest answer, in bytes."""
    return 2**24


@pytest.fixture
def moorage_config(llm, most):
    away = {"base_url": "http://127.0.0.1:1/v1", "models": [{"id": "far"}], "fallback": ["lm"]}
    gone = {"base_url": "http://127.0.0.1:1/v1", "models": [{"id": "lost"}]}
    providers = {"lm": {"base_url": llm.url}, "away": away, "gone": gone}
    chat = {"enabled": True, "providers": providers, "ping_seconds": 0.2, "max_answer_bytes": most}
    chat["max_message_bytes"] = 2**18
    return {"plugins": {"chat": {**chat, "limits": {"viewer": {"messages_per_day": 2}}}}}


@pytest.fixture
async def people(moorage_app):
    """Makes clients of OpenAI's, each of a user of its own."""
    made = []
    boss = await moorage_app.as_user()
    async with asyncio.timeout(WAIT):
        # On a slow machine the first list is not there in time: a library is still being imported.
        while NAME not in (await boss.get("/v1/models")).text:
            await asyncio.sleep(0.1)

    async def make(role="operator", *, retries=0, scopes=None):
        user = await moorage_app.as_user(role, scopes=scopes)
        key = user.headers["Authorization"].removeprefix("Bearer ")
        client = openai.AsyncOpenAI(base_url=f"{moorage_app.url}/v1", api_key=key, max_retries=retries, timeout=WAIT)
        made.append(client)
        client.user = user
        return client

    yield make
    for client in made:
        await client.close()


@pytest.fixture
def hanging(llm, monkeypatch):
    """Answers that hang do so until this test is over, or releases them."""
    monkeypatch.setattr(llm, "_released", threading.Event())
    monkeypatch.setattr(llm, "_hanging", threading.Event())
    yield llm
    llm.release()


def ask(client, content="hi", **more):
    told = {"model": NAME, "messages": [{"role": "user", "content": content}], **more}
    return client.chat.completions.create(**told)


async def used(app, client):
    with app.hub("chat").db.activate():
        today = datetime.now(UTC).date()
        days = await usage.of_days(client.user.actor.user.id, today, today)
    return days[0].used if days else Used()


async def metric(app, wanted):
    admin = await app.as_user("admin")
    lines = (await admin.get("/metrics")).text.splitlines()
    return [float(line.rpartition(" ")[2]) for line in lines if line.startswith("moorage_chat_" + wanted)]


async def test_models_are_listed_and_asked_for_by_several_names(people, llm):
    ann = await people()
    models = (await ann.models.list()).data
    assert [(one.id, one.object) for one in models] == [(NAME, "model"), ("away/far", "model"), ("gone/lost", "model")]
    assert [one.owned_by for one in models] == ["lm", "away", "gone"]
    assert (await ann.models.retrieve(NAME)).id == NAME
    assert (await ann.models.retrieve(MODEL)).owned_by == "lm"
    for name in (NAME, MODEL, "lm", "default"):
        assert (await ask(ann, model=name)).model == NAME, name
        assert llm.requests[-1]["model"] == MODEL
    for name in ("lm/none", "none/none", "none"):
        with pytest.raises(openai.NotFoundError) as missing:
            await ask(ann, model=name)
        assert (missing.value.code, missing.value.type) == ("model_not_found", "invalid_request_error")
        with pytest.raises(openai.NotFoundError):
            await ann.models.retrieve(name)


async def test_an_answer_is_whole_counted_and_not_stored(people, llm, moorage_app):
    ann = await people()
    llm.script("a thought", Say("Four words of answer", think="Hm."))
    answer = await ask(
        ann,
        "a thought",
        temperature=0.5,
        top_p=1,
        max_completion_tokens=99,
        stop=["END"],
        seed=7,
        user="somebody",
        store=True,
        metadata={"a": "b"},
        response_format={"type": "text"},
        extra_body={"top_k": 3, "unheard_of": {"x": 1}, "base_url": "http://evil"},
    )
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Four words of answer", "stop")
    assert choice.message.reasoning_content == "Hm."
    assert (choice.message.role, answer.object, answer.model) == ("assistant", "chat.completion", NAME)
    assert answer.id.startswith("chatcmpl-")
    assert answer.usage.to_dict() == USAGE
    sent = llm.requests[-1]
    assert {key: sent[key] for key in ("temperature", "top_p", "stop", "seed", "top_k")} == {
        "temperature": 0.5,
        "top_p": 1,
        "stop": ["END"],
        "seed": 7,
        "top_k": 3,
    }
    assert 99 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert not {"user", "store", "metadata", "unheard_of", "base_url", "n"} & set(sent)
    assert await used(moorage_app, ann) == Used(1, USAGE["prompt_tokens"], USAGE["completion_tokens"])
    with moorage_app.hub("chat").db.activate():
        assert await ChatConversation.all().count() == await ChatMessage.all().count() == 0


async def test_a_stream_has_openai_s_events_in_openai_s_order(people, llm):
    ann = await people()
    stream = await ask(ann, "hello there you", stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "You said: hello there you"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-2:] == [None, "stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.to_dict() == USAGE
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert {chunk.model for chunk in chunks} == {NAME}
    # The bytes, as other clients read them.
    body = {"model": NAME, "messages": HI, "stream": True}
    answer = await ann.user.post("/v1/chat/completions", json=body)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-cache", "no")
    events = answer.text.split("\n\n")
    assert (events[-2:], {event[:6] for event in events[:-1]}) == (["data: [DONE]", ""], {"data: "})
    told = [json.loads(event[6:]) for event in events[:-2]]
    assert all("usage" not in one for one in told)
    assert told[-1]["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]


async def test_tools_are_the_client_s_own(people, llm):
    ann = await people()
    llm.script("the weather", Call("weather", {"town": "Åbo"}, say="I look."), Say("It rains."))
    told = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "the weather"}]
    first = await ann.chat.completions.create(model=NAME, messages=told, tools=[TOOL], tool_choice="auto")
    message = first.choices[0].message
    assert (first.choices[0].finish_reason, message.content) == ("tool_calls", "I look.")
    call = message.tool_calls[0]
    assert (call.type, call.function.name, json.loads(call.function.arguments)) == (
        "function",
        "weather",
        {"town": "Åbo"},
    )
    sent = llm.requests[-1]
    assert (sent["tools"], sent["tool_choice"]) == ([TOOL], "auto")
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    told += [message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    last = await ann.chat.completions.create(model=NAME, messages=told, tools=[TOOL])
    assert last.choices[0].message.content == "It rains."
    # Streamed, by the client's own way of putting the fragments together.
    async with ann.chat.completions.stream(model=NAME, messages=told[:2], tools=[TOOL]) as stream:
        final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert [(one.function.name, json.loads(one.function.arguments)) for one in calls] == [("weather", {"town": "Åbo"})]


async def test_what_the_provider_does_wrong_is_told_as_openai_would(people, llm, moorage_app):
    ann = await people(retries=2)
    llm.script("it fails", Fail(500, "a secret of the provider"))
    llm.script("it is cut", Cut("some words"))
    before = len(llm.requests)
    with pytest.raises(openai.InternalServerError) as failed:
        await ask(ann, "it fails", stream=True)
    assert (failed.value.status_code, failed.value.code, failed.value.type) == (502, "provider_error", "server_error")
    assert "secret" not in str(failed.value.body)
    assert len(llm.requests) == before + 1, "what may have cost something is not asked for again"
    # Once the stream has begun, within it; what came so far is not lost.
    said = []
    with pytest.raises(openai.APIError) as broken:
        await _read(ask(ann, "it is cut", stream=True), said)
    assert (broken.value.code, "".join(said)) == ("provider_incomplete", "some words")
    with pytest.raises(openai.InternalServerError) as broken:
        await ask(ann, "it is cut")
    assert broken.value.code == "provider_incomplete"
    assert await metric(moorage_app, 'generations_total{error="PROVIDER_INCOMPLETE"') == [2.0]
    assert (await used(moorage_app, ann)).messages == 2, "one that failed before its first word is not counted"


async def test_another_provider_steps_in_before_the_first_word_and_is_told(people, moorage_app):
    ann = await people()
    answer = await ask(ann, model="away/far")
    assert (answer.model, answer.choices[0].message.content) == (NAME, "You said: hi")
    assert {chunk.model async for chunk in await ask(ann, model="far", stream=True)} == {NAME}
    days = (await ann.user.get("/chat/usage")).json()["days"]
    assert [(one["provider_id"], one["model"], one["messages"]) for one in days[0]["models"]] == [("lm", MODEL, 2)]
    # Where nobody does, nothing is counted, and asking again may help.
    with pytest.raises(openai.InternalServerError) as failed:
        await ask(ann, model="gone/lost")
    assert (failed.value.status_code, failed.value.code) == (503, "provider_unreachable")
    assert "x-should-retry" not in failed.value.response.headers
    assert (await used(moorage_app, ann)).messages == 2


async def test_with_the_user_s_right_the_stream_ends(people, hanging, moorage_app):
    ann, boss = await people(), await moorage_app.as_user("admin")
    hanging.script("it hangs", Hang("some words"))
    said = []
    asking = asyncio.create_task(_read(ask(ann, "it hangs", stream=True), said))
    await asyncio.to_thread(hanging.wait_hanging, WAIT)
    user = f"/admin/users/{ann.user.actor.user.id}"
    assert (await boss.patch(user, json={"status": "inactive"})).status_code == 200
    async with asyncio.timeout(WAIT):
        with pytest.raises((openai.APIError, httpx2.HTTPError)):
            await asking
        while moorage_app.plugin("chat").services.limits.under_way:
            await asyncio.sleep(0.01)
    assert (await used(moorage_app, ann)).messages == 1


async def test_a_reload_in_the_middle_of_an_answer_loses_no_count(people, hanging, moorage_app):
    ann = await people()
    hanging.script("it hangs", Hang("some words"))
    said = []
    asking = asyncio.create_task(_read(ask(ann, "it hangs", stream=True), said))
    await asyncio.to_thread(hanging.wait_hanging, WAIT)
    before = moorage_app.plugin("chat").services.limits
    await moorage_app.reload({"plugins": {"chat": {"max_running_per_user": 3}}})
    hanging.release()
    async with asyncio.timeout(WAIT):
        with pytest.raises((openai.APIError, httpx2.HTTPError)):
            await asking
        while before.under_way:
            await asyncio.sleep(0.01)
    assert "".join(said) == "some words"
    count = await used(moorage_app, ann)
    assert (count.messages, count.tokens_in > 0) == (1, True)
    assert (await ask(ann)).choices[0].message.content == "You said: hi"


@pytest.mark.parametrize("stream", [True, False])
async def test_when_the_client_leaves_the_model_is_stopped_and_what_it_cost_is_counted(
    people, hanging, moorage_app, stream
):
    ann = await people()
    hanging.script("it hangs", Hang("some words"))
    asking = asyncio.create_task(_read(ask(ann, "it hangs", stream=stream)))
    limits = moorage_app.plugin("chat").services.limits
    user_id = ann.user.actor.user.id
    await asyncio.to_thread(hanging.wait_hanging, WAIT)
    async with asyncio.timeout(WAIT):
        while stream and not await metric(moorage_app, 'first_token_seconds_count{provider="lm"}'):
            await asyncio.sleep(0.01)
        asking.cancel()
        while limits.running(user_id):
            await asyncio.sleep(0.01)
        while not (found := await metric(moorage_app, "generations_total{")):
            await asyncio.sleep(0.01)
    assert found == [1.0]
    assert await metric(moorage_app, 'running{surface="v1"}') == [0.0]
    count = await used(moorage_app, ann)
    assert (count.messages, count.tokens_in > 0) == (1, True)


async def _read(creating, said=None):
    answer = await creating
    if hasattr(answer, "__aiter__"):
        async for chunk in answer:
            if said is not None:
                said.append(chunk.choices[0].delta.content or "")


async def test_the_limits_are_those_of_conversations(people, llm):
    ann = await people("viewer", retries=2)
    made = (await ann.user.post("/conversations", json={})).json()["id"]
    await ann.user.post(f"/conversations/{made}/messages", json={"content": "hi"})
    first = await ann.user.post(f"/conversations/{made}/stream", json={})
    assert "event: done" in first.text
    await ask(ann)
    before = len(llm.requests)
    with pytest.raises(openai.RateLimitError) as refused:
        await ask(ann, stream=True)
    assert (refused.value.code, refused.value.type) == ("insufficient_quota", "insufficient_quota")
    assert int(refused.value.response.headers["retry-after"]) > 0
    assert refused.value.response.headers["x-should-retry"] == "false"
    await ann.user.post(f"/conversations/{made}/messages", json={"content": "and?"})
    second = await ann.user.post(f"/conversations/{made}/stream", json={})
    assert (second.status_code, second.json()["code"]) == (429, "QUOTA_EXCEEDED")
    assert second.json()["detail"][0]["limit"] == "messages_per_day"
    assert len(llm.requests) == before, "no provider is asked"
    told = (await ann.user.get("/chat/usage")).json()["today"]
    assert told == {"messages": 2} | {key: 2 * number for key, number in USAGE.items()}


# aiohttp would rather be given a file; what is sent is in memory anyway, and Python hides this warning by itself.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
async def test_a_prompt_of_a_megabyte_and_thousands_of_messages(people, llm):
    ann = await people()
    llm.script("long ", Say("short"))
    answer = await ask(ann, "long " + "å" * 2**19, max_tokens=5)
    assert answer.choices[0].finish_reason == "stop"
    assert len(llm.requests[-1]["messages"][0]["content"]) == 2**19 + 5
    told = [
        {"role": "user" if number % 2 == 0 else "assistant", "content": f"number {number}"} for number in range(9999)
    ]
    # Not by the library, which takes seconds to look at them.
    answer = await ann.user.post("/v1/chat/completions", json={"model": NAME, "messages": told})
    assert answer.json()["choices"][0]["message"]["content"] == "You said: number 9998"
    assert len(llm.requests[-1]["messages"]) == 9999
    too_long = json.dumps({"model": NAME, "messages": [{"role": "user", "content": "x" * 2**21}]})
    answer = await ann.user.post("/v1/chat/completions", content=too_long, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")


async def test_a_cookie_is_taken_from_pages_of_this_server_alone(people, moorage_app):
    with moorage_app.hub("chat").db.activate():
        await moorage_app.app.accounts.create_user("cook", password="correct horse battery", role="operator", by=SYSTEM)
    body = {"model": NAME, "messages": HI}
    async with httpx.AsyncClient(base_url=moorage_app.url, timeout=WAIT) as page:
        login = await page.post("/auth/login", json={"username": "cook", "password": "correct horse battery"})
        for headers, status in (
            ({"X-CSRF-Token": login.json()["csrf_token"]}, 200),
            ({"Origin": moorage_app.url}, 200),
            ({"Origin": "https://evil.example"}, 403),
            ({"X-CSRF-Token": "wrong"}, 403),
        ):
            answer = await page.post("/v1/chat/completions", json=body, headers=headers)
            assert answer.status_code == status, headers
        assert answer.json()["error"]["type"] == "permission_error"


async def test_a_silent_model_is_waited_for_with_comments(people, hanging):
    ann = await people()
    hanging.script("it is slow", Hang())
    body = {"model": NAME, "messages": [{"role": "user", "content": "it is slow"}], "stream": True}
    lines = []
    async with ann.user.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            lines.append(line)
            if lines.count(eventstream.COMMENT.decode().strip()) == 2:
                hanging.release()
    error = json.loads(lines[-2].removeprefix("data: "))["error"]
    assert (error["code"], error["type"], error["param"]) == ("provider_incomplete", "server_error", None)


async def test_a_client_that_does_not_read_is_let_go(people, llm, moorage_app, monkeypatch):
    monkeypatch.setattr(eventstream, "STALL", 0.5)
    ann = await people()
    llm.script("a flood", Say(" ".join(["x" * 4000] * 2500)))
    body = json.dumps({"model": NAME, "messages": [{"role": "user", "content": "a flood"}], "stream": True})
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Authorization: {ann.user.headers['Authorization']}\r\nContent-Length: {len(body)}\r\n\r\n"
    host, port = moorage_app.url.removeprefix("http://").split(":")
    limits = moorage_app.plugin("chat").services.limits
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.sendall(head.encode() + body.encode())
        async with asyncio.timeout(WAIT):
            while not limits.under_way:
                await asyncio.sleep(0.02)
            while limits.under_way:
                await asyncio.sleep(0.02)
    assert await metric(moorage_app, 'running{surface="v1"}') == [0.0]
    ended = 'generations_total{error="",provider="lm",status="canceled",surface="v1"}'
    assert await metric(moorage_app, ended) == [1.0]
    assert (await used(moorage_app, ann)).messages == 1


@pytest.mark.parametrize("most", [4096])
async def test_one_that_never_stops_is_ended_as_too_long(people, llm):
    ann = await people()
    llm.script("endless", Say("word " * 5000))
    answer = await ask(ann, "endless")
    assert answer.choices[0].finish_reason == "length"
    assert 4096 <= len(answer.choices[0].message.content) < 5000
    assert answer.usage.estimated is True
    assert answer.usage.completion_tokens >= 1024


async def test_the_guide_s_example_works(people, moorage_app, monkeypatch):
    guide = (Path(__file__).parents[3] / "docs" / "chat.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "import OpenAI" in block)
    ann, said = await people(), []
    monkeypatch.setenv("OPENAI_BASE_URL", f"{moorage_app.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", ann.api_key)

    def run():
        names = {"print": lambda text, **_: said.append(text)}
        exec(code, names)
        names["client"].close()

    await asyncio.to_thread(run)
    assert said[:3] == [NAME, "away/far", "gone/lost"]
    assert "".join(said[3:]) == "You said: Why is the sky blue?"


WRONG = [
    ({"messages": []}, "messages"),
    ({"messages": None}, "messages"),
    ({"messages": [{"role": "pope", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "user"}]}, "messages.0"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    ({"model": None}, "model"),
    ({"model": ""}, "model"),
    ({"n": 2}, "n"),
    ({"logprobs": True}, "logprobs"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"temperature": 3}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools.0.type"),
    ({"stream": "yes"}, "stream"),
]


async def test_what_cannot_be_is_refused_by_name(people, llm, moorage_app):
    ann = await people()
    before = len(llm.requests)
    for wrong, param in WRONG:
        answer = await ann.user.post("/v1/chat/completions", json={"model": NAME, "messages": HI, **wrong})
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (400, "invalid_request_error"), wrong
        assert "Value error" not in error["message"]
        assert error["param"].startswith(param), (wrong, error)
    for body in (b"", b"[]", b"{", b'"x"', b"\xff", b"[" * 1000):
        answer = await ann.user.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error"), body
    answer = await ann.user.post("/v1/chat/completions", content=b"{}", headers={"Content-Type": "text/csv"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
    assert len(llm.requests) == before
    assert await used(moorage_app, ann) == Used()


async def test_who_may_not_is_refused_as_openai_would(people, moorage_app):
    stranger = openai.AsyncOpenAI(base_url=f"{moorage_app.url}/v1", api_key="mcp_00000000_wrong", max_retries=0)
    async with stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            await ask(stranger)
        assert refused.value.code == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()
    narrow = await people(scopes=["chat:conversation:view"])
    with pytest.raises(openai.PermissionDeniedError) as refused:
        await ask(narrow)
    assert refused.value.type == "permission_error"
    enough = await people(scopes=["chat:model:use"])
    assert (await ask(enough)).choices[0].message.content == "You said: hi"
