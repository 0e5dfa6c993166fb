"""The core as an authorization server for its resources, as a program and a browser see it: the way in, and out."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import httpx
import pytest
from lettingin import Program, resources, shown


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with resources(tmp_path_factory) as people:
        yield people


@pytest.fixture(scope="module")
def ann(people):
    return people.make()


@pytest.fixture
def program(people):
    return Program(people.server, "known", "http://127.0.0.1:4711/cb")


def challenge(answer: httpx.Response) -> dict[str, str]:
    scheme, _, rest = answer.headers["www-authenticate"].partition(" ")
    assert scheme == "Bearer"
    return dict(re.findall(r'(\w+)="([^"]*)"', rest))


def sessions(person):
    return [one for one in person.client.get("/api/core/sessions").json()["sessions"] if one["resource"]]


# -- being found ------------------------------------------------------------------------------------------------


def test_a_401_at_a_resource_leads_to_its_metadata_and_that_to_the_server(people, program):
    base = people.server.url
    refused = httpx.get(program.url("papers"))
    assert refused.status_code == 401
    said = challenge(refused)
    assert said == {
        "resource_metadata": f"{base}/.well-known/oauth-protected-resource/desks/mine/papers",
        "scope": "desk:paper:read desk:paper:write desk:paper:burn",
    }
    assert httpx.get(said["resource_metadata"]).json() == {
        "resource": program.url("papers"),
        "authorization_servers": [base],
        "scopes_supported": ["desk:paper:read", "desk:paper:write", "desk:paper:burn"],
        "bearer_methods_supported": ["header"],
    }
    server = httpx.get(f"{base}/.well-known/oauth-authorization-server").json()
    assert {key: server[key] for key in server if key.endswith(("endpoint", "issuer"))} == {
        "issuer": base,
        "authorization_endpoint": f"{base}/oauth/authorize",
        "token_endpoint": f"{base}/oauth/token",
        "registration_endpoint": f"{base}/oauth/register",
        "revocation_endpoint": f"{base}/oauth/revoke",
        "introspection_endpoint": f"{base}/api/v1/auth/introspect",
        "device_authorization_endpoint": f"{base}/api/auth/device/code",
    }
    assert server["response_types_supported"] == ["code"]
    assert server["code_challenge_methods_supported"] == ["S256"]
    assert set(server["grant_types_supported"]) >= {"authorization_code", "refresh_token"}
    assert server["token_endpoint_auth_methods_supported"] == ["none", "client_secret_basic", "client_secret_post"]
    assert server["authorization_response_iss_parameter_supported"] is True
    assert server["client_id_metadata_document_supported"] is True
    assert httpx.get(f"{base}/.well-known/openid-configuration").status_code == 404, "OpenID Connect is not offered"


def test_a_wrong_token_is_called_one_and_a_plain_route_asks_as_before(people, program):
    assert challenge(shown(program.url("papers"), "mses_wrong"))["error"] == "invalid_token"
    assert challenge(httpx.post(program.url("raw")))["scope"] == "desk:paper:write", (
        "a raw exchange, by its access rule"
    )
    assert shown(program.url("plain"), "mses_wrong").headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "path", ["", "/", "/desks/mine/plain", "/desks/mine/socket", "/api/me", "/nothing", "/desks/x"]
)
def test_only_resources_have_metadata(people, path):
    answer = httpx.get(f"{people.server.url}/.well-known/oauth-protected-resource{path}")
    assert answer.status_code == 404
    assert "not_found" in answer.text.lower() or "invalid_request" in answer.text


def test_metadata_is_told_of_any_object_and_spelled_as_it_was_asked(people):
    base = people.server.url
    for path in ("/desks/nobody/papers", "/desks/%C3%A4%20b/papers"):
        answer = httpx.get(f"{base}/.well-known/oauth-protected-resource{path}")
        assert answer.json()["resource"] == base + path
        assert httpx.get(base + path).status_code == 401


# -- the way in -------------------------------------------------------------------------------------------------


def test_a_program_is_let_in_with_what_was_granted_and_at_its_resource_alone(people, ann, program):
    answer = program.decide(ann.client, scope="desk:paper:write desk:paper:read offline_access openid")
    assert (answer["state"], answer["iss"]) == ("st4te", people.server.url)
    got = program.exchange(answer["code"])
    assert got.status_code == 200, got.text
    assert got.headers["cache-control"] == "no-store"
    tokens = got.json()
    assert tokens["token_type"] == "Bearer"
    assert 3590 <= tokens["expires_in"] <= 3600
    assert tokens["scope"] == "desk:paper:read desk:paper:write offline_access"
    token = tokens["access_token"]
    assert shown(program.url("papers"), token).json() == {
        "user": ann.name,
        "method": "bearer",
        "scopes": ["desk:paper:read", "desk:paper:write"],
    }
    assert shown(program.url("papers"), token, "POST").status_code == 200

    elsewhere = [
        program.url("papers", "yours"),
        program.url("other"),
        program.url("plain"),
        f"{people.server.url}/api/me",
        f"{people.server.url}/api/core/sessions",
        f"{people.server.url}/api/v1/api-keys",
        f"{people.server.url}/oauth/authorize/",
    ]
    for url in elsewhere[:-1]:
        refused = shown(url, token)
        assert refused.status_code == 401, url
    assert challenge(shown(program.url("papers", "yours"), token))["error"] == "invalid_token"
    assert shown(program.url("open"), token).json() == {"signed_in": False}
    assert shown(program.url("raw"), token, "POST").status_code == 401
    assert httpx.get(f"{people.server.url}/api/me/{token}").status_code == 401
    jwt = httpx.post(f"{people.server.url}/api/auth/token", headers={"Authorization": f"Bearer {token}"})
    assert jwt.status_code in (400, 401)
    for name in ("moorage_session", "auth_token"):
        assert httpx.get(f"{people.server.url}/api/auth/me", cookies={name: token}).json()["user"] is None


def test_a_resource_is_the_same_however_its_address_is_spelled(people, ann, program):
    program.resource = program.url("papers").replace("mine", "%6dine").replace("http://", "HTTP://")
    token = program.let_in(ann.client)["access_token"]
    assert shown(program.url("papers"), token).status_code == 200
    assert shown(program.url("papers").replace("papers", "p%61pers"), token).status_code == 200
    assert shown(program.url("papers", "Mine"), token).status_code == 401


def test_a_raw_exchange_is_a_resource_too(people, ann, program):
    program.resource = program.url("raw")
    tokens = program.let_in(ann.client)
    assert tokens["scope"] == "desk:paper:write"
    assert shown(program.url("raw"), tokens["access_token"], "POST").text == ann.name


def test_other_credentials_go_on_at_resources(people, ann, program):
    key = ann.client.post("/api/v1/api-keys", json={"name": "mine"}).json()["data"]["api_key"]
    for desk_ in ("mine", "yours"):
        assert shown(program.url("papers", desk_), key).json()["method"] == "api_key"
    assert ann.client.get("/desks/mine/papers").json()["method"] == "session"


def test_nothing_is_granted_that_the_user_may_not_do(people, program):
    people.server.add_user("rita", "reader")
    rita = people.login("rita")
    page = program.ask(rita)
    looked = rita.get(f"/api/core/authorize?{urlsplit(page.headers['location']).query}").json()
    assert [(scope["name"], scope["held"]) for scope in looked["scopes"]] == [
        ("desk:paper:read", True),
        ("desk:paper:write", False),
        ("desk:paper:burn", False),
    ]
    tokens = program.let_in(rita)
    assert tokens["scope"] == "desk:paper:read"
    refused = shown(program.url("papers"), tokens["access_token"], "POST")
    assert refused.status_code == 403
    assert "insufficient_scope" not in refused.headers.get("www-authenticate", ""), "asking again would not help"
    assert program.decide(rita, scope="desk:paper:write")["error"] == "access_denied"


def test_a_token_with_less_than_the_user_may_do_is_told_what_to_ask_for(people, ann, program):
    token = program.let_in(ann.client, scope="desk:paper:read")["access_token"]
    refused = shown(program.url("papers"), token, "POST")
    assert refused.status_code == 403
    said = challenge(refused)
    assert (said["error"], said["scope"]) == ("insufficient_scope", "desk:paper:read desk:paper:write")
    assert said["resource_metadata"].endswith("/.well-known/oauth-protected-resource/desks/mine/papers")
    more = program.let_in(ann.client, scope=said["scope"])["access_token"]
    assert shown(program.url("papers"), more, "POST").status_code == 200
    burn = shown(program.url("papers") + "?burn=1", more)
    assert burn.status_code == 403
    assert "www-authenticate" not in burn.headers


def test_the_consent_page_is_told_who_asks_for_what(ann, program):
    page = urlsplit(program.ask(ann.client, scope="desk:paper:read").headers["location"])
    assert ann.client.get(f"/api/core/authorize?{page.query}").json() == {
        "client_id": "known",
        "client_name": "Known Ltd",
        "client_uri": None,
        "kind": "configured",
        "host": None,
        "answers_to": "127.0.0.1:4711",
        "loopback": True,
        "resource": program.resource,
        "plugin": "desk",
        "scopes": [{"name": "desk:paper:read", "summary": "Read papers", "held": True}],
    }


def test_somebody_who_is_not_signed_in_comes_to_the_page_and_can_do_nothing(people, program):
    nobody = people.anybody()
    sent = program.ask(nobody)
    assert sent.status_code == 303
    assert sent.headers["referrer-policy"] == "no-referrer"
    page = urlsplit(sent.headers["location"])
    assert (page.netloc, page.path) == ("", "/console/authorize")
    assert nobody.get(f"/api/core/authorize?{page.query}").status_code == 401
    body = {"query": page.query, "approve": True}
    assert nobody.post("/api/core/authorize", json=body).status_code == 401


def test_a_no_is_told_to_the_program(people, ann, program):
    told_ = program.decide(ann.client, approve=False)
    assert told_ == {
        "error": "access_denied",
        "error_description": "The user said no",
        "state": "st4te",
        "iss": people.server.url,
    }


def test_a_redirect_uri_keeps_its_own_query(people, ann):
    program = Program(people.server, "keeper", "https://keeper.example/cb?way=in")
    assert program.decide(ann.client)["way"] == "in"


# -- logins -----------------------------------------------------------------------------------------------------


def test_logins_are_listed_with_the_programs_name_and_ended_there(people, program):
    bob = people.make()
    tokens = program.let_in(bob.client, scope="desk:paper:read")
    (login,) = sessions(bob)
    assert (login["client_id"], login["client_name"]) == ("known", "Known Ltd")
    assert (login["resource"], login["scope"], login["kind"]) == (program.resource, "desk:paper:read", "bearer")
    assert bob.client.delete(f"/api/core/sessions/{login['id']}").status_code == 204
    assert shown(program.url("papers"), tokens["access_token"]).status_code == 401
    assert program.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert sessions(bob) == []


def test_introspection_tells_whom_a_token_is_for(people, ann, program):
    token = program.let_in(ann.client, scope="desk:paper:read")["access_token"]
    said = httpx.post(f"{people.server.url}/api/v1/auth/introspect", json={"token": token}).json()
    assert said["active"] is True
    assert (said["aud"], said["client_id"], said["scope"]) == (program.resource, "known", "desk:paper:read")


def test_a_fresh_token_replaces_the_old_one_and_an_old_refresh_token_ends_the_login(people, program):
    bob = people.make()
    first = program.let_in(bob.client)
    second = program.refresh(first["refresh_token"], resource=program.resource).json()
    assert shown(program.url("papers"), first["access_token"]).status_code == 401
    assert shown(program.url("papers"), second["access_token"]).status_code == 200
    assert shown(program.url("plain"), second["access_token"]).status_code == 401, "it stays bound"
    assert len(sessions(bob)) == 1
    assert program.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"
    assert shown(program.url("papers"), second["access_token"]).status_code == 401
    assert sessions(bob) == []


def test_what_ends_a_login_ends_a_code_that_was_not_fetched(people, program):
    bob = people.make()
    code = program.decide(bob.client)["code"]
    assert bob.client.post("/api/auth/logout").status_code == 200
    answer = program.exchange(code)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_disabled_user_lets_nobody_in_any_more(people, program):
    bob = people.make()
    tokens = program.let_in(bob.client)
    code = program.decide(bob.client)["code"]
    assert people.root.client.delete(f"/api/v1/users/{bob.id}").status_code == 204
    assert program.exchange(code).json()["error"] == "invalid_grant"
    assert program.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_login_is_revoked_by_its_program(people, ann, program):
    tokens = program.let_in(ann.client)
    url = f"{people.server.url}/oauth/revoke"
    other = httpx.post(url, data={"token": tokens["access_token"], "client_id": "cli"})
    assert other.json()["error"] == "invalid_grant"
    assert httpx.post(url, data={"token": "unknown", "client_id": "known"}).status_code == 200
    assert httpx.post(url, data={"token": tokens["refresh_token"], "client_id": "known"}).status_code == 200
    assert shown(program.url("papers"), tokens["access_token"]).status_code == 401


def test_devices_go_on_and_get_their_tokens_here_too(people, ann):
    base = people.server.url
    code = httpx.post(f"{base}/api/auth/device/code", data={"client_id": "cli"}).json()
    assert ann.client.post("/api/auth/device/approve", json={"userCode": code["user_code"]}).status_code == 200
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "cli"}
    got = httpx.post(f"{base}/oauth/token", data={**form, "device_code": code["device_code"]}).json()
    assert shown(f"{base}/api/me", got["access_token"]).status_code == 200
    form = {"grant_type": "refresh_token", "client_id": "cli", "refresh_token": got["refresh_token"]}
    again = httpx.post(f"{base}/oauth/token", data=form)
    assert again.status_code == 200, again.text
    form["refresh_token"] = again.json()["refresh_token"]
    assert httpx.post(f"{base}/api/auth/token", data=form).status_code == 200


def test_a_confidential_client_proves_itself_in_either_way(people, ann):
    program = Program(people.server, "keeper", "https://keeper.example/cb?way=in")
    secret = "s" * 40
    for form in ({}, {"client_secret": "wrong"}, {"auth": ("keeper", "wrong")}):
        refused = program.exchange(program.decide(ann.client)["code"], **form)
        assert refused.json()["error"] == "invalid_client", form
        if "auth" in form:
            assert (refused.status_code, refused.headers["www-authenticate"][:5]) == (401, "Basic")
    tokens = program.exchange(program.decide(ann.client)["code"], client_secret=secret).json()
    assert program.refresh(tokens["refresh_token"]).json()["error"] == "invalid_client"
    old = httpx.post(
        f"{people.server.url}/api/auth/token",
        data={"grant_type": "refresh_token", "client_id": "keeper", "refresh_token": tokens["refresh_token"]},
    )
    assert old.json()["error"] == "invalid_grant", "not past the client's secret by the devices' endpoint"
    assert program.refresh(tokens["refresh_token"], auth=("keeper", secret)).status_code == 200
    both = program.refresh("mref_x", auth=("keeper", secret), client_secret=secret)
    assert both.json()["error"] == "invalid_request"


def test_what_happened_is_in_the_audit_log(people, program):
    bob = people.make()
    program.decide(bob.client, approve=False)
    answer = program.decide(bob.client)
    program.exchange(answer["code"])
    program.exchange(answer["code"])
    fresh = Program(people.server)
    fresh.register()
    events = people.root.client.get("/api/v1/audit", params={"per_page": 30}).json()["data"]["events"]
    found = {event["action"] for event in events}
    assert {"client.registered", "client.approved", "client.denied", "login.succeeded", "token.reuse_detected"} <= found
    assert answer["code"] not in str(events)


def test_a_name_of_a_callback_may_take_any_port_of_the_machine_itself(people, ann):
    program = Program(people.server, redirect_uri="http://localhost:1/a")
    assert program.register().status_code == 201
    program.redirect_uri = "http://localhost:65001/a"
    assert program.let_in(ann.client)["access_token"]
