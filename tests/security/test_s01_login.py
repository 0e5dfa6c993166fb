"""S1: each login, and each gain of rights, begins a fresh session; a chosen or an older token is worth nothing."""

import pytest
from people import PASSWORD, populated
from wire import cookies_of

CHOSEN = "mses_" + "A" * 43
SESSION = "moorage_session"
LOGINS = {
    "/api/auth/login": "username",
    "/auth/login": "username",
    "/api/auth/sign-in/email": "email",
    "/api/auth/sign-in/username": "username",
}
REGISTRATIONS = ["/api/auth/register", "/auth/register"]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("s01")) as people:
        people.stranger = people.anybody()
        yield people


def holds(people, token):
    """Whether a session token is good for anything, as a cookie or as Bearer."""
    ways = [{"Cookie": f"{SESSION}={token}"}, {"Authorization": f"Bearer {token}"}]
    codes = {people.stranger.get("/auth/me", headers=way).status_code for way in ways}
    assert codes in ({200}, {401})
    return codes == {200}


def post(people, path, token, **body):
    """Post with a session cookie that the browser holds already; the fresh session's token and CSRF token."""
    answer = people.stranger.post(path, json=body, headers={"Cookie": f"{SESSION}={token}"})
    people.stranger.cookies.clear()
    assert answer.is_success, answer.text
    fresh = cookies_of(answer)[SESSION][0]
    assert fresh.startswith("mses_")
    assert fresh != token
    return fresh


def csrf(people, token):
    answer = people.stranger.get("/api/auth/csrf", headers={"Cookie": f"{SESSION}={token}"})
    return answer.json()["csrf_token"]


@pytest.mark.parametrize("path", LOGINS)
def test_a_chosen_cookie_is_not_the_session_after_a_login(people, path):
    ann = people.make()
    fresh = post(people, path, CHOSEN, **{LOGINS[path]: ann.email, "password": PASSWORD})
    assert holds(people, fresh)
    assert not holds(people, CHOSEN)


@pytest.mark.parametrize("path", LOGINS)
def test_a_login_ends_the_session_that_the_browser_had(people, path):
    """Somebody else's too: who has planted their own session in a browser is not in the next one."""
    planter, ann = people.make(), people.make()
    planted = planter.client.cookies[SESSION]
    token = csrf(people, planted)
    fresh = post(people, path, planted, **{LOGINS[path]: ann.email, "password": PASSWORD})
    assert holds(people, fresh)
    assert not holds(people, planted)
    assert csrf(people, fresh) != token


@pytest.mark.parametrize("path", REGISTRATIONS)
def test_a_registration_begins_a_fresh_session(people, path):
    planter = people.make()
    for number, before in enumerate((CHOSEN, planter.client.cookies[SESSION])):
        code = people.root.client.post("/api/admin/invite-codes", json={}).json()["code"]
        name = f"new{number}{path.count('/')}"
        body = {"invite_code": code, "username": name, "email": f"{name}@example.org", "password": PASSWORD}
        assert holds(people, post(people, path, before, **body))
        assert not holds(people, before)


def test_a_role_that_grows_by_an_invite_begins_a_fresh_session(people):
    ann = people.make("viewer")
    link = people.root.client.post("/api/invites", json={"role": "operator"}).json()["token"]
    old = ann.client.cookies[SESSION]
    fresh = post(people, f"/api/invites/{link}/accept", old)
    assert holds(people, fresh)
    assert not holds(people, old)


def test_a_new_password_begins_a_fresh_session_and_ends_all_others(people):
    ann = people.make()
    other = people.login(ann.name).cookies[SESSION]
    old = ann.client.cookies[SESSION]
    body = {"current_password": PASSWORD, "new_password": "another battery staple"}
    fresh = post(people, "/api/core/password", old, **body)
    assert holds(people, fresh)
    assert not holds(people, old)
    assert not holds(people, other)


@pytest.mark.parametrize("path", ["/api/auth/logout", "/auth/logout", "/api/auth/sign-out"])
def test_after_a_logout_the_token_is_worth_nothing(people, path):
    ann = people.make()
    old = ann.client.cookies[SESSION]
    ann.client.post(path).raise_for_status()
    assert not holds(people, old)
    assert holds(people, people.login(ann.name).cookies[SESSION])
