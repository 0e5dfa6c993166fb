"""A model's tool calls: put together from the fragments of a stream, kept with the answer, and told again later."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moorage_chat.providers.base import ErrorCode, ProviderError, ToolFragment
from moorage_chat.records import Message, Role
from moorage_chat.store.text import sound_json

MAX_CALLS = 128
"""Calls that one round of an answer may ask for at most."""
MAX_ARGUMENTS = 256 * 1024
"""Characters of all their arguments."""
PART = "tool_rounds"
"""In a message's parts: [{"until": characters of the content that were said before, "calls": [`use`, …]}, …]."""
CALL = ("id", "set", "tool", "arguments")
RESULT = ("id", "text", "is_error", "seconds")


@dataclass(slots=True)
class ToolCall:
    """A call as a model asks for it. arguments: JSON as the model wrote it, which may be none."""

    id: str
    name: str
    arguments: str = ""

    def object(self) -> dict[str, Any] | None:
        """The arguments; None where they are no JSON object."""
        if not self.arguments.strip():
            return {}
        try:
            found = sound_json(json.loads(self.arguments, parse_constant=_refuse, parse_float=_finite))
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    """`1e999` is JSON, but no number that can be handed on as JSON, or stored."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that is too large")
    return number


class Collector:
    """Puts together the calls of one round."""

    def __init__(self, round_number: int) -> None:
        self._round = round_number
        self._calls: list[ToolCall] = []
        self._open: dict[int, ToolCall] = {}
        self._characters = 0

    def __len__(self) -> int:
        return len(self._calls)

    def take(self, fragment: ToolFragment) -> None:
        """One more fragment. ProviderError when there are too many calls, or they are too long."""
        call = self._open.get(fragment.index)
        # Some servers number every call 0 and tell them apart by their ids alone.
        if call is None or (fragment.id and call.id and fragment.id != call.id):
            if len(self._calls) >= MAX_CALLS:
                raise ProviderError(ErrorCode.ERROR, f"more than {MAX_CALLS} tool calls at once")
            call = self._open[fragment.index] = ToolCall("", "")
            self._calls.append(call)
        call.id = call.id or fragment.id
        call.name = call.name or fragment.name
        call.arguments += fragment.arguments
        self._characters += len(fragment.arguments)
        if self._characters > MAX_ARGUMENTS:
            raise ProviderError(ErrorCode.ERROR, "the arguments of tool calls are too long")

    def calls(self) -> list[ToolCall]:
        """All of them; each has an id that no other has."""
        seen: set[str] = set()
        for number, call in enumerate(self._calls):
            if not call.id or call.id in seen:
                call.id = f"call_{self._round}_{number}"
            seen.add(call.id)
        return self._calls


def use(call: Mapping[str, Any]) -> dict[str, Any]:
    """One use of a tool, as it is kept; until it is over, as one that was broken off.

    {"id", "set": id of the set of tools ("" where there is no such tool), "tool": the name that the model has for it,
    "arguments", "text": what it said, "is_error", "seconds"}; `CALL` and `RESULT` are what the two events tell of it.
    """
    kept = {key: call[key] for key in CALL}
    return {**kept, "text": "The use of the tool was broken off", "is_error": True, "seconds": 0.0}


def asked(text: str, calls: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The message in which a model asked for calls: {"id", "tool", "arguments"}."""
    made = [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["tool"], "arguments": json.dumps(call["arguments"], ensure_ascii=False)},
        }
        for call in calls
    ]
    return {"role": "assistant", "content": text, "tool_calls": made}


def answered(call: Mapping[str, Any]) -> dict[str, Any]:
    """The message with what a tool said. Models know a tool's failure by its words."""
    text = str(call.get("text", ""))
    return {
        "role": "tool",
        "tool_call_id": call["id"],
        "content": f"Error: {text}" if call.get("is_error") and not text.lower().startswith("error") else text,
    }


def sent(message: Message, *, tools: bool) -> list[dict[str, Any]]:
    """What a model is sent for a stored message.

    An answer in which tools were used is sent as it came about: what was said, the calls, what the tools said, and so
    on. Not where no tools are offered now: providers refuse calls of tools that a request does not name.
    """
    if message.role is Role.TOOL:
        said = {"id": message.parts.get("tool_call_id"), "text": message.content}
        return [answered(said)] if tools and said["id"] else []
    rounds = kept(message) if message.role is Role.ASSISTANT and tools else []
    if not rounds:
        return [{"role": message.role.value, "content": message.content}] if _says(message) else []
    made: list[dict[str, Any]] = []
    said_until = 0
    for one in rounds:
        calls: Sequence[Mapping[str, Any]] = one["calls"]
        made.append(asked(message.content[said_until : one["until"]].strip(), calls))
        made.extend(answered(call) for call in calls)
        said_until = one["until"]
    if rest := message.content[said_until:].strip():
        made.append({"role": "assistant", "content": rest})
    return made


def kept(message: Message) -> list[Mapping[str, Any]]:
    """A message's rounds; none where they are not as we write them, as in a file that somebody imports."""
    rounds = message.parts.get(PART)
    if not isinstance(rounds, list) or not all(_is_round(one) for one in rounds):
        return []
    return rounds


def _is_round(one: Any) -> bool:
    if not isinstance(one, Mapping) or not isinstance(one.get("until"), int):
        return False
    calls = one.get("calls")
    return isinstance(calls, list) and bool(calls) and all(_is_call(call) for call in calls)


def _is_call(call: Any) -> bool:
    if not isinstance(call, Mapping) or not isinstance(call.get("arguments"), Mapping):
        return False
    return all(isinstance(call.get(key), str) for key in ("id", "tool", "text"))


def _says(message: Message) -> bool:
    return bool(message.content) or message.role is not Role.ASSISTANT


def rounds_of(events: Iterable[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """`parts["tool_rounds"]` from a log's (type, data): for an answer whose server was killed.

    A call whose result is not there is told as one that was broken off.
    """
    rounds: list[dict[str, Any]] = []
    known: dict[str, dict[str, Any]] = {}
    characters, fresh = 0, True
    for kind, data in events:
        if kind == "delta":
            characters, fresh = characters + len(data["delta"]), True
        elif kind == "tool_call":
            if fresh:
                rounds.append({"until": characters, "calls": []})
                fresh = False
            known[data["id"]] = use(data)
            rounds[-1]["calls"].append(known[data["id"]])
        elif kind == "tool_result":
            fresh = True
            if (found := known.get(data["id"])) is not None:
                found.update({key: data[key] for key in RESULT})
    return rounds
