"""SIGHUP: plugins come, go and change while others' sockets and downloads go on."""

import asyncio
import json
import signal

import httpx
import pytest
import websockets
from fakedist import probe
from harness import Server, running
from waits import WAIT


@pytest.fixture
def server(tmp_path):
    site = tmp_path / "site"
    for name in ("one", "two", "three"):
        probe(site, name)
    probe(site, "leaner", manifest='requires=("two",),')
    folder = tmp_path / "server"
    folder.mkdir()
    config = {"plugins": {"one": {"enabled": True}, "two": {"enabled": True}, "three": {"enabled": False}}}
    with running(folder, config, env={"PYTHONPATH": str(site)}) as server:
        server.add_user("ann")
        yield server


async def reload(server: Server, until) -> None:
    """SIGHUP, then wait for its effect."""
    server.signal(signal.SIGHUP)
    async with httpx.AsyncClient(base_url=server.url) as client, asyncio.timeout(WAIT):
        while not await until(client):
            await asyncio.sleep(0.02)


def status_is(path, status):
    async def until(client):
        return (await client.get(path)).status_code == status

    return until


async def test_enable_disable_reconfigure_under_a_live_socket_and_a_long_download(server):
    cookie = server.cookie("ann")
    headers = {"Cookie": cookie}
    async with (
        httpx.AsyncClient(base_url=server.url, headers=headers) as client,
        websockets.connect(f"{server.ws_url}/one/echo", additional_headers=headers) as kept,
        websockets.connect(f"{server.ws_url}/two/echo", additional_headers=headers) as removed,
    ):
        before = (await client.get("/one/greet")).json()

        async def download():
            return await client.get("/one/download", params={"chunks": 150, "pause": 0.03}, timeout=WAIT)

        downloading = asyncio.create_task(download())
        await kept.send("a")
        assert await kept.recv() == "a"

        server.write_config({"plugins": {"two": {"enabled": False}, "three": {"enabled": True}}})
        await reload(server, status_is("/three/greet", 200))
        assert (await client.get("/two/greet")).status_code == 404
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(removed.recv(), WAIT)
        assert closed.value.rcvd.code == 1001
        await kept.send("b")
        assert await kept.recv() == "b"

        server.write_config({"plugins": {"three": {"greeting": "changed"}}})

        async def greets(other):
            return (await other.get("/three/greet")).json()["greeting"] == "changed"

        await reload(server, greets)
        await kept.send("c")
        assert await kept.recv() == "c"
        assert (await client.get("/one/greet")).json() == before, "an unchanged plugin keeps its objects"
        answer = await downloading
        assert len(answer.content) == 150 * 1024


async def test_a_reconfigured_plugin_closes_its_sockets_with_1012(server):
    headers = {"Cookie": server.cookie("ann")}
    async with websockets.connect(f"{server.ws_url}/two/echo", additional_headers=headers) as socket:
        server.write_config({"plugins": {"two": {"greeting": "new"}}})
        server.signal(signal.SIGHUP)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), WAIT)
        assert closed.value.rcvd.code == 1012
    assert httpx.get(f"{server.url}/two/greet").json()["greeting"] == "new"


async def test_a_broken_configuration_changes_nothing(server):
    good = server.config_file.read_text()
    server.config_file.write_text(good + "\nthis is not toml\n")
    server.signal(signal.SIGHUP)
    async with asyncio.timeout(WAIT):
        while "reload refused" not in server.stderr:
            await asyncio.sleep(0.02)
    assert httpx.get(f"{server.url}/two/greet").status_code == 200


async def test_a_wrong_option_keeps_the_old_plugin_running(server):
    server.write_config({"plugins": {"two": {"size": "many"}}})
    server.signal(signal.SIGHUP)
    async with asyncio.timeout(WAIT):
        while "kept its old configuration" not in server.cli("plugins", "list", "--json").stdout:
            await asyncio.sleep(0.05)
    assert httpx.get(f"{server.url}/two/greet").json()["greeting"] == "hello"


async def test_a_collision_is_refused_and_named(server):
    server.write_config({"plugins": {"three": {"enabled": True, "mount": "/one"}}})
    server.signal(signal.SIGHUP)
    async with asyncio.timeout(WAIT):
        while "is claimed by" not in server.stderr:
            await asyncio.sleep(0.02)
    assert httpx.get(f"{server.url}/one/greet").status_code == 200


async def test_dependants_follow_and_what_failed_is_tried_again(server):
    server.write_config({"plugins": {"leaner": {"enabled": True}}})
    await reload(server, status_is("/leaner/greet", 200))
    server.write_config({"plugins": {"two": {"enabled": False}}})
    await reload(server, status_is("/leaner/greet", 503))
    server.write_config({"plugins": {"two": {"enabled": True}}})
    await reload(server, status_is("/leaner/greet", 200))


async def test_roles_and_limits_change_live(server):
    async with httpx.AsyncClient(base_url=server.url, headers={"Cookie": server.cookie("ann")}) as client:
        assert (await client.get("/one/greet")).headers["x-ratelimit-limit"] == "200"
        server.write_config({"limits": {"general": "77/minute"}})

        async def limited(other):
            return (await other.get("/one/greet")).headers.get("x-ratelimit-limit") == "77"

        await reload(server, limited)


def test_an_admin_can_ask_for_it(server):
    server.add_user("root", role="owner")
    server.write_config({"plugins": {"three": {"enabled": True}}, "server": {"drain_timeout": 3.0}})
    with server.client("ann") as client:
        assert client.post("/api/core/reload").status_code == 403
    with server.client("root") as client:
        answer = client.post("/api/core/reload")
        assert answer.status_code == 200, answer.text
        assert answer.json()["added"] == ["three"]
        assert answer.json()["needs_restart"] == ["server.drain_timeout"]
        assert client.get("/three/greet").status_code == 200
        rows = {row["name"]: row for row in client.get("/api/core/plugins").json()["plugins"]}
        assert rows["three"]["state"] == "started"
    listed = {row["name"]: row for row in json.loads(server.cli("plugins", "list", "--json").stdout)}
    assert listed["three"]["state"] == "started"


def test_what_waits_for_a_restart_stays_as_it_was_and_can_be_taken_back(server):
    server.add_user("root", role="owner")
    elsewhere = server.data_dir.parent / "elsewhere"
    told = []
    with server.client("root") as client:
        for where in (elsewhere, server.data_dir):
            server.write_config({"data_dir": str(where), "plugins": {"three": {"enabled": where == elsewhere}}})
            answer = client.post("/api/core/reload")
            assert answer.status_code == 200, answer.text
            told.append(answer.json()["needs_restart"])
            listed = json.loads((server.data_dir / "run" / "plugins.json").read_text())
            assert listed["needs_restart"] == told[-1]
            assert listed["plugins"]["three"]["state"] == ("started" if where == elsewhere else "disabled")
    assert told == [["data_dir"], []]
    assert not elsewhere.exists(), "a running server stays in its folder"
