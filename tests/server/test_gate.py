"""The gate from outside, on both engines: limits, credentials, cross-site rules, errors in the mount's dialect."""

import asyncio
import json
import socket

import httpx
import pytest
import websockets
from fakedist import probe
from harness import running
from waits import WAIT

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module", params=["hypercorn", "uvicorn"])
def server(request, tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    probe(site, "good")
    probe(site, "prox", dialect="OCTOPROX")
    config = {
        "server": {
            "engine": request.param,
            "max_body_bytes": 100_000,
            "max_header_bytes": 8192,
            "max_frame_bytes": 65_536,
            "max_json_depth": 20,
            "trusted_proxies": ["127.0.0.2"],
            "trusted_origins": ["https://app.example"],
            "public_url": "https://moorage.example",
        },
        "limits": {"general": "100000/minute", "authentication": "100000/minute"},
        "plugins": {"good": {"enabled": True}, "prox": {"enabled": True}},
    }
    with running(tmp_path_factory.mktemp("server"), config, env={"PYTHONPATH": str(site)}) as server:
        server.add_users({"ann": "operator", "vic": "viewer", "root": "owner"})
        yield server


@pytest.fixture(scope="module")
def cookie(server):
    return server.cookie("ann")


@pytest.fixture(scope="module")
def key(server):
    return server.key("ann")


@pytest.fixture
def client(server, cookie):
    with httpx.Client(base_url=server.url, headers={"Cookie": cookie}, timeout=WAIT) as client:
        yield client


def raw(server, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as sock:
        sock.sendall(data)
        got = b""
        try:
            while chunk := sock.recv(65536):
                got += chunk
                if b"\r\n\r\n" in got and b"connection: close" not in got.lower():
                    break
        except (TimeoutError, ConnectionResetError):
            pass
        return got


def test_anonymous_is_told_in_the_dialect_of_the_mount(server):
    answer = httpx.get(f"{server.url}/good/read")
    assert answer.status_code == 401
    assert answer.json() == {"error": "UNAUTHORIZED", "message": "Authentication required", "details": {}}
    assert answer.headers["www-authenticate"] == "Bearer"
    assert httpx.get(f"{server.url}/prox/read").json() == {"detail": "Not authenticated"}


def test_cookies_follow_the_public_url_behind_a_proxy(server):
    body = {"username": "ann", "password": PASSWORD}
    public = {"Host": "moorage.example", "Origin": "https://moorage.example"}
    answer = httpx.post(f"{server.url}/api/auth/login", json=body, headers=public)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-moorage_session=")
    assert "Secure" in cookie
    assert "max-age" in answer.headers["strict-transport-security"]
    shown = {"Host": "moorage.example", "Cookie": cookie.partition(";")[0]}
    assert httpx.get(f"{server.url}/good/read", headers=shown).status_code == 200
    assert httpx.post(f"{server.url}/api/auth/login", json=body).headers["set-cookie"].startswith("moorage_session=")


def test_cookie_key_and_bearer_session(server, client, cookie, key):
    assert client.get("/good/read").json()["method"] == "session"
    with httpx.Client(base_url=server.url) as bare:
        answer = bare.get("/good/read", headers={"Authorization": f"Bearer {key}"})
        assert answer.json() == {"user": "ann", "role": "operator", "method": "api_key"}
        token = cookie.partition("moorage_session=")[2].partition(";")[0]
        assert bare.get("/good/read", headers={"Authorization": f"bearer {token}"}).status_code == 200
        bad = bare.get("/good/read", headers={"Authorization": "Bearer mcp_00000000_nonsense", "Cookie": cookie})
        assert bad.status_code == 401, "a Bearer that is shown decides; there is no fallback to the cookie"
        assert bare.get("/good/greet", headers={"Authorization": "Bearer old"}).status_code == 200


def test_a_missing_permission_is_named(server):
    with server.client("vic") as client:
        answer = client.post("/good/write", json={})
    assert answer.status_code == 403
    assert answer.json()["details"] == {"required": "good:thing:write", "current": "viewer", "action": "write"}


def test_a_stale_cookie_is_anonymous_and_cleared(server):
    answer = httpx.get(f"{server.url}/good/greet", headers={"Cookie": "moorage_session=gone"})
    assert answer.status_code == 200
    assert "Max-Age=0" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "OWN"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://app.example"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://app.example.evil"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"X-CSRF-Token": "wrong"}, 403),
    ],
)
def test_cross_site_rules_for_cookies(server, client, headers, status):
    headers = {k: v.replace("OWN", server.url) for k, v in headers.items()}
    assert client.post("/good/write", json={}, headers=headers).status_code == status


