"""The conformance suite passes a good plugin and finds each fault of a bad one."""

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest
from moorage.api import (
    AUTHENTICATED,
    CHROTE,
    PUBLIC,
    Health,
    Manifest,
    Permission,
    Plugin,
    PluginConfig,
    Routes,
    current_actor,
    hookimpl,
    json_response,
    read_json,
)
from moorage.server.gate import Gate
from moorage.testing.conformance import Conformance
from pydantic import BaseModel, ConfigDict, Field
from quart import request

HELLO = Path(__file__).parents[2] / "examples/moorage-hello/src"
THING = Permission("good:thing:read", "Read things", default="viewer")
Found = pytest.fail.Exception


class GoodConfig(PluginConfig):
    size: int = Field(1, description="How big.")


class Body(BaseModel):
    text: str = Field(max_length=10)


class Good(Plugin):
    """Everything as it should be, in another dialect."""

    manifest = Manifest(
        name="good", version="1", summary="Good", config=GoodConfig, permissions=(THING,), dialect=CHROTE
    )

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()

        @routes.get("/open", access=PUBLIC)
        async def open_to_all():
            return json_response({})

        @routes.get("/me", access=AUTHENTICATED)
        async def me():
            return json_response({"name": current_actor().user.username})

        @routes.post("/things/{thing}/{rest:path}", access=THING.name, max_body=1000)
        async def things(thing, rest):
            return json_response({"text": (await read_json(Body)).text, "thing": thing, "rest": rest})

        @routes.get("/stream", access=THING.name, timeout=0)
        async def stream():
            async def ticks():
                while True:
                    yield b"data: x\n\n"
                    await asyncio.sleep(0.05)

            return ticks(), {"Content-Type": "text/event-stream"}

        @routes.socket("/echo", access=THING.name)
        async def echo(socket):
            await socket.accept()
            async for message in socket:
                await socket.send(message)

        @routes.socket("/coded", access=THING.name, close_codes={401: 4001, 403: 4003}, max_frame=100)
        async def coded(socket):
            await socket.accept()
            async for _ in socket:
                pass

        return routes

    @hookimpl
    async def moorage_startup(self, hub):
        hub.tasks.spawn(asyncio.sleep(3600), "wait")


class TestGood(Conformance):
    plugin = Good
    options = {"size": 2}


def bad(**parts):
    """A plugin that is good but for these parts of it, and the suite for it."""
    manifest = {"name": "bad", "version": "1", "summary": "Bad", **parts.pop("manifest", {})}
    cls = type("Bad", (Plugin,), {"manifest": Manifest(**manifest), **parts})
    return type("Suite", (Conformance,), {"plugin": cls})()


def with_route(add):
    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()
        add(routes)
        return routes

    return moorage_routes


class Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")


class LooseConfig(PluginConfig):
    model_config = ConfigDict(extra="ignore", frozen=False)
    size: int = 1


@pytest.mark.parametrize(
    ("manifest", "fault"),
    [
        ({"summary": " "}, "summary is empty"),
        ({"mounts": ("nowhere",)}, "mount 'nowhere'"),
        ({"api": 99}, "written for plugin API 99"),
        ({"requires": ("bad",)}, "names itself"),
        ({"permissions": (Permission("other:thing:read", "x"),)}, "must begin with 'bad'"),
        ({"permissions": (Permission("bad:thing:read", ""),)}, "has no summary"),
        ({"permissions": (Permission("bad:thing:read", "x"),) * 2}, "twice"),
        ({"models": "bad.models"}, "no migrations"),
        ({"modules": ("no_such_module_xyz",)}, "cannot import no_such_module_xyz"),
    ],
)
async def test_a_faulty_manifest_is_found(manifest, fault):
    with pytest.raises(Found, match=fault):
        await bad(manifest=manifest).test_manifest()


async def test_a_loose_config_is_found():
    with pytest.raises(Found) as failure:
        await bad(manifest={"config": LooseConfig}).test_config()
    assert all(word in str(failure.value) for word in ("unknown keys", "not frozen", "size has no description"))
    with pytest.raises(Found, match="not a subclass of PluginConfig"):
        await bad(manifest={"config": Loose}).test_config()


async def test_options_that_the_config_refuses_are_found():
    suite = bad()
    suite.options = {"sise": 1}
    with pytest.raises(Found, match="sise"):
        await suite.test_config()


async def unmarked(self, hub):
    pass


async def misspelt(self, hub):
    pass


def sync_startup(self, hub):
    pass


async def unknown_argument(self, hub, colour):
    pass


@pytest.mark.parametrize(
    ("hook", "function", "fault"),
    [
        ("moorage_startup", unmarked, "not marked @hookimpl"),
        ("moorage_startup", hookimpl(sync_startup), "moorage_startup must be async"),
        ("moorage_startup", hookimpl(unknown_argument), "colour"),
        ("moorage_strtup", hookimpl(misspelt), "moorage_strtup"),
    ],
)
async def test_a_wrong_hook_is_found(hook, function, fault):
    with pytest.raises(Found, match=fault):
        await bad(**{hook: function}).test_hooks()


