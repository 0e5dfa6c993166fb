"""S10: a login at a provider is bound to its browser, proven by PKCE and nonce, good once, and links by proof alone."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest
from harness import running
from visitor import Visitor, error_of, provider
from waits import WAIT

WRONG_KEYS = [
    [1],
    {"keys": "one"},
    {"keys": []},
    {"keys": [None, 7, {}]},
    {"keys": [{"kty": "RSA", "kid": "one"}]},
    {"keys": [{"kty": "RSA", "kid": "one", "n": "AQ", "e": "AQAB"}]},
    {"keys": [{"kty": "RSA", "kid": "one", "n": 7, "e": []}]},
    {"keys": [{"kty": "EC", "kid": "one", "crv": "P-999", "x": "AA", "y": "AA"}]},
    {"keys": [{"kty": "EC", "kid": "one", "crv": "P-256", "x": "AA", "y": "AA"}]},
    {"keys": [{"kty": "oct", "kid": "one", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}]},
    {"keys": [{"kty": ["RSA"], "kid": "one"}]},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory, identity_provider):
    issuer = identity_provider.issuer
    providers = {
        "open": provider(issuer, register_new="open"),
        "other": provider(issuer, register_new="open"),
        "hub": provider(issuer, "github", register_new="open"),
        "strict": provider(issuer, register_new="open"),
        "rotating": provider(issuer, register_new="open"),
        **{f"keys{i}": provider(issuer, register_new="open") for i in range(len(WRONG_KEYS))},
        "bad": provider(issuer, register_new="open", client_secret="not-the-secret"),
    }
    config = {
        "limits": {"general": "100000/minute", "authentication": "100000/minute"},
        "accounts": {"argon2_memory_kib": 256, "argon2_time": 1, "providers": providers},
    }
    with running(tmp_path_factory.mktemp("s10"), config) as server:
        server.add_user("root", "owner")
        yield server


@pytest.fixture(autouse=True)
def told(identity_provider):
    identity_provider.tell()


@pytest.fixture
def visitor(server):
    with Visitor(server) as visitor:
        yield visitor


@pytest.fixture
def stranger(server):
    with Visitor(server) as visitor:
        yield visitor


@pytest.mark.parametrize("name", ["open", "hub"])
def test_state_nonce_and_challenge_are_random_and_sent(visitor, name):
    seen = [httpx.URL(visitor.leave(name)).params for _ in range(3)]
    for key in ("state", "code_challenge") + (("nonce",) if name == "open" else ()):
        assert len({one[key] for one in seen}) == 3
        assert all(len(one[key]) >= 43 for one in seen)
    assert {one["code_challenge_method"] for one in seen} == {"S256"}
    assert all("code_verifier" not in one and "client_secret" not in one for one in seen)


def test_what_is_stored_opens_nothing(server, visitor):
    state = httpx.URL(visitor.leave("open")).params["state"]
    with closing(sqlite3.connect(server.data_dir / "moorage.db")) as base:
        rows = base.execute("SELECT state_hash, browser_hash, sealed FROM core_oauth_flows").fetchall()
    text = str(rows)
    assert rows
    assert state not in text
    assert visitor.cookies["oauth_flow"] not in text
    assert "verifier" not in text


def test_the_provider_gets_the_verifier_and_the_secret_once(visitor, identity_provider):
    assert visitor.sign_in("open") == "/"
    (sent,) = identity_provider.heard("/token")
    assert len(sent["code_verifier"]) >= 43
    assert sent["authorization"].startswith("Basic ")
    assert "client_secret" not in sent


def test_a_wrong_secret_lets_nobody_in(visitor):
    assert error_of(visitor.sign_in("bad")) == "oauth_failed"


def test_a_code_of_another_login_fails_by_its_challenge(visitor, stranger):
    """Someone's stolen code, put into one's own answer: the verifier is another's."""
    stolen = httpx.URL(stranger.at_provider(stranger.leave("open"))).params["code"]
    own = httpx.URL(visitor.at_provider(visitor.leave("open")))
    assert error_of(visitor.come_back(str(own.copy_set_param("code", stolen)))) == "oauth_failed"
    assert visitor.me() is None


