"""What reaches too far: limited credentials, roles without plugins, actors who were demoted, those who stand higher."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from moorage.access import Actor, Credential, Method
from moorage.access.ranks import RankRefused
from moorage.accounts import ClientInfo
from moorage.accounts.administration import Changes
from moorage.accounts.models import Session
from moorage.config.settings import RoleSettings
from moorage.errors import Conflict, Forbidden, Unauthorized

HOME = ClientInfo("192.0.2.1", "pytest")


async def person(desk, role, name):
    user_id = await desk.user(name, role=role)
    return user_id, await desk.actor(name)


def limited(actor, *scopes, method=Method.API_KEY):
    return Actor(actor.user, Credential(method, 1, "key_1", frozenset(scopes)))


@pytest.mark.parametrize("method", [Method.API_KEY, Method.BEARER, Method.JWT])
async def test_a_limited_credential_makes_nobody_who_may_do_more(desk, method):
    administration = desk.accounts.administration
    with desk.db.activate():
        _, owner = await person(desk, "owner", "root")
        target = await desk.user("target")
        by = limited(owner, "core:user:*", method=method)
        for doing in (
            administration.create("made", password="another good battery", role="owner", by=by),
            administration.create("made", password="another good battery", role="viewer", by=by),
            administration.change(target, Changes(role="owner"), by=by),
            administration.change(target, Changes(role="admin"), by=by),
            administration.change(target, Changes(password="another good battery"), by=by),
            administration.change(target, Changes(email="mine@example.org"), by=by),
        ):
            with pytest.raises(RankRefused) as refused:
                await doing
            assert refused.value.reason == "role"
        assert await desk.accounts.find_user("made") is None
        assert not (await administration.change(target, Changes(active=False), by=by)).active
        wide = limited(owner, "core:*", "tmux:*", method=method)
        assert (await administration.create("made", password=None, role="admin", by=wide)).role == "admin"


async def test_without_plugins_roles_are_still_told_apart_by_their_place(desk):
    """What a plugin brings later belongs to the place, so nobody may give a higher one now."""
    desk.access.withdraw("tmux")
    desk.access.configure({"clerk": RoleSettings(includes="viewer", grants=["core:user:*", "core:key:*"])})
    administration = desk.accounts.administration
    with desk.db.activate():
        _, clerk = await person(desk, "clerk", "clerk")
        operator = await desk.user("operator", role="operator")
        target = await desk.user("target", role="viewer")
        assert desk.access.held_by_role("operator") <= desk.access.held_by_role("clerk")
        with pytest.raises(RankRefused):
            await administration.create("made", password=None, role="operator", by=clerk)
        with pytest.raises(RankRefused):
            await administration.change(target, Changes(role="operator"), by=clerk)
        with pytest.raises(RankRefused):
            await administration.change(operator, Changes(password="another good battery"), by=clerk)
        with pytest.raises(Forbidden, match="further"):
            await desk.accounts.create_key(operator, "theirs", by=clerk)


async def test_who_lost_the_right_meanwhile_does_not_use_it(desk):
    administration = desk.accounts.administration
    with desk.db.activate():
        _, owner = await person(desk, "owner", "root")
        demoted, stale = await person(desk, "admin", "ada")
        target = await desk.user("target", role="viewer")
        await administration.change(demoted, Changes(role="operator"), by=owner)
        for doing in (
            administration.create("made", password=None, role="viewer", by=stale),
            administration.change(target, Changes(active=False), by=stale),
            administration.change(target, Changes(name="Changed"), by=stale),
            administration.delete(target, by=stale),
        ):
            with pytest.raises(Forbidden, match="permission"):
                await doing
        assert (await desk.accounts.get_user(target)).active
        assert (await administration.change(demoted, Changes(name="Ada"), by=stale)).name == "Ada"


async def test_nobody_ends_keys_and_sessions_of_who_stands_higher(desk):
    accounts = desk.accounts
    with desk.db.activate():
        owner_id, owner = await person(desk, "owner", "root")
        _, admin = await person(desk, "admin", "ada")
        other_id, other = await person(desk, "admin", "bob")
        key, secret = await accounts.create_key(owner_id, "root's", by=owner)
        with pytest.raises(RankRefused):
            await accounts.revoke_key(key.id, by=admin)
        with pytest.raises(RankRefused):
            await accounts.revoke_session(owner.credential.id, by=admin)
        assert await accounts.authenticate(secret) is not None
        theirs, _ = await accounts.create_key(other_id, "bob's", by=other)
        await accounts.revoke_key(theirs.id, by=admin)
        assert await accounts.revoke_session(other.credential.id, by=admin)
        await accounts.revoke_key(key.id, by=owner)


async def test_what_a_device_was_lent_makes_nothing_that_outlives_it(desk):
    accounts = desk.accounts
    with desk.db.activate():
        user_id, actor = await person(desk, "operator", "ann")
        ends = desk.clock() + timedelta(hours=1)
        for credential in (
            replace(actor.credential, method=Method.BEARER, csrf=None, expires_at=ends),
            replace(actor.credential, method=Method.JWT, scopes=frozenset({"core:*"}), csrf=None, expires_at=ends),
        ):
            key, _ = await accounts.create_key(user_id, "copy", by=Actor(actor.user, credential))
            assert key.expires_at == ends
        key, _ = await accounts.create_key(user_id, "own", by=actor)
        assert key.expires_at is None


@pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)
async def test_a_user_who_goes_meanwhile_makes_no_key(desk):
    """The request began while the user was there."""
    accounts = desk.accounts
    with desk.db.activate():
        _, owner = await person(desk, "owner", "root")
        gone, actor = await person(desk, "admin", "ada")
        target = await desk.user("target")
        await accounts.delete_user(gone, by=owner)
        for owner_id in (gone, target):
            with pytest.raises(Unauthorized):
                await accounts.create_key(owner_id, "late", by=actor)
        demoted, stale = await person(desk, "admin", "bob")
        high = await desk.user("high", role="admin")
        await accounts.set_role(demoted, "operator", by=owner)
        with pytest.raises(Forbidden):
            await accounts.create_key(high, "late", by=stale)


async def test_keys_made_at_once_keep_the_bound(desk, monkeypatch):
    monkeypatch.setattr("moorage.accounts.keys.MAX_PER_USER", 3)
    accounts = desk.accounts
    with desk.db.activate():
        user_id, actor = await person(desk, "operator", "ann")
        made = await asyncio.gather(
            *(accounts.create_key(user_id, "one", by=actor) for _ in range(8)), return_exceptions=True
        )
        assert sorted(isinstance(one, Conflict) for one in made) == [False] * 3 + [True] * 5


async def test_a_device_sets_no_first_password(desk):
    """Somebody who signs in at a provider lends a device all rights; it must not make itself a way in that stays."""
    accounts = desk.accounts
    with desk.db.activate():
        _, actor = await person(desk, "operator", "ann")
        row = await Session.get(id=actor.credential.id)
        user = await row.user
        user.password_hash = None
        await user.save()
        await Session.filter(id=row.id).update(kind="bearer")
        device = Actor(actor.user, replace(actor.credential, method=Method.BEARER, csrf=None))
        with pytest.raises(Forbidden) as refused:
            await accounts.change_password(device, None, "another good battery", HOME)
        assert refused.value.error_code == "SESSION_REQUIRED"
        await Session.filter(id=row.id).update(kind="cookie")
        assert await accounts.change_password(actor, None, "another good battery", HOME)
