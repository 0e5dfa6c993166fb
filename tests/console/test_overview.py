"""What somebody has going, what is found of it, and plugins' pages: gathered of all plugins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakedist import probe
from harness import running
from realparts.tmux import TmuxServer

GOOD = """
@hookimpl
def moorage_pages(self):
    return [
        Page("late", "Late", "/late.js", order=200),
        Page("things", "Things", "/things.js", permission="good:thing:write"),
        Page("admins", "Admins", "/a.js", permission="core:plugin:manage", section="admin"),
        "no page",
    ]

@hookimpl
async def moorage_overview(self, actor, limit):
    from datetime import UTC, datetime

    at = datetime(2026, 1, 2, tzinfo=UTC)
    yours = f"{actor.user.username}'s"
    thing = Entry("thing", yours, "/console/plugin/good/things", "x" * 999, at)
    return [thing, Entry("thing", "live", "/x", live=True)]

@hookimpl
async def moorage_search(self, actor, query, limit):
    return [Entry("thing", f"{query} {n}", "/x") for n in range(99)]
"""
BAD = """
@hookimpl
def moorage_pages(self):
    raise RuntimeError("secret detail")

@hookimpl
async def moorage_overview(self, actor, limit):
    raise RuntimeError("secret detail")

@hookimpl
async def moorage_search(self, actor, query, limit):
    return 7
