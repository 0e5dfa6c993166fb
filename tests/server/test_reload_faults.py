"""Reloads that are refused, cut short or asked for by somebody who leaves: nothing is left half done."""

import asyncio
import signal
import time

import httpx
import pytest
import websockets
from fakedist import probe
from harness import Server as Process
from moorage.api import Manifest, Permission, Plugin, PluginConfig, Routes, hookimpl
from moorage.errors import StartError
from pydantic import Field
from waits import WAIT


class DockConfig(PluginConfig):
    number: int = Field(1, description="Any.")


class Dock(Plugin):
    """Runs, and notes what is called."""

    manifest = Manifest(
        name="dock",
        version="1",
        summary="A probe",
        config=DockConfig,
        permissions=(Permission("dock:gate:pass", "Pass", default="viewer"),),
    )
    ended: list[str] = []

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()

        @routes.get("/dock", access="dock:gate:pass")
        async def number():
            return str(hub.config.number)

        @routes.socket("/dock/ws", access="dock:gate:pass")
        async def echo(socket):
            await socket.accept()
            async for message in socket:
                await socket.send(message)

        return routes

    @hookimpl
    async def moorage_shutdown(self, hub):
        self.ended.append("dock")


class Crane(Plugin):
    """Stands on the dock; starts when `go` is set, or fails with `error`."""

    manifest = Manifest(
        name="crane",
        version="1",
        summary="A probe",
        requires=("dock",),
        config=DockConfig,
        permissions=(Permission("crane:load:lift", "Lift", default="viewer"),),
    )
    begun: asyncio.Event
    go: asyncio.Event
    error: Exception | None = None
    heard: list[str] = []

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()

        @routes.get("/crane", access="crane:load:lift")
        async def crane():
            return str(hub.config.number)

        return routes

    @hookimpl
    async def moorage_startup(self, hub):
        hub.tasks.spawn(asyncio.sleep(3600), "swing")
        hub.bus.subscribe("probe.rang", lambda data: self.heard.append("rang"))
        self.begun.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error

    @hookimpl
    async def moorage_audit(self, record):
        self.heard.append(record.action)

    @hookimpl
    async def moorage_shutdown(self, hub):
        Dock.ended.append("crane")


@pytest.fixture(autouse=True)
def fresh():
    Crane.begun, Crane.go, Crane.error = asyncio.Event(), asyncio.Event(), None
    Crane.go.set()
    Crane.heard.clear()
    Dock.ended.clear()


OFF = {"plugins": {"crane": {"enabled": False}}}
ON = {"plugins": {"crane": {"enabled": True}}}


def swinging():
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "crane:swing"]


async def test_a_required_plugin_that_cannot_start_refuses_the_reload_and_leaves_nothing(moorage_server):
    async with moorage_server(Dock, Crane, config=OFF) as server:
        viewer = await server.as_user("viewer")
        Crane.error = RuntimeError("no power")
        with pytest.raises(StartError, match="no power"):
            await server.reload({"plugins": {"crane": {"enabled": True, "required": True}, "dock": {"number": 2}}})
        assert (await viewer.get("/dock")).text == "1"
        assert (await viewer.get("/crane")).status_code == 404
        assert not server.app.access.known("crane:load:lift")
        assert swinging() == []
        await server.as_user("viewer")
        server.app.bus.publish("probe.rang", {})
        await server.app.bus.join()
        assert Crane.heard == [], "a plugin that was given up hears nothing"
        Crane.error = None
        done = await server.reload({})
        assert (done["added"], done["changed"]) == (["crane"], ["dock"])
        assert (await viewer.get("/crane")).text == "1"
        assert (await viewer.get("/dock")).text == "2"
        await server.reload({"plugins": {"crane": {"number": 2}}})
        server.app.bus.publish("probe.rang", {})
        assert Crane.heard.count("rang") == 1, "the one that was replaced hears no more"


async def test_roles_that_do_not_fit_a_new_plugin_change_nothing(moorage_server):
    async with moorage_server(Dock, Crane, config=OFF) as server:
        roles = {"access": {"roles": {"hand": {"grants": ["crane:load:drop"]}}}}
        with pytest.raises(StartError, match="crane:load:drop"):
            await server.reload({**ON, **roles})
        viewer = await server.as_user("viewer")
        assert (await viewer.get("/crane")).status_code == 404
        assert swinging() == []
        await server.reload({"access": {"roles": {"hand": {"grants": ["crane:load:lift"]}}}})
        assert (await viewer.get("/crane")).status_code == 200


