"""`/api/ws`: the contract's messages over an OpenCode that says what the test tells it to; faults, bounds, rights."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from agentstub import ScriptedOpenCode, StubPlugin, StubSessions
from moorage.testing.client import Client
from moorage.testing.server import Server
from moorage_opencode.live import bridge as bridges
from moorage_opencode.live import connection as connections
from moorage_opencode.live import service
from moorage_opencode.sessions import Live
from waits import WAIT
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

Make = Callable[..., AbstractAsyncContextManager[Server]]
Message = dict[str, Any]
ROOT = "ses_root"


class Viewer:
    """A client of `/api/ws` that keeps what it was told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.told: list[Message] = []

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def next(self, *kinds: str) -> Message:
        """The next message (of these kinds)."""
        async with asyncio.timeout(WAIT):
            while True:
                message: Message = json.loads(await self.socket.recv())
                self.told.append(message)
                if not kinds or message["type"] in kinds:
                    return message

    async def end(self) -> int:
        """The close code; 1006 for none."""
        async with asyncio.timeout(WAIT):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
            code = self.socket.close_code
            assert code is not None
            return code


class Stage:
    """A server, its scripted OpenCode, and who looks at them."""

    def __init__(self, server: Server, opencode: ScriptedOpenCode, folder: Path, stack: AsyncExitStack) -> None:
        self.server, self.opencode, self.folder, self._stack = server, opencode, folder, stack
        plugin = server.plugin("opencode")
        assert isinstance(plugin, StubPlugin)
        self.plugin = plugin

    @property
    def sessions(self) -> StubSessions:
        return self.plugin.sessions

    def session(self, client: Client, *, status: str = "running") -> Live:
        folder = self.folder / f"w{len(self.sessions.all)}"
        return self.sessions.add(client.user.id, folder, status=status, port=self.opencode.port)

    async def viewer(self, client: Client, **options: Any) -> Viewer:
        viewer = Viewer(await self._stack.enter_async_context(client.connect("/api/ws", **options)))
        assert await viewer.next() == {"type": "connected"}
        assert await viewer.next() == {"type": "ping"}
        return viewer

    async def follow(self, client: Client, live: Live, **options: Any) -> Viewer:
        """A viewer that is subscribed, and whose events come."""
        viewer = await self.viewer(client, **options)
        await viewer.say("subscribe", session_id=live.pid)
        await viewer.next("agent_connected")
        await viewer.next("session_idle", "session_busy")
        return viewer


@pytest.fixture
async def stage(moorage_server: Make, tmp_path: Path) -> AsyncIterator[Stage]:
    async with moorage_server(StubPlugin) as server, ScriptedOpenCode() as opencode, AsyncExitStack() as stack:
        yield Stage(server, opencode, tmp_path, stack)


def text_part(text: str, *, part: str = "prt_1", message: str = "msg_a", kind: str = "text") -> Message:
    return {"type": kind, "id": part, "messageID": message, "sessionID": ROOT, "text": text}


def tool_part(state: Message, *, call: str = "call_1", tool: str = "bash") -> Message:
    part = {"type": "tool", "id": "prt_t", "messageID": "msg_a", "sessionID": ROOT, "tool": tool, "callID": call}
    return {**part, "state": state}


async def turn(opencode: ScriptedOpenCode) -> None:
    """A whole turn, as OpenCode 1.18.33 was heard to tell of it."""
    send = opencode.send
    await send("message.updated", sessionID=ROOT, info={"id": "msg_u", "role": "user", "sessionID": ROOT})
    await send("message.part.updated", sessionID=ROOT, part=text_part("hi", part="prt_u", message="msg_u"))
    await send("session.status", sessionID=ROOT, status={"type": "busy"})
    await send("session.status", sessionID=ROOT, status={"type": "busy"})
    await send("message.updated", sessionID=ROOT, info={"id": "msg_a", "role": "assistant", "sessionID": ROOT})
    await send("server.heartbeat")
    await send("message.part.updated", sessionID=ROOT, part=text_part("", part="prt_r", kind="reasoning"))
    delta = {"sessionID": ROOT, "messageID": "msg_a", "field": "text"}
    await send("message.part.delta", **delta, partID="prt_r", delta="hm… ")
    await send("message.part.updated", sessionID=ROOT, part=text_part("hm… ", part="prt_r", kind="reasoning"))
    await send("message.part.updated", sessionID=ROOT, part=text_part(""))
    await send("message.part.delta", **delta, partID="prt_1", delta="Wör")
    await send("message.part.delta", **delta, partID="prt_1", delta="ld ✓")
    await send("message.part.updated", sessionID=ROOT, part=text_part("Wörld ✓, and what no delta told"))
    await send("message.part.updated", sessionID=ROOT, part=tool_part({"status": "pending", "input": {}}))
    arguments = {"command": "ls"}
    running = {"status": "running", "input": arguments}
    await send("message.part.updated", sessionID=ROOT, part=tool_part(running))
    await send("message.part.updated", sessionID=ROOT, part=tool_part({**running, "metadata": {"output": "a"}}))
    done = {"status": "completed", "input": arguments, "output": "a\n", "title": "ls", "metadata": {}}
    await send("message.part.updated", sessionID=ROOT, part=tool_part(done))
    await send("message.part.updated", sessionID=ROOT, part=tool_part(done))
    failed = {"status": "error", "input": {}, "error": "no such file"}
    await send("message.part.updated", sessionID=ROOT, part=tool_part(failed, call="call_2", tool="read"))
    await send("session.status", sessionID=ROOT, status={"type": "idle"})
    await send("session.idle", sessionID=ROOT)


