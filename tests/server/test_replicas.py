"""Two servers over one PostgreSQL and one Redis: what one revokes, the other knows at once."""

import asyncio

import httpx
import pytest
import websockets
from fakedist import probe
from harness import Server
from sessionserver import until


@pytest.fixture
def replicas(tmp_path, postgres_url, redis_url):
    site = tmp_path / "site"
    probe(site, "good")
    config = {
        "database": {"url": postgres_url},
        "redis": {"url": redis_url},
        "limits": {"storage": "redis", "general": "50/minute"},
        "plugins": {"good": {"enabled": True}},
    }
    servers = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        servers.append(Server(tmp_path / name, config, env={"PYTHONPATH": str(site)}))
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.stop()


async def test_revocation_and_limits_are_shared(replicas):
    a, b = replicas
    a.add_user("ann")
    headers = {"Cookie": a.cookie("ann")}
    async with (
        httpx.AsyncClient(base_url=a.url, headers=headers) as on_a,
        httpx.AsyncClient(base_url=b.url, headers=headers) as on_b,
        websockets.connect(f"{b.ws_url}/good/echo", additional_headers=headers) as socket,
    ):
        assert (await on_b.get("/good/read")).json()["user"] == "ann"
        first = int((await on_a.get("/good/read")).headers["x-ratelimit-remaining"])
        second = int((await on_b.get("/good/read")).headers["x-ratelimit-remaining"])
        assert second == first - 1
        await socket.send("x")
        assert await socket.recv() == "x"
        assert (await on_a.post("/auth/logout")).status_code == 200
        async with asyncio.timeout(5):
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd.code == 4001
        assert (await on_b.get("/good/read")).status_code == 401


def test_both_start_at_once_on_an_empty_database(tmp_path, postgres_url, redis_url):
    servers = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        servers.append(Server(tmp_path / name, {"database": {"url": postgres_url}, "redis": {"url": redis_url}}))
    try:
        for server in servers:
            server.spawn()
        for server in servers:
            server.wait_started()
        for server in servers:
            until(lambda url=f"{server.url}/health": httpx.get(url).json()["status"] == "healthy")
    finally:
        for server in servers:
            server.stop()


def test_without_redis_a_second_server_refuses_and_the_first_goes_on(tmp_path, postgres_url, redis_url):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = Server(tmp_path / "a", {"database": {"url": postgres_url}})
    second = Server(tmp_path / "b", {"database": {"url": postgres_url}, "redis": {"url": redis_url}})
    try:
        first.start()
        process = second.spawn()
        process.communicate(timeout=30)
        assert process.returncode == 4
        assert "set [redis] url on all of them" in second.stderr
        assert httpx.get(f"{first.url}/health").status_code == 200
        first.kill()
        second.start()
    finally:
        first.stop()
        second.stop()
