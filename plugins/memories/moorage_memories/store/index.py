"""The index of memories: what finds them by their words and by their meaning. Its tables are beside the memories'."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.api import Hub

from moorage_memories.config import MemoriesConfig
from moorage_memories.embeddings.encoder import Encoder
from moorage_memories.records import Filter, Mode, Scope
from moorage_memories.store.words import words


class Index:
    """One object; used from the event loop. `start` before anything, `close` last."""

    def __init__(self, hub: Hub, config: MemoriesConfig, encoder: Encoder) -> None:
        self._hub, self._config, self._encoder = hub, config, encoder

    async def start(self) -> None:
        """Begin to make vectors in the background: of what is written from now on, and of what has none yet."""

    async def close(self) -> None:
        """Stop doing so."""

    async def describe(self) -> str:
        """What is wrong or lacking now, for operators; "": nothing."""
        return self._encoder.lacking

    async def cut(self, texts: Sequence[str]) -> list[list[str]]:
        """Texts cut into words, for `put`. Before the transaction: of a megabyte it takes a tenth of a second."""
        return [words(text) for text in texts]

    async def put(self, user_id: int, store_id: int, ids: Sequence[int], cut: Sequence[Sequence[str]]) -> None:
        """Take memories in, new or changed, in the transaction that writes them.

        ids: of their rows in `memories_entries`; cut: what `cut` made of their contents. Vectors follow by themselves,
        after the transaction.
        """

    async def remove(self, ids: Sequence[int]) -> None:
        """Forget memories, in the transaction that deletes them."""

    async def search(
        self, scope: Scope, filter: Filter, query: str, *, mode: Mode, limit: int
    ) -> tuple[list[tuple[int, float]], Mode]:
        """The best: (row's id, score), best first, and how was searched. Unavailable, with the mend, when the mode
        needs what is not installed.
        """
        return [], mode