async def test_a_turn_in_the_words_of_the_contract(stage: Stage) -> None:
    ann = await stage.server.as_user()
    live = stage.session(ann)
    viewer = await stage.viewer(ann)
    await viewer.say("subscribe", session_id=live.pid)
    updated = {"type": "session_updated", "session_id": live.pid, "status": "running"}
    assert await viewer.next() == {**updated, "workspace_path": str(live.workspace)}
    assert await viewer.next() == {"type": "agent_connected", "session_id": live.pid}
    assert await viewer.next() == {"type": "session_idle", "session_id": live.pid}
    await turn(stage.opencode)
    told = [await viewer.next()]
    while told[-1]["type"] != "session_idle":
        told.append(await viewer.next())
    assert all(m["session_id"] == live.pid and m["opencode_session_id"] == ROOT for m in told)
    short = [{k: v for k, v in m.items() if k not in ("session_id", "opencode_session_id")} for m in told]
    words = [m for m in short if m["type"] != "opencode_event"]
    assert words == [
        {"type": "message_updated", "message": {"id": "msg_u", "role": "user", "sessionID": ROOT}},
        {"type": "session_busy"},
        {"type": "message_updated", "message": {"id": "msg_a", "role": "assistant", "sessionID": ROOT}},
        {"type": "thinking_delta", "message_id": "msg_a", "delta": "hm… "},
        {"type": "text_delta", "message_id": "msg_a", "delta": "Wör"},
        {"type": "text_delta", "message_id": "msg_a", "delta": "ld ✓"},
        {"type": "text_delta", "message_id": "msg_a", "delta": ", and what no delta told"},
        {"type": "tool_start", "tool_call_id": "call_1", "tool_name": "bash", "input": {"command": "ls"}},
        {"type": "tool_end", "tool_call_id": "call_1", "tool_name": "bash", "result": "a\n", "is_error": False},
        {"type": "tool_start", "tool_call_id": "call_2", "tool_name": "read", "input": {}},
        {"type": "tool_end", "tool_call_id": "call_2", "tool_name": "read", "result": "no such file", "is_error": True},
        {"type": "session_idle"},
    ]
    states = [m["data"]["part"]["state"]["status"] for m in short if m["type"] == "opencode_event"]
    assert states == ["pending", "running"], "progress without a word of its own"


