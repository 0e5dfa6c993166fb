"""Users: unique however they are spelled, always one owner, every change told and written down."""

import asyncio

import pytest
from moorage.access import Actor
from moorage.accounts import SYSTEM
from moorage.accounts.models import User
from moorage.context import RequestInfo, bind_request
from moorage.errors import Conflict, NotFound, ValidationFailed
from moorage.events import Topic
from moorage.observe.models import AuditEvent

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)


@BOTH
@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (("ann", None), ("ANN", None), "USERNAME_EXISTS"),
        (("ann", None), ("Ａｎｎ", None), "USERNAME_EXISTS"),
        (("straße", None), ("STRASSE", None), "USERNAME_EXISTS"),
        (("ann", "ann@example.org"), ("bob", "Ann@EXAMPLE.org"), "EMAIL_EXISTS"),
    ],
)
async def test_names_are_unique_however_they_are_spelled(desk, first, second, code):
    with desk.db.activate():
        await desk.user(first[0], email=first[1])
        with pytest.raises(Conflict) as refused:
            await desk.user(second[0], email=second[1])
        assert refused.value.error_code == code
        assert await desk.accounts.count_users() == 1


@BOTH
async def test_of_many_who_want_one_name_at_once_one_gets_it(desk):
    with desk.db.activate():
        made = await asyncio.gather(*(desk.user("Ann") for _ in range(8)), return_exceptions=True)
        assert sum(isinstance(one, int) for one in made) == 1
        assert sum(isinstance(one, Conflict) for one in made) == 7


async def test_a_user_as_others_see_it(desk):
    with desk.db.activate():
        user_id = await desk.user("Ann", email="ann@example.org", role="admin", name="Ann Smith")
        user = await desk.accounts.get_user(user_id)
        assert (user.username, user.name, user.email, user.role, user.active) == (
            "Ann",
            "Ann Smith",
            "ann@example.org",
            "admin",
            True,
        )
        assert user.pid.startswith("user_")
        assert user.created_at == desk.clock()
        for login in ("ann", "ANN@example.ORG"):
            assert await desk.accounts.find_user(login) == user
        for login in ("", "nobody", "user_", user.pid, "a\x00", "x" * 9999):
            assert await desk.accounts.find_user(login) is None
        assert await desk.accounts.get_user(user_id + 1) is None
        bob = await desk.user("bob")
        assert await desk.accounts.list_users() == ([user, await desk.accounts.get_user(bob)], 2)
        assert [u.id for u in (await desk.accounts.list_users(offset=1))[0]] == [bob]


@pytest.mark.parametrize(
    "wrong",
    [
        {"username": "a b"},
        {"email": "nonsense"},
        {"role": "king"},
        {"role": ""},
        {"name": "\x00"},
        {"password": "short"},
        {"username": "annemarie", "password": "AnneMarie"},
    ],
)
async def test_wrong_fields_make_no_user(desk, wrong):
    with desk.db.activate():
        fields = {"username": "ann", "password": "correct horse battery", **wrong}
        with pytest.raises(ValidationFailed) as refused:
            await desk.accounts.create_user(fields.pop("username"), by=SYSTEM, **fields)
        assert refused.value.problems
        assert await desk.accounts.count_users() == 0


async def test_roles_of_the_configuration_count(desk):
    with desk.db.activate():
        user_id = await desk.user(role="helper")
        await desk.accounts.set_role(user_id, "super", by=SYSTEM)
        with pytest.raises(ValidationFailed) as refused:
            await desk.accounts.set_role(user_id, "king", by=SYSTEM)
        assert "helper" in refused.value.message


@BOTH
@pytest.mark.parametrize("change", ["demote", "disable", "both"])
async def test_one_owner_always_remains(desk, change):
    with desk.db.activate():
        owners = [await desk.user(f"owner{n}", role="owner") for n in range(4)]
        idle = await desk.user("idle", role="owner")
        await desk.accounts.set_active(idle, False, by=SYSTEM)

        def take(number, user_id):
            if change == "demote" or (change == "both" and number % 2):
                return desk.accounts.set_role(user_id, "admin", by=SYSTEM)
            return desk.accounts.set_active(user_id, False, by=SYSTEM)

        done = await asyncio.gather(*(take(n, user_id) for n, user_id in enumerate(owners)), return_exceptions=True)
        refused = [one for one in done if isinstance(one, Exception)]
        assert [(type(one), one.error_code) for one in refused] == [(Conflict, "LAST_OWNER")]
        assert await User.filter(role="owner", active=True).count() == 1


