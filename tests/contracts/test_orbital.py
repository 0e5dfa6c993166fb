"""Orbital's account API: the document's examples, better-auth's recorded answers, stock OAuth clients, bad input."""

import base64
import itertools
import json
import re

import httpx
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from harness import running
from oauthlib.oauth2 import DeviceClient, LegacyApplicationClient, UnsupportedGrantTypeError
from people import CONFIG, PASSWORD, populated
from requests_oauthlib import OAuth2Session
from waits import WAIT

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
USER_KEYS = {"id", "name", "email", "image", "emailVerified", "createdAt", "updatedAt"}
SESSION_KEYS = {"id", "userId", "expiresAt", "createdAt", "updatedAt", "ipAddress", "userAgent", "token"}
ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
FORM = "application/x-www-form-urlencoded"
ADDRESSES = (f"198.51.{high}.{low}" for high, low in itertools.product(range(1, 255), range(1, 255)))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    more = {
        "server": {"trusted_proxies": ["127.0.0.1"]},
        "accounts": {**CONFIG["accounts"], "device": {"interval": 1}},
    }
    with populated(tmp_path_factory.mktemp("orbital"), {**CONFIG, **more}) as people:
        yield people


@pytest.fixture
def device(people):
    """A program of its own on a machine of its own: limits count by address."""
    headers = {"X-Forwarded-For": next(ADDRESSES)}
    with httpx.Client(base_url=people.server.url, headers=headers, timeout=WAIT) as client:
        yield client


@pytest.fixture(scope="module")
def ann(people):
    return people.make()


def begin(device, **fields):
    answer = device.post("/api/auth/device/code", json={"client_id": "cli", **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def poll(device, code, **fields):
    body = {"grant_type": DEVICE_GRANT, "device_code": code["device_code"], "client_id": "cli", **fields}
    return device.post("/api/auth/device/token", json=body)


def decide(person, code, decision="approve"):
    return person.client.post(f"/api/auth/device/{decision}", json={"userCode": code["user_code"]})


def signed_in(device, person, **fields):
    code = begin(device, **fields)
    assert decide(person, code).json() == {"success": True}
    answer = poll(device, code)
    assert answer.status_code == 200, answer.text
    return answer.json()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def check_oauth_error(answer, error, status=400):
    assert (answer.status_code, answer.json().get("error")) == (status, error), answer.text
    assert set(answer.json()) == {"error", "error_description", "message"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    assert answer.headers["Content-Type"] == "application/json"


# -- the document's examples --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/auth/device", "/api/auth/device/code"])
@pytest.mark.parametrize("kind", ["json", "data"])
def test_a_code_is_given_at_both_paths_for_both_kinds_of_body(device, people, path, kind):
    answer = device.post(path, **{kind: {"client_id": "cli", "scope": "openid"}})
    assert answer.status_code == 200
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    code = answer.json()
    assert set(code) == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    }
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", code["user_code"])
    assert code["verification_uri"] == f"{people.server.url}/device"
    assert code["verification_uri_complete"] == f"{people.server.url}/device?user_code={code['user_code']}"
    assert (code["expires_in"], code["interval"]) == (1800, 1)


@pytest.mark.parametrize("path", ["/api/auth/device/token", "/api/auth/token"])
@pytest.mark.parametrize("kind", ["json", "data"])
def test_an_approved_code_is_exchanged_for_tokens(device, ann, path, kind):
    code = begin(device, scope="openid profile")
    assert decide(ann, code).json() == {"success": True}
    body = {"grant_type": DEVICE_GRANT, "device_code": code["device_code"], "client_id": "cli"}
    answer = device.post(path, **{kind: body})
    assert answer.status_code == 200
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    tokens = answer.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 604800, "openid profile")
    assert re.fullmatch(r"[A-Za-z0-9_-]+", tokens["access_token"])


def test_a_token_shows_its_user_and_session_as_bearer_and_in_the_path(device, ann):
    token = signed_in(device, ann)["access_token"]
    for answer in (device.get("/api/me", headers=bearer(token)), device.get(f"/api/me/{token}")):
        assert answer.status_code == 200
        user, session = answer.json()["user"], answer.json()["session"]
        assert (user["id"], user["name"], user["email"], user["image"]) == (ann.pid, ann.name, ann.email, None)
        assert session["id"].startswith("sess_")
        assert ISO.match(session["expiresAt"])


def test_me_without_a_token_that_holds_is_refused_in_orbitals_words(device):
    for headers in ({}, bearer("mses_nothing"), {"Authorization": "Basic eDp5"}):
        answer = device.get("/api/me", headers=headers)
        assert answer.status_code == 401
        assert {"error", "message"} <= set(answer.json())
        assert answer.json()["error"].isupper()


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("?user_code=BCDF-GHJK", "/console/device?user_code=BCDF-GHJK"),
        ("", "/console/device"),
        ("?user_code=", "/console/device"),
        ("?user_code=//evil.example", "/console/device"),
        ("?user_code=%0d%0aSet-Cookie:x", "/console/device"),
        ("?user_code=" + "A" * 33, "/console/device"),
        ("?user_code=%C3%A9%C3%A9", "/console/device"),
        ("?next=//evil.example", "/console/device"),
    ],
)
def test_the_device_page_is_ours_whatever_the_code(device, query, place):
    answer = device.get(f"/device{query}")
    assert (answer.status_code, answer.headers["Location"]) == (302, place)


