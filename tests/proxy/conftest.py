"""A server with a proxied place, on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from moorage.testing.server import Server
from relay import Place, Relay, Upstream


@pytest.fixture(params=["hypercorn", "uvicorn"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    upstream = Upstream()
    listener = await asyncio.start_server(upstream.accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with Server(tmp_path, [Relay], {"server": {"engine": request.param}}) as server:
        plugin = server.plugin("relay")
        assert isinstance(plugin, Relay)
        plugin.hub.upstreams.register("it", port=port)
        yield Place(server, plugin, upstream, port)
    listener.close()


@pytest.fixture
async def client(place: Place) -> httpx.AsyncClient:
    return await place.server.as_user("operator")
