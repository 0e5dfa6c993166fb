"""Claims as leases: whose, until when, and what ends them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from moorage.api import Actor, Forbidden, NotFound, TaskSupervisor, UserInfo
from moorage_tmux.background import Background
from moorage_tmux.claims import Claim, Claims
from moorage_tmux.sessions import SessionInfo
from owntime import own_time
from terminals import Client
from waits import WAIT

ROLES = {
    "viewer": {"tmux:session:view"},
    "operator": {"tmux:session:view", "tmux:session:claim"},
    "admin": {"tmux:session:view", "tmux:session:claim", "tmux:claim:override"},
}
MAIN = SessionInfo("1:2:$0", "$0", "main", 1, datetime.now(UTC), False)


def actor(number, role):
    name = f"{role}{number}"
    return Actor(UserInfo(number, f"user_{name}", name, name, None, role, None, True, datetime.now(UTC)))


class World:
    """All that claims talk to, and what they said."""

    def __init__(self, **seconds):
        self.said, self.stored = [], {}
        background = Background(TaskSupervisor("test"))
        background.open()
        times = {"lease": 100.0, "warning": 0.0, "grace": 100.0} | seconds
        self.claims = Claims(**times, access=self, background=background, store=self, told=self)

    def can(self, who, permission):
        return who.user is not None and permission in ROLES[who.user.role]

    def save(self, claim):
        self.stored[claim.key] = (claim.user.id, claim.expires_at)

    def delete(self, key):
        del self.stored[key]

    def claimed(self, claim, reason, previous=None):
        self.said.append(("claimed", claim.user.username))

    def released(self, claim, reason):
        self.said.append((reason, claim.user.username))

    def expiring(self, claim, seconds):
        self.said.append(("expiring", seconds))

    def record(self, action, who, claim, data):
        self.said.append((action, who.user.username if who else None))

    def told(self):
        said, self.said = self.said, []
        return [what for what in said if not what[0].startswith("tmux.")]

    async def until(self, *said):
        async with asyncio.timeout(WAIT):
            while not set(said) <= set(self.said):
                await asyncio.sleep(0.005)


@pytest.fixture
async def world():
    world = World()
    yield world
    world.claims.close()


@pytest.mark.parametrize("holder", ["nobody", "self", "other"])
@pytest.mark.parametrize("role", ROLES)
async def test_who_may_claim_and_release(world, role, holder):
    me, other = actor(1, role), actor(2, "admin")
    if holder == "self":
        world.claims.claim(MAIN, actor(1, "operator"))  # Before a role was lost, for the viewer.
    elif holder == "other":
        world.claims.claim(MAIN, other)

    def attempt(action):
        try:
            action(MAIN, me)
        except Forbidden as refused:
            return refused.details.get("code", "forbidden")
        except NotFound:
            return "nothing"
        return "done"

    claimed = {("viewer", holder): "forbidden", ("operator", "other"): "ALREADY_CLAIMED"}.get((role, holder), "done")
    assert attempt(world.claims.claim) == claimed
    own = claimed == "done" or holder == "self"
    released = "done" if own else "nothing" if holder == "nobody" else "forbidden"
    assert attempt(world.claims.release) == released
    assert (world.claims.get(MAIN.key) is None) == (released != "forbidden")


async def test_a_take_over_is_told_and_recorded(world):
    world.claims.claim(MAIN, actor(1, "operator"))
    world.claims.claim(MAIN, actor(2, "admin"))
    assert world.said == [
        ("claimed", "operator1"),
        ("tmux.claimed", "operator1"),
        ("overridden", "operator1"),
        ("tmux.claim_overridden", "admin2"),
        ("claimed", "admin2"),
        ("tmux.claimed", "admin2"),
    ]
    assert world.stored[MAIN.key][0] == 2


@own_time
async def test_typing_renews_and_is_not_told_each_time():
    world = World(lease=0.3)
    claim = world.claims.claim(MAIN, actor(1, "operator"))
    for _ in range(10):
        await asyncio.sleep(0.05)
        world.claims.used(claim)
    assert world.claims.get(MAIN.key) is claim, "longer than a lease, by use"
    assert world.told() == [("claimed", "operator1")]
    claim.told -= timedelta(seconds=61)
    world.claims.used(claim)
    assert world.told() == [("claimed", "operator1")], "the end has moved by more than a minute"
    assert world.stored[MAIN.key][1] == claim.expires_at
    await world.until(("expired", "operator1"))
    assert world.stored == {}


@own_time
async def test_a_warning_comes_once_per_lease():
    world = World(lease=0.3, warning=0.2)
    world.claims.claim(MAIN, actor(1, "operator"))
    await world.until(("expiring", 0))
    world.claims.claim(MAIN, actor(1, "operator"))
    await world.until(("expired", "operator1"))
    assert world.told().count(("expiring", 0)) == 2


@own_time
async def test_the_last_connection_begins_the_grace():
    world = World(grace=0.1)
    for _ in range(2):
        world.claims.connected(1)
    world.claims.claim(MAIN, actor(1, "operator"))
    world.claims.disconnected(1)
    await asyncio.sleep(0.2)
    assert world.claims.get(MAIN.key), "one connection is left"
    world.claims.disconnected(1)
    world.claims.connected(1)
    await asyncio.sleep(0.2)
    assert world.claims.get(MAIN.key), "came back in time"
    world.claims.disconnected(1)
    await world.until(("disconnected", "operator1"))
    world.claims.claim(MAIN, actor(3, "operator"))
    await asyncio.sleep(0.2)
    assert world.claims.get(MAIN.key), "who was never connected is not missed"


async def test_sessions_and_users_that_are_gone(world):
    other = replace(MAIN, key="1:2:$1", id="$1", name="other")
    world.claims.claim(MAIN, actor(1, "operator"))
    world.claims.claim(other, actor(1, "operator"))
    world.claims.sessions_are([replace(MAIN, name="renamed")])
    assert world.told()[-1] == ("destroyed", "operator1")
    claim = world.claims.get(MAIN.key)
    assert claim is not None
    assert claim.session_name == "renamed"
    assert world.claims.holders() == {1}
    world.claims.withdraw(1)
    assert world.told() == [("withdrawn", "operator1")]
    assert world.stored == {}


async def test_a_claim_is_handed_over(world):
    claim = world.claims.claim(MAIN, actor(1, "operator"))
    world.claims.connected(2)
    world.told()
    assert world.claims.hand_over(claim, actor(1, "operator"), actor(2, "operator").user) is claim
    assert world.told() == [("claimed", "operator2")]
    assert world.stored[MAIN.key][0] == 2
    assert world.claims.holders() == {2}
    with pytest.raises(Forbidden):
        world.claims.release(MAIN, actor(1, "operator"))


@own_time
async def test_handed_to_one_who_has_just_left_it_does_not_stay_with_them():
    world = World(grace=0.1)
    claim = world.claims.claim(MAIN, actor(1, "operator"))
    world.claims.hand_over(claim, actor(1, "operator"), actor(2, "operator").user)
    await world.until(("disconnected", "operator2"))


@own_time
async def test_who_acts_within_the_grace_is_there():
    world = World(grace=0.1)
    world.claims.connected(1)
    world.claims.claim(MAIN, actor(1, "operator"))
    world.claims.disconnected(1)
    world.claims.claim(MAIN, actor(1, "operator"))  # By HTTP, without a socket.
    await asyncio.sleep(0.2)
    assert world.claims.get(MAIN.key)


async def test_the_first_of_two_who_claim_at_once_has_it(world):
    first = world.claims.claim(MAIN, actor(1, "operator"))
    with pytest.raises(Forbidden):
        world.claims.claim(MAIN, actor(2, "operator"))
    assert world.claims.get(MAIN.key) is first


async def test_a_clock_that_is_set_moves_the_end_for_people_alone(world):
    claim = world.claims.claim(MAIN, actor(1, "operator"))
    world.told()
    for hours in (-5, 5):
        right, deadline = claim.expires_at, claim.deadline
        claim.expires_at += timedelta(hours=hours)  # As if the clock had been set by so much the other way.
        assert world.claims.get(MAIN.key) is claim, "the lease is as long as it was"
        assert abs((claim.expires_at - right).total_seconds()) < 1
        assert claim.deadline == deadline
        assert world.told() == [("claimed", "operator1")], "and people are told"
        assert world.stored[MAIN.key][1] == claim.expires_at


@own_time
async def test_what_was_stored_holds_no_longer_than_a_lease():
    world = World(lease=0.1)
    now = datetime.now(UTC)
    claim = Claim(MAIN.key, "main", actor(1, "operator").user, now, now + timedelta(days=1), 0.0)
    world.stored[MAIN.key] = (1, claim.expires_at)
    world.claims.restore(claim)
    await world.until(("expired", "operator1"))


async def test_a_name_that_changes(world):
    claim = world.claims.claim(MAIN, actor(1, "operator"))
    world.claims.known_as(replace(claim.user, name="Another Name"))
    assert claim.public()["userName"] == "Another Name"


async def test_a_claim_outlives_a_reload(moorage_server, tmux_server):
    tmux_server.cat("main")
    options = {"mount": ["/"], "socket_name": tmux_server.name, "claim_grace_seconds": 0.5}
    async with moorage_server("tmux", config={"plugins": {"tmux": options}}) as server:
        ann = await server.as_user("operator")

        async def claim():
            return (await ann.get("/api/sessions/main")).json()["claim"]

        async with ann.connect("/ws/terminal/main") as socket:
            client = Client(socket)
            await client.next("connected")
            await client.send(type="claim")
            await client.next("claimed")
            held = await claim()
            await server.reload({"plugins": {"tmux": {"scrollback_lines": 77}}})
            assert await client.closed() == 1012
        assert await claim() == held
        async with ann.connect("/ws/terminal/main") as socket:
            client = Client(socket)
            assert (await client.next("connected"))["claim"] == held
            await client.send(type="sendKeys", keys="after")
            await client.text("after")
        async with asyncio.timeout(WAIT):
            while await claim() is not None:
                await asyncio.sleep(0.05)
