"""Hosts apart: pages of somebody else's making are an origin of their own, without the login and without the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import websockets
from moorage.accounts import SYSTEM
from moorage.accounts.passes import COOKIE, ENTER
from moorage.api import (
    Hub,
    Manifest,
    NotFound,
    Permission,
    Plugin,
    ProxyRequest,
    Redirect,
    Routes,
    Target,
    current_request,
    hookimpl,
)
from moorage.errors import StartError
from moorage.testing.server import Server

SEE = Permission("pages:page:see", "See pages", default="operator")
PASSWORD = "correct horse battery"


class Pages(Plugin):
    """Leads to pages at hosts apart."""

    manifest = Manifest(name="pages", version="1", summary="Shows pages", permissions=(SEE,))
    kind = "*.pages.test"

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Routes:
        self.hub = hub
        routes = Routes()

        @routes.proxy("/open/{name}", access=SEE.name, sockets=True)
        async def open_it(request: ProxyRequest) -> Redirect:
            info = current_request()
            origin = f"{info.scheme}://{request.params['name']}.pages.test"
            return Redirect(hub.accounts.passes.address(request.actor, origin, "/deep?x=1"))

        @routes.proxy("/{rest:path}", access=SEE.name, sockets=True, apart=self.kind)
        async def page(request: ProxyRequest) -> Target:
            upstream = hub.upstreams.get(current_request().host.split(".")[0])
            if upstream is None:
                raise NotFound("No such page")
            return Target(upstream, f"/{request.rest}")

        return routes


class Upstream:
    """Says what it was sent; `/stream` says one line and waits."""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b" /stream " in head:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\ndata: 2\n\n")
                    await writer.drain()
                    await reader.read()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server(moorage_server: Callable[..., Server]) -> AsyncIterator[Server]:
    listener = await asyncio.start_server(Upstream().accept, "127.0.0.1", 0)
    async with moorage_server(Pages) as server:
        plugin = server.plugin("pages")
        assert isinstance(plugin, Pages)
        for name in ("one", "two"):
            plugin.hub.upstreams.register(name, port=listener.sockets[0].getsockname()[1])
        with server.app.db.activate():
            await server.app.accounts.create_user("ann", password=PASSWORD, by=SYSTEM)
        yield server
    listener.close()


@pytest.fixture
async def ann(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A browser with a login, that follows nothing by itself."""
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        login = await client.post("/api/auth/login", json={"username": "ann", "password": PASSWORD})
        assert login.status_code == 200
        yield client


def at(host: str, **more: str) -> dict[str, str]:
    return {"Host": host, **more}


async def ticket_for(ann: httpx.AsyncClient, name: str = "one") -> str:
    answer = await ann.get(f"/open/{name}")
    assert (answer.status_code, answer.headers["referrer-policy"]) == (303, "no-referrer")
    origin, _, rest = answer.headers["location"].partition(ENTER)
    assert origin == f"http://{name}.pages.test"
    return f"{ENTER}{rest}"


async def pass_for(server: Server, ann: httpx.AsyncClient, name: str = "one") -> str:
    """The Cookie header of a browser that was let in."""
    answer = await server.anonymous.get(await ticket_for(ann, name), headers=at(f"{name}.pages.test"))
    assert (answer.status_code, answer.headers["location"]) == (302, "/deep?x=1")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "domain" not in cookie.lower()
    return cookie.partition(";")[0]


async def test_a_login_leads_to_a_pass_of_one_host(server: Server, ann: httpx.AsyncClient) -> None:
    cookie = await pass_for(server, ann)
    seen = await server.anonymous.get("/a%2Fb?q=[1]", headers=at("one.pages.test", Cookie=f"{cookie}; other=1"))
    assert seen.status_code == 200
    assert seen.text.startswith("GET /a%2Fb?q=[1] HTTP/1.1")
    assert "cookie" not in seen.text.lower()
    other = await server.anonymous.get("/", headers=at("two.pages.test", Cookie=cookie))
    assert other.status_code == 401
    # Nor does it open anything of the server itself.
    assert (await server.anonymous.get("/api/me", headers={"Cookie": cookie})).status_code == 401
    as_bearer = {"Authorization": f"Bearer {cookie.partition('=')[2]}"}
    assert (await server.anonymous.get("/api/me", headers=as_bearer)).status_code == 401


async def test_a_ticket_is_good_once_and_at_its_host(server: Server, ann: httpx.AsyncClient) -> None:
    path = await ticket_for(ann)
    assert (await server.anonymous.get(path, headers=at("two.pages.test"))).status_code == 401
    assert (await server.anonymous.get(path, headers=at("one.pages.test"))).status_code == 401, "it was shown"
    path = await ticket_for(ann)
    assert (await server.anonymous.get(path, headers=at("one.pages.test"))).status_code == 302
    assert (await server.anonymous.get(path, headers=at("one.pages.test"))).status_code == 401
    assert (await server.anonymous.get(ENTER, headers=at("one.pages.test"))).status_code == 401
    assert (await server.anonymous.get(path)).status_code == 404, "there is no such place at the server's own hosts"


