"""Answers in which a model uses the tools of a workspace: over HTTP, with a scripted provider and real MCP servers."""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import time
from pathlib import Path

import pytest
from chatsite import ChatSite, text
from realparts.llm import Call, Chunks, Hang, Llm, Say
from realparts.mcpservers import parts
from realparts.mcpservers.parts import everything
from waits import WAIT

MCP = {"enabled": True, "programs": [str(Path(parts.__file__).parent)]}
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def llm():
    made = Llm()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def site(llm, tmp_path_factory):
    chat = {"max_tool_rounds": 3, "providers": {"mute": {"base_url": llm.url, "tools": False}}}
    chat["providers"]["single"] = {"base_url": llm.url, "max_parallel": 1}
    with ChatSite.running(tmp_path_factory.mktemp("tools"), llm, chat=chat, plugins={"mcp": MCP}) as made:
        yield made


@pytest.fixture
def ann(site, llm):
    llm.clear()
    return site.chat("ann")


@pytest.fixture(scope="module")
def notes(site):
    """A workspace of ann's with a folder; its set of tools."""
    client = site.chat("ann").client
    number = client.post("/api/v1/workspaces", json={"name": "notes"}).json()["data"]["id"]
    (found,) = [one for one in client.get("/chat/tools").json() if one["label"] == "notes"]
    return number, found["id"]


def asked(ann, llm, *steps):
    """A conversation whose next answer is these steps."""
    said = f"question {next(NUMBERS)}."
    llm.script(said, *steps)
    return ann.ask(said)


def calls(ann, workspace):
    return ann.client.get(f"/api/v1/workspaces/{workspace}/calls").json()["data"]["calls"]


def test_a_model_writes_a_file_and_reads_it_again(site, ann, llm, notes):
    workspace, tools = notes
    conversation = asked(
        ann,
        llm,
        Call("write_file", {"path": "plan.md", "content": "Buy milk"}, "I write it down."),
        Call("read_file", {"path": "plan.md"}),
        Say("It is written: Buy milk"),
    )
    ann.client.put(f"/conversations/{conversation}/tools", json={"tool_sets": [tools]})
    events = ann.answer(conversation)
    assert text(events) == "I write it down.\n\nIt is written: Buy milk"
    kinds = [event.type for event in events if event.type in ("tool_call", "tool_result", "done")]
    assert kinds == ["tool_call", "tool_result", "tool_call", "tool_result", "done"]
    first, result = [event.data for event in events if event.type in ("tool_call", "tool_result")][:2]
    assert (first["tool"], first["set"], first["arguments"]["path"]) == ("write_file", tools, "plan.md")
    assert (result["id"], result["is_error"]) == (first["id"], False)
    done = events[-1].data
    assert done["status"] == "ok"
    assert done["usage"]["total_tokens"] == 3 * 18, "each round is counted"

    question, answer = ann.messages(conversation)
    assert answer["content"] == text(events)
    rounds = answer["parts"]["tool_rounds"]
    assert [[call["tool"] for call in one["calls"]] for one in rounds] == [["write_file"], ["read_file"]]
    assert "Buy milk" in rounds[1]["calls"][0]["text"]
    assert rounds[0]["until"] == rounds[1]["until"] == len("I write it down.")

    # What the model was sent, round by round.
    assert {tool["function"]["name"] for tool in llm.requests[0]["tools"]} >= {"write_file", "read_file"}
    last = llm.requests[2]["messages"]
    assert [message["role"] for message in last] == ["user", "assistant", "tool", "assistant", "tool"]
    assert "Buy milk" in last[-1]["content"]

    # The next question sends it again as it came about; without tools as text.
    ann.say(conversation, "And now?")
    ann.answer(conversation)
    again = llm.requests[3]["messages"]
    assert again[: len(last)] == last
    assert again[len(last) :] == [
        {"role": "assistant", "content": "It is written: Buy milk"},
        {"role": "user", "content": "And now?"},
    ]
    ann.say(conversation, "And without?")
    ann.answer(conversation, tool_sets=[])
    assert "tools" not in llm.requests[4]
    assert llm.requests[4]["messages"][:2] == [
        {"role": "user", "content": question["content"]},
        {"role": "assistant", "content": answer["content"]},
    ]
    assert {call["client"] for call in calls(ann, workspace)} == {"chat"}
    metrics = site.chat("root").client.get("/metrics").text
    assert 'moorage_chat_tool_calls_total{kind="mcp",outcome="ok"} 2.0' in metrics


def test_no_tools_unless_they_are_chosen(ann, llm, notes):
    conversation = asked(ann, llm, Call("read_file", {"path": "plan.md"}, "Let me see."), Say("never"))
    events = ann.answer(conversation)
    assert "tools" not in llm.requests[0]
    assert (text(events), events[-1].data["status"]) == ("Let me see.", "ok")
    assert not [event for event in events if event.type == "tool_call"]