# -- better-auth's recorded answers ---------------------------------------------------------------------------------


def test_a_session_is_shown_as_recorded_by_cookie_and_by_bearer_and_null_to_nobody(device, ann):
    token = signed_in(device, ann)["access_token"]
    by_cookie, by_bearer = ann.client, {"headers": bearer(token)}
    for answer in (by_cookie.get("/api/auth/get-session"), device.get("/api/auth/get-session", **by_bearer)):
        assert answer.status_code == 200
        assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
        assert set(answer.json()) == {"user", "session"}
        user, session = answer.json()["user"], answer.json()["session"]
        assert set(user) == USER_KEYS
        assert set(session) == SESSION_KEYS
        assert session["token"] is None
        assert session["userId"] == user["id"] == ann.pid
        for at in (user["createdAt"], user["updatedAt"], *(session[f"{n}At"] for n in ("created", "updated"))):
            assert ISO.match(at)
    for headers in ({}, bearer("mses_nothing"), {"Cookie": "moorage_session=mses_nothing"}):
        answer = device.get("/api/auth/get-session", headers=headers)
        assert (answer.status_code, answer.json()) == (200, None)


def test_polls_are_answered_as_recorded(device, ann):
    code = begin(device)
    check_oauth_error(poll(device, code), "authorization_pending")
    for _ in range(2):
        check_oauth_error(poll(device, code), "slow_down")
    check_oauth_error(poll(device, {"device_code": "mdev_unknown"}), "invalid_grant")
    check_oauth_error(poll(device, code, client_id="other"), "invalid_grant")
    check_oauth_error(poll(device, code, grant_type="password"), "unsupported_grant_type")
    check_oauth_error(device.post("/api/auth/device/token", json={"grant_type": DEVICE_GRANT}), "invalid_request")
    code = begin(device)
    assert decide(ann, code, "deny").json() == {"success": True}
    check_oauth_error(poll(device, code), "access_denied")
    check_oauth_error(poll(device, code), "invalid_grant")
    code = begin(device)
    decide(ann, code)
    assert poll(device, code).status_code == 200
    check_oauth_error(poll(device, code), "invalid_grant")


