"""S26: an invite lets in as many as it says, as long as it says, as what its maker may give, and nobody else."""

import itertools
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from people import CONFIG, PASSWORD, populated

CODES, LINKS = "/api/admin/invite-codes", "/api/invites"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    config = {**CONFIG, "server": {"trusted_proxies": ["127.0.0.1"]}}
    with populated(tmp_path_factory.mktemp("s26"), config) as people:
        yield people


@pytest.fixture(scope="module")
def root(people):
    return people.root.client


@pytest.fixture
def stranger(people):
    """Somebody at an address of their own."""
    headers = {"X-Forwarded-For": f"203.0.113.{next(numbers)}"}
    with httpx.Client(base_url=people.server.url, headers=headers, timeout=60) as client:
        yield client


def invite(client, **more):
    made = client.post(CODES, json=more)
    assert made.status_code == 201, made.text
    return made.json()


def link(client, **more):
    made = client.post(LINKS, json={"role": "operator", **more})
    assert made.status_code == 201, made.text
    return made.json()


def registers(client, code, name=None, path="/api/auth/register"):
    name = name or f"new{next(numbers)}"
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD, "invite_code": code}
    return client.post(path, json=body)


def names(people):
    return {user["username"] for user in people.root.client.get("/api/admin/users", params={"limit": 1000}).json()}


def at_once(work, *items):
    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(work, items))


@pytest.mark.parametrize("path", ["/api/auth/register", "/auth/register"])
def test_of_twenty_who_register_at_once_with_the_last_use_one_gets_in(people, root, stranger, path):
    made = invite(root)
    wanted = [f"{path.count('/')}racer{number}" for number in range(20)]
    answers = at_once(lambda name: registers(stranger, made["code"], name, path), *wanted)
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200 if path == "/auth/register" else 201] + [400] * 19
    winner = wanted[next(n for n, answer in enumerate(answers) if answer.is_success)]
    assert names(people) & set(wanted) == {winner}, "a loser was left behind"
    shown = root.get(f"{CODES}/{made['id']}").json()
    assert (shown["used_count"], shown["is_valid"]) == (1, False)


def test_of_twenty_who_accept_at_once_one_gets_in(people, root):
    made = link(root, max_uses=1)
    viewers = [people.make("viewer").client for _ in range(20)]
    answers = at_once(lambda client: client.post(f"{LINKS}/{made['token']}/accept"), *viewers)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    roles = sorted(client.get("/auth/me").json()["role"] for client in viewers)
    assert roles == ["operator"] + ["viewer"] * 19
    assert root.get(f"{LINKS}/{made['id']}").json()["uses"] == 1


def test_who_accepts_many_times_at_once_is_counted_once(people, root):
    made = link(root, max_uses=5)
    vic = people.make("viewer").client
    cookies = dict(vic.cookies)

    def accept(_):
        return httpx.post(f"{people.server.url}{LINKS}/{made['token']}/accept", cookies=cookies, timeout=60)

    answers = at_once(accept, *range(8))
    # The first replaces the session; who comes with the old one after that is nobody.
    assert {answer.status_code for answer in answers} <= {200, 401}
    assert root.get(f"{LINKS}/{made['id']}").json()["uses"] == 1


def test_an_invite_ends_by_itself(root, stranger):
    ends = datetime.now(UTC) + timedelta(seconds=1)
    made = invite(root, expires_at=ends.isoformat(), max_uses=5)
    assert registers(stranger, made["code"]).status_code == 201
    while datetime.now(UTC) <= ends:
        time.sleep(0.05)
    late = registers(stranger, made["code"])
    assert (late.status_code, late.json()["error"]) == (400, "Bad request: Invite code has expired")
    said = stranger.get(f"{LINKS}/{made['code']}/validate").json()
    assert said == {"valid": False, "reason": "expired"}


def test_revoking_bites_at_once(root, stranger):
    made = invite(root, max_uses=5)
    assert registers(stranger, made["code"]).status_code == 201
    assert root.post(f"{CODES}/{made['id']}/revoke").status_code == 204
    assert registers(stranger, made["code"]).status_code == 400


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_who_manages_invites_makes_them(people, role):
    client = people.make(role).client
    for path in (CODES, LINKS, "/admin/invites", f"{CODES}/batch"):
        assert client.post(path, json={"role": "viewer", "count": 1}).status_code == 403


def test_nobody_invites_above_themselves(people, root, stranger):
    ada = people.make("admin").client
    for path, body in ((CODES, {}), (LINKS, {}), ("/admin/invites", {}), (f"{CODES}/batch", {"count": 1})):
        assert ada.post(path, json={**body, "role": "admin"}).status_code == 403, path
        for maker in (ada, root):
            assert maker.post(path, json={**body, "role": "owner"}).status_code in (400, 422), path
    admins = invite(root, role="admin")
    joined = registers(stranger, admins["code"])
    assert joined.json()["user"]["role"] == "admin"
    # What the body says beside the contract's fields counts for nothing.
    name = f"sly{next(numbers)}"
    body = {"email": f"{name}@example.org", "password": PASSWORD, "invite_code": invite(root)["code"], "role": "owner"}
    assert stranger.post("/api/auth/register", json=body).json()["user"]["role"] == "user"


