"""A plugin that raises, hangs or does not even parse hurts nobody else."""

import functools
import json
import time

import httpx
import pytest
from fakedist import install, probe
from harness import Server, running
from waits import WAIT
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

BROKEN = {
    "syntaxerr": "def f(:\n",
    "importer": "raise RuntimeError('no such luck')\n",
    "exiter": "import sys\nsys.exit(9)\n",
    "hanger": "import time\ntime.sleep(600)\n",
    "notplugin": "class Thing:\n    pass\n",
}
STARTERS = {
    "raiser": "@hookimpl\nasync def moorage_startup(self, hub):\n    raise ValueError('cannot start')",
    "sleeper": "@hookimpl\nasync def moorage_startup(self, hub):\n    await asyncio.sleep(600)",
    "unknownhook": "@hookimpl\ndef moorage_no_such_hook(self, hub):\n    pass",
    "wrongkind": "@hookimpl\ndef moorage_startup(self, hub):\n    pass",
    "stubborn": (
        "@hookimpl\nasync def moorage_startup(self, hub):\n    while True:\n"
        "        try:\n            await asyncio.sleep(600)\n        except asyncio.CancelledError:\n            pass"
    ),
    "quitter": "@hookimpl\nasync def moorage_startup(self, hub):\n    raise SystemExit(9)",
    "thrower": "@hookimpl\ndef moorage_add_hookspecs(self, hub):\n    yield 1 / 0",
    "thief": (
        "@hookimpl\ndef moorage_add_hookspecs(self, hub):\n    class Mine:\n        @hookspec\n"
        "        def moorage_routes(self, other):\n            ...\n    return [Mine]"
    ),
    "wrongarg": "@hookimpl\nasync def moorage_startup(self, hub, extra):\n    pass",
}
VIEWS = """
@routes.get("/exit", access=PUBLIC)
async def leave():
    raise SystemExit(9)

@routes.get("/exit-late", access=PUBLIC)
async def leave_late():
    async def body():
        yield b"x"
        raise SystemExit(9)
    return Response(body())

@routes.socket("/exit", access=PUBLIC)
async def leave_socket(socket):
    await socket.accept()
    raise SystemExit(9)

@routes.post("/late", access=PUBLIC, timeout=0.3)
async def late():
    try:
        await request.get_data()
        await asyncio.sleep(600)
    finally:
        hub.log.info("late view ended")

@routes.post("/stream", access="good:thing:read", timeout=0)
async def stream():
    await request.get_data()
    async def body():
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0.01)
        finally:
            hub.log.info("stream ended")
    return Response(body())
"""
OTHERS = ("old", "needy", "later", "misconfigured", "mistyped", "ghost")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    for name, source in BROKEN.items():
        install(site, name, source)
    for name, body in STARTERS.items():
        probe(site, name, body=body)
    probe(site, "old", manifest="api=99,")
    probe(site, "needy", manifest='requires=("absent",),')
    probe(site, "later", manifest='modules=("no_such_module_xyz",), extra="heavy",')
    probe(site, "misconfigured")
    probe(site, "mistyped", manifest="modules=None,")
    probe(
        site, "good", body="@hookimpl\nasync def moorage_health(self, hub):\n    await asyncio.sleep(60)", routes=VIEWS
    )
    names = [*BROKEN, *STARTERS, *OTHERS, "good"]
    config = {
        "server": {"plugin_import_timeout": 2.0, "plugin_start_timeout": 1.0},
        "plugins": {name: {"enabled": True} for name in names} | {"misconfigured": {"enabled": True, "greting": "x"}},
    }
    with running(tmp_path_factory.mktemp("server"), config, env={"PYTHONPATH": str(site)}) as server:
        yield server


@functools.cache  # All has happened at the start.
def states(server):
    return {row["name"]: row for row in json.loads(server.cli("plugins", "list", "--json").stdout)}


def test_the_good_one_works(server):
    assert httpx.get(f"{server.url}/good/greet").json()["greeting"] == "hello"


@pytest.mark.parametrize("name", [*BROKEN, *STARTERS, *OTHERS])
def test_a_broken_one_says_why_and_answers_503_at_its_mount(server, name):
    row = states(server)[name]
    assert row["state"] in ("failed", "blocked"), row
    assert row["reason"]
    if name not in (*BROKEN, "mistyped", "ghost"):  # Whose manifest, and so whose mount, is known.
        answer = httpx.get(f"{server.url}/{name}/greet")
        assert answer.status_code == 503
        assert answer.json()["error"] == "SERVICE_UNAVAILABLE"
        assert "Traceback" not in answer.text


def test_reasons_name_the_mend(server):
    rows = states(server)
    assert "line 1" in rows["syntaxerr"]["reason"]
    assert "within 2 s" in rows["hanger"]["reason"]
    assert "later-dist[heavy]" in rows["later"]["reason"]
    assert "[plugins.absent] enabled = true" in rows["needy"]["reason"]
    assert "greeting" in rows["misconfigured"]["reason"]
    assert "must be async" in rows["wrongkind"]["reason"]
    assert "within 1 s" in rows["stubborn"]["reason"]
    assert "SystemExit: 9" in rows["quitter"]["reason"]
    assert "already offered by the core" in rows["thief"]["reason"]
    assert "not installed" in rows["ghost"]["reason"]