def test_tools_that_are_not_there_are_refused_before_the_answer(ann, llm, notes, site):
    conversation = asked(ann, llm, Say("Hello"))
    for wrong in (["mcp:ws_nosuchone"], ["nothing"]):
        refused = ann.client.post(f"/conversations/{conversation}/stream", json={"tool_sets": wrong})
        assert (refused.status_code, refused.json()["code"]) == (400, "TOOLS_NOT_FOUND")
    ben = site.chat("ben")
    foreign = ben.client.post(f"/conversations/{ben.ask('Hi')}/stream", json={"tool_sets": [notes[1]]})
    assert (foreign.status_code, foreign.json()["code"]) == (400, "TOOLS_NOT_FOUND")
    assert llm.requests == []


def test_a_model_that_never_stops_calling_is_stopped(ann, llm, notes):
    conversation = asked(ann, llm, Call("list_directory", {"path": "."}))
    events = ann.answer(conversation, tool_sets=[notes[1]])
    assert events[-1].data["status"] == "error"
    (error,) = [event.data for event in events if event.type == "error"]
    assert error["code"] == "TOOL_LIMIT"
    assert [request.get("tool_choice") for request in llm.requests] == ["auto", "auto", "auto", "none", "none"]
    results = [event.data for event in events if event.type == "tool_result"]
    assert [result["is_error"] for result in results] == [False, False, False, True]


def test_what_a_tool_says_of_its_failure_reaches_the_model(ann, llm, notes):
    conversation = asked(
        ann,
        llm,
        Call("read_file", {"path": "../../etc/passwd"}),
        Call("read_file", {}),
        Call("no_such", {}),
        Say("So be it"),
    )
    events = ann.answer(conversation, tool_sets=[notes[1]])
    results = [event.data for event in events if event.type == "tool_result"]
    assert [result["is_error"] for result in results] == [True, True, True]
    assert "root:" not in json.dumps([event.data for event in events])
    assert text(events) == "So be it"
    assert "no tool no_such" in llm.requests[-1]["messages"][-1]["content"]


def at_once(*calls):
    """A round that asks for several calls: (id, tool, arguments)."""
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
    fragments = [
        {"index": number, "id": id, "function": {"name": tool, "arguments": json.dumps(arguments)}}
        for number, (id, tool, arguments) in enumerate(calls)
    ]
    deltas = [{"index": 0, "delta": {"tool_calls": [fragment]}, "finish_reason": None} for fragment in fragments]
    choices = [*deltas, {"index": 0, "delta": {}, "finish_reason": "tool_calls"}]
    said = [f"data: {json.dumps({**head, 'choices': [choice]})}\n\n" for choice in choices]
    return Chunks((*said, "data: [DONE]\n\n"))


def test_several_calls_at_once(ann, llm, notes):
    calls = at_once(*[(f"c{n}", "write_file", {"path": f"{n}", "content": "x"}) for n in range(3)])
    conversation = asked(ann, llm, calls, Say("Done"))
    events = ann.answer(conversation, tool_sets=[notes[1]])
    results = [event.data for event in events if event.type == "tool_result"]
    assert sorted(result["id"] for result in results) == ["c0", "c1", "c2"]
    assert not any(result["is_error"] for result in results)
    assert text(events) == "Done"


def test_a_workspace_that_does_not_answer_is_told_and_the_answer_comes(ann, llm, notes):
    client = ann.client
    made = client.post("/api/v1/workspaces", json={"name": f"broken{next(NUMBERS)}"}).json()["data"]
    for one in client.get(f"/api/v1/workspaces/{made['id']}/upstreams").json()["data"]["upstreams"]:
        client.delete(f"/api/v1/workspaces/{made['id']}/upstreams/{one['id']}")
    body = {"name": "gone", "kind": "stdio", "command": ["/bin/false"]}
    assert client.post(f"/api/v1/workspaces/{made['id']}/upstreams", json=body).status_code == 201
    (broken,) = [one["id"] for one in client.get("/chat/tools").json() if one["label"] == made["name"]]
    conversation = asked(ann, llm, Say("I can do without"))
    events = ann.answer(conversation, tool_sets=[broken])
    (told,) = [event.data for event in events if event.data.get("status") == "tools"]
    assert [one["id"] for one in told["unavailable"]] == [broken]
    assert (text(events), events[-1].data["status"]) == ("I can do without", "ok")
    # A workspace that is deleted later does not keep the conversation from going on.
    client.put(f"/conversations/{conversation}/tools", json={"tool_sets": [broken]})
    assert client.delete(f"/api/v1/workspaces/{made['id']}").status_code == 204
    ann.say(conversation, "And again?")
    assert ann.answer(conversation)[-1].data["status"] == "ok"


