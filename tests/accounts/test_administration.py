"""What one user may do to another: ranks by rights, all of a change or nothing, and deletion that leaves nothing."""

import asyncio
import itertools

import pytest
from moorage.access import ANONYMOUS, Actor
from moorage.access.ranks import RankRefused
from moorage.accounts import SYSTEM
from moorage.accounts.administration import UNSET, Changes
from moorage.accounts.models import ApiKey, Identity, Invite, RefreshToken, Session, User
from moorage.accounts.users import Wanted
from moorage.config.settings import RoleSettings
from moorage.context import RequestInfo, bind_request
from moorage.errors import Conflict, NotFound, Unauthorized, ValidationFailed
from moorage.events import Topic
from moorage.observe.models import AuditEvent

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)
NUMBERS = itertools.count(1)


@pytest.fixture
def administration(desk):
    return desk.accounts.administration


async def person(desk, role, name=None):
    """The id and the actor of a new user."""
    name = name or f"{role}{next(NUMBERS)}"
    user_id = await desk.user(name, role=role)
    return user_id, await desk.actor(name)


async def reason(doing):
    with pytest.raises(RankRefused) as refused:
        await doing
    assert refused.value.details == {"reason": refused.value.reason}
    return refused.value.reason


def others(administration, target, by):
    """Every change that is for somebody else to do, and deletion last."""
    for changes in (
        Changes(role="viewer"),
        Changes(active=False),
        Changes(password="another good battery"),
        Changes(username="renamed"),
        Changes(email="new@example.org"),
        Changes(nexusgate_user_id="abc"),
        Changes(name="Renamed", role="viewer"),
    ):
        yield administration.change(target, changes, by=by)
    yield administration.delete(target, by=by)


# -- ranks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actor", "target", "expected"),
    [
        ("owner", "owner", None),
        ("owner", "admin", None),
        ("owner", "super", None),
        ("owner", "viewer", None),
        ("admin", "owner", "owner"),
        ("admin", "admin", "peer"),
        ("admin", "super", "peer"),  # It holds all that an administrator holds.
        ("admin", "operator", None),
        ("admin", "helper", None),
        ("super", "owner", "owner"),
        ("super", "admin", "peer"),
        ("super", "viewer", None),
        ("operator", "admin", "peer"),
        ("operator", "operator", "peer"),
        ("operator", "viewer", None),  # Whether an operator comes this far is the permission's affair.
        ("viewer", "operator", "peer"),
        ("viewer", "viewer", "peer"),
        ("viewer", "helper", "peer"),
    ],
)
async def test_whom_one_may_change(desk, administration, actor, target, expected):
    with desk.db.activate():
        await desk.user("root", role="owner")
        _, by = await person(desk, actor, "actor")
        target_id, target_actor = await person(desk, target, "target")
        for doing in others(administration, target_id, by):
            if expected is not None:
                assert await reason(doing) == expected
            else:
                doing.close()
        row = await User.get(id=target_id)
        assert (row.role, row.username, row.active) == (target, "target", True)
        if expected is None:
            await administration.change(target_id, Changes(name="Changed"), by=by)
            await administration.delete(target_id, by=by)
            assert await desk.accounts.get_user(target_id) is None
        else:
            assert await reason(administration.change(target_id, Changes(name="Changed"), by=by)) == expected
            assert await desk.accounts.revalidate([target_actor]) == []


@pytest.mark.parametrize(
    ("actor", "role", "allowed"),
    [
        ("owner", "owner", True),
        ("owner", "admin", True),
        ("owner", "super", True),
        ("admin", "owner", False),
        ("admin", "admin", True),
        ("admin", "helper", True),
        ("super", "owner", False),
        ("super", "admin", True),
        ("operator", "admin", False),
        ("operator", "super", False),
        ("operator", "operator", True),
        ("operator", "helper", True),
    ],
)
async def test_which_roles_one_may_give(desk, administration, actor, role, allowed):
    with desk.db.activate():
        _, by = await person(desk, actor, "actor")
        target = await desk.user("target", role="viewer")
        if allowed:
            assert (await administration.change(target, Changes(role=role), by=by)).role == role
            assert (await administration.create("made", password=None, role=role, by=by)).role == role
        else:
            assert await reason(administration.change(target, Changes(role=role), by=by)) == "role"
            assert await reason(administration.create("made", password=None, role=role, by=by)) == "role"
            assert (await desk.accounts.get_user(target)).role == "viewer"
            assert await desk.accounts.find_user("made") is None


