"""S3: what ends a right ends requests, sockets, streams and JWTs with it, within a second."""

import asyncio
import json
import time

import httpx
import pytest
import websockets
from fakedist import probe
from harness import running
from waits import WAIT

PASSWORD = "correct horse battery"
SECOND = 1.0
CONFIG = {
    "limits": {"general": "100000/minute", "authentication": "100000/minute"},
    "accounts": {"argon2_memory_kib": 256, "argon2_time": 1},
    "plugins": {"good": {"enabled": True}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    probe(site, "good")
    with running(tmp_path_factory.mktemp("server"), CONFIG, env={"PYTHONPATH": str(site)}) as server:
        server.add_user("root", role="owner")
        yield server


@pytest.fixture
def user(server, request):
    """A fresh operator."""
    name = f"u{abs(hash(request.node.name)) % 10**10}"
    server.add_user(name)
    return name


class Held:
    """Everything that a user can have open: a cookie, a JWT, a key, a socket and a stream by each."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        with server.client() as client:
            login = client.post("/api/auth/login", json={"username": name, "password": PASSWORD})
            self.cookie = {"Cookie": f"moorage_session={client.cookies['moorage_session']}"}
            self.jwt = {"Authorization": f"Bearer {login.json()['token']}"}
            self.pid = login.json()["user"]["id"]
        self.key = {"Authorization": f"Bearer {server.key(name)}"}
        self.ways = {"cookie": self.cookie, "jwt": self.jwt, "key": self.key}

    async def __aenter__(self):
        self.sockets = {
            way: await websockets.connect(f"{self.server.ws_url}/good/echo", additional_headers=headers)
            for way, headers in self.ways.items()
        }
        self.client = httpx.AsyncClient(base_url=self.server.url, timeout=WAIT)
        self.streams = {}
        for way, headers in self.ways.items():
            asked = self.client.build_request("GET", "/good/download?chunks=1000&pause=0.05", headers=headers)
            answer = await self.client.send(asked, stream=True)
            assert answer.status_code == 200
            self.streams[way] = asyncio.create_task(self._drain(answer))
        for socket in self.sockets.values():
            await socket.send("who")
            assert await socket.recv() == "operator"
        return self

    async def __aexit__(self, *error):
        for stream in self.streams.values():
            stream.cancel()
        await asyncio.gather(*self.streams.values(), return_exceptions=True)
        for socket in self.sockets.values():
            await socket.close()
        await self.client.aclose()

    async def _drain(self, answer):
        try:
            async for _ in answer.aiter_raw():
                pass
        except httpx.RemoteProtocolError:
            pass

    async def statuses(self, path="/good/read"):
        return {way: (await self.client.get(path, headers=h)).status_code for way, h in self.ways.items()}

    async def busy(self):
        """Seconds that a machine which has other things to do may add: requests take a few milliseconds else."""
        began = time.monotonic()
        await self.client.get("/health")
        return 10 * (time.monotonic() - began)

    async def ends_within(self, seconds, since, ways=("cookie", "jwt", "key"), code=4001):
        """Sockets close with the code and streams break off; requests say 401 (403 for 4003)."""
        for way in ways:
            socket = self.sockets[way]
            async with asyncio.timeout(seconds + 3):
                await socket.wait_closed()
            assert socket.close_code == code, way
            await asyncio.wait_for(asyncio.shield(self.streams[way]), seconds + 3)
        assert time.monotonic() - since <= seconds + 0.5 + await self.busy(), (
            "half a second for this test's own polling"
        )
        refused = 401 if code == 4001 else 403
        found = await self.statuses()
        assert {way: found[way] for way in ways} == dict.fromkeys(ways, refused)


@pytest.fixture
async def root(server):
    with server.client("root") as client:
        yield client


async def asked(socket):
    """The role that a socket's handler sees at this moment."""
    await socket.send("who")
    return await socket.recv()


async def act(work):
    """Do it in a thread, so that sockets are read meanwhile; when it was done."""
    await asyncio.to_thread(work)
    return time.monotonic()


async def test_logout(server, user):
    async with Held(server, user) as held:
        answer = await held.client.post("/api/auth/logout", headers=held.cookie)
        assert answer.status_code == 200
        await held.ends_within(SECOND, time.monotonic(), ("cookie", "jwt"))
        assert (await held.statuses())["key"] == 200, "a key is not logged out"


async def test_a_new_password(server, user):
    async with Held(server, user) as held:
        body = {"current_password": PASSWORD, "new_password": "another battery staple"}
        answer = await held.client.post("/api/core/password", headers=held.cookie, json=body)
        assert answer.status_code == 200
        await held.ends_within(SECOND, time.monotonic(), ("cookie", "jwt"))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/admin/users/{pid}/deactivate", None),
        ("DELETE", "/api/admin/users/{pid}", None),
        ("DELETE", "/api/users/{pid}", None),
        ("PUT", "/api/v1/users/{id}", {"is_active": False}),
        ("PATCH", "/admin/users/{id}", {"status": "disabled"}),
    ],
)
async def test_disabled_or_deleted_by_an_administrator(server, user, root, method, path, body):
    async with Held(server, user) as held:
        number = (await held.client.get("/auth/me", headers=held.cookie)).json()["user"]["id"]
        url = path.format(pid=held.pid, id=number)
        since = await act(lambda: root.request(method, url, json=body).raise_for_status())
        await held.ends_within(SECOND, since)


async def test_disabled_at_the_command_line(server, user):
    async with Held(server, user) as held:
        since = await act(lambda: server.cli("users", "disable", user))
        await held.ends_within(SECOND, since)


async def test_another_role(server, user, root):
    async with Held(server, user) as held:
        since = await act(lambda: root.patch(f"/api/users/{held.pid}/role", json={"role": "viewer"}).raise_for_status())
        for way, socket in held.sockets.items():
            while await asked(socket) != "viewer":
                assert time.monotonic() - since <= SECOND + await held.busy(), way
        assert set((await held.statuses()).values()) == {200}, "viewers may read"
        told = await held.client.get("/good/read", headers=held.jwt)
        assert told.json()["role"] == "viewer", "whatever the token says"
        answer = await held.client.post("/good/write", headers=held.jwt, content=json.dumps({}))
        assert answer.status_code == 403


async def test_a_session_ended_from_another(server, user):
    async with Held(server, user) as held:
        with server.client(user) as other:
            of_held = (await held.client.get("/api/me", headers=held.cookie)).json()["session"]["id"]
            since = await act(lambda: other.delete(f"/api/core/sessions/{of_held}").raise_for_status())
            await held.ends_within(SECOND, since, ("cookie", "jwt"))


async def test_a_revoked_key(server, user):
    async with Held(server, user) as held:
        keys = (await held.client.get("/api/v1/api-keys", headers=held.cookie)).json()["data"]["api_keys"]
        answer = await held.client.delete(f"/api/v1/api-keys/{keys[0]['id']}", headers=held.cookie)
        assert answer.status_code == 204
        await held.ends_within(SECOND, time.monotonic(), ("key",))
        assert (await held.statuses())["cookie"] == 200
