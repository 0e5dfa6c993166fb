"""What no honest provider says, over both databases: each answer ends, and takes no other one with it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from chatsite import ChatSite
from realparts.llm import MODEL, Chunks, Hang, Llm, Say
from realparts.mcpservers import parts

MCP = {"enabled": True, "programs": [str(Path(parts.__file__).parent)]}
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def llm():
    made = Llm()
    yield made
    made.stop()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def site(request, llm, tmp_path_factory):
    more = {}
    if request.param == "postgres":
        more["database"] = {"url": request.getfixturevalue("postgres").new_database()}
    folder = tmp_path_factory.mktemp("odd")
    with ChatSite.running(folder, llm, plugins={"mcp": MCP}, **more) as made:
        yield made


@pytest.fixture
def ann(site, llm):
    llm.clear()
    return site.chat("ann")


def chunk(delta=None, reason=None, **more):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": choices, **more}


def asked(ann, llm, *steps):
    said = f"odd question {next(NUMBERS)}."
    llm.script(said, *steps)
    return ann.ask(said)


HUGE = 10**25


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": HUGE, "completion_tokens": 1},
        {"prompt_tokens": 2**63 - 1, "completion_tokens": 2**63 - 1},
        {"prompt_tokens": 3_000_000_000, "completion_tokens": 1},
    ],
)
def test_counts_beyond_any_number_do_not_keep_an_answer_from_its_end(ann, llm, usage):
    conversation = asked(
        ann, llm, Chunks((chunk({"content": "So many"}, "stop"), chunk(usage=usage), "data: [DONE]\n\n"))
    )
    events = ann.answer(conversation)
    assert events[-1].data["status"] == "ok"
    assert ann.messages(conversation)[1]["content"] == "So many"
    assert ann.client.get("/chat/usage").status_code == 200
    assert ann.answer(ann.ask("And on"))[-1].data["status"] == "ok"


def call(arguments):
    function = {"name": "list_directory", "arguments": arguments}
    tool = {"index": 0, "id": "call_1", "type": "function", "function": function}
    return Chunks((chunk({"tool_calls": [tool]}), chunk({}, "tool_calls"), "data: [DONE]\n\n"))


@pytest.mark.parametrize("arguments", ['{"path": ".", "n": 1e999}', '{"path": "\\ud800", "\\udc00\\u0000": -1e999}'])
def test_arguments_that_no_database_takes_do_not_keep_an_answer_from_its_end(site, ann, llm, arguments):
    ann.client.post("/api/v1/workspaces", json={"name": "odd"})
    (tools,) = [one["id"] for one in ann.client.get("/chat/tools").json() if one["label"] == "odd"]
    conversation = asked(ann, llm, call(arguments), Say("Done"))
    events = ann.answer(conversation, tool_sets=[tools])
    assert events[-1].data["status"] == "ok", events
    assert "Infinity" not in ann.client.get(f"/conversations/{conversation}/messages").text
    # The events of others are written down, too.
    llm.script("others", Hang("Others"))
    with ann.stream(ann.ask("Think of others")) as stream:
        stream.until("delta")
        ann.cancel(stream.id)
        assert stream.until("done").data["status"] == "canceled"


def bring_in(ann, *messages):
    answer = ann.client.post(
        "/conversations/import", json={"format": "moorage-chat", "version": 1, "messages": messages}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["conversations"][0]["id"]


@pytest.mark.parametrize("status", ["complete", "partial"])
def test_a_file_that_numbers_from_0_makes_no_circle(ann, status):
    """The first message followed itself, and who looked for what to answer went round and round in a transaction."""
    conversation = bring_in(
        ann,
        {"id": 0, "role": "assistant", "content": "first", "status": status},
        {"id": 1, "role": "assistant", "content": "beside it", "status": status},
        {"id": 2, "parent": 0, "role": "assistant", "content": "then", "status": status},
    )
    said = ann.messages(conversation)
    assert [one["parent_id"] for one in said] == [None, None, said[0]["id"]]
    assert not any("retry_of" in one for one in said)
    assert ann.retry(conversation).json()["code"] == "NO_USER_MESSAGE"
    assert ann.client.post(f"/conversations/{conversation}/stream").json()["code"] == "NO_USER_MESSAGE"


def test_a_file_with_counts_that_no_database_takes(ann):
    conversation = bring_in(ann, {"id": 1, "role": "user", "content": "x", "usage": {"a\0": 1, "total_tokens": 10**30}})
    assert ann.client.get(f"/conversations/{conversation}/export").status_code == 200


def test_a_number_that_is_none_is_the_clients_fault(ann):
    message = b'{"model": "default", "messages": [{"role": "user", "content": "x", "n": 1e999}]}'
    answer = ann.client.post("/v1/chat/completions", content=message, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
