"""Logging in: the right answer, the same answer for strangers, and a delay that grows."""

import asyncio
import os
import statistics
import sys
import threading
import time
from datetime import timedelta

import pytest
from moorage.access import Method
from moorage.accounts import SYSTEM, ClientInfo
from moorage.accounts.models import AuthAttempt, Session, User
from moorage.accounts.sessions import MAX_PER_USER
from moorage.errors import TooManyRequests, Unauthorized, ValidationFailed
from moorage.events import Topic

PASSWORD = "correct horse battery"


def elsewhere(number):
    return ClientInfo(f"198.51.100.{number}", "pytest")


async def fails(desk, name, password="wrong password", client=None):
    with pytest.raises((Unauthorized, TooManyRequests)) as refused:
        await desk.login(name, password, **({"client": client} if client else {}))
    return refused.value


async def test_a_login_opens_a_session(desk):
    with desk.db.activate():
        user_id = await desk.user(email="Ann@Example.org")
        for name in ("ann", "ANN", "Ａｎｎ", "ann@example.org", "ANN@EXAMPLE.ORG"):
            login = await desk.login(name)
            assert login.actor.user.id == user_id
            assert login.actor.user.email == "Ann@Example.org"
            assert login.actor.method is Method.SESSION
            assert await desk.accounts.authenticate(login.token) == login.actor
            assert login.actor.credential.csrf == login.csrf
            assert login.expires_at == desk.clock() + timedelta(days=30)
        assert login.token not in repr(login)
        row = await User.get(id=user_id)
        assert row.last_login_at == desk.clock()
        assert PASSWORD not in row.password_hash
        assert await Session.filter(token_hash=login.token).count() == 0


async def test_composed_and_decomposed_passwords_are_one(desk):
    with desk.db.activate():
        await desk.user(password="pässword-lang")
        assert await desk.login(password="pa\u0308ssword-lang")


async def test_wrong_and_unknown_are_told_the_same(desk):
    with desk.db.activate():
        await desk.user()
        await desk.user("empty", password=None)
        answers = [
            await fails(desk, name, password, elsewhere(number))
            for number, (name, password) in enumerate(
                [
                    ("ann", "wrong password"),
                    ("nobody", "wrong password"),
                    ("empty", ""),
                    ("no\x00body", "a\x00b"),
                    ("\ud800", "\ud800"),
                    ("x" * 400, "wrong"),
                    ("x" * 256, "wrong"),
                    ("@" * 256, "wrong"),
                    ("ﷺ" * 250, "w"),
                    ("ann@", PASSWORD),
                ]
            )
        ]
        assert {(a.status, a.error_code, a.message, str(a.details)) for a in answers} == {
            (401, "INVALID_CREDENTIALS", "Invalid username or password", "{}")
        }


async def test_unknown_names_take_as_long_as_known_ones(make_desk):
    # Enough work per hash that a missing one would be seen, and delays out of the way.
    desk = await make_desk(argon2_memory_kib=4096, argon2_time=2, lockout_threshold=10_000)
    with desk.db.activate():
        await desk.user()
        took = {"ann": [], "nobody": [], "empty": []}
        await desk.user("empty", password=None)
        for _ in range(15):
            for name, times in took.items():
                started = time.perf_counter()
                await fails(desk, name)
                times.append(time.perf_counter() - started)
        medians = {name: statistics.median(times[1:]) for name, times in took.items()}
        assert max(medians.values()) < 1.4 * min(medians.values()), medians


async def test_a_disabled_user_learns_it_only_with_the_right_password(desk):
    with desk.db.activate():
        user_id = await desk.user()
        await desk.accounts.set_active(user_id, False, by=SYSTEM)
        assert (await fails(desk, "ann")).error_code == "INVALID_CREDENTIALS"
        assert (await fails(desk, "ann", PASSWORD)).error_code == "USER_INACTIVE"
        assert await Session.all().count() == 0
        assert ("login.refused", f"user:{user_id}") in await desk.audit()


async def test_a_password_too_long_is_refused_before_any_work(desk):
    with desk.db.activate():
        await desk.user()
        with pytest.raises(ValidationFailed):
            await desk.login(password="x" * 1025)
        assert await AuthAttempt.all().count() == 0


async def test_the_delay_grows_and_hides_the_right_password(desk):
    with desk.db.activate():
        user_id = await desk.user()
        for _ in range(5):
            assert (await fails(desk, "ann")).status == 401
        waits = []
        for _ in range(12):
            locked = await fails(desk, "ann", PASSWORD, elsewhere(1))
            assert locked.status == 429
            assert locked.headers["Retry-After"] == str(locked.retry_after)
            assert (await fails(desk, "ann", "wrong", elsewhere(1))).message == locked.message
            waits.append(locked.retry_after)
            desk.clock.turn(locked.retry_after)
            assert (await fails(desk, "ann", client=elsewhere(2 + len(waits)))).status == 401
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
        desk.clock.turn(900)
        assert await desk.login()
        assert (await fails(desk, "ann")).status == 401
        assert await desk.login()
        assert (await desk.audit()).count(("login.failed", f"user:{user_id}")) == 18


async def test_unknown_names_are_delayed_like_known_ones(desk):
    with desk.db.activate():
        for number in range(5):
            assert (await fails(desk, "nobody", client=elsewhere(number))).status == 401
        assert (await fails(desk, "NOBODY", client=elsewhere(9))).status == 429
        # What was typed is nowhere in the database: it may be a password in the wrong field.
        assert all("nobody" not in row.key.lower() for row in await AuthAttempt.all())
        assert {target for _, target in await desk.audit()} == {None}


