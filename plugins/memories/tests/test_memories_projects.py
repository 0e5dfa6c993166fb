"""Whose memories a session works with, as another plugin says: rights of both, one store for a folder, on record."""

from __future__ import annotations

import json

import pytest
import pytest_asyncio
from moorage.api import Actor, Manifest, Plugin, Project, hookimpl
from moorage.testing.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Folders(Plugin):
    """Knows sessions by the number of their user and the folder's name, and lets everybody see all of them."""

    manifest = Manifest(name="folders", version="1", summary="Sessions of users")

    @hookimpl(optionalhook=True)
    async def moorage_memories_project(
        self, actor: Actor, session_id: str, workspace_path: str, write: bool
    ) -> Project | None:
        """See memories."""
        owner, _, name = session_id.partition("-")
        return Project(int(owner), f"/p/{name}") if owner.isdigit() else None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory):
    config = {"plugins": {"memories": {"default_mode": "keyword"}}}
    async with Server(tmp_path_factory.mktemp("projects"), ["memories", Folders], config) as server:
        yield server


async def noted(server, actor) -> list[tuple[str, dict]]:
    hub = server.hub("memories")
    with hub.db.activate():
        rows = await hub.db.connection().execute_query_dict(
            "SELECT action, data FROM core_audit_events WHERE actor_id = ? AND action LIKE 'memories_store%' "
            "ORDER BY id",
            [actor.user.id],
        )
    return [(row["action"], row["data"]) for row in rows]


async def test_sessions_in_one_folder_share_their_memories(server):
    ann = await server.as_user("viewer")
    web, shop = f"/api/session/{ann.user.id}-web/mmry", f"/api/sessions/{ann.user.id}-shop/memories"
    assert (await ann.post(web, json={"content": "of web"})).status_code == 200
    assert (await ann.post(shop, json={"content": "of shop"})).status_code == 200
    for path, content in ((web, "of web"), (shop, "of shop")):
        assert [one["content"] for one in (await ann.get(path)).json()["memories"]] == [content]
    assert {one["content"] for one in (await ann.get("/api/memories")).json()["memories"]} == {"of web", "of shop"}
    assert (await ann.get("/api/session/unknown/mmry")).status_code == 404
    assert await noted(server, ann) == [], "one's own is nobody else's business"


async def test_whoever_sees_a_session_does_not_therefore_read_its_memories(server):
    ann, ben = await server.as_user("viewer"), await server.as_user("viewer")
    path = f"/api/session/{ann.user.id}-web/mmry"
    made = (await ann.post(path, json={"content": "hers"})).json()
    for work in (
        ben.get(path),
        ben.get(f"{path}/{made['id']}"),
        ben.post(path, json={"content": "his"}),
        ben.put(f"{path}/{made['id']}", json={"content": "his"}),
        ben.delete(f"{path}/{made['id']}"),
        ben.post(f"{path}/search", json={"query": "hers"}),
    ):
        answer = await work
        assert answer.status_code == 403, answer.text
        assert "hers" not in answer.text
    assert [one["content"] for one in (await ann.get(path)).json()["memories"]] == ["hers"]
    assert await noted(server, ben) == []


async def test_that_an_administrator_reads_and_changes_them_is_on_record(server):
    ann, root = await server.as_user("viewer"), await server.as_user("owner")
    path = f"/api/session/{ann.user.id}-web/mmry"
    made = (await ann.post(path, json={"content": "a secret thought"})).json()
    for _ in range(3):
        assert (await root.get(path)).status_code == 200
    answer = await root.put(f"{path}/{made['id']}", json={"content": "mended"})
    assert answer.status_code == 200, answer.text
    found = await noted(server, root)
    assert [action for action, _ in found] == ["memories_store.read", "memories_store.changed"], "once for a while"
    assert "secret" not in str(found)
    assert (await ann.get(f"{path}/{made['id']}")).json()["content"] == "mended"


async def test_the_record_names_the_store_that_was_reached(server):
    ann, root = await server.as_user("viewer"), await server.as_user("owner")
    path = f"/api/session/{ann.user.id}-web/mmry"
    made = (await ann.post("/api/memories", json={"content": "not of web", "store": "diary"})).json()
    assert (await root.get(path + "?store=all")).status_code == 200
    assert (await root.post(f"{path}/search?store=web", json={"query": "not", "store": "diary"})).status_code == 200
    assert (await root.delete(f"{path}/{made['id']}?store=diary")).status_code == 200
    assert (await root.get(path + "?store=a%20b")).status_code == 400
    assert [(action.rpartition(".")[2], json.loads(data)["store"]) for action, data in await noted(server, root)] == [
        ("read", "all"),
        ("read", "diary"),
        ("changed", "diary"),
    ]
