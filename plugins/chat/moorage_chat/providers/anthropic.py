"""Anthropic's models, by its own API and SDK (the extra `anthropic`).

Source: Anthropic's API reference, "Create a Message", "Streaming Messages", "Errors" and "List Models".
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from moorage_chat.config import ProviderConfig
from moorage_chat.providers import faults, sse
from moorage_chat.providers.base import (
    Ask,
    Capabilities,
    ErrorCode,
    Finish,
    Piece,
    ProviderError,
    Reasoning,
    Text,
    ToolFragment,
    Usage,
)
from moorage_chat.providers.blocks import conversation, mapping, tool_choice, tools
from moorage_chat.providers.deltas import counted
from moorage_chat.providers.sdk import SdkProvider

BASE_URL = "https://api.anthropic.com"
MAX_TOKENS = 8192
"""Of an answer, unless asked otherwise: the API wants a number."""
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}


class AnthropicProvider(SdkProvider):
    """A provider by its settings."""

    sdk, extra = "anthropic", "anthropic"
    models_path = "/v1/models?limit=1000"

    def __init__(self, id: str, config: ProviderConfig) -> None:
        able = True if config.tools is None else config.tools
        super().__init__(
            id, config, Capabilities(vision=config.vision, tools=able, max_context_tokens=config.max_context_tokens)
        )

    def _auth(self, key: str) -> Mapping[str, Any]:
        omit = self._sdk.omit
        return {"Authorization": omit, "X-Api-Key": key or omit}

    def _make(self, sdk: Any, http: Any) -> Any:
        # With a key given, the SDK looks for none in the environment or in files.
        return sdk.AsyncAnthropic(
            api_key="unused",
            base_url=self._config.base_url or BASE_URL,
            http_client=http,
            timeout=http.timeout,
            max_retries=0,
        )

    async def generate(self, ask: Ask) -> AsyncGenerator[Piece, None]:
        """A streamed message."""
        answer = _Answer()
        async with (
            self._open("POST", "/v1/messages", _body(ask)) as response,
            aclosing(self._events(response)) as events,
        ):
            async for event in events:
                for piece in answer.pieces(event):
                    yield piece
                if answer.ended:
                    break
        if not answer.ended:
            raise ProviderError(ErrorCode.INCOMPLETE, "the stream ended without message_stop")
        yield Finish(answer.reason)


def _body(ask: Ask) -> dict[str, Any]:
    system, messages = conversation(ask.messages)
    longest = ask.max_tokens or ask.more.get("max_completion_tokens") or MAX_TOKENS
    body: dict[str, Any] = {"model": ask.model, "messages": messages, "max_tokens": longest, "stream": True}
    if system:
        body["system"] = system
    # Newer models refuse both at once. Theirs goes to 1 where OpenAI's goes to 2.
    if ask.temperature is not None:
        body["temperature"] = min(ask.temperature, 1.0)
    elif ask.top_p is not None:
        body["top_p"] = ask.top_p
    stop = ask.more.get("stop")
    if stop:
        body["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    if ask.tools:
        body["tools"] = tools(ask.tools)
        chosen = tool_choice(ask.tool_choice, parallel=ask.more.get("parallel_tool_calls") is not False)
        if chosen is not None:
            body["tool_choice"] = chosen
    return body


class _Answer:
    """One answer. ended: message_stop came; reason: why, in OpenAI's words."""

    def __init__(self) -> None:
        self.ended = False
        self.reason = "stop"
        self._asked = self._said = 0
        self._tools: dict[Any, int] = {}
        """Which tool call a content block is."""
        self._filled: set[int] = set()

    def pieces(self, event: Any) -> Iterator[Piece]:
        """What an event adds. ProviderError when it tells of one, or is none."""
        if not isinstance(event, Mapping):
            raise ProviderError(ErrorCode.ERROR, "an event that is no object" if event != sse.DONE else "[DONE]")
        kind = event.get("type")
        if kind == "error" or event.get("error"):
            raise faults.refused(None, event)
        if kind == "message_start":
            message = event.get("message")
            yield from self._usage(message.get("usage") if isinstance(message, Mapping) else None)
        elif kind == "content_block_start":
            yield from self._begin(event.get("index"), mapping(event.get("content_block")))
        elif kind == "content_block_delta":
            yield from self._more(event.get("index"), mapping(event.get("delta")))
        elif kind == "content_block_stop":
            yield from self._end(event.get("index"))
        elif kind == "message_delta":
            yield from self._usage(event.get("usage"))
            self._reason(mapping(event.get("delta")).get("stop_reason"))
        elif kind == "message_stop":
            self.ended = True

    def _begin(self, index: Any, block: Mapping[str, Any]) -> Iterator[Piece]:
        if block.get("type") == "tool_use":
            number = self._tools[index] = len(self._tools)
            yield ToolFragment(number, str(block.get("id") or f"call_{number}"), str(block.get("name") or ""))
        elif isinstance(text := block.get("text"), str) and text:
            yield Text(text)

    def _more(self, index: Any, delta: Mapping[str, Any]) -> Iterator[Piece]:
        kind = delta.get("type")
        if kind == "text_delta" and delta.get("text"):
            yield Text(str(delta["text"]))
        elif kind == "thinking_delta" and delta.get("thinking"):
            yield Reasoning(str(delta["thinking"]))
        elif kind == "input_json_delta" and delta.get("partial_json") and index in self._tools:
            self._filled.add(self._tools[index])
            yield ToolFragment(self._tools[index], arguments=str(delta["partial_json"]))

    def _end(self, index: Any) -> Iterator[Piece]:
        number = self._tools.get(index)
        if number is not None and number not in self._filled:
            # A tool without arguments: OpenAI's way is an empty object, here nothing is sent.
            self._filled.add(number)
            yield ToolFragment(number, arguments="{}")

    def _usage(self, usage: Any) -> Iterator[Piece]:
        """Numbers so far: those of the prompt come first, those of the answer with its end."""
        if not isinstance(usage, Mapping):
            return
        prompt = [usage.get(f"{kind}input_tokens") for kind in ("", "cache_creation_", "cache_read_")]
        total = sum(n for n in prompt if isinstance(n, int))
        told = counted({"in": total, "out": usage.get("output_tokens")}, "in", "out")
        if told is not None:
            self._asked, self._said = told.prompt_tokens or self._asked, told.completion_tokens or self._said
            yield Usage(self._asked, self._said)

    def _reason(self, reason: Any) -> None:
        if reason == "refusal":
            raise ProviderError(ErrorCode.CONTENT_FILTER, "stop_reason refusal")
        if reason:
            self.reason = _REASONS.get(reason, "stop")
