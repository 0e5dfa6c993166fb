"""Answers over HTTP: how they are framed, followed, stopped and stored."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from chatsite import ChatSite, Sse, Stream, text, until
from realparts.llm import MODEL, USAGE, Chunks, Cut, Endless, Fail, Hang, Llm, Raw, Say
from realparts.ports import free_port

REQUEST_TIMEOUT = 1.0
"""Seconds that an ordinary request may take at this server."""
SLOWNESS = 5
"""How much slower than here tests may run."""


@pytest.fixture(scope="module")
def llm() -> Iterator[Llm]:
    made = Llm()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory, llm) -> Iterator[ChatSite]:
    providers = {
        "hasty": {"base_url": llm.url, "first_token_timeout": 0.5, "idle_timeout": 0.5},
        "single": {"base_url": llm.url, "max_parallel": 1},
        "down": {"base_url": f"http://127.0.0.1:{free_port()}/v1"},
    }
    chat = {"providers": providers, "ping_seconds": 0.2, "max_answer_bytes": 64 * 1024}
    server = {"request_timeout": REQUEST_TIMEOUT}
    with ChatSite.running(tmp_path_factory.mktemp("site"), llm, chat=chat, server=server) as made:
        yield made


def test_an_answer_is_framed_as_the_page_reads_it_and_stored_before_it_is_done(site, llm):
    llm.script("two words", Say("Hello Wörld"))
    chat = site.chat()
    conversation = chat.ask("Say two words")
    with chat.stream(conversation) as stream:
        head = stream.response.headers
        assert head["content-type"] == "text/event-stream"
        assert (head["cache-control"], head["x-accel-buffering"]) == ("no-cache", "no")
        id = stream.id
        done = stream.until("done")
        # The page reads what is stored as soon as it hears `done`.
        (asked, said) = chat.messages(conversation)
        assert list(stream) == []
    ping = stream.events[0]
    assert (ping.type, ping.data["generation_id"], ping.id) == ("ping", id, None)
    events = pingless(stream.events)
    assert events == [
        Sse("status", {"generation_id": id, "status": "running"}, 1),
        Sse("delta", {"generation_id": id, "delta": "Hello"}, 2),
        Sse("delta", {"generation_id": id, "delta": " Wörld"}, 3),
        Sse("usage", {"generation_id": id, "usage": USAGE}, 4),
        Sse("done", {"generation_id": id, "status": "ok", "message_id": said["id"], "usage": USAGE}, 5),
    ]
    assert done == events[-1]
    expected = {"role": "assistant", "content": "Hello Wörld", "status": "complete", "parent_id": asked["id"]}
    assert expected.items() <= said.items()
    assert (said["token_usage"], said["generation_id"]) == (USAGE, id)
    assert chat.generation(id) == {
        "generation_id": id,
        "conversation_id": conversation,
        "message_id": said["id"],
        "provider_id": "lm",
        "model": "scripted",
        "status": "ok",
        "token_usage": USAGE,
        "started_at": chat.generation(id)["started_at"],
        "ended_at": chat.generation(id)["ended_at"],
    }


def pingless(events):
    """Without the signs of life, which come when they come and have no number."""
    return [event for event in events if event.type != "ping"]


def test_an_answer_is_cancelled_from_elsewhere_and_its_text_kept(site, llm):
    llm.script("hang on", Hang("So far and"))
    chat = site.chat()
    conversation = chat.ask("Now hang on")
    with chat.stream(conversation) as stream:
        stream.until("delta", delta=" and")
        assert chat.cancel(stream.id).json() == {"message": "Generation canceled"}
        done = stream.until("done")
    assert done.data["status"] == "canceled"
    said = chat.messages(conversation)[-1]
    assert (said["content"], said["status"]) == ("So far and", "canceled")
    again = chat.cancel(stream.id)
    assert (again.status_code, again.json()["code"]) == (404, "GENERATION_NOT_FOUND")


def test_who_comes_later_gets_all_of_it_or_the_rest(site, llm):
    llm.script("count to four", Say("one two three four", pause=0.05))
    chat = site.chat()
    conversation = chat.ask("Please count to four")
    with chat.stream(conversation) as stream:
        stream.until("delta")
        id = stream.id
    with chat.follow(id) as other:
        whole = pingless(other)
    assert text(whole) == "one two three four"
    assert [event.id for event in whole] == list(range(1, len(whole) + 1))
    with chat.follow(id, after=3) as rest:
        assert pingless(rest) == whole[3:]
    with chat.follow(id, **{"after": 4}) as rest:
        assert pingless(rest) == whole[4:]
    # A browser that comes back after the end is told that there is nothing more to come back for.
    assert chat.client.get(f"/chat/generations/{id}/stream", params={"after": len(whole)}).status_code == 204


# -- what is silent, late or endless ------------------------------------------------------------------------------


def test_signs_of_life_come_in_real_time_while_the_model_is_silent(site, llm):
    llm.script("take your time", Hang(mute=True))
    chat = site.chat()
    conversation = chat.ask("Please take your time")
    with chat.stream(conversation) as stream:
        first = next(iter(stream))
        # The answer can be stopped before its first word, by what the first sign of life says.
        assert (first.type, first.data["generation_id"]) == ("ping", stream.id)
        assert set(first.data) == {"generation_id", "ts"}
        began = monotonic()
        for _ in range(6):
            stream.until("ping")
        # Longer than any other request may take here.
        assert monotonic() - began > REQUEST_TIMEOUT
        assert chat.cancel(first.data["generation_id"]).status_code == 200
        assert stream.until("done").data["status"] == "canceled"
    # Nothing was said, so nothing is left of it.
    assert [one["role"] for one in chat.messages(conversation)] == ["user"]
    assert "message_id" not in stream.events[-1].data


@pytest.mark.parametrize(
    ("step", "provider", "code", "kept"),
    [
        (Fail(500), "lm", "PROVIDER_ERROR", ""),
        (Fail(401), "lm", "PROVIDER_AUTH", ""),
        (Fail(429), "lm", "PROVIDER_RATE_LIMITED", ""),
        (Cut("This is cut"), "lm", "PROVIDER_INCOMPLETE", "This is cut"),
        (Hang(mute=True), "hasty", "PROVIDER_TIMEOUT", ""),
        (Hang("Begun and"), "hasty", "PROVIDER_TIMEOUT", "Begun and"),
        (Raw(b"<html><body>Bad gateway</body></html>", "text/html"), "lm", "PROVIDER_ERROR", ""),
        (Endless(), "lm", "PROVIDER_ERROR", "…"),
        (Say("never asked"), "down", "PROVIDER_UNREACHABLE", ""),
    ],
    ids=lambda one: type(one).__name__ if not isinstance(one, str) else None,
)
def test_each_fault_ends_in_its_code_with_what_was_said(site, llm, step, provider, code, kept):
    llm.script("go wrong", step)
    chat = site.chat()
    conversation = chat.ask("Do go wrong")
    events = chat.answer(conversation, provider_id=provider, model=MODEL)
    types = [event.type for event in events]
    assert (types[0], types[-1], types.count("done"), types.count("error")) == ("ping", "done", 1, 1)
    error, done = next(event for event in events if event.type == "error"), events[-1]
    assert (error.data["code"], done.data["status"]) == (code, "error")
    assert error.data["message"]
    assert "http" not in error.data["message"]
    said = chat.messages(conversation)[1:]
    if kept:
        (message,) = said
        assert message["status"] == "partial"
        assert message["content"] == text(events)
        assert kept == "…" or message["content"] == kept
        assert done.data["message_id"] == message["id"]
    else:
        assert said == []
        assert "message_id" not in done.data
    shown = chat.generation(done.data["generation_id"])
    assert (shown["status"], shown["error"]["code"]) == ("error", code)


def test_after_a_fault_the_same_question_is_answered_beside_what_broke_off(site, llm):
    llm.script("try this", Cut("Half of"), Say("All of it"))
    chat = site.chat()
    conversation = chat.ask("Now try this")
    assert chat.answer(conversation)[-1].data["status"] == "error"
    llm.script("try this", Say("All of it"))
    assert text(chat.answer(conversation)) == "All of it"
    question, half, whole = chat.messages(conversation)
    assert (half["content"], whole["content"]) == ("Half of", "All of it")
    assert half["parent_id"] == whole["parent_id"] == question["id"]
    assert [one["id"] for one in chat.messages(conversation, branch="active")] == [question["id"], whole["id"]]
    # What broke off was no part of what the model was sent.
    assert [one["role"] for one in llm.requests[-1]["messages"]] == ["user"]


def test_what_is_no_text_is_mended(site, llm):
    pieces = ("a\ud83d", "\ude00b", "\ud83d", "c\0d")
    chunks = [{"choices": [{"index": 0, "delta": {"content": one}, "finish_reason": None}]} for one in pieces]
    llm.script("odd text", Chunks((*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})))
    chat = site.chat()
    conversation = chat.ask("Some odd text")
    events = chat.answer(conversation)
    assert text(events) == "a\U0001f600b\ufffdc\ufffdd"
    assert chat.messages(conversation)[-1]["content"] == text(events)


# -- one at a time ------------------------------------------------------------------------------------------------


def test_a_second_stream_is_refused_while_somebody_watches_the_first(site, llm):
    llm.script("wait for me", Hang("Waiting"))
    chat = site.chat()
    conversation = chat.ask("Please wait for me")
    with chat.stream(conversation) as stream:
        stream.until("delta")
        again = chat.client.post(f"/conversations/{conversation}/stream", json={})
        assert (again.status_code, again.json()["code"]) == (409, "GENERATION_IN_PROGRESS")
        assert again.json()["detail"] == [{"generation_id": stream.id}]
        (active,) = chat.client.get(f"/conversations/{conversation}/generations", params={"active": 1}).json()
        assert (active["generation_id"], active["status"]) == (stream.id, "running")
        # A second tab follows it, and both hear of its end.
        with chat.follow(stream.id) as other:
            assert other.until("delta").data["delta"] == "Waiting"
            chat.cancel(stream.id)
            assert other.until("done") == stream.until("done")
    assert chat.client.get(f"/conversations/{conversation}/generations", params={"active": 1}).json() == []


def test_a_reloaded_page_may_ask_again_and_the_first_text_is_kept(site, llm):
    llm.script("reload", Hang("The first"))
    chat = site.chat()
    conversation = chat.ask("Please reload")
    with chat.stream(conversation) as stream:
        stream.until("delta", delta=" first")
    llm.script("reload", Say("The second"))
    until(lambda: stream_again(chat, conversation) == "The second")
    first, second = chat.messages(conversation)[1:]
    assert (first["content"], first["status"]) == ("The first", "canceled")
    assert (second["content"], second["status"]) == ("The second", "complete")
    assert chat.generation(stream.id)["status"] == "canceled"


def stream_again(chat, conversation):
    """None while the server has not heard that the first client left."""
    with chat.client.stream("POST", f"/conversations/{conversation}/stream", json={}) as response:
        if response.status_code == 409:
            return None
        return text(list(Stream(response)))


def test_of_many_at_once_one_begins(site, llm):
    llm.script("only once", Hang("Once"))
    chat = site.chat()
    conversation = chat.ask("Please only once")
    llm.clear()

    def begin(_):
        with chat.client.stream("POST", f"/conversations/{conversation}/stream", json={}) as response:
            if response.status_code == 200:
                stream = Stream(response)
                stream.until("delta")
                id.append(stream.id)
                stream.until("done")
            return response.status_code

    id: list[str] = []
    with ThreadPoolExecutor(6) as pool:
        found = [pool.submit(begin, n) for n in range(6)]
        until(lambda: sum(one.done() for one in found) == 5 and id)
        chat.cancel(id[0])
        assert sorted(one.result() for one in found) == [200, 409, 409, 409, 409, 409]
    assert len(llm.requests) == 1
    assert len(chat.messages(conversation)) == 2


def test_answers_wait_for_their_turn_and_cost_nothing_until_then(site, llm):
    llm.script("in line", Hang("First", then="in line"))
    chat, other = site.chat("ben"), site.chat("ann")
    first, second, third = chat.ask("One in line"), other.ask("Two in line"), other.ask("Three in line")
    before = other.client.get("/chat/usage").json()["today"]
    with chat.stream(first, provider_id="single") as running, other.stream(second, provider_id="single") as waiting:
        running.until("delta")
        assert waiting.until("status").data["status"] == "queued"
        assert other.generation(waiting.id)["status"] == "queued"
        waiting.until("ping")
        with other.stream(third, provider_id="single") as also:
            also.until("status", status="queued")
            assert other.cancel(also.id).status_code == 200
            assert also.until("done").data == {"generation_id": also.id, "status": "canceled"}
        assert other.client.get("/chat/usage").json()["today"]["messages"] == before["messages"] + 1
        llm.release()
        assert running.until("done").data["status"] == "ok"
        waiting.until("status", status="running")
        done = waiting.until("done").data
        assert done["status"] == "ok"
    llm.clear()
    after = other.client.get("/chat/usage").json()["today"]
    assert after["messages"] == before["messages"] + 1
    assert after["total_tokens"] == before["total_tokens"] + done["usage"]["total_tokens"]


# -- what is billed -----------------------------------------------------------------------------------------------


def test_what_was_used_is_counted_once_however_it_ends(site, llm):
    llm.script("bill me", Hang("Twelve bytes"))
    chat = site.chat("ben")
    before = chat.client.get("/chat/usage").json()["today"]
    conversation = chat.ask("Please bill me")
    with chat.stream(conversation) as stream:
        stream.until("delta", delta=" bytes")
        chat.cancel(stream.id)
        done = stream.until("done")
    usage = done.data["usage"]
    assert (usage["completion_tokens"], usage["estimated"]) == (3, True)
    assert usage["total_tokens"] == usage["prompt_tokens"] + 3 > 3
    assert chat.messages(conversation)[-1]["token_usage"] == usage
    after = chat.client.get("/chat/usage").json()["today"]
    assert after["total_tokens"] - before["total_tokens"] == usage["total_tokens"]
    assert after["messages"] - before["messages"] == 1
    # One that was refused by its provider costs nothing.
    llm.script("bill me", Fail(500))
    chat.answer(chat.ask("Please bill me"))
    assert chat.client.get("/chat/usage").json()["today"] == after


def test_the_same_request_again_follows_the_first_answer(site, llm):
    llm.script("key", Say("Only once"))
    chat = site.chat()
    conversation = chat.ask("With a key")
    llm.clear()
    key = {"Idempotency-Key": f"k-{conversation}"}
    with chat.stream(conversation, headers=key) as stream:
        first = pingless(stream)
    with chat.stream(conversation, headers=key) as stream:
        assert stream.response.headers["idempotent-replayed"] == "true"
        assert pingless(stream) == first
    assert len(llm.requests) == 1
    other = chat.client.post(f"/conversations/{conversation}/stream", json={"max_tokens": 5}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


# -- retry --------------------------------------------------------------------------------------------------------


def test_a_retry_copies_the_question_and_sets_what_answers_next(site, llm):
    llm.script("once more", Say("First"))
    chat = site.chat()
    conversation = chat.ask("Say it once more")
    chat.answer(conversation)
    question, first = chat.messages(conversation)
    again = chat.retry(conversation, provider_id="hasty", model=MODEL, temperature=0.3, max_tokens=77)
    assert again.status_code == 200
    assert again.json() == {"message_id": again.json()["message_id"], "conversation_id": conversation}
    llm.script("once more", Say("Second"))
    assert text(chat.answer(conversation)) == "Second"
    copy, second = chat.messages(conversation)[2:]
    assert (copy["id"], copy["content"]) == (again.json()["message_id"], question["content"])
    assert (copy["retry_of"], copy["parent_id"]) == (question["id"], question["parent_id"])
    assert (second["parent_id"], second["provider_id"]) == (copy["id"], "hasty")
    asked = llm.requests[-1]
    assert (asked["temperature"], asked.get("max_tokens") or asked.get("max_completion_tokens")) == (0.3, 77)
    # Only the newest attempt is sent.
    assert asked["messages"] == [{"role": "user", "content": question["content"]}]
    assert first["id"] in [one["id"] for one in chat.messages(conversation)]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "NO_USER_MESSAGE"),
        ({"provider_id": "nobody"}, 400, "PROVIDER_NOT_FOUND"),
        ({"provider_id": "lm", "model": "nothing"}, 400, "MODEL_NOT_FOUND"),
        ({"temperature": 9}, 400, "VALIDATION_ERROR"),
        ({"max_tokens": 0}, 400, "VALIDATION_ERROR"),
        ({"tool_sets": ["mcp:none"]}, 400, "TOOLS_NOT_FOUND"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_streamed(site, body, status, code):
    chat = site.chat()
    conversation = chat.conversation()
    for answer in (
        chat.client.post(f"/conversations/{conversation}/stream", json=body),
        chat.retry(conversation, **body),
    ):
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert chat.messages(conversation) == []


def test_others_see_nothing_of_it(site, llm):
    llm.script("secret", Hang("A secret"))
    chat, other = site.chat("ann"), site.chat("ben")
    conversation = chat.ask("Tell the secret")
    with chat.stream(conversation) as stream:
        stream.until("delta", delta=" secret")
        for path in (f"/chat/generations/{stream.id}", f"/chat/generations/{stream.id}/stream"):
            answer = other.client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "GENERATION_NOT_FOUND")
        assert other.cancel(stream.id).json()["code"] == "GENERATION_NOT_FOUND"
        for answer in (
            other.client.post(f"/conversations/{conversation}/stream", json={}),
            other.client.get(f"/conversations/{conversation}/generations"),
            other.retry(conversation),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "CONVERSATION_NOT_FOUND")
        assert chat.generation(stream.id)["status"] == "running"
        chat.cancel(stream.id)
    for id in ("x", "%C3%A4", stream.id.upper(), "00000000-0000-0000-0000-000000000000", "9" * 400):
        for path in (f"/chat/generations/{id}", f"/chat/generations/{id}/stream"):
            assert chat.client.get(path).status_code == 404, path
        assert chat.cancel(id).status_code == 404


def test_a_conversation_that_is_deleted_takes_its_answer_along(site, llm):
    llm.script("delete me", Hang("Going"))
    chat = site.chat()
    conversation = chat.ask("Please delete me")
    llm.clear()
    with chat.stream(conversation) as stream:
        stream.until("delta")
        assert chat.client.delete(f"/conversations/{conversation}").status_code == 200
        assert stream.until("done").data["status"] == "canceled"
        llm.wait_left()
    assert chat.client.get(f"/chat/generations/{stream.id}").status_code == 404
    assert chat.client.get(f"/chat/generations/{stream.id}/stream").status_code == 404
    assert chat.client.get(f"/conversations/{conversation}").status_code == 404


def test_a_stopped_answer_lets_its_provider_go_at_once(site, llm):
    llm.script("let go", Hang("Holding"))
    chat = site.chat()
    conversation = chat.ask("Now let go")
    llm.clear()
    with chat.stream(conversation) as stream:
        stream.until("delta")
        began = monotonic()
        chat.cancel(stream.id)
        llm.wait_left()
        assert monotonic() - began < 1 * SLOWNESS
        stream.until("done")


# -- size ---------------------------------------------------------------------------------------------------------


def test_a_prompt_of_a_megabyte_is_answered(site, llm):
    llm.script("a large one", Say("Read it"))
    chat = site.chat()
    conversation = chat.ask("a large one " + "wörd " * 180_000)
    assert text(chat.answer(conversation)) == "Read it"
    assert len(llm.requests[-1]["messages"][0]["content"]) > 900_000
    llm.requests.clear()


def test_a_client_that_does_not_read_hinders_nobody(site, llm):
    llm.script("a flood", Say("word " * 8000))
    chat = site.chat()
    conversation = chat.ask("Send a flood")
    cookie = "; ".join(f"{name}={value}" for name, value in chat.client.cookies.items())
    with socket.create_connection(("127.0.0.1", site.server.port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        head = f"POST /conversations/{conversation}/stream HTTP/1.1\r\nHost: 127.0.0.1:{site.server.port}\r\n"
        deaf.sendall(f"{head}Cookie: {cookie}\r\nContent-Length: 0\r\n\r\n".encode())
        until(lambda: len(chat.messages(conversation)) == 2)
    assert chat.messages(conversation)[1]["content"] == "word " * 8000
    (found,) = chat.client.get(f"/conversations/{conversation}/generations").json()
    with chat.follow(found["generation_id"]) as stream:
        assert text(list(stream)) == "word " * 8000