async def test_rights_are_compared_as_they_are_configured(desk, administration):
    with desk.db.activate():
        _, by = await person(desk, "admin", "actor")
        target, _ = await person(desk, "super", "target")
        assert await reason(administration.change(target, Changes(role="viewer"), by=by)) == "peer"
        desk.access.configure({"super": RoleSettings(includes="operator")})
        assert (await administration.change(target, Changes(role="viewer"), by=by)).role == "viewer"


@pytest.mark.parametrize("role", ["owner", "admin", "viewer"])
async def test_oneself_one_may_change_but_for_the_place(desk, administration, role):
    with desk.db.activate():
        await desk.user("root", role="owner")
        own, actor = await person(desk, role, "self")
        for doing in others(administration, own, actor):
            assert await reason(doing) == "self"
        changes = Changes(name="New", avatar_url="https://example.org/a.png", settings="{}")
        user = await administration.change(own, changes, by=actor)
        assert (user.name, user.avatar_url, user.role) == ("New", "https://example.org/a.png", role)
        assert await desk.accounts.authenticate((await desk.login("self")).token)


@BOTH
async def test_who_has_a_role_that_cannot_be_stored_is_nobody(desk):
    with desk.db.activate():
        await person(desk, "viewer")
        for wanted in (Wanted(roles=["\x00"]), Wanted(roles=["a\x00", "\ud800"]), Wanted(search="\x00")):
            assert await desk.accounts.users.page(wanted, offset=0, limit=5) == ([], 0)
        found, _ = await desk.accounts.users.page(Wanted(roles=["\x00", "viewer"]), offset=0, limit=5)
        assert found


@BOTH
async def test_the_role_that_counts_is_the_one_of_the_moment(desk, administration):
    """An actor of a request that began before the actor was demoted, disabled or deleted."""
    with desk.db.activate():
        root, root_actor = await person(desk, "owner", "root")
        target = await desk.user("target")
        for end, expected in (
            (lambda user: administration.change(user, Changes(role="viewer"), by=root_actor), RankRefused),
            (lambda user: administration.change(user, Changes(active=False), by=root_actor), Unauthorized),
            (lambda user: administration.delete(user, by=root_actor), Unauthorized),
        ):
            boss, stale = await person(desk, "owner")
            await end(boss)
            for doing in others(administration, target, stale):
                with pytest.raises(expected):
                    await doing
        assert (await desk.accounts.get_user(target)).username == "target"
        assert (await desk.accounts.get_user(root)).role == "owner"


async def test_nobody_in_particular_may_do_nothing(desk, administration):
    with desk.db.activate():
        target = await desk.user("target")
        for by in (ANONYMOUS, Actor()):
            for doing in others(administration, target, by):
                with pytest.raises(Unauthorized):
                    await doing
            with pytest.raises(Unauthorized):
                await administration.create("made", password=None, by=by)


async def test_the_actor_is_the_one_of_the_request_if_none_is_named(desk, administration):
    with desk.db.activate():
        _, boss = await person(desk, "admin", "boss")
        target = await desk.user("target")
        with pytest.raises(Unauthorized):
            await administration.delete(target)
        bind_request(RequestInfo("req-1", "192.0.2.7", actor=boss))
        try:
            await administration.change(target, Changes(active=False))
            assert await reason(administration.delete(boss.user.id)) == "self"
        finally:
            bind_request(RequestInfo("", ""))
        row = await AuditEvent.get(action="user.disabled")
        assert (row.actor, row.target, row.request_id) == (boss.user.pid, f"user:{target}", "req-1")