async def test_nothing_else_of_the_server_is_there_and_no_login_counts(server: Server, ann: httpx.AsyncClient) -> None:
    token = (await ann.post("/api/auth/login", json={"username": "ann", "password": PASSWORD})).json()["token"]
    for path in ("/", "/api/me", "/health", "/console/x", "/open/one", "/api/auth/login"):
        for credential in ({}, {"Authorization": f"Bearer {token}"}, {"Cookie": f"moorage_session={token}"}):
            answer = await ann.get(path, headers=at("one.pages.test", **credential))
            assert answer.status_code == 401, (path, answer.text)
            assert "set-cookie" not in answer.headers
    posted = await ann.post(
        "/api/auth/login", json={"username": "ann", "password": PASSWORD}, headers=at("x.pages.test")
    )
    assert posted.status_code == 401


@pytest.mark.parametrize("host", ["pages.test", "a.b.pages.test", "onepages.test", "one.pages.test.evil.example"])
async def test_other_hosts_are_not_apart(server: Server, ann: httpx.AsyncClient, host: str) -> None:
    assert (await ann.get("/health", headers=at(host))).status_code == 200


async def test_pages_of_other_hosts_cannot_use_the_pass(server: Server, ann: httpx.AsyncClient) -> None:
    cookie = await pass_for(server, ann)
    for origin in ("http://two.pages.test", "http://evil.example", "null"):
        headers = at("one.pages.test", Cookie=cookie, Origin=origin)
        assert (await server.anonymous.post("/x", headers=headers)).status_code == 403
        with pytest.raises(websockets.InvalidStatus) as refused:
            await _socket(server, headers)
        assert refused.value.response.status_code == 403
    own = at("one.pages.test", Cookie=cookie, Origin="http://one.pages.test")
    assert (await server.anonymous.post("/x", headers=own)).status_code == 200


async def _socket(server: Server, headers: dict[str, str]) -> None:
    port = int(server.url.rpartition(":")[2])
    origin = websockets.Origin(headers["Origin"])
    more = {"Cookie": headers["Cookie"]}
    uri = f"ws://{headers['Host']}:{port}/socket"
    async with websockets.connect(uri, host="127.0.0.1", port=port, origin=origin, additional_headers=more):
        pass


async def test_it_ends_with_the_login(server: Server, ann: httpx.AsyncClient) -> None:
    cookie = await pass_for(server, ann)
    late = await ticket_for(ann)
    headers = at("one.pages.test", Cookie=cookie)
    async with server.anonymous.stream("GET", "/stream", headers=headers, timeout=30) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "data: 1"
        await ann.post("/api/auth/logout")
        with pytest.raises(httpx.RemoteProtocolError):
            async for _ in lines:
                pass
    assert (await server.anonymous.get("/", headers=headers)).status_code == 401
    entered = await server.anonymous.get(late, headers=at("one.pages.test"))
    if entered.status_code == 302:
        cookie = entered.headers["set-cookie"].partition(";")[0]
        assert (await server.anonymous.get("/", headers=at("one.pages.test", Cookie=cookie))).status_code == 401


async def test_it_ends_with_the_role(server: Server, ann: httpx.AsyncClient) -> None:
    headers = at("one.pages.test", Cookie=await pass_for(server, ann))
    assert (await server.anonymous.get("/", headers=headers)).status_code == 200
    with server.app.db.activate():
        user = await server.app.accounts.find_user("ann")
        assert user is not None
        await server.app.accounts.set_role(user.id, "viewer", by=SYSTEM)
    assert (await server.anonymous.get("/", headers=headers)).status_code == 403


@pytest.mark.parametrize("kind", ["pages.test", "*", "*.", "*.-x", "a.*.test", "*.x/y"])
async def test_a_kind_of_host_that_cannot_be_stops_the_start(moorage_server: Callable[..., Server], kind: str) -> None:
    wrong = type("Wrong", (Pages,), {"kind": kind})
    with pytest.raises(StartError, match="apart"):
        await moorage_server(wrong).start()


async def test_a_mount_cannot_be_among_hosts_apart(moorage_server: Callable[..., Server]) -> None:
    config = {"plugins": {"pages": {"mount": ["//own.pages.test/"]}}}
    with pytest.raises(StartError, match="whose hosts are apart"):
        await moorage_server(Pages, config=config).start()
