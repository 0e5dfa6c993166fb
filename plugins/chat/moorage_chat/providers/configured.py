"""The providers of the settings, made by their kind."""

from __future__ import annotations

from collections.abc import Iterator

from moorage_chat.config import ChatConfig, ProviderConfig
from moorage_chat.providers.base import Provider
from moorage_chat.providers.openai import OpenAIProvider


def configured(config: ChatConfig) -> Iterator[Provider]:
    """One for each of `[plugins.chat.providers]`."""
    for id, settings in config.providers.items():
        provider = _make(id, settings)
        if provider is not None:
            yield provider


def _make(id: str, settings: ProviderConfig) -> Provider | None:
    if settings.kind == "openai":
        return OpenAIProvider(id, settings)
    return None