def test_a_key_without_the_rights_does_not_give_them(people):
    key = people.server.key("root", "core:invite:manage")
    narrow = {"Authorization": f"Bearer {key}"}
    refused = httpx.post(f"{people.server.url}{LINKS}", json={"role": "viewer"}, headers=narrow)
    assert refused.status_code == 403
    assert httpx.get(f"{people.server.url}{LINKS}", headers=narrow).status_code == 200


def test_a_demoted_administrators_invites_let_nobody_in(people, root, stranger):
    ada = people.make("admin")
    made, other = invite(ada.client, max_uses=9), link(ada.client)
    assert registers(stranger, made["code"]).status_code == 201
    assert root.patch(f"/api/users/{ada.pid}/role", json={"role": "operator"}).status_code == 200
    assert registers(stranger, made["code"]).status_code == 400
    said = stranger.get(f"{LINKS}/{other['token']}/validate").json()
    assert said == {"valid": False, "reason": "revoked"}
    assert root.get(f"{CODES}/{made['id']}").json()["is_valid"] is False


def test_a_deleted_administrators_invites_let_nobody_in(people, root, stranger):
    ada = people.make("admin")
    made = invite(ada.client, max_uses=9)
    assert root.delete(f"{CODES.replace('invite-codes', 'users')}/{ada.pid}").status_code == 204
    assert registers(stranger, made["code"]).status_code == 400
    shown = root.get(f"{CODES}/{made['id']}").json()
    assert (shown["is_valid"], shown["created_by"]) == (False, None)


def test_guessing_is_delayed_for_one_address_alone(people, root, stranger):
    made = invite(root)
    ways = (
        lambda: registers(stranger, f"GUESS-{next(numbers)}"),
        lambda: stranger.get(f"{LINKS}/guess{next(numbers)}/validate"),
        lambda: registers(stranger, f"GUESS-{next(numbers)}", path="/auth/register"),
    )
    answers = [way() for way in ways for _ in range(6)]
    assert 429 in {answer.status_code for answer in answers}
    delayed = registers(stranger, made["code"])
    assert delayed.status_code == 429, "not even the right one is looked at"
    assert int(delayed.headers["retry-after"]) >= 1
    elsewhere = {"X-Forwarded-For": "198.51.100.77"}
    with httpx.Client(base_url=people.server.url, headers=elsewhere, timeout=60) as other:
        assert registers(other, made["code"]).status_code == 201


def test_without_an_invite_nobody_learns_who_is_here(people, stranger):
    told = set()
    for name in ("root", "nobody-of-that-name", "not a name"):
        answer = registers(stranger, "NO-SUCH-CODE", name)
        told.add((answer.status_code, answer.text))
    assert len(told) == 1


def test_another_site_cannot_accept_in_my_name(people, root):
    made = link(root)
    vic = people.make("viewer").client
    evil = {"Origin": "https://evil.example"}
    assert vic.post(f"{LINKS}/{made['token']}/accept", headers=evil).status_code == 403
    assert vic.get("/auth/me").json()["role"] == "viewer"


def test_a_chosen_session_does_not_survive_a_registration(people, root):
    vic = people.make("viewer").client
    before = dict(vic.cookies)
    assert registers(vic, invite(root)["code"]).status_code == 201
    assert vic.cookies["moorage_session"] != before["moorage_session"]
    with httpx.Client(base_url=people.server.url, cookies=before) as old:
        assert old.get("/auth/me").status_code == 401


def test_all_of_it_is_in_the_audit_log_and_no_code_is_anywhere(people, root, stranger):
    code, token = invite(root), link(root)
    assert registers(stranger, code["code"]).status_code == 201
    registers(stranger, code["code"])
    stranger.get(f"{LINKS}/{token['token']}/validate")
    vic = people.make("viewer").client
    vic.post(f"{LINKS}/{token['token']}/accept")
    root.get(LINKS)
    root.delete(f"{LINKS}/{token['id']}")
    root.delete(f"{CODES}/{code['id']}")
    with closing(sqlite3.connect(people.server.data_dir / "moorage.db")) as database:
        rows = database.execute("select action, data from core_audit_events").fetchall()
        stored = "\n".join(database.iterdump())
    actions = {action for action, _ in rows}
    expected = {"created", "redeemed", "refused", "revoked", "deleted", "read"}
    assert {f"invite.{verb}" for verb in expected} <= actions
    written = f"{stored}\n{people.server.stderr}\n{people.server.output()}"
    assert "api/invites" in written, "the access log is there"
    for secret in (code["code"], token["token"]):
        assert secret not in written