def test_the_csrf_token_is_proof(server, client):
    token = client.get("/api/auth/csrf").json()["csrf_token"]
    headers = {"X-CSRF-Token": token, "Origin": "https://evil.example"}
    assert client.post("/good/write", json={}, headers=headers).status_code == 200


def test_cross_site_rules_leave_bearers_alone_and_cover_login(server, key):
    evil = {"Origin": "https://evil.example"}
    answer = httpx.post(f"{server.url}/good/write", json={}, headers={**evil, "Authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    body = {"username": "ann", "password": PASSWORD}
    assert httpx.post(f"{server.url}/api/auth/login", json=body, headers=evil).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"a": NaN}', 400),
        (b'"\\ud800"', 400),
        (b"[" * 21 + b"]" * 21, 400),
        (b"[" * 20 + b"]" * 20, 200),
        (b"\xff", 400),
        (b"1", 200),
    ],
)
def test_bad_json(client, body, status):
    answer = client.post("/good/write", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.json()["error"] == "VALIDATION_ERROR"


def test_too_large_by_length_and_by_chunks(client):
    assert client.post("/good/write", content=b"x" * 100_001).status_code == 413

    def chunks():
        for _ in range(20):
            yield b"x" * 10_000

    answer = client.post("/good/write", content=chunks())
    assert answer.status_code == 413
    assert answer.json()["error"] == "PAYLOAD_TOO_LARGE"
    assert client.post("/good/upload", content=b"x" * 5_000_000).json() == {"size": 5_000_000}


def test_wrong_method_unknown_path_and_options(client):
    answer = client.delete("/good/write")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "OPTIONS, POST"
    assert answer.json()["error"] == "METHOD_NOT_ALLOWED"
    assert client.get("/good/nope").json()["error"] == "NOT_FOUND"
    assert client.get("/prox/nope").json() == {"detail": "Not found"}
    assert client.options("/good/write").status_code == 204
    head = client.head("/good/greet")
    assert head.status_code == 200
    assert head.content == b""


def test_preflight_only_for_trusted_origins(server):
    asked = {"Access-Control-Request-Method": "POST"}
    good = httpx.options(f"{server.url}/good/write", headers={**asked, "Origin": "https://app.example"})
    assert good.headers["access-control-allow-origin"] == "https://app.example"
    assert good.headers["access-control-allow-credentials"] == "true"
    bad = httpx.options(f"{server.url}/good/write", headers={**asked, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in bad.headers


def test_header_and_url_limits(server):
    big = raw(server, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 9000 + b"\r\n\r\n")
    assert b" 431 " in big.split(b"\r\n")[0], big[:200]
    long = raw(server, b"GET /" + b"a" * 8200 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 414 " in long.split(b"\r\n")[0], long[:200]


@pytest.mark.parametrize(
    "lines",
    [
        b"GET /health HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_malformed_requests_are_400_or_closed(server, lines):
    got = raw(server, lines)
    assert got == b"" or got.startswith(b"HTTP/1.1 400"), got[:200]
    assert httpx.get(f"{server.url}/health").status_code == 200


def test_headers_of_every_answer(client):
    for path in ("/good/greet", "/good/nope", "/health"):
        answer = client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"]
        assert answer.headers["x-request-id"]
        assert "server" not in answer.headers
    assert client.get("/good/greet", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert client.get("/good/greet", headers={"X-Request-ID": "a b"}).headers["x-request-id"] != "a b"
    answer = client.get("/good/greet")
    assert answer.headers["x-ratelimit-limit"] == "100000"
    assert int(answer.headers["x-ratelimit-remaining"]) < 100_000
    assert int(answer.headers["x-ratelimit-reset"]) > 1_700_000_000


def test_metrics_for_loopback_and_admins_only(server):
    with server.client("vic") as client:
        assert client.get("/good/read").status_code == 200
    answer = httpx.get(f"{server.url}/metrics")
    assert 'route="/good/read"' in answer.text
    assert "moorage_http_request_seconds_bucket" in answer.text
    rebound = {"Host": "evil.example"}
    assert httpx.get(f"{server.url}/metrics", headers=rebound).status_code == 401
    assert httpx.get(f"{server.url}/metrics", headers={"Host": "localhost:1"}).status_code == 200
    proxied = {"X-Forwarded-For": "9.9.9.9"}
    assert httpx.get(f"{server.url}/metrics", headers=proxied).status_code == 401
    with server.client("vic") as client:
        assert client.get("/metrics", headers=proxied).status_code == 403
    with server.client("root") as client:
        assert client.get("/metrics", headers=proxied).status_code == 200


# -- WebSockets ---------------------------------------------------------------------------------------------------


def ws(server, path, **headers):
    names = {k.replace("_", "-"): v for k, v in headers.items()}
    return websockets.connect(f"{server.ws_url}{path}", additional_headers=names, max_size=None)


async def refused(server, path, **headers) -> int:
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with ws(server, path, **headers):
            pass
    return caught.value.response.status_code


async def test_socket_refusals(server, cookie):
    assert await refused(server, "/good/echo") == 401
    assert await refused(server, "/good/nope", Cookie=cookie) == 404
    assert await refused(server, "/good/echo", Cookie=cookie, Origin="https://evil.example") == 403
    for headers, code in [({}, 4001), ({"Cookie": server.cookie("vic")}, 4003)]:
        async with ws(server, "/good/coded", **headers) as socket:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd.code == code


async def test_socket_echo_and_limits(server, cookie):
    async with ws(server, "/good/echo", Cookie=cookie, Origin=server.url) as socket:
        for message in ("hi", "ü" * 1000, b"\x00\xff", ""):
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send("x" * 70_000)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1009


async def test_a_handler_that_raises_closes_1011_without_detail(server, cookie):
    async with ws(server, "/good/echo", Cookie=cookie) as socket:
        await socket.send("raise")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd.code == 1011
        assert "secret" not in closed.value.rcvd.reason


async def test_a_viewer_that_never_reads_costs_a_bounded_outbox(server, cookie):
    before = server.stderr.count("outbox full")
    async with ws(server, "/good/echo", Cookie=cookie) as deaf:
        deaf.transport.pause_reading()
        await deaf.send("flood")
        async with asyncio.timeout(WAIT):
            while server.stderr.count("outbox full") == before:
                await asyncio.sleep(0.02)
        line = json.loads([ln for ln in server.stderr.splitlines() if "outbox full" in ln][-1])
        assert line["pending"] <= 1 << 20
        async with ws(server, "/good/echo", Cookie=cookie) as other:
            await other.send("still here")
            assert await asyncio.wait_for(other.recv(), 5) == "still here"
        deaf.transport.abort()


# -- rights that end ----------------------------------------------------------------------------------------------


async def test_logout_closes_its_sockets_and_streams_at_once(server):
    mine, other = server.cookie("ann"), server.cookie("ann")
    async with (
        ws(server, "/good/echo", Cookie=mine) as socket,
        ws(server, "/good/echo", Cookie=other) as kept,
        httpx.AsyncClient(base_url=server.url, headers={"Cookie": mine}, timeout=WAIT) as client,
    ):
        async with client.stream("GET", "/good/download?chunks=2000&pause=0.01") as stream:
            reading = stream.aiter_bytes()
            await anext(reading)
            assert (await client.post("/api/auth/logout")).status_code == 200
            async with asyncio.timeout(5):
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd.code == 4001
                with pytest.raises(httpx.HTTPError):
                    async for _ in reading:
                        pass
        assert (await client.get("/good/read")).status_code == 401
        await kept.send("x")
        assert await kept.recv() == "x"


async def test_a_changed_role_reaches_open_sockets(server):
    server.add_user("zoe", role="operator")
    async with ws(server, "/good/echo", Cookie=server.cookie("zoe")) as socket:
        await socket.send("who")
        assert await socket.recv() == "operator"
        server.cli("users", "set-role", "zoe", "viewer")
        async with asyncio.timeout(WAIT):
            role = "operator"
            while role == "operator":
                await socket.send("who")
                role = await socket.recv()
                await asyncio.sleep(0.05)
        assert role == "viewer"
        server.cli("users", "disable", "zoe")
        async with asyncio.timeout(WAIT):
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd.code == 4001


def test_secrets_stay_out_of_the_log(server, key, cookie):
    httpx.get(f"{server.url}/good/read?token={key}", headers={"Authorization": f"Bearer {key}"})
    with httpx.Client(base_url=server.url) as client:
        client.post("/api/auth/login", json={"username": "ann", "password": "wrong " + PASSWORD})
    text = server.stderr
    for secret in (key, cookie.partition("=")[2], PASSWORD):
        assert secret not in text


def test_no_compression_on_sockets(server, cookie):
    """Hypercorn has no switch for it, see docs/adr/0006."""
    asked = (
        f"GET /good/echo HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    answer = raw(server, asked.encode())
    assert answer.startswith(b"HTTP/1.1 101"), answer[:100]
    assert b"permessage-deflate" not in answer


def test_a_request_whose_head_is_refused_ends_its_connection_however_its_body_came(server):
    head = b"POST /good/%%00 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    for size in (0, 7, 50_000):
        with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as sock:
            sock.sendall(head % size + b"x" * size)
            got = b""
            while chunk := sock.recv(65536):  # To the end; it times out where there is none.
                got += chunk
        assert got.startswith(b"HTTP/1.1 400 ")
        assert b"Malformed request target" in got
