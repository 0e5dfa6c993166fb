"""Conversations in OpenAI's form as Anthropic's: blocks, the system's words apart, results of tools said by the user.

Source: Anthropic's API reference, "Create a Message", and "Tool use".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_DATA_URL = re.compile(r"data:(image/[a-z0-9.+-]+);base64,(.*)", re.DOTALL)
Block = dict[str, Any]


def conversation(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """(what the system says, the other messages): turns of one side after another are one, and no block is empty."""
    system: list[str] = []
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = message.get("role")
        if role in ("system", "developer"):
            system += [block["text"] for block in _content(message.get("content")) if block["type"] == "text"]
            continue
        blocks = _result(message) if role == "tool" else _content(message.get("content"))
        side = "assistant" if role == "assistant" else "user"
        if side == "assistant":
            blocks = [*blocks, *_calls(message.get("tool_calls"))]
        if not blocks:
            continue
        if turns and turns[-1]["role"] == side:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": side, "content": blocks})
    return "\n\n".join(system), turns


def tools(wanted: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """OpenAI's functions as tools."""
    functions = [mapping(tool.get("function")) for tool in wanted]
    return [
        {
            "name": function.get("name"),
            "description": function.get("description") or "",
            "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
        }
        for function in functions
    ]


def tool_choice(wanted: Any, *, parallel: bool) -> dict[str, Any] | None:
    """OpenAI's `tool_choice`; None leaves it to the model."""
    if isinstance(wanted, Mapping):
        choice = {"type": "tool", "name": mapping(wanted.get("function")).get("name")}
    else:
        kind = {"required": "any", "none": "none"}.get(str(wanted), "auto")
        if kind == "auto" and parallel:
            return None
        choice = {"type": kind}
    if not parallel and choice["type"] != "none":
        return {**choice, "disable_parallel_tool_use": True}
    return choice


def _content(content: Any) -> list[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    blocks: list[Block] = []
    for part in content if isinstance(content, Sequence) else ():
        if not isinstance(part, Mapping):
            continue
        if part.get("type") == "image_url":
            blocks.append(_image(str(mapping(part.get("image_url")).get("url") or "")))
        elif isinstance(text := part.get("text"), str) and text.strip():
            blocks.append({"type": "text", "text": text})
    return blocks


def _image(url: str) -> Block:
    inline = _DATA_URL.fullmatch(url)
    if inline is None:
        return {"type": "image", "source": {"type": "url", "url": url}}
    source = {"type": "base64", "media_type": inline[1], "data": inline[2]}
    return {"type": "image", "source": source}


def _result(message: Mapping[str, Any]) -> list[Block]:
    content = _content(message.get("content"))
    block: Block = {"type": "tool_result", "tool_use_id": str(message.get("tool_call_id") or "")}
    return [{**block, "content": content} if content else block]


def _calls(calls: Any) -> list[Block]:
    blocks: list[Block] = []
    for call in calls if isinstance(calls, Sequence) else ():
        function = mapping(mapping(call).get("function"))
        blocks.append(
            {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": _input(function)}
        )
    return blocks


def _input(function: Mapping[str, Any]) -> dict[str, Any]:
    """A call's arguments. What a model wrote and is no JSON object cannot be said again as it was."""
    try:
        found = json.loads(function.get("arguments") or "{}")
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def mapping(value: Any) -> Mapping[str, Any]:
    """The value, or an empty one where it is something else."""
    return value if isinstance(value, Mapping) else {}
