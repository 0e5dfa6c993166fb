"""Logging in at a real provider on loopback: who gets in, as whom, and what they are told otherwise."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import httpx
import pytest
from harness import running
from visitor import Visitor, error_of, provider

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory, identity_provider):
    issuer = identity_provider.issuer
    providers = {
        "corp": provider(issuer, label="Corp"),
        "open": provider(issuer, register_new="open", role="operator"),
        "staff": provider(issuer, register_new="open", domains=["example.org"]),
        "google": provider(issuer, "google", register_new="open"),
        "hub": provider(issuer, "github", register_new="open"),
    }
    config = {
        "limits": {"general": "100000/minute", "authentication": "100000/minute"},
        "accounts": {"argon2_memory_kib": 256, "argon2_time": 1, "providers": providers},
    }
    with running(tmp_path_factory.mktemp("oauth"), config) as server:
        server.add_user("root", "owner")
        yield server


@pytest.fixture(autouse=True)
def told(identity_provider):
    identity_provider.tell()


@pytest.fixture
def visitor(server):
    with Visitor(server) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def root(server):
    with server.client("root") as client:
        yield client


def person(name: str, /, **more: object) -> dict[str, object]:
    return {"sub": f"sub-{name}", "email": f"{name}@example.org", "preferred_username": name, "name": name, **more}


def audit(root, action: str) -> list[dict[str, object]]:
    answer = root.get("/api/v1/audit", params={"action": action, "per_page": 100})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["events"]


def invite(root, **more: object) -> str:
    answer = root.post("/api/invites", json={"role": "operator", **more})
    assert answer.status_code in (200, 201), answer.text
    return answer.json()["token"]


def test_a_stranger_needs_an_invite(visitor, identity_provider):
    identity_provider.tell(person=person("stranger"))
    assert visitor.sign_in() == "/?error=invite_required"
    assert visitor.me() is None


def test_an_invite_makes_a_user_with_its_role_and_the_next_login_needs_none(server, root, visitor, identity_provider):
    identity_provider.tell(person=person("guest"))
    assert visitor.sign_in(invite=invite(root)) == "/"
    me = visitor.me()
    assert (me["email"], me["role"], me["name"]) == ("guest@example.org", "operator", "guest")
    assert me["avatar_url"] == "https://x.test/p"
    with Visitor(server) as again:
        assert again.sign_in() == "/"
        assert again.me()["id"] == me["id"]
    created = next(one for one in audit(root, "user.created") if one["data"].get("username") == "guest")
    assert created["data"]["provider"] == "corp"
    assert any(one["data"].get("provider") == "corp" for one in audit(root, "login.succeeded"))
    assert audit(root, "identity.linked")


def test_an_invite_serves_as_often_as_it_says(server, root, identity_provider):
    code = invite(root, max_uses=1)
    identity_provider.tell(person=person("first"))
    with Visitor(server) as first:
        assert first.sign_in(invite=code) == "/"
    identity_provider.tell(person=person("second"))
    with Visitor(server) as second:
        assert error_of(second.sign_in(invite=code)) == "invite_exhausted"
        assert error_of(second.sign_in(invite="no-such-invite")) == "invalid_invite"
        assert second.me() is None


def test_an_open_provider_makes_users_with_its_role(visitor, identity_provider):
    identity_provider.tell(person=person("walkin"))
    assert visitor.sign_in("open") == "/"
    assert visitor.me()["role"] == "operator"


def test_names_that_are_taken_or_no_names_here_are_made_to_fit(server, identity_provider):
    for number, (login, name) in enumerate((("root", "Root Too"), ("Ünï  <b>", "\u202eevil"), (None, None))):
        identity_provider.tell(person=person(f"fit{number}", preferred_username=login, name=name))
        with Visitor(server) as visitor:
            assert visitor.sign_in("open") == "/"
            assert "\u202e" not in visitor.me()["name"]


def test_only_addresses_of_the_domains_get_in(visitor, identity_provider):
    identity_provider.tell(person=person("other", email="other@example.org.evil.test"))
    assert error_of(visitor.sign_in("staff")) == "email_domain"
    identity_provider.tell(person=person("other", email="other@EXAMPLE.org"))
    assert visitor.sign_in("staff") == "/"


@pytest.mark.parametrize("name", ["open", "google"])
def test_an_address_that_is_not_verified_makes_nobody(visitor, identity_provider, name):
    identity_provider.tell(person=person("unsure", email_verified=False))
    assert error_of(visitor.sign_in(name)) == "email_not_verified"
    identity_provider.tell(person=person("unsure", email=None))
    assert error_of(visitor.sign_in(name)) == "no_email"


def test_the_address_may_come_from_the_userinfo(visitor, identity_provider):
    identity_provider.tell(person=person("slim"), slim=True)
    assert visitor.sign_in("open") == "/"
    assert visitor.me()["email"] == "slim@example.org"


def test_userinfo_of_somebody_else_is_not_believed(visitor, identity_provider):
    identity_provider.tell(person=person("slim2"), slim=True, userinfo={"sub": "sub-other"})
    assert error_of(visitor.sign_in("open")) == "oauth_failed"


def test_an_account_with_a_password_is_not_taken_over_by_its_address(server, root, visitor, identity_provider):
    server.cli("users", "create", "typed", "--email", "typed@example.org", "--password-file", "-", input=PASSWORD)
    identity_provider.tell(person=person("typed"))
    assert error_of(visitor.sign_in("open")) == "account_exists"
    assert visitor.me() is None


def made(server, name: str) -> None:
    """An account without a password, made for somebody with an address."""
    server.cli("users", "create", name, "--role", "admin", "--email", f"{name.upper()}@example.org", "--no-password")


def test_an_account_that_was_made_for_somebody_is_theirs(server, visitor, identity_provider):
    made(server, "hired")
    identity_provider.tell(person=person("hired"))
    assert visitor.sign_in() == "/"
    assert visitor.me()["role"] == "admin"


def test_an_account_that_somebody_opens_with_a_key_is_not_given_to_another(server, visitor, identity_provider):
    made(server, "keyholder")
    server.key("keyholder")
    identity_provider.tell(person=person("keyholder"))
    assert error_of(visitor.sign_in()) == "account_exists"


def test_an_address_that_was_changed_since_proves_nothing(server, root, visitor, identity_provider):
    """Whoever came by a provider may have another's address by now; its owner is not let into their account."""
    identity_provider.tell(person=person("squatter"))
    assert visitor.sign_in("open") == "/"
    changed = root.put(f"/api/admin/users/{visitor.me()['id']}", json={"email": "victim@example.org"})
    assert changed.status_code == 200, changed.text
    identity_provider.tell(person=person("victim"))
    with Visitor(server) as victim:
        assert error_of(victim.sign_in("open")) == "account_exists"


