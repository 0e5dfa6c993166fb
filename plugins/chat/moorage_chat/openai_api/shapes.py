"""Answers as OpenAI's API gives them. Source: OpenAI's API reference, the chat completion (chunk) and model objects."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from moorage_chat.providers.base import Piece, Reasoning, Text, ToolFragment

DONE = b"data: [DONE]\n\n"


class ModelShape(TypedDict):
    """A model. id: `provider/model`. created: when this server began, since providers do not all say."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(TypedDict):
    """GET /v1/models."""

    object: Literal["list"]
    data: list[ModelShape]


class UsageShape(TypedDict):
    """Tokens. estimated: the provider did not count, so we did, roughly."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: NotRequired[bool]


class FunctionShape(TypedDict):
    """Which function, and its arguments as JSON, as the model wrote it: it may be wrong."""

    name: str
    arguments: str


class CallShape(TypedDict):
    """A call that the client is asked to make."""

    id: str
    type: Literal["function"]
    function: FunctionShape


class AnswerShape(TypedDict):
    """The answer's message."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[CallShape]]


class ChoiceShape(TypedDict):
    """The one choice."""

    index: int
    message: AnswerShape
    logprobs: None
    finish_reason: str


class CompletionShape(TypedDict):
    """POST /v1/chat/completions without `stream`. model: what answered, as `provider/model`."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChoiceShape]
    usage: UsageShape


class Whole:
    """An answer that is put together."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, CallShape] = {}

    def add(self, piece: Piece) -> None:
        """One piece more."""
        if isinstance(piece, Text):
            self._text.append(piece.text)
        elif isinstance(piece, Reasoning):
            self._reasoning.append(piece.text)
        elif isinstance(piece, ToolFragment):
            empty: CallShape = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
            call = self._calls.setdefault(piece.index, empty)
            call["id"] = call["id"] or piece.id
            call["function"]["name"] = call["function"]["name"] or piece.name
            call["function"]["arguments"] += piece.arguments

    def completion(self, id: str, created: int, model: str, reason: str, usage: UsageShape) -> CompletionShape:
        """The whole answer."""
        text = "".join(self._text)
        message: AnswerShape = {"role": "assistant", "content": text, "refusal": None}
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        if self._calls:
            message["content"] = text or None
            message["tool_calls"] = [self._calls[index] for index in sorted(self._calls)]
        choice: ChoiceShape = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return {
            "id": id,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [choice],
            "usage": usage,
        }


class Chunks:
    """The events of a stream, as bytes. What all of them share is written once."""

    def __init__(self, id: str, created: int, model: str, *, usage: bool) -> None:
        head = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._head = b"data: " + json.dumps(head)[:-1].encode()
        # While usage is still to come, each chunk says so.
        self._tail = b',"usage":null}\n\n' if usage else b"}\n\n"
        self._before_text = self._head + b',"choices":[{"index":0,"delta":{"content":'
        self._after_text = b'},"logprobs":null,"finish_reason":null}]' + self._tail

    def first(self) -> bytes:
        """Who speaks."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, piece: Piece) -> bytes:
        """Some more of the answer."""
        if isinstance(piece, Text):
            # Nearly all are of this kind, so it is not made by way of objects.
            return self._before_text + encode_basestring_ascii(piece.text).encode() + self._after_text
        if isinstance(piece, Reasoning):
            return self._chunk({"reasoning_content": piece.text})
        if isinstance(piece, ToolFragment):
            return self._chunk({"tool_calls": [_fragment(piece)]})
        return b""

    def last(self, reason: str) -> bytes:
        """Why it ends."""
        return self._chunk({}, reason)

    def usage(self, usage: UsageShape) -> bytes:
        """What it took."""
        return self._head + b',"choices":[],"usage":' + json.dumps(usage).encode() + b"}\n\n"

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = b',"choices":[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]'
        return self._head + choice % (json.dumps(delta).encode(), json.dumps(reason).encode()) + self._tail


def failed(body: dict[str, Any]) -> bytes:
    """An error within a stream, after which nothing comes. body: as the dialect spells it."""
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _fragment(piece: ToolFragment) -> dict[str, Any]:
    found: dict[str, Any] = {"index": piece.index}
    if piece.id:
        found |= {"id": piece.id, "type": "function"}
    function = {"arguments": piece.arguments}
    if piece.name:
        function = {"name": piece.name, **function}
    return {**found, "function": function}