async def test_permissions_and_questions(stage: Stage) -> None:
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    viewer = await stage.follow(ann, live)
    asked = {"id": "per_1", "sessionID": ROOT, "permission": "bash", "patterns": ["ls"], "metadata": {"command": "ls"}}
    await opencode.send("permission.asked", **asked, tool={"messageID": "msg_a", "callID": "call_1"})
    await opencode.send("permission.asked", **asked)
    request = {
        "type": "permission_request",
        "session_id": live.pid,
        "opencode_session_id": ROOT,
        "permission_id": "per_1",
        "permission_type": "bash",
        "title": "bash: ls",
        "pattern": "ls",
        "metadata": {"command": "ls"},
        "tool_call_id": "call_1",
    }
    assert await viewer.next() == request
    # Who comes now is asked as well.
    late = await stage.viewer(ann)
    await late.say("subscribe", session_id=live.pid)
    assert await late.next("permission_request") == request
    await viewer.say("permission_reply", session_id=live.pid, permission_id="per_1", granted=True)
    await opencode.until(lambda: ("POST", "/permission/per_1/reply", {"reply": "once"}) in opencode.calls)
    await opencode.send("permission.replied", sessionID=ROOT, requestID="per_1", reply="once")
    resolved = {"type": "permission_resolved", "permission_id": "per_1", "granted": True}
    for client in (viewer, late):
        assert resolved.items() <= (await client.next()).items()
    for granted, always, reply in ((False, None, "reject"), (True, True, "always")):
        await viewer.say("permission_reply", session_id=live.pid, permission_id="per_2", granted=granted, always=always)
        await opencode.until(lambda reply=reply: opencode.calls[-1][2] == {"reply": reply})
    questions = [{"question": "Which?", "header": "Which", "options": [{"label": "A", "description": "a"}]}]
    await opencode.send("question.asked", id="que_1", sessionID=ROOT, questions=questions)
    assert {"type": "question_request", "request_id": "que_1", "questions": questions}.items() <= (
        await viewer.next()
    ).items()
    await viewer.say("question_reply", session_id=live.pid, request_id="que_1", answers=[["A"], "free"])
    await opencode.until(
        lambda: opencode.calls[-1] == ("POST", "/question/que_1/reply", {"answers": [["A"], ["free"]]})
    )
    await opencode.send("question.replied", sessionID=ROOT, requestID="que_1", answers=[["A"]])
    assert (await viewer.next())["type"] == "question_resolved"
    await viewer.say("question_reject", session_id=live.pid, request_id="que_2")
    await opencode.until(lambda: opencode.calls[-1][:2] == ("POST", "/question/que_2/reject"))


async def test_what_waits_is_told_after_a_restart_of_the_bridge(stage: Stage) -> None:
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    opencode.sessions += [{"id": ROOT, "time": {"created": 5}}, {"id": "ses_kid", "parentID": ROOT}]
    opencode.status[ROOT] = {"type": "busy"}
    opencode.status["ses_kid"] = {"type": "busy"}
    opencode.permissions.append({"id": "per_9", "sessionID": "ses_kid", "permission": "edit", "patterns": []})
    opencode.questions.append({"id": "que_9", "sessionID": ROOT, "questions": []})
    viewer = await stage.viewer(ann)
    await viewer.say("subscribe", session_id=live.pid)
    assert [(await viewer.next())["type"] for _ in range(5)] == [
        "session_updated",
        "agent_connected",
        "session_busy",
        "permission_request",
        "question_request",
    ]
    await viewer.say("refresh_session", session_id=live.pid)
    told = [await viewer.next() for _ in range(5)]
    assert told[0]["opencode_session_id"] == ROOT
    assert told[2]["type"] == "session_busy"


async def test_messages_go_to_one_conversation(stage: Stage) -> None:
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    viewer = await stage.follow(ann, live)
    await viewer.say("get_messages", session_id=live.pid)
    empty = await viewer.next("messages")
    assert (empty["messages"], empty["opencode_session_id"]) == ([], None)
    await viewer.say("abort", session_id=live.pid)
    # The first message begins a conversation, the second goes to the same.
    (live.workspace / "a b.txt").write_text("x")
    await viewer.say(
        "send_message",
        session_id=live.pid,
        message="hello",
        attachments=[
            {"type": "image", "data": "aGk=", "media_type": "image/png", "filename": "x.png"},
            {"type": "image", "url": "data:image/gif;base64,R0k="},
            {"type": "file", "path": "a b.txt"},
        ],
    )
    await viewer.say("send_parts", session_id=live.pid, parts=[{"type": "text", "text": "two"}])
    await opencode.until(lambda: len(opencode.calls) >= 3)
    begun = opencode.sessions[-1]["id"]
    assert opencode.calls[0] == ("POST", "/session", {})
    where = f"/session/{begun}/prompt_async"
    assert opencode.calls[1:] == [
        (
            "POST",
            where,
            {
                "parts": [
                    {"type": "text", "text": "hello"},
                    {
                        "type": "file",
                        "mime": "image/png",
                        "url": "data:image/png;base64,aGk=",
                        "filename": "x.png",
                    },
                    {"type": "file", "mime": "image/gif", "url": "data:image/gif;base64,R0k="},
                    {
                        "type": "file",
                        "mime": "text/plain",
                        "url": f"file://{live.workspace}/a%20b.txt",
                        "filename": "a b.txt",
                    },
                ]
            },
        ),
        ("POST", where, {"parts": [{"type": "text", "text": "two"}]}),
    ]
    await viewer.say("abort", session_id=live.pid)
    await opencode.until(lambda: opencode.calls[-1] == ("POST", f"/session/{begun}/abort", None))
    await viewer.say("abort", session_id=live.pid, opencode_session_id="ses_other")
    await opencode.until(lambda: opencode.calls[-1] == ("POST", "/session/ses_other/abort", None))
    # It is deleted, which nobody tells: the next message begins another.
    opencode.sessions.clear()
    opencode.answers[f"POST {where}"] = (404, {"name": "NotFoundError", "data": {"message": "Session not found"}})
    await viewer.say("send_message", session_id=live.pid, message="again")
    await opencode.until(
        lambda: opencode.calls[-1][1] not in (where, "/session") and "again" in str(opencode.calls[-1])
    )
    opencode.messages += [{"info": {"id": f"msg_{n}"}, "parts": []} for n in range(3)]
    await viewer.say("get_messages", session_id=live.pid, after_id="msg_0")
    shown = await viewer.next("messages")
    assert [message["info"]["id"] for message in shown["messages"]] == ["msg_1", "msg_2"]


