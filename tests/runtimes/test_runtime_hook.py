"""Runtimes that plugins bring: taken, used by others, replaced by a reload, refused, and ended with their plugin."""

import asyncio

import pytest
from moorage.api import Health, Manifest, Plugin, PluginConfig, Unavailable, WorkloadSpec, WorkloadState, hookimpl
from moorage.runtimes import Runtime, WorkloadStatus

METHODS = [name for name in vars(Runtime) if not name.startswith("_")]


class Fake:
    """Notes what is asked of it."""

    def __init__(self, kind="fake", **answers):
        self.kind = kind
        self.calls = []
        self.answers = {"health": Health("ok", "well"), "list": {}, **answers}

    def __getattr__(self, name):
        if name not in METHODS:
            raise AttributeError(name)

        async def call(*arguments, **_):
            self.calls.append((name, *arguments))
            answer = self.answers.get(name)
            if isinstance(answer, BaseException):
                raise answer
            return await answer() if callable(answer) else answer

        return call

    def asked(self):
        return [call[0] for call in self.calls]


class User(Plugin):
    """Uses what others bring."""

    manifest = Manifest(name="user", version="1", summary="Uses runtimes")


class Config(PluginConfig):
    word: str = "a"


def bringing(make, name="bringer"):
    """A plugin with runtimes; `brought` has them, `order` what happened when."""

    class Bringer(Plugin):
        manifest = Manifest(name=name, version="1", summary="Brings runtimes", config=Config)
        brought: list = []
        order: list = []

        @hookimpl
        async def moorage_startup(self):
            self.order.append("startup")

        @hookimpl
        def moorage_runtimes(self, hub):
            made = make()
            self.brought.extend(made)
            return made

        @hookimpl
        async def moorage_shutdown(self):
            self.order.append("shutdown")
            self.order += [f"closed:{'close' in runtime.asked()}" for runtime in self.brought]

    return Bringer


async def test_it_is_opened_when_it_is_used_and_closed_before_its_plugin_ends(moorage_server):
    bringer = bringing(lambda: [Fake(start=WorkloadState(status=WorkloadStatus.RUNNING))])
    async with moorage_server(User, bringer) as server:
        (fake,) = bringer.brought
        owner = await server.as_user("owner")
        parts = (await owner.get("/health")).json()["components"]["runtimes"]
        assert parts["data"]["fake"] == {"status": "unused"}
        assert fake.calls == []
        view = await server.hub("user").runtimes.get("fake")
        assert (await view.start("one")).running
        assert fake.calls == [("open",), ("start", "user.one")]
        server.app.health.remove("nobody")  # So that the report is made anew.
        report = (await owner.get("/health")).json()
        assert report["components"]["runtimes"]["detail"] == "fake: well"
        metrics = (await owner.get("/metrics")).text
        assert 'moorage_runtimes_starts_total{kind="fake"} 1.0' in metrics
    assert fake.asked()[-1] == "close"
    assert bringer.order == ["startup", "shutdown", "closed:True"]


async def test_a_view_stays_good_over_a_reload_of_the_plugin_that_brought_it(moorage_server):
    bringer = bringing(lambda: [Fake()])
    async with moorage_server(User, bringer) as server:
        view = await server.hub("user").runtimes.get("fake")
        await view.list()
        await server.reload({"plugins": {"bringer": {"enabled": True, "word": "b"}}})
        old, new = bringer.brought
        assert old.asked()[-1] == "close"
        await view.list()
        assert new.asked() == ["open", "list"]
        await server.reload({"plugins": {"bringer": {"enabled": False}}})
        assert new.asked()[-1] == "close"
        with pytest.raises(Unavailable, match="not switched on"):
            await view.list()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: [Fake("process")], "a runtime of the kind 'process' already, of core"),
        (lambda: [Fake(), Fake("process")], "a runtime of the kind 'process' already, of core"),
        (lambda: [Fake("")], "has no kind"),
        (lambda: [Fake("Has Spaces")], "has no kind"),
        (lambda: [object()], "has no kind"),
        (lambda: [type("Half", (), {"kind": "half"})()], "it has no open, close"),
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: None, None),
    ],
)
async def test_what_is_no_runtime_fails_its_plugin_alone(moorage_server, make, said):
    class Wrong(bringing(lambda: [])):
        manifest = Manifest(name="wrong", version="1", summary="Brings what it should not")

        @hookimpl
        def moorage_runtimes(self):
            return make()

    async with moorage_server(User, Wrong) as server:
        state, reason = server.state("wrong")
        assert (state, said in reason) == ("failed", True) if said else state == "started"
        assert Wrong.order[-1:] == (["shutdown"] if said else ["startup"]), "what was started is ended"
        assert server.hub("user").runtimes.kinds() == ["process"]
        assert server.state("user")[0] == "started"


async def test_one_that_cannot_be_opened_is_told_and_tried_again(moorage_server):
    fake = Fake(open=OSError("no"), list={})
    async with moorage_server(User, bringing(lambda: [fake])) as server:
        runtimes = server.hub("user").runtimes
        for _ in range(2):
            with pytest.raises(Unavailable, match="'fake' is not available: OSError"):
                await runtimes.get("fake")
        owner = await server.as_user("owner")
        report = (await owner.get("/health")).json()
        assert report["status"] == "degraded"
        assert report["components"]["runtimes"]["detail"] == "fake: OSError"
        del fake.answers["open"]
        assert await (await runtimes.get("fake")).list() == {}


async def test_one_that_hangs_is_not_waited_for(moorage_server, monkeypatch):
    from moorage.runtimes import registry

    monkeypatch.setattr(registry, "CALL_SECONDS", 0.2)
    fake = Fake(create=asyncio.Event().wait, health=asyncio.Event().wait, close=asyncio.Event().wait)
    async with moorage_server(User, bringing(lambda: [fake])) as server:
        view = await server.hub("user").runtimes.get("fake")
        with pytest.raises(Unavailable, match="did not answer in time"):
            await view.create(WorkloadSpec(name="one"))
        owner = await server.as_user("owner")
        assert "did not answer" in (await owner.get("/health")).json()["components"]["runtimes"]["detail"]
        assert 'moorage_runtimes_failures_total{kind="fake"} 1.0' in (await owner.get("/metrics")).text
