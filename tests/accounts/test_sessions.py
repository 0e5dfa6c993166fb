"""Credentials at work: proven once, remembered shortly, forgotten at once when they hold no more."""

import asyncio
import time
from dataclasses import replace

import pytest
from moorage.access import ANONYMOUS, Method
from moorage.accounts import SYSTEM, ClientInfo
from moorage.accounts.actors import BEARER
from moorage.accounts.cache import CredentialCache
from moorage.accounts.models import ApiKey, AuthAttempt, Session, User
from moorage.errors import Unauthorized
from moorage.events import Topic
from waits import WAIT

DAY = 86400


async def test_a_proven_token_is_remembered_for_a_moment(desk):
    with desk.db.activate():
        await desk.user()
        login = await desk.login()
        assert desk.accounts.cached(login.token) is None
        assert await desk.accounts.authenticate(login.token) == login.actor
        assert desk.accounts.cached(login.token) == login.actor
        assert desk.accounts.cached(login.token + "x") is None


async def test_zero_seconds_remember_nothing(make_desk):
    desk = await make_desk(session_cache_seconds=0)
    with desk.db.activate():
        await desk.user()
        login = await desk.login()
        assert await desk.accounts.authenticate(login.token)
        assert desk.accounts.cached(login.token) is None


@pytest.mark.parametrize(
    "token", ["", "x", "mses_", "mses_" + "A" * 43, "mcp_0a1b2c3d_" + "A" * 32, "mcp_", "mses_\ud800", "a" * 100_000]
)
async def test_what_is_no_token_is_nobody(desk, token):
    with desk.db.activate():
        assert desk.accounts.cached(token) is None
        assert await desk.accounts.authenticate(token) is None


async def test_the_hash_at_rest_is_no_token(desk):
    with desk.db.activate():
        await desk.user()
        await desk.login()
        row = await Session.get()
        assert await desk.accounts.authenticate(row.token_hash) is None
        assert await desk.accounts.authenticate("mses_" + row.token_hash) is None


async def change_password(desk, user_id, login):
    await desk.accounts.set_password(user_id, "another battery", by=SYSTEM)


async def disable(desk, user_id, login):
    await desk.accounts.set_active(user_id, False, by=SYSTEM)


async def log_out(desk, user_id, login):
    await desk.accounts.logout(login.actor)


async def revoke(desk, user_id, login):
    assert await desk.accounts.revoke_session(login.actor.credential.id, by=SYSTEM)


async def revoke_all(desk, user_id, login):
    assert await desk.accounts.revoke_all(user_id, by=SYSTEM) == 1


@pytest.mark.parametrize("end", [change_password, disable, log_out, revoke, revoke_all])
@pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)
async def test_what_ends_a_session_ends_it_at_once(desk, end):
    with desk.db.activate():
        user_id = await desk.user()
        login = await desk.login()
        await desk.accounts.authenticate(login.token)
        await end(desk, user_id, login)
        assert desk.accounts.cached(login.token) is None
        assert await desk.accounts.authenticate(login.token) is None
        told = {"method": "session", "id": login.actor.credential.id, "user_id": user_id}
        assert (Topic.CREDENTIAL_REVOKED, told) in desk.events
        assert await desk.accounts.revalidate([login.actor]) == [(login.actor, None)]
        # A second time there is nothing to do, and nothing to write down.
        before = await desk.audit()
        await desk.accounts.logout(login.actor)
        assert not await desk.accounts.revoke_session(login.actor.credential.id, by=SYSTEM)
        assert await desk.audit() == before


async def test_a_disabled_user_who_is_enabled_again_must_log_in_again(desk):
    with desk.db.activate():
        user_id = await desk.user()
        login = await desk.login()
        await desk.accounts.set_active(user_id, False, by=SYSTEM)
        await desk.accounts.set_active(user_id, True, by=SYSTEM)
        assert await desk.accounts.authenticate(login.token) is None


async def test_a_changed_role_counts_at_once(desk):
    with desk.db.activate():
        user_id = await desk.user(role="viewer")
        login = await desk.login()
        await desk.accounts.authenticate(login.token)
        await desk.accounts.set_role(user_id, "admin", by=SYSTEM)
        assert desk.accounts.cached(login.token) is None
        fresh = await desk.accounts.authenticate(login.token)
        assert fresh.user.role == "admin"
        assert await desk.accounts.revalidate([login.actor, fresh]) == [(login.actor, fresh)]
        assert desk.events == [(Topic.USER_CHANGED, {"user_id": user_id})]


async def test_what_revalidation_finds_holds_for_requests_at_once(make_desk):
    server = await make_desk(session_cache_seconds=60)
    command = await make_desk(server.clock)
    with server.db.activate():
        user_id = await server.user()
        login = await server.login()
        await server.accounts.authenticate(login.token)
        assert server.accounts.cached(login.token) is not None
    with command.db.activate():
        await command.accounts.set_active(user_id, False, by=SYSTEM)
    with server.db.activate():
        assert await server.accounts.revalidate([login.actor]) == [(login.actor, None)]
        assert server.accounts.cached(login.token) is None