async def test_the_newest_conversation_is_taken_and_kept(stage: Stage) -> None:
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    opencode.sessions += [
        {"id": "ses_old", "time": {"created": 1}},
        {"id": "ses_new", "time": {"created": 2}},
        {"id": "ses_kid", "parentID": "ses_new", "time": {"created": 3}},
        {"id": "ses_gone", "time": {"created": 4, "archived": 5}},
    ]
    viewer = await stage.follow(ann, live)
    await opencode.send("session.created", sessionID="ses_tui", info={"id": "ses_tui", "time": {"created": 9}})
    assert (await viewer.next())["event_type"] == "session.created"
    await viewer.say("send_message", session_id=live.pid, message="hello")
    await opencode.until(lambda: opencode.calls and opencode.calls[-1][1] == "/session/ses_new/prompt_async")
    # What sub-agents say is not the conversation's.
    await opencode.send("session.status", sessionID="ses_kid", status={"type": "busy"})
    raw = await viewer.next()
    assert (raw["type"], raw["event_type"], raw["opencode_session_id"]) == (
        "opencode_event",
        "session.status",
        "ses_kid",
    )
    await opencode.send("session.deleted", info={"id": "ses_new"})
    await viewer.next("opencode_event")
    opencode.sessions[1:2] = []
    await viewer.say("send_message", session_id=live.pid, message="hello")
    await opencode.until(lambda: opencode.calls[-1][1] == "/session/ses_old/prompt_async")


async def test_sessions_that_change_are_told_to_their_owner_and_to_subscribers(stage: Stage) -> None:
    ann, ben, admin = [await stage.server.as_user(role) for role in ("operator", "operator", "admin")]
    live = stage.session(ann)
    one, two = await stage.viewer(ann), await stage.viewer(ann)
    other, boss = await stage.viewer(ben), await stage.follow(admin, live)
    stage.sessions.turn(live, "stopping")
    stage.sessions.turn(live, "failed", error="It broke")
    for viewer in (one, two, boss):
        assert (await viewer.next("session_updated"))["status"] == "stopping"
        failed = await viewer.next("session_updated")
        assert (failed["status"], failed["error_message"]) == ("failed", "It broke")
    stage.sessions.turn(live, "deleted")
    for viewer in (one, two, boss):
        assert await viewer.next("session_deleted") == {"type": "session_deleted", "session_id": live.pid}
    await boss.say("refresh_session", session_id=live.pid)
    assert (await boss.next("error"))["message"] == "Not subscribed to session"
    await other.say("pong")
    await other.say("nothing")
    assert (await other.next())["type"] == "error", "Ben heard nothing of all that"


BAD = [
    "",
    "{",
    "[]",
    "7",
    '"subscribe"',
    "{}",
    '{"type":7}',
    '{"type":"subscribe"}',
    '{"type":"subscribe","session_id":""}',
    '{"type":"subscribe","session_id":7}',
    '{"type":"what","session_id":"x"}',
    '{"type":"subscribe","session_id":"' + "x" * 5000 + '"}',
    "[" * 2000,
    '{"type":"subscribe","session_id":"\\ud800"}',
]