def test_a_code_is_looked_at_and_decided_as_recorded(device, people, ann):
    code = begin(device, scope="openid")
    typed = code["user_code"].lower().replace("-", "")
    path = f"/api/auth/device?user_code={typed}"
    anonymous = device.get(path)
    assert (anonymous.status_code, anonymous.json()) == (200, {"user_code": code["user_code"], "status": "pending"})
    check_oauth_error(device.get("/api/auth/device?user_code=BBBB-BBBB"), "invalid_request")
    check_oauth_error(device.get("/api/auth/device"), "invalid_request")
    check_oauth_error(
        device.post("/api/auth/device/approve", json={"userCode": code["user_code"]}), "unauthorized", 401
    )
    seen = ann.client.get(path).json()
    assert seen["client_id"] == "cli"
    assert seen["scope"] == "openid"
    assert seen["address"] == device.headers["X-Forwarded-For"]
    assert ISO.match(seen["expires_at"])
    other = people.make()
    assert set(other.client.get(path).json()) == {"user_code", "status"}
    check_oauth_error(decide(other, code), "access_denied", 403)
    assert decide(ann, code).json() == {"success": True}
    check_oauth_error(decide(ann, code), "invalid_request")
    assert ann.client.get(path).json()["status"] == "approved"


def test_octos_cookie_decides_too_and_its_jwt_as_bearer_does_not(people, device, ann):
    page = people.anybody()
    jwt = page.post("/api/auth/login", json={"email": ann.email, "password": PASSWORD}).json()["token"]
    page.cookies.delete("moorage_session")
    code = begin(device)
    answer = device.post(
        "/api/auth/device/approve", json={"userCode": code["user_code"]}, headers={"Authorization": f"Bearer {jwt}"}
    )
    check_oauth_error(answer, "access_denied", 403)
    answer = page.post("/api/auth/device/approve", json={"userCode": code["user_code"]})
    assert answer.json() == {"success": True}, answer.text


def test_signing_in_and_out_as_better_auth_does(people, ann):
    for path, body in (
        ("/api/auth/sign-in/email", {"email": ann.email, "password": PASSWORD}),
        ("/api/auth/sign-in/username", {"username": ann.name, "password": PASSWORD}),
    ):
        page = people.anybody()
        answer = page.post(path, json=body)
        assert answer.status_code == 200
        assert set(answer.json()) == {"redirect", "token", "url", "user"}
        assert (answer.json()["redirect"], answer.json()["url"]) == (False, None)
        assert answer.json()["user"]["id"] == ann.pid
        assert "Max-Age" in answer.headers["Set-Cookie"]
        assert page.get("/api/auth/get-session").json()["user"]["id"] == ann.pid
        assert people.anybody().get("/api/me", headers=bearer(answer.json()["token"])).status_code == 200
        assert page.post("/api/auth/sign-out").json() == {"success": True}
        assert page.get("/api/auth/get-session").json() is None
        assert page.post("/api/auth/sign-out", json={}).json() == {"success": True}
        refused = page.post(path, json={**body, "password": "wrong"})
        assert (refused.status_code, refused.json()["error"]) == (401, "INVALID_CREDENTIALS")


def test_a_session_that_is_not_to_be_remembered_ends_with_the_browser(people, ann):
    body = {"email": ann.email, "password": PASSWORD, "rememberMe": False}
    cookie = people.anybody().post("/api/auth/sign-in/email", json=body).headers["Set-Cookie"]
    assert "Max-Age" not in cookie
    assert "Expires" not in cookie


@pytest.mark.parametrize("place", ["/next?a=b", "{base}/next", "{base}"])
def test_a_login_goes_on_to_a_place_of_ours(people, ann, place):
    place = place.format(base=people.server.url)
    body = {"email": ann.email, "password": PASSWORD, "callbackURL": place}
    answer = people.anybody().post("/api/auth/sign-in/email", json=body).json()
    assert (answer["redirect"], answer["url"]) == (True, place)


