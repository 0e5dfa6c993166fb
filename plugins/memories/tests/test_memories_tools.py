"""Memories as tools of models: over HTTP, with the scripted provider, the real store and the real search."""

from __future__ import annotations

import itertools
import json
import uuid

import pytest
from chatsite import ChatSite, text
from realparts.llm import Call, Chunks, Hang, Llm, Say

SET = "memories:all"
READING = {"recall", "read_memory"}
WRITING = {"remember", "revise_memory", "forget_memory"}
NUMBERS = itertools.count(1)
ROLES = {
    "reader": {"grants": ["chat:*", "memories:memory:view"]},
    "outsider": {"grants": ["chat:*"]},
}


@pytest.fixture(scope="module")
def llm():
    made = Llm()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def site(llm, tmp_path_factory):
    settings = {"plugins": {"memories": {"enabled": True, "max_content_bytes": 4096}}, "access": {"roles": ROLES}}
    site = ChatSite(tmp_path_factory.mktemp("memories"), llm, chat={"max_tool_rounds": 50}, **settings)
    site.server.add_users({"ann": "operator", "ben": "operator", "rita": "reader", "otto": "outsider", "root": "owner"})
    site.server.start()
    yield site
    site.close()


@pytest.fixture
def ann(site, llm):
    llm.clear()
    return fresh(site, "ann")


def fresh(site, user):
    """A user's client; nothing is remembered of them."""
    chat = site.chat(user)
    for memory in memories(chat):
        assert chat.client.delete(f"/api/memories/{memory['id']}").status_code == 200
    return chat


def memories(chat):
    return chat.client.get("/api/memories", params={"limit": 100}).json()["memories"]


def remembered(chat, content, **more):
    """The id of a memory that was written down by the API."""
    answer = chat.client.post("/api/memories", json={"content": content, **more})
    assert answer.status_code in (200, 201), answer.text
    return answer.json()["id"]


def use(chat, llm, tool, **arguments):
    """What a tool says to a model."""
    return used(chat, llm, Call(tool, arguments))[0]


def used(chat, llm, *calls):
    """What tools say to a model that calls them one after the other: `tool_result` events' data."""
    said = f"question {next(NUMBERS)}."
    llm.script(said, *calls, Say("Well."))
    events = chat.answer(chat.ask(said), tool_sets=[SET])
    assert (text(events), events[-1].data["status"]) == ("Well.", "ok")
    results = [event.data for event in events if event.type == "tool_result"]
    assert len(results) == len(calls)
    return results


def recalled(result):
    """The memories that `recall` told."""
    assert not result["is_error"], result
    return [json.loads(line) for line in result["text"].splitlines()]


def test_what_one_conversation_remembers_another_one_recalls(ann, llm):
    note = "Ann's cat is called Miezi"
    told = use(ann, llm, "remember", content=note, category="pets", tags=["cat"], importance=8)
    assert (told["is_error"], told["text"].startswith("Remembered: ")) == (False, True)
    (kept,) = memories(ann)
    assert (kept["content"], kept["category"], kept["tags"], kept["importance"]) == (note, "pets", ["cat"], 8)

    remembered(ann, "The boiler is serviced in May")
    (found, *_) = recalled(use(ann, llm, "recall", query="What is the cat called?"))
    assert (found["id"], found["content"], found["store"]) == (kept["id"], note, "default")
    assert note in llm.requests[-1]["messages"][-1]["content"], "the model was told"


def test_a_model_corrects_what_it_remembers(ann, llm):
    old = remembered(ann, "The deployment is on Monday", category="work", tags=["release"])
    wrong = remembered(ann, "Ann likes liver")
    revised, forgotten, again = used(
        ann,
        llm,
        Call("revise_memory", {"id": old, "content": "The deployment is on Tuesday", "category": None}),
        Call("forget_memory", {"id": wrong}),
        Call("forget_memory", {"id": wrong}),
    )
    assert "Tuesday" in revised["text"]
    assert forgotten["text"] == "Forgotten."
    assert again["is_error"], "it is gone"
    (kept,) = memories(ann)
    assert (kept["id"], kept["content"]) == (old, "The deployment is on Tuesday")
    assert (kept["category"], kept["tags"]) == ("work", ["release"]), "what was left out stays"