async def test_what_cannot_be_understood_is_answered_by_an_error(stage: Stage) -> None:
    ann = await stage.server.as_user()
    viewer = await stage.viewer(ann)
    for text in BAD:
        await viewer.socket.send(text)
        message = await viewer.next()
        assert message["type"] == "error", text
        assert message["message"], text
    await viewer.socket.send(b"\x00\x01")
    await viewer.say("pong")
    await viewer.say("refresh_session", session_id="x")
    assert (await viewer.next())["message"] == "Not subscribed to session"


WRONG: list[Message] = [
    {"type": "send_message"},
    {"type": "send_message", "message": 7},
    {"type": "send_message", "message": "   "},
    {"type": "send_message", "message": "x", "attachments": "y"},
    {"type": "send_message", "message": "x", "attachments": [7]},
    {"type": "send_message", "message": "x", "attachments": [{"type": "file", "path": "../secret"}]},
    {"type": "send_message", "message": "x", "attachments": [{"type": "file", "path": "/etc/passwd"}]},
    {"type": "send_message", "message": "x", "attachments": [{"type": "file", "path": "a/../../../etc/passwd"}]},
    {"type": "send_message", "message": "x", "attachments": [{"type": "file", "path": "\0"}]},
    {"type": "send_message", "message": "x", "attachments": [{"type": "image", "url": "file:///etc/passwd"}]},
    {"type": "send_message", "message": "x", "attachments": [{"type": "image", "data": "aGk="}]},
    {"type": "send_message", "message": "x", "attachments": [{"type": "image"}] * 100},
    {"type": "send_message", "message": "x", "opencode_session_id": "../../global/config"},
    {"type": "send_message", "message": "x", "opencode_session_id": 7},
    {"type": "send_parts"},
    {"type": "send_parts", "parts": []},
    {"type": "send_parts", "parts": [{"type": "text"}]},
    {"type": "send_parts", "parts": [{"type": "video"}]},
    {"type": "permission_reply", "permission_id": "per_1"},
    {"type": "permission_reply", "permission_id": "a/../b", "granted": True},
    {"type": "permission_reply", "granted": True},
    {"type": "permission_reply", "permission_id": "per_1", "granted": "yes"},
    {"type": "question_reply", "request_id": "que_1"},
    {"type": "question_reply", "request_id": "que_1", "answers": [7]},
    {"type": "question_reply", "request_id": "que_1", "answers": [[7]]},
    {"type": "question_reject"},
    {"type": "get_messages", "limit": 0},
    {"type": "get_messages", "limit": "many"},
    {"type": "get_messages", "after_id": 7},
    {"type": "a2ui_action", "action": {}},
]


async def test_a_wrong_command_is_answered_and_goes_nowhere(stage: Stage) -> None:
    ann = await stage.server.as_user()
    live = stage.session(ann)
    viewer = await stage.follow(ann, live)
    for message in WRONG:
        await viewer.say(
            **{"kind": message["type"], **{k: v for k, v in message.items() if k != "type"}}, session_id=live.pid
        )
        answer = await viewer.next()
        assert answer["type"] == "error", message
        assert answer["session_id"] == live.pid
    assert stage.opencode.calls == []


async def test_an_error_of_opencode_is_told(stage: Stage) -> None:
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    viewer = await stage.follow(ann, live)
    for status, body, expected in (
        (
            404,
            {"_tag": "PermissionNotFoundError", "message": "Permission request not found: per_1"},
            "not found: per_1",
        ),
        (400, {"name": "BadRequest", "data": {"message": "Expected a string"}}, "Expected a string"),
        (500, {"name": "x", "data": {"message": "secret"}}, "OpenCode answered with status 500"),
    ):
        opencode.answers["POST /permission/per_1/reply"] = (status, body)
        await viewer.say("permission_reply", session_id=live.pid, permission_id="per_1", granted=True)
        assert expected in (await viewer.next("error"))["message"]
    await opencode.send("session.error", sessionID=ROOT, error={"name": "APIError", "data": {"message": "no key"}})
    failed = await viewer.next()
    assert (failed["type"], failed["error_type"], failed["message"]) == ("session_error", "APIError", "no key")


async def test_only_who_may(stage: Stage) -> None:
    ann, ben, viewer_ = [await stage.server.as_user(role) for role in ("operator", "operator", "viewer")]
    live = stage.session(ann)
    with pytest.raises(InvalidStatus) as caught:
        await stage.server.anonymous.connect("/api/ws")
    assert caught.value.response.status_code == 401
    other = await stage.viewer(ben)
    for pid in (live.pid, "00000000-0000-4000-8000-999999999999"):
        await other.say("subscribe", session_id=pid)
        assert (await other.next())["message"] == "Session not found"
        await other.say("send_message", session_id=pid, message="x")
        assert (await other.next())["message"] == "Not subscribed to session"
    own = stage.session(viewer_)
    looking = await stage.viewer(viewer_)
    await looking.say("subscribe", session_id=own.pid)
    assert (await looking.next("error"))["session_id"] == own.pid
    assert stage.opencode.opened == 0


