"""A third party's plugin in a real `moorage serve`: switched on by command, used over HTTP and WebSocket."""

import json
import signal
import time

import httpx
import pytest
from harness import Server
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

GREETINGS = "/api/hello/greetings"


@pytest.fixture
def serve(tmp_path, hello, scaffold):
    """Start a server with both plugins, over a database."""
    servers = []

    def start(**config):
        server = Server(tmp_path, config, env={"PYTHONPATH": str(hello.site)})
        servers.append(server)
        server.cli("plugins", "enable", "hello")
        server.cli("plugins", "enable", "tide-table")
        return server.start()

    yield start
    for server in servers:
        server.stop()


def listed(server):
    return {row["name"]: row for row in json.loads(server.cli("plugins", "list", "--json").stdout)}


def greeted(server, key):
    return connect(f"{server.ws_url}/ws/hello", additional_headers={"Authorization": f"Bearer {key}"}, proxy=None)


def test_it_is_a_plugin_like_ours(serve):
    server = serve()
    rows = listed(server)
    assert rows["hello"]["distribution"] == "moorage-hello"
    assert rows["hello"]["state"] == rows["tide-table"]["state"] == "started"
    server.add_user("ann")
    server.add_user("ben")
    key, reader = server.key("ann"), server.key("ann", "hello:greeting:read")
    assert httpx.get(f"{server.url}/api/hello?name=Ann").json() == {"greeting": "Hello, Ann!"}
    assert httpx.get(f"{server.url}{GREETINGS}").status_code == 401
    with server.client("ann") as ann, server.client("ben") as ben, greeted(server, key) as socket:
        socket.send("Ann")
        assert json.loads(socket.recv(timeout=10)) == {"greeting": "Hello, Ann!"}
        assert ben.post(GREETINGS, json={"text": "from Ben"}).status_code == 201
        assert ann.post(GREETINGS, json={"text": "from Ann"}).status_code == 201
        assert json.loads(socket.recv(timeout=10))["kept"]["text"] == "from Ann"
        assert [row["text"] for row in ann.get(GREETINGS).json()["greetings"]] == ["from Ann"]
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {reader}"}) as limited:
        assert limited.get(GREETINGS).status_code == 200
        assert limited.post(GREETINGS, json={"text": "x"}).status_code == 403
    with pytest.raises(InvalidStatus):
        greeted(server, "mcp_00000000_nothing").__enter__()

    server.cli("plugins", "disable", "hello")
    server.signal(signal.SIGHUP)
    wait_until(lambda: httpx.get(f"{server.url}/api/hello").status_code == 404)
    assert httpx.get(f"{server.url}/api/tide-table").json() == {"greeting": "Hello, world!"}
    server.stop()

    server.cli("plugins", "enable", "hello")
    server.start()
    with server.client("ann") as ann:
        assert [row["text"] for row in ann.get(GREETINGS).json()["greetings"]] == ["from Ann"]


def test_it_works_on_postgresql(serve, postgres_url):
    server = serve(database={"url": postgres_url})
    server.add_user("ann")
    with server.client("ann") as ann:
        kept = ann.post(GREETINGS, json={"text": "Grüße, 世界"}).json()
        assert ann.get(GREETINGS).json()["greetings"] == [kept]
        assert ann.delete(f"{GREETINGS}/{kept['id']}").status_code == 204
        assert ann.get(GREETINGS).json()["greetings"] == []


def wait_until(true, seconds=20):
    """Ask until it is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