async def test_another_process_is_believed_after_the_moment(make_desk):
    server = await make_desk(session_cache_seconds=0.2)
    command = await make_desk(server.clock)
    with server.db.activate():
        user_id = await server.user()
        login = await server.login()
        await server.accounts.authenticate(login.token)
    with command.db.activate():
        await command.accounts.set_active(user_id, False, by=SYSTEM)
    with server.db.activate():
        deadline = time.monotonic() + WAIT
        while server.accounts.cached(login.token) is not None and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert await server.accounts.authenticate(login.token) is None


async def test_news_from_other_servers_empty_the_cache(desk):
    with desk.db.activate():
        user_id = await desk.user()
        login = await desk.login()
        for topic, data in (
            (Topic.USER_CHANGED, {"user_id": user_id}),
            (Topic.USER_DELETED, {"user_id": user_id}),
            (Topic.CREDENTIAL_REVOKED, {"method": "session", "id": 1, "user_id": user_id}),
            (Topic.BACKPLANE_RESTORED, {}),
        ):
            await desk.accounts.authenticate(login.token)
            assert desk.accounts.cached(login.token)
            desk.bus.publish(topic, data)
            assert desk.accounts.cached(login.token) is None


async def test_a_revocation_overtakes_a_reader(desk, monkeypatch):
    """A reader that has the row in hand while the session is revoked must not remember it."""
    with desk.db.activate():
        await desk.user()
        login = await desk.login()
        sessions = desk.accounts._sessions
        load = sessions.load

        async def load_then_revoke(token):
            actor = await load(token)
            monkeypatch.undo()
            await desk.accounts.revoke_session(login.actor.credential.id, by=SYSTEM)
            return actor

        monkeypatch.setattr(sessions, "load", load_then_revoke)
        assert await desk.accounts.authenticate(login.token) is None
        assert desk.accounts.cached(login.token) is None


async def test_one_request_asks_for_many(desk, monkeypatch):
    """When a busy session is forgotten, its requests do not all go to the database; one that is cut off harms none."""
    with desk.db.activate():
        await desk.user()
        login = await desk.login()
        sessions, asked, go = desk.accounts._sessions, [], asyncio.Event()
        load = sessions.load

        async def slow(token):
            asked.append(token)
            await go.wait()
            return await load(token)

        monkeypatch.setattr(sessions, "load", slow)
        tasks = [asyncio.create_task(desk.accounts.authenticate(login.token)) for _ in range(50)]
        while not asked:
            await asyncio.sleep(0)
        go.set()
        assert await asyncio.gather(*tasks) == [login.actor] * 50
        assert len(asked) == 1

        desk.accounts._cache.clear()
        go.clear()
        first, second = (asyncio.create_task(desk.accounts.authenticate(login.token)) for _ in range(2))
        while len(asked) < 2:
            await asyncio.sleep(0)
        first.cancel()
        go.set()
        assert await second == login.actor
        assert not desk.accounts._looking


async def test_sessions_end_unused_and_end_anyway(make_desk):
    desk = await make_desk(session_idle_seconds=7 * DAY, session_max_seconds=30 * DAY)
    with desk.db.activate():
        await desk.user()
        used, unused = await desk.login(), await desk.login()
        for _ in range(5):
            desk.clock.turn(6 * DAY - 1)
            assert await desk.accounts.authenticate(used.token), "used within the idle time, with no sweep in between"
        assert await desk.accounts.authenticate(unused.token) is None
        desk.clock.turn(10)
        assert await desk.accounts.authenticate(used.token) is None, "past its absolute end"
        assert await desk.accounts.revalidate([used.actor]) == [(used.actor, None)]


async def test_last_use_is_written_by_the_sweep_and_not_by_the_request(make_desk):
    desk = await make_desk()
    with desk.db.activate():
        user_id = await desk.user()
        login = await desk.login()
        _, secret = await desk.accounts.create_key(user_id, "robot", by=SYSTEM)
        begin = desk.clock()
        desk.clock.turn(59)
        await desk.accounts.authenticate(login.token)
        await desk.accounts.sweep()
        assert (await Session.get()).last_seen_at == begin, "less than a minute ago: not worth a write"
        desk.clock.turn(1)
        await desk.accounts.authenticate(login.token)
        await desk.accounts.authenticate(secret)
        assert (await Session.get()).last_seen_at == begin
        assert (await ApiKey.get()).last_used_at is None
        assert (await desk.accounts.list_keys())[0][0].last_used_at == desk.clock()
        await desk.accounts.sweep()
        assert (await Session.get()).last_seen_at == desk.clock()
        assert (await ApiKey.get()).last_used_at == desk.clock()
    desk.clock.turn(3600)
    with desk.db.activate():
        await desk.accounts.authenticate(login.token)
        await desk.accounts.close()
        assert (await Session.get()).last_seen_at == desk.clock()


