"""What providers say of themselves: asked for with a time limit, kept for a while, never asked for twice at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from moorage_chat.providers import faults
from moorage_chat.providers.base import ErrorCode, ModelInfo, Provider, ProviderError

LIST_SECONDS = 1.5
"""For a provider's list, as clients wait for it."""
WARM_SECONDS = 30.0
"""For a provider to get ready, once: an SDK's import takes seconds on a slow machine."""
KEEP_SECONDS = 30.0
KEEP_FAILED_SECONDS = 3.0
FRESH_SECONDS = 3.0
"""How old a list may be that says that a model is not there: it may have been loaded just now."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A provider's models, as far as known. error: why they could not be asked for now; models are then older or none.

    known: whether the provider has ever told them. at: when it was asked (monotonic).
    """

    models: tuple[ModelInfo, ...]
    known: bool
    at: float
    error: ErrorCode | None = None

    def has(self, model: str) -> bool:
        """Whether it is listed."""
        return any(one.id == model for one in self.models)


Spawn = Callable[[Coroutine[Any, Any, Listing], str], "asyncio.Task[Listing]"]


class Catalog:
    """Lists of models. spawn: starts a supervised task; ask: how a provider is asked."""

    def __init__(self, spawn: Spawn, log: Any, ask: Callable[[Provider], Awaitable[Sequence[ModelInfo]]]) -> None:
        self._spawn, self._log, self._how = spawn, log, ask
        self._kept: dict[str, Listing] = {}
        self._asking: dict[str, asyncio.Task[Listing]] = {}

    async def models(self, provider: Provider, *, max_age: float | None = None) -> Listing:
        """A provider's models, at most `max_age` seconds old, by default as long as they are kept."""
        kept = self._kept.get(provider.id)
        if kept is not None:
            keep = KEEP_SECONDS if kept.error is None else KEEP_FAILED_SECONDS
            if time.monotonic() - kept.at < (keep if max_age is None else min(keep, max_age)):
                return kept
        asking = self._asking.get(provider.id)
        if asking is None:
            asking = self._spawn(self._ask(provider), f"models of {provider.id}")
            self._asking[provider.id] = asking
            asking.add_done_callback(lambda _: self._asking.pop(provider.id, None))
        # Who waits may leave; the others go on waiting.
        return await asyncio.shield(asking)

    def last(self, provider: Provider) -> Listing | None:
        """What was heard last, however long ago."""
        return self._kept.get(provider.id)

    def forget(self, provider_id: str) -> None:
        """What it said holds no more: it is gone, or says otherwise by now."""
        self._kept.pop(provider_id, None)

    async def _ask(self, provider: Provider) -> Listing:
        before = self._kept.get(provider.id)
        try:
            async with asyncio.timeout(WARM_SECONDS):
                await provider.warm()
            async with asyncio.timeout(LIST_SECONDS):
                models = tuple(await self._how(provider))
            listing = Listing(models, True, time.monotonic())
        except Exception as error:
            code = _code(error)
            if before is None or before.error != code:
                self._log.warning("provider cannot be asked", provider=provider.id, code=code, reason=_reason(error))
            models = before.models if before is not None else ()
            listing = Listing(models, before is not None and before.known, time.monotonic(), code)
        self._kept[provider.id] = listing
        return listing


def _code(error: Exception) -> ErrorCode:
    if isinstance(error, ProviderError):
        return error.code
    return ErrorCode.TIMEOUT if isinstance(error, TimeoutError) else ErrorCode.ERROR


def _reason(error: Exception) -> str:
    text = error.detail if isinstance(error, ProviderError) else f"{type(error).__name__}: {error}"
    return text[: faults.DETAIL_CHARS]
