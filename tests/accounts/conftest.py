"""Accounts over a real database, with a clock that tests can turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moorage.access import Actor, Permission
from moorage.access.service import Access
from moorage.accounts import SYSTEM, Accounts, ClientInfo, Login
from moorage.config.settings import AccountsSettings, RoleSettings
from moorage.db import Database
from moorage.db.migrate import CORE, upgrade
from moorage.events import EventBus, Topic
from moorage.observe.audit import Audit
from moorage.observe.models import AuditEvent

PASSWORD = "correct horse battery"
HOME = ClientInfo("192.0.2.1", "pytest")
ROLES = {
    "helper": RoleSettings(includes="viewer", grants=["tmux:session:read"]),
    "super": RoleSettings(includes="operator", grants=["*"]),
}
DECLARED = (
    Permission("tmux:session:read", "See sessions", default="viewer", owned=True),
    Permission("tmux:session:write", "Type into sessions", default="operator", owned=True),
)


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.at = datetime(2030, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def turn(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Desk:
    """One process's accounts, and all that it said on its bus."""

    accounts: Accounts
    access: Access
    clock: Clock
    db: Database
    bus: EventBus
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def user(self, username: str = "ann", /, role: str = "operator", **more: Any) -> int:
        more.setdefault("password", PASSWORD)
        return (await self.accounts.create_user(username, role=role, by=SYSTEM, **more)).id

    async def login(self, name: str = "ann", password: str = PASSWORD, client: ClientInfo = HOME, **more: Any) -> Login:
        return await self.accounts.login(name, password, client, **more)

    async def actor(self, name: str = "ann") -> Actor:
        return (await self.login(name)).actor

    async def audit(self) -> list[tuple[str, str | None]]:
        return [(row.action, row.target) for row in await AuditEvent.all().order_by("id")]


@pytest.fixture
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database; parametrize it indirectly with "postgres" for the other kind."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite://{tmp_path}/moorage.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def make_desk(backend: str, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """make_desk(**settings): another process's accounts over the same database and data folder."""
    await upgrade(backend, tmp_path, [CORE])
    async with AsyncExitStack() as stack:

        async def make(clock: Clock | None = None, **settings: Any) -> Desk:
            fast = {"argon2_memory_kib": 64, "argon2_time": 1, **settings}
            db, bus = Database(backend, tmp_path), EventBus()
            access = Access(ROLES)
            access.declare("tmux", DECLARED)
            clock = clock or Clock()
            accounts = Accounts(AccountsSettings(**fast), db, Audit(db, bus), bus, tmp_path, access, now=clock)
            await db.open({CORE.label: list(CORE.models)})
            stack.push_async_callback(db.close)
            stack.push_async_callback(bus.close)
            stack.push_async_callback(accounts.close)
            desk = Desk(accounts, access, clock, db, bus)
            for topic in (Topic.USER_CHANGED, Topic.CREDENTIAL_REVOKED):
                bus.subscribe(topic, lambda data, topic=topic: desk.events.append((topic, data)))
            return desk

        yield make


@pytest.fixture
async def desk(make_desk: Callable[..., Any]) -> Desk:
    """Accounts with default settings but for a quick hash. Use `with desk.db.activate()` around what reads models."""
    made: Desk = await make_desk()
    return made
