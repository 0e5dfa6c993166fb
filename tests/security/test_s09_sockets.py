"""S9: a WebSocket is opened by no page of another site; who asks and from where is looked at before it is accepted.

Both engines and the refusals' codes: tests/server/test_gate.py. Sockets that end with their session: S3, S4.
"""

import pytest
import websockets
from fakedist import probe
from harness import running

LISTED = "https://app.example"
EVIL = [
    "https://evil.example",
    "null",
    "file://",
    "http://app.example",
    "https://app.example.evil.example",
    "https://evilapp.example",
    "https://app.example:8443",
    "https://app.example/",
    "https://app.example, https://evil.example",
    "OWN.evil.example",
    "OWN0",
    "OWN/",
    "https://OWNHOST",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    probe(site, "good")
    config = {
        "server": {"trusted_origins": [LISTED]},
        "limits": {"enabled": False},
        "accounts": {"argon2_memory_kib": 64, "argon2_time": 1},
        "plugins": {"good": {"enabled": True}},
    }
    with running(tmp_path_factory.mktemp("s09"), config, env={"PYTHONPATH": str(site)}) as server:
        server.add_user("ann")
        server.add_user("vic", role="viewer")
        yield server


@pytest.fixture(scope="module")
def cookie(server):
    return server.cookie("ann")


def connect(server, path="/good/echo", **headers):
    own = server.url
    host = own.partition("//")[2]
    texts = {key.replace("_", "-"): text.replace("OWNHOST", host).replace("OWN", own) for key, text in headers.items()}
    return websockets.connect(f"{server.ws_url}{path}", additional_headers=texts)


async def refused(server, path="/good/echo", **headers):
    """The status of a handshake that is not accepted."""
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with connect(server, path, **headers):
            pass
    return caught.value.response.status_code


@pytest.mark.parametrize("origin", EVIL)
async def test_a_page_of_another_site_opens_nothing(server, cookie, origin):
    for path in ("/good/echo", "/good/coded"):
        assert await refused(server, path, Cookie=cookie, Origin=origin) == 403


@pytest.mark.parametrize("origin", ["OWN", LISTED, LISTED.upper(), None])
async def test_our_own_pages_listed_ones_and_programs_do(server, cookie, origin):
    headers = {"Cookie": cookie} | ({"Origin": origin} if origin else {})
    async with connect(server, **headers) as socket:
        await socket.send("who")
        assert await socket.recv() == "operator"


async def test_the_origin_counts_for_tokens_too(server):
    """A page that got hold of a token is still a page of another site."""
    bearer = {"Authorization": f"Bearer {server.key('ann')}"}
    assert await refused(server, Origin=EVIL[0], **bearer) == 403
    async with connect(server, **bearer) as socket:
        await socket.send("who")
        assert await socket.recv() == "operator"


async def test_nobody_is_refused_before_anything_is_accepted(server):
    assert await refused(server) == 401
    assert await refused(server, Cookie="moorage_session=mses_" + "A" * 43) == 401
    assert await refused(server, Authorization="Bearer mcp_00000000_nonsense") == 401
    assert await refused(server, Origin=EVIL[0]) in (401, 403)


async def test_where_a_client_wants_close_codes_it_is_told_by_them_and_nothing_else_is_sent(server):
    for headers, code in (({}, 4001), ({"Cookie": server.cookie("vic")}, 4003)):
        async with connect(server, "/good/coded", **headers) as socket:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd.code == code


async def test_a_token_in_the_query_opens_nothing(server):
    key = server.key("ann")
    for name in ("token", "access_token", "api_key", "key"):
        assert await refused(server, f"/good/echo?{name}={key}") == 401
