"""Chat's providers by themselves: the service as the engine calls it, over real HTTP, without a server around it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpx2
import structlog
from moorage.api import Topic
from moorage.events import TaskSupervisor
from moorage_chat.config import ChatConfig
from moorage_chat.providers.base import (
    Ask,
    ErrorCode,
    Finish,
    Provider,
    ProviderError,
    Reasoning,
    Text,
    ToolFragment,
    Usage,
)
from moorage_chat.providers.registry import Choice, Providers, Queued, Switched

# Each client reads the certificates of all authorities anew.
httpx2.create_ssl_context = functools.cache(httpx2.create_ssl_context)


@dataclass
class Plugins:
    """The plugins that give providers of their own, by name."""

    makers: dict[str, Callable[[], Iterable[Provider]]] = field(default_factory=dict)

    def subscribe(self, topic: str, handler: Callable[[dict[str, str]], None]) -> None:
        assert topic == Topic.PLUGIN_CHANGED
        self.changed = handler

    def implementers(self, hook: str) -> list[str]:
        return list(self.makers)

    def call_one(self, hook: str, plugin: str) -> Iterable[Provider]:
        return self.makers[plugin]()


@contextlib.asynccontextmanager
async def providers(
    settings: Mapping[str, Any], plugins: Plugins | None = None, **more: Any
) -> AsyncIterator[Providers]:
    """The service, with these settings of providers; `more`: other settings of chat's."""
    tasks = TaskSupervisor("chat")
    plugins = plugins or Plugins()
    hub: Any = SimpleNamespace(tasks=tasks, log=structlog.get_logger(), hooks=plugins, bus=plugins)
    service = Providers(hub, ChatConfig.model_validate({"providers": dict(settings), **more}))
    service.start()
    try:
        yield service
    finally:
        await service.close()
        assert await tasks.stop() == []


@dataclass
class Heard:
    """What came of an answer."""

    text: str = ""
    thought: str = ""
    tools: dict[int, list[str]] = field(default_factory=dict)
    """[id, name, arguments] by index."""
    usage: tuple[int, int] | None = None
    reason: str | None = None
    queued: list[int] = field(default_factory=list)
    switched: list[Switched] = field(default_factory=list)
    error: ProviderError | None = None

    @property
    def code(self) -> ErrorCode | None:
        return self.error.code if self.error is not None else None


def ask(prompt: str, **more: Any) -> Ask:
    """What a user says, and nothing before it."""
    return Ask("", [{"role": "user", "content": prompt}], **more)


async def hear(service: Providers, prompt: str | Ask, choice: Choice | None = None, **more: Any) -> Heard:
    """An answer up to its end, whichever."""
    heard = Heard()
    wanted = prompt if isinstance(prompt, Ask) else ask(prompt)
    try:
        async with aclosing(service.run(choice or Choice("lm", "scripted"), wanted, **more)) as pieces:
            async for piece in pieces:
                _take(heard, piece)
    except ProviderError as error:
        heard.error = error
    return heard


def _take(heard: Heard, piece: Any) -> None:
    assert heard.reason is None, "something after the end"
    if isinstance(piece, Text):
        heard.text += piece.text
    elif isinstance(piece, Reasoning):
        heard.thought += piece.text
    elif isinstance(piece, ToolFragment):
        call = heard.tools.setdefault(piece.index, [piece.id, piece.name, ""])
        call[2] += piece.arguments
    elif isinstance(piece, Usage):
        heard.usage = (piece.prompt_tokens, piece.completion_tokens)
    elif isinstance(piece, Finish):
        heard.reason = piece.reason
    elif isinstance(piece, Queued):
        heard.queued.append(piece.before)
    elif isinstance(piece, Switched):
        heard.switched.append(piece)
