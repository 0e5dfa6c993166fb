"""The chunks of OpenAI's chat completions as pieces, in the variants that its followers send.

Source: OpenAI's API reference, "The chat completion chunk object"; and how vLLM, llama.cpp, OpenRouter, Mistral, Ollama
and DeepSeek differ from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from moorage_chat.providers import faults
from moorage_chat.providers.base import (
    ErrorCode,
    Piece,
    ProviderError,
    Reasoning,
    Text,
    ToolFragment,
    Usage,
)

_REASONS = {"function_call": "tool_calls", "eos": "stop", "end_turn": "stop", "max_tokens": "length"}


class Deltas:
    """One answer. reason: the provider's own mark of the end, once it came."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._tools: dict[int, str] = {}

    def pieces(self, chunk: Any) -> Iterator[Piece]:
        """What a chunk adds. ProviderError when it tells of one, or is none."""
        if not isinstance(chunk, Mapping):
            raise ProviderError(ErrorCode.ERROR, f"a chunk that is no object but {type(chunk).__name__}")
        if chunk.get("error") or chunk.get("object") == "error" or chunk.get("type") == "error":
            raise faults.refused(None, chunk)
        if usage := counted(chunk.get("usage"), "prompt_tokens", "completion_tokens"):
            yield usage
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, Mapping):
            return
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, Mapping):
            yield from self._delta(delta)
        if reason := choice.get("finish_reason"):
            self._end(str(reason), choice)

    def _delta(self, delta: Mapping[str, Any]) -> Iterator[Piece]:
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str) and thought:
            yield Reasoning(thought)
        content = delta.get("content") or delta.get("refusal")
        if isinstance(content, str):
            yield Text(content)
        elif isinstance(content, list):
            yield from _parts(content)
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            for place, call in enumerate(calls):
                if isinstance(call, Mapping):
                    yield self._tool(place, call)

    def _tool(self, place: int, call: Mapping[str, Any]) -> ToolFragment:
        """A fragment. Some servers give no index; some repeat the id and the name with each fragment."""
        id = str(call.get("id") or "")
        index = call.get("index")
        if not isinstance(index, int) or isinstance(index, bool):
            known = next((at for at, other in self._tools.items() if id and other == id), None)
            index = known if known is not None else len(self._tools) if id else max(len(self._tools) - 1, place)
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments is not None else ""
        if index in self._tools:
            return ToolFragment(index, arguments=text)
        # Not every server gives calls an id, and the answer needs one to be matched by.
        self._tools[index] = id or f"call_{index}"
        return ToolFragment(index, self._tools[index], str(function.get("name") or ""), text)

    def _end(self, reason: str, choice: Mapping[str, Any]) -> None:
        if reason == "error":
            raise faults.refused(None, choice)
        if reason == "content_filter":
            raise ProviderError(ErrorCode.CONTENT_FILTER, "finish_reason content_filter")
        self.reason = _REASONS.get(reason, reason)


def _parts(content: list[Any]) -> Iterator[Piece]:
    for part in content:
        if isinstance(part, Mapping) and isinstance(part.get("text"), str) and part["text"]:
            yield Text(part["text"])
        elif isinstance(part, Mapping) and part.get("type") == "thinking" and isinstance(part.get("thinking"), list):
            thoughts = (item.get("text") for item in part["thinking"] if isinstance(item, Mapping))
            if thought := "".join(text for text in thoughts if isinstance(text, str)):
                yield Reasoning(thought)


def counted(usage: Any, prompt: str, completion: str) -> Usage | None:
    """Tokens by these members' names; None where they are not told, or are no counts: else such answers were free."""
    if not isinstance(usage, Mapping):
        return None
    told = [number for number in (usage.get(prompt), usage.get(completion)) if number is not None]
    if not told or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in told):
        return None
    return Usage(usage.get(prompt) or 0, usage.get(completion) or 0)
