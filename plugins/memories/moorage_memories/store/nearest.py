"""Vectors in memory, and which are nearest. Everything here computes: it is called beside the event loop."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

Row = tuple[int, int, int, bytes]
"""A vector as it is kept: its number, its memory's, the store's, and its values (float16, little-endian)."""


def halves(vectors: bytes, dimensions: int) -> list[bytes]:
    """Vectors of float32, one after the other, as they are kept: float16, which changes the likeness of two by some
    0.0002 and takes half the room.
    """
    return [one.tobytes() for one in np.frombuffer(vectors, "<f4").reshape(-1, dimensions).astype("<f2")]


class Vectors:
    """A user's vectors, in one array. They are of one model. Not for two threads at a time."""

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._values = np.empty((0, dimensions), np.float32)
        self._memories = np.empty(0, np.int64)
        self._stores = np.empty(0, np.int64)
        self._count = 0
        self.last = 0

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return self._values.nbytes + self._memories.nbytes + self._stores.nbytes

    def add(self, rows: Sequence[Row]) -> None:
        """Take more in, in the order of their numbers. A memory's vectors replace those that it had before."""
        if not rows:
            return
        numbers, memories, stores, values = zip(*rows, strict=True)
        self.drop(set(memories))
        end = self._count + len(rows)
        if end > len(self._values):
            self._grow(max(end, len(self._values) * 3 // 2))
        here = slice(self._count, end)
        self._values[here] = np.frombuffer(b"".join(values), "<f2").reshape(-1, self._dimensions)
        self._memories[here], self._stores[here] = memories, stores
        self._count, self.last = end, numbers[-1]

    def drop(self, memories: Collection[int]) -> None:
        """Forget memories' vectors."""
        here = slice(0, self._count)
        kept = ~np.isin(self._memories[here], list(memories))
        if kept.all():
            return
        count = int(kept.sum())
        for array in (self._values, self._memories, self._stores):
            array[:count] = array[here][kept]
        self._count = count

    def nearest(
        self, query: bytes, count: int, *, store: int | None = None, among: Collection[int] | None = None
    ) -> list[tuple[int, float]]:
        """The memories whose vectors are most like one (float32): (memory, cosine), best first.

        store: only of this one. among: only these memories.
        """
        here = slice(0, self._count)
        likeness = self._values[here] @ np.frombuffer(query, "<f4")
        memories = self._memories[here]
        if store is not None or among is not None:
            kept = np.ones(self._count, bool) if store is None else self._stores[here] == store
            if among is not None:
                kept &= np.isin(memories, np.fromiter(among, np.int64, len(among)))
            likeness, memories = likeness[kept], memories[kept]
        return _best(likeness, memories, count)

    def _grow(self, room: int) -> None:
        for name in ("_values", "_memories", "_stores"):
            old: Any = getattr(self, name)
            new = np.empty((room, *old.shape[1:]), old.dtype)
            new[: self._count] = old[: self._count]
            setattr(self, name, new)


def _best(likeness: Any, memories: Any, count: int) -> list[tuple[int, float]]:
    """The best `count` memories: of one that has several vectors, the best of them counts."""
    wanted = count
    while True:
        top = np.arange(len(likeness))
        if wanted < len(likeness):
            top = np.argpartition(likeness, -wanted)[-wanted:]
        order = top[np.argsort(-likeness[top], kind="stable")]
        found: dict[int, float] = {}
        for memory, one in zip(memories[order].tolist(), likeness[order].tolist(), strict=True):
            found.setdefault(memory, one)
        if len(found) >= count or wanted >= len(likeness):
            return list(found.items())[:count]
        wanted *= 4
