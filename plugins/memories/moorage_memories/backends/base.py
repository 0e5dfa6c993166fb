"""The interface of a place where memories are kept.

A plugin of a third party brings one by `moorage_memories_backends`.
Who may do what has been decided before: a backend serves the scope that it is given, and nothing else.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence

from moorage.api import NotFound

from moorage_memories.bounds import MAX_LIMIT
from moorage_memories.records import Change, Draft, Filter, Found, Memory, Mode, Page, Scope, StoreInfo

ID_TAKEN = "MEMORY_ID_TAKEN"
"""The code of a Conflict about an id."""


class MemoryBackend(ABC):
    """Keeps memories. Errors: MoorageError; Unavailable where it cannot be reached.

    name: as the operator chooses it, `[plugins.memories] backend`.
    """

    name: str

    async def start(self) -> None:
        """Called before anything else, once."""
        return

    async def close(self) -> None:
        """Called last, once."""
        return

    async def describe(self) -> str:
        """What is wrong or lacking now, for operators; "": nothing."""
        return ""

    @abstractmethod
    async def store_for(self, owner_id: int, project: str) -> str:
        """The name of the store of a user's project, by its absolute path. The same project is always given the same
        store, and two projects are given two. It need not exist before something is added.
        """

    @abstractmethod
    async def stores(self, owner_id: int) -> Sequence[StoreInfo]:
        """A user's stores, by name; the first one is the default, and is there even if it is empty."""

    @abstractmethod
    async def page(self, scope: Scope, filter: Filter, *, offset: int, limit: int) -> Page:
        """Some of the memories, newest first. A store that does not exist is empty."""

    @abstractmethod
    async def get(self, scope: Scope, memory_id: str) -> Memory:
        """One. NotFound, also when it is another owner's or in another store than the scope's."""

    @abstractmethod
    async def add(self, scope: Scope, drafts: Sequence[Draft]) -> Sequence[Memory]:
        """Add some, all or none. Conflict (`code=ID_TAKEN`) when an id is taken, by whomever; Conflict or
        TooManyRequests when there is no room.
        """

    async def present(self, scope: Scope, ids: Sequence[str]) -> set[str]:
        """Which of these are memories of the scope. For imports, some hundred at a time."""
        found = set()
        for memory_id in ids:
            with contextlib.suppress(NotFound):
                found.add((await self.get(scope, memory_id)).id)
        return found

    @abstractmethod
    async def change(self, scope: Scope, memory_id: str, change: Change) -> Memory:
        """Change one. NotFound."""

    @abstractmethod
    async def delete(self, scope: Scope, memory_id: str) -> None:
        """Delete one. NotFound."""

    @abstractmethod
    async def search(self, scope: Scope, query: str, *, mode: Mode, filter: Filter, limit: int) -> Found:
        """The best. Unavailable, with the mend, when the mode needs what is not installed (`hybrid` never does)."""

    @abstractmethod
    def export(self, scope: Scope) -> AsyncIterator[Memory]:
        """All of them, oldest first, without holding them in memory."""

    async def forget(self, scope: Scope) -> None:
        """Delete all of the scope's, and the store if it names one. Harmless to repeat. Others may write meanwhile."""
        while memories := (await self.page(scope, Filter(), offset=0, limit=MAX_LIMIT)).memories:
            for one in memories:
                with contextlib.suppress(NotFound):
                    await self.delete(scope, one.id)

    @abstractmethod
    async def forget_user(self, owner_id: int) -> None:
        """The user has been deleted: so must all of theirs be."""

    async def owners(self) -> Sequence[int]:
        """Users of whom there is something: to find those who were deleted while nobody heard. (): not known."""
        return ()
