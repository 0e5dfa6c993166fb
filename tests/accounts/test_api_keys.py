"""API keys: their form, their scopes, and that none reaches further than what made it."""

import asyncio
import re
from datetime import timedelta

import pytest
from moorage.access import ANONYMOUS, Method
from moorage.accounts import SYSTEM
from moorage.accounts.keys import MAX_PER_USER
from moorage.accounts.models import ApiKey
from moorage.errors import Conflict, Forbidden, NotFound, Unauthorized, ValidationFailed
from moorage.events import Topic
from waits import WAIT


async def key_actor(desk, user_id, **more):
    more.setdefault("by", SYSTEM)
    _, secret = await desk.accounts.create_key(user_id, "robot", **more)
    actor = await desk.accounts.authenticate(secret)
    assert actor is not None
    return actor


@pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)
async def test_a_key_works_and_only_its_digest_is_kept(desk):
    with desk.db.activate():
        user_id = await desk.user()
        key, secret = await desk.accounts.create_key(user_id, "My robot", by=SYSTEM)
        assert re.fullmatch(r"mcp_[0-9a-f]{8}_[A-Za-z0-9_-]{32}", secret)
        assert secret.startswith(key.prefix)
        assert (key.user_id, key.name, key.scopes, key.last_used_at, key.expires_at) == (
            user_id,
            "My robot",
            None,
            None,
            None,
        )
        row = await ApiKey.get()
        assert secret not in repr(dict(row))
        assert secret[13:] not in repr(dict(row))
        actor = await desk.accounts.authenticate(secret)
        assert actor.method is Method.API_KEY
        assert (actor.user.id, actor.credential.id, actor.credential.csrf) == (user_id, key.id, None)
        assert desk.accounts.cached(secret) == actor
        for wrong in (secret[:-1], secret + "x", secret.swapcase(), key.prefix, key.prefix + "_"):
            assert await desk.accounts.authenticate(wrong) is None
        assert ("key.created", f"api_key:{key.id}") in await desk.audit()


async def test_a_revoked_key_is_dead_at_once(desk):
    with desk.db.activate():
        user_id = await desk.user()
        key, secret = await desk.accounts.create_key(user_id, "robot", by=SYSTEM)
        actor = await desk.accounts.authenticate(secret)
        await desk.accounts.revoke_key(key.id, by=SYSTEM)
        assert desk.accounts.cached(secret) is None
        assert await desk.accounts.authenticate(secret) is None
        assert await desk.accounts.revalidate([actor]) == [(actor, None)]
        assert await desk.accounts.get_key(key.id) is None
        assert await desk.accounts.list_keys() == ([], 0)
        assert desk.events == [(Topic.CREDENTIAL_REVOKED, {"method": "api_key", "id": key.id, "user_id": user_id})]
        with pytest.raises(NotFound):
            await desk.accounts.revoke_key(key.id, by=SYSTEM)


async def test_a_logout_leaves_a_key_alone(desk):
    with desk.db.activate():
        actor = await key_actor(desk, await desk.user())
        await desk.accounts.logout(actor)
        assert await desk.accounts.revalidate([actor]) == []


async def test_keys_of_a_disabled_user_rest(desk):
    with desk.db.activate():
        user_id = await desk.user()
        _, secret = await desk.accounts.create_key(user_id, "robot", by=SYSTEM)
        await desk.accounts.authenticate(secret)
        await desk.accounts.set_active(user_id, False, by=SYSTEM)
        assert desk.accounts.cached(secret) is None
        assert await desk.accounts.authenticate(secret) is None
        with pytest.raises(Conflict):
            await desk.accounts.create_key(user_id, "another", by=SYSTEM)
        await desk.accounts.set_active(user_id, True, by=SYSTEM)
        assert await desk.accounts.authenticate(secret)


async def test_a_key_ends_on_its_day_even_if_remembered(make_desk):
    desk = await make_desk(session_cache_seconds=60)
    with desk.db.activate():
        user_id = await desk.user()
        until = desk.clock() + timedelta(seconds=0.2)
        _, secret = await desk.accounts.create_key(user_id, "robot", expires_at=until, by=SYSTEM)
        assert await desk.accounts.authenticate(secret)
        desk.clock.turn(1)
        async with asyncio.timeout(WAIT):
            while desk.accounts.cached(secret) is not None:
                await asyncio.sleep(0.01)
        assert await desk.accounts.authenticate(secret) is None
        with pytest.raises(ValidationFailed):
            await desk.accounts.create_key(user_id, "robot", expires_at=until, by=SYSTEM)


@pytest.mark.parametrize(
    "scopes",
    [
        [],
        ["tmux"],
        ["tmux:session:nonsense"],
        ["tmux:session:read", "x y"],
        ["", "*"],
        ["tmux:*"] * 3 + ["a" * 5000],
        [f"tmux:session:a{n}" for n in range(65)],
    ],
)
async def test_scopes_must_be_known(desk, scopes):
    with desk.db.activate():
        user_id = await desk.user()
        with pytest.raises(ValidationFailed) as refused:
            await desk.accounts.create_key(user_id, "robot", scopes=scopes, by=SYSTEM)
        assert len(refused.value.message) < 300


