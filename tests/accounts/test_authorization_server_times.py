"""How long codes, tokens and registrations last, over a real database with a clock that is turned."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from datetime import timedelta

import pytest
from moorage.accounts import ClientInfo
from moorage.accounts.authorization import Kind, PageRefused, Resource
from moorage.accounts.authorization.clients import FORGOTTEN, MAX_UNUSED
from moorage.accounts.grants import Grant, GrantRefused
from moorage.accounts.models import OAuthClient, OAuthCode, Session
from moorage.errors import TooManyRequests, Unavailable

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)
HERE = "https://moorage.example"
PLACE = Resource(f"{HERE}/desk", ("tmux:session:read", "tmux:session:write"), "tmux")
PROGRAM = ClientInfo("198.51.100.7", "program/1")
VERIFIER = "v" * 43
CALLBACK = "https://app.example/cb"
DAY = 86400


@pytest.fixture
async def ready(desk):
    with desk.db.activate():
        await desk.user()
        yield desk


def find(uri: str) -> Resource | None:
    return PLACE if uri == PLACE.uri else None


async def registered(desk, address: str = PROGRAM.address, **more):
    data = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "client_name": "App", **more}
    return (await desk.accounts.authorization.register(data, ClientInfo(address))).client


async def asked(desk, client):
    challenge = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": CALLBACK,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "resource": PLACE.uri,
    }
    return await desk.accounts.authorization.check(list(query.items()), find, HERE)


async def allowed(desk, client=None) -> tuple[str, object]:
    client = client or await registered(desk)
    url = await desk.accounts.authorization.approve(await asked(desk, client), await desk.actor())
    return url.partition("code=")[2].partition("&")[0], client


async def redeemed(desk, code, client) -> Grant:
    return await desk.accounts.authorization.redeem(code, client, CALLBACK, VERIFIER, PLACE.uri, PROGRAM)


async def refused(awaitable) -> str:
    with pytest.raises(GrantRefused) as caught:
        await awaitable
    return caught.value.error_code


@BOTH
async def test_a_code_is_good_for_a_minute_and_its_login_is_bound(ready):
    code, client = await allowed(ready)
    late, _ = await allowed(ready, client)
    ready.clock.turn(59)
    grant = await redeemed(ready, code, client)
    actor = await ready.accounts.authenticate(grant.access_token)
    assert actor.credential.resource == PLACE.uri
    assert actor.credential.scopes == {"tmux:session:read", "tmux:session:write"}
    ready.clock.turn(1)
    assert await refused(redeemed(ready, late, client)) == "invalid_grant"
    row = await OAuthCode.all().order_by("id").first()
    assert code not in str(dict(row))
    assert await refused(redeemed(ready, code, client)) == "invalid_grant"
    assert await ready.accounts.authenticate(grant.access_token) is None


async def test_an_access_token_ends_after_its_hour_however_much_it_is_used(make_desk):
    desk = await make_desk(session_cache_seconds=0)
    with desk.db.activate():
        await desk.user()
        code, client = await allowed(desk)
        grant = await redeemed(desk, code, client)
        assert grant.expires_in == 3600
        for _ in range(3):
            desk.clock.turn(1190)
            assert await desk.accounts.authenticate(grant.access_token) is not None
        desk.clock.turn(30)
        assert await desk.accounts.authenticate(grant.access_token) is None
        fresh = await desk.accounts.authorization.refresh(grant.refresh_token, client, client.id, None, PLACE.uri)
        assert await desk.accounts.authenticate(fresh.access_token) is not None


async def test_without_refresh_tokens_the_login_ends_with_its_token(ready):
    code, client = await allowed(ready, await registered(ready, grant_types=["authorization_code"]))
    grant = await redeemed(ready, code, client)
    assert grant.refresh_token is None
    ready.clock.turn(3601)
    assert [one for one in await ready.accounts.list_sessions(1) if one.resource] == []


async def test_a_token_is_no_source_of_others(ready):
    code, client = await allowed(ready)
    actor = (await redeemed(ready, code, client)).actor
    with pytest.raises(Exception, match="log in first"):
        await ready.accounts.tokens.issue(actor)
    with pytest.raises(Exception, match="Sign in"):
        await ready.accounts.authorization.approve(await asked(ready, client), actor)


async def test_a_registration_that_nobody_uses_goes_after_a_day(ready):
    unused, used = await registered(ready), await registered(ready)
    code, _ = await allowed(ready, used)
    await redeemed(ready, code, used)
    ready.clock.turn(DAY + 1)
    await ready.accounts.clean()
    assert [row.pid for row in await OAuthClient.all()] == [used.id]
    with pytest.raises(PageRefused):
        await asked(ready, unused)


async def test_a_registration_lasts_while_it_has_a_login_and_is_forgotten_then(ready):
    client = await registered(ready)
    await allowed(ready, client)
    ready.clock.turn(FORGOTTEN.total_seconds() + 1)
    code, _ = await allowed(ready, other := await registered(ready))
    await redeemed(ready, code, other)
    await Session.filter(client_id=other.id).update(client_id=client.id)
    await ready.accounts.clean()
    assert await OAuthClient.filter(pid=client.id).exists(), "something of it is signed in"
    await Session.filter(client_id=client.id).update(revoked_at=ready.clock() - timedelta(days=1))
    await ready.accounts.clean()
    assert not await OAuthClient.filter(pid=client.id).exists()
    assert await OAuthCode.all().count() == 1, "old codes went too"


async def test_a_network_has_so_many_registrations_in_an_hour(ready):
    for last in range(MAX_UNUSED):
        await registered(ready, f"2001:db8::{last + 1:x}")
    with pytest.raises(TooManyRequests):
        await registered(ready, "2001:db8:0:0:ffff::1")
    await registered(ready, "2001:db8:0:1::1")
    ready.clock.turn(3601)
    await registered(ready, "2001:db8::1")


async def test_a_full_table_makes_room_by_what_nobody_let_in(make_desk):
    desk = await make_desk(oauth={"max_clients": 10})
    with desk.db.activate():
        await desk.user()
        first = await registered(desk)
        await allowed(desk, first)
        others = [await registered(desk, f"198.51.100.{last}") for last in range(9)]
        with pytest.raises(Unavailable):
            await registered(desk, "203.0.113.1")
        desk.clock.turn(601)
        fresh = await registered(desk, "203.0.113.1")
        known = {row.pid for row in await OAuthClient.all()}
        assert known == {first.id, fresh.id, *(other.id for other in others[1:])}


async def test_nobody_fills_the_table_by_letting_all_of_them_in(make_desk):
    desk = await make_desk(oauth={"max_clients": 10})
    with desk.db.activate():
        await desk.user()
        used = [await registered(desk) for _ in range(10)]
        codes = [(await allowed(desk, one))[0] for one in used]
        await redeemed(desk, codes[0], used[0])
        with pytest.raises(Unavailable):
            await registered(desk, "203.0.113.1")
        desk.clock.turn(3601)
        fresh = await registered(desk, "203.0.113.1")
        known = {row.pid for row in await OAuthClient.all()}
        assert known == {used[0].id, fresh.id, *(one.id for one in used[2:])}, "one that has a login stays"


async def test_a_configured_client_is_found_before_any_other(make_desk):
    desk = await make_desk(oauth={"clients": {"app": {"redirect_uris": [CALLBACK]}}, "register_clients": False})
    with desk.db.activate():
        await desk.user()
        client = await desk.accounts.authorization.clients.find("app")
        assert (client.kind, client.name) == (Kind.CONFIGURED, "app")
        code, _ = await allowed(desk, client)
        assert (await redeemed(desk, code, client)).scope == "tmux:session:read tmux:session:write"
