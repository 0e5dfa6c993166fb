"""Who comes in by an invite: as a new user, or as one who gets a wider role."""

import asyncio
from datetime import timedelta

import pytest
from invitations import BOTH, PASSWORD, accept, invite, register, with_key
from moorage.access import ANONYMOUS
from moorage.accounts import SYSTEM
from moorage.accounts.administration import Changes
from moorage.accounts.invites import InviteRefused
from moorage.accounts.models import InviteUse, Session, User
from moorage.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    TooManyRequests,
    Unauthorized,
    ValidationFailed,
)
from moorage.events import Topic
from moorage.observe.models import AuditEvent
from waits import WAIT

# -- registration ---------------------------------------------------------------------------------------------


@BOTH
async def test_an_invite_makes_a_user_who_is_signed_in(desk):
    with desk.db.activate():
        made, text = await invite(desk, role="helper")
        login = await register(desk, text.lower(), "Neo", email="neo@example.org", name="Thomas")
        user = login.actor.user
        assert (user.username, user.email, user.name, user.role) == ("Neo", "neo@example.org", "Thomas", "helper")
        assert (await desk.accounts.authenticate(login.token)).user == user
        assert (await desk.login("neo")).actor.user == user
        seen = await desk.accounts.invites.get(made.id)
        assert (seen.used_count, seen.state) == (1, "exhausted")
        ((one,)) = await desk.accounts.invites.invited(made.id)
        assert (one.user.id, one.at) == (user.id, desk.clock())
        with pytest.raises(InviteRefused) as refused:
            await register(desk, text, "second")
        assert (refused.value.reason, refused.value.message) == ("exhausted", "Invite code has been fully used")
        assert await User.all().count() == 1


@BOTH
async def test_of_twenty_who_want_the_last_use_one_gets_it(desk):
    with desk.db.activate():
        made, text = await invite(desk, max_uses=3)
        done = await asyncio.gather(*(register(desk, text, f"new{n}") for n in range(20)), return_exceptions=True)
        refused = [one for one in done if isinstance(one, InviteRefused)]
        assert len(refused) == 17, done
        assert {one.reason for one in refused} == {"exhausted"}
        assert (await desk.accounts.invites.get(made.id)).used_count == 3
        assert await User.all().count() == await InviteUse.all().count() == await Session.all().count() == 3


@BOTH
async def test_what_fails_gives_the_use_back(desk):
    with desk.db.activate():
        await desk.user("taken", email="taken@example.org")
        made, text = await invite(desk)
        for error, wanted in (
            (Conflict, {"username": "TAKEN"}),
            (Conflict, {"username": "other", "email": "Taken@Example.org"}),
            (ValidationFailed, {"username": "no spaces"}),
            (ValidationFailed, {"username": "other", "password": "password123"}),
            (ValidationFailed, {"username": "other", "email": "nowhere"}),
        ):
            with pytest.raises(error):
                await register(desk, text, **wanted)
        seen = await desk.accounts.invites.get(made.id)
        assert (seen.used_count, seen.state) == (0, "valid")
        assert await User.all().count() == 1
        await register(desk, text)


async def test_nobody_learns_of_names_without_an_invite(desk):
    with desk.db.activate():
        await desk.user("taken")
        told = set()
        for username, password in (("taken", PASSWORD), ("free", PASSWORD), ("no spaces", "x"), ("taken", "x")):
            with pytest.raises(InviteRefused) as refused:
                await register(desk, "WRONG-CODE", username, password=password)
            told.add(refused.value.message)
        assert told == {"Invite code not found"}


@pytest.mark.parametrize(
    ("email", "names"),
    [
        ("ann.smith+news@example.org", ["ann.smithnews", "ann.smithnews2", "ann.smithnews3"]),
        ("_@example.org", ["user", "user2", "user3"]),
        ("Ｊosé@example.org", ["José", "José2", "José3"]),
        (f"{'x' * 64}@example.org", ["x" * 48, "x" * 48 + "2", "x" * 48 + "3"]),
    ],
)
async def test_a_username_is_made_of_the_address(desk, email, names):
    with desk.db.activate():
        _, text = await invite(desk, max_uses=None)
        made = []
        for number in range(3):
            local, _, domain = email.partition("@")
            login = await register(desk, text, None, email=f"{local}@{number}.{domain}")
            made.append(login.actor.user.username)
        assert made == names


@BOTH
async def test_made_up_names_do_not_collide_at_once(desk):
    with desk.db.activate():
        _, text = await invite(desk, max_uses=None)
        done = await asyncio.gather(*(register(desk, text, None, email=f"ann@{n}.example.org") for n in range(6)))
        assert len({login.actor.user.username for login in done}) == 6


