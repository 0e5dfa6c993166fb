"""S7: what another site causes with somebody's cookie is refused, on every unsafe route that is served."""

import re
from unittest.mock import MagicMock

import httpx
import pytest
from fakedist import probe
from harness import running
from moorage.routes import HttpRoute
from moorage.server.origin import SAFE
from moorage.surfaces import account_routes
from openapi_check import documents_of
from people import CONFIG, People
from waits import WAIT

REFUSED = ("Cross-site request refused", "The CSRF token does not match this session")
EVIL = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"X-CSRF-Token": "wrong"},
    {"X-CSRF-Token": ""} | {"Origin": "https://evil.example"},
]
VALUES = {"token": "A" * 20, "code": "AAAABBBB", "provider": "github"}


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    probe(site, "good")
    plugins = {"tmux": {"enabled": True, "mount": "/tmux"}, "good": {"enabled": True}}
    with running(
        tmp_path_factory.mktemp("s07"), {**CONFIG, "plugins": plugins}, env={"PYTHONPATH": str(site)}
    ) as server:
        people = People(server)
        yield people
        people.close()


@pytest.fixture(scope="module")
def unsafe(people):
    """(method, path) of every unsafe operation of every document that the server gives out, at each of its places."""
    found = set()
    for document in documents_of(people.server):
        for template, item in document["paths"].items():
            for method, operation in item.items():
                if method.upper() in SAFE or not isinstance(operation, dict) or "responses" not in operation:
                    continue
                for place in operation.get("servers", document["servers"]):
                    prefix = re.sub(r"^\{scheme\}://[^/]*", "", place["url"]).rstrip("/")
                    found.add((method.upper(), prefix + template))
    return sorted(found)


def filled(template):
    return re.sub(r"\{(\w+)\}", lambda m: VALUES.get(m[1], "999999"), template)


def is_refused(answer):
    return answer.status_code == 403 and any(words in answer.text for words in REFUSED)


def test_the_documents_hold_every_unsafe_account_route(unsafe):
    here = set(unsafe)
    routes = [route for route in account_routes(MagicMock()) if isinstance(route, HttpRoute)]
    wanted = {(method, route.path) for route in routes for method in route.methods if method not in SAFE}
    assert len(wanted) > 40
    assert wanted - here == set()
    assert {(method, f"/tmux{path}") for method, path in wanted} - here == set(), "at every mount"
    assert ("POST", "/good/write") in here, "those of plugins are among them"


@pytest.mark.parametrize("headers", EVIL, ids=lambda headers: "+".join(headers.values()) or "none")
def test_a_cookie_does_nothing_for_another_site(people, unsafe, headers):
    owner = people.make("owner")
    with httpx.Client(base_url=people.server.url, cookies=owner.client.cookies, timeout=WAIT) as browser:
        for method, template in unsafe:
            answer = browser.request(method, filled(template), headers=headers)
            assert is_refused(answer), (method, template, answer.status_code, answer.text)
            assert not any(value in answer.text for value in headers.values() if value.startswith("http"))
        assert browser.get("/auth/me").status_code == 200, "nothing was ended by it"


def test_the_jwt_in_its_cookie_does_nothing_either(people, unsafe):
    owner = people.make("owner")
    token = owner.client.cookies["auth_token"]
    with httpx.Client(base_url=people.server.url, headers={"Cookie": f"auth_token={token}"}, timeout=WAIT) as browser:
        for method, template in unsafe:
            answer = browser.request(method, filled(template), headers=EVIL[0])
            assert is_refused(answer), (method, template, answer.status_code, answer.text)


@pytest.mark.parametrize("headers", [EVIL[0], EVIL[2]], ids=lambda headers: "+".join(headers.values()))
def test_a_program_with_a_token_and_no_cookie_is_let_through(people, unsafe, headers):
    """A page cannot make a browser send Authorization to here: CORS does not let it."""
    key = people.server.key(people.make("viewer").name)
    bearer = {"Authorization": f"Bearer {key}", **headers}
    with httpx.Client(base_url=people.server.url, headers=bearer, timeout=WAIT) as program:
        for method, template in unsafe:
            answer = program.request(method, filled(template))
            assert not is_refused(answer), (method, template, answer.text)
            assert answer.status_code < 500, (method, template)
        assert program.get("/auth/me").status_code == 200, "and it was its token that was let through"


def test_a_login_is_not_made_by_another_site_even_without_a_cookie(people):
    """Or else its page could sign somebody in as its own user."""
    body = {"username": "root", "email": "root", "password": "wrong", "invite_code": "x", "token": "x"}
    paths = ["/api/auth/login", "/auth/login", "/api/auth/register", "/auth/register", "/api/auth/setup"]
    paths += ["/api/auth/sign-in/email", "/api/auth/sign-in/username", "/api/auth/sign-in/social", "/admin/bootstrap"]
    with people.server.client() as browser:
        for path in paths:
            for headers in EVIL[:5]:
                answer = browser.post(path, json=body, headers=headers)
                assert is_refused(answer), (path, headers, answer.text)


def test_one_own_page_is_let_through(people):
    """Or else all the refusals above would say nothing."""
    ann = people.make()
    token = ann.client.get("/api/auth/csrf").json()["csrf_token"]
    own = [{}, {"Origin": people.server.url}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}]
    for headers in [*own, {"X-CSRF-Token": token}]:
        for path, body, status in (
            ("/api/v1/api-keys", {"name": "k"}, 201),
            ("/tmux/api/v1/api-keys", {"name": "k"}, 201),
            ("/api/core/sessions/revoke-all", {"keep_current": True}, 200),
        ):
            assert ann.client.post(path, json=body, headers=headers).status_code == status, (path, headers)


def test_no_safe_method_changes_anything(people):
    """GET is not covered by the rule, so that it must not do what POST does."""
    ann = people.make()
    for path in ("/api/auth/logout", "/auth/logout", "/api/auth/sign-out", "/api/core/sessions/revoke-all"):
        for override in ({}, {"X-HTTP-Method-Override": "POST"}, {"X-Method-Override": "POST"}):
            answer = ann.client.get(path, headers=override, params={"_method": "POST"})
            assert answer.status_code in (404, 405), path
    assert ann.client.get("/auth/me").status_code == 200
