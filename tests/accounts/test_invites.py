"""Invites: who may make which, how they are kept, and when they hold."""

import hashlib
import re
from datetime import timedelta

import pytest
from invitations import BOTH, invite, register, with_key
from moorage.access import ANONYMOUS
from moorage.accounts import SYSTEM
from moorage.accounts.administration import Changes
from moorage.accounts.invites import InviteRefused
from moorage.accounts.models import Invite
from moorage.config.settings import RoleSettings
from moorage.context import RequestInfo, bind_request
from moorage.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Unauthorized,
    ValidationFailed,
)

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


async def test_codes_end_with_the_secret_and_links_do_not(desk, make_desk):
    with desk.db.activate():
        _, text = await invite(desk)
        link, token = await invite(desk, kind="link")
    other = await make_desk(desk.clock, secret_key="another secret of more than 32 characters")
    with other.db.activate():
        ((_, seen), _) = await other.accounts.invites.page()
        assert seen.code is None
        assert (await other.accounts.invites.check(text)).state == "not_found"
        assert (await other.accounts.invites.check(token)).id == link.id


async def test_a_short_code_is_not_guessed_from_the_database(desk):
    """Who reads a stolen database tries all short codes in an instant, unless the digest has a key."""
    with desk.db.activate():
        made, _ = await invite(desk, code="2030")
        row = await Invite.get(id=made.id)
        assert row.code_hash not in {hashlib.new(kind, b"2030").hexdigest() for kind in ("sha256", "sha3_256")}
        assert (await desk.accounts.invites.check("2030")).id == made.id


@pytest.mark.parametrize(
    ("viewer", "scopes", "role", "shown"),
    [
        ("owner", None, "admin", True),
        ("owner", {"core:invite:manage"}, "operator", False),
        ("admin", None, "admin", False),
        ("admin", None, "operator", True),
        ("inviter", None, "operator", False),
        ("inviter", None, "viewer", True),
    ],
)
async def test_nobody_is_shown_a_code_that_lets_in_above_them(desk, viewer, scopes, role, shown):
    """Otherwise who manages invites could take an administrator's for themselves."""
    desk.access.configure({"inviter": RoleSettings(includes="viewer", grants=["core:invite:manage"])})
    with desk.db.activate():
        made, text = await invite(desk, role=role)
        user = await desk.accounts.get_user(await desk.user("ann", role=viewer))
        bind_request(RequestInfo("", "", actor=with_key(user, frozenset(scopes) if scopes else None)))
        try:
            ((listed,), _) = await desk.accounts.invites.page()
            assert listed.code == (await desk.accounts.invites.get(made.pid)).code == (text if shown else None)
        finally:
            bind_request(RequestInfo("", ""))


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
            await invite(desk, by=with_key(user, frozenset({"core:invite:manage"})))
        await invite(desk, by=with_key(user, frozenset({"*"})))
        await invite(desk, by=with_key(user))


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
