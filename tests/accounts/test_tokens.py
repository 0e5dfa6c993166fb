"""JWTs and the keys that sign them, over a real database."""

import asyncio
import base64
import json
from dataclasses import replace

import pytest
from moorage.access import Method
from moorage.accounts import SYSTEM
from moorage.accounts.actors import BEARER
from moorage.accounts.models import Session, SigningKey, User
from moorage.accounts.shared import ClientInfo
from moorage.accounts.tokens import MAX_JWT
from moorage.errors import Forbidden, NotFound
from waits import WAIT

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)
DAY = 86400


def part(token, number):
    text = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


async def log_in(desk):
    """A login and its JWT."""
    login = await desk.login()
    token, _ = await desk.accounts.tokens.issue(login)
    return login, token


@pytest.fixture
async def ann(desk):
    with desk.db.activate():
        await desk.user("ann", "admin", email="ann@example.org", name='Ann "Ü" \U0001f6a2')
        yield


async def test_a_jwt_says_what_its_readers_look_for(desk, ann):
    login = await desk.login()
    token, ends = await desk.accounts.tokens.issue(login)
    ((kid, _),) = [await desk.accounts.tokens.keys.signer()]
    assert part(token, 0) == {"alg": "ES256", "typ": "at+jwt", "kid": kid}
    claims = part(token, 1)
    now = int(desk.clock().timestamp())
    assert claims.pop("jti").startswith("jwt_")
    assert claims == {
        "iss": "moorage",
        "aud": "moorage",
        "sub": login.actor.user.pid,
        "sid": login.actor.credential.pid,
        "iat": now,
        "exp": now + DAY,
        "type": "access",
        "name": 'Ann "Ü" \U0001f6a2',
        "preferred_username": "ann",
        "username": "ann",
        "email": "ann@example.org",
        "role": "admin",
        "roles": ["admin"],
    }
    assert ends.timestamp() == now + DAY
    assert token != (await desk.accounts.tokens.issue(login))[0], "each has an id of its own"


async def test_a_jwt_stands_for_its_session(desk, ann):
    login, token = await log_in(desk)
    actor = await desk.accounts.authenticate(token)
    assert actor.user == login.actor.user
    expected = replace(
        login.actor.credential,
        method=Method.JWT,
        kid=part(token, 0)["kid"],
        expires_at=actor.credential.expires_at,
    )
    assert actor.credential == expected
    assert actor.credential.expires_at.timestamp() == part(token, 1)["exp"]
    assert actor.credential.of_session
    assert desk.accounts.cached(token) == actor


async def test_the_longest_names_fit_into_a_token(desk):
    with desk.db.activate():
        await desk.user("x" * 64, email=f"{'y' * 240}@example.org", name="\U0001f6a2" * 128)
        login = await desk.login("x" * 64)
        token, _ = await desk.accounts.tokens.issue(login)
        assert len(token) < MAX_JWT - 500, "browsers take cookies of 4096 bytes, name and flags included"
        assert await desk.accounts.authenticate(token)


async def test_a_jwt_ends_by_itself(make_desk):
    desk = await make_desk(jwt_seconds=60)
    with desk.db.activate():
        await desk.user()
        _, token = await log_in(desk)
        desk.clock.turn(58)
        assert await desk.accounts.authenticate(token)
        # A second is a JWT's finest time, so it may end up to one early, and never late.
        desk.clock.turn(2)
        assert await desk.accounts.authenticate(token) is None


async def test_memory_does_not_outlive_a_jwt(make_desk):
    desk = await make_desk(jwt_seconds=60, session_cache_seconds=60)
    with desk.db.activate():
        await desk.user()
        _, token = await log_in(desk)
        desk.clock.turn(59.25)  # What is left of its last second are 72 milliseconds.
        assert await desk.accounts.authenticate(token)
        assert desk.accounts.cached(token)
        async with asyncio.timeout(WAIT):
            while desk.accounts.cached(token):
                await asyncio.sleep(0.01)


async def test_a_jwt_does_not_outlive_its_session(make_desk):
    desk = await make_desk(jwt_seconds=7200, session_max_seconds=3600)
    with desk.db.activate():
        await desk.user()
        login, token = await log_in(desk)
        assert part(token, 1)["exp"] == int(login.expires_at.timestamp())


async def test_a_jwt_of_a_jwt_lasts_no_longer(desk, ann):
    _, token = await log_in(desk)
    desk.clock.turn(3600)
    again, ends = await desk.accounts.tokens.issue(await desk.accounts.authenticate(token))
    assert ends.timestamp() == part(token, 1)["exp"] == part(again, 1)["exp"]


async def test_only_sessions_get_a_jwt(desk, ann):
    user = await desk.accounts.find_user("ann")
    _, key = await desk.accounts.create_key(user.id, "k", by=SYSTEM)
    for actor in (await desk.accounts.authenticate(key), SYSTEM):
        with pytest.raises(Forbidden):
            await desk.accounts.tokens.issue(actor)