@pytest.mark.parametrize(
    "place",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "https:evil",
        "javascript:alert(1)",
        "/a\r\nb",
        "{base}.evil.example/",
        "{base}@evil.example/",
        "{base}//evil",
    ],
)
def test_a_login_goes_nowhere_else(people, ann, place):
    body = {"email": ann.email, "password": PASSWORD, "callbackURL": place.format(base=people.server.url)}
    answer = people.anybody().post("/api/auth/sign-in/email", json=body)
    assert (answer.status_code, answer.json()["error"]) == (403, "INVALID_CALLBACK_URL")
    assert "Set-Cookie" not in answer.headers


# -- stock OAuth clients ----------------------------------------------------------------------------------------------


def metadata(people):
    answer = httpx.get(f"{people.server.url}/.well-known/oauth-authorization-server")
    assert answer.status_code == 200
    return answer.json()


def test_the_metadata_is_valid_and_names_endpoints_that_are_there(people):
    found = AuthorizationServerMetadata(metadata(people))
    assert found["issuer"] == people.server.url
    assert "none" in found["token_endpoint_auth_methods_supported"]
    assert {DEVICE_GRANT, "refresh_token"} <= set(found["grant_types_supported"])
    for name in ("device_authorization", "token", "revocation"):
        answer = httpx.post(found[f"{name}_endpoint"])
        check_oauth_error(answer, "invalid_request")


def test_authlibs_client_logs_in_refreshes_and_revokes(people, ann):
    places = metadata(people)
    with OAuth2Client(client_id="authlib", token_endpoint_auth_method="none") as client:
        asked = client.request(
            "POST",
            places["device_authorization_endpoint"],
            data={"client_id": "authlib", "scope": "openid"},
            withhold_token=True,
        )
        code = asked.json()
        assert decide(ann, code).status_code == 200
        client.fetch_token(places["token_endpoint"], grant_type=DEVICE_GRANT, device_code=code["device_code"])
        first = client.token
        assert client.get(f"{people.server.url}/api/me").json()["user"]["id"] == ann.pid
        client.refresh_token(places["token_endpoint"], refresh_token=first["refresh_token"])
        assert client.token["access_token"] != first["access_token"]
        assert client.get(f"{people.server.url}/api/me").status_code == 200
        token = client.token["refresh_token"]
        assert client.revoke_token(places["revocation_endpoint"], token=token).status_code == 200
        assert client.get(f"{people.server.url}/api/me").status_code == 401


def test_authlibs_client_by_http_basic_without_a_secret(people, ann):
    places = metadata(people)
    with OAuth2Client(
        client_id="authlib", client_secret="", token_endpoint_auth_method="client_secret_basic"
    ) as client:
        code = httpx.post(places["device_authorization_endpoint"], data={"client_id": "authlib"}).json()
        decide(ann, code)
        token = client.fetch_token(places["token_endpoint"], grant_type=DEVICE_GRANT, device_code=code["device_code"])
        assert token["token_type"] == "Bearer"


def test_oauthlibs_device_client_logs_in_and_refreshes(people, ann, monkeypatch):
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    places = metadata(people)
    with OAuth2Session(client=DeviceClient("oauthlib")) as session:
        code = session.post(
            places["device_authorization_endpoint"], data={"client_id": "oauthlib"}, withhold_token=True
        ).json()
        decide(ann, code)
        token = session.fetch_token(places["token_endpoint"], device_code=code["device_code"], include_client_id=True)
        assert session.get(f"{people.server.url}/api/me").json()["user"]["id"] == ann.pid
        fresh = session.refresh_token(places["token_endpoint"], token["refresh_token"], client_id="oauthlib")
        assert fresh["access_token"] != token["access_token"]
        assert session.get(f"{people.server.url}/api/me").status_code == 200


def test_oauthlib_reads_our_errors(people, monkeypatch):
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    place = f"{people.server.url}/api/auth/token"
    client = LegacyApplicationClient("oauthlib")
    with OAuth2Session(client=client) as session, pytest.raises(UnsupportedGrantTypeError):
        session.fetch_token(place, username="x", password="y", include_client_id=True)


# -- bad input ------------------------------------------------------------------------------------------------------

