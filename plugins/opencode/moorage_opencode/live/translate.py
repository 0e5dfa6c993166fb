"""OpenCode's events in the words of the contract.

Source: what OpenCode 1.18.33 sends on `/event`, as recorded; the contract's messages. Whatever has no word of its
own is passed on as `opencode_event`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

Message = dict[str, Any]
Properties = dict[str, Any]
V = TypeVar("V")
REMEMBERED = 5000
"""Parts, messages and tool calls of which the state is kept; of more than that the oldest are forgotten."""


MAX_ID = 512
"""Characters of an id, and of what is remembered as a word; what is longer is no OpenCode's, and not kept."""
MAX_WAITING, MAX_WAITING_BYTES = 256, 4 * 1024 * 1024
"""Questions that are kept for who comes later, of one session. A program in it may ask for ever."""


class Recent(OrderedDict[str, V], Generic[V]):
    """A dictionary of bounded size that forgets what was set longest ago."""

    def __setitem__(self, key: str, value: V) -> None:
        if len(key) > MAX_ID or (isinstance(value, str) and len(value) > MAX_ID):
            return
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > REMEMBERED:
            self.popitem(last=False)


class Waiting(OrderedDict[str, Message]):
    """Messages of a bounded size together; the oldest go."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes: dict[str, int] = {}

    def __setitem__(self, key: str, value: Message) -> None:
        self.pop(key, None)
        size = len(key) + len(json.dumps(value))
        if size > MAX_WAITING_BYTES:
            return
        super().__setitem__(key, value)
        self._sizes[key] = size
        while len(self) > MAX_WAITING or sum(self._sizes.values()) > MAX_WAITING_BYTES:
            del self[next(iter(self))]

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._sizes.pop(key, None)

    def pop(self, key: str, default: Any = None) -> Any:
        """Take one away; `default` if it is not there."""
        if key not in self:
            return default
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """Forget all."""
        super().clear()
        self._sizes.clear()


class Translator:
    """Of one session's events. It remembers what was told, so that nothing is told twice."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._texts: Recent[tuple[str, int]] = Recent()
        """By part: its type, and how many characters of it were told; -1: only its deltas are."""
        self._roles: Recent[str] = Recent()
        self._tools: Recent[str] = Recent()
        self._parents: Recent[str | None] = Recent()
        self.busy: Recent[bool] = Recent()
        """By OpenCode session, of those that nobody else began (sub-agents)."""
        self.waiting = Waiting()
        """Questions and requests for permission that nobody has answered, by their ids."""
        self._handlers: dict[str, Callable[[Properties], Iterable[Message]]] = {
            "server.connected": _nothing,
            "server.heartbeat": _nothing,
            "session.created": self._session,
            "session.updated": self._session,
            "session.deleted": self._session_deleted,
            "session.status": self._status,
            "session.idle": self._idle,
            "session.error": self._error,
            "message.updated": self._message,
            "message.part.updated": self._part,
            "message.part.delta": self._delta,
            "permission.asked": self._permission,
            "permission.replied": self._permission_replied,
            "question.asked": self._question,
            "question.replied": self._question_answered,
            "question.rejected": self._question_answered,
        }

    def translate(self, kind: str, properties: Properties) -> list[Message]:
        """The messages for one event, which may be none."""
        raw: Message = {"type": "opencode_event", "event_type": kind, "data": properties}
        handler = self._handlers.get(kind, _as_it_is)
        if kind in _OF_A_TURN and self._of_sub_agent(properties):
            handler = _as_it_is
        try:
            messages = list(handler(properties))
        except (KeyError, TypeError, AttributeError):
            messages = [_RAW]  # Not of the form that we know: a newer OpenCode, perhaps.
        return [self._addressed(message or raw, properties) for message in messages]

    def known(self, sessions: Iterable[Any]) -> None:
        """The OpenCode sessions that there are, as it lists them."""
        for info in sessions:
            if isinstance(info, dict) and isinstance(info.get("id"), str):
                self._parents[info["id"]] = _text_or_none(info.get("parentID"))

    def present(self) -> list[Message]:
        """What one who comes now has to know: who works, and what waits for an answer."""
        busy = [key for key, value in self.busy.items() if value]
        states: list[Message] = [{"type": "session_busy", "opencode_session_id": key} for key in busy]
        return [{**message, "session_id": self._session_id} for message in states or [{"type": "session_idle"}]] + list(
            self.waiting.values()
        )

    def forget_turns(self) -> None:
        """The stream was broken: what was told of texts may not be all, and answers may have been missed."""
        for part, (kind, _) in list(self._texts.items()):
            self._texts[part] = (kind, -1)
        self.busy.clear()
        self.waiting.clear()

    def _addressed(self, message: Message, properties: Properties) -> Message:
        session = _session_of(properties)
        addressed = {"type": message["type"], "session_id": self._session_id, **message}
        if session is not None:
            addressed["opencode_session_id"] = session
        if message["type"] in ("permission_request", "question_request"):
            self.waiting[message.get("permission_id") or message["request_id"]] = addressed
        return addressed

    def _of_sub_agent(self, properties: Properties) -> bool:
        """Its texts and tools are not the conversation's; what it asks is for the user all the same."""
        return self._parents.get(_session_of(properties) or "") is not None

    # Sessions.

    def _session(self, properties: Properties) -> Iterable[Message]:
        info = properties["info"]
        self._parents[info["id"]] = _text_or_none(info.get("parentID"))
        yield _RAW

    def _session_deleted(self, properties: Properties) -> Iterable[Message]:
        self.busy.pop(properties["info"]["id"], None)
        yield _RAW

    def _status(self, properties: Properties) -> Iterable[Message]:
        status = properties["status"]["type"]
        if status == "idle":
            yield from self._idle(properties)
            return
        if not self.busy.get(properties["sessionID"]):
            self.busy[properties["sessionID"]] = True
            yield {"type": "session_busy"}
        if status != "busy":  # A retry, with its reason.
            yield _RAW

    def _idle(self, properties: Properties) -> Iterable[Message]:
        if self.busy.pop(properties["sessionID"], False):
            yield {"type": "session_idle"}

    def _error(self, properties: Properties) -> Iterable[Message]:
        error = properties.get("error") or {}
        details = error.get("data") or {}
        name = error.get("name") or "UnknownError"
        yield {
            "type": "session_error",
            "error_type": name,
            "message": details.get("message") or name,
            "details": details,
        }

    # Messages.

    def _message(self, properties: Properties) -> Iterable[Message]:
        info = properties["info"]
        self._roles[info["id"]] = str(info["role"])
        yield {"type": "message_updated", "message": info}

    def _delta(self, properties: Properties) -> Iterable[Message]:
        if properties["field"] != "text":
            yield _RAW
            return
        kind, told = self._texts.get(properties["partID"], ("text", -1))
        if told >= 0:
            self._texts[properties["partID"]] = (kind, told + len(properties["delta"]))
        yield _text(kind, properties["messageID"], properties["delta"])

    def _part(self, properties: Properties) -> Iterable[Message]:
        part = properties["part"]
        if part["type"] in ("text", "reasoning"):
            yield from self._whole_text(part)
        elif part["type"] == "tool":
            yield from self._tool(part, properties)
        else:
            yield _RAW

    def _whole_text(self, part: Properties) -> Iterable[Message]:
        """A text as it is by now: what no delta has told of it. What the user wrote is in no delta."""
        known = part["id"] in self._texts
        kind, told = self._texts.get(part["id"], (part["type"], 0))
        text = part["text"]
        if self._roles.get(part["messageID"]) != "assistant":
            # The user's own; or one that began before we listened, of which deltas may tell the rest.
            self._texts[part["id"]] = (part["type"], told if known else -1)
            return
        if told < 0:
            return
        self._texts[part["id"]] = (kind, max(told, len(text)))
        if len(text) > told:
            yield _text(kind, part["messageID"], text[told:])

    def _tool(self, part: Properties, properties: Properties) -> Iterable[Message]:
        state, call = part["state"], part["callID"]
        named = {"tool_call_id": call, "tool_name": part["tool"]}
        key = f"{part['messageID']}/{call}"
        stage = self._tools.get(key)
        if stage == "ended":
            return
        if state["status"] == "pending":
            yield _RAW
            return
        if stage is None:
            self._tools[key] = "started"
            yield {"type": "tool_start", **named, "input": state.get("input")}
        if state["status"] in ("completed", "error"):
            self._tools[key] = "ended"
            failed = state["status"] == "error"
            yield {
                "type": "tool_end",
                **named,
                "result": state.get("error" if failed else "output"),
                "is_error": failed,
            }
        elif stage is not None:
            yield _RAW

    # What waits for an answer.

    def _permission(self, properties: Properties) -> Iterable[Message]:
        if properties["id"] in self.waiting:
            return
        patterns = [str(pattern) for pattern in properties.get("patterns") or ()]
        metadata = properties.get("metadata") or {}
        title = metadata.get("title") or f"{properties['permission']}: {', '.join(patterns)}".removesuffix(": ")
        message: Message = {
            "type": "permission_request",
            "permission_id": properties["id"],
            "permission_type": properties["permission"],
            "title": title,
            "metadata": metadata,
        }
        if patterns:
            message["pattern"] = patterns[0] if len(patterns) == 1 else patterns
        if isinstance(tool := properties.get("tool"), dict):
            message["tool_call_id"] = tool.get("callID")
        yield message

    def _permission_replied(self, properties: Properties) -> Iterable[Message]:
        self.waiting.pop(properties["requestID"], None)
        granted = properties["reply"] != "reject"
        yield {"type": "permission_resolved", "permission_id": properties["requestID"], "granted": granted}

    def _question(self, properties: Properties) -> Iterable[Message]:
        if properties["id"] in self.waiting:
            return
        message = {"type": "question_request", "request_id": properties["id"], "questions": properties["questions"]}
        if properties.get("tool") is not None:
            message["tool"] = properties["tool"]
        yield message

    def _question_answered(self, properties: Properties) -> Iterable[Message]:
        self.waiting.pop(properties["requestID"], None)
        yield {"type": "question_resolved", "request_id": properties["requestID"]}


_OF_A_TURN = frozenset(
    ("session.status", "session.idle", "message.updated", "message.part.updated", "message.part.delta")
)


_RAW: Message = {}
"""Stands for the event as it is."""


def _as_it_is(properties: Properties) -> Iterable[Message]:
    return (_RAW,)


def _nothing(properties: Properties) -> Iterable[Message]:
    return ()


def _session_of(properties: Properties) -> str | None:
    """The OpenCode session that an event is about."""
    inner = properties.get("part") or properties.get("info")
    session = properties.get("sessionID") or (inner.get("sessionID") if isinstance(inner, dict) else None)
    return session if isinstance(session, str) else None


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _text(kind: str, message_id: str, delta: str) -> Message:
    return {"type": "thinking_delta" if kind == "reasoning" else "text_delta", "message_id": message_id, "delta": delta}