@pytest.mark.parametrize(
    ("first", "second"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"), ("192.0.2.7", "::ffff:192.0.2.7")],
)
async def test_an_address_is_delayed_whatever_the_name(desk, first, second):
    with desk.db.activate():
        await desk.user()
        for number in range(15):
            assert (await fails(desk, f"name{number}", client=ClientInfo(first))).status == 401
        assert (await fails(desk, "ann", PASSWORD, ClientInfo(second))).status == 429
        assert await desk.login(client=ClientInfo("2001:db8:1:3::1"))


async def test_the_count_begins_anew_after_a_while(desk):
    with desk.db.activate():
        await desk.user()
        for _ in range(4):
            await fails(desk, "ann")
        desk.clock.turn(901)
        for _ in range(5):
            assert (await fails(desk, "ann")).status == 401
        assert (await fails(desk, "ann")).status == 429


async def test_a_restart_forgets_no_delay(make_desk):
    first = await make_desk()
    with first.db.activate():
        await first.user()
        for _ in range(5):
            await fails(first, "ann")
    second = await make_desk(first.clock)
    with second.db.activate():
        assert (await fails(second, "ann", PASSWORD)).status == 429


@pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)
async def test_attempts_sent_together_are_not_more_attempts(make_desk):
    desk = await make_desk(argon2_threads=2)
    with desk.db.activate():
        await desk.user()
        answers = await asyncio.gather(*(fails(desk, "ann", f"guess {n}", elsewhere(n)) for n in range(30)))
        guesses = sum(answer.status == 401 for answer in answers)
        # The threshold, and at most what was in the other hashing thread already.
        assert 5 <= guesses <= 6
        assert (await AuthAttempt.filter(key__startswith="login:").get()).failures == guesses


async def test_right_logins_at_once_all_succeed(desk):
    with desk.db.activate():
        await desk.user()
        logins = await asyncio.gather(*(desk.login() for _ in range(25)))
        assert len({login.token for login in logins}) == 25


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux only")
async def test_hashing_lets_the_event_loop_go_first(desk):
    with desk.db.activate():
        await desk.user()
        await desk.login("ann")
    hashing = [thread.native_id for thread in threading.enumerate() if thread.name.startswith("moorage-argon2")]
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert hashing
    assert all(os.getpriority(os.PRIO_PROCESS, thread) == min(19, ours + 5) for thread in hashing)


async def test_a_new_password_ends_the_delay(desk):
    with desk.db.activate():
        user_id = await desk.user(email="ann@example.org")
        for name in ("ann", "ann@example.org"):
            for number in range(5):
                await fails(desk, name, client=elsewhere(number))
        await desk.accounts.set_password(user_id, "another battery", by=SYSTEM)
        assert await desk.login("ann", "another battery")
        assert await desk.login("ann@example.org", "another battery")


async def test_hashes_are_renewed_with_new_settings(make_desk):
    first = await make_desk()
    with first.db.activate():
        user_id = await first.user()
        before = (await User.get(id=user_id)).password_hash
    second = await make_desk(argon2_time=2)
    with second.db.activate():
        await second.login()
        after = (await User.get(id=user_id)).password_hash
        assert "t=1" in before
        assert "t=2" in after
        assert await second.login()


async def test_a_strange_hash_matches_nothing(desk):
    with desk.db.activate():
        user_id = await desk.user()
        await User.filter(id=user_id).update(password_hash="{SHA}nonsense")
        assert (await fails(desk, "ann", PASSWORD)).error_code == "INVALID_CREDENTIALS"


async def test_the_session_before_the_login_ends(desk):
    with desk.db.activate():
        user_id = await desk.user()
        old = await desk.login()
        assert await desk.accounts.authenticate(old.token)
        new = await desk.login(previous=old.actor)
        assert new.token != old.token
        assert desk.accounts.cached(old.token) is None
        assert await desk.accounts.authenticate(old.token) is None
        assert await desk.accounts.authenticate(new.token)
        revoked = {"method": "session", "id": old.actor.credential.id, "user_id": user_id}
        assert desk.events == [(Topic.CREDENTIAL_REVOKED, revoked)]


async def test_a_failed_login_leaves_the_session_before_alone(desk):
    with desk.db.activate():
        await desk.user()
        old = await desk.login()
        with pytest.raises(Unauthorized):
            await desk.login("ann", "wrong password", previous=old.actor)
        assert await desk.accounts.authenticate(old.token)


async def test_a_password_changed_meanwhile_opens_nothing(desk, monkeypatch):
    """The old password is proven, then replaced before the session is made: the session must not come to be."""
    with desk.db.activate():
        user_id = await desk.user()
        passwords = desk.accounts._passwords
        verify = passwords.verify

        async def verify_then_change(*args):
            found = await verify(*args)
            monkeypatch.undo()
            # In a task of its own, as another request would: this one holds a turn at the hashing threads.
            await asyncio.create_task(desk.accounts.set_password(user_id, "another battery", by=SYSTEM))
            return found

        monkeypatch.setattr(passwords, "verify", verify_then_change)
        assert (await fails(desk, "ann", PASSWORD)).error_code == "INVALID_CREDENTIALS"
        assert await Session.all().count() == 0


async def test_sessions_of_one_user_are_bounded(desk):
    with desk.db.activate():
        user_id = await desk.user()
        row = await User.get(id=user_id)
        first = await desk.login()
        for number in range(MAX_PER_USER):
            desk.clock.turn(1)
            async with desk.db.transaction():
                last = await desk.accounts._sessions.create(row, elsewhere(number % 200))
        assert await desk.accounts.authenticate(first.token) is None
        assert await desk.accounts.authenticate(last.token)
        assert await Session.filter(revoked_at__isnull=True).count() == MAX_PER_USER
        assert desk.events[0][1]["id"] == first.actor.credential.id
