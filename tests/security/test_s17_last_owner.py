"""S17: one active owner always remains, whichever way and at whatever moment it is tried to lose the last one."""

import asyncio
import sqlite3

import httpx
import pytest
from people import populated
from waits import WAIT

ROUNDS = 4
# The ways over HTTP to make somebody no active owner any more. CHROTE's never work on owners, which must hold here too.
WAYS = {
    "octo demote": ("POST", "/api/admin/users/{pid}/demote", None),
    "octo deactivate": ("POST", "/api/admin/users/{pid}/deactivate", None),
    "octo put": ("PUT", "/api/admin/users/{pid}", {"role": "user", "is_active": False}),
    "octo delete": ("DELETE", "/api/admin/users/{pid}", None),
    "chrote role": ("PATCH", "/api/users/{pid}/role", {"role": "viewer"}),
    "chrote delete": ("DELETE", "/api/users/{pid}", None),
    "octoprox put": ("PUT", "/api/v1/users/{id}", {"role": "user"}),
    "octoprox delete": ("DELETE", "/api/v1/users/{id}", None),
    "chat role": ("PATCH", "/admin/users/{id}", {"role": "user"}),
    "chat status": ("PATCH", "/admin/users/{id}", {"status": "disabled"}),
}
WORKING = [way for way in WAYS if not way.startswith("chrote")]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("s17")) as people:
        yield people


def query(people, text, *values):
    with sqlite3.connect(people.server.data_dir / "moorage.db", timeout=WAIT) as db:
        return db.execute(text, values).fetchall()


def owners(people):
    return [row[0] for row in query(people, "SELECT id FROM core_users WHERE role = 'owner' AND active = 1")]


class Pair:
    """Two owners, the only ones, each with a key that outlives their sessions."""

    def __init__(self, people):
        self.people = people
        # No way over HTTP makes an owner: what an earlier try has cost is put right in the database.
        self.both = [people.make("owner", f"owner{id(self) % 10**6}{n}") for n in "ab"]
        self.keys = {}
        for person in self.both:
            made = person.client.post("/api/v1/api-keys", json={"name": "k"})
            self.keys[person.id] = {"Authorization": f"Bearer {made.json()['data']['api_key']}"}
        self.restore()

    def restore(self):
        numbers = [person.id for person in self.both]
        query(self.people, "UPDATE core_users SET role = 'admin' WHERE role = 'owner' AND id NOT IN (?, ?)", *numbers)
        query(self.people, "UPDATE core_users SET role = 'owner', active = 1 WHERE id IN (?, ?)", *numbers)

    def call(self, client, by, target, way):
        method, path, body = WAYS[way]
        return client.request(method, path.format(pid=target.pid, id=target.id), json=body, headers=self.keys[by.id])


@pytest.fixture(scope="module")
def pair(people):
    return Pair(people)


@pytest.mark.parametrize("way", WAYS)
def test_the_only_owner_is_not_lost(people, pair, way):
    """By an administrator, and by the owner."""
    first, second = pair.both
    query(people, "UPDATE core_users SET role = 'admin' WHERE id = ?", second.id)
    try:
        with people.server.client() as client:
            for by in (first, second):
                answer = pair.call(client, by, first, way)
                assert 400 <= answer.status_code < 500, answer.text
        assert owners(people) == [first.id]
    finally:
        pair.restore()


async def test_two_commands_at_once_leave_one_owner(people, pair):
    """The operator has no rank that could stand in the way, only the rule itself does."""
    pair.restore()
    first, second = (person.name for person in pair.both)
    commands = (["users", "set-role", first, "admin"], ["users", "disable", second])
    done = await asyncio.gather(*(asyncio.to_thread(people.server.cli, *args, check=False) for args in commands))
    assert sorted(one.returncode for one in done) == [0, 1]
    assert len(owners(people)) == 1
    (left,) = (person for person in pair.both if person.id in owners(people))
    refused = people.server.cli("users", "delete", left.name, "--yes", check=False)
    assert refused.returncode == 1
    assert "last active owner" in refused.stderr
    pair.restore()


@pytest.mark.parametrize("second_way", [way for way in WORKING if "delete" not in way or "octoprox" in way])
@pytest.mark.parametrize("first_way", ["octo demote", "octo put", "octoprox delete", "chat role"])
async def test_of_two_who_undo_each_other_at_once_one_stays(people, pair, first_way, second_way):
    first, second = pair.both
    async with (
        httpx.AsyncClient(base_url=people.server.url, timeout=WAIT) as one,
        httpx.AsyncClient(base_url=people.server.url, timeout=WAIT) as two,
    ):
        for _ in range(ROUNDS):
            pair.restore()
            # What the server remembers of roles is what was; it must not be what decides.
            for client, person in ((one, first), (two, second)):
                await client.get("/auth/me", headers=pair.keys[person.id])
            answers = await asyncio.gather(
                pair.call(one, first, second, first_way), pair.call(two, second, first, second_way)
            )
            codes = sorted(answer.status_code for answer in answers)
            assert codes[0] in (200, 204), [answer.text for answer in answers]
            assert 400 <= codes[1] < 500, [answer.text for answer in answers]
            assert len(owners(people)) == 1
    pair.restore()


async def test_of_two_who_delete_each_other_at_once_one_stays(people, pair):
    for _ in range(2):
        rivals = Pair(people)
        first, second = rivals.both
        async with httpx.AsyncClient(base_url=people.server.url, timeout=WAIT) as client:
            answers = await asyncio.gather(
                rivals.call(client, first, second, "octo delete"), rivals.call(client, second, first, "octo delete")
            )
        codes = sorted(answer.status_code for answer in answers)
        assert codes[0] == 204
        assert codes[1] in (401, 403, 404, 409)
        assert len(owners(people)) == 1
    pair.restore()


async def test_of_many_owners_one_stays_however_wild_it_gets(people, pair):
    pair.restore()
    crowd = [*pair.both, *(people.make("owner") for _ in range(2))]
    for person in crowd[2:]:
        made = person.client.post("/api/v1/api-keys", json={"name": "k"}).json()["data"]["api_key"]
        pair.keys[person.id] = {"Authorization": f"Bearer {made}"}
    ways = [way for way in WORKING if way != "octo delete"]
    async with httpx.AsyncClient(base_url=people.server.url, timeout=WAIT) as client:
        calls = [
            pair.call(client, by, target, ways[(number + turn) % len(ways)])
            for number, by in enumerate(crowd)
            for turn, target in enumerate(crowd)
            if by is not target
        ]
        answers = await asyncio.gather(*calls)
    assert all(answer.status_code < 500 for answer in answers)
    assert len(owners(people)) >= 1
    pair.restore()