async def test_scopes_cut_the_owners_rights(desk):
    with desk.db.activate():
        user_id = await desk.user(role="operator")
        actor = await key_actor(desk, user_id, scopes=["tmux:session:read", "tmux:session:read"])
        assert actor.credential.scopes == frozenset({"tmux:session:read"})
        assert desk.access.can(actor, "tmux:session:read", owner_id=user_id)
        assert not desk.access.can(actor, "tmux:session:write", owner_id=user_id)
        everything = await key_actor(desk, user_id, scopes=["*"])
        assert desk.access.can(everything, "tmux:session:write", owner_id=user_id)
        assert not desk.access.can(everything, "tmux:session:write", owner_id=user_id + 1)
        await desk.accounts.set_role(user_id, "viewer", by=SYSTEM)
        assert not desk.access.can(
            (await desk.accounts.revalidate([everything]))[0][1], "tmux:session:write", owner_id=user_id
        )


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        (["tmux:*"], ["tmux:session:read"]),
        (["tmux:*"], ["tmux:session:*"]),
        (["tmux:session:*"], ["tmux:session:read:any"]),
        (["tmux:session:read:any"], ["tmux:session:read"]),
        (["*"], ["*"]),
        (["core:key:create", "tmux:session:read"], ["tmux:session:read"]),
    ],
)
async def test_a_key_may_make_a_narrower_key(desk, held, wanted):
    with desk.db.activate():
        user_id = await desk.user(role="admin")
        actor = await key_actor(desk, user_id, scopes=held)
        child = await key_actor(desk, user_id, scopes=wanted, by=actor)
        assert child.credential.scopes == frozenset(wanted)


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        (["tmux:session:read"], ["tmux:session:write"]),
        (["tmux:session:read"], ["tmux:session:read:any"]),
        (["tmux:session:read"], ["tmux:session:*"]),
        (["tmux:session:read", "tmux:session:write"], ["tmux:*"]),
        (["tmux:*"], ["*"]),
        (["tmux:*"], ["tmux:session:read", "core:key:read"]),
        (["*:*:read"], ["tmux:session:*"]),
    ],
)
async def test_a_key_makes_no_wider_key(desk, held, wanted):
    with desk.db.activate():
        user_id = await desk.user(role="admin")
        actor = await key_actor(desk, user_id, scopes=held)
        with pytest.raises(Forbidden):
            await desk.accounts.create_key(user_id, "child", scopes=wanted, by=actor)
        inherited = await key_actor(desk, user_id, by=actor)
        assert inherited.credential.scopes == frozenset(held)


async def test_a_key_makes_no_key_that_outlives_it(desk):
    with desk.db.activate():
        user_id = await desk.user()
        end = desk.clock() + timedelta(days=1)
        actor = await key_actor(desk, user_id, expires_at=end)
        for wanted in (None, end + timedelta(days=1)):
            child, _ = await desk.accounts.create_key(user_id, "child", expires_at=wanted, by=actor)
            assert child.expires_at == end
        sooner, _ = await desk.accounts.create_key(user_id, "child", expires_at=end - timedelta(hours=1), by=actor)
        assert sooner.expires_at == end - timedelta(hours=1)
        from_session, _ = await desk.accounts.create_key(user_id, "child", by=await desk.actor())
        assert from_session.expires_at is None


@pytest.mark.parametrize(
    ("maker", "target", "allowed"),
    [
        ("owner", "owner", True),
        ("owner", "admin", True),
        ("admin", "admin", True),
        ("admin", "operator", True),
        ("admin", "owner", False),
        ("admin", "helper", True),
        ("operator", "admin", False),
        ("operator", "super", False),
        ("super", "owner", False),
    ],
)
async def test_nobody_makes_a_key_of_somebody_with_wider_rights(desk, maker, target, allowed):
    with desk.db.activate():
        await desk.user("maker", role=maker)
        target_id = await desk.user("target", role=target)
        actor = await desk.actor("maker")
        if allowed:
            key, _ = await desk.accounts.create_key(target_id, "robot", by=actor)
            assert key.user_id == target_id
        else:
            with pytest.raises(Forbidden):
                await desk.accounts.create_key(target_id, "robot", by=actor)


async def test_strangers_make_no_keys(desk):
    with desk.db.activate():
        user_id = await desk.user()
        for nobody in (ANONYMOUS, None):
            with pytest.raises(Unauthorized):
                await desk.accounts.create_key(user_id, "robot", by=nobody)
        with pytest.raises(NotFound):
            await desk.accounts.create_key(user_id + 1, "robot", by=SYSTEM)
        for name in ("", " ", "a\nb", "x" * 129):
            with pytest.raises(ValidationFailed):
                await desk.accounts.create_key(user_id, name, by=SYSTEM)


async def test_keys_are_bounded_paged_and_found(desk):
    with desk.db.activate():
        ann, bob = await desk.user("ann"), await desk.user("bob")
        made = [(await desk.accounts.create_key(ann, f"key {n}", by=SYSTEM))[0] for n in range(MAX_PER_USER)]
        with pytest.raises(Conflict):
            await desk.accounts.create_key(ann, "one more", by=SYSTEM)
        other, _ = await desk.accounts.create_key(bob, "bob's", by=SYSTEM)
        page, total = await desk.accounts.list_keys(user_id=ann, offset=90, limit=20)
        assert ([key.id for key in page], total) == ([key.id for key in made[90:]], MAX_PER_USER)
        assert (await desk.accounts.list_keys(offset=10**11))[1] == MAX_PER_USER + 1
        for text in (str(other.id), other.pid, other.prefix):
            assert await desk.accounts.find_key(text) == other
        for text in ("", "0", "9" * 30, "key_none", "mcp_none", "²", "a\x00", "\ud800", "key_" + "a" * 40):
            assert await desk.accounts.find_key(text) is None
