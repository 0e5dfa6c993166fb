"""Which model answers: what is asked for, else what answered last, else what is configured, else what there is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from moorage.api import BadRequest, Unavailable

from moorage_chat.config import ChatConfig
from moorage_chat.providers.base import ModelInfo, Provider
from moorage_chat.providers.catalog import FRESH_SECONDS, Catalog, Listing

NONE = (
    "No provider of models is set up. An operator adds one to the server's configuration: "
    '[plugins.chat.providers.NAME] with base_url = "http://127.0.0.1:1234/v1", for instance.'
)
_NAMED = 5
"""How many models a refusal names of those that are there."""
_NO_TALKER = re.compile(r"embed|whisper|tts|dall-e|moderation|rerank|transcribe|image|bge-", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider's id and one of its models."""

    provider: str
    model: str


class Chooser:
    """Chooses among the providers."""

    def __init__(self, config: ChatConfig, catalog: Catalog) -> None:
        self._config, self._catalog = config, catalog

    async def choose(
        self, providers: Mapping[str, Provider], provider: str | None, model: str | None, last: Choice | None
    ) -> Choice:
        """See `registry.Providers.choose`."""
        if provider is not None and provider not in providers:
            raise BadRequest(f"There is no provider {provider!r}", code="PROVIDER_NOT_FOUND")
        if not providers:
            raise Unavailable(NONE)
        order = self._order(providers, last)
        if provider is not None:
            known = providers[provider]
            if model is not None:
                return await self._named(known, model)
            return await self._default(known, last)
        if model is not None:
            return await self._anywhere([providers[id] for id in order], model)
        return await self._any(providers, order, last)

    async def model_at(self, provider: Provider, model: str) -> str | None:
        """What to ask of another provider instead of this model: the same if it has it, else its first."""
        listing = await self._catalog.models(provider)
        if listing.has(model):
            return model
        return self._preferred(provider, listing)

    def _order(self, providers: Mapping[str, Provider], last: Choice | None) -> list[str]:
        preferred = [id for id in (last and last.provider, self._config.default_provider) if id]
        return list(dict.fromkeys(id for id in (*preferred, *providers) if id in providers))

    async def _named(self, provider: Provider, model: str) -> Choice:
        listing = await self._catalog.models(provider)
        if not self._allowed(provider, model, listing):
            listing = await self._catalog.models(provider, max_age=FRESH_SECONDS)
        if self._allowed(provider, model, listing):
            return Choice(provider.id, model)
        text = f"The provider {provider.id!r} has no model {model!r}{_instead(listing.models)}"
        raise BadRequest(text, code="MODEL_NOT_FOUND")

    def _allowed(self, provider: Provider, model: str, listing: Listing) -> bool:
        """Whether to ask for this model. What could not be listed is the provider's to decide."""
        if not listing.known:
            return True
        if listing.has(model):
            return True
        # "llama3" is Ollama's name for "llama3:latest", and "x:free" OpenRouter's for a way to "x": no list has all.
        family = model.partition(":")[0]
        return not self._restricted(provider) and any(one.id.partition(":")[0] == family for one in listing.models)

    def _restricted(self, provider: Provider) -> bool:
        """Whether the operator names the models that may be used."""
        config = self._config.providers.get(provider.id)
        return config is not None and bool(config.models)

    async def _default(self, provider: Provider, last: Choice | None) -> Choice:
        """A provider's own model: the last one, the configured one, its first."""
        listing = await self._catalog.models(provider)
        if last is not None and last.provider == provider.id and self._allowed(provider, last.model, listing):
            return last
        if model := self._preferred(provider, listing):
            return Choice(provider.id, model)
        raise Unavailable(f"The provider {provider.id!r} lists no model now: name one, or ask again when it runs")

    def _preferred(self, provider: Provider, listing: Listing) -> str | None:
        if provider.id == self._config.default_provider and self._config.default_model:
            return self._config.default_model
        return first(listing.models)

    async def _anywhere(self, providers: Sequence[Provider], model: str) -> Choice:
        """The first provider that has the model, else the first of those whose models are not known."""
        listings = await asyncio.gather(*(self._catalog.models(one) for one in providers))
        found = list(zip(providers, listings, strict=True))
        for provider, listing in found:
            if listing.has(model):
                return Choice(provider.id, model)
        for provider, listing in found:
            if self._allowed(provider, model, listing):
                return Choice(provider.id, model)
        for provider in providers:
            if (await self._catalog.models(provider, max_age=FRESH_SECONDS)).has(model):
                return Choice(provider.id, model)
        there = [one for _, listing in found for one in listing.models]
        raise BadRequest(f"No provider has a model {model!r}{_instead(there)}", code="MODEL_NOT_FOUND")

    async def _any(self, providers: Mapping[str, Provider], order: Iterable[str], last: Choice | None) -> Choice:
        if last is not None and last.provider in providers:
            listing = await self._catalog.models(providers[last.provider])
            if self._allowed(providers[last.provider], last.model, listing):
                return last
        default = self._config.default_provider
        ids = [default] if default is not None and default in providers else []
        if ids and self._config.default_model:
            return Choice(ids[0], self._config.default_model)
        ids += [id for id in order if id not in ids]
        listings = await asyncio.gather(*(self._catalog.models(providers[id]) for id in ids))
        found = list(zip(ids, listings, strict=True))
        # One that answers now goes before one whose models are remembered.
        for id, listing in sorted(found, key=lambda item: item[1].error is not None):
            if model := first(listing.models):
                return Choice(id, model)
        why = ", ".join(f"{id}: {one.error or 'none'}" for id, one in found)
        raise Unavailable(f"No provider lists a model now ({why})")


def first(models: Sequence[ModelInfo]) -> str | None:
    """The first model that talks: lists also name those that embed or speak."""
    talking = (one.id for one in models if not _NO_TALKER.search(one.id))
    return next(talking, models[0].id if models else None)


def _instead(models: Sequence[ModelInfo]) -> str:
    """What there is instead, for the text of a refusal."""
    names = list(dict.fromkeys(one.id for one in models))
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"; there is {', '.join(names[:_NAMED])}{more}"