def test_an_address_that_another_provider_verified_links(server, visitor, identity_provider):
    identity_provider.tell(person=person("twice"))
    assert visitor.sign_in("open") == "/"
    emails = [{"email": "twice@example.org", "primary": True, "verified": True}]
    identity_provider.tell(github={"user": {"id": 77, "login": "twice-gh"}, "emails": emails})
    with Visitor(server) as other:
        assert other.sign_in("hub") == "/"
        assert other.me()["id"] == visitor.me()["id"]


def test_who_is_disabled_stays_out(server, root, visitor, identity_provider):
    identity_provider.tell(person=person("gone"))
    assert visitor.sign_in("open") == "/"
    server.cli("users", "disable", "gone")
    with Visitor(server) as again:
        assert error_of(again.sign_in("open")) == "user_inactive"
    refused = [one for one in audit(root, "login.failed") if one["data"].get("reason") == "user_inactive"]
    assert refused[0]["data"]["provider"] == "open"


def test_github_logs_in_by_its_number(server, visitor, identity_provider):
    assert visitor.sign_in("hub") == "/"
    me = visitor.me()
    assert (me["email"], me["name"]) == ("pat@example.org", "Pat Doe")
    sent = identity_provider.heard("/login/oauth/access_token")[0]
    assert sent["code_verifier"]
    identity_provider.tell(github={"user": {"id": 4711, "login": "renamed"}})
    with Visitor(server) as again:
        assert again.sign_in("hub") == "/"
        assert again.me()["id"] == me["id"]


@pytest.mark.parametrize(
    ("emails", "error"),
    [
        ([{"email": "mallory@example.org", "primary": True, "verified": False}], "email_not_verified"),
        ([{"email": "mallory@example.org", "primary": False, "verified": True}], "email_not_verified"),
        ([], "no_email"),
    ],
)
def test_githubs_other_addresses_are_not_believed(visitor, identity_provider, emails, error):
    identity_provider.tell(github={"user": {"id": 666, "login": "mallory"}, "emails": emails})
    assert error_of(visitor.sign_in("hub")) == error


