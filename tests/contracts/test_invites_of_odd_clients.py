"""Invites and registration as no client should ask for them: who may not, and every wrong field."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from openapi_check import checked
from people import CONFIG, PASSWORD, populated

OCTO, CHROTE, CHAT = "/api/admin/invite-codes", "/api/invites", "/admin/invites"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    config = {**CONFIG, "server": {"trusted_proxies": ["127.0.0.1"]}}
    with populated(tmp_path_factory.mktemp("invites"), config) as people:
        yield people


@pytest.fixture(scope="module")
def root(people):
    return checked(people.root.client, people.server)


@pytest.fixture(scope="module")
def ann(people):
    return checked(people.make("operator").client, people.server)


@pytest.fixture
def anybody(people):
    """Somebody at an address of their own."""
    client = checked(people.anybody(), people.server)
    number = next(numbers)
    client.headers["X-Forwarded-For"] = f"198.51.{number // 250}.{number % 250 + 1}"
    return client


def fresh(name="new"):
    return f"{name}{next(numbers)}"


def code(root, **more):
    made = root.post(OCTO, json=more)
    assert made.status_code == 201, made.text
    return made.json()


def joins(client, invite_code, **more):
    body = {"email": f"{fresh()}@example.org", "password": PASSWORD, "invite_code": invite_code, **more}
    return client.post("/api/auth/register", json=body)


MANAGED = [
    ("GET", OCTO),
    ("POST", OCTO),
    ("POST", f"{OCTO}/batch"),
    ("GET", f"{OCTO}/stats"),
    ("GET", f"{OCTO}/inv_x"),
    ("POST", f"{OCTO}/inv_x/revoke"),
    ("DELETE", f"{OCTO}/inv_x"),
    ("GET", CHROTE),
    ("POST", CHROTE),
    ("GET", f"{CHROTE}/inv_x"),
    ("DELETE", f"{CHROTE}/inv_x"),
    ("GET", CHAT),
    ("POST", CHAT),
    ("POST", f"{CHAT}/inv_x/revoke"),
]


@pytest.mark.parametrize(("method", "path"), MANAGED)
def test_invites_are_for_administrators(ann, anybody, method, path):
    refused = ann.request(method, path)
    assert refused.status_code == 403
    assert anybody.request(method, path).status_code == 401


TEXTS = ["", "x" * 400, "nul\x00", 5, None, True, ["x"], {"x": 1}]
NUMBERS = [0, -1, 2**31, 10**30, 1.5, "1", None, True, [], {}]
WRONG_ENDS = ["yesterday", "2001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "", [], {}]


def corpus():
    """(path, a good body, field, wrong value)."""
    ends = datetime.now(UTC) + timedelta(days=1)
    octo = {"code": "fine", "max_uses": 2, "expires_in_secs": 60, "note": "n", "role": "user"}
    batch = {"count": 1, "uses_per_code": 1, "expires_in_secs": 60, "prefix": "P", "note": "n", "role": "user"}
    chrote = {"role": "viewer", "expiresIn": 60, "max_uses": 1, "note": "n"}
    register = {"invite_code": "X", "username": "u", "password": PASSWORD}
    for path, good in (
        (OCTO, octo),
        (f"{OCTO}/batch", batch),
        (CHROTE, chrote),
        (CHROTE, {"role": "viewer", "expires_in_days": 1}),
        (CHAT, {"expires_in_hours": 1, "role": "user", "max_uses": 1, "note": "n"}),
        ("/auth/register", register),
        ("/api/auth/register", {**register, "email": "a@example.org", "display_name": "d"}),
    ):
        for field, value in good.items():
            for wrong in TEXTS if isinstance(value, str) else NUMBERS:
                yield path, good, field, wrong
    for wrong in WRONG_ENDS:
        yield OCTO, {"expires_at": ends.isoformat()}, "expires_at", wrong


ABSENT_AS_NULL = {
    *("code", "max_uses", "expires_in_secs", "note", "prefix", "uses_per_code", "expiresIn", "expires_in_days"),
}


def test_every_wrong_field_is_told(people, root):
    """Missing, of another type, too long, out of bounds, not to be stored: never taken, never a fault of ours."""
    browser = checked(people.anybody(), people.server)
    odd = []
    for number, (path, good, field, wrong) in enumerate(corpus()):
        public = path.endswith("/register")
        browser.headers["X-Forwarded-For"] = f"203.0.{number // 250}.{number % 250 + 1}"
        client = browser if public else root
        answer = client.post(path, json={**good, field: wrong})
        allowed = {400, 422}
        nothing_said = wrong is None and (field in ABSENT_AS_NULL or (field == "role" and path != CHROTE))
        if nothing_said or (wrong == "" and field == "note"):
            allowed = {200, 201, 409}
        if answer.status_code not in allowed:
            odd.append((path, field, wrong, answer.status_code, answer.text[:100]))
    assert not odd


def test_every_wrong_field_of_who_holds_an_invite_is_told(people, root, anybody):
    made = code(root, max_uses=1000)
    good = {"invite_code": made["code"], "username": fresh("fine"), "password": PASSWORD}
    wrong = {
        "username": ["", "x" * 65, "x" * 321, "two words", "a@b", "-dash", "nul\x00", "<img>", 5, [], {}, True],
        "password": ["", "short", "password123", "x" * 1025, "nul\x00nul\x00", None, 12345678, [], {}],
        "email": [
            "",
            "nowhere",
            "a@b@c.org",
            "a b@c.org",
            "@c.org",
            "a@",
            f"{'x' * 255}@c.org",
            "\x00@c.org",
            5,
            [],
            {},
        ],
        "display_name": ["", " ", "x" * 129, "two\nlines", "turned \u202e round", "\x00", 5, [], {}],
    }
    odd = []
    for field, values in wrong.items():
        for value in values:
            octo = anybody.post("/api/auth/register", json={**good, "email": "fine@c.org", field: value})
            if octo.status_code != 422 or octo.json()["code"] != "VALIDATION_ERROR":
                odd.append(("octo", field, value, octo.status_code))
            if field in ("username", "password"):
                chat = anybody.post("/auth/register", json={**good, field: value})
                if chat.status_code != 400 or chat.json()["code"] != "VALIDATION_ERROR":
                    odd.append(("chat", field, value, chat.status_code))
    assert not odd
    assert root.get(f"{OCTO}/{made['id']}").json()["used_count"] == 0


def test_names_that_look_alike_are_one(people, root, anybody):
    made = code(root, max_uses=10)
    name = fresh("Strasse")
    assert joins(anybody, made["code"], username=name).status_code == 201
    for twin in (name.upper(), name.replace("ss", "\u00df"), "\uff33" + name[1:]):
        assert joins(anybody, made["code"], username=twin).json()["code"] == "USERNAME_EXISTS"


@pytest.mark.parametrize("path", [OCTO, f"{OCTO}/batch", CHROTE, CHAT, "/auth/register", "/api/auth/register"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", {400}),
        (b"[]", {400}),
        (b'"text"', {400}),
        (b"\xff", {400}),
        (b"[" * 5000, {400}),
        (b'{"note": "\\ud800", "username": "\\ud800"}', {400}),
        (b'{"x": "%s"}' % (b"x" * 20_000), {413}),
    ],
)
def test_what_is_no_body_is_told(root, anybody, path, body, status):
    client = anybody if path.endswith("/register") else root
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in status, answer.text


@pytest.mark.parametrize("path", ["/auth/register", "/api/auth/register"])
@pytest.mark.parametrize("missing", ["invite_code", "password", "username"])
def test_what_is_missing_is_told(anybody, path, missing):
    body = {"invite_code": "X", "username": "u", "password": PASSWORD, "email": "a@example.org"}
    del body[missing]
    answer = anybody.post(path, json=body)
    assert answer.status_code in (400, 422)
    if path == "/auth/register" or missing != "username":
        assert missing in answer.text


@pytest.mark.parametrize("segment", ["%20", "x" * 3000, "%F0%9F%92%A9", "..%2f..", "%ff", "a%00b", "%ed%a0%80", "1"])
def test_odd_names_in_the_path_are_not_found(root, anybody, segment):
    for method, path in (
        ("GET", f"{OCTO}/{segment}"),
        ("POST", f"{OCTO}/{segment}/revoke"),
        ("DELETE", f"{CHROTE}/{segment}"),
        ("GET", f"{CHROTE}/{segment}"),
        ("POST", f"{CHAT}/{segment}/revoke"),
        ("POST", f"{CHROTE}/{segment}/accept"),
    ):
        answer = root.request(method, path)
        assert answer.status_code in (400, 404), (method, path, answer.text)
    assert anybody.get(f"{CHROTE}/{segment}/validate").status_code in (200, 400)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "many"},
        {"offset": -1},
        {"offset": 2**40},
        {"valid": "perhaps"},
        {"created_by": "x" * 65},
    ],
)
def test_odd_queries_are_told(root, query):
    assert root.get(OCTO, params=query).status_code == 422
    if query.keys() <= {"limit", "offset"}:
        assert root.get(CHROTE, params=query).status_code == 400
        assert root.get(CHAT, params=query).status_code == 400
