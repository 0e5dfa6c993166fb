"""S8: pages of other origins read nothing unless their origin is listed word for word; never `*`, nothing reflected."""

import httpx
import pytest
from people import CONFIG, populated

LISTED = "https://app.example"
EVIL = [
    "https://evil.example",
    "null",
    "*",
    "http://app.example",
    "https://app.example.evil.example",
    "https://evilapp.example",
    "https://sub.app.example",
    "https://app.example:8443",
    "https://app.example.",
    "https://app.example/",
    "https://app.example/path",
    "https://user@app.example",
    "https://app.example@evil.example",
    "https://app.example https://evil.example",
    "https://app.example, https://evil.example",
    "https://app.example%00.evil.example",
    "https://app_example",
    "https://appaexample",
    "app.example",
    "//app.example",
    "file://",
    "chrome-extension://abcdefgh",
]
PATHS = [
    ("POST", "/api/auth/login"),
    ("GET", "/auth/me"),
    ("GET", "/api/v1/users"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/api/console/state"),
    ("GET", "/health"),
    ("GET", "/"),
    ("GET", "/no/such/path"),
    ("PATCH", "/api/v1/users"),
]
ALLOW = "access-control-allow-origin"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("s08"), {**CONFIG, "server": {"trusted_origins": [LISTED]}}) as people:
        yield people


def ask(people, method, path, origin):
    """The preflight's answer, and that to the request itself with the cookies of an owner."""
    client = people.root.client
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "x-csrf-token",
    }
    return client.options(path, headers=asked), client.request(method, path, headers={"Origin": origin})


@pytest.mark.parametrize("origin", [*EVIL, "OWN.evil.example", "OWN0"])
def test_no_other_origin_is_let_read(people, origin):
    for method, path in PATHS:
        for answer in ask(people, method, path, origin.replace("OWN", people.server.url)):
            told = {name for name in answer.headers if name.startswith("access-control-")}
            assert told == set(), (path, answer.request.method)
            assert answer.status_code < 500


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_listed_origin_is_named_word_for_word_with_credentials(people, method, path):
    for answer in ask(people, method, path, LISTED):
        assert answer.headers.get_list(ALLOW) == [LISTED]
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in ", ".join(answer.headers.get_list("vary")), "or a cache gives it to others"


def test_a_preflight_grants_what_the_route_has_and_no_more(people):
    answer = ask(people, "POST", "/api/auth/login", LISTED)[0]
    assert answer.status_code == 204
    assert set(answer.headers["access-control-allow-methods"].split(", ")) == {"OPTIONS", "POST"}
    granted = set(answer.headers["access-control-allow-headers"].split(", "))
    assert "*" not in granted
    assert {"authorization", "content-type", "x-csrf-token"} <= granted
    assert int(answer.headers["access-control-max-age"]) <= 7200


def test_what_needs_no_origin_says_nothing_of_any(people):
    with httpx.Client(base_url=people.server.url) as client:
        for method, path in PATHS:
            assert ALLOW not in client.request(method, path).headers


def test_nobody_is_trusted_unless_listed(tmp_path):
    with populated(tmp_path) as people:
        for method, path in PATHS:
            for answer in ask(people, method, path, LISTED):
                assert ALLOW not in answer.headers