async def test_a_reload_goes_on_when_its_caller_leaves(moorage_server):
    async with moorage_server(Dock, Crane, config=OFF) as server:
        owner = await server.as_user("owner")
        Crane.go.clear()
        server._config["plugins"] = {"crane": {"enabled": True}}
        server._write_config()
        asking = asyncio.create_task(owner.post("/api/core/reload", json={}))
        await asyncio.wait_for(Crane.begun.wait(), WAIT)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert await server.app.gate.wait_idle(10) == 0, "the server has noticed"
        Crane.go.set()
        async with asyncio.timeout(WAIT):
            while (await owner.get("/crane")).status_code != 200:
                await asyncio.sleep(0.01)


async def test_an_admin_is_told_why_a_reload_was_refused(moorage_server):
    async with moorage_server(Dock) as server:
        owner = await server.as_user("owner")
        (server.folder / "moorage.toml").write_text("[sever]\n")
        answer = await owner.post("/api/core/reload")
        assert answer.status_code == 409
        assert "sever" in answer.json()["detail"]


async def test_the_end_of_the_server_cuts_a_reload_short(moorage_server):
    server = moorage_server(Dock, Crane, config=OFF)
    await server.start()
    Crane.go.clear()
    reloading = asyncio.create_task(server.reload({**ON, "plugins": {**ON["plugins"], "dock": {"number": 2}}}))
    await asyncio.wait_for(Crane.begun.wait(), WAIT)
    await asyncio.wait_for(server.stop(), 10)
    with pytest.raises(StartError, match="stopping"):
        await reloading
    assert swinging() == []
    assert Dock.ended == ["dock", "dock"], "the one that ran, and the one that was to replace it"


async def test_plugins_end_in_the_right_order_after_a_reload(moorage_server):
    async with moorage_server(Dock, Crane) as server:
        await server.reload({"plugins": {"crane": {"number": 5}}})
        Dock.ended.clear()
    assert Dock.ended == ["crane", "dock"]


async def test_one_that_kept_its_old_settings_is_tried_again(moorage_server):
    async with moorage_server(Dock, Crane) as server:
        viewer = await server.as_user("viewer")
        Crane.error = RuntimeError("no power")
        await server.reload({"plugins": {"crane": {"number": 5}}})
        assert server.state("crane")[0] == "degraded"
        assert (await viewer.get("/crane")).text == "1"
        Crane.error = None  # Mended outside of the configuration.
        await server.reload({})
        assert (await viewer.get("/crane")).text == "5"
        assert server.state("crane") == ("started", "")


async def test_a_right_that_a_reload_takes_away_closes_sockets(moorage_server):
    roles = {"guest": {"includes": "viewer"}, "other": {"includes": "viewer"}}
    async with moorage_server(Dock, config={"access": {"roles": roles}}) as server:
        guest, other = await server.as_user("guest"), await server.as_user("other")
        async with guest.connect("/dock/ws") as closing, other.connect("/dock/ws") as staying:
            await server.reload({"access": {"roles": {"guest": {"denies": ["dock:gate:pass"]}}}})
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(closing.recv(), WAIT)
            assert closed.value.rcvd.code == 4003
            await staying.send("still here")
            assert await asyncio.wait_for(staying.recv(), WAIT) == "still here"


def test_safe_mode_outlives_a_reload(tmp_path):
    probe(tmp_path / "site", "one")
    (tmp_path / "server").mkdir()
    config = {"plugins": {"one": {"enabled": True}}}
    server = Process(tmp_path / "server", config, env={"PYTHONPATH": str(tmp_path / "site")})
    try:
        server.start("--safe-mode")
        server.write_config({"plugins": {"one": {"greeting": "mended"}}})
        server.signal(signal.SIGHUP)
        deadline = time.monotonic() + WAIT
        while "configuration reloaded" not in server.stderr:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert httpx.get(f"{server.url}/one/greet").status_code == 404
    finally:
        assert server.stop() == 0
