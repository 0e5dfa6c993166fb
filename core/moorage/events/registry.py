"""The registry of open sockets: by user, by credential, by plugin; the place from which they are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import structlog

from moorage.access.actor import OF_SESSIONS, Actor, Method
from moorage.routes import Access

CLOSE_UNAUTHORIZED = 4001
"""The credential holds no more: logged out, revoked, expired, or the user was disabled."""
CLOSE_FORBIDDEN = 4003
"""The credential holds, but no more gives the permission that the socket's route asks for."""

Rule = str | Access | None
K = TypeVar("K")
_log = structlog.get_logger("moorage.sockets")


class Live(Protocol):
    """What the registry knows of an open socket or stream.

    access: its route's rule. `close_soon` must not wait nor raise, and may be called more than once.
    """

    actor: Actor

    @property
    def plugin(self) -> str: ...

    @property
    def access(self) -> Rule: ...

    def close_soon(self, code: int, reason: str) -> None: ...


CredentialKey = tuple[str, int]
Allowed = Callable[[Actor, Rule], bool]


def credential_key(actor: Actor) -> CredentialKey | None:
    """What tells one credential from another; None for anonymous. A session and its JWTs are one."""
    return (_kind(actor.credential.method), actor.credential.id) if actor.credential else None


def _kind(method: Method) -> str:
    return "session" if method in OF_SESSIONS else method.value


class SocketRegistry:
    """All open sockets and streams of this server.

    allowed: says whether an actor still passes a route's rule; asked when an actor is replaced. Without it
        every replacement is kept.
    """

    def __init__(self, allowed: Allowed | None = None) -> None:
        self.allowed = allowed
        self._keys: dict[Live, tuple[int | None, CredentialKey | None, str]] = {}
        self._users: dict[int, set[Live]] = {}
        self._credentials: dict[CredentialKey, set[Live]] = {}
        self._plugins: dict[str, set[Live]] = {}
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Live]:
        return iter(list(self._keys))

    def add(self, entry: Live) -> None:
        """Register an open socket; adding twice is harmless."""
        if entry in self._keys:
            return
        user = entry.actor.user.id if entry.actor.user else None
        credential = credential_key(entry.actor)
        self._keys[entry] = (user, credential, entry.plugin)
        if user is not None:
            self._users.setdefault(user, set()).add(entry)
        if credential is not None:
            self._credentials.setdefault(credential, set()).add(entry)
        self._plugins.setdefault(entry.plugin, set()).add(entry)

    def remove(self, entry: Live) -> None:
        """Forget a socket that has ended; removing an unknown one is harmless."""
        self._forget(entry)
        for done, waiter in self._waiters:
            if not waiter.done() and done():
                waiter.set_result(None)

    def of_user(self, user_id: int) -> list[Live]:
        """The user's open sockets, whatever the credential."""
        return list(self._users.get(user_id, ()))

    def of_credential(self, method: Method | str, credential_id: int) -> list[Live]:
        """The sockets that were opened with one session, token or key."""
        return list(self._credentials.get((_kind(Method(method)), credential_id), ()))

    def of_plugin(self, name: str) -> list[Live]:
        """A plugin's open sockets."""
        return list(self._plugins.get(name, ()))

    def actors(self) -> list[Actor]:
        """The actors behind what is open, each once: what is to be revalidated.

        One credential may have several: who connects after a change of role is up to date, the others are not yet.
        """
        return list({entry.actor for entries in self._credentials.values() for entry in entries})

    def close(self, entries: Iterable[Live], code: int, reason: str) -> int:
        """Ask sockets to close; they leave the registry when they have. Returns how many were asked."""
        count = 0
        for entry in list(entries):
            try:
                entry.close_soon(code, reason)
            except Exception:
                _log.exception("socket would not close", plugin=entry.plugin, code=code)
            count += 1
        return count

    def apply(self, changes: Iterable[tuple[Actor, Actor | None]]) -> None:
        """Give sockets the fresh form of their actor.

        Each change is (actor as it was, actor as it is now, or None when the credential holds no more). Sockets
        whose credential is gone close with 4001, those whose route the new actor may not use with 4003.
        """
        for old, new in changes:
            key = credential_key(old)
            if key is None:
                continue
            for entry in list(self._credentials.get(key, ())):
                self._apply(entry, new)

    def recheck(self) -> None:
        """After rules have changed: close with 4003 whoever may not use its route any more, and let the rest look."""
        for entry in list(self._keys):
            self._replace(entry, entry.actor)

    async def wait_closed(self, timeout: float, plugin: str | None = None) -> int:
        """Wait until all sockets (of `plugin`) have ended, at most `timeout` seconds. Returns how many have not."""
        return await self._wait(timeout, lambda: len(self) if plugin is None else len(self._plugins.get(plugin, ())))

    async def wait_gone(self, entries: Iterable[Live], timeout: float) -> int:
        """Wait until these sockets have ended, at most `timeout` seconds. Returns how many have not."""
        waited = set(entries)
        return await self._wait(timeout, lambda: len(waited & self._keys.keys()))

    async def _wait(self, timeout: float, left: Callable[[], int]) -> int:
        if not left():
            return 0
        waiter = asyncio.get_running_loop().create_future()
        item = (lambda: not left(), waiter)
        self._waiters.append(item)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            pass
        finally:
            self._waiters.remove(item)
        return left()

    def _apply(self, entry: Live, new: Actor | None) -> None:
        if new is None or new.user is None:
            self.close([entry], CLOSE_UNAUTHORIZED, "Credential no longer valid")
            return
        if new is entry.actor or new == entry.actor:
            return
        self._replace(entry, new)

    def _replace(self, entry: Live, actor: Actor) -> None:
        self._forget(entry)
        try:
            entry.actor = actor
        except Exception:
            # Its plugin could not take the news; nobody else's socket may be kept open by that.
            _log.exception("socket would not take a new actor", plugin=entry.plugin)
        self.add(entry)
        if self.allowed is not None and not self.allowed(actor, entry.access):
            self.close([entry], CLOSE_FORBIDDEN, "Permission withdrawn")

    def _forget(self, entry: Live) -> None:
        keys = self._keys.pop(entry, None)
        if keys is None:
            return
        user, credential, plugin = keys
        if user is not None:
            _discard(self._users, user, entry)
        if credential is not None:
            _discard(self._credentials, credential, entry)
        _discard(self._plugins, plugin, entry)


def _discard(index: dict[K, set[Live]], key: K, entry: Live) -> None:
    entries = index[key]
    entries.discard(entry)
    if not entries:
        del index[key]