"""


@pytest.fixture(scope="module")
def tmux() -> Iterator[TmuxServer]:
    server = TmuxServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory, tmux: TmuxServer):
    site = tmp_path_factory.mktemp("site")
    probe(site, "good", body=GOOD)
    probe(site, "bad", body=BAD)
    probe(site, "elsewhere", body=GOOD)
    terminals = {"enabled": True, "mount": ["/tmux"], "socket_name": tmux.socket_name}
    config = {
        "plugins": {
            "good": {"enabled": True},
            "bad": {"enabled": True},
            "elsewhere": {"enabled": True, "mount": ["//other.example.org/"]},
            "chat": {"enabled": True},
            "mcp": {"enabled": True},
            "memories": {"enabled": True, "semantic": False},
            "opencode": {"enabled": True},
            "tmux": terminals,
        }
    }
    with running(tmp_path_factory.mktemp("server"), config, env={"PYTHONPATH": str(site)}) as server:
        server.add_users({"ann": "admin", "ben": "operator", "vic": "viewer"})
        yield server


@pytest.fixture
def ben(server):
    with server.client("ben") as client:
        yield client


def titles(answer) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    return [(one["plugin"], one["title"]) for one in answer.json()["entries"]]


def test_what_one_has_is_shown_and_what_fails_is_named(server, ben) -> None:
    made = ben.post("/conversations", json={"title": "Of whales"})
    workspace = ben.post("/api/v1/workspaces", json={"name": "harbour"})
    assert (made.status_code, workspace.status_code) == (200, 201), made.text
    answer = ben.get("/api/console/overview")
    found = {(one["plugin"], one["title"]): one for one in answer.json()["entries"]}
    lives = [one["live"] for one in answer.json()["entries"]]
    assert lives == sorted(lives, reverse=True), "what runs comes first"
    assert found["good", "live"]["live"], answer.text
    assert found["chat", "Of whales"]["href"].startswith("/console/chat/")
    assert found["mcp", "harbour"]["kind"] == "workspace"
    yours = found["good", "ben's"]
    assert (yours["updated_at"], len(yours["detail"])) == ("2026-01-02T00:00:00Z", 300)
    assert answer.json()["missing"] == ["bad"]
    assert "secret detail" not in answer.text
    assert not [plugin for plugin, _ in found if plugin == "elsewhere"], "the page cannot call another origin"


def test_only_ones_own_is_found(server, ben) -> None:
    ben.post("/conversations", json={"title": "A secret harbour"})
    ben.post("/api/memories", json={"content": "The secret of the harbour is its harbinger"})
    mine = titles(ben.get("/api/console/search", params={"q": " secret HARB ", "limit": 3}))
    assert ("chat", "A secret harbour") in mine
    assert [title for plugin, title in mine if plugin == "good"] == ["secret HARB 0", "secret HARB 1", "secret HARB 2"]
    remembered = ben.get("/api/console/search", params={"q": "harbinger"}).json()["entries"]
    [memory] = [one for one in remembered if one["plugin"] == "memories"]
    assert memory["href"] == "/console/memories?q=harbinger"
    [kept] = [one for one in ben.get("/api/console/overview").json()["entries"] if one["plugin"] == "memories"]
    assert kept["title"] == "The secret of the harbour is its harbinger"
    assert kept["href"] == "/console/memories?q=The+secret+of+the+harbour+is+its+harbinger"
    for name in ("ann", "vic"):
        with server.client(name) as other:
            found = titles(other.get("/api/console/search", params={"q": "secret harb"}))
            assert {plugin for plugin, _ in found} == {"good"}
            seen = titles(other.get("/api/console/overview"))
            assert not {"memories", "chat", "mcp"} & {plugin for plugin, _ in seen}


def test_what_begins_with_the_text_is_found_first(server, ben, tmux) -> None:
    for name in ("a-pier", "pier-two"):
        tmux.new_session(name)
        assert ben.post("/api/v1/workspaces", json={"name": name}).status_code == 201
    found = titles(ben.get("/api/console/search", params={"q": "Pier", "limit": 1}))
    assert ("tmux", "pier-two") in found
    assert ("mcp", "pier-two") in found


def test_users_and_plugins_are_found_by_administrators(server, ben) -> None:
    with server.client("ann") as ann:
        found = ann.get("/api/console/search", params={"q": "BEN"}).json()["entries"]
        [user] = [one for one in found if one["kind"] == "user"]
        assert (user["plugin"], user["title"], user["detail"]) == ("core", "ben", "operator")
        assert user["href"].startswith("/console/admin/users/user_")
        found = ann.get("/api/console/search", params={"q": "tmu"}).json()["entries"]
        assert [(one["title"], one["href"]) for one in found if one["kind"] == "plugin"] == [
            ("tmux", "/console/admin/plugins/tmux")
        ]
    for query in ("ann", "tmux"):
        found = ben.get("/api/console/search", params={"q": query}).json()["entries"]
        assert not [one for one in found if one["plugin"] == "core"]


def test_terminals_are_found_by_who_may_see_them(server, ben, tmux) -> None:
    tmux.new_session("deck watch")
    answer = ben.get("/api/console/search", params={"q": "DECK"})
    [entry] = [one for one in answer.json()["entries"] if one["plugin"] == "tmux"]
    assert (entry["title"], entry["href"], entry["live"]) == ("deck watch", "/console/terminal/deck%20watch", True)


@pytest.mark.parametrize("query", [{}, {"q": "  "}, {"q": "x" * 201}, {"q": "a", "limit": 0}, {"q": "a", "limit": "b"}])
def test_what_is_no_search_is_refused(ben, query) -> None:
    assert ben.get("/api/console/search", params=query).status_code == 422


def test_who_is_not_signed_in_is_told_nothing(server) -> None:
    with server.client() as nobody:
        assert nobody.get("/api/console/overview").status_code == 401
        assert nobody.get("/api/console/search", params={"q": "a"}).status_code == 401
        assert nobody.get("/api/console/state").json()["pages"] == []


def test_plugins_pages_are_told_to_those_who_may_see_them(server, ben) -> None:
    pages = ben.get("/api/console/state").json()["pages"]
    assert [(page["plugin"], page["name"]) for page in pages] == [("good", "things"), ("good", "late")]
    assert pages[0]["module"] == "/good/things.js"
    with server.client("ann") as ann:
        assert [page["admin"] for page in ann.get("/api/console/state").json()["pages"]] == [False, True, False]
    with server.client("vic") as vic:
        assert [page["name"] for page in vic.get("/api/console/state").json()["pages"]] == ["late"]