@pytest.mark.parametrize("fault", ["500", "malformed", "list", "deep", "huge", "drop", "redirect:http://127.0.0.1:1/"])
@pytest.mark.parametrize("path", ["/login/oauth/access_token", "/api/v3/user", "/api/v3/user/emails"])
def test_a_provider_that_fails_is_told_and_nothing_else_happens(server, visitor, identity_provider, path, fault):
    if (path, fault) == ("/api/v3/user/emails", "list"):
        pytest.skip("a list is what it answers")
    identity_provider.tell(faults={path: fault}, github={"user": {"id": 31337, "login": "unlucky"}})
    assert visitor.sign_in("hub") == "/?error=oauth_failed"
    assert visitor.me() is None
    assert server.process.poll() is None


@pytest.mark.slow
def test_a_provider_that_does_not_answer_is_given_up(visitor, identity_provider):
    identity_provider.tell(faults={"/api/v3/user": "slow"})
    assert visitor.sign_in("hub") == "/?error=oauth_failed"


def test_nothing_secret_is_logged_when_a_login_fails(server, visitor, identity_provider):
    identity_provider.tell(faults={"/api/v3/user": "500"})
    back = visitor.at_provider(visitor.leave("hub"))
    cookie = visitor.cookies["oauth_flow"]
    assert error_of(visitor.come_back(back)) == "oauth_failed"
    query = httpx.URL(back).params
    verifier = identity_provider.heard("/login/oauth/access_token")[0]["code_verifier"]
    with closing(sqlite3.connect(server.data_dir / "moorage.db")) as base:
        stored = str(base.execute("SELECT * FROM core_audit_events").fetchall())
    for secret in (query["code"], query["state"], cookie, verifier, "s3cret-of-the-client"):
        assert secret not in server.stderr + stored
    assert '"/api/v3/user answered 500"' in server.stderr


# -- what is there ------------------------------------------------------------------------------------------------


def test_pages_are_told_where_to_log_in(visitor):
    said = visitor.get("/api/auth/status").json()["providers"]
    assert said == {"github": False, "google": True, "corp": True, "open": True, "staff": True, "hub": True}
    assert {"name": "corp", "label": "Corp"} in visitor.get("/api/console/state").json()["providers"]


@pytest.mark.parametrize("path", ["/auth/{}", "/api/auth/{}", "/auth/{}/callback", "/api/auth/callback/{}"])
def test_what_is_not_configured_is_said(visitor, path):
    missing = visitor.get(path.format("github"))
    assert missing.status_code == 503
    assert missing.json()["message"] == "GitHub OAuth is not configured"
    assert visitor.get(path.format("nowhere")).status_code == 404
    assert visitor.get(path.format("%F0%9F%92%A9")).status_code == 404


def test_both_spellings_of_the_way_out_and_all_three_of_the_way_back_work(visitor, identity_provider):
    identity_provider.tell(person=person("spelled"))
    assert visitor.sign_in("open") == "/"
    for out in ("/auth/open", "/api/auth/open"):
        for back in ("/auth/open/callback", "/api/auth/open/callback", "/api/auth/callback/open"):
            came = httpx.URL(visitor.at_provider(visitor.get(out).headers["location"]))
            assert came.path == "/api/auth/open/callback"
            assert visitor.come_back(f"{back}?{came.query.decode()}") == "/"


def test_literal_routes_are_no_providers(visitor):
    assert visitor.get("/auth/me").status_code == 401
    assert visitor.get("/api/auth/me").json() == {"user": None}
    assert visitor.post("/auth/logout").status_code == 200
    assert visitor.post("/api/auth/logout").status_code == 200
    assert visitor.post("/auth/open").status_code == 405
    assert visitor.post("/api/auth/login", json={"username": "root", "password": PASSWORD}).status_code == 200


@pytest.mark.parametrize("name", ["invite", "next", "state", "code"])
def test_queries_are_bounded_and_checked(visitor, name):
    path = "/auth/open" if name in ("invite", "next") else "/auth/open/callback"
    assert visitor.get(path, params={name: "x" * 5000}).status_code in (400, 422)
    for odd in ("%00", "%ED%A0%80", "%FF", ""):
        assert visitor.get(f"{path}?{name}={odd}").status_code in (302, 400, 422)


# -- better-auth ---------------------------------------------------------------------------------------------------


def test_better_auths_client_logs_in(server, root, visitor, identity_provider):
    identity_provider.tell(person=person("social"))
    body = {"provider": "open", "callbackURL": "/home?tab=1", "newUserCallbackURL": f"{server.url}/welcome"}
    begun = visitor.post("/api/auth/sign-in/social", json=body)
    assert begun.status_code == 200
    assert begun.json()["redirect"] is True
    assert visitor.come_back(visitor.at_provider(begun.json()["url"])) == f"{server.url}/welcome"
    begun = visitor.post("/api/auth/sign-in/social", json={**body, "disableRedirect": True})
    assert begun.json()["redirect"] is False
    assert visitor.come_back(visitor.at_provider(begun.json()["url"])) == "/home?tab=1"