def test_states_of_two_browsers_cannot_be_swapped(visitor, stranger):
    mine = visitor.at_provider(visitor.leave("open"))
    theirs = stranger.at_provider(stranger.leave("open"))
    assert visitor.come_back(theirs) == "/?error=invalid_state"
    assert stranger.come_back(mine) == "/?error=invalid_state"
    assert visitor.me() is None
    assert stranger.me() is None
    # Whoever tried another's ended nobody's login.
    assert visitor.come_back(mine) == "/"
    assert stranger.come_back(theirs) == "/"


def test_a_browser_without_the_cookie_is_not_logged_in(visitor, stranger):
    back = visitor.at_provider(visitor.leave("open"))
    assert stranger.come_back(back) == "/?error=invalid_state"
    assert stranger.get(back, headers={"Cookie": "oauth_flow="}).headers["location"] == "/?error=invalid_state"
    assert stranger.me() is None


def test_an_answer_is_good_once(visitor, identity_provider):
    back = visitor.at_provider(visitor.leave("open"))
    cookie = visitor.cookies["oauth_flow"]
    assert visitor.come_back(back) == "/"
    assert "oauth_flow" not in visitor.cookies
    again = visitor.get(back, headers={"Cookie": f"oauth_flow={cookie}"})
    assert again.headers["location"] == "/?error=invalid_state"
    assert len(identity_provider.heard("/token")) == 1


def test_of_many_answers_at_once_one_is_taken(server, visitor, identity_provider):
    back = visitor.at_provider(visitor.leave("open"))
    cookie = f"oauth_flow={visitor.cookies['oauth_flow']}"
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: httpx.get(back, headers={"Cookie": cookie}, timeout=WAIT), range(12)))
    places = [one.headers["location"] for one in answers]
    assert sorted(places) == ["/"] + ["/?error=invalid_state"] * 11
    assert len(identity_provider.heard("/token")) == 1


def test_an_answer_for_another_provider_is_refused(visitor):
    back = visitor.at_provider(visitor.leave("open"))
    assert visitor.come_back(back.replace("/open/callback", "/other/callback")) == "/?error=invalid_state"
    assert visitor.come_back(back) == "/"


def test_an_answer_after_ten_minutes_is_refused(server, visitor):
    back = visitor.at_provider(visitor.leave("open"))
    with closing(sqlite3.connect(server.data_dir / "moorage.db", timeout=WAIT)) as base, base:
        base.execute("UPDATE core_oauth_flows SET expires_at = '2020-01-01 00:00:00+00:00'")
    assert visitor.come_back(back) == "/?error=invalid_state"


@pytest.mark.parametrize("drop", ["state", "code"])
def test_an_answer_that_lacks_something_is_refused(visitor, drop):
    back = httpx.URL(visitor.at_provider(visitor.leave("open")))
    assert error_of(visitor.come_back(str(back.copy_remove_param(drop)))) == "invalid_state"


def test_a_login_that_was_broken_off_is_told_as_chrotes_page_knows_it(visitor, identity_provider):
    identity_provider.tell(back={"error": "access_denied"})
    assert visitor.sign_in("open") == "/?error=invalid_state"
    identity_provider.tell(back={"error": "<script>"})
    assert visitor.sign_in("open") == "/?error=oauth_failed"


def test_the_issuer_in_the_answer_has_to_be_the_one_that_was_asked(visitor, identity_provider):
    identity_provider.tell(back={"iss": identity_provider.issuer})
    assert visitor.sign_in("open") == "/"
    identity_provider.tell(back={"iss": "https://evil.example"})
    assert visitor.sign_in("open") == "/?error=invalid_state"
    identity_provider.tell(metadata={"authorization_response_iss_parameter_supported": True})
    assert visitor.sign_in("strict") == "/?error=invalid_state"


NOW = int(time.time())