LONG = "x" * 5000
BAD = [None, 5, True, [], {}, ["cli"], "", LONG, "a\x00b", "caf\u00e9", "a\nb"]


@pytest.mark.parametrize("field", ["client_id", "scope"])
@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:12])
def test_no_bad_field_gets_a_code(device, field, value):
    answer = device.post("/api/auth/device/code", json={"client_id": "cli", field: value})
    if field == "scope" and value in (None, ""):
        assert answer.status_code == 200
    else:
        check_oauth_error(answer, "invalid_request")


@pytest.mark.parametrize("field", ["grant_type", "client_id", "device_code"])
@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:12])
def test_no_bad_field_gets_a_token(device, field, value):
    code = {"device_code": "mdev_x"}
    check_oauth_error(poll(device, code, **{field: value}), "invalid_request")


@pytest.mark.parametrize("field", ["refresh_token", "client_id", "scope"])
@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:12])
def test_no_bad_field_refreshes(device, field, value):
    body = {"grant_type": "refresh_token", "refresh_token": "mref_x", "client_id": "cli", field: value}
    answer = device.post("/api/auth/token", json=body)
    unsaid = field == "scope" and value in (None, "")
    check_oauth_error(answer, "invalid_grant" if unsaid else "invalid_request")


@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:12])
def test_revoking_takes_any_text_for_a_token_and_nothing_else(device, value):
    answer = device.post("/api/auth/revoke", json={"token": value})
    if isinstance(value, str) and 0 < len(value) <= 4096:
        assert (answer.status_code, answer.content) == (200, b"")
    else:
        check_oauth_error(answer, "invalid_request")


@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:12])
def test_no_bad_user_code_is_decided_about(people, value):
    person = people.make()
    person.client.headers["X-Forwarded-For"] = next(ADDRESSES)
    for decision in ("approve", "deny"):
        check_oauth_error(
            person.client.post(f"/api/auth/device/{decision}", json={"userCode": value}), "invalid_request"
        )


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, b"client_id=a&client_id=b"),
        (FORM, b""),
        (FORM, b"client_id=%00"),
        (FORM, b"client_id=%ff%fe"),
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'"text"'),
        ("application/json", b'{"client_id": "\\ud800"}'),
        ("application/json", b"[" * 5000),
        ("text/plain", b"client_id=cli"),
        ("application/xml", b"<client_id/>"),
        ("multipart/form-data", b"client_id=cli"),
    ],
)
@pytest.mark.parametrize("path", ["device", "device/code", "device/token", "token", "revoke"])
def test_a_body_that_cannot_be_read_is_an_invalid_request(device, path, kind, body):
    answer = device.post(f"/api/auth/{path}", content=body, headers={"Content-Type": kind})
    check_oauth_error(answer, "invalid_request")


def test_a_body_that_is_too_large_is_refused_in_oauths_words(device):
    check_oauth_error(device.post("/api/auth/device/token", content=b"x" * 20_000), "invalid_request", 413)


@pytest.mark.parametrize("path", ["device/code", "device/token", "token", "revoke", "device/approve", "device/deny"])
def test_a_wrong_method_is_refused_in_oauths_words(device, path):
    # GET /api/auth/NAME begins a login at the provider of that name.
    for method in ("GET", "PUT", "DELETE") if "/" in path else ("PUT", "DELETE"):
        answer = device.request(method, f"/api/auth/{path}")
        check_oauth_error(answer, "invalid_request", 405)
        assert "POST" in answer.headers["Allow"]


def basic(text):
    return {"Authorization": "Basic " + base64.b64encode(text).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        basic(b"cli:secret"),
        basic(b":"),
        basic(b"cli\x00:"),
        basic(b"other:"),
        basic(b"no-colon"),
        basic(b"\xff\xfe:"),
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic"},
    ],
)
def test_a_client_that_is_not_known_by_http_basic_is_refused_in_that_scheme(device, headers):
    body = {"client_id": "cli", "grant_type": "refresh_token", "refresh_token": "mref_x"}
    for path in ("device/code", "token"):
        answer = device.post(f"/api/auth/{path}", json=body, headers=headers)
        check_oauth_error(answer, "invalid_client", 401)
        assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_a_client_with_a_secret_is_not_known(device):
    body = {"grant_type": "refresh_token", "refresh_token": "mref_x", "client_id": "cli", "client_secret": "s"}
    check_oauth_error(device.post("/api/auth/token", data=body), "invalid_client")