def test_a_provider_without_tools_is_not_sent_any(ann, llm, notes):
    conversation = asked(ann, llm, Say("Words only"))
    events = ann.answer(conversation, tool_sets=[notes[1]], provider_id="mute")
    (told,) = [event.data for event in events if event.data.get("status") == "tools"]
    assert told["unavailable"][0]["id"] == notes[1]
    assert text(events) == "Words only"
    assert "tools" not in llm.requests[0]


def with_slow_tools(client):
    """A workspace whose server has a tool that takes its time; its number and its set of tools."""
    made = client.post("/api/v1/workspaces", json={"name": "slow"}).json()["data"]
    body = {"name": "everything", "kind": "stdio", "command": everything()}
    assert client.post(f"/api/v1/workspaces/{made['id']}/upstreams", json=body).status_code == 201
    (found,) = [one["id"] for one in client.get("/chat/tools").json() if one["label"] == "slow"]
    return made["id"], found


def test_stopped_while_a_tool_works_it_stops_and_keeps_what_there_is(ann, llm):
    workspace, tools = with_slow_tools(ann.client)
    conversation = asked(ann, llm, Call("everything__slow", {"seconds": 60, "steps": 6}, "One moment."), Say("never"))
    with ann.stream(conversation, tool_sets=[tools]) as stream:
        stream.until("tool_call")
        began = time.monotonic()
        assert ann.cancel(stream.id).status_code == 200
        done = stream.until("done")
        assert time.monotonic() - began < 5
    assert done.data["status"] == "canceled"
    answer = ann.messages(conversation)[-1]
    assert (answer["content"], answer["status"]) == ("One moment.", "canceled")
    (kept,) = answer["parts"]["tool_rounds"][0]["calls"]
    assert (kept["tool"], kept["is_error"], kept["text"]) == (
        "everything__slow",
        True,
        "The use of the tool was broken off",
    )
    deadline = time.monotonic() + WAIT
    while [call["outcome"] for call in calls(ann, workspace)] != ["cancelled"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # The conversation goes on, and the model is told what became of the call.
    ann.say(conversation, "Never mind")
    ann.answer(conversation, tool_sets=[tools])
    sent = llm.requests[-1]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "user"]
    assert "broken off" in sent[2]["content"]


def wait_written(site, kind):
    """Until such an event is in the database, which is some time after a client was told of it."""
    deadline = time.monotonic() + WAIT
    with contextlib.closing(sqlite3.connect(site.server.data_dir / "moorage.db", timeout=WAIT)) as database:
        while kind not in str(database.execute("select events from chat_events").fetchall()):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_server_that_is_killed_keeps_what_tools_did(llm, tmp_path):
    llm.clear()
    with ChatSite.running(tmp_path, llm, plugins={"mcp": MCP}) as site:
        ann = site.chat()
        ann.client.post("/api/v1/workspaces", json={"name": "notes"})
        tools = ann.client.get("/chat/tools").json()[0]["id"]
        conversation = asked(ann, llm, Call("write_file", {"path": "a", "content": "x"}, "First."), Hang("Then"))
        with ann.stream(conversation, tool_sets=[tools]) as stream:
            stream.until("tool_result")
            stream.until("delta")
            wait_written(site, "tool_result")
            site.server.kill()
        site.server.start()
        answer = ann.messages(conversation)[-1]
        assert answer["status"] == "partial"
        assert answer["content"].startswith("First.")
        (one,) = answer["parts"]["tool_rounds"]
        assert [(call["tool"], call["is_error"]) for call in one["calls"]] == [("write_file", False)]


def test_a_round_that_waited_for_its_turn_when_it_was_stopped_costs_nothing(site, ann, llm, notes):
    first = asked(ann, llm, Hang("At work"))
    second = asked(ann, llm, Call("list_directory", {"path": "."}), Say("Never said"))
    third = asked(ann, llm, Hang("In between"))
    with ann.stream(first, provider_id="single") as before:
        before.until("delta")
        with ann.stream(second, provider_id="single", tool_sets=[notes[1]]) as stream:
            stream.until("status", status="queued")
            with ann.stream(third, provider_id="single") as between:
                between.until("status", status="queued")
                ann.cancel(before.id)
                # The second asks for its tool, and waits behind the third to tell what that gave.
                stream.until("tool_result")
                stream.until("status", status="queued")
                assert ann.cancel(stream.id).status_code == 200
                done = stream.until("done").data
                ann.cancel(between.id)
    assert done["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
