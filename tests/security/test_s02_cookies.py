"""S2: session cookies are for this host, out of scripts' reach and not sent along by other sites; Secure over https."""

import pytest
from people import CONFIG, PASSWORD, populated
from wire import cookies_of, via

TRUSTED = "127.0.0.2"
HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "moorage.example", "X-Forwarded-For": "192.0.2.7"}
SESSION, JWT = "moorage_session", "auth_token"
LOGINS = {
    "/api/auth/login": {SESSION, JWT},
    "/auth/login": {SESSION},
    "/api/auth/sign-in/username": {SESSION},
}
LOGOUTS = ["/api/auth/logout", "/auth/logout", "/api/auth/sign-out"]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("s02"), {**CONFIG, "server": {"trusted_proxies": [TRUSTED]}}) as people:
        people.ann = people.make()
        yield people


def strict(flags):
    """What holds for each of our cookies, in clear text or not."""
    assert flags["path"] == "/"
    assert flags["samesite"] == "Lax"
    assert "httponly" in flags
    assert "domain" not in flags


@pytest.mark.parametrize("path", LOGINS)
@pytest.mark.parametrize(
    ("address", "headers", "secure"),
    [
        ("127.0.0.1", {}, False),
        ("127.0.0.1", HTTPS, False),
        (TRUSTED, {}, False),
        (TRUSTED, {**HTTPS, "X-Forwarded-Proto": "http"}, False),
        (TRUSTED, {**HTTPS, "X-Forwarded-Proto": "gopher"}, False),
        (TRUSTED, {**HTTPS, "X-Forwarded-Proto": "http, https"}, True),
        (TRUSTED, HTTPS, True),
    ],
)
def test_the_flags(people, path, address, headers, secure):
    with via(people.server, address, **headers) as client:
        answer = client.post(path, json={"username": people.ann.name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    found = cookies_of(answer)
    assert set(found) == {f"__Host-{name}" if secure else name for name in LOGINS[path]}
    for value, flags in found.values():
        strict(flags)
        assert ("secure" in flags) is secure
        assert len(value) >= 40
    assert ("strict-transport-security" in answer.headers) is secure


@pytest.mark.parametrize("path", LOGOUTS)
@pytest.mark.parametrize("secure", [False, True])
def test_a_logout_takes_the_cookies_away_with_the_same_flags(people, path, secure):
    with via(people.server, TRUSTED, **(HTTPS if secure else {})) as client:
        found = cookies_of(client.post("/api/auth/login", json={"username": people.ann.name, "password": PASSWORD}))
        cookie = "; ".join(f"{name}={value}" for name, (value, _) in found.items())
        gone = cookies_of(client.post(path, headers={"Cookie": cookie}))
    assert set(gone) == set(found)
    for value, flags in gone.values():
        strict(flags)
        assert value == ""
        assert flags["max-age"] == "0"
        assert ("secure" in flags) is secure


@pytest.mark.parametrize("name", [SESSION, JWT])
def test_over_https_only_the_host_bound_name_is_read(people, name):
    """One without the prefix may have been planted by another host of the same domain."""
    with via(people.server, TRUSTED, **HTTPS) as client:
        found = cookies_of(client.post("/api/auth/login", json={"username": people.ann.name, "password": PASSWORD}))
        value = found[f"__Host-{name}"][0]
        assert client.get("/auth/me", headers={"Cookie": f"__Host-{name}={value}"}).status_code == 200
        assert client.get("/auth/me", headers={"Cookie": f"{name}={value}"}).status_code == 401
    with people.server.client() as client:
        assert client.get("/auth/me", headers={"Cookie": f"__Host-{name}={value}"}).status_code == 401


def test_a_new_session_after_a_change_has_the_same_flags(people):
    ann = people.make("viewer")
    link = people.root.client.post("/api/invites", json={"role": "operator"}).json()["token"]
    body = {"current_password": PASSWORD, "new_password": "another battery staple"}
    for answer in (
        ann.client.post(f"/api/invites/{link}/accept"),
        ann.client.post("/api/core/password", json=body),
    ):
        found = cookies_of(answer)
        assert SESSION in found
        for _, flags in found.values():
            strict(flags)
