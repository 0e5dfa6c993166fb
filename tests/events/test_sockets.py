"""The registry of open sockets: found by user, credential and plugin; closed and refreshed from there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from moorage.access import ANONYMOUS, Actor, Credential, Method, UserInfo
from moorage.events import SocketRegistry
from moorage.routes import PUBLIC, Access


class Open:
    """An open socket; closing is remembered."""

    def __init__(self, actor: Actor, plugin: str = "tmux", access: str | Access | None = "tmux:session:read") -> None:
        self.actor, self._plugin, self._access = actor, plugin, access
        self.closed: list[tuple[int, str]] = []

    @property
    def plugin(self) -> str:
        return self._plugin

    @property
    def access(self) -> str | Access | None:
        return self._access

    def close_soon(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))


def user(number: int, role: str = "operator", credential: int = 1, method: Method = Method.SESSION) -> Actor:
    info = UserInfo(
        number, f"user_{number}", f"u{number}", "U", None, role, None, True, datetime(2026, 1, 1, tzinfo=UTC)
    )
    return Actor(info, Credential(method, credential, f"c_{credential}"))


def test_lookups() -> None:
    registry = SocketRegistry()
    a, b = Open(user(1, credential=1)), Open(user(1, credential=2), plugin="chat")
    c, d = Open(user(2, credential=1, method=Method.API_KEY)), Open(ANONYMOUS)
    for entry in (a, b, c, d, a):
        registry.add(entry)
    assert len(registry) == 4
    assert set(registry) == {a, b, c, d}
    assert set(registry.of_user(1)) == {a, b}
    assert registry.of_credential(Method.SESSION, 1) == [a], "a session and a key may have one number"
    assert registry.of_credential("api_key", 1) == [c]
    assert set(registry.of_plugin("tmux")) == {a, c, d}
    assert {actor.label for actor in registry.actors()} == {"user_1", "user_2"}
    assert len(registry.actors()) == 3, "one per credential, nobody for anonymous"
    for entry in (a, b, c, d, d):
        registry.remove(entry)
    assert len(registry) == 0
    assert registry.of_user(1) == registry.of_plugin("tmux") == registry.actors() == []


def test_nothing_is_kept_of_what_has_ended() -> None:
    registry = SocketRegistry()
    for number in range(100):
        entry = Open(user(number, credential=number))
        registry.add(entry)
        registry.remove(entry)
    assert not registry._keys
    assert not registry._users
    assert not registry._credentials
    assert not registry._plugins


def test_a_credential_that_is_gone_closes_its_sockets() -> None:
    registry = SocketRegistry()
    a, b, other = Open(user(1)), Open(user(1), plugin="chat"), Open(user(1, credential=2))
    for entry in (a, b, other):
        registry.add(entry)
    registry.apply([(user(1), None)])
    assert [code for code, _ in a.closed + b.closed] == [4001, 4001]
    assert other.closed == []
    assert len(registry) == 3, "they leave when they have ended"


def test_a_changed_role_is_live_and_closes_what_it_may_not_use() -> None:
    registry = SocketRegistry(
        lambda actor, rule: rule is PUBLIC or (actor.user is not None and actor.user.role == "operator")
    )
    reads, public = Open(user(1)), Open(user(1), access=PUBLIC)
    for entry in (reads, public):
        registry.add(entry)
    same = user(1)
    registry.apply([(user(1), same)])
    assert reads.closed == []
    fresh = user(1, role="viewer")
    registry.apply([(user(1), fresh)])
    assert reads.actor is fresh
    assert public.actor is fresh
    assert [code for code, _ in reads.closed] == [4003]
    assert public.closed == []
    assert set(registry.of_credential(Method.SESSION, 1)) == {reads, public}
    registry.apply([(fresh, replace(fresh, credential=Credential(Method.SESSION, 9, "c_9")))])
    assert registry.of_credential(Method.SESSION, 1) == []
    assert set(registry.of_credential(Method.SESSION, 9)) == {reads, public}
    registry.apply([(ANONYMOUS, None)])


def test_one_that_will_not_close_does_not_save_the_others() -> None:
    class Broken(Open):
        def close_soon(self, code: int, reason: str) -> None:
            raise RuntimeError("no")

    registry = SocketRegistry()
    entries = [Broken(user(1)), Open(user(1))]
    for entry in entries:
        registry.add(entry)
    with structlog.testing.capture_logs() as logged:
        assert registry.close(entries, 1001, "Server shutting down") == 2
    assert entries[1].closed == [(1001, "Server shutting down")]
    assert [entry["event"] for entry in logged] == ["socket would not close"]


def test_who_connected_after_a_change_does_not_hide_who_was_there_before() -> None:
    registry = SocketRegistry(lambda actor, rule: actor.user is not None and actor.user.role != "viewer")
    before, after = user(1, role="operator"), user(1, role="viewer")
    entries = [Open(before) for _ in range(4)] + [Open(after, access=PUBLIC) for _ in range(4)]
    for entry in entries:
        registry.add(entry)
    assert set(registry.actors()) == {before, after}
    registry.apply([(before, after)])
    assert {entry.actor for entry in entries} == {after}
    assert all(entry.closed for entry in entries[:4])


def test_one_that_cannot_take_the_news_does_not_save_the_others() -> None:
    class Broken(Open):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "actor" and hasattr(self, "actor"):
                raise RuntimeError("broken")
            super().__setattr__(name, value)

    registry = SocketRegistry(lambda actor, rule: False)
    entries = [Broken(user(1)), Open(user(1)), Broken(user(1))]
    for entry in entries:
        registry.add(entry)
    with structlog.testing.capture_logs() as logged:
        registry.apply([(user(1), user(1, role="viewer"))])
    assert [len(entry.closed) for entry in entries] == [1, 1, 1]
    assert len(registry) == 3, "they are there until they have closed"
    assert len(logged) == 2


def test_changed_rules_close_who_may_not_pass_any_more() -> None:
    allowed = {"tmux:session:read", "chat:message:read"}
    registry = SocketRegistry(lambda actor, rule: rule in allowed)
    terminal, chat = Open(user(1)), Open(user(1), access="chat:message:read")
    registry.add(terminal)
    registry.add(chat)
    registry.recheck()
    assert not terminal.closed
    allowed.remove("tmux:session:read")
    registry.recheck()
    assert terminal.closed == [(4003, "Permission withdrawn")]
    assert not chat.closed


async def test_waiting_for_the_last_to_leave() -> None:
    registry = SocketRegistry()
    assert await registry.wait_closed(0) == 0
    a, b, c = Open(user(1)), Open(user(2)), Open(user(3), plugin="chat")
    for entry in (a, b, c):
        registry.add(entry)
    tmux = asyncio.create_task(registry.wait_closed(5, plugin="tmux"))
    two = asyncio.create_task(registry.wait_gone([a, c], 5))
    everything = asyncio.create_task(registry.wait_closed(5))
    await asyncio.sleep(0)
    registry.remove(a)
    await asyncio.sleep(0)
    assert not tmux.done()
    registry.remove(b)
    assert await tmux == 0
    assert not two.done()
    registry.remove(c)
    assert await two == 0
    assert await everything == 0
    registry.add(a)
    assert await registry.wait_closed(0.01) == 1
    assert await registry.wait_gone([a, b], 0.01) == 1
    assert not registry._waiters
