"""The providers of a server: which there are, which model answers, and an answer with everything that may go wrong.

Time-outs, turns, fallback and the rule of when an answer is whole are here, so that a provider only has to speak its
protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from moorage.api import Hub, NotFound, TooManyRequests

from moorage_chat.config import ChatConfig
from moorage_chat.providers import faults
from moorage_chat.providers.base import (
    Ask,
    Capabilities,
    ErrorCode,
    Finish,
    ModelInfo,
    Piece,
    Provider,
    ProviderError,
    Usage,
)
from moorage_chat.providers.catalog import FRESH_SECONDS, WARM_SECONDS, Catalog
from moorage_chat.providers.choice import Choice, Chooser
from moorage_chat.providers.configured import configured
from moorage_chat.providers.cooldown import Cooldown
from moorage_chat.providers.providerset import ProviderSet
from moorage_chat.records import Role

__all__ = ["Choice", "Health", "ProviderInfo", "Providers", "Queued", "Running", "Switched"]

QUEUE_RETRY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Queued:
    """The answer waits for its turn. before: how many wait longer."""

    before: int


@dataclass(frozen=True, slots=True)
class Running:
    """The provider is asked now."""


@dataclass(frozen=True, slots=True)
class Switched:
    """Another provider is asked instead. code: why."""

    choice: Choice
    code: ErrorCode


Notice = Queued | Running | Switched


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """A provider as clients see it. ok: whether it told its models when it was last asked; error: why not."""

    id: str
    name: str
    capabilities: Capabilities
    models: tuple[ModelInfo, ...]
    ok: bool
    error: ErrorCode | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a provider answers now. detail: may be shown to anybody."""

    ok: bool
    detail: str


