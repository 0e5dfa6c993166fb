"""A port that only a plugin's manifest names is opened at the start, and does not stand in the way of a reload."""

import signal
import socket

import httpx
from fakedist import install
from harness import Server, free_port

SOURCE = """
from moorage.api import *

class Thing(Plugin):
    manifest = Manifest(name="lighthouse", version="1.0", summary="A light", mounts=("/light", ":{port}/"))

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()

        @routes.get("/lit", access=PUBLIC)
        async def lit():
            return json_response({{"lit": True}})

        return routes
"""


def serving(tmp_path, port, **options):
    install(tmp_path / "site", "lighthouse", SOURCE.format(port=port))
    config = {"plugins": {"lighthouse": {"enabled": True}}}
    return Server(tmp_path, config, env={"PYTHONPATH": str(tmp_path / "site")}, **options)


def test_it_is_served_there_and_can_be_reloaded(tmp_path):
    port = free_port()
    server = serving(tmp_path, port).start()
    try:
        for url in (f"{server.url}/light/lit", f"http://127.0.0.1:{port}/lit"):
            assert httpx.get(url).json() == {"lit": True}
        server.add_user("ann", role="owner")
        with server.client("ann") as ann:
            server.write_config({"limits": {"general": "900/minute"}})
            report = ann.post("/api/core/reload")
            assert report.status_code == 200, report.text
    finally:
        assert server.stop() == 0


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = serving(tmp_path, port).spawn()
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 5, said
        assert f"Cannot listen on 127.0.0.1:{port}" in (tmp_path / "stderr.log").read_text()


def test_the_signal_reloads_it_too(tmp_path):
    port = free_port()
    server = serving(tmp_path, port).start()
    try:
        server.write_config({"plugins": {"lighthouse": {"mount": [f":{port}/"]}}})
        server.signal(signal.SIGHUP)
        while httpx.get(f"{server.url}/light/lit").status_code == 200:
            assert "reload refused" not in server.stderr
        assert httpx.get(f"http://127.0.0.1:{port}/lit").json() == {"lit": True}
    finally:
        server.stop()
