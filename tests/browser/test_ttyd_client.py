"""ttyd's own web client, as it is published on npm, at the terminal of a session."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from agentstub import standin
from aiohttp import WSMsgType, web
from harness import Server, running
from playwright.sync_api import Page, WebSocket, expect
from waits import PAGE, WAIT

SHOWN = "[...Array(term.buffer.length).keys()].map(i => term.buffer.getLine(i).translateToString(true)).join('\\n')"


INDEX = """<!doctype html><title>-</title><link rel="stylesheet" href="app.css"><div id="test"></div>
<script src="auth_token.js"></script><script src="app.js"></script>"""
"""The published page has no element of the name that the published script draws into; this one does."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with sessions, and one user. Sessions outlive it, so that they are deleted first."""
    with running(tmp_path, standin(tmp_path)) as server:
        (tmp_path / "projects" / "one").mkdir()
        server.add_user("ann")
        key = server.key("ann")
        server.keys = {"ann": key}  # type: ignore[attr-defined]
        yield server
        with server.client() as client:
            client.headers["Authorization"] = f"Bearer {key}"
            for session in client.get("/api/sessions").json():
                assert client.delete(f"/api/sessions/{session['id']}").status_code == 204


class Front:
    """A reverse proxy, as one puts it before ttyd: the published client looks for `/ws` at the root of its host."""

    def __init__(self, terminal: str, key: str, files: Path) -> None:
        self._terminal, self._headers, self._files = terminal, {"Authorization": f"Bearer {key}"}, files
        self.closed: list[int | None] = []

    async def start(self) -> int:
        self._client = aiohttp.ClientSession(headers=self._headers)
        app = web.Application()
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/auth_token.js", self._token)
        app.router.add_get("/", self._page)
        app.router.add_static("/", self._files)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()
        await self._client.close()

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text=INDEX, content_type="text/html")

    async def _token(self, _: web.Request) -> web.Response:
        async with self._client.get(f"{self._terminal}/auth_token.js") as answer:
            return web.Response(body=await answer.read(), content_type=answer.content_type)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        ours = web.WebSocketResponse(protocols=["tty"])
        await ours.prepare(request)
        async with self._client.ws_connect(self._terminal, protocols=["tty"]) as theirs:

            async def up() -> None:
                async for message in ours:
                    await theirs.send_bytes(message.data)
                await theirs.close()

            going = asyncio.create_task(up())
            async for message in theirs:
                assert message.type is WSMsgType.BINARY
                await ours.send_bytes(message.data)
            self.closed.append(theirs.close_code)
            await ours.close(code=theirs.close_code or 1011)
            going.cancel()
        return ours


@contextmanager
def front(terminal: str, key: str, files: Path) -> Iterator[tuple[str, Front]]:
    """Its address, and itself, while it runs in a thread of its own."""
    loop, proxy = asyncio.new_event_loop(), Front(terminal, key, files)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        port = asyncio.run_coroutine_threadsafe(proxy.start(), loop).result(WAIT)
        yield f"http://127.0.0.1:{port}/", proxy
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result(WAIT)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT)
        loop.close()


def test_ttyds_web_client_works_unmodified(
    server: Server, opencode_sdk: Path, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    key: str = server.keys["ann"]  # type: ignore[attr-defined]
    with server.client() as client:
        client.headers["Authorization"] = f"Bearer {key}"
        made = client.post("/api/sessions", json={"project_path": str(tmp_path / "projects" / "one")})
    assert made.status_code == 201, made.text
    terminal = f"{server.url}/api/session/{made.json()['id']}/term"
    with front(terminal, key, opencode_sdk / "ttyd" / "dist") as (url, proxy):
        page = open_page()
        sockets: list[WebSocket] = []
        page.on("websocket", lambda socket: sockets.append(socket))
        page.goto(url)
        expect(page).to_have_title("bash (one)")
        assert page.evaluate("window.tty_auth_token") == ""
        page.locator(".xterm").click()
        page.keyboard.type("stty size; echo $((6 * 7))\n")
        page.wait_for_function(f"/^42$/m.test({SHOWN})", timeout=PAGE)
        size = page.evaluate("`${term.rows} ${term.cols}`")
        assert size in page.evaluate(SHOWN), "the program has the size of the page's terminal"
        page.evaluate("term.resize(70, 20)")
        page.keyboard.type("stty size; echo $((6 * 8))\n")
        page.wait_for_function(f"/^48$/m.test({SHOWN})", timeout=PAGE)
        assert "20 70" in page.evaluate(SHOWN)
        with sockets[0].expect_event("close", timeout=PAGE):
            page.keyboard.type("exit\n")
        page.get_by_text("Connection Closed").wait_for(timeout=PAGE)
        assert (proxy.closed, len(sockets)) == ([1000], 1), "after a good end it does not come again"
        page.goto("about:blank")