class Providers:
    """All providers. `start` before anything else."""

    def __init__(self, hub: Hub, config: ChatConfig) -> None:
        self._hub, self._config = hub, config
        self._set = ProviderSet(hub, self._forget)
        self._catalog = Catalog(hub.tasks.spawn, hub.log, lambda provider: provider.models())
        self._checks = Catalog(hub.tasks.spawn, hub.log, _check)
        self._chooser = Chooser(config, self._catalog)
        self._cooldown = Cooldown()

    def start(self) -> None:
        """Make the configured providers."""
        self._set.start(configured(self._hub, self._config))

    async def close(self) -> None:
        """Close every provider."""
        await self._set.close()

    def _forget(self, provider: Provider) -> None:
        self._catalog.forget(provider.id)
        self._checks.forget(provider.id)
        self._cooldown.over(provider.id)

    async def choose(self, provider_id: str | None, model: str | None, *, last: Choice | None = None) -> Choice:
        """Which model answers. last: what answered before in the same conversation.

        Order: what is asked for, what answered last, the configured default, the first model of the first provider that
        answers. BadRequest PROVIDER_NOT_FOUND or MODEL_NOT_FOUND for what is asked for and not there; a model of a
        provider that could not list its own is let through, to be decided there. Unavailable, with the mend, when there
        is no provider.
        """
        return await self._chooser.choose(self._set.current(), provider_id, model, last)

    def admit(self, choice: Choice) -> None:
        """TooManyRequests when too many wait for this provider already: to refuse before an answer has begun."""
        provider = self._set.current().get(choice.provider)
        if provider is not None and self._set.turns(provider).full:
            raise TooManyRequests(faults.text(ErrorCode.RATE_LIMITED), retry_after=QUEUE_RETRY_SECONDS)

    async def run(self, choice: Choice, ask: Ask, *, fallback: bool = True) -> AsyncGenerator[Piece | Notice, None]:
        """An answer in pieces, the last of which is `Finish`; notices between them. Raises ProviderError only.

        ask.model is set from the choice. Until the first text, reasoning or tool call another provider may be asked
        instead (`Switched`), unless `fallback` is False; one that could not be reached a moment ago is passed over.
        Close the generator, or cancel its task, to stop.
        """
        providers = self._set.current()
        tried: list[str] = []
        now: Choice | None = choice
        while now is not None:
            provider = providers.get(now.provider)
            if provider is None:
                raise ProviderError(ErrorCode.UNREACHABLE, f"the provider {now.provider} is gone")
            tried.append(now.provider)
            why = self._cooldown.why(now.provider) if fallback else None
            if why is not None and (following := await self._next(providers, providers[choice.provider], now, tried)):
                yield Switched(following, why)
                now = following
                continue
            said = False
            try:
                async with aclosing(self._one(provider, _fitting(provider, replace(ask, model=now.model)))) as pieces:
                    async for piece in pieces:
                        if not said and not isinstance(piece, Queued | Running):
                            said = True
                            self._cooldown.over(now.provider)
                        yield piece
                return
            except ProviderError as error:
                self._hub.log.warning(
                    "provider failed", provider=now.provider, model=now.model, code=error.code, reason=error.detail
                )
                if error.code is ErrorCode.MODEL_NOT_FOUND:
                    self._catalog.forget(now.provider)
                if said:
                    raise
                self._cooldown.failed(now.provider, error)
                following = None
                if fallback and error.code is not ErrorCode.CONTENT_FILTER:
                    following = await self._next(providers, providers[choice.provider], now, tried)
                if following is None:
                    raise
                yield Switched(following, error.code)
                now = following

    async def _one(self, provider: Provider, ask: Ask) -> AsyncGenerator[Piece | Notice, None]:
        """One provider's answer, in its turn."""
        turns = self._set.turns(provider)
        if turns.busy and not turns.full:
            yield Queued(turns.waiting)
        await turns.take()
        try:
            yield Running()
            async with aclosing(_timed(provider, ask)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            turns.give_back()

    async def _next(
        self, providers: Mapping[str, Provider], first: Provider, failed: Choice, tried: Iterable[str]
    ) -> Choice | None:
        for id in first.bounds.fallback:
            if id not in tried and (other := providers.get(id)) is not None:
                model = await self._chooser.model_at(other, failed.model)
                if model is not None:
                    return Choice(id, model)
        return None

    async def listed(self) -> list[ProviderInfo]:
        """All providers with their models, at most half a minute old."""
        return list(await asyncio.gather(*(self._info(provider) for provider in self._set.current().values())))

    async def find(self, provider_id: str) -> ProviderInfo:
        """One of them. NotFound."""
        return await self._info(self._known(provider_id))

    async def health(self, provider_id: str) -> Health:
        """Whether it answers now; asked again at most every few seconds. NotFound."""
        found = await self._checks.models(self._known(provider_id), max_age=FRESH_SECONDS)
        return Health(found.error is None, faults.text(found.error) if found.error is not None else "It answers.")

    def uses_tools(self, provider_id: str) -> bool:
        """Whether its models can call tools."""
        provider = self._set.current().get(provider_id)
        return provider is not None and provider.capabilities.tools

    def load(self) -> dict[str, tuple[int, int]]:
        """(answers being made, answers that wait) by provider."""
        found = {id: self._set.turns(provider) for id, provider in self._set.current().items()}
        return {id: (turns.running, turns.waiting) for id, turns in found.items()}

    def _known(self, provider_id: str) -> Provider:
        provider = self._set.current().get(provider_id)
        if provider is None:
            raise NotFound("There is no such provider", code="PROVIDER_NOT_FOUND")
        return provider

    async def _info(self, provider: Provider) -> ProviderInfo:
        listing = await self._catalog.models(provider)
        # Where the settings say which models there are, only the last check knows how the provider is.
        checked = self._checks.last(provider)
        error = listing.error or (checked.error if checked is not None and checked.at > listing.at else None)
        return ProviderInfo(provider.id, provider.name, provider.capabilities, listing.models, error is None, error)


def _fitting(provider: Provider, ask: Ask) -> Ask:
    """What is asked of a provider whose models can call no tools: the same without them."""
    if provider.capabilities.tools or not ask.tools:
        return ask
    if any(message.get("tool_calls") or message.get("role") == Role.TOOL for message in ask.messages):
        raise ProviderError(ErrorCode.ERROR, "it can use no tools, and some have been used already")
    return replace(ask, tools=(), tool_choice=None)


async def _check(provider: Provider) -> Sequence[ModelInfo]:
    await provider.check()
    return ()


async def _timed(provider: Provider, ask: Ask) -> AsyncGenerator[Piece, None]:
    """A provider's answer within its bounds: up to its `Finish`. Raises ProviderError only."""
    loop = asyncio.get_running_loop()
    idle = provider.bounds.idle_timeout
    said = False
    early: Usage | None = None
    try:
        async with asyncio.timeout(WARM_SECONDS):
            await provider.warm()
        begin_by = loop.time() + provider.bounds.first_token_timeout
        async with aclosing(provider.generate(ask)) as pieces:
            while True:
                async with asyncio.timeout_at(loop.time() + idle if said else begin_by):
                    piece = await anext(pieces, None)
                if piece is None:
                    raise ProviderError(ErrorCode.INCOMPLETE, "the answer ended without a mark of its end")
                if isinstance(piece, Usage) and not piece.believable:
                    continue  # As if it had not counted: it is estimated.
                if not said and isinstance(piece, Usage):
                    # Anthropic counts the prompt before it says anything: until then another may still be asked.
                    early = piece
                    continue
                said = True
                if early is not None:
                    yield early
                    early = None
                yield piece
                if isinstance(piece, Finish):
                    return
    except ProviderError:
        raise
    except TimeoutError:
        what = f"silent for {idle:g} s" if said else f"nothing within {provider.bounds.first_token_timeout:g} s"
        raise ProviderError(ErrorCode.TIMEOUT, what) from None
    except Exception as error:
        raise ProviderError(ErrorCode.ERROR, f"{type(error).__name__}: {error}"[: faults.DETAIL_CHARS]) from error
