"""The providers of the settings, made by their kind."""

from __future__ import annotations

from collections.abc import Iterator

from moorage.api import Hub

from moorage_chat.config import ChatConfig, ProviderConfig
from moorage_chat.providers import local
from moorage_chat.providers.anthropic import AnthropicProvider
from moorage_chat.providers.base import Bounds, Provider
from moorage_chat.providers.openai import OpenAIProvider

LOCAL = "local"
"""The id of the local model where no provider is set up."""


def configured(hub: Hub, config: ChatConfig) -> Iterator[Provider]:
    """One for each of `[plugins.chat.providers]`; without any, the local model where it is installed."""
    settings = config.providers
    if not settings and local.installed():
        settings = {LOCAL: ProviderConfig(kind="local")}
    for id, one in settings.items():
        provider = _make(hub, id, one)
        provider.bounds = _bounds(one)
        yield provider


def _make(hub: Hub, id: str, settings: ProviderConfig) -> Provider:
    if settings.kind == "anthropic":
        return AnthropicProvider(id, settings)
    if settings.kind == "local":
        return local.LocalProvider(hub, id, settings)
    return OpenAIProvider(id, settings)


def _bounds(settings: ProviderConfig) -> Bounds:
    return Bounds(
        settings.first_token_timeout,
        settings.idle_timeout,
        # The local model computes one answer at a time, whatever is set.
        1 if settings.kind == "local" else settings.max_parallel,
        settings.max_queue,
        tuple(settings.fallback),
    )
