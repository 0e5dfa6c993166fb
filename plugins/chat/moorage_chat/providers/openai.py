"""Providers that speak OpenAI's API: LM Studio, Ollama, llama.cpp, vLLM, OpenRouter, OpenAI itself, and many more.

Source: OpenAI's API reference, "Create chat completion", "Streaming" and "List models".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from moorage_chat.config import ProviderConfig
from moorage_chat.providers import sse
from moorage_chat.providers.base import Ask, Capabilities, ErrorCode, Finish, Piece, ProviderError
from moorage_chat.providers.deltas import Deltas
from moorage_chat.providers.sdk import LINGER, Refused, SdkProvider

MORE = frozenset(
    (
        "frequency_penalty",
        "logit_bias",
        "max_completion_tokens",
        "parallel_tool_calls",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
        "verbosity",
        # Not OpenAI's, but known to most of those that follow it.
        "top_k",
        "min_p",
        "repeat_penalty",
    )
)
"""What is taken of `Ask.more`."""
_ADAPTATIONS = 3


class OpenAIProvider(SdkProvider):
    """A provider by its settings."""

    sdk, extra = "openai", "chat"

    def __init__(self, id: str, config: ProviderConfig) -> None:
        tools = True if config.tools is None else config.tools
        super().__init__(
            id,
            config,
            Capabilities(
                vision=config.vision, tools=tools, json_mode=True, max_context_tokens=config.max_context_tokens
            ),
        )
        self._tells_usage = True

    def _auth(self, key: str) -> Mapping[str, Any]:
        omit = self._sdk.omit
        # The SDK would also send what it finds in the environment for OpenAI itself.
        elsewhere = {"OpenAI-Organization": omit, "OpenAI-Project": omit}
        return {**elsewhere, "Authorization": f"Bearer {key}" if key else omit}

    def _make(self, sdk: Any, http: Any) -> Any:
        return sdk.AsyncOpenAI(
            api_key="unused", base_url=self._config.base_url, http_client=http, timeout=http.timeout, max_retries=0
        )

    async def generate(self, ask: Ask) -> AsyncGenerator[Piece, None]:
        """A chat completion, streamed, or whole from a server that does not stream."""
        body = self._body(ask)
        for attempt in range(_ADAPTATIONS + 1):
            try:
                async with aclosing(self._answer(body)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except Refused as error:
                # Refused before anything was made: asking once more costs nothing.
                if attempt == _ADAPTATIONS or not self._adapt(body, error):
                    raise

    def _body(self, ask: Ask) -> dict[str, Any]:
        body: dict[str, Any] = {"model": ask.model, "messages": list(ask.messages), "stream": True}
        body |= {name: value for name, value in ask.more.items() if name in MORE and value is not None}
        named = {"temperature": ask.temperature, "top_p": ask.top_p, "max_tokens": ask.max_tokens}
        body |= {name: value for name, value in named.items() if value is not None}
        if ask.tools:
            body["tools"] = list(ask.tools)
            if ask.tool_choice is not None:
                body["tool_choice"] = ask.tool_choice
        if self._tells_usage:
            body["stream_options"] = {"include_usage": True}
        return body

    def _adapt(self, body: dict[str, Any], error: Refused) -> bool:
        """Leave out what this server or model refuses by name. False when that is not why it refused."""
        if error.status not in (400, 422):
            return False
        said = str(error.body)
        if "stream_options" in body and ("stream_options" in said or "include_usage" in said):
            del body["stream_options"]
            self._tells_usage = False
            return True
        if "max_tokens" in body and "max_completion_tokens" in said:
            body["max_completion_tokens"] = body.pop("max_tokens")
            return True
        problem = error.body.get("error", error.body) if isinstance(error.body, Mapping) else {}
        param = problem.get("param") if isinstance(problem, Mapping) else None
        if param in ("temperature", "top_p") and param in body and str(problem.get("code")).startswith("unsupported"):
            # Models that reason take only their own.
            del body[param]
            return True
        return False

    async def _answer(self, body: Mapping[str, Any]) -> AsyncGenerator[Piece, None]:
        deltas = Deltas()
        async with self._open("POST", "/chat/completions", body) as response:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind in ("application/json", "text/html"):
                for piece in deltas.pieces(await self._whole(response)):
                    yield piece
            else:
                async with aclosing(self._chunks(response, deltas)) as chunks:
                    async for chunk in chunks:
                        for piece in deltas.pieces(chunk):
                            yield piece
        if deltas.reason is None:
            raise ProviderError(ErrorCode.INCOMPLETE, "the stream ended without a finish_reason")
        yield Finish(deltas.reason)

    async def _chunks(self, response: Any, deltas: Deltas) -> AsyncGenerator[Any, None]:
        async with aclosing(self._events(response)) as events:
            while True:
                if deltas.reason is None:
                    chunk = await anext(events, sse.DONE)
                else:
                    # Whole already: a fault now takes nothing from it.
                    chunk = sse.DONE
                    with suppress(ProviderError, TimeoutError):
                        async with asyncio.timeout(LINGER):
                            chunk = await anext(events, sse.DONE)
                if chunk == sse.DONE:
                    return
                yield chunk