async def test_the_operator_may_do_all_but_lose_the_last_owner(desk, administration):
    with desk.db.activate():
        first, second = await desk.user("one", role="owner"), await desk.user("two", role="owner")
        await administration.change(second, Changes(role="viewer", active=False, username="deux"), by=SYSTEM)
        for doing in (
            administration.change(first, Changes(role="admin"), by=SYSTEM),
            administration.change(first, Changes(active=False), by=SYSTEM),
            administration.delete(first, by=SYSTEM),
        ):
            with pytest.raises(Conflict) as refused:
                await doing
            assert refused.value.error_code == "LAST_OWNER"
        await administration.change(first, Changes(role="owner", active=True, name="Still"), by=SYSTEM)
        await administration.delete(second, by=SYSTEM)


# -- all or nothing ---------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"username": "TAKEN"}, Conflict),
        ({"username": "\uff54aken"}, Conflict),
        ({"email": "Taken@EXAMPLE.org"}, Conflict),
        ({"nexusgate_user_id": "taken-1"}, Conflict),
        ({"username": "a b"}, ValidationFailed),
        ({"email": "nonsense"}, ValidationFailed),
        ({"name": ""}, ValidationFailed),
        ({"avatar_url": "javascript:alert(1)"}, ValidationFailed),
        ({"avatar_url": "https://"}, ValidationFailed),
        ({"avatar_url": "https://example.org/\x00"}, ValidationFailed),
        ({"settings": "x" * 65_537}, ValidationFailed),
        ({"settings": "\ud800"}, ValidationFailed),
        ({"nexusgate_user_id": "a b"}, ValidationFailed),
        ({"role": "king"}, ValidationFailed),
        ({"role": "owner"}, RankRefused),
        ({"password": "short"}, ValidationFailed),
    ],
)
async def test_one_wrong_field_and_nothing_is_changed(desk, administration, wrong, error):
    with desk.db.activate():
        _, boss = await person(desk, "admin", "boss")
        taken = await desk.user("taken", email="taken@example.org")
        await administration.change(taken, Changes(nexusgate_user_id="taken-1"), by=SYSTEM)
        target = await desk.user("target", email="target@example.org", role="viewer")
        login = await desk.login("target")
        before, written = await User.filter(id=target).values(), await desk.audit()
        desk.events.clear()
        right = {"username": "fresh", "name": "Fresh", "active": False, "role": "operator"}
        with pytest.raises(error):
            await administration.change(target, Changes(**{**right, **wrong}), by=boss)
        assert await User.filter(id=target).values() == before
        assert await desk.accounts.authenticate(login.token)
        assert desk.events == []
        assert await desk.audit() == written


async def test_all_that_is_given_is_changed_at_once(desk, administration):
    with desk.db.activate():
        _, boss = await person(desk, "admin", "boss")
        target = await desk.user("target", email="target@example.org", role="viewer")
        changes = Changes(
            username="Fresh",
            name="Fresh One",
            email=None,
            avatar_url="http://example.org/a",
            settings="{}",
            nexusgate_user_id="abc-1",
            role="operator",
            active=False,
            password="another good battery",
        )
        user = await administration.change(target, changes, by=boss)
        assert (user.username, user.name, user.email, user.role, user.active) == (
            "Fresh",
            "Fresh One",
            None,
            "operator",
            False,
        )
        details = await desk.accounts.users.details(target)
        assert (details.settings, details.nexusgate_user_id) == ("{}", "abc-1")
        said = [action for action, on in await desk.audit() if on == f"user:{target}"]
        assert said[1:] == ["user.role_changed", "user.disabled", "user.password_changed", "user.updated"]
        updated = await AuditEvent.get(action="user.updated")
        assert updated.data == {"fields": ["avatar_url", "email", "name", "nexusgate_user_id", "settings", "username"]}
        assert "another good battery" not in str([row.data for row in await AuditEvent.all()])
        await administration.change(target, Changes(active=True), by=boss)
        assert await desk.login("fresh", "another good battery")


async def test_what_is_as_it_was_is_no_change(desk, administration):
    with desk.db.activate():
        target = await desk.user("target", email="target@example.org")
        login, written = await desk.login("target"), len(await desk.audit())
        same = Changes(username="target", email="target@example.org", role="operator", active=True)
        for changes in (same, Changes()):
            await administration.change(target, changes, by=SYSTEM)
        assert desk.events == []
        assert len(await desk.audit()) == written
        assert await desk.accounts.authenticate(login.token)
        assert Changes().given() == {}
        assert repr(UNSET) == "UNSET"