async def test_old_rows_are_cleaned_away(desk):
    with desk.db.activate():
        user_id = await desk.user()
        login, gone = await desk.login(), await desk.login()
        key, _ = await desk.accounts.create_key(user_id, "robot", by=SYSTEM)
        await desk.accounts.logout(gone.actor)
        await desk.accounts.revoke_key(key.id, by=SYSTEM)
        with pytest.raises(Unauthorized):
            await desk.login(password="wrong password")
        await desk.accounts.clean()
        assert await Session.all().count() == 2
        assert await AuthAttempt.all().count() == 2
        desk.clock.turn(1000)
        await desk.accounts.clean()
        assert await AuthAttempt.all().count() == 0
        desk.clock.turn(8 * DAY)
        await desk.accounts.clean()
        assert [row.id for row in await Session.all()] == [login.actor.credential.id]
        desk.clock.turn(31 * DAY)
        await desk.accounts.clean()
        assert await Session.all().count() == 0
        assert await ApiKey.all().count() == 0
        assert await User.all().count() == 1


async def test_a_deleted_user_leaves_no_credentials(desk):
    with desk.db.activate():
        user_id = await desk.user()
        login = await desk.login()
        _, secret = await desk.accounts.create_key(user_id, "robot", by=SYSTEM)
        actors = [login.actor, await desk.accounts.authenticate(secret)]
        await User.filter(id=user_id).delete()
        desk.bus.publish(Topic.USER_DELETED, {"user_id": user_id})
        assert await desk.accounts.authenticate(login.token) is None
        assert await desk.accounts.authenticate(secret) is None
        assert {new for _, new in await desk.accounts.revalidate(actors)} == {None}


async def test_revalidate_tells_changes_only(desk):
    with desk.db.activate():
        user_id = await desk.user()
        login = await desk.login()
        _, secret = await desk.accounts.create_key(user_id, "robot", scopes=["tmux:*"], by=SYSTEM)
        key = await desk.accounts.authenticate(secret)
        # The same session shown as a Bearer token: the gate has taken the CSRF token out.
        as_bearer = replace(login.actor, credential=replace(login.actor.credential, csrf=None))
        everybody = [login.actor, as_bearer, key, SYSTEM, ANONYMOUS]
        assert await desk.accounts.revalidate(everybody) == []
        await desk.accounts.set_role(user_id, "viewer", by=SYSTEM)
        changes = dict(await desk.accounts.revalidate(everybody * 2))
        assert set(changes) == {login.actor, as_bearer, key}
        assert changes[login.actor].credential == login.actor.credential
        assert changes[as_bearer].credential.csrf is None
        assert changes[key].credential.scopes == frozenset({"tmux:*"})
        assert {new.user.role for new in changes.values()} == {"viewer"}


async def test_a_bearer_session_is_no_cookie(desk):
    with desk.db.activate():
        row = await User.get(id=await desk.user())
        async with desk.db.transaction():
            login = await desk.accounts._sessions.create(row, ClientInfo("192.0.2.1"), kind=BEARER)
        actor = await desk.accounts.authenticate(login.token)
        assert actor.method is Method.BEARER
        assert actor.credential.csrf is None
        await desk.accounts.logout(actor)
        assert await desk.accounts.authenticate(login.token) is None


async def test_the_cache_is_bounded_and_lets_the_oldest_go(desk):
    with desk.db.activate():
        await desk.user()
        actor = await desk.actor()
    cache = CredentialCache(60, size=3)
    for token in ("a", "b", "c", "a", "d"):
        cache.put(token, actor, generation=0, now=desk.clock())
    assert len(cache) == 3
    assert [token for token in "abcd" if cache.get(token)] == ["a", "c", "d"]
    cache.put("e", actor, generation=-1, now=desk.clock())
    assert cache.get("e") is None
    soon = replace(actor, credential=replace(actor.credential, expires_at=desk.clock()))
    cache.put("f", soon, generation=0, now=desk.clock())
    assert cache.get("f") is None
    cache.prune()
    assert len(cache) == 2


async def test_the_look_up_of_every_request_is_quick(desk):
    with desk.db.activate():
        await desk.user()
        login = await desk.login()
        await desk.accounts.authenticate(login.token)
        cached, token = desk.accounts.cached, login.token
        best = 1.0
        for _ in range(20):
            started = time.perf_counter()
            for _ in range(500):
                cached(token)
            best = min(best, (time.perf_counter() - started) / 500)
        assert best < 5e-6, f"{best * 1e6:.2f} µs"