@BOTH
@pytest.mark.parametrize("reason", ["revoked", "expired", "exhausted"])
async def test_every_reason_is_told_and_written_down(desk, reason):
    with desk.db.activate():
        made, text = await invite(desk, expires_at=desk.clock() + timedelta(hours=1))
        if reason == "revoked":
            assert await desk.accounts.invites.revoke(made.id, by=SYSTEM)
            assert not await desk.accounts.invites.revoke(made.id, by=SYSTEM)
        elif reason == "expired":
            desk.clock.turn(3600)
        else:
            await register(desk, text)
        with pytest.raises(InviteRefused) as refused:
            await register(desk, text, "late")
        assert refused.value.reason == reason
        assert isinstance(refused.value, BadRequest)
        # Also where the state changed after it was looked at.
        with pytest.raises(InviteRefused) as refused:
            async with desk.db.transaction():
                await desk.accounts.invites.take(text)
        assert refused.value.reason == reason
        last = await AuditEvent.filter(action="invite.refused").order_by("-id").first()
        assert (last.target, last.data) == (f"invite:{made.id}", {"reason": reason})


async def test_a_use_that_is_undone_is_given_back(desk):
    with desk.db.activate():
        made, text = await invite(desk)

        async def breaks_off():
            async with desk.db.transaction():
                assert (await desk.accounts.invites.take(text)).id == made.id
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await breaks_off()
        assert (await desk.accounts.invites.check(text)).state == "valid"


async def test_guessing_is_delayed_for_the_address(desk):
    with desk.db.activate():
        _, text = await invite(desk)
        for number in range(15):
            with pytest.raises(InviteRefused):
                await register(desk, f"GUESS-{number}")
        with pytest.raises(TooManyRequests) as delayed:
            await register(desk, text)
        assert delayed.value.retry_after >= 1
        assert await User.all().count() == 0
        desk.clock.turn(2)
        await register(desk, text)


async def test_the_session_of_the_same_browser_ends(desk):
    with desk.db.activate():
        await desk.user("ann")
        before = await desk.login("ann")
        _, text = await invite(desk)
        await register(desk, text, previous=before.actor)
        assert await desk.accounts.authenticate(before.token) is None


async def test_deleting_an_invite_leaves_its_users(desk):
    with desk.db.activate():
        made, text = await invite(desk)
        await register(desk, text)
        await desk.accounts.invites.delete(made.pid, by=SYSTEM)
        assert (await User.all().count(), await InviteUse.all().count()) == (1, 0)
        assert (await desk.accounts.invites.check(text)).state == "not_found"


async def test_all_of_it_is_written_down_without_codes(desk):
    with desk.db.activate():
        made, text = await invite(desk)
        link, token = await invite(desk, kind="link")
        login = await register(desk, text)
        await desk.accounts.invites.revoke(link.id, by=login.actor)
        await desk.accounts.invites.delete(made.id, by=login.actor)
        written = await desk.audit()
        assert written == [
            ("invite.created", f"invite:{made.id}"),
            ("invite.created", f"invite:{link.id}"),
            ("user.created", f"user:{login.actor.user.id}"),
            ("invite.redeemed", f"invite:{made.id}"),
            ("invite.revoked", f"invite:{link.id}"),
            ("invite.deleted", f"invite:{made.id}"),
        ]
        stored = "".join(str(row.data) for row in await AuditEvent.all())
        assert text not in stored
        assert token not in stored
        redeemed = await AuditEvent.get(action="invite.redeemed")
        assert (redeemed.actor, redeemed.data) == (login.actor.label, {"user_id": login.actor.user.id})


# -- accepted by users ----------------------------------------------------------------------------------------


@BOTH
async def test_a_role_grows_by_an_invite_and_the_session_is_a_fresh_one(desk):
    with desk.db.activate():
        user_id = await desk.user("vic", role="viewer")
        before = await desk.login("vic")
        made, text = await invite(desk, kind="link")
        role, login = await accept(desk, text, before.actor)
        assert role == "operator"
        assert login.actor.user.role == "operator"
        assert await desk.accounts.authenticate(before.token) is None
        assert (await desk.accounts.authenticate(login.token)).user.role == "operator"
        assert (Topic.USER_CHANGED, {"user_id": user_id}) in desk.events
        assert ("user.role_changed", f"user:{user_id}") in await desk.audit()
        assert (await desk.accounts.invites.get(made.id)).used_count == 1


