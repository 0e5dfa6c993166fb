"""Device logins and their tokens, over a real database with a clock that is turned."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from moorage.access import Method
from moorage.accounts import SYSTEM, ClientInfo
from moorage.accounts.devices import ALPHABET
from moorage.accounts.grants import Grant, GrantRefused
from moorage.accounts.models import DeviceCode, RefreshToken, Session
from moorage.errors import Forbidden, TooManyRequests
from moorage.events import Topic
from moorage.observe.models import AuditEvent

DEVICE = ClientInfo("198.51.100.7", "cli/1")
HOME = "192.0.2.1"
BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
async def ready(desk):
    """The desk with a user and an active database."""
    with desk.db.activate():
        await desk.user()
        yield desk


async def refused(awaitable) -> str:
    with pytest.raises(GrantRefused) as caught:
        await awaitable
    return caught.value.error_code


async def begun(desk, scope="", client=DEVICE):
    return await desk.accounts.devices.begin("cli", scope, client)


async def approved(desk, scope=""):
    start = await begun(desk, scope)
    await desk.accounts.devices.decide(start.user_code, approve=True, actor=await desk.actor(), address=HOME)
    return start


async def granted(desk, scope="") -> Grant:
    start = await approved(desk, scope)
    return await desk.accounts.devices.poll(start.device_code, "cli", DEVICE)


def poll(desk, start, client_id="cli"):
    return desk.accounts.devices.poll(start.device_code, client_id, DEVICE)


# -- codes ------------------------------------------------------------------------------------------------------


async def test_a_user_code_is_eight_consonants_shown_with_a_dash_and_nothing_is_stored_of_the_device_code(ready):
    start = await begun(ready)
    first, dash, second = start.user_code.partition("-")
    assert len(first) == len(second) == 4
    assert dash == "-"
    assert set(first + second) <= set(ALPHABET)
    row = await DeviceCode.get(user_code=first + second)
    assert start.device_code not in str(dict(row))
    assert start.device_code not in repr(start)
    assert (row.address, row.user_agent) == (DEVICE.address, DEVICE.user_agent)


async def test_a_user_code_is_known_in_any_case_and_with_any_marks(ready):
    start = await begun(ready)
    typed = start.user_code.lower().replace("-", " . ")
    info = await ready.accounts.devices.look(typed, await ready.actor(), HOME)
    assert (info.user_code, info.status, info.mine) == (start.user_code, "pending", True)


async def test_a_client_that_is_not_listed_gets_no_code_and_no_token(make_desk):
    desk = await make_desk(device={"clients": ["cli"]})
    with desk.db.activate():
        assert await refused(desk.accounts.devices.begin("other", "", DEVICE)) == "invalid_client"
        assert await refused(desk.accounts.devices.poll("mdev_x", "other", DEVICE)) == "invalid_client"
        assert await refused(desk.accounts.devices.refresh("mref_x", "other", None)) == "invalid_client"
        assert (await begun(desk)).interval == 5


@pytest.mark.parametrize("scope", ["admin", "tmux:nothing:read", "openid read", "x" * 500, "openid\u00e9"])
async def test_a_scope_that_names_nothing_is_refused(ready, scope):
    assert await refused(begun(ready, scope)) == "invalid_scope"


async def test_a_network_has_twenty_codes_waiting_at_once(ready):
    for last in range(20):
        await begun(ready, client=ClientInfo(f"2001:db8::{last + 1:x}"))
    with pytest.raises(TooManyRequests):
        await begun(ready, client=ClientInfo("2001:db8:0:0:ffff::1"))
    await begun(ready, client=ClientInfo("2001:db8:0:1::1"))
    ready.clock.turn(1801)
    await begun(ready, client=ClientInfo("2001:db8::1"))


async def test_addresses_that_begin_alike_do_not_share_their_codes(ready):
    for _ in range(20):
        await begun(ready, client=ClientInfo("192.0.2.10"))
    await begun(ready, client=ClientInfo("192.0.2.1"))
    with pytest.raises(TooManyRequests):
        await begun(ready, client=ClientInfo("192.0.2.10"))


# -- polling ----------------------------------------------------------------------------------------------------


async def test_a_device_waits_is_approved_and_has_its_tokens_once(ready):
    start = await begun(ready)
    assert await refused(poll(ready, start)) == "authorization_pending"
    await ready.accounts.devices.decide(start.user_code, approve=True, actor=await ready.actor(), address=HOME)
    assert await refused(poll(ready, start)) == "slow_down"
    ready.clock.turn(4.8)
    grant = await poll(ready, start)
    assert grant.access_token.startswith("mses_")
    assert grant.refresh_token.startswith("mref_")
    assert grant.access_token not in repr(grant)
    assert (grant.expires_in, grant.scope) == (604800, "")
    actor = await ready.accounts.authenticate(grant.access_token)
    assert actor is not None
    assert (actor.method, actor.user.username, actor.credential.scopes) == (Method.BEARER, "ann", None)
    ready.clock.turn(10)
    assert await refused(poll(ready, start)) == "invalid_grant"
    session = await Session.get(id=actor.credential.id)
    assert (session.kind, session.client_id, session.address) == ("bearer", "cli", DEVICE.address)


async def test_a_denied_device_is_told_once(ready):
    start = await begun(ready)
    await ready.accounts.devices.decide(start.user_code, approve=False, actor=await ready.actor(), address=HOME)
    assert await refused(poll(ready, start)) == "access_denied"
    ready.clock.turn(10)
    assert await refused(poll(ready, start)) == "invalid_grant"


async def test_an_early_poll_does_not_move_the_clock_and_three_make_the_pause_longer(ready):
    start = await begun(ready)
    assert await refused(poll(ready, start)) == "authorization_pending"
    for _ in range(2):
        ready.clock.turn(2)
        assert await refused(poll(ready, start)) == "slow_down"
    ready.clock.turn(0.8)
    assert await refused(poll(ready, start)) == "authorization_pending"
    ready.clock.turn(1)
    assert await refused(poll(ready, start)) == "slow_down"
    ready.clock.turn(5)
    assert await refused(poll(ready, start)) == "slow_down"
    ready.clock.turn(4)
    assert await refused(poll(ready, start)) == "authorization_pending"


async def test_the_pause_never_becomes_longer_than_a_minute(ready):
    start = await begun(ready)
    assert await refused(poll(ready, start)) == "authorization_pending"
    for _ in range(60):
        assert await refused(poll(ready, start)) == "slow_down"
    assert (await DeviceCode.get()).interval == 60


async def test_a_code_that_expired_says_so_before_anything_else(ready):
    start = await approved(ready)
    ready.clock.turn(1800)
    assert await refused(poll(ready, start)) == "expired_token"
    assert await refused(poll(ready, start)) == "invalid_grant"
    late = await begun(ready)
    ready.clock.turn(1800)
    actor = await ready.actor()
    assert await refused(ready.accounts.devices.look(late.user_code, actor, HOME)) == "expired_token"
    decided = ready.accounts.devices.decide(late.user_code, approve=True, actor=actor, address=HOME)
    assert await refused(decided) == "expired_token"
    ready.clock.turn(601)
    await ready.accounts.clean()
    assert await DeviceCode.all().count() == 0


async def test_a_code_of_another_client_is_refused_and_stays(ready):
    start = await approved(ready)
    assert await refused(poll(ready, start, "other")) == "invalid_grant"
    assert (await poll(ready, start)).access_token


@BOTH
async def test_twenty_polls_at_once_have_one_winner(ready):
    start = await approved(ready)
    answers = await asyncio.gather(*(poll(ready, start) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(answer, Grant) for answer in answers) == 1
    assert {a.error_code for a in answers if not isinstance(a, Grant)} <= {"invalid_grant", "slow_down"}
    assert await Session.filter(kind="bearer").count() == 1


@BOTH
async def test_a_user_who_was_disabled_since_lets_nobody_in(ready):
    start = await approved(ready)
    user = await ready.accounts.find_user("ann")
    await ready.accounts.set_active(user.id, False, by=SYSTEM)
    assert await refused(poll(ready, start)) == "access_denied"
    assert await Session.filter(kind="bearer").count() == 0


async def test_an_approval_that_was_not_fetched_ends_with_the_other_sessions(ready):
    start = await approved(ready)
    await ready.accounts.revoke_all((await ready.accounts.find_user("ann")).id)
    assert await refused(poll(ready, start)) == "access_denied"


# -- deciding ---------------------------------------------------------------------------------------------------


async def test_who_looks_first_has_claimed_a_code(ready):
    await ready.user("bob")
    start = await begun(ready)
    ann, bob = await ready.actor(), await ready.actor("bob")
    assert (await ready.accounts.devices.look(start.user_code, ann, HOME)).mine
    assert not (await ready.accounts.devices.look(start.user_code, bob, HOME)).mine
    with pytest.raises(Forbidden):
        await ready.accounts.devices.decide(start.user_code, approve=True, actor=bob, address=HOME)
    await ready.accounts.devices.decide(start.user_code, approve=True, actor=ann, address=HOME)
    assert (await poll(ready, start)).actor.user.username == "ann"


async def test_a_decision_is_final(ready):
    start, actor = await begun(ready), await ready.actor()
    for approve in (False, True):
        decided = ready.accounts.devices.decide(start.user_code, approve=approve, actor=actor, address=HOME)
        if approve:
            assert await refused(decided) == "invalid_request"
        else:
            await decided
    assert await refused(poll(ready, start)) == "access_denied"


async def test_only_the_login_of_a_person_decides(ready):
    start = await begun(ready)
    user = await ready.accounts.find_user("ann")
    _, secret = await ready.accounts.create_key(user.id, "key", by=await ready.actor())
    by_key = await ready.accounts.authenticate(secret)
    by_device = (await granted(ready)).actor
    restricted = await ready.actor()
    restricted = replace(restricted, credential=replace(restricted.credential, scopes=frozenset({"core:*"})))
    for actor in (by_key, by_device, restricted):
        assert not (await ready.accounts.devices.look(start.user_code, actor, HOME)).mine
        with pytest.raises(Forbidden):
            await ready.accounts.devices.decide(start.user_code, approve=True, actor=actor, address=HOME)


async def test_five_wrong_codes_are_all_that_a_user_has_in_ten_minutes(ready):
    start, actor = await begun(ready), await ready.actor()
    for number in range(5):
        looked = ready.accounts.devices.look("BBBB-BBBB", actor, f"203.0.113.{number}")
        assert await refused(looked) == "invalid_request"
    with pytest.raises(TooManyRequests) as caught:
        await ready.accounts.devices.look(start.user_code, actor, HOME)
    assert 0 < caught.value.retry_after <= 600
    ready.clock.turn(601)
    assert (await ready.accounts.devices.look(start.user_code, actor, HOME)).mine


@BOTH
async def test_wrong_codes_sent_together_are_all_counted(ready):
    guesses = (ready.accounts.devices.look("BBBB-BBBB", await ready.actor(), HOME) for _ in range(8))
    await asyncio.gather(*[guess async for guess in guesses], return_exceptions=True)
    await ready.user("bob")
    with pytest.raises(TooManyRequests):
        await ready.accounts.devices.look("BBBB-BBBB", await ready.actor("bob"), HOME)


async def test_the_audit_log_says_who_let_what_in(ready):
    await granted(ready, "openid core:key:read")
    events = {row.action: row.data async for row in AuditEvent.all()}
    assert events["device.approved"]["client_id"] == "cli"
    assert events["device.approved"]["scope"] == "openid core:key:read"
    assert events["device.approved"]["address"] == DEVICE.address
    assert events["login.succeeded"]["by"] == "device"


# -- tokens -----------------------------------------------------------------------------------------------------


async def test_scopes_cut_a_token_down_but_the_words_of_openid_do_not(ready):
    actor = (await granted(ready, "openid profile core:key:read")).actor
    assert actor.credential.scopes == frozenset({"core:key:read"})
    assert ready.access.holds(actor, "core:key:read")
    assert not ready.access.holds(actor, "core:key:create")
    assert not ready.access.holds(actor, "core:key:read:any")
    free = (await granted(ready, "openid profile email offline_access")).actor
    assert free.credential.scopes is None


async def test_a_refresh_gives_new_tokens_and_takes_the_old_ones(ready):
    first = await granted(ready, "openid core:key:read")
    assert await ready.accounts.authenticate(first.access_token)
    second = await ready.accounts.devices.refresh(first.refresh_token, "cli", None)
    assert ready.accounts.cached(first.access_token) is None
    assert await ready.accounts.authenticate(first.access_token) is None
    actor = await ready.accounts.authenticate(second.access_token)
    assert actor.credential.id == first.actor.credential.id
    assert actor.credential.scopes == frozenset({"core:key:read"})
    assert second.scope == "openid core:key:read"
    # The session goes on, and so does what is open under it.
    assert Topic.CREDENTIAL_REVOKED not in [topic for topic, _ in ready.events]


async def test_a_refresh_token_that_comes_back_ends_the_login(ready):
    first = await granted(ready)
    second = await ready.accounts.devices.refresh(first.refresh_token, "cli", None)
    assert await refused(ready.accounts.devices.refresh(first.refresh_token, "cli", None)) == "invalid_grant"
    assert await ready.accounts.authenticate(second.access_token) is None
    assert await refused(ready.accounts.devices.refresh(second.refresh_token, "cli", None)) == "invalid_grant"
    assert "token.reuse_detected" in [action for action, _ in await ready.audit()]


@BOTH
async def test_refreshes_at_once_with_one_token_have_one_winner(ready):
    token = (await granted(ready)).refresh_token
    together = (ready.accounts.devices.refresh(token, "cli", None) for _ in range(10))
    answers = await asyncio.gather(*together, return_exceptions=True)
    assert sum(isinstance(answer, Grant) for answer in answers) == 1
    assert await Session.filter(kind="bearer", revoked_at__isnull=True).count() == 0


async def test_a_refresh_token_of_another_client_changes_nothing(ready):
    grant = await granted(ready)
    assert await refused(ready.accounts.devices.refresh(grant.refresh_token, "other", None)) == "invalid_grant"
    assert await refused(ready.accounts.devices.refresh("mref_unknown", "cli", None)) == "invalid_grant"
    assert await refused(ready.accounts.devices.refresh(grant.refresh_token, "cli", "core:key:read")) == "invalid_scope"
    assert (await ready.accounts.devices.refresh(grant.refresh_token, "cli", None)).access_token


async def test_a_token_that_is_used_goes_on_up_to_the_end_of_its_login(ready):
    grant = await granted(ready)
    for _ in range(29):
        ready.clock.turn(86400)
        assert await ready.accounts.authenticate(grant.access_token)
        await ready.accounts.sweep()
    ready.clock.turn(86400)
    assert await ready.accounts.authenticate(grant.access_token) is None
    assert await refused(ready.accounts.devices.refresh(grant.refresh_token, "cli", None)) == "invalid_grant"


async def test_a_token_is_not_written_down_with_each_use(ready):
    grant = await granted(ready)
    ready.clock.turn(86400 + 1)
    assert await ready.accounts.authenticate(grant.access_token)
    ends = (await Session.get(kind="bearer")).token_expires_at
    ready.clock.turn(3600)
    assert await ready.accounts.authenticate(grant.access_token)
    assert (await Session.get(kind="bearer")).token_expires_at == ends


async def test_a_token_that_is_not_used_ends_and_a_refresh_gives_another(make_desk):
    desk = await make_desk(device={"token_seconds": 3600})
    with desk.db.activate():
        await desk.user()
        grant = await granted(desk)
        desk.clock.turn(3601)
        assert await desk.accounts.authenticate(grant.access_token) is None
        fresh = await desk.accounts.devices.refresh(grant.refresh_token, "cli", None)
        assert await desk.accounts.authenticate(fresh.access_token)


async def test_a_login_that_rests_for_a_week_is_over_for_its_refresh_token_too(ready):
    grant = await granted(ready)
    ready.clock.turn(7 * 86400)
    assert await refused(ready.accounts.devices.refresh(grant.refresh_token, "cli", None)) == "invalid_grant"


async def test_either_token_ends_the_login_when_its_client_gives_it_back(ready):
    for kind in ("access_token", "refresh_token"):
        grant = await granted(ready)
        assert await refused(ready.accounts.grants.revoke(getattr(grant, kind), "other")) == "invalid_grant"
        await ready.accounts.grants.revoke(getattr(grant, kind), None)
        assert await ready.accounts.authenticate(grant.access_token) is None
        await ready.accounts.grants.revoke(getattr(grant, kind), "cli")
    login = await ready.login()
    await ready.accounts.grants.revoke(login.token, None)
    assert await ready.accounts.authenticate(login.token)


async def test_used_refresh_tokens_are_not_kept_without_end(ready):
    grant = await granted(ready)
    for _ in range(105):
        grant = await ready.accounts.devices.refresh(grant.refresh_token, "cli", None)
    assert await RefreshToken.all().count() == 100