def test_better_auths_client_is_sent_to_its_page_of_errors(visitor, identity_provider):
    identity_provider.tell(person=person("lost"))
    body = {"provider": "corp", "errorCallbackURL": "/oops?from=login#top"}
    url = visitor.post("/api/auth/sign-in/social", json=body).json()["url"]
    assert visitor.come_back(visitor.at_provider(url)) == "/oops?from=login&error=invite_required#top"


@pytest.mark.parametrize(
    "body",
    [{}, {"provider": None}, {"provider": 7}, {"provider": ["open"]}, {"provider": ""}, {"provider": "x" * 65}]
    + [{"provider": "open", "callbackURL": bad} for bad in (7, [], {}, "x" * 3000)]
    + [{"provider": "open", "disableRedirect": "yes"}],
)
def test_wrong_bodies_are_refused_in_words(visitor, body):
    answer = visitor.post("/api/auth/sign-in/social", json=body)
    assert answer.status_code == 400
    assert set(answer.json()) >= {"error", "message"}
    assert visitor.post("/api/auth/sign-in/social", json={"provider": "nowhere"}).status_code == 404


# -- identities ----------------------------------------------------------------------------------------------------


def link(visitor: Visitor, name: str = "corp", **more: str) -> str:
    answer = visitor.post("/api/core/identities", json={"provider": name, **more})
    assert answer.status_code == 200, answer.text
    return visitor.come_back(visitor.at_provider(answer.json()["url"]))


def known(server, name: str) -> Visitor:
    """A browser in which somebody has signed in with a password."""
    with server.client(name) as client:
        return Visitor(server, cookies=client.cookies)


def test_who_is_signed_in_links_an_identity_and_logs_in_by_it(server, root, identity_provider):
    server.add_user("linker")
    identity_provider.tell(person=person("linker", email_verified=False))
    with known(server, "linker") as visitor:
        session = visitor.cookies["moorage_session"]
        assert link(visitor) == "/console/account"
        assert visitor.cookies["moorage_session"] == session
        (identity,) = visitor.get("/api/core/identities").json()["identities"]
        assert (identity["provider"], identity["label"]) == ("corp", "Corp")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", identity["created_at"])
        assert link(visitor, next="/console/done") == "/console/done"
        with Visitor(server) as other:
            assert other.sign_in() == "/"
            assert other.me()["id"] == visitor.me()["id"]
        assert visitor.delete(f"/api/core/identities/{identity['id']}").status_code == 204
        assert visitor.delete(f"/api/core/identities/{identity['id']}").status_code == 404
        assert audit(root, "identity.unlinked")
    with Visitor(server) as other:
        assert error_of(other.sign_in()) in ("invite_required", "email_not_verified")


def test_the_only_way_in_cannot_be_removed(visitor, identity_provider):
    identity_provider.tell(person=person("single"))
    assert visitor.sign_in("open") == "/"
    (identity,) = visitor.get("/api/core/identities").json()["identities"]
    refused = visitor.delete(f"/api/core/identities/{identity['id']}")
    assert refused.status_code == 409
    assert link(visitor, "corp") == "/console/account"
    assert visitor.delete(f"/api/core/identities/{identity['id']}").status_code == 204


def test_an_identity_belongs_to_one_user(server, visitor, identity_provider):
    identity_provider.tell(person=person("owned"))
    assert visitor.sign_in("open") == "/"
    (identity,) = visitor.get("/api/core/identities").json()["identities"]
    server.add_user("thief")
    with known(server, "thief") as thief:
        assert link(thief, "open") == "/console/account?error=identity_taken"
        assert thief.delete(f"/api/core/identities/{identity['id']}").status_code == 404
        assert thief.get("/api/core/identities").json()["identities"] == []


def test_keys_link_nothing(server):
    server.add_user("keyed")
    headers = {"Authorization": f"Bearer {server.key('keyed')}"}
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/ident_x")):
        answer = httpx.request(
            method, f"{server.url}/api/core/identities{path}", headers=headers, json={"provider": "corp"}
        )
        assert answer.status_code == 403
    assert httpx.get(f"{server.url}/api/core/identities").status_code == 401


def test_before_there_is_an_owner_nobody_comes_in(tmp_path, identity_provider):
    config = {"accounts": {"providers": {"open": provider(identity_provider.issuer, register_new="open")}}}
    with running(tmp_path, config) as server, Visitor(server) as visitor:
        assert error_of(visitor.sign_in("open")) == "setup_required"
        assert visitor.get("/api/console/state").json()["setup"] is True
