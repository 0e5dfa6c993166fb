"""A plugin is shut down if, and only if, it was started."""

import asyncio

import pytest
from moorage.api import PUBLIC, Manifest, Plugin, PluginConfig, Routes, hookimpl
from moorage.errors import StartError
from pydantic import Field


class QuayConfig(PluginConfig):
    path: str = Field("/quay", description="Where.")


class Quay(Plugin):
    manifest = Manifest(name="quay", version="1", summary="Notes what is called", config=QuayConfig)
    called: list[str] = []

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()

        @routes.get(hub.config.path, access=PUBLIC)
        async def quay():
            return ""

        return routes

    @hookimpl
    async def moorage_startup(self, hub):
        self.called.append("startup")
        hub.tasks.spawn(asyncio.sleep(3600), "wait")

    @hookimpl
    async def moorage_drain(self, hub):
        self.called.append("drain")

    @hookimpl
    async def moorage_shutdown(self, hub):
        self.called.append("shutdown")


class Sinking(Plugin):
    manifest = Manifest(name="sinking", version="1", summary="Cannot start", after=("quay",))
    called: list[str] = []

    @hookimpl
    async def moorage_startup(self, hub):
        raise RuntimeError("it sinks")

    @hookimpl
    async def moorage_shutdown(self, hub):
        self.called.append("shutdown")


@pytest.fixture(autouse=True)
def forget():
    Quay.called.clear()
    Sinking.called.clear()


async def test_one_that_ran_is_drained_and_shut_down(moorage_server):
    async with moorage_server(Quay):
        pass
    assert Quay.called == ["startup", "drain", "shutdown"]


async def test_one_that_started_is_shut_down_when_the_start_fails_later(moorage_server):
    before = asyncio.all_tasks()
    with pytest.raises(StartError, match="it sinks"):
        await moorage_server(Quay, Sinking, config={"plugins": {"sinking": {"required": True}}}).start()
    assert Quay.called == ["startup", "shutdown"]
    assert asyncio.all_tasks() == before


async def test_one_that_did_not_start_is_not_shut_down(moorage_server):
    async with moorage_server(Sinking) as server:
        assert server.state("sinking")[0] == "failed"
    assert Sinking.called == []


async def test_one_that_a_refused_reload_made_is_not_shut_down(moorage_server):
    async with moorage_server(Quay) as server:
        with pytest.raises(StartError, match="claimed by"):
            await server.reload({"plugins": {"quay": {"path": "/health"}}})
        assert Quay.called == ["startup"]
        assert (await server.anonymous.get("/quay")).status_code == 200
    assert Quay.called == ["startup", "drain", "shutdown"]


async def test_a_part_that_does_not_end_well_keeps_no_other_open(moorage_server, monkeypatch):
    async def fails(self):
        raise OSError("the disk is full")

    monkeypatch.setattr("moorage.accounts.Accounts.close", fails)
    async with moorage_server(Quay) as server:
        app = server.app
    assert Quay.called == ["startup", "drain", "shutdown"]
    assert not app.db.is_open
