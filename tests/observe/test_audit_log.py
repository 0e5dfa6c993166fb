"""The audit log over SQLite and PostgreSQL: what is kept, when it is told, and that it stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from moorage.access import ANONYMOUS, Actor, Credential, Method, UserInfo
from moorage.context import RequestInfo, bind_request
from moorage.db import Database
from moorage.db.migrate import CORE, upgrade
from moorage.events import EventBus, Topic
from moorage.observe.audit import MAX_DATA, Audit, AuditRecord
from moorage.observe.models import AuditEvent

ANN = Actor(
    UserInfo(7, "user_7", "ann", "Ann", None, "admin", None, True, datetime.now(UTC)),
    Credential(Method.API_KEY, 3, "key_3"),
)
SYSTEM = Actor(None, Credential(Method.SYSTEM, 0, "system"))


@pytest.fixture(params=["sqlite", "postgres"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    url = "sqlite://moorage.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    await upgrade(url, tmp_path, [CORE])
    db = Database(url, tmp_path)
    await db.open({CORE.label: list(CORE.models)})
    yield db
    await db.close()


@pytest.fixture
def bus() -> EventBus:
    return EventBus()


@pytest.fixture
def told(bus: EventBus) -> list[AuditRecord]:
    """The records that were published."""
    found: list[AuditRecord] = []
    bus.subscribe(Topic.AUDIT_WRITTEN, lambda data: found.append(data["record"]))
    return found


async def rows(db: Database) -> list[AuditEvent]:
    with db.activate():
        return await AuditEvent.all().order_by("id")


async def test_what_is_kept(db: Database, bus: EventBus, told: list[AuditRecord]) -> None:
    audit = Audit(db, bus)
    bind_request(RequestInfo(id="req-9", address="192.0.2.7", user_agent="curl/8\r\nX: y"))
    before = datetime.now(UTC)
    record = await audit.write(
        "key.created", actor=ANN, target="api_key:4", data={"name": "ci", "api_key": "mcp_0123abcd_" + "q" * 32, "n": 3}
    )
    await audit.write("login.failed", actor=ANONYMOUS, data={"login": "ève\x00\nfake"})
    await audit.write("users.created", actor=SYSTEM)
    first, second, third = await rows(db)
    assert (first.id, first.actor, first.actor_id, first.method) == (record.id, "user_7", 7, "api_key")
    assert (first.action, first.target) == ("key.created", "api_key:4")
    assert (first.address, first.request_id) == ("192.0.2.7", "req-9")
    assert first.user_agent == "curl/8\ufffd\ufffdX: y"
    assert first.data == {"name": "ci", "api_key": "***", "n": 3}
    assert before <= first.at <= datetime.now(UTC)
    assert (second.actor, second.actor_id, second.method) == ("anonymous", None, "anonymous")
    assert second.data == {"login": "ève\ufffd\ufffdfake"}
    assert (third.actor, third.method, third.target) == ("system", "system", None)
    assert [r.id for r in told] == [first.id, second.id, third.id]
    assert told[0] == record
    assert record.at.tzinfo is not None


async def test_hostile_sizes_and_characters(db: Database, bus: EventBus) -> None:
    audit = Audit(db, bus)
    bind_request(RequestInfo(id="r" * 500, address="a" * 500, user_agent="\udc80" * 999))
    await audit.write("a" * 200, actor=ANN, target="\x00\ud800" + "t" * 999, data={"text": "x" * 100_000})
    await audit.write("b", actor=ANN, data={"\ud800key\x00": ["\udfff", {"in": "\x00", "n": float("nan")}]})
    first, second = await rows(db)
    assert len(first.target or "") == 255
    assert first.data["truncated"] is True
    assert first.data["bytes"] > MAX_DATA
    assert second.data == {"\ufffdkey\ufffd": ["\ufffd", {"in": "\ufffd", "n": "nan"}]}


async def test_within_a_transaction_it_lives_and_dies_with_it(
    db: Database, bus: EventBus, told: list[AuditRecord]
) -> None:
    audit = Audit(db, bus)

    async def undone(action: str) -> None:
        async with db.transaction():
            await audit.write(action, actor=ANN)
            raise RuntimeError("undo")

    with pytest.raises(RuntimeError, match="undo"):
        await undone("a")
    assert await rows(db) == []
    assert told == []
    async with db.transaction():
        await audit.write("b", actor=ANN)
        with pytest.raises(RuntimeError, match="undo"):
            await undone("c")
        async with db.transaction():
            await audit.write("d", actor=ANN)
        assert told == [], "not before the outermost commit"
    assert [row.action for row in await rows(db)] == ["b", "d"]
    assert [record.action for record in told] == ["b", "d"]


async def test_a_task_that_outlives_its_transaction_is_still_told(
    db: Database, bus: EventBus, told: list[AuditRecord]
) -> None:
    audit = Audit(db, bus)
    go = asyncio.Event()

    async def later() -> None:
        await go.wait()
        db.after_commit(lambda: bus.publish(Topic.AUDIT_WRITTEN, {"record": "late"}))

    async with db.transaction():
        task = asyncio.create_task(later())
        await audit.write("a", actor=ANN)
    go.set()
    await task
    assert told[1:] == ["late"]


async def test_what_follows_a_commit_cannot_undo_it(db: Database, bus: EventBus) -> None:
    def fails() -> None:
        raise RuntimeError("boom")

    seen: list[int] = []
    async with db.transaction():
        db.after_commit(fails)
        db.after_commit(lambda: seen.append(1))
        await Audit(db, bus).write("a", actor=ANN)
    assert seen == [1]
    assert len(await rows(db)) == 1


async def test_rows_are_never_changed_nor_taken_back(db: Database, bus: EventBus) -> None:
    await Audit(db, bus).write("a", actor=ANN)
    (row,) = await rows(db)
    row.action = "b"
    with db.activate():
        with pytest.raises(TypeError):
            await row.save()
        with pytest.raises(TypeError):
            await row.delete()
    assert [r.action for r in await rows(db)] == ["a"]