async def test_a_right_that_goes_takes_the_subscription(stage: Stage) -> None:
    ann, boss = await stage.server.as_user(), await stage.server.as_user("owner")
    live = stage.session(ann)
    viewer = await stage.follow(ann, live)
    answer = await boss.patch(f"/api/users/{ann.user.pid}/role", json={"role": "viewer"})
    assert answer.status_code == 200, answer.text
    assert (await viewer.next("error"))["session_id"] == live.pid
    await viewer.say("send_message", session_id=live.pid, message="x")
    assert (await viewer.next("error"))["message"] == "Not subscribed to session"
    await stage.opencode.send("session.status", sessionID=ROOT, status={"type": "busy"})
    stage.sessions.turn(live, "stopped")
    assert (await viewer.next())["type"] == "session_updated", "what a viewer may know, and no agent's words"
    assert stage.opencode.calls == []


async def test_a_message_to_a_stopped_session_resumes_it(stage: Stage) -> None:
    ann = await stage.server.as_user()
    live = stage.session(ann, status="stopped")
    viewer = await stage.viewer(ann)
    await viewer.say("subscribe", session_id=live.pid)
    assert (await viewer.next())["status"] == "stopped"
    await viewer.say("get_messages", session_id=live.pid)
    assert "stopped" in (await viewer.next("error"))["message"], "looking does not start anything"
    stage.sessions.may_resume.clear()
    await viewer.say("send_message", session_id=live.pid, message="x")
    assert (await viewer.next("session_updated"))["status"] == "starting"
    await viewer.say("unsubscribe", session_id="nobody's")
    await viewer.say("refresh_session", session_id="nobody's")
    assert (await viewer.next("error"))["message"] == "Not subscribed to session", "nobody waits for it"
    original = stage.sessions.turn
    stage.sessions.turn = lambda live, status, **more: original(live, status, **{"port": stage.opencode.port, **more})  # type: ignore[method-assign]
    stage.sessions.may_resume.set()
    await viewer.next("agent_connected")
    await stage.opencode.until(lambda: stage.opencode.calls and "prompt_async" in stage.opencode.calls[-1][1])


# Faults.


async def test_a_broken_stream_is_opened_again(stage: Stage) -> None:
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    viewer = await stage.follow(ann, live)
    await opencode.send("session.status", sessionID=ROOT, status={"type": "busy"})
    await viewer.next("session_busy")
    opencode.refuse_events = 1
    await opencode.cut()
    gone = await viewer.next()
    assert (gone["type"], bool(gone["reason"])) == ("agent_disconnected", True)
    for attempt, least in ((1, 500), (2, 1000)):
        again = await viewer.next()
        assert (again["type"], again["attempt"]) == ("agent_reconnecting", attempt)
        assert least <= again["delay_ms"] <= least * 1.2
    assert (await viewer.next())["type"] == "agent_connected"
    assert (await viewer.next())["type"] == "session_idle"
    await turn(opencode)
    while (await viewer.next())["type"] != "session_idle":
        pass


async def test_one_gives_up_after_so_many_tries_until_the_session_changes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridges, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(bridges, "TRIES", 3)
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    viewer = await stage.follow(ann, live)
    await opencode.shut()
    failed = await viewer.next("session_error")
    assert failed["error_type"] == "AgentUnreachable"
    assert [m["attempt"] for m in viewer.told if m["type"] == "agent_reconnecting"] == [1, 2, 3]
    await opencode.listen()
    stage.sessions.turn(live, "running", port=opencode.port)
    await viewer.next("agent_connected")


async def test_a_session_that_stops_is_waited_for_without_knocking(stage: Stage) -> None:
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    viewer = await stage.follow(ann, live)
    stage.sessions.turn(live, "stopping")
    stage.sessions.turn(live, "stopped")
    assert (await viewer.next("agent_disconnected"))["reason"] == "The service has ended"
    stage.sessions.turn(live, "starting")
    stage.sessions.turn(live, "running", port=opencode.port)
    await viewer.next("agent_connected")
    assert not [m for m in viewer.told if m["type"] == "agent_reconnecting"]