def test_what_is_said_twice_is_kept_once(ann, llm):
    first, second, other = used(
        ann,
        llm,
        Call("remember", {"content": "Tea with milk, no sugar."}),
        Call("remember", {"content": "tea with  milk, no sugar"}),
        Call("remember", {"content": "Tea with milk, no sugar, and a biscuit"}),
    )
    assert second["text"].startswith("That is remembered already: ")
    assert json.loads(first["text"].removeprefix("Remembered: "))["id"] in second["text"]
    assert other["text"].startswith("Remembered: ")
    assert len(memories(ann)) == 2


def test_what_is_said_twice_at_once_is_kept_once(ann, llm):
    arguments = json.dumps({"content": "Ann is left-handed"})
    calls = [
        {"index": n, "id": f"call_{n}", "type": "function", "function": {"name": "remember", "arguments": arguments}}
        for n in range(5)
    ]
    delta = {"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": calls}, "finish_reason": None}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    said = f"question {next(NUMBERS)}."
    llm.script(said, Chunks((delta, end, "data: [DONE]\n\n")), Say("Well."))
    events = ann.answer(ann.ask(said), tool_sets=[SET])
    assert len([event for event in events if event.type == "tool_result" and not event.data["is_error"]]) == 5
    assert len(memories(ann)) == 1


def test_recall_without_words_tells_the_newest(ann, llm):
    for number in range(4):
        remembered(ann, f"Step {number}", tags=["even"] if number % 2 == 0 else [])
    newest, even, none = used(
        ann,
        llm,
        Call("recall", {"limit": 2}),
        Call("recall", {"tags": ["even"], "query": "  "}),
        Call("recall", {"category": "nowhere"}),
    )
    assert [one["content"] for one in recalled(newest)] == ["Step 3", "Step 2"]
    assert [one["content"] for one in recalled(even)] == ["Step 2", "Step 0"]
    assert none["text"] == "Nothing is remembered that fits."


def test_stores_are_told_apart(ann, llm):
    kept, inside, outside = used(
        ann,
        llm,
        Call("remember", {"content": "Paint the fence green", "store": "garden"}),
        Call("recall", {"query": "fence", "store": "garden"}),
        Call("recall", {"query": "fence", "store": "kitchen"}),
    )
    assert not kept["is_error"]
    assert [one["store"] for one in recalled(inside)] == ["garden"]
    assert outside["text"] == "Nothing is remembered that fits."
    assert [one["store"] for one in recalled(use(ann, llm, "recall", query="fence"))] == ["garden"]


def test_a_long_memory_is_told_in_part_and_read_whole(ann, llm):
    long = "Line of a poem.\n" * 200
    kept = remembered(ann, long)
    part, whole = used(ann, llm, Call("recall", {"query": "poem"}), Call("read_memory", {"id": kept}))
    (told,) = recalled(part)
    assert long.startswith(told["content"])
    assert len(told["content"]) + told["characters_left_out"] == len(long)
    assert recalled(whole)[0]["content"] == long


def test_recall_tells_no_more_than_a_model_can_take(ann, llm):
    for number in range(20):
        remembered(ann, f"{number} " + "x" * 1500)
    (result,) = used(ann, llm, Call("recall", {"limit": 20}))
    *told, rest = result["text"].splitlines()
    assert 5 < len(told) < 20
    assert rest.startswith(f"{20 - len(told)} more fit.")
    assert json.loads(told[0])["content"].startswith("19 ")


