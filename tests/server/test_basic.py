"""HTTP Basic with a token for a password: on routes that ask for it, and there under the rules of every credential."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from moorage.accounts import SYSTEM
from moorage.api import AUTHENTICATED, PUBLIC, Manifest, Plugin, Routes, current_actor, hookimpl, json_response
from moorage.testing.server import Server


class Vault(Plugin):
    """Routes that take a Basic, and some that do not."""

    manifest = Manifest(name="vault", version="1", summary="Says who asks")

    @hookimpl
    def moorage_routes(self) -> Routes:
        routes = Routes()

        async def who() -> object:
            return json_response({"user": current_actor().label, "method": current_actor().method.value})

        routes.http(("GET", "POST"), "/vault", access=AUTHENTICATED, basic=True)(who)
        routes.get("/open", access=PUBLIC, basic=True)(who)
        routes.get("/plain", access=AUTHENTICATED)(who)
        return routes


def basic(password: str, user: str = "anybody") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
async def server(moorage_server: Callable[..., Server]) -> AsyncIterator[Server]:
    async with moorage_server(Vault) as server:
        yield server


@pytest.fixture
async def session(server: Server) -> str:
    """The token of a login."""
    with server.app.db.activate():
        await server.app.accounts.create_user("ann", password="correct horse battery", by=SYSTEM)
    login = {"username": "ann", "password": "correct horse battery"}
    return (await server.anonymous.post("/api/auth/login", json=login)).json()["token"]


@pytest.fixture
async def key(server: Server) -> str:
    """An API key."""
    return (await server.as_user()).headers["Authorization"].removeprefix("Bearer ")


async def test_a_token_is_taken_as_the_password(server: Server, session: str, key: str) -> None:
    for token in (session, key):
        for user in ("opencode", "", "a b", "ä"):
            answer = await server.anonymous.get("/vault", headers=basic(token, user))
            assert answer.status_code == 200, answer.text
            assert answer.json()["user"].startswith("user_")
    any_case = {"Authorization": basic(key)["Authorization"].replace("Basic", "bAsIc")}
    assert (await server.anonymous.get("/vault", headers=any_case)).status_code == 200


async def test_other_routes_do_not_take_it(server: Server, key: str) -> None:
    answer = await server.anonymous.get("/plain", headers=basic(key))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (await server.anonymous.get("/api/me", headers=basic(key))).status_code == 401


async def test_malformed_ones_are_refused(server: Server) -> None:
    for header in ("Basic", "Basic %%%", "Basic YQ==", "Basic YTo=", "Basic /w==", "Basic " + "A" * 4000, "Digest x"):
        answer = await server.anonymous.get("/vault", headers={"Authorization": header})
        assert answer.status_code == 401, header
        assert (await server.anonymous.get("/open", headers={"Authorization": header})).json()["user"] == "anonymous"


async def test_programs_are_told_and_browsers_are_not(server: Server) -> None:
    program = await server.anonymous.get("/vault")
    assert program.status_code == 401
    assert 'Basic realm="Moorage"' in program.headers["www-authenticate"]
    wrong = await server.anonymous.get("/vault", headers=basic("mcp_00000000_" + "x" * 32))
    assert (wrong.status_code, "Basic" in wrong.headers["www-authenticate"]) == (401, True)
    for browser in ({"Sec-Fetch-Site": "same-origin"}, {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}):
        answer = await server.anonymous.get("/vault", headers=browser)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_pages_of_other_sites_cannot_use_what_a_browser_remembers(server: Server, key: str) -> None:
    for caused in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await server.anonymous.post("/vault", headers={**basic(key), **caused})
        assert answer.status_code == 403, answer.text
    assert (await server.anonymous.post("/vault", headers=basic(key))).status_code == 200
    own = {**basic(key), "Origin": server.url}
    assert (await server.anonymous.post("/vault", headers=own)).status_code == 200


async def test_wrong_passwords_count_as_wrong_tokens_do(moorage_server: Callable[..., Server]) -> None:
    limits = {"enabled": True, "general": "5/minute", "authentication": "5/minute"}
    async with moorage_server(Vault, config={"limits": limits}) as server:
        wrong = [await _vault(server, f"mcp_00000000_{n}{'x' * 30}") for n in range(8)]
        assert [answer.status_code for answer in wrong] == [401] * 5 + [429] * 3
        assert server.app.limiter.may_prove("127.0.0.1") > 0


async def _vault(server: Server, password: str) -> httpx.Response:
    return await server.anonymous.get("/vault", headers=basic(password))


async def test_it_ends_with_the_session(server: Server, session: str) -> None:
    assert (await _vault(server, session)).status_code == 200
    await server.anonymous.post("/api/auth/logout", headers={"Authorization": f"Bearer {session}"})
    assert (await _vault(server, session)).status_code == 401