def test_a_bearer_token_that_is_stale_does_not_keep_a_program_from_asking_for_another(device):
    answer = device.post("/api/auth/device/code", json={"client_id": "cli"}, headers=bearer("mses_stale"))
    assert answer.status_code == 200


@pytest.mark.parametrize("field", ["email", "password", "rememberMe", "callbackURL"])
@pytest.mark.parametrize("value", [5, [], {}, "\x00", "\ud800", LONG], ids=lambda value: repr(value)[:12])
def test_no_bad_field_signs_in(device, ann, field, value):
    text = json.dumps({"email": ann.email, "password": PASSWORD, field: value})
    answer = device.post("/api/auth/sign-in/email", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 401, 403), answer.text
    assert {"error", "message"} <= set(answer.json())


# -- a token in an address --------------------------------------------------------------------------------------------


def test_an_answer_to_a_token_in_an_address_is_kept_nowhere(device, ann):
    token = signed_in(device, ann)["access_token"]
    for path in (token, "mses_unknown"):
        headers = device.get(f"/api/me/{path}").headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Robots-Tag"] == "noindex"
        assert headers["Deprecation"].startswith("@")
        assert headers["Link"] == '</api/me>; rel="successor-version"'


def test_only_a_device_logins_token_is_taken_in_an_address(people, device, ann):
    login = people.anybody().post("/api/auth/sign-in/email", json={"email": ann.email, "password": PASSWORD})
    jwt = people.anybody().post("/api/auth/login", json={"email": ann.email, "password": PASSWORD}).json()["token"]
    refresh = signed_in(device, ann)["refresh_token"]
    for token in (login.json()["token"], jwt, people.server.key(ann.name), refresh, "x", "%00x"[3:], "%F0%9F%92%A9"):
        answer = device.get(f"/api/me/{token}")
        assert (answer.status_code, answer.json()["error"]) == (401, "UNAUTHORIZED"), token[:8]


@pytest.mark.parametrize("headers", [{"Cookie": "a=b"}, {"Sec-Fetch-Dest": "document"}, {"Sec-Fetch-Mode": "navigate"}])
def test_a_browser_gets_nothing_by_a_token_in_an_address(device, ann, headers):
    token = signed_in(device, ann)["access_token"]
    assert device.get(f"/api/me/{token}", headers=headers).status_code == 403


def test_wrong_tokens_in_addresses_are_counted(device, ann):
    token = signed_in(device, ann)["access_token"]
    for _ in range(20):
        assert device.get("/api/me/mses_wrong").status_code == 401
    answer = device.get(f"/api/me/{token}")
    assert (answer.status_code, answer.json()["error"]) == (429, "RATE_LIMITED")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_token_in_an_address_is_in_no_log_and_its_use_is_written_down(people, device, ann):
    token = signed_in(device, ann)["access_token"]
    for _ in range(3):
        assert device.get(f"/api/me/{token}").status_code == 200
    said = people.server.output() + people.server.stderr
    assert token not in said
    assert "/api/me/{token}" in said
    noted = people.root.client.get("/api/v1/audit", params={"action": "token.in_url"}).json()["data"]["events"]
    assert len([one for one in noted if one["actor"] == ann.pid]) == 1


def test_a_token_in_an_address_can_be_switched_off(tmp_path):
    with running(tmp_path, {"accounts": {"token_in_path": False}}) as server:
        answer = httpx.get(f"{server.url}/api/me/mses_any")
        assert (answer.status_code, answer.json()["error"]) == (410, "GONE")
