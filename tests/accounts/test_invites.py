"""Invites: who may make which, who comes in by them, and how often."""

import asyncio
import re
from datetime import timedelta

import pytest
from moorage.access import ANONYMOUS, Actor
from moorage.access.actor import Credential, Method
from moorage.accounts import SYSTEM, ClientInfo
from moorage.accounts.administration import Changes
from moorage.accounts.invites import InviteRefused
from moorage.accounts.models import Invite, InviteUse, Session, User
from moorage.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    TooManyRequests,
    Unauthorized,
    ValidationFailed,
)
from moorage.events import Topic
from moorage.observe.models import AuditEvent

PASSWORD = "correct horse battery"
HOME = ClientInfo("192.0.2.1", "pytest")
BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)


async def invite(desk, by=SYSTEM, **more):
    """An invite for one operator, made at the command line."""
    wanted = {"kind": "code", "role": "operator", "max_uses": 1, "expires_at": None, "note": None, **more}
    return await desk.accounts.invites.create(by=by, **wanted)


async def register(desk, code, username="new", **more):
    wanted = {"password": PASSWORD, "email": None, "name": None, "client": HOME, **more}
    return await desk.accounts.registration.register(code, username=username, **wanted)


def acting(desk, user, scopes=None):
    return Actor(user, Credential(Method.API_KEY, 1, "key_1", scopes))


# -- made and shown -------------------------------------------------------------------------------------------


async def test_a_code_is_shown_again_and_a_token_is_not(desk):
    with desk.db.activate():
        code, text = await invite(desk, note="for Ann")
        link, token = await invite(desk, kind="link")
        assert re.fullmatch("[2-9A-HJ-NP-Z]{12}", text)
        assert re.fullmatch("[A-Za-z0-9_-]{22}", token)
        assert (code.code, code.note, code.state, code.created_by) == (text, "for Ann", "valid", None)
        assert re.fullmatch("inv_[A-Za-z0-9]{12}", code.pid)
        assert link.code is None
        assert await desk.accounts.invites.page() == ([link, code], 2)
        assert await desk.accounts.invites.get(code.id) == await desk.accounts.invites.get(code.pid) == code
        row = await Invite.get(id=code.id)
        assert text not in f"{row.code_hash}{row.code_sealed}"
        assert (await Invite.get(id=link.id)).code_sealed is None
        assert text not in repr(code)


async def test_a_code_that_was_sealed_with_another_secret_is_not_shown_but_holds(desk, make_desk):
    with desk.db.activate():
        _, text = await invite(desk)
    other = await make_desk(desk.clock, secret_key="another secret of more than 32 characters")
    with other.db.activate():
        ((seen,), _) = await other.accounts.invites.page()
        assert (seen.code, seen.state) == (None, "valid")
        assert (await other.accounts.invites.check(text)).id == seen.id


@pytest.mark.parametrize("typed", ["Team-2030", "team-2030", " TEAM-2030\n"])
async def test_codes_are_typed_in_any_case(desk, typed):
    with desk.db.activate():
        made, text = await invite(desk, code="Team-2030")
        assert made.code == text == "Team-2030"
        assert (await desk.accounts.invites.check(typed)).id == made.id


async def test_tokens_of_links_are_exact(desk):
    with desk.db.activate():
        _, token = await invite(desk, kind="link")
        assert (await desk.accounts.invites.check(token)).state == "valid"
        for near in (token.swapcase(), token + " ", token[:-1], ""):
            assert (await desk.accounts.invites.check(near)).state == "not_found"


@BOTH
async def test_a_taken_code_is_refused_however_it_is_spelled(desk):
    with desk.db.activate():
        made, _ = await invite(desk, code="Spring")
        await desk.accounts.invites.revoke(made.id, by=SYSTEM)
        with pytest.raises(Conflict, match="taken"):
            await invite(desk, code="SPRING")
        assert (await desk.accounts.invites.page())[1] == 1


@pytest.mark.parametrize(
    "code", ["", "abc", "x" * 65, "with space", "naïve", "a\x00bcd", "\ud800abcd", "tab\tbed", "ab\n"]
)
async def test_codes_of_ones_own_are_plain(desk, code):
    with desk.db.activate(), pytest.raises(ValidationFailed, match="code"):
        await invite(desk, code=code)


