"""Workspaces lent to the models of the chat plugin: the same rights, rules, limits and list of calls as for clients."""

from __future__ import annotations

import asyncio
import re

import pytest
from harness import merged
from moorage.api import Forbidden, MoorageError, NotFound, TooManyRequests, Unauthorized
from moorage_mcp.lending import text_of
from people import CONFIG
from waits import WAIT

SETTINGS = merged(CONFIG, {"plugins": {"mcp": {"calls_per_minute": 0}}})


@pytest.fixture
async def app(moorage_server):
    async with moorage_server("chat", "mcp", config=SETTINGS) as server:
        yield server


async def workspace(client, name):
    made = await client.post("/api/v1/workspaces", json={"name": name})
    assert made.status_code == 201, made.text
    return made.json()["data"]


async def sets(app, actor):
    return {one.label: one for one in await app.plugin("chat").services.toolbox.sets(actor)}


async def test_a_workspaces_tools_are_used_and_written_down(app):
    ann = await app.as_user(name="ann")
    made = await workspace(ann, "notes")
    (shown,) = (await ann.get("/chat/tools")).json()
    assert shown["label"] == "notes"
    assert re.fullmatch(r"mcp:ws_\w+", shown["id"])
    listed = (await ann.get(f"/chat/tools/{shown['id']}", timeout=60)).json()["tools"]
    by_name = {tool["name"]: tool for tool in listed}
    assert by_name["read_file"]["read_only"]
    assert not by_name["write_file"]["read_only"]
    assert by_name["write_file"]["parameters"]["type"] == "object"

    notes = (await sets(app, ann.actor))["notes"]
    written = await notes.call("write_file", {"path": "a.txt", "content": "remember the milk"})
    assert not written.is_error, written
    read = await notes.call("read_file", {"path": "a.txt"})
    assert "remember the milk" in read.text
    missing = await notes.call("read_file", {"path": "b.txt"})
    assert missing.is_error
    for name, arguments in (("no_such", {}), ("read_file", {"path": 1})):
        with pytest.raises(MoorageError):
            await notes.call(name, arguments)

    calls = []
    async with asyncio.timeout(WAIT):
        while len(calls) < 5:  # They are written a moment later.
            await asyncio.sleep(0.02)
            calls = (await ann.get(f"/api/v1/workspaces/{made['id']}/calls")).json()["data"]["calls"]
    assert {call["client"] for call in calls} == {"chat"}
    assert sorted(call["outcome"] for call in calls) == ["denied", "denied", "ok", "ok", "tool_error"]


async def test_rights_are_those_of_the_moment(app):
    ann, ben, boss = [await app.as_user(role, name=name) for role, name in
                      (("operator", "ann"), ("operator", "ben"), ("admin", "boss"))]  # fmt: skip
    mine = await workspace(ann, "mine")
    assert await sets(app, ben.actor) == {}
    assert await sets(app, boss.actor) == {}, "what an administrator may do at most is not offered to models"
    narrow = await app.as_user(name="eve", scopes=["chat:*"])
    assert await sets(app, narrow.actor) == {}, "a key for chat alone is none for tools"

    lent = (await sets(app, ann.actor))["mine"]
    assert await lent.tools()
    rules = {"tool_rules": {"deny": ["write_*"]}}
    assert (await ann.patch(f"/api/v1/workspaces/{mine['id']}", json=rules)).status_code == 200
    assert "write_file" not in {tool.name for tool in await lent.tools()}
    with pytest.raises(Forbidden):
        await lent.call("write_file", {"path": "a.txt", "content": ""})
    limits = {"call_limits": {"list_*": 1}}
    assert (await ann.patch(f"/api/v1/workspaces/{mine['id']}", json=limits)).status_code == 200
    assert not (await lent.call("list_directory", {"path": "."})).is_error
    with pytest.raises(TooManyRequests):
        await lent.call("list_directory", {"path": "."})

    assert (await ann.delete(f"/api/v1/workspaces/{mine['id']}")).status_code == 204
    assert await sets(app, ann.actor) == {}
    with pytest.raises(NotFound):
        await lent.call("read_file", {"path": "a.txt"})


async def test_a_login_that_ended_uses_no_tools(app):
    ann = await app.as_user(name="ann")
    await workspace(ann, "mine")
    lent = (await sets(app, ann.actor))["mine"]
    accounts = app.app.accounts
    with app.app.db.activate():
        await accounts.revoke_key(ann.actor.credential.id, by=ann.actor)
    with pytest.raises(Unauthorized):
        await lent.call("read_file", {"path": "a.txt"})
    with pytest.raises(Unauthorized):
        await lent.tools()


def found(*content, result=None):
    return {"content": list(content), "result": result, "is_error": False}


def test_what_is_no_text_is_named():
    text = {"type": "text", "text": "Here it is:"}
    image = {"type": "image", "mimeType": "image/png", "data": "iVBO"}
    link = {"type": "resource_link", "uri": "file:///a", "mimeType": "text/plain"}
    embedded = {"type": "resource", "resource": {"uri": "file:///b", "text": "of b"}}
    binary = {"type": "resource", "resource": {"uri": "file:///c", "blob": "AA==", "mimeType": "application/zip"}}
    assert text_of(found(text, image, link, embedded, binary, {"type": "new"})) == (
        "Here it is:\n[image, image/png]\n[a resource: file:///a, text/plain]\nof b\n"
        "[a resource that is no text: file:///c, application/zip]\n[new]"
    )
    assert text_of(found(result={"ü": 1})) == '{"ü": 1}'
    assert text_of(found()) == ""