async def test_a_view_that_trips_over_input_is_found(moorage_server):
    def add(routes):
        @routes.get("/things/{thing}", access=PUBLIC)
        async def by_number(thing):
            return json_response({"n": int(thing)})

        @routes.post("/things", access=PUBLIC)
        async def parse():
            return json_response(json.loads(await request.get_data())["text"])

    with pytest.raises(Found) as failure:
        await bad(moorage_routes=with_route(add)).test_bad_input_is_refused(moorage_server)
    text = str(failure.value)
    assert "GET /things/{thing}, path xxx" in text
    assert "500 (ValueError: invalid literal for int()" in text
    assert "POST /things, a body of malformed JSON: 500 (JSONDecodeError" in text


async def test_a_handler_that_trips_over_a_message_is_found(moorage_server):
    def add(routes):
        @routes.socket("/things", access=PUBLIC)
        async def parse(socket):
            await socket.accept()
            async for message in socket:
                json.loads(message)["type"]

    with pytest.raises(Found, match=r"WebSocket /things, message '\{': JSONDecodeError"):
        await bad(moorage_routes=with_route(add)).test_bad_input_is_refused(moorage_server)


async def test_a_handler_that_outlives_its_client_is_found(moorage_server, monkeypatch):
    monkeypatch.setattr("moorage.testing.probes.PATIENCE", 0.2)
    monkeypatch.setattr("moorage.testing.hostile.MESSAGES", ("x",))

    def add(routes):
        @routes.socket("/things", access=PUBLIC)
        async def stay(socket):
            await socket.accept()
            await asyncio.sleep(1)

    with pytest.raises(Found, match="has not ended"):
        await bad(moorage_routes=with_route(add)).test_bad_input_is_refused(moorage_server)


async def test_a_gate_that_stands_open_is_found(moorage_server, monkeypatch):
    monkeypatch.setattr(Gate, "_authorize", lambda self, access, actor: None)
    monkeypatch.setattr("moorage.testing.probes.GLANCE", 0.1)
    suite = TestGood()
    with pytest.raises(Found) as failure:
        await suite.test_anonymous_is_refused(moorage_server)
    text = str(failure.value)
    assert "GET /me: anonymous gets 500, not 401" in text
    assert "POST /things/{thing}/{rest:path}: anonymous gets 400, not 401" in text
    assert "WebSocket /echo: anonymous gets in, not 401" in text
    assert "WebSocket /coded: anonymous gets in, not 4001" in text


async def test_a_task_left_behind_is_found(moorage_server):
    left = []

    @hookimpl
    async def moorage_startup(self, hub):
        left.append(asyncio.create_task(asyncio.sleep(60), name="stray"))

    with pytest.raises(Found, match="task stray still runs"):
        await bad(moorage_startup=moorage_startup).test_leaves_nothing_behind(moorage_server)
    for task in left:
        task.cancel()


async def test_ill_health_is_found(moorage_server):
    @hookimpl
    async def moorage_health(self, hub):
        return Health("degraded", "no disk")

    with pytest.raises(AssertionError, match="no disk"):
        await bad(moorage_health=moorage_health).test_health(moorage_server)
    suite = bad(moorage_health=moorage_health)
    suite.degraded = True
    await suite.test_health(moorage_server)


async def test_a_plugin_that_does_not_start_says_why(moorage_server):
    @hookimpl
    async def moorage_startup(self, hub):
        raise RuntimeError("no such luck")

    with pytest.raises(AssertionError, match="no such luck"):
        await bad(moorage_startup=moorage_startup).test_routes(moorage_server)


async def test_a_plugin_that_cannot_start_twice_is_found(moorage_server):
    started = []

    @hookimpl
    async def moorage_startup(self, hub):
        started.append(hub)
        if len(started) > 1:
            raise RuntimeError("once is enough")

    with pytest.raises(AssertionError, match="once is enough"):
        await bad(moorage_startup=moorage_startup).test_switched_off_and_on(moorage_server)


@pytest.fixture
def changed_hello(tmp_path, monkeypatch):
    """The example plugin under another name, with a column that no migration knows."""
    package = tmp_path / "changed_hello"
    shutil.copytree(HELLO / "moorage_hello", package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    (package / "__init__.py").write_text("")
    models = package / "models.py"
    models.write_text(
        models.read_text().replace(
            "    created_at", "    colour = fields.CharField(max_length=9, null=True)\n    created_at"
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield "changed_hello"
    for name in [name for name in sys.modules if name.partition(".")[0] == "changed_hello"]:
        del sys.modules[name]


async def test_a_model_without_its_migration_is_found(changed_hello):
    manifest = {"models": f"{changed_hello}.models", "migrations": f"{changed_hello}.migrations"}
    with pytest.raises(Found) as failure:
        await bad(manifest=manifest).test_migrations()
    text = str(failure.value)
    assert "table hello_greetings does not begin with bad_" in text
    assert "differ from the migrations on sqlite" in text
    assert "differ from the migrations on postgres" in text
    assert '"colour"' in text