async def test_the_last_owner_may_stay_what_he_is(desk):
    with desk.db.activate():
        user_id = await desk.user(role="owner")
        await desk.user("other", role="admin")
        await desk.accounts.set_role(user_id, "owner", by=SYSTEM)
        await desk.accounts.set_active(user_id, True, by=SYSTEM)
        assert desk.events == [], "nothing changed, so nothing is told"


async def test_changes_need_a_user(desk):
    with desk.db.activate():
        for change in (
            desk.accounts.set_role(7, "admin", by=SYSTEM),
            desk.accounts.set_active(7, False, by=SYSTEM),
            desk.accounts.set_password(7, "correct horse battery", by=SYSTEM),
            desk.accounts.delete_user(7, by=SYSTEM),
        ):
            with pytest.raises(NotFound):
                await change
        assert await desk.accounts.revoke_all(7) == 0


async def test_a_new_password_must_be_one(desk):
    with desk.db.activate():
        user_id = await desk.user(email="long.address@example.org")
        login = await desk.login()
        for password in ("short", "password123", "long.address", "x" * 2000):
            with pytest.raises(ValidationFailed):
                await desk.accounts.set_password(user_id, password, by=SYSTEM)
        assert await desk.accounts.authenticate(login.token), "a refused change ends no session"


async def test_everything_is_told_and_written_down(desk):
    with desk.db.activate():
        owner = await desk.user("root", role="owner")
        actor = await desk.actor("root")
        desk.events.clear()
        bind_request(RequestInfo("req-1", "203.0.113.9", user_agent="tests/1\nX", actor=actor))
        try:
            user_id = (await desk.accounts.create_user("ann", password="correct horse battery")).id
            await desk.accounts.set_role(user_id, "viewer")
            key, secret = await desk.accounts.create_key(user_id, "robot")
            await desk.accounts.revoke_key(key.id)
            login = await desk.login()
            await desk.accounts.set_password(user_id, "another battery")
            await desk.accounts.set_active(user_id, False)
        finally:
            bind_request(RequestInfo("", ""))
        rows = await AuditEvent.filter(request_id="req-1").order_by("id")
        assert [(row.action, row.target, row.actor_id, row.address) for row in rows] == [
            (action, target, who, "203.0.113.9")
            for action, target, who in (
                ("user.created", f"user:{user_id}", owner),
                ("user.role_changed", f"user:{user_id}", owner),
                ("key.created", f"api_key:{key.id}", owner),
                ("key.revoked", f"api_key:{key.id}", owner),
                ("login.succeeded", f"user:{user_id}", user_id),
                ("user.password_changed", f"user:{user_id}", owner),
                ("user.disabled", f"user:{user_id}", owner),
            )
        ]
        assert rows[1].data == {"before": "operator", "role": "viewer"}
        everything = repr([dict(row) for row in await AuditEvent.all()])
        for told in (secret, secret.split("_", 2)[2], login.token, "correct horse", "another battery"):
            assert told not in everything
        assert desk.events == [
            (Topic.USER_CHANGED, {"user_id": user_id}),
            (Topic.CREDENTIAL_REVOKED, {"method": "api_key", "id": key.id, "user_id": user_id}),
            (Topic.CREDENTIAL_REVOKED, {"method": "session", "id": login.actor.credential.id, "user_id": user_id}),
            (Topic.USER_CHANGED, {"user_id": user_id}),
            (Topic.USER_CHANGED, {"user_id": user_id}),
        ]


async def test_what_cannot_be_written_down_is_not_done(desk, monkeypatch):
    with desk.db.activate():
        user_id = await desk.user()
        login = await desk.login()

        async def broken(*args, **kwargs):
            raise RuntimeError("the disk is full")

        monkeypatch.setattr(desk.accounts._shared.audit, "write", broken)
        for change in (
            desk.accounts.set_active(user_id, False, by=SYSTEM),
            desk.accounts.set_role(user_id, "owner", by=SYSTEM),
            desk.accounts.create_key(user_id, "robot", by=SYSTEM),
            desk.accounts.logout(login.actor),
            desk.login(),
            desk.user("bob"),
        ):
            with pytest.raises(RuntimeError):
                await change
        monkeypatch.undo()
        assert desk.events == []
        assert (await desk.accounts.authenticate(login.token)) == login.actor
        assert (await desk.accounts.list_keys())[1] == 0
        assert await desk.accounts.count_users() == 1


def test_the_system_is_nobody():
    assert isinstance(SYSTEM, Actor)
    assert not SYSTEM.authenticated
