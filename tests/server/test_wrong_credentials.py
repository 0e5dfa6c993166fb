"""Credentials that do not hold cost the database no more than the rate limit allows."""

import pytest
from moorage.accounts import Accounts

TOKEN = "mcp_00000000_" + "x" * 32


@pytest.fixture
async def server(moorage_server):
    limits = {"enabled": True, "general": "20/minute", "authentication": "20/minute"}
    async with moorage_server(config={"limits": limits}) as server:
        yield server


@pytest.fixture
def looked_up(monkeypatch):
    tokens = []
    before = Accounts.authenticate

    async def authenticate(self, token):
        tokens.append(token)
        return await before(self, token)

    monkeypatch.setattr(Accounts, "authenticate", authenticate)
    return tokens


def bearer(number):
    return {"Authorization": f"Bearer {TOKEN}{number}"}


async def test_wrong_tokens_are_limited_like_other_requests(server, looked_up):
    answers = [await server.anonymous.get("/api/auth/check", headers=bearer(n)) for n in range(30)]
    assert [answer.status_code for answer in answers] == [401] * 20 + [429] * 10
    assert answers[0].headers["x-ratelimit-remaining"] == "19"
    assert answers[-1].headers["retry-after"]
    assert len(looked_up) == 20


@pytest.mark.parametrize("shown", [bearer, lambda n: {"Cookie": f"moorage_session=mses_{n}{'x' * 40}"}])
async def test_routes_without_a_limit_look_up_no_more(server, looked_up, shown):
    answers = [await server.anonymous.get("/health", headers=shown(n)) for n in range(30)]
    assert {answer.status_code for answer in answers} == {200}
    assert len(looked_up) == 20
    assert "set-cookie" not in answers[-1].headers, "what was not looked up may be right"


async def test_right_ones_are_not_hurt_by_their_own_number(server, looked_up):
    user = await server.as_user()
    answers = [await user.get("/health") for _ in range(30)]
    assert {answer.status_code for answer in answers} == {200}
    assert server.app.limiter.may_prove("127.0.0.1") == 0
