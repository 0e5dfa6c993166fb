"""What clients of `/api/ws` may ask of a session's OpenCode."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from moorage.api import BadRequest, NotFound

from moorage_opencode.live import messages, parts
from moorage_opencode.live.bridge import Bridge
from moorage_opencode.live.conversation import checked_id

if TYPE_CHECKING:
    from moorage_opencode.live.connection import Connection
    from moorage_opencode.sessions import Live

Data = dict[str, Any]
Command = Callable[["Connection", Bridge, Data], Awaitable[None]]
MESSAGES = 200
"""How many of the newest messages `get_messages` shows, unless it asks for fewer."""


async def send_message(connection: Connection, bridge: Bridge, data: Data) -> None:
    """Hand a message with its attachments to the agent. What it says to it comes as events."""
    workspace = connection.session(bridge.session_id).workspace
    await _prompt(connection, bridge, data, parts.of_message(data.get("message"), data.get("attachments"), workspace))


async def send_parts(connection: Connection, bridge: Bridge, data: Data) -> None:
    """The same in parts."""
    workspace = connection.session(bridge.session_id).workspace
    await _prompt(connection, bridge, data, parts.of_parts(data.get("parts"), workspace))


async def _prompt(connection: Connection, bridge: Bridge, data: Data, content: list[Data]) -> None:
    named = _named(data)
    live = await connection.reachable(bridge.session_id, resume=True)
    call = connection.events.opencode.call
    if named is not None:
        await call(live, "POST", f"/session/{named}/prompt_async", body={"parts": content})
        return
    found = await bridge.conversation.find_or_begin(live)
    try:
        await call(live, "POST", f"/session/{found}/prompt_async", body={"parts": content})
    except NotFound:  # It was deleted, and nobody was there to hear of it.
        bridge.conversation.forget(found)
        found = await bridge.conversation.find_or_begin(live)
        await call(live, "POST", f"/session/{found}/prompt_async", body={"parts": content})


async def abort(connection: Connection, bridge: Bridge, data: Data) -> None:
    """Break off what the agent does."""
    named = _named(data)
    live = await connection.reachable(bridge.session_id, resume=False)
    found = named or await bridge.conversation.find(live)
    if found is not None:  # Without a conversation there is nothing that could run.
        await connection.events.opencode.call(live, "POST", f"/session/{found}/abort")


async def permission_reply(connection: Connection, bridge: Bridge, data: Data) -> None:
    """Grant (once, or with `always` for good) or refuse what the agent asked leave for."""
    permission, granted, always = (
        checked_id(data.get("permission_id"), "permission_id"),
        data.get("granted"),
        data.get("always"),
    )
    if not isinstance(granted, bool) or not isinstance(always, bool | None):
        raise BadRequest("granted must be true or false")
    reply = ("always" if always else "once") if granted else "reject"
    live = await connection.reachable(bridge.session_id, resume=False)
    await connection.events.opencode.call(live, "POST", f"/permission/{permission}/reply", body={"reply": reply})


async def question_reply(connection: Connection, bridge: Bridge, data: Data) -> None:
    """Answer the agent's questions: for each the chosen labels, or one text."""
    question, answers = checked_id(data.get("request_id"), "request_id"), data.get("answers")
    if not isinstance(answers, list):
        raise BadRequest("answers must be a list")
    chosen = [[answer] if isinstance(answer, str) else answer for answer in answers]
    if not all(isinstance(answer, list) and all(isinstance(label, str) for label in answer) for answer in chosen):
        raise BadRequest("An answer is a text, or a list of texts")
    live = await connection.reachable(bridge.session_id, resume=False)
    await connection.events.opencode.call(live, "POST", f"/question/{question}/reply", body={"answers": chosen})


async def question_reject(connection: Connection, bridge: Bridge, data: Data) -> None:
    """Leave the agent's questions without an answer."""
    question = checked_id(data.get("request_id"), "request_id")
    live = await connection.reachable(bridge.session_id, resume=False)
    await connection.events.opencode.call(live, "POST", f"/question/{question}/reject")


async def refresh_session(connection: Connection, bridge: Bridge, data: Data) -> None:
    """Tell how the session is, who works, and what waits for an answer."""
    connection.show_state(bridge.session_id, bridge)


async def get_messages(connection: Connection, bridge: Bridge, data: Data) -> None:
    """Show the conversation: the newest `limit` messages, or those after `after_id`."""
    named, after, limit = _named(data), data.get("after_id"), data.get("limit", MESSAGES)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MESSAGES:
        raise BadRequest(f"limit must be a number from 1 to {MESSAGES}")
    if after is not None and not isinstance(after, str):
        raise BadRequest("after_id must be a text")
    live = await connection.reachable(bridge.session_id, resume=False)
    found = named or await bridge.conversation.find(live)
    shown = await _messages(connection, live, found, limit) if found is not None else []
    ids = [message["info"]["id"] for message in shown]
    if after in ids:
        shown = shown[ids.index(after) + 1 :]
    answer = {"type": "messages", "session_id": bridge.session_id, "opencode_session_id": found, "messages": shown}
    await connection.socket.send(messages.encode(answer, limit=None))


async def _messages(connection: Connection, live: Live, session: str, limit: int) -> list[Data]:
    query = {"limit": str(limit)}
    found = await connection.events.opencode.call(live, "GET", f"/session/{session}/message", query=query)
    return [message for message in found or () if isinstance(message, dict) and "id" in (message.get("info") or ())]


async def a2ui_action(connection: Connection, bridge: Bridge, data: Data) -> None:
    """The contract has other agents too, that draw surfaces; OpenCode draws none."""
    raise BadRequest("The session's agent shows no A2UI surfaces, so there is nothing to act on")


COMMANDS: dict[str, Command] = {
    "send_message": send_message,
    "send_parts": send_parts,
    "abort": abort,
    "permission_reply": permission_reply,
    "question_reply": question_reply,
    "question_reject": question_reject,
    "refresh_session": refresh_session,
    "get_messages": get_messages,
    "a2ui_action": a2ui_action,
}


def _named(data: Data) -> str | None:
    """The OpenCode session that a client means, where it names one."""
    value = data.get("opencode_session_id")
    return None if value is None else checked_id(value, "opencode_session_id")