async def test_a_name_may_be_spelled_anew(desk, administration):
    with desk.db.activate():
        target = await desk.user("target")
        assert (await administration.change(target, Changes(username="TARGET"), by=SYSTEM)).username == "TARGET"


@BOTH
async def test_of_many_who_take_one_name_at_once_one_gets_it(desk, administration):
    with desk.db.activate():
        users = [await desk.user(f"user{n}") for n in range(5)]
        done = await asyncio.gather(
            *(administration.change(one, Changes(username="wanted"), by=SYSTEM) for one in users),
            return_exceptions=True,
        )
        assert sum(isinstance(one, Conflict) for one in done) == 4
        assert await User.filter(username_key="wanted").count() == 1


# -- deletion -----------------------------------------------------------------------------------------------------


@BOTH
async def test_deletion_takes_everything_but_the_audit_log(desk, administration):
    with desk.db.activate():
        await desk.user("root", role="owner")
        target, actor = await person(desk, "admin", "target")
        other, other_actor = await person(desk, "viewer", "other")
        keys = {}
        for user_id, by in ((target, actor), (other, other_actor)):
            info, keys[user_id] = await desk.accounts.create_key(user_id, "k", by=by)
            assert info.user_id == user_id
            now = desk.clock()
            await Identity.create(
                pid=f"i{user_id}", user_id=user_id, provider="p", subject=str(user_id), created_at=now
            )
            await RefreshToken.create(
                token_hash=str(user_id) * 32, session_id=by.credential.id, created_at=now, expires_at=now
            )
        await desk.accounts.invites.create(kind="code", role="viewer", max_uses=1, expires_at=None, note=None, by=actor)
        login = await desk.login("target")
        told = []
        desk.bus.subscribe(Topic.USER_DELETED, told.append)
        await administration.delete(target, by=SYSTEM)
        await desk.bus.close()

        assert [(data["user_id"]) for data in told] == [target]
        for model in (Session, ApiKey, Identity):
            assert await model.filter(user_id=target).count() == 0
            assert await model.filter(user_id=other).count() >= 1
        assert await RefreshToken.all().count() == 1
        invite = await Invite.get()
        assert (invite.created_by_id, invite.revoked_at) == (None, desk.clock())
        for token in (login.token, keys[target]):
            assert await desk.accounts.authenticate(token) is None
        assert await desk.accounts.authenticate(keys[other])
        assert [now for _, now in await desk.accounts.revalidate([actor, login.actor])] == [None, None]
        row = await AuditEvent.get(action="user.deleted")
        assert (row.target, row.data) == (f"user:{target}", {"username": "target", "role": "admin"})
        assert await AuditEvent.filter(actor_id=target).exists(), "what they did stays written down"
        with pytest.raises(NotFound):
            await administration.delete(target, by=SYSTEM)
        assert await desk.user("target") != target, "the name is free; the number is not given again"


@BOTH
async def test_what_is_refused_is_told_to_nobody(desk, administration):
    with desk.db.activate():
        root = await desk.user("root", role="owner")
        told = []
        desk.bus.subscribe(Topic.USER_DELETED, told.append)
        with pytest.raises(Conflict):
            await administration.delete(root, by=SYSTEM)
        await desk.bus.close()
        assert told == []
        assert ("user.deleted", f"user:{root}") not in await desk.audit()


@BOTH
async def test_of_owners_who_delete_each_other_at_once_one_stays(desk, administration):
    with desk.db.activate():
        for _ in range(3):
            first, second = await person(desk, "owner"), await person(desk, "owner")
            for spare in await User.filter(role="owner").exclude(id__in=[first[0], second[0]]):
                await administration.change(spare.id, Changes(role="viewer"), by=SYSTEM)
            done = await asyncio.gather(
                administration.delete(first[0], by=second[1]),
                administration.change(second[0], Changes(role="viewer"), by=first[1]),
                return_exceptions=True,
            )
            assert sum(isinstance(one, Exception) for one in done) == 1, done
            assert await User.filter(role="owner", active=True).count() == 1
