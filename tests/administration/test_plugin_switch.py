"""Plugins over HTTP: seen with their settings, switched on and off in the file and in the running server."""

from __future__ import annotations

import asyncio
import json

import pytest
import websockets
from fakedist import probe
from harness import Server, running
from waits import WAIT


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> str:
    site = tmp_path_factory.mktemp("site")
    for name in ("one", "two", "three"):
        probe(site, name)
    return str(site)


@pytest.fixture
def server(tmp_path, site) -> Server:
    config = {"plugins": {"one": {"enabled": True, "greeting": "aye"}, "two": {"enabled": False}}}
    with running(tmp_path, config, env={"PYTHONPATH": site}) as server:
        server.add_users({"ann": "admin", "vic": "viewer"})
        yield server


@pytest.fixture
def ann(server):
    with server.client("ann") as client:
        yield client


def text(server: Server) -> str:
    return (server.folder / "moorage.toml").read_text()


def states(client) -> dict[str, str]:
    rows = client.get("/api/core/plugins").json()["plugins"]
    return {row["name"]: row["state"] for row in rows if row["name"] in ("one", "two", "three")}


def test_a_plugin_is_shown_with_its_settings_and_where_they_come_from(ann) -> None:
    assert states(ann) == {"one": "started", "two": "disabled", "three": "disabled"}
    one = ann.get("/api/core/plugins/one").json()
    settings = {row["key"]: row for row in one["settings"]}
    assert settings["greeting"]["value"] == "aye"
    assert "moorage.toml" in settings["greeting"]["source"]
    assert (settings["size"]["value"], settings["size"]["source"]) == (1, "default")
    assert {row["name"]: (row["role"], row["any_role"]) for row in one["permissions"]} == {
        "one:thing:read": ("viewer", None),
        "one:thing:write": ("operator", None),
    }
    assert ann.get("/api/core/plugins/none").status_code == 404
    two = ann.get("/api/core/plugins/two").json()
    assert (two["state"], two["settings"][0]["key"], two["settings"][0]["value"]) == ("disabled", "enabled", False)


def test_who_may_not_see_plugins_sees_and_switches_none(server) -> None:
    with server.client("vic") as vic, server.client() as nobody:
        assert vic.get("/api/core/plugins/one").status_code == 403
        assert vic.post("/api/core/plugins/one/disable").status_code == 403
        assert nobody.post("/api/core/plugins/one/disable").status_code == 401
    assert "enabled = true" in text(server)


async def test_switching_writes_the_file_and_closes_and_opens_at_once(server, ann) -> None:
    async with websockets.connect(
        f"{server.ws_url}/one/echo", additional_headers={"Cookie": server.cookie("vic")}
    ) as socket:
        await socket.send("a")
        assert await socket.recv() == "a"
        shown = (await asyncio.to_thread(ann.get, "/api/core/plugins/one")).json()
        assert (shown["in_use"], shown["enabled"]) == ({"connections": 1, "users": 1}, True)
        assert shown["health"]["status"] == "ok"
        answer = await asyncio.to_thread(ann.post, "/api/core/plugins/one/disable")
        assert answer.json()["removed"] == ["one"], answer.text
        async with asyncio.timeout(WAIT):
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
        assert socket.close_code == 1001
    assert ann.get("/one/greet").status_code == 404
    shown = ann.get("/api/core/plugins/one").json()
    assert (shown["in_use"]["connections"], shown["enabled"], shown["health"]) == (0, False, None)
    assert ann.post("/api/core/plugins/two/enable").json()["added"] == ["two"]
    assert ann.get("/two/greet").status_code == 200
    assert states(ann) == {"one": "disabled", "two": "started", "three": "disabled"}
    assert ann.post("/api/core/plugins/two/enable").json()["added"] == [], "it is on already"
    assert ann.post("/api/core/plugins/one/enable").json()["added"] == ["one"]
    assert ann.get("/one/greet").json()["greeting"] == "aye"
    assert ann.post("/api/core/reload").json()["changed"] == []
    actions = [e["action"] for e in ann.get("/api/v1/audit", params={"limit": 20}).json()["data"]["events"]]
    assert actions.count("plugin.enabled") == 3
    assert actions.count("plugin.disabled") == 1
    assert actions.count("configuration.reloaded") == 1


def test_what_cannot_be_is_refused_and_nothing_is_written(server, ann) -> None:
    before = text(server)
    assert ann.post("/api/core/plugins/none/enable").status_code == 404
    file = server.folder / "moorage.toml"
    file.write_text(before + "\n[limits]\nnonsense = 1\n")
    broken = text(server)
    refused = ann.post("/api/core/plugins/one/disable")
    assert refused.status_code == 409
    assert refused.json()["code"] == "RELOAD_REFUSED"
    assert "nonsense" in refused.json()["detail"]
    assert text(server) == broken
    file.write_text(before)
    assert ann.get("/one/greet").status_code == 200


def test_who_would_no_more_run_is_told_before(tmp_path) -> None:
    site = tmp_path / "site"
    probe(site, "one")
    probe(site, "two", manifest='requires=("one",),')
    probe(site, "three", manifest='requires=("two",),')
    (tmp_path / "server").mkdir()
    config = {"plugins": {name: {"enabled": True} for name in ("one", "two", "three")}}
    with running(tmp_path / "server", config, env={"PYTHONPATH": str(site)}) as server:
        server.add_users({"ann": "admin"})
        with server.client("ann") as ann:
            assert ann.get("/api/core/plugins/one").json()["needed_by"] == ["three", "two"]
            assert ann.get("/api/core/plugins/three").json()["requires"] == ["two"]
            failed = ann.post("/api/core/plugins/one/disable").json()["failed"]
            assert "one does not run" in failed["two"]
            assert ann.get("/api/core/plugins/two").json()["state"] == "blocked"


def test_what_the_environment_says_cannot_be_switched(tmp_path, site) -> None:
    config = {"plugins": {"one": {"enabled": True}}}
    env = {"PYTHONPATH": site, "MOORAGE__PLUGINS__ONE__ENABLED": "true"}
    with running(tmp_path, config, env=env) as server:
        server.add_users({"ann": "admin"})
        before = text(server)
        with server.client("ann") as ann:
            refused = ann.post("/api/core/plugins/one/disable")
        assert (refused.status_code, refused.json()["code"]) == (409, "SET_ELSEWHERE")
        assert "MOORAGE__PLUGINS__ONE__ENABLED" in refused.json()["detail"]
        assert text(server) == before


def test_secrets_of_settings_are_masked(tmp_path) -> None:
    config = {"plugins": {"chat": {"enabled": True, "providers": {"far": {"base_url": "http://127.0.0.1:9/v1"}}}}}
    config["plugins"]["chat"]["providers"]["far"]["api_key"] = {"env": "FAR_KEY"}
    with running(tmp_path, config, env={"FAR_KEY": "s3cret-of-far"}) as server:
        server.add_users({"ann": "admin"})
        with server.client("ann") as ann:
            shown = ann.get("/api/core/plugins/chat")
        settings = {row["key"]: row for row in shown.json()["settings"]}
        assert settings["providers.far.base_url"]["value"] == "http://127.0.0.1:9/v1"
        assert settings["providers.far.base_url"]["description"].startswith("Where its API is")
        assert settings["max_seconds"]["description"]
        assert "s3cret-of-far" not in json.dumps(shown.json())
