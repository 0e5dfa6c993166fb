"""Reading the audit log over SQLite and PostgreSQL; and that the database itself lets nothing be changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moorage.access import ANONYMOUS, Actor, Credential, Method, UserInfo
from moorage.context import RequestInfo, bind_request
from moorage.db import Database
from moorage.db.migrate import CORE, upgrade
from moorage.events import EventBus
from moorage.observe import audit as audit_module
from moorage.observe import audit_query
from moorage.observe.audit import Audit
from moorage.observe.audit_query import AuditFilter, page, prune, walk
from moorage.observe.models import AuditEvent
from tortoise.exceptions import IntegrityError

START = datetime(2020, 1, 1, tzinfo=UTC)
SYSTEM = Actor(None, Credential(Method.SYSTEM, 0, "system"))


def user(number: int) -> Actor:
    info = UserInfo(number, f"user_{number}", f"u{number}", "U", None, "admin", None, True, START)
    return Actor(info, Credential(Method.SESSION, number, f"ses_{number}"))


@pytest.fixture(params=["sqlite", "postgres"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    url = "sqlite://moorage.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    await upgrade(url, tmp_path, [CORE])
    db = Database(url, tmp_path)
    await db.open({CORE.label: list(CORE.models)})
    with db.activate():
        yield db
    await db.close()


@pytest.fixture
def audit(db: Database) -> Audit:
    return Audit(db, EventBus())


async def add(number: int, **more: Any) -> None:
    """Rows one minute apart, the first at START."""
    values = {"actor": "user_1", "actor_id": 1, "method": "session", "action": "user.created", "data": {}, **more}
    await AuditEvent.create(at=START + timedelta(minutes=number), **values)


async def minutes(wanted: AuditFilter) -> list[int]:
    rows, total = await page(wanted, offset=0, limit=100)
    assert total == len(rows)
    return [int((row.at - START).total_seconds()) // 60 for row in rows]


async def test_each_filter_and_all_of_them_together(db: Database) -> None:
    await add(0)
    await add(1, action="user.deleted", target="user:3")
    await add(2, action="user_x.deleted", actor="system", actor_id=None)
    await add(3, action="login.failed", actor="anonymous", actor_id=None, address="192.0.2.1", request_id="r-1")
    await add(4, action="user.role_changed", actor="user_2", actor_id=2)
    everything = [4, 3, 2, 1, 0]
    for wanted, expected in [
        (AuditFilter(), everything),
        (AuditFilter(action="user.*"), [4, 1, 0]),
        (AuditFilter(action="*"), everything),
        (AuditFilter(action="user.created"), [0]),
        (AuditFilter(action="user"), []),
        (AuditFilter(action="%.*"), []),
        (AuditFilter(action="user_*"), [2]),
        (AuditFilter(actor="user_1"), [1, 0]),
        (AuditFilter(actor="system"), [2]),
        (AuditFilter(actor="anonymous"), [3]),
        (AuditFilter(actor_id=2), [4]),
        (AuditFilter(target="user:3"), [1]),
        (AuditFilter(address="192.0.2.1"), [3]),
        (AuditFilter(request_id="r-1"), [3]),
        (AuditFilter(since=START + timedelta(minutes=3)), [4, 3]),
        (AuditFilter(until=START + timedelta(minutes=1)), [0]),
        (AuditFilter(action="user.*", actor_id=1, since=START + timedelta(seconds=1)), [1]),
    ]:
        assert await minutes(wanted) == expected, wanted


async def test_pages_hold_each_event_once(db: Database) -> None:
    for _ in range(7):
        await add(0)
    seen = []
    for offset in (0, 3, 6, 9):
        rows, total = await page(AuditFilter(), offset=offset, limit=3)
        assert total == 7
        seen += [row.id for row in rows]
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 7


async def test_a_walk_sees_what_was_there_when_it_began(db: Database) -> None:
    for minute in (0, 0, 0, 1, 1, 2, 2):
        await add(minute)
    await add(3, action="other")
    seen: list[int] = []
    sizes = []
    async for rows in walk(AuditFilter(action="user.created"), chunk=2):
        seen += [row.id for row in rows]
        sizes.append(len(rows))
        await add(9)
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert max(sizes) == 2


async def test_the_database_refuses_to_change_or_delete(db: Database, audit: Audit) -> None:
    await audit.write("a", actor=SYSTEM)
    statements = [
        "UPDATE core_audit_events SET action = 'b'",
        "DELETE FROM core_audit_events",
        "DELETE FROM core_audit_events WHERE id = 1",
    ]
    if db.dialect == "sqlite":
        columns = "id, at, actor, method, action, address, user_agent, request_id, data"
        statements.append(
            f"INSERT OR REPLACE INTO core_audit_events ({columns}) VALUES (1, '', '', '', 'b', '', '', '', '')"
        )
    else:
        statements.append("TRUNCATE core_audit_events")
        statements.append(
            "INSERT INTO core_audit_events (id, at, actor, method, action, address, user_agent, request_id, data) "
            "VALUES (1, now(), '', '', 'b', '', '', '', '{}') ON CONFLICT (id) DO UPDATE SET action = 'b'"
        )
    for statement in statements:
        with pytest.raises(IntegrityError, match="never"):
            await db.connection().execute_query(statement)
    with pytest.raises(IntegrityError):
        await AuditEvent.all().delete()
    await audit.write("c", actor=SYSTEM)
    assert [row.action for row in await AuditEvent.all().order_by("id")] == ["a", "c"]


async def test_pruning_removes_what_is_old_and_says_so(
    db: Database, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_query, "PRUNE_CHUNK", 2)
    for minute in range(5):
        await add(minute)
    before = START + timedelta(minutes=3)
    assert await prune(db, audit, before, by=SYSTEM) == 3
    rows = await AuditEvent.all().order_by("id")
    assert [row.id for row in rows[:2]] == [4, 5]
    assert [(row.action, row.actor, row.data) for row in rows[2:]] == [
        ("audit.pruned", "system", {"before": before.isoformat(), "count": 2}),
        ("audit.pruned", "system", {"before": before.isoformat(), "count": 1}),
    ]
    assert await prune(db, audit, before, by=SYSTEM) == 0
    assert await prune(db, audit, datetime.now(UTC) + timedelta(days=1), by=SYSTEM) == 4, "and then it ends"
    assert [row.data["count"] for row in await AuditEvent.all().order_by("id")] == [2, 2]
    with pytest.raises(IntegrityError, match="never"):
        await db.connection().execute_query("DELETE FROM core_audit_events")


async def test_pruning_that_fails_leaves_the_log_and_its_guard(
    db: Database, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(0)

    async def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("disk")

    with monkeypatch.context() as patched:
        patched.setattr(audit, "write", fails)
        with pytest.raises(RuntimeError):
            await prune(db, audit, START + timedelta(days=1), by=SYSTEM)
    assert await AuditEvent.all().count() == 1
    with pytest.raises(IntegrityError, match="never"):
        await db.connection().execute_query("DELETE FROM core_audit_events")


async def test_a_reading_is_written_once_a_minute_for_each_reader_and_subject(
    db: Database, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(audit_module, "monotonic", lambda: now)
    bind_request(RequestInfo(id="r", address="192.0.2.1"))
    for _ in range(3):
        await audit.note_read("user", actor=user(1))
    await audit.note_read("user", actor=user(2))
    await audit.note_read("invite", actor=user(1))
    await audit.note_read("user", actor=user(1), data={"filters": {"action": "x"}})
    now += 59.9
    await audit.note_read("user", actor=user(1))
    now += 0.2
    await audit.note_read("user", actor=user(1))
    rows = await AuditEvent.all().order_by("id")
    assert [(row.actor, row.action) for row in rows] == [
        ("user_1", "user.read"),
        ("user_2", "user.read"),
        ("user_1", "invite.read"),
        ("user_1", "user.read"),
        ("user_1", "user.read"),
    ]


async def test_the_memory_of_readings_is_bounded_and_a_failed_one_is_none(
    db: Database, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "MAX_READS", 2)
    for number in (1, 2, 3):
        await audit.note_read("user", actor=user(number))
    assert len(audit._reads) == 2

    async def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("disk")

    with monkeypatch.context() as patched:
        patched.setattr(audit, "write", fails)
        with pytest.raises(RuntimeError):
            await audit.note_read("key", actor=ANONYMOUS)
    await audit.note_read("key", actor=ANONYMOUS)
    assert await AuditEvent.filter(action="key.read").count() == 1