def said(value):
    """A claim in a test's name, which must not change with the second in which tests are collected."""
    return f"now{value - NOW:+}" if isinstance(value, int) and value > 10**9 else str(value)[:20]


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"aud": None},
        {"aud": ["moorage-test", "another-client"]},
        {"azp": "another-client"},
        {"nonce": "another-login"},
        {"nonce": None},
        {"nonce": 7},
        {"exp": NOW - 3600},
        {"exp": None},
        {"exp": "never"},
        {"iat": NOW + 3600},
        {"iat": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 42},
        {"sub": "x" * 300},
        {"sub": "nul\x00"},
    ],
    ids=lambda claims: "-".join(f"{key}={said(value)!r}" for key, value in claims.items()),
)
def test_an_id_token_with_wrong_claims_is_not_believed(visitor, identity_provider, claims):
    identity_provider.tell(claims=claims)
    assert visitor.sign_in("open") == "/?error=oauth_failed"
    assert visitor.me() is None


@pytest.mark.parametrize("sign", ["none", "hmac", "evil"])
def test_an_id_token_that_the_issuer_did_not_sign_is_not_believed(visitor, identity_provider, sign):
    identity_provider.tell(sign=sign)
    assert visitor.sign_in("open") == "/?error=oauth_failed"


def test_an_id_token_that_names_another_key_is_not_believed(visitor, identity_provider):
    identity_provider.tell(sign="evil", header={"kid": "one"})
    assert visitor.sign_in("open") == "/?error=oauth_failed"
    identity_provider.tell(header={"kid": ["one"]})
    assert visitor.sign_in("open") == "/?error=oauth_failed"


def test_keys_that_the_issuer_changed_are_fetched_once_more(visitor, identity_provider):
    assert visitor.sign_in("rotating") == "/"
    identity_provider.tell(keys=["one", "two"], sign="two")
    assert visitor.sign_in("rotating") == "/"
    assert visitor.sign_in("rotating") == "/"
    assert len(identity_provider.heard("/jwks")) == 1
    identity_provider.tell(keys=["one", "two"], sign="evil")
    for _ in range(3):
        assert visitor.sign_in("rotating") == "/?error=oauth_failed"
    assert len(identity_provider.heard("/jwks")) == 0


@pytest.mark.parametrize("number", range(len(WRONG_KEYS)), ids=lambda i: str(WRONG_KEYS[i])[:50])
def test_keys_that_are_none_prove_nothing(visitor, identity_provider, number):
    identity_provider.tell(jwks=WRONG_KEYS[number])
    assert visitor.sign_in(f"keys{number}") == "/?error=oauth_failed"


def test_linking_is_bound_to_who_began_it(server, visitor, identity_provider):
    """An identity that is proven by one person must not end up at whoever sits there next."""
    server.add_user("began")
    identity_provider.tell(person={"sub": "bound", "email": "bound@example.org"})
    with server.client("began") as client, Visitor(server, cookies=client.cookies) as browser:
        url = browser.post("/api/core/identities", json={"provider": "open"}).json()["url"]
        back = browser.at_provider(url)
        assert client.post("/api/auth/logout").status_code == 200
        assert error_of(browser.come_back(back)) == "invalid_state"
    with server.client("root") as root:
        root.headers["X-CSRF-Token"] = root.get("/api/auth/csrf").json()["csrf_token"]
        assert root.get("/api/core/identities").json()["identities"] == []


def test_another_site_cannot_begin_to_link(server):
    with server.client("root") as root:
        answer = root.post(
            "/api/core/identities", json={"provider": "open"}, headers={"Origin": "https://evil.example"}
        )
        assert answer.status_code == 403
        assert root.get("/api/core/identities/open").status_code in (404, 405)


def test_the_redirect_uri_is_exactly_ours(visitor):
    asked = httpx.URL(visitor.leave("open", next="/elsewhere?redirect_uri=https://evil.example"))
    assert asked.params["redirect_uri"] == f"{visitor.base_url}/api/auth/open/callback".replace("//api", "/api")
    assert asked.params.get_list("redirect_uri") == [asked.params["redirect_uri"]]
