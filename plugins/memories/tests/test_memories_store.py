"""Memories in this server's database, on both databases: kept, listed, filtered, changed, counted, and removed."""

from __future__ import annotations

import asyncio
import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from memorystore import MemoryStores, opened
from moorage.api import Conflict, NotFound, ValidationFailed
from moorage_memories import bounds
from moorage_memories.backends.base import ID_TAKEN
from moorage_memories.records import Change, Draft, Filter, Memory, MemoryType, Scope
from moorage_memories.removal import Removal
from moorage_memories.store import conditions
from waits import WAIT

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIMITS = {"max_memories_per_user": 300, "max_stores_per_user": 5, "max_content_bytes": 1024 * 1024}
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgres"])
async def store(request, tmp_path_factory):
    url = request.getfixturevalue("postgres").new_database() if request.param == "postgres" else None
    async with opened(tmp_path_factory.mktemp("memories"), LIMITS, url=url) as store:
        yield store


def draft(number: int, **more) -> Draft:
    return Draft(f"text {number}", created_at=BEGIN + timedelta(minutes=number), **more)


async def refused(work, code: str) -> None:
    with pytest.raises(Conflict) as caught:
        await work
    assert caught.value.error_code == code


# -- one memory --------------------------------------------------------------------------------------------------


async def test_a_memory_is_kept_as_it_was_given(store: MemoryStores):
    scope = await store.scope("work")
    parent, created = str(uuid.uuid4()), datetime(2023, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    given = Draft(
        "Größe 今日 \U0001f3a7\n'quoted' \"?\" % \\",
        memory_type=MemoryType.PROCEDURAL,
        category="hábits",
        tags=("one", "二", "?"),
        importance=9,
        metadata={"agent_id": "a?", "deep": [1, {"x": None, "big": 2**70, "y": 1.5}]},
        parent_id=parent,
        chunk_index=0,
        total_chunks=3,
        id=str(uuid.uuid4()),
        created_at=created.astimezone(None),
        updated_at=created + timedelta(days=1),
    )
    (added,) = await store.backend.add(scope, [given])
    wanted = Memory(
        id=given.id or "",
        store="work",
        content=given.content,
        memory_type=MemoryType.PROCEDURAL,
        category="hábits",
        tags=("one", "二", "?"),
        importance=9,
        metadata=given.metadata,
        created_at=created,
        updated_at=created + timedelta(days=1),
        parent_id=parent,
        chunk_index=0,
        total_chunks=3,
    )
    assert added == wanted
    assert await store.backend.get(scope, wanted.id.upper()) == wanted
    assert list((await store.page(Scope(scope.owner_id))).memories) == [wanted]


async def test_what_is_not_said_has_its_default(store: MemoryStores):
    scope = await store.scope()
    (added,) = await store.add(scope, "plain")
    assert (added.store, added.category, added.importance, added.tags) == ("default", "default", 5, ())
    assert added.memory_type is MemoryType.SEMANTIC
    assert uuid.UUID(added.id).version == 4
    assert added.created_at == added.updated_at <= datetime.now(UTC)
    future = datetime.now(UTC) + timedelta(days=400)
    (later,) = await store.backend.add(scope, [Draft("later", created_at=future, updated_at=future)])
    assert later.updated_at < future - timedelta(days=300), "nothing is from the future"


async def test_a_memory_is_changed(store: MemoryStores):
    scope = await store.scope()
    (old,) = await store.backend.add(scope, [draft(1, tags=("a", "b"), metadata={"x": 1})])
    new = await store.backend.change(scope, old.id, Change(content="other", tags=("b", "c"), importance=10))
    assert (new.content, new.tags, new.importance, new.metadata) == ("other", ("b", "c"), 10, {"x": 1})
    assert new.created_at == old.created_at < new.updated_at
    assert await store.backend.get(scope, old.id) == new
    assert await store.said(scope, tags=("a",)) == []
    assert await store.said(scope, tags=("c", "b")) == ["other"]
    empty = await store.backend.change(scope, old.id, Change(tags=(), metadata={}, memory_type=MemoryType.EPISODIC))
    assert (empty.tags, empty.metadata, empty.memory_type, empty.content) == ((), {}, MemoryType.EPISODIC, "other")
    assert await store.said(scope, tags=("c",)) == []


async def test_what_is_anothers_or_elsewhere_is_not_there(store: MemoryStores):
    ann, ben = await store.scope("work"), await store.scope()
    (hers,) = await store.add(ann, "hers")
    elsewhere = Scope(ann.owner_id, "home")
    for scope in (ben, Scope(ben.owner_id, "work"), elsewhere):
        with pytest.raises(NotFound):
            await store.backend.get(scope, hers.id)
        with pytest.raises(NotFound):
            await store.backend.change(scope, hers.id, Change(content="mine"))
        with pytest.raises(NotFound):
            await store.backend.delete(scope, hers.id)
        assert (await store.page(scope)).total == 0
        assert [one async for one in store.backend.export(scope)] == []
    with pytest.raises(NotFound):
        await store.backend.get(ann, "no id at all ' ?")
    assert await store.said(Scope(ann.owner_id)) == ["hers"]
    await store.backend.delete(Scope(ann.owner_id), hers.id)
    with pytest.raises(NotFound):
        await store.backend.get(ann, hers.id)
    with pytest.raises(NotFound):
        await store.backend.delete(ann, hers.id)


async def test_an_id_is_taken_once_by_each_user(store: MemoryStores):
    ann, ben = await store.scope(), await store.scope()
    taken = str(uuid.uuid4())
    await store.backend.add(ann, [draft(1, id=taken)])
    await store.backend.add(ben, [draft(1, id=taken)])
    elsewhere = Scope(ann.owner_id, "else")
    await refused(store.backend.add(elsewhere, [draft(2), draft(3, id=taken)]), ID_TAKEN)
    twice = str(uuid.uuid4())
    await refused(store.backend.add(ann, [draft(4, id=twice), draft(5, id=twice)]), ID_TAKEN)
    assert await store.stores(ann) == {"default": 1}, "all or none, and no store for none"
    assert await store.backend.present(Scope(ann.owner_id), [taken, twice]) == {taken}


# -- lists -------------------------------------------------------------------------------------------------------


async def test_a_list_is_paged_newest_first(store: MemoryStores):
    scope = await store.scope()
    await store.backend.add(scope, [draft(n) for n in (3, 1, 2)])
    await store.backend.add(Scope(scope.owner_id, "else"), [draft(4), draft(4)])
    assert await store.said(scope) == ["text 4", "text 4", "text 3", "text 2", "text 1"]
    assert await store.said(scope, offset=2, limit=2) == ["text 3", "text 2"]
    page = await store.page(Scope(scope.owner_id, "default"), offset=1, limit=1)
    assert (page.total, [one.content for one in page.memories]) == (3, ["text 2"])
    assert (await store.page(scope, offset=99)).total == 5
    assert await store.said(scope, offset=2**31 - 1) == []


async def test_filters_hold_together(store: MemoryStores):
    scope = await store.scope()
    episodic = MemoryType.EPISODIC
    await store.backend.add(
        scope,
        [
            draft(1, category="a", tags=("x", "y"), importance=1),
            draft(2, category="a", tags=("y",), importance=7, memory_type=episodic),
            draft(3, category="b", tags=("x",), importance=7),
            draft(4, importance=10, memory_type=episodic),
        ],
    )
    asked: list[tuple[dict, list[int]]] = [
        ({"category": "a"}, [2, 1]),
        ({"category": "A"}, []),
        ({"memory_type": episodic}, [4, 2]),
        ({"tags": ("x",)}, [3, 1]),
        ({"tags": ("x", "y")}, [1]),
        ({"min_importance": 7}, [4, 3, 2]),
        ({"min_importance": 7, "category": "a", "tags": ("y",)}, [2]),
        ({"since": BEGIN + timedelta(minutes=2)}, [4, 3, 2]),
        ({"until": BEGIN + timedelta(minutes=2)}, [1]),
        ({"since": BEGIN + timedelta(minutes=1, seconds=1), "until": BEGIN + timedelta(minutes=3)}, [2]),
    ]
    for filter, numbers in asked:
        for store_name in (None, "default"):
            page = await store.page(Scope(scope.owner_id, store_name), **filter)
            assert [one.content for one in page.memories] == [f"text {n}" for n in numbers], filter
            assert page.total == len(numbers), filter
            paged = await store.said(scope, offset=1, limit=1, **filter)
            assert paged == [f"text {n}" for n in numbers[1:2]], filter


async def test_an_export_has_all_oldest_first(store: MemoryStores):
    """More than are read at a time, many of them of one time."""
    scope = await store.scope()
    await store.backend.add(scope, [draft(n // 10, id=str(uuid.uuid4())) for n in range(25)])
    found = [one async for one in store.backend.export(scope)]
    assert [one.content for one in found] == [f"text {n // 10}" for n in range(25)]
    assert list(reversed((await store.page(scope)).memories)) == found
    await store.add(Scope(scope.owner_id, "else"), "else")
    assert len([one async for one in store.backend.export(Scope(scope.owner_id, "default"))]) == 25


async def test_lists_are_found_in_an_index(store: MemoryStores):
    """No memory is read but those of the page, and nothing is sorted; also when they are counted."""
    if store.hub.db.dialect != "sqlite":
        pytest.skip("PostgreSQL plans by what is in a table")
    day = BEGIN + timedelta(days=1)
    filters = [
        Filter(),
        Filter(category="a", memory_type=MemoryType.EPISODIC, min_importance=3),
        Filter(since=BEGIN, until=day),
    ]
    for scope in (Scope(1), Scope(1, "work")):
        for filter in filters:
            found = conditions.of(scope, filter)
            listed = f'FROM "memories_entries" m WHERE {found.sql}'
            queries = [
                (f'SELECT m."id" {listed} ORDER BY m."created_at" DESC, m."id" DESC LIMIT 50', found.values),
                (f"SELECT COUNT(*) {listed}", found.values),
            ]
            after = found.also('(m."created_at", m."id") > (?, ?)', BEGIN, 5)
            exported = f'SELECT m."content" FROM "memories_entries" m WHERE {after.sql} ORDER BY m."created_at", m."id"'
            for query, values in queries:
                plan = await plan_of(store, query, values)
                assert "USING COVERING INDEX idx_memories_en" in plan, (plan, query)
            plan = await plan_of(store, exported, after.values)
            assert "USING INDEX idx_memories_en" in plan, (plan, exported)
    one = conditions.of_scope(Scope(1)).also('m."pid" = ?', "x")
    assert "sqlite_autoindex" in await plan_of(store, f'SELECT * FROM "memories_entries" m WHERE {one.sql}', one.values)


async def plan_of(store: MemoryStores, query: str, values) -> str:
    """How SQLite would answer."""
    plan = " | ".join(str(row[-1]) for row in await store.rows(f"EXPLAIN QUERY PLAN {query}", *values))
    assert "TEMP B-TREE" not in plan, (plan, query)
    return plan


# -- stores and projects -----------------------------------------------------------------------------------------


async def test_the_default_store_is_there_and_first(store: MemoryStores):
    scope = await store.scope("Alpha")
    assert await store.stores(scope) == {"default": 0}
    await store.add(scope, "a")
    await store.add(Scope(scope.owner_id, "beta"), "b", "c")
    listed = await store.backend.stores(scope.owner_id)
    assert [(one.name, one.memories, one.project) for one in listed] == [
        ("default", 0, None),
        ("Alpha", 1, None),
        ("beta", 2, None),
    ]


async def test_projects_with_one_name_have_two_stores(store: MemoryStores):
    scope, other = await store.scope(), await store.scope()
    owner = scope.owner_id
    await store.add(Scope(owner, "web"), "noted before there was a project")
    first = await store.backend.store_for(owner, "/srv/a/web")
    second = await store.backend.store_for(owner, "/srv/b/web/")
    assert first == "web", "what the user began by hand goes on"
    assert second.startswith("web-")
    assert await store.backend.store_for(owner, "/srv/b/web") == second
    assert await store.backend.store_for(owner, "/srv/a/web/") == first
    assert await store.backend.store_for(other.owner_id, "/srv/b/web") == "web", "of another user"
    assert [one.project for one in await store.backend.stores(owner)] == [None, "/srv/a/web", "/srv/b/web"]
    assert await store.said(Scope(owner, second)) == []


@pytest.mark.parametrize(
    "path", ["/", "/x/default", "/x/all", "/x/..", "/x/日本", "/x/" + "n" * 200, "/x/a b\0\udcff?*"]
)
async def test_every_folder_has_a_store(store: MemoryStores, path: str):
    owner = (await store.scope()).owner_id
    name = await store.backend.store_for(owner, path)
    other = await store.backend.store_for(owner, "/y" + path)
    assert name != other
    assert not {"default", "all"} & {name, other}
    for one in (name, other):
        await store.add(Scope(owner, one), one)
    assert await store.backend.store_for(owner, path) == name
    assert await store.said(Scope(owner, name)) == [name]


# -- bounds and at the same time ---------------------------------------------------------------------------------


async def test_bounds_of_a_user_hold_when_many_add_at_once(store: MemoryStores):
    scope = await store.scope()
    owner = scope.owner_id
    full = [Draft(f"n {n}") for n in range(70)]
    names = ("a", "b", "c", "default", "a", "b")
    results = await asyncio.gather(
        *(store.backend.add(Scope(owner, name), full) for name in names), return_exceptions=True
    )
    failed = [one for one in results if isinstance(one, Conflict)]
    assert [one.error_code for one in failed] == ["TOO_MANY_MEMORIES"] * 2
    assert len(results) - len(failed) == 4
    assert (await store.page(scope)).total == 280
    assert sum(count or 0 for count in (await store.stores(scope)).values()) == 280
    assert await counted(store, owner) == 280
    await store.add(scope, *(str(n) for n in range(20)))
    await refused(store.add(scope, "one more"), "TOO_MANY_MEMORIES")
    await store.backend.delete(scope, (await store.page(scope)).memories[0].id)
    await store.add(scope, "again there is room")


async def test_stores_are_bounded(store: MemoryStores):
    scope = await store.scope()
    owner = scope.owner_id
    results = await asyncio.gather(
        *(store.backend.store_for(owner, f"/p/{n}") for n in range(4)),
        *(store.add(Scope(owner, f"s{n}"), "x") for n in range(4)),
        return_exceptions=True,
    )
    failed = [one for one in results if isinstance(one, BaseException)]
    assert [getattr(one, "error_code", one) for one in failed] == ["TOO_MANY_STORES"] * 4
    assert len(await store.stores(scope)) == 5
    await store.add(scope, "the default one is always there")
    assert (await store.page(scope)).total == await counted(store, owner)


async def test_one_project_asked_for_at_once_has_one_store(store: MemoryStores):
    owner = (await store.scope()).owner_id
    names = await asyncio.gather(*(store.backend.store_for(owner, "/p/same") for _ in range(8)))
    assert set(names) == {"same"}
    two = await asyncio.gather(*(store.backend.store_for(owner, f"/{n % 2}/two") for n in range(8)))
    assert len(set(two)) == 2


async def test_changes_and_deletion_at_once_leave_what_is_right(store: MemoryStores):
    scope = await store.scope()
    memories = await store.add(scope, *(f"m {n}" for n in range(10)), tags=("t",))
    work = [store.backend.change(scope, one.id, Change(tags=("t", "u"))) for one in memories]
    work += [store.backend.change(scope, one.id, Change(importance=9)) for one in memories]
    work += [store.backend.delete(scope, one.id) for one in memories[:5]]
    work += [store.backend.delete(scope, one.id) for one in memories[:5]]
    results = await asyncio.gather(*work, return_exceptions=True)
    assert all(not isinstance(one, Exception) or isinstance(one, NotFound) for one in results), results
    assert sum(isinstance(one, NotFound) for one in results[-10:]) == 5, "each is deleted once"
    left = (await store.page(scope)).memories
    assert {(one.tags, one.importance) for one in left} == {(("t", "u"), 9)}, "no change is lost"
    assert await store.stores(scope) == {"default": 5}
    tags = await store.rows(f"SELECT tag FROM memories_tags WHERE user_id = {scope.owner_id}")
    assert len(tags) == 10


async def test_everything_at_once_waits_for_nothing_forever(store: MemoryStores):
    """No two of them wait for each other, and every count is right in the end."""
    scope = await store.scope()
    owner, chance = scope.owner_id, random.Random(7)
    memories = await store.add(scope, *(f"m {n}" for n in range(40)), tags=("t",))
    work = []
    for number in range(120):
        one, where = chance.choice(memories), Scope(owner, chance.choice(("default", "a", "b")))
        work.append(
            chance.choice(
                (
                    lambda one=one, n=number: store.backend.change(scope, one.id, Change(content=f"new {n}")),
                    lambda one=one: store.backend.delete(scope, one.id),
                    lambda where=where: store.add(where, "x", "y", tags=("u",)),
                    lambda where=where: store.page(where, tags=("t",)),
                    lambda n=number: store.backend.store_for(owner, f"/{n % 2}/a"),
                    lambda where=where: store.backend.forget(where) if where.store == "b" else store.page(where),
                )
            )()
        )
    async with asyncio.timeout(WAIT):
        results = await asyncio.gather(*work, return_exceptions=True)
    assert all(not isinstance(one, Exception) or isinstance(one, NotFound) for one in results), results
    listed = await store.stores(scope)
    assert sum(count or 0 for count in listed.values()) == (await store.page(scope)).total
    assert (await store.page(scope)).total == await counted(store, owner)
    for name, count in listed.items():
        assert len(await store.said(Scope(owner, name), limit=100)) == count, name


# -- removal -----------------------------------------------------------------------------------------------------


async def test_a_store_is_forgotten(store: MemoryStores):
    scope = await store.scope("gone")
    await store.add(scope, "a", "b", tags=("t",))
    await store.add(Scope(scope.owner_id, "kept"), "c", tags=("t",))
    await store.backend.forget(scope)
    assert await store.stores(scope) == {"default": 0, "kept": 1}
    assert await store.said(Scope(scope.owner_id), tags=("t",)) == ["c"]
    await store.backend.forget(scope)
    assert await store.stores(scope) == {"default": 0, "kept": 1}
    await store.backend.forget(Scope(scope.owner_id))
    assert await counted(store, scope.owner_id) == 0


async def test_forgetting_and_adding_at_once_lose_nothing_and_leave_nothing(store: MemoryStores):
    scope = await store.scope("busy")
    for _ in range(5):
        await asyncio.gather(store.backend.forget(scope), *(store.add(scope, str(n)) for n in range(5)))
    total = (await store.page(scope)).total
    assert total == await counted(store, scope.owner_id) == len(await store.said(scope, limit=100))
    await store.backend.forget(scope)
    assert await store.stores(scope) == {"default": 0}


async def test_a_deleted_users_memories_go(store: MemoryStores):
    ann, ben, root = await store.person(), await store.person(), await store.server.as_user("owner")
    assert ann.user is not None
    assert ben.user is not None
    for user in (ann.user, ben.user):
        await store.add(Scope(user.id, "s"), "one", "two", tags=("t",))
        await store.backend.store_for(user.id, "/p/web")
    answer = await root.delete(f"/api/users/{ann.user.pid}")
    assert answer.status_code == 200, answer.text
    gone = ann.user.id

    async def nothing() -> bool:
        return not any([await tables(store, gone)])

    await store.until(nothing)
    assert await tables(store, ben.user.id) == 2 + 2 + 2 + 1
    lost = 987_654
    await store.add(Scope(lost), "of a user who was deleted while nobody heard")
    await Removal(store.hub, store.backend).look()
    assert await tables(store, lost) == 0
    assert await tables(store, ben.user.id) == 2 + 2 + 2 + 1


async def test_what_is_added_while_a_user_is_removed_goes_as_well(store: MemoryStores, monkeypatch):
    scope = await store.scope("s")
    await store.add(scope, "one")
    forget, late = store.backend.forget, ["last", "second"]

    async def slow(forgotten: Scope) -> int:
        count = await forget(forgotten)
        if late:
            await store.add(scope, late.pop())
        return count

    monkeypatch.setattr(store.backend, "forget", slow)
    await store.backend.forget_user(scope.owner_id)
    assert not late
    assert await tables(store, scope.owner_id) == 0


async def test_metadata_that_is_taken_comes_out_small_enough_to_be_taken_again(store: MemoryStores):
    scope = await store.scope()
    assert scope.owner_id
    with pytest.raises(ValidationFailed):
        bounds.metadata({"far": [1e308] * 60})
    with pytest.raises(ValidationFailed):
        bounds.metadata({"near": [1e-300] * 60})
    most = {"far": [1e308] * 20, "near": [-1e-300] * 20, "zero": [0.0, -0.0], "usual": [0.25] * 500}
    await store.backend.add(scope, [Draft("x", metadata=bounds.metadata(most))])
    (kept,) = (await store.page(scope)).memories
    taken = bounds.metadata(kept.metadata)
    assert {name: list(map(float, numbers)) for name, numbers in taken.items()} == most


async def test_two_servers_may_remove_one_user(store: MemoryStores):
    scope = await store.scope("s")
    await store.add(scope, *(str(n) for n in range(250)), tags=("t",))
    await asyncio.gather(*(store.backend.forget_user(scope.owner_id) for _ in range(3)))
    assert await tables(store, scope.owner_id) == 0


async def tables(store: MemoryStores, user_id: int) -> int:
    """How many rows are a user's."""
    names = ("memories_entries", "memories_tags", "memories_stores", "memories_owners")
    found = [await store.rows(f"SELECT 1 AS one FROM {name} WHERE user_id = {user_id}") for name in names]
    return sum(map(len, found))


async def counted(store: MemoryStores, user_id: int) -> int:
    """A user's memories, counted row by row."""
    return len(await store.rows(f"SELECT id FROM memories_entries WHERE user_id = {user_id}"))