async def revoke(desk, login):
    await desk.accounts.revoke_session(login.actor.credential.id, by=SYSTEM)


async def disable(desk, login):
    await desk.accounts.set_active(login.actor.user.id, False, by=SYSTEM)


async def log_out(desk, login):
    await desk.accounts.logout(login.actor)


async def change_password(desk, login):
    await desk.accounts.set_password(login.actor.user.id, "another battery", by=SYSTEM)


async def idle(desk, login):
    desk.clock.turn(desk.accounts.settings.session_idle_seconds + 1)


@pytest.mark.parametrize("end", [revoke, disable, log_out, change_password, idle])
async def test_a_jwt_ends_with_its_session(make_desk, end):
    desk = await make_desk(jwt_seconds=30 * DAY)
    with desk.db.activate():
        await desk.user()
        login, token = await log_in(desk)
        actor = await desk.accounts.authenticate(token)
        await end(desk, login)
        assert await desk.accounts.authenticate(token) is None
        assert await desk.accounts.revalidate([actor]) == [(actor, None)]


async def test_rights_come_from_the_database(desk, ann):
    login, token = await log_in(desk)
    # Behind the back of the rules, which would end the session.
    await User.filter(id=login.actor.user.id).update(role="viewer")
    assert (await desk.accounts.authenticate(token)).user.role == "viewer"


async def test_another_users_session_does_not_carry_it(desk, ann):
    login, token = await log_in(desk)
    other = await desk.user("bob")
    await Session.filter(id=login.actor.credential.id).update(user_id=other)
    assert await desk.accounts.authenticate(token) is None


async def test_using_a_jwt_keeps_its_session_awake(desk, ann):
    login, token = await log_in(desk)
    desk.clock.turn(3600)
    assert await desk.accounts.authenticate(token)
    await desk.accounts.sweep()
    row = await Session.get(id=login.actor.credential.id)
    assert row.last_seen_at == desk.clock()


async def test_the_jwt_of_a_device_has_no_csrf_token(desk, ann):
    user = await User.get(username="ann")
    async with desk.db.transaction():
        login = await desk.accounts._sessions.create(user, ClientInfo("192.0.2.1"), kind=BEARER)
    token, _ = await desk.accounts.tokens.issue(await desk.accounts.authenticate(login.token))
    assert (await desk.accounts.authenticate(token)).credential.csrf is None


@pytest.mark.parametrize(
    "token",
    [
        "eyJ",
        "eyJ..",
        "eyJ.eyJ.eyJ",
        "eyJ" + "A" * 100_000,
        "eyJ\ud800.e30." + "A" * 86,
        "eyJ\x00.e30." + "A" * 86,
        f"{base64.urlsafe_b64encode(b'[' * 150).decode()}.e30.{'A' * 86}",
        f"{base64.urlsafe_b64encode(b'{' + b'x' * 40).decode().rstrip('=')}.e30.{'A' * 86}",
        f"{base64.urlsafe_b64encode(json.dumps({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 7}).encode()).decode()}"
        f".e30.{'A' * 86}",
    ],
)
async def test_what_is_no_jwt_is_nobody(desk, token):
    with desk.db.activate():
        assert await desk.accounts.authenticate(token) is None
        assert await SigningKey.all().count() == 0, "only signing makes a key"


async def test_a_token_is_read_as_it_is_written(desk, ann):
    _, token = await log_in(desk)
    for other in (token + "=", token + " ", token[:-1] + "\n", token.replace(".", "..", 1), token + ".", "." + token):
        assert await desk.accounts.authenticate(other) is None


# -- keys -----------------------------------------------------------------------------------------------------


@BOTH
async def test_processes_that_start_together_make_one_key(make_desk):
    desks = [await make_desk() for _ in range(2)]
    with desks[0].db.activate():
        await desks[0].user()
        login = await desks[0].login()

    async def issue(desk):
        with desk.db.activate():
            return (await desk.accounts.tokens.issue(login))[0]

    tokens = await asyncio.gather(*(issue(desk) for desk in desks * 5))
    with desks[0].db.activate():
        row = await SigningKey.get()
        assert {part(token, 0)["kid"] for token in tokens} == {row.kid}


@BOTH
async def test_another_processes_new_key_is_known_at_once(make_desk):
    one, two = await make_desk(session_cache_seconds=60), await make_desk(session_cache_seconds=60)
    with one.db.activate():
        await one.user()
        login, token = await log_in(one)
    with two.db.activate():
        assert await two.accounts.authenticate(token)
        await two.accounts.tokens.keys.rotate(by=SYSTEM)
        fresh, _ = await two.accounts.tokens.issue(login)
    with one.db.activate():
        assert part(fresh, 0)["kid"] != part(token, 0)["kid"]
        assert await one.accounts.authenticate(fresh)


