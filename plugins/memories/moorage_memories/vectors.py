"""Vectors of texts, and texts ranked by them, for clients of mmry's API: nothing of it is kept."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from moorage.api import Actor, Hub, NotFound, PayloadTooLarge, ValidationFailed

from moorage_memories.embeddings.encoder import Encoder
from moorage_memories.rights import EMBED

NAME = "all-minilm-l6-v2"
"""The model as clients call it. Whatever other name they say, this one answers, as with mmry."""
MAX_TEXTS = 256
"""Texts of one request."""
MAX_BYTES = 1024 * 1024
"""Bytes of them together; of each, the model reads the first 256 tokens."""
AT_ONCE = 2
"""Requests under way, so that searches by meaning have the model in between."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """What the model made of some texts. data: float32, little-endian, of unit length. tokens: how many were read."""

    model: str
    dimensions: int
    data: bytes
    tokens: int

    def raw(self) -> list[bytes]:
        """The vectors' bytes, one for each text."""
        size = 4 * self.dimensions
        return [self.data[at : at + size] for at in range(0, len(self.data), size)]

    def all(self) -> list[list[float]]:
        """The vectors, one for each text."""
        return [list(struct.unpack(f"<{self.dimensions}f", one)) for one in self.raw()]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A text's place. index: which it was. score: the cosine of the angle between its vector and the query's."""

    index: int
    score: float


class Sentences:
    """The model for whoever may use it. One object; used from the event loop.

    Errors: Forbidden; ValidationFailed and PayloadTooLarge for what cannot be; Unavailable where there is no model.
    """

    def __init__(self, hub: Hub, encoder: Encoder) -> None:
        self._hub, self._encoder = hub, encoder
        self._free = asyncio.Semaphore(AT_ONCE)

    def models(self, actor: Actor) -> list[str]:
        """The models that are installed."""
        self._hub.access.require(actor, EMBED.name)
        return [] if self._encoder.lacking else [NAME]

    def model(self, actor: Actor, name: str) -> str:
        """One by its name. NotFound."""
        if name not in self.models(actor):
            raise NotFound(f"There is no model {name[:100]}", code="MODEL_NOT_FOUND")
        return name

    async def vectors(self, actor: Actor, texts: Sequence[str]) -> Vectors:
        """The vectors of some texts."""
        self._hub.access.require(actor, EMBED.name)
        _check(texts)
        async with self._free:
            model, dimensions = await self._encoder.about()
            data, tokens = await self._encoder.counted(texts, model)
        return Vectors(NAME, dimensions, data, tokens)

    async def ranked(self, actor: Actor, query: str, documents: Sequence[str], most: int | None = None) -> list[Ranked]:
        """Texts by how near they are to what is asked, the nearest first; `most` of them, or all."""
        if not documents:
            raise _wrong("documents", "are none")
        found = await self.vectors(actor, [query, *documents])
        asked, *others = await asyncio.to_thread(found.all)
        scores = [Ranked(index, sum(map(float.__mul__, asked, one))) for index, one in enumerate(others)]
        scores.sort(key=lambda one: -one.score)
        return scores[:most]


def _check(texts: Sequence[str]) -> None:
    if not texts or not all(text.strip() for text in texts):
        raise _wrong("input", "has a text that is empty" if texts else "is empty")
    if len(texts) > MAX_TEXTS + 1:
        raise _wrong("input", f"has more than {MAX_TEXTS} texts")
    if sum(len(text.encode()) for text in texts) > MAX_BYTES:
        raise PayloadTooLarge(f"The texts are more than {MAX_BYTES} bytes together")


def _wrong(field: str, reason: str) -> ValidationFailed:
    return ValidationFailed(f"{field}: {reason}", problems=[{"field": field, "message": reason}])
