"""While a plugin takes its time to drain, sockets stay open; then they are closed as going away, on either engine."""

import asyncio
import signal

import httpx
import pytest
import websockets
from fakedist import probe
from harness import Server
from waits import WAIT

DRAIN = """
@hookimpl
async def moorage_drain(self, hub):
    await asyncio.sleep(1)
"""


@pytest.mark.parametrize("engine", ["hypercorn", "uvicorn"])
async def test_sockets_are_told_that_the_server_goes_away(tmp_path, engine):
    probe(tmp_path / "site", "slow", body=DRAIN, routes='routes.socket("/open", access=PUBLIC)(self.open)')
    source = tmp_path / "site" / "slow_module.py"
    source.write_text(
        source.read_text()
        + """
    async def open(self, socket):
        await socket.accept()
        async for message in socket:
            await socket.send(message)
"""
    )
    config = {"server": {"engine": engine}, "plugins": {"slow": {"enabled": True}}}
    server = Server(tmp_path, config, env={"PYTHONPATH": str(tmp_path / "site")}).start()
    try:
        async with websockets.connect(f"{server.ws_url}/slow/open") as socket:
            await socket.send("x")
            assert await socket.recv() == "x"
            server.signal(signal.SIGTERM)
            while (await asyncio.to_thread(httpx.get, f"{server.url}/slow/greet")).status_code != 503:
                pass
            await socket.send("still here")
            assert await socket.recv() == "still here"
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), WAIT)
            assert closed.value.rcvd.code == 1001
        # Of the one signal: another one while it ends would end it at once.
        assert await asyncio.to_thread(server.process.wait, WAIT) == 0
    finally:
        await asyncio.to_thread(server.stop)