async def test_the_key_at_rest_is_sealed(desk, ann):
    await log_in(desk)
    _, key = await desk.accounts.tokens.keys.signer()
    (row,) = await SigningKey.all().values()
    assert key.as_dict(private=True)["d"] not in str(row)
    assert "kty" not in row["key_sealed"]
    (shown,) = (await desk.accounts.tokens.jwks())["keys"]
    assert set(shown) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


async def test_a_retired_key_verifies_until_its_last_token_has_ended(desk, ann):
    await log_in(desk)
    desk.clock.turn(10)
    _, token = await log_in(desk)
    await desk.accounts.tokens.keys.rotate(by=SYSTEM)
    new, old = await desk.accounts.tokens.keys.listed()
    assert (new.state, old.state) == ("signs", "verifies")
    assert [key["kid"] for key in (await desk.accounts.tokens.jwks())["keys"]] == [new.kid, old.kid]
    assert part((await log_in(desk))[1], 0)["kid"] == new.kid
    desk.clock.turn(DAY - 1)
    assert await desk.accounts.authenticate(token)
    desk.clock.turn(2)
    assert [key["kid"] for key in (await desk.accounts.tokens.jwks())["keys"]] == [new.kid]
    assert [key.state for key in await desk.accounts.tokens.keys.listed()] == ["signs", "ended"]
    # Even a token that says it lasts longer.
    assert await desk.accounts.tokens.keys.verifier(old.kid) is None


async def test_a_revoked_key_ends_its_tokens_and_what_they_hold_open(desk, ann):
    login, token = await log_in(desk)
    actor = await desk.accounts.authenticate(token)
    kid = actor.credential.kid
    assert await desk.accounts.revalidate([actor, login.actor]) == []
    await desk.accounts.tokens.keys.revoke(kid, by=SYSTEM)
    assert desk.accounts.cached(token) is None
    assert await desk.accounts.authenticate(token) is None
    assert await desk.accounts.revalidate([actor, login.actor]) == [(actor, None)], "the session itself goes on"
    fresh, _ = await desk.accounts.tokens.issue(login)
    assert part(fresh, 0)["kid"] != kid
    assert await desk.accounts.authenticate(fresh)
    await desk.accounts.tokens.keys.revoke(kid, by=SYSTEM)
    actions = [entry for entry in await desk.audit() if entry[0].startswith("signing_key")]
    new = part(fresh, 0)["kid"]
    assert actions == [
        ("signing_key.created", f"signing_key:{kid}"),
        ("signing_key.revoked", f"signing_key:{kid}"),
        ("signing_key.created", f"signing_key:{new}"),
    ]


@pytest.mark.parametrize("kid", ["", "nope", "x" * 5000, "\x00", "\ud800"])
async def test_an_unknown_key_cannot_be_revoked(desk, kid):
    with desk.db.activate(), pytest.raises(NotFound):
        await desk.accounts.tokens.keys.revoke(kid, by=SYSTEM)


async def test_another_processes_revocation_is_seen_within_a_moment(make_desk):
    one, two = await make_desk(session_cache_seconds=0.2), await make_desk()
    with one.db.activate():
        await one.user()
        _, token = await log_in(one)
        actor = await one.accounts.authenticate(token)
        assert actor
    with two.db.activate():
        await two.accounts.tokens.keys.revoke(actor.credential.kid, by=SYSTEM)
    with one.db.activate():
        async with asyncio.timeout(0.2 * 1.25 + 0.5):
            while one.accounts.cached(token) or await one.accounts.authenticate(token):
                await asyncio.sleep(0.01)


async def test_another_secret_makes_a_new_key_and_says_so(make_desk, caplog, capsys):
    before = await make_desk(secret_key="a" * 40)
    with before.db.activate():
        await before.user()
        login, token = await log_in(before)
    after = await make_desk(secret_key="b" * 40)
    with after.db.activate():
        assert await after.accounts.authenticate(token) is None
        fresh, _ = await after.accounts.tokens.issue(login)
        assert await after.accounts.authenticate(fresh)
        assert [(key.state, key.usable) for key in await after.accounts.tokens.keys.listed()] == [
            ("signs", True),
            ("signs", False),
        ]
        assert len((await after.accounts.tokens.jwks())["keys"]) == 1
    assert "sealed with another secret" in caplog.text + "".join(capsys.readouterr())
    # The secret is put back: what was signed with it holds again.
    again = await make_desk(secret_key="a" * 40)
    with again.db.activate():
        assert await again.accounts.authenticate(token)


async def test_old_rows_are_swept_away(desk, ann):
    await log_in(desk)
    await desk.accounts.tokens.keys.rotate(by=SYSTEM)
    desk.clock.turn(32 * DAY)
    await desk.accounts.clean()
    assert [key.state for key in await desk.accounts.tokens.keys.listed()] == ["signs"]