@BOTH
@pytest.mark.parametrize("mine", ["operator", "admin", "owner"])
async def test_a_role_is_never_lowered_and_one_use_is_counted(desk, mine):
    with desk.db.activate():
        await desk.user("ann", role=mine)
        login = await desk.login("ann")
        made, text = await invite(desk, kind="link", role="viewer", max_uses=5)
        for _ in range(3):
            assert await accept(desk, text, login.actor) == (mine, None)
        assert (await desk.accounts.invites.get(made.id)).used_count == 1
        assert (await desk.accounts.authenticate(login.token)).user.role == mine


async def test_neither_role_above_the_other_changes_nothing(desk):
    with desk.db.activate():
        # "helper" may see terminals that are its own, as viewers do: the same rights under another name.
        await desk.user("ann", role="viewer")
        _, text = await invite(desk, role="helper")
        assert await accept(desk, text, await desk.actor()) == ("viewer", None)


async def test_who_came_in_by_it_is_told_the_role_of_now(desk):
    with desk.db.activate():
        made, text = await invite(desk, max_uses=1)
        login = await register(desk, text)
        assert await accept(desk, text, login.actor) == ("operator", None)
        await desk.accounts.invites.revoke(made.id, by=SYSTEM)
        await desk.accounts.administration.change(login.actor.user.id, Changes(role="viewer"), by=SYSTEM)
        assert await accept(desk, text, await desk.actor("new")) == ("viewer", None)


@BOTH
async def test_of_twenty_who_accept_one_gets_in_and_twenty_times_is_once(desk):
    with desk.db.activate():
        made, text = await invite(desk, kind="link")
        actors = []
        for number in range(20):
            await desk.user(f"vic{number}", role="viewer")
            actors.append(await desk.actor(f"vic{number}"))
        done = await asyncio.gather(*(accept(desk, text, actor) for actor in actors), return_exceptions=True)
        assert sum(isinstance(one, tuple) for one in done) == 1, done
        assert {one.reason for one in done if not isinstance(one, tuple)} == {"exhausted"}
        assert await User.filter(role="operator").count() == 1
        many, text = await invite(desk, kind="link", max_uses=None)
        loser = next(actor for actor, one in zip(actors, done, strict=True) if not isinstance(one, tuple))
        done = await asyncio.gather(*(accept(desk, text, loser) for _ in range(20)))
        assert {role for role, _ in done} == {"operator"}
        assert sum(login is not None for _, login in done) == 1
        assert (await desk.accounts.invites.get(many.id)).used_count == 1
        assert (await desk.accounts.invites.get(made.id)).used_count == 1


async def test_keys_accept_nothing(desk):
    with desk.db.activate():
        user = await desk.accounts.get_user(await desk.user("vic", role="viewer"))
        _, text = await invite(desk, kind="link")
        with pytest.raises(Forbidden):
            await accept(desk, text, with_key(user))
        with pytest.raises(Unauthorized):
            await accept(desk, text, ANONYMOUS)
        assert (await desk.accounts.invites.check(text)).used_count == 0


async def test_a_refused_acceptance_is_told_and_counted(desk):
    with desk.db.activate():
        await desk.user("vic", role="viewer")
        actor = await desk.actor("vic")
        for number in range(15):
            with pytest.raises(InviteRefused, match="not found"):
                await accept(desk, f"guess{number}", actor)
        with pytest.raises(TooManyRequests):
            await accept(desk, "guess", actor)


async def test_who_logged_out_in_the_same_moment_gets_no_session(desk):
    with desk.db.activate():
        user_id = await desk.user("vic", role="viewer")
        actor = await desk.actor("vic")
        made, text = await invite(desk, kind="link")
        await desk.accounts.logout(actor)
        with pytest.raises(Unauthorized):
            await accept(desk, text, actor)
        assert (await desk.accounts.get_user(user_id)).role == "viewer"
        assert (await desk.accounts.invites.get(made.id)).used_count == 0


@BOTH
async def test_makers_who_go_while_others_come_in_block_nobody(desk):
    with desk.db.activate():
        await desk.user("root", role="owner")
        work = []
        for number in range(6):
            maker = await desk.user(f"ada{number}", role="admin")
            await desk.user(f"vic{number}", role="viewer")
            _, text = await invite(desk, by=await desk.actor(f"ada{number}"), max_uses=9)
            work.append(register(desk, text, f"new{number}"))
            work.append(accept(desk, text, await desk.actor(f"vic{number}")))
            work.append(desk.accounts.administration.delete(maker, by=SYSTEM))
            work.append(desk.accounts.invites.revoke((await desk.accounts.invites.find(text)).id, by=SYSTEM))
        async with asyncio.timeout(WAIT):
            done = await asyncio.gather(*work, return_exceptions=True)
        odd = [one for one in done if isinstance(one, Exception) and not isinstance(one, InviteRefused)]
        assert not odd
        assert await desk.accounts.invites.stats() == (6, 0)