async def test_a_link_has_no_code_of_ones_own(desk):
    with desk.db.activate(), pytest.raises(ValidationFailed):
        await invite(desk, kind="link", code="guessable")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "owner"),
        ("role", "nobody"),
        ("role", ""),
        ("role", "a\x00"),
        ("max_uses", 0),
        ("max_uses", -1),
        ("max_uses", 1_000_001),
        ("note", "x" * 201),
        ("note", "two\nlines"),
        ("note", "\x1b[31m"),
        ("note", "\ud800"),
    ],
)
async def test_bad_fields_are_named(desk, field, value):
    with desk.db.activate():
        with pytest.raises(ValidationFailed) as refused:
            await invite(desk, **{field: value})
        assert refused.value.problems[0]["field"] == field
        assert await Invite.all().count() == 0


@pytest.mark.parametrize(("days", "good"), [(-1, False), (0, False), (1, True), (3650, True), (3651, False)])
async def test_an_end_lies_ahead_and_within_reach(desk, days, good):
    with desk.db.activate():
        at = desk.clock() + timedelta(days=days)
        if good:
            assert (await invite(desk, expires_at=at))[0].expires_at == at
        else:
            with pytest.raises(ValidationFailed, match="expires_at"):
                await invite(desk, expires_at=at)


async def test_a_batch_is_made_whole_or_not_at_all(desk):
    with desk.db.activate():
        more = {"role": "viewer", "max_uses": 2, "expires_at": None, "note": "fair", "by": SYSTEM}
        made = await desk.accounts.invites.create_batch(3, prefix="Fair", **more)
        assert len({one.code for one in made}) == 3
        assert all(re.fullmatch("Fair-[2-9A-HJ-NP-Z]{8}", one.code) for one in made)
        assert {(one.role, one.max_uses, one.note) for one in made} == {("viewer", 2, "fair")}
        (single,) = await desk.accounts.invites.create_batch(1, prefix=None, **more)
        assert re.fullmatch("[2-9A-HJ-NP-Z]{12}", single.code)
        for count, prefix in ((0, None), (101, None), (1, ""), (1, "x" * 33), (1, "a b"), (1, "a\x00")):
            with pytest.raises(ValidationFailed):
                await desk.accounts.invites.create_batch(count, prefix=prefix, **more)
        assert await desk.accounts.invites.stats() == (4, 4)


@BOTH
async def test_lists_can_be_narrowed(desk):
    with desk.db.activate():
        await desk.user("ada", role="admin")
        await desk.user("olaf", role="owner")
        ada, olaf = await desk.actor("ada"), await desk.actor("olaf")
        mine, _ = await invite(desk, by=ada)
        spent, text = await invite(desk, by=olaf)
        late, _ = await invite(desk, expires_at=desk.clock() + timedelta(hours=1))
        gone, _ = await invite(desk)
        free, _ = await invite(desk, max_uses=None, by=olaf)
        admins, _ = await invite(desk, role="admin", by=olaf)
        await register(desk, text)
        desk.clock.turn(3600)
        await desk.accounts.invites.revoke(gone.pid, by=SYSTEM)
        invites = desk.accounts.invites

        async def listed(**wanted):
            rows, total = await invites.page(**wanted)
            assert len(rows) == total
            assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=True)
            return {row.id: row.state for row in rows}

        valid = {mine.id: "valid", free.id: "valid", admins.id: "valid"}
        invalid = {spent.id: "exhausted", late.id: "expired", gone.id: "revoked"}
        assert await listed(valid=True) == valid
        assert await listed(valid=False) == invalid
        assert await listed() == valid | invalid
        assert await listed(created_by=ada.user.pid) == {mine.id: "valid"}
        assert await listed(created_by=olaf.user.pid, valid=False) == {spent.id: "exhausted"}
        for nobody in ("user_nobody", "x" * 99, "a\x00"):
            assert await listed(created_by=nobody) == {}
        assert await invites.stats() == (6, 3)
        rows, total = await invites.page(offset=1, limit=2)
        assert ([row.id for row in rows], total) == ([free.id, gone.id], 6)
        # The condition of the query and the state of a row are one rule, also when makers change.
        await desk.user("otto", role="owner")
        await desk.accounts.administration.change(olaf.user.id, Changes(role="admin"), by=SYSTEM)
        await desk.accounts.administration.change(ada.user.id, Changes(active=False), by=SYSTEM)
        assert await listed(valid=True) == {free.id: "valid"}
        assert (await listed(valid=False)).keys() == invalid.keys() | {mine.id, admins.id}


