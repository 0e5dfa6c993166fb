"""Memories for whoever asks: rights, bounds, and which store; the backend does the rest.

All surfaces (the contract's routes, mmry's API, tools of chat) go through here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from weakref import WeakValueDictionary

from moorage.api import (
    Actor,
    Conflict,
    Forbidden,
    Hub,
    MoorageError,
    NotFound,
    Permission,
    Project,
    Unauthorized,
    Unavailable,
)

from moorage_memories import bounds
from moorage_memories.backends.base import ID_TAKEN, MemoryBackend
from moorage_memories.config import MemoriesConfig
from moorage_memories.figures import Figures
from moorage_memories.portable import Entry
from moorage_memories.records import Change, Draft, Filter, Found, Memory, Mode, Page, Scope, StoreInfo
from moorage_memories.rights import VIEW, WRITE

HOOK = "moorage_memories_project"
HOOK_SECONDS = 5.0
AT_ONCE = 200
"""Memories that an import gives to the backend at a time."""
READ_AT_ONCE = 10 * AT_ONCE
"""Memories of a file that are in memory."""
ALL = Filter()


@dataclass(frozen=True, slots=True)
class Imported:
    """How an import went. skipped: those that were there already, by their id."""

    imported: int
    skipped: int


class Memories:
    """The service. One object; used from the event loop. `use` a backend before anything is asked.

    Every method takes who asks first. Errors: Unauthorized, Forbidden, ValidationFailed and BadRequest for what cannot
    be, PayloadTooLarge for a text that is too long, and those of `MemoryBackend`.
    """

    def __init__(self, hub: Hub, config: MemoriesConfig) -> None:
        self._hub, self._config = hub, config
        self._figures = Figures(hub)
        self._backend: MemoryBackend | None = None
        self._importing: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    def use(self, backend: MemoryBackend | None) -> None:
        """Where memories are from now on; None: nowhere, which is Unavailable."""
        self._backend = backend

    @property
    def backend(self) -> MemoryBackend:
        """Where memories are kept. Unavailable."""
        if self._backend is None:
            raise Unavailable("There is no place where memories are kept now")
        return self._backend

    # -- which memories ------------------------------------------------------------------------------------------

    async def scope(self, actor: Actor, *, write: bool) -> Scope:
        """The actor's own memories, of all their stores (added to the default one)."""
        if actor.user is None:
            raise Unauthorized
        scope = Scope(actor.user.id)
        self._allow(actor, scope, WRITE if write else VIEW)
        return scope

    async def scope_of_session(self, actor: Actor, session_id: str, *, write: bool, instead: str = "") -> Scope:
        """Those of the project that a session works in. NotFound, also when the session is not for the actor.

        instead: the store that will be used instead of the project's, for the audit log.
        """
        return await self._scope_of_project(actor, session_id, "", write, instead, "Session not found")

    async def scope_of_workspace(self, actor: Actor, path: str, *, write: bool, instead: str = "") -> Scope:
        """Those of a project, by its path as the client writes it. NotFound where the actor has no such project."""
        return await self._scope_of_project(actor, "", path, write, instead, "There is no such project")

    # -- what is done with them ----------------------------------------------------------------------------------

    async def page(self, actor: Actor, scope: Scope, filter: Filter = ALL, *, offset: int = 0, limit: int = 50) -> Page:
        """Some of them, newest first. limit: at most `bounds.MAX_LIMIT` are given."""
        self._allow(actor, scope, VIEW)
        filter, limit = bounds.filter_of(filter), bounds.limit_of(limit)
        with self._figures.timed("page"):
            return await self.backend.page(scope, filter, offset=min(max(offset, 0), bounds.MAX_OFFSET), limit=limit)

    async def get(self, actor: Actor, scope: Scope, memory_id: str) -> Memory:
        """One. NotFound."""
        self._allow(actor, scope, VIEW)
        with self._figures.timed("get"):
            return await self.backend.get(scope, bounds.memory_id(memory_id))

    async def add(self, actor: Actor, scope: Scope, drafts: Sequence[Draft]) -> Sequence[Memory]:
        """Add some, all or none. Conflict and TooManyRequests where there is no room."""
        self._allow(actor, scope, WRITE)
        return await self._add(scope, [self._checked(one) for one in drafts])

    async def change(self, actor: Actor, scope: Scope, memory_id: str, change: Change) -> Memory:
        """Change one. NotFound."""
        self._allow(actor, scope, WRITE)
        checked = bounds.change(change, self._config.max_content_bytes)
        with self._figures.timed("change"):
            changed = await self.backend.change(scope, bounds.memory_id(memory_id), checked)
        self._figures.written("change")
        return changed

    async def delete(self, actor: Actor, scope: Scope, memory_id: str) -> str:
        """Delete one; its id. NotFound."""
        self._allow(actor, scope, WRITE)
        found = bounds.memory_id(memory_id)
        with self._figures.timed("delete"):
            await self.backend.delete(scope, found)
        self._figures.written("delete")
        return found

    async def search(
        self,
        actor: Actor,
        scope: Scope,
        query: str,
        *,
        mode: Mode | None = None,
        filter: Filter = ALL,
        limit: int = 10,
    ) -> Found:
        """The best. mode: None is the configured one. Unavailable where a mode needs what is not installed."""
        self._allow(actor, scope, VIEW)
        with self._figures.timed("search"):
            answer = await self.backend.search(
                scope,
                bounds.query(query),
                mode=mode or self._config.default_mode,
                filter=bounds.filter_of(filter),
                limit=bounds.limit_of(limit),
            )
        self._figures.searched(answer.mode)
        return answer

    async def stores(self, actor: Actor, scope: Scope) -> Sequence[StoreInfo]:
        """All stores of the scope's owner, the default one first."""
        self._allow(actor, scope, VIEW)
        return await self.backend.stores(scope.owner_id)

    def export(self, actor: Actor, scope: Scope) -> AsyncGenerator[Memory]:
        """All of them, oldest first, without holding them in memory."""
        self._allow(actor, scope, VIEW)
        return self._exported(scope)

    async def import_(self, actor: Actor, scope: Scope, entries: Iterable[Entry]) -> Imported:
        """Take in what was exported, each memory under its id; into the scope's store, or without one each into the
        store that its line names. entries: iterated over twice.

        Those that the owner has already are skipped, so that a file can be brought in again after it broke off. An id
        that somebody else has is replaced by a new one. All are checked before the first is added.
        """
        self._allow(actor, scope, WRITE)
        # One of a user's at a time, and never all of a file in memory: a million objects stop everybody else while
        # Python looks which of them are garbage.
        async with self._importing.setdefault(scope.owner_id, asyncio.Lock()):
            count = await asyncio.to_thread(lambda: sum(1 for _ in self._checked_entries(scope, entries)))
            rest, added, seen = self._checked_entries(scope, entries), 0, set[str]()
            while some := await asyncio.to_thread(lambda: list(islice(rest, READ_AT_ONCE))):
                for store, drafts in _sorted(some, seen).items():
                    where = Scope(scope.owner_id, store)
                    for start in range(0, len(drafts), AT_ONCE):
                        added += await self._import_some(where, drafts[start : start + AT_ONCE])
        return Imported(added, count - added)

    # -- how -----------------------------------------------------------------------------------------------------

    def _allow(self, actor: Actor, scope: Scope, permission: Permission) -> None:
        self._hub.access.require(actor, permission.name, owner_id=scope.owner_id)

    async def _add(self, scope: Scope, drafts: Sequence[Draft]) -> Sequence[Memory]:
        with self._figures.timed("add"):
            added = await self.backend.add(scope, drafts)
        self._figures.written("add", len(added))
        return added

    def _checked(self, one: Draft) -> Draft:
        return bounds.draft(one, self._config.max_content_bytes)

    async def _scope_of_project(
        self, actor: Actor, session_id: str, path: str, write: bool, instead: str, unknown: str
    ) -> Scope:
        project = await self._project(actor, session_id, path, write)
        if project is None:
            if write and await self._project(actor, session_id, path, False) is not None:
                raise Forbidden("You may read what is remembered there, and not change it")
            raise NotFound(unknown)
        scope = Scope(project.owner_id, None)
        self._allow(actor, scope, WRITE if write else VIEW)
        scope = replace(scope, store=await self.backend.store_for(project.owner_id, project.path))
        if actor.user is None or actor.user.id != project.owner_id:
            action = "memories_store.changed" if write else "memories_store.read"
            data = {"user_id": project.owner_id, "store": bounds.store_name(instead) if instead else scope.store}
            await self._hub.audit.note(action, actor=actor, data=data)
        return scope

    async def _project(self, actor: Actor, session_id: str, path: str, write: bool) -> Project | None:
        """As the first plugin says that knows it."""
        answers = await self._hub.hooks.gather(
            HOOK, timeout=HOOK_SECONDS, actor=actor, session_id=session_id, workspace_path=path, write=write
        )
        return next((project for _, project in answers if isinstance(project, Project)), None)

    async def _exported(self, scope: Scope) -> AsyncGenerator[Memory]:
        found = self.backend.export(scope)
        try:
            async for memory in found:
                yield memory
        finally:
            # A generator holds what it reads from until it is closed; whoever listens may leave at any time.
            if (close := getattr(found, "aclose", None)) is not None:
                await close()

    def _checked_entries(self, scope: Scope, entries: Iterable[Entry]) -> Iterator[tuple[str | None, Draft]]:
        """What a file holds, and the stores that it goes to. In a thread: a large file takes seconds."""
        for entry in entries:
            try:
                draft = self._checked(entry.draft)
                store = scope.store or (bounds.store_name(entry.store) if entry.store else None)
            except MoorageError as error:
                error.message = f"line {entry.line}: {error.message}"
                raise
            yield store, draft

    async def _import_some(self, scope: Scope, drafts: Sequence[Draft]) -> int:
        """How many of them were added."""
        for last in (False, True):
            there = await self.backend.present(Scope(scope.owner_id), [one.id for one in drafts if one.id is not None])
            fresh = [one for one in drafts if one.id not in there]
            if not fresh:
                return 0
            try:
                await self._add(scope, fresh)
                break
            except Conflict as error:
                if error.error_code != ID_TAKEN:
                    raise
            # The same file may be brought in twice at once: look again before an id is taken for somebody else's.
            if last:
                await self._add(scope, [replace(one, id=None) for one in fresh])
        return len(fresh)


def _sorted(some: Iterable[tuple[str | None, Draft]], seen: set[str]) -> dict[str | None, list[Draft]]:
    """Drafts by their stores, without those whose ids have been seen."""
    found: dict[str | None, list[Draft]] = {}
    for store, draft in some:
        if draft.id is None or draft.id not in seen:
            found.setdefault(store, []).append(draft)
        if draft.id is not None:
            seen.add(draft.id)
    return found