def test_a_view_that_raises_is_a_clean_500(server):
    answer = httpx.get(f"{server.url}/good/raise")
    assert answer.status_code == 500
    assert answer.json()["error"] == "INTERNAL_ERROR"
    assert "secret detail" not in answer.text


def test_a_view_that_hangs_is_a_504(server):
    answer = httpx.get(f"{server.url}/good/slow")
    assert answer.status_code == 504


def test_a_view_that_exits_ends_nothing_but_itself(server):
    assert httpx.get(f"{server.url}/good/exit").status_code == 500
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{server.url}/good/exit-late")
    with connect(f"{server.ws_url}/good/exit") as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=WAIT)
    assert closed.value.rcvd.code == 1011
    assert httpx.get(f"{server.url}/good/greet").status_code == 200


def test_a_view_that_reads_a_body_ends_with_its_deadline(server):
    assert httpx.post(f"{server.url}/good/late", content=b"x").status_code == 504
    wait_for(lambda: "late view ended" in server.stderr)


def test_a_stream_that_answers_a_post_ends_with_the_login(server):
    server.add_user("pat")
    with server.client("pat") as client, client.stream("POST", "/good/stream", content=b"x") as answer:
        reading = answer.iter_bytes()
        next(reading)
        httpx.post(f"{server.url}/api/auth/logout", headers={"Cookie": cookie_of(client)})
        with pytest.raises(httpx.RemoteProtocolError):
            list(reading)
    wait_for(lambda: "stream ended" in server.stderr)
    assert "never retrieved" not in server.stderr


def cookie_of(client):
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def wait_for(done, timeout=WAIT):
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_health_is_degraded_and_in_time(server):
    answer = httpx.get(f"{server.url}/health", timeout=WAIT)
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"


def test_a_required_plugin_that_fails_stops_the_server(tmp_path):
    site = tmp_path / "site"
    probe(site, "raiser", body=STARTERS["raiser"])
    config = {"plugins": {"raiser": {"enabled": True, "required": True}}}
    (tmp_path / "s").mkdir()
    server = Server(tmp_path / "s", config, env={"PYTHONPATH": str(site)})
    process = server.spawn()
    process.communicate(timeout=30)
    assert process.returncode == 3
    assert "raiser" in server.stderr
    assert "cannot start" in server.stderr
    assert "Traceback" not in server.stderr.splitlines()[-1]


def test_safe_mode_starts_without_it(tmp_path):
    site = tmp_path / "site"
    probe(site, "raiser", body=STARTERS["raiser"])
    config = {"plugins": {"raiser": {"enabled": True, "required": True}}}
    (tmp_path / "s").mkdir()
    server = Server(tmp_path / "s", config, env={"PYTHONPATH": str(site)})
    try:
        server.start("--safe-mode")
        assert httpx.get(f"{server.url}/raiser/greet").status_code == 404
    finally:
        assert server.stop() == 0


def test_routes_that_collide_stop_the_server_and_name_both(tmp_path):
    site = tmp_path / "site"
    probe(site, "one")
    probe(site, "two")
    config = {"plugins": {"one": {"enabled": True, "mount": "/x"}, "two": {"enabled": True, "mount": "/x"}}}
    (tmp_path / "s").mkdir()
    server = Server(tmp_path / "s", config, env={"PYTHONPATH": str(site)})
    process = server.spawn()
    process.communicate(timeout=30)
    assert process.returncode == 2
    assert "GET /x/greet" in server.stderr
    assert '[plugins.two] mount = "/two"' in server.stderr


def test_a_route_without_an_access_rule_stops_the_server(tmp_path):
    site = tmp_path / "site"
    probe(site, "open", routes='@routes.get("/open")\nasync def opened():\n    return ""')
    (tmp_path / "s").mkdir()
    server = Server(tmp_path / "s", {"plugins": {"open": {"enabled": True}}}, env={"PYTHONPATH": str(site)})
    process = server.spawn()
    process.communicate(timeout=30)
    assert process.returncode == 2
    assert "/open declares no access rule" in server.stderr


def test_a_veto_denies_and_never_grants(tmp_path):
    site = tmp_path / "site"
    veto = """
    @hookimpl
    def moorage_authorize(self, actor, permission):
        if permission == "good:thing:read":
            return "not on Sundays"
        if permission == "good:thing:write":
            raise RuntimeError("broken veto")
        return None
    """
    probe(site, "vetoer", body=veto)
    probe(site, "good")
    (tmp_path / "s").mkdir()
    config = {"plugins": {"good": {"enabled": True}, "vetoer": {"enabled": True}}}
    with running(tmp_path / "s", config, env={"PYTHONPATH": str(site)}) as server:
        server.add_user("ann")
        server.add_user("vic", role="viewer")
        with server.client("ann") as client:
            assert client.get("/good/read").status_code == 403
            assert client.post("/good/write", json={}).status_code == 403
            assert client.get("/vetoer/read").status_code == 200
        with server.client("vic") as client:
            assert client.post("/vetoer/write", json={}).status_code == 403


def test_commands_hear_of_a_plugin_that_is_not_well(server):
    httpx.get(f"{server.url}/health", timeout=WAIT)
    assert states(server)["good"]["state"] == "degraded"
