"""The kit's server, clients and fixtures, as a plugin author meets them."""

import logging
import subprocess
import sys

import pytest
from moorage.api import AUTHENTICATED, Manifest, Permission, Plugin, PluginConfig, Routes, current_actor, hookimpl
from moorage.api import json_response as answer
from moorage.errors import StartError
from pydantic import Field
from websockets.exceptions import InvalidStatus

LOOK = Permission("pier:boat:look", "Look at boats", default="operator")


class PierConfig(PluginConfig):
    boats: int = Field(1, description="How many.")
    fail: bool = Field(False, description="Whether the start fails.")


class Pier(Plugin):
    manifest = Manifest(name="pier", version="1", summary="Boats", config=PierConfig, permissions=(LOOK,))
    stopped = 0

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()

        @routes.get("/boats", access=LOOK.name)
        async def boats():
            return answer({"boats": hub.config.boats})

        @routes.get("/whoami", access=AUTHENTICATED)
        async def whoami():
            actor = current_actor()
            return answer({"name": actor.user.username, "role": actor.user.role, "method": actor.method})

        @routes.socket("/boats/live", access=LOOK.name)
        async def live(socket):
            await socket.accept(subprotocol="boats")
            await socket.send(socket.headers.get("x-boat", "none"))

        @routes.get("/broken", access=AUTHENTICATED)
        async def broken():
            raise RuntimeError("a plank is missing")

        return routes

    @hookimpl
    async def moorage_startup(self, hub):
        if hub.config.fail:
            raise RuntimeError("the pier has collapsed")

    @hookimpl
    async def moorage_shutdown(self, hub):
        type(self).stopped += 1


@pytest.fixture
def moorage_config():
    return {"access": {"roles": {"guest": {"includes": "viewer"}}}}


async def test_users_have_their_roles_and_scopes(moorage_server):
    async with moorage_server(Pier) as server:
        operator = await server.as_user("operator", name="olga")
        assert (await operator.get("/whoami")).json() == {"name": "olga", "role": "operator", "method": "api_key"}
        assert operator.user.username == operator.actor.user.username == "olga"
        assert (await operator.get("/boats")).json() == {"boats": 1}
        viewer, powerless = await server.as_user("viewer"), await server.as_user("owner", scopes=["core:key:read"])
        for client, status in ((viewer, 403), (powerless, 403), (server.anonymous, 401)):
            assert (await client.get("/boats")).status_code == status
        with pytest.raises(LookupError):
            _ = server.anonymous.user


async def test_sockets_are_opened_as_a_user(moorage_server):
    async with moorage_server(Pier) as server:
        operator, viewer = await server.as_user("operator"), await server.as_user("viewer")
        async with operator.connect(
            "/boats/live", subprotocols=["boats"], additional_headers={"X-Boat": "ark"}
        ) as socket:
            assert socket.subprotocol == "boats"
            assert await socket.recv() == "ark"
        for client, status in ((viewer, 403), (server.anonymous, 401)):
            with pytest.raises(InvalidStatus) as refused:
                await client.connect("/boats/live")
            assert refused.value.response.status_code == status


async def test_a_reload_and_a_stop_reach_the_plugin(moorage_server):
    before = Pier.stopped
    async with moorage_server(Pier, config={"plugins": {"pier": {"boats": 2}}}) as server:
        operator = await server.as_user()
        first = server.plugin("pier")
        assert (await operator.get("/boats")).json() == {"boats": 2}
        report = await server.reload({"plugins": {"pier": {"boats": 3}}})
        assert report["changed"] == ["pier"]
        assert (await operator.get("/boats")).json() == {"boats": 3}
        assert server.plugin("pier") is not first
        assert server.hub("pier").config.boats == 3
        assert Pier.stopped == before + 1
    assert Pier.stopped == before + 2


async def test_what_was_written_is_there_at_the_next_start(moorage_server):
    async with moorage_server(Pier) as server:
        await server.as_user(name="ann")
    async with moorage_server() as server:
        with server.app.db.activate():
            assert (await server.app.accounts.find_user("ann")).username == "ann"


async def test_two_servers_run_side_by_side(moorage_server, tmp_path):
    from moorage.testing.server import Server

    async with moorage_server(Pier) as one, Server(tmp_path / "other", [Pier]) as two:
        ann = await one.as_user()
        async with type(ann)(two.url, key=ann.key) as stranger:
            assert (await stranger.get("/boats")).status_code == 401
        assert (await ann.get("/boats")).status_code == 200


async def test_a_plugin_that_fails_says_why(moorage_server):
    async with moorage_server(Pier, "ghost", config={"plugins": {"pier": {"fail": True}}}) as server:
        state, reason = server.state("pier")
        assert state == "failed"
        assert "the pier has collapsed" in reason
        with pytest.raises(LookupError, match="the pier has collapsed"):
            server.plugin("pier")
        assert server.state("ghost")[0] == "blocked"
        assert server.state("never-heard-of") == ("unknown", "not installed")


async def test_a_server_that_cannot_start_leaves_nothing_open(moorage_server):
    config = {"plugins": {"pier": {"fail": True, "required": True}}}
    with pytest.raises(StartError, match="the pier has collapsed"):
        await moorage_server(Pier, config=config).start()
    with pytest.raises(StartError, match=r"plugins\.pier"):
        await moorage_server(Pier, config={"plugins": {"pier": {"required": "perhaps"}}}).start()


async def test_the_log_is_captured(moorage_server, caplog):
    async with moorage_server(Pier) as server:
        with caplog.at_level(logging.ERROR):
            assert (await (await server.as_user()).get("/broken")).status_code == 500
    assert "a plank is missing" in caplog.text
    assert "/broken" in caplog.text


async def test_the_app_fixture_takes_its_config_from_the_project(moorage_app):
    assert (await moorage_app.as_user("guest")).user.role == "guest"


def test_pytest_imports_nothing_of_it_in_other_projects(tmp_path):
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_other():\n"
        "    heavy = {'moorage.app', 'moorage.testing.server', 'quart', 'tortoise', 'hypercorn', 'websockets'}\n"
        "    assert 'moorage.testing.pytest_plugin' in sys.modules\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_it_runs_on_the_fast_lane_too(moorage_server):
    async with moorage_server(Pier, config={"server": {"engine": "uvicorn"}}) as server:
        operator = await server.as_user()
        assert (await operator.get("/boats")).json() == {"boats": 1}
        async with operator.connect("/boats/live", subprotocols=["boats"]) as socket:
            assert await socket.recv() == "none"