async def test_one_stream_for_all_who_look_and_none_for_nobody(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "LINGER_SECONDS", 0.1)
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    async with AsyncExitStack() as stack:
        viewers = []
        for _ in range(3):
            viewer = Viewer(await stack.enter_async_context(ann.connect("/api/ws")))
            await viewer.say("subscribe", session_id=live.pid)
            await viewer.say("subscribe", session_id=live.pid)
            await viewer.next("agent_connected")
            viewers.append(viewer)
        await viewers[0].say("unsubscribe", session_id=live.pid)
        await viewers[0].say("refresh_session", session_id=live.pid)
        await viewers[0].next("error")
        await opencode.send("session.status", sessionID=ROOT, status={"type": "busy"})
        for viewer in viewers[1:]:
            await viewer.next("session_busy")
        assert (opencode.opened, len(opencode.streams)) == (1, 1)
    await opencode.until(lambda: not opencode.streams)
    assert stage.plugin.events.bridges() == 0


async def test_bytes_cut_anywhere_and_events_of_any_kind(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    viewer = await stage.follow(ann, live)
    event = {"type": "message.part.delta", "properties": {"sessionID": ROOT, "messageID": "m", "partID": "p"}}
    event["properties"] |= {"field": "text", "delta": "Grüße ✓ 🎉"}  # type: ignore[operator]
    data = f": comment\r\nid: 7\r\ndata: {json.dumps(event, ensure_ascii=False)}\r\n\r\n".encode()
    for byte in data:
        await opencode.raw(bytes([byte]))
    assert (await viewer.next())["delta"] == "Grüße ✓ 🎉"
    for rubbish in (
        b"data: {\n\n",
        b"data: 7\n\n",
        b"\n\n\n",
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"data: \xff\xfe\n\n",
    ):
        await opencode.raw(rubbish)
    await opencode.raw(b'data: {"type": 7, "properties": {}}\n\ndata: {"type": "x", "properties": []}\n\n')
    await opencode.send("something.new", sessionID=ROOT, thing=1)
    new = await viewer.next()
    assert (new["event_type"], new["data"]) == ("something.new", {"sessionID": ROOT, "thing": 1})
    await opencode.send("permission.asked", sessionID=ROOT)  # Without what it always has.
    assert (await viewer.next())["event_type"] == "permission.asked"
    await opencode.raw(b'data: {"type":"x","properties":{"half":"\\ud83d"}}\n\n')
    assert (await viewer.next())["data"] == {"half": "\ud83d"}


async def test_events_that_are_too_large(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridges, "MAX_EVENT", 3 << 20)
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    viewer = await stage.follow(ann, live)
    done = {"status": "completed", "input": {"command": "yes"}, "output": "y" * (2 << 20)}
    await opencode.send("message.part.updated", sessionID=ROOT, part=tool_part(done))
    assert (await viewer.next())["type"] == "tool_start"
    end = await viewer.next()
    assert (end["type"], end["truncated"], end["tool_call_id"]) == ("tool_end", True, "call_1")
    assert len(end["result"]) < 20_000
    await opencode.send("much", many=["x" * 1000] * 1000)
    many = await viewer.next()
    assert (many["event_type"], many["truncated"], "data" in many) == ("much", True, False)
    await opencode.send("huge", text="z" * (4 << 20))
    await opencode.send("session.status", sessionID=ROOT, status={"type": "busy"})
    assert {(await viewer.next())["type"], (await viewer.next())["type"]} == {"session_error", "session_busy"}


async def test_who_does_not_keep_up_is_told_what_to_ask_for(stage: Stage) -> None:
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    slow = await stage.follow(ann, live, max_queue=1)
    quick = await stage.follow(ann, live)
    await opencode.send("message.updated", sessionID=ROOT, info={"id": "msg_a", "role": "assistant"})
    delta = {"sessionID": ROOT, "messageID": "msg_a", "partID": "p", "field": "text"}
    for number in range(200):
        await opencode.send("message.part.delta", **delta, delta=f"{number} " + "x" * 60_000)
        assert (await quick.next("text_delta"))["delta"].startswith(f"{number} ")
    await opencode.send("session.status", sessionID=ROOT, status={"type": "busy"})
    await quick.next("session_busy")
    dropped = await slow.next("error")
    assert (dropped["code"], dropped["session_id"]) == ("EVENTS_DROPPED", live.pid)
    numbers = [int(m["delta"].split()[0]) for m in slow.told if m["type"] == "text_delta"]
    assert numbers == list(range(len(numbers))), "in order, up to where it fell behind"
    assert len(numbers) < 200
    assert [(await slow.next())["type"] for _ in range(3)] == ["session_updated", "agent_connected", "session_busy"]


async def test_who_takes_nothing_for_long_is_closed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SLOW_SECONDS", 0.2)
    ann = await stage.server.as_user()
    live, opencode = stage.session(ann), stage.opencode
    slow = await stage.follow(ann, live, max_queue=1)
    events = stage.plugin.events
    async with asyncio.timeout(WAIT):
        while any(bridge.subscribers for bridge in events._bridges.values()):
            await opencode.send("big", text="x" * 100_000)
            await asyncio.sleep(0.001)
    assert await slow.end() in (1013, 1006), "it may not even take the close frame"


async def test_pings_and_those_who_stop_answering(moorage_server: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.Events, "ping_seconds", 0.05)
    async with moorage_server(StubPlugin) as server:
        ann = await server.as_user()
        async with ann.connect("/api/ws") as silent, ann.connect("/api/ws") as answering:
            viewer = Viewer(answering)
            for _ in range(2):
                await viewer.next("ping")
                await viewer.say("pong")
            for _ in range(10):
                await Viewer(silent).next("ping")
            assert await viewer.end() == 4000


async def test_bounds_of_one_connection(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_SUBSCRIPTIONS", 3)
    ann = await stage.server.as_user()
    lives = [stage.session(ann) for _ in range(4)]
    viewer = await stage.viewer(ann)
    for live in lives:
        await viewer.say("subscribe", session_id=live.pid)
    assert "More than 3" in (await viewer.next("error"))["message"]
    # Commands of one session wait for each other, and not without end.
    hang = stage.session(ann, status="stopped")
    await viewer.say("unsubscribe", session_id=lives[0].pid)
    await viewer.say("subscribe", session_id=hang.pid)
    stage.sessions.may_resume.clear()
    for number in range(connections.MAX_WAITING + 2):
        await viewer.say("send_message", session_id=hang.pid, message=str(number))
    assert "Too many commands" in (await viewer.next("error"))["message"]
    await viewer.socket.send("x" * (1 << 20) + "x")
    assert await viewer.end() == 1009


async def test_the_server_s_stop(moorage_server: Make, tmp_path: Path) -> None:
    async with ScriptedOpenCode() as opencode:
        async with moorage_server(StubPlugin) as server, AsyncExitStack() as stack:
            stage = Stage(server, opencode, tmp_path, stack)
            ann = await server.as_user()
            live = stage.session(ann)
            socket = await ann.connect("/api/ws")
            viewer = Viewer(socket)
            await viewer.say("subscribe", session_id=live.pid)
            await viewer.next("agent_connected")
        assert await viewer.end() == 1001
        await opencode.until(lambda: not opencode.streams)


async def test_what_is_kept_for_those_who_come_later_is_bounded(stage: Stage) -> None:
    """A program in the session may ask without end; what it asks must not fill the server's memory."""
    ann = await stage.server.as_user("operator")
    live = stage.session(ann)
    first = await stage.follow(ann, live)
    for number in range(300):
        await stage.opencode.send(
            "permission.asked", id=f"per_{number}", sessionID=ROOT, permission="bash", metadata={"n": number}
        )
        await first.next("permission_request")
    await stage.opencode.send(
        "permission.asked", id="per_large", sessionID=ROOT, permission="bash", metadata={"x": "y" * 5_000_000}
    )
    assert (await first.next("permission_request"))["truncated"]
    await stage.opencode.send("permission.asked", id="per_title", sessionID=ROOT, permission="z" * 2_000_000)
    assert len((await first.next("permission_request"))["title"]) < 20_000
    for number in range(20):
        await stage.opencode.send(
            "permission.asked", id=f"per_big_{number}", sessionID=ROOT, permission="bash", metadata={"x": "y" * 300_000}
        )
        await first.next("permission_request")
    await stage.opencode.send("permission.replied", requestID="per_big_19", sessionID=ROOT, reply="once")
    await first.next("permission_resolved")
    second = await stage.follow(ann, live)
    await second.say("get_messages", session_id=live.pid)
    await second.next("messages", "error")
    waiting = [one["permission_id"] for one in second.told if one["type"] == "permission_request"]
    assert waiting == [f"per_big_{number}" for number in range(7, 19)], "the newest, 4 MiB together"