@pytest.mark.parametrize("key", ["inv_nothing", "", "x" * 99, "a\x00", "\ud800", 0, 99])
async def test_what_is_not_there_is_not_found(desk, key):
    with desk.db.activate():
        for work in (desk.accounts.invites.get, desk.accounts.invites.revoke, desk.accounts.invites.delete):
            with pytest.raises(NotFound, match="Invite not found"):
                await work(key)


# -- the cap --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("maker", "role", "good"),
    [
        ("owner", "admin", True),
        ("owner", "super", True),
        ("owner", "viewer", True),
        ("admin", "operator", True),
        ("admin", "viewer", True),
        ("admin", "helper", True),
        ("admin", "admin", False),
        ("admin", "super", False),
        ("operator", "viewer", False),
        ("viewer", "viewer", False),
    ],
)
async def test_nobody_invites_above_themselves(desk, maker, role, good):
    with desk.db.activate():
        await desk.user("ann", role=maker)
        actor = await desk.actor()
        if good:
            assert (await invite(desk, by=actor, role=role))[0].created_by == actor.user
        else:
            with pytest.raises(Forbidden):
                await invite(desk, by=actor, role=role)


async def test_nobody_at_all_invites_nobody(desk):
    with desk.db.activate(), pytest.raises(Unauthorized):
        await invite(desk, by=ANONYMOUS)


async def test_a_key_invites_no_further_than_its_scopes(desk):
    with desk.db.activate():
        user = await desk.accounts.get_user(await desk.user("ann", role="owner"))
        with pytest.raises(Forbidden, match="key in use"):
            await invite(desk, by=acting(desk, user, frozenset({"core:invite:manage"})))
        await invite(desk, by=acting(desk, user, frozenset({"*"})))
        await invite(desk, by=acting(desk, user))


@BOTH
@pytest.mark.parametrize("change", [{"role": "operator"}, {"active": False}])
async def test_an_invite_holds_only_while_its_maker_could_make_it(desk, change):
    with desk.db.activate():
        await desk.user("root", role="owner")
        ada = await desk.user("ada", role="admin")
        made, text = await invite(desk, by=await desk.actor("ada"))
        await desk.accounts.administration.change(ada, Changes(**change), by=SYSTEM)
        assert (await desk.accounts.invites.get(made.id)).state == "revoked"
        with pytest.raises(InviteRefused, match="revoked"):
            await register(desk, text)
        await desk.accounts.administration.change(ada, Changes(role="admin", active=True), by=SYSTEM)
        assert (await register(desk, text)).actor.user.role == "operator"


@BOTH
async def test_the_invites_of_a_deleted_user_end(desk):
    with desk.db.activate():
        await desk.user("root", role="owner")
        ada = await desk.user("ada", role="admin")
        made, text = await invite(desk, by=await desk.actor("ada"))
        await desk.accounts.administration.delete(ada, by=SYSTEM)
        seen = await desk.accounts.invites.get(made.id)
        assert (seen.state, seen.created_by) == ("revoked", None)
        with pytest.raises(InviteRefused):
            await register(desk, text)


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


async def accept(desk, text, actor):
    return await desk.accounts.registration.accept(text, actor, HOME)


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
            await accept(desk, text, acting(desk, user))
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
        async with asyncio.timeout(30):
            done = await asyncio.gather(*work, return_exceptions=True)
        odd = [one for one in done if isinstance(one, Exception) and not isinstance(one, InviteRefused)]
        assert not odd
        assert await desk.accounts.invites.stats() == (6, 0)