def test_wrong_arguments_are_told_to_the_model(ann, llm):
    nobodys = str(uuid.UUID(int=1, version=4))
    wrong = [
        ("remember", {}, "content"),
        ("remember", {"content": " \n"}, "content"),
        ("remember", {"content": "x" * 5000}, "4096 bytes"),
        ("remember", {"content": {"nested": ["a"]}}, "content"),
        ("remember", {"content": "a", "importance": 11}, "importance"),
        ("remember", {"content": "a", "importance": "NaN"}, "importance"),
        ("remember", {"content": "a", "tags": "not a list"}, "tags"),
        ("remember", {"content": "a", "memory_type": "gossip"}, "memory_type"),
        ("remember", {"content": "a", "store": "../etc"}, "store"),
        ("remember", {"content": "a", "store": "all"}, "store"),
        ("remember", {"content": "a", "owner_id": 1}, "owner_id"),
        ("recall", {"query": "x" * 10_000}, "query"),
        ("recall", {"limit": 10**30}, "limit"),
        ("recall", {"limit": -1}, "limit"),
        ("revise_memory", {"id": nobodys}, "change"),
        ("revise_memory", {"id": nobodys, "content": "a"}, "not found"),
        ("read_memory", {"id": "' OR 1=1 --"}, "UUID"),
        ("forget_memory", {"id": ""}, "UUID"),
        ("forget_everything", {}, "no tool"),
    ]
    results = used(ann, llm, *[Call(tool, arguments) for tool, arguments, _ in wrong])
    for (tool, arguments, reason), result in zip(wrong, results, strict=True):
        assert result["is_error"], (tool, arguments)
        assert reason.lower() in result["text"].lower(), (tool, arguments, result["text"])
    assert memories(ann) == []


def test_others_memories_are_out_of_reach(site, ann, llm):
    kept = remembered(ann, "Ann's diary is under the bed")
    for user in ("ben", "root"):
        theirs = fresh(site, user)
        recall, read, revise, forget = used(
            theirs,
            llm,
            Call("recall", {"query": "diary under the bed"}),
            Call("read_memory", {"id": kept}),
            Call("revise_memory", {"id": kept, "content": "elsewhere"}),
            Call("forget_memory", {"id": kept}),
        )
        assert recall["text"] == "Nothing is remembered that fits."
        assert all(one["is_error"] and "diary" not in one["text"] for one in (read, revise, forget))
    (unchanged,) = memories(ann)
    assert unchanged["content"] == "Ann's diary is under the bed"


def test_only_what_a_role_may_is_offered(site, llm):
    def offered(user):
        answer = site.chat(user).client.get(f"/chat/tools/{SET}")
        return {tool["name"] for tool in answer.json()["tools"]} if answer.status_code == 200 else answer.status_code

    assert offered("ann") == READING | WRITING
    assert offered("rita") == READING
    assert offered("otto") == 404
    assert site.chat("otto").client.get("/chat/tools").json() == []
    told = use(site.chat("rita"), llm, "remember", content="Rita writes")
    assert told["is_error"]
    assert memories(site.chat("rita")) == []


def test_a_right_that_is_taken_away_bites_at_the_next_use(site, llm):
    llm.clear()
    said = f"question {next(NUMBERS)}."
    llm.script(said, Hang("Wait. ", then=Call("remember", {"content": "too late"})), Say("Well."))
    ben = fresh(site, "ben")
    with ben.stream(ben.ask(said), tool_sets=[SET]) as stream:
        llm.wait_hanging()
        site.server.cli("users", "set-role", "ben", "reader")
        try:
            llm.release()
            result = stream.until("tool_result").data
            assert stream.until("done", status="ok")
        finally:
            site.server.cli("users", "set-role", "ben", "operator")
    assert result["is_error"]
    assert memories(ben) == []


def test_what_is_remembered_is_not_logged(site, ann, llm):
    secret = f"the word is {uuid.uuid4().hex}"
    use(ann, llm, "remember", content=secret)
    use(ann, llm, "recall", query=secret)
    use(ann, llm, "remember", content=secret, tags="wrong")
    assert secret.split()[-1] not in site.server.stderr + site.server.output()
