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
