"""S30: what is not a login of somebody with rights gets nothing out of administration, whoever's it is."""

from __future__ import annotations

import re
from contextlib import contextmanager

import httpx
import pytest
from lettingin import Program, resources
from openapi_check import documents_of
from waits import WAIT

ADMINISTRATION = re.compile(r"/api/core/(admin/|plugins|reload|roles|access/|metrics|running)|/api/v1/audit")
NARROW = "desk:paper:read"
CREDENTIALS = ["nobody", "another resource", "a narrow key", "a narrow device", "a viewer"]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with resources(tmp_path_factory) as people:
        yield people


@pytest.fixture(scope="module")
def routes(people):
    """(method, path) of every route of administration."""
    found = set()
    for document in documents_of(people.server):
        for template, item in document["paths"].items():
            if ADMINISTRATION.match(template):
                path = re.sub(r"\{(name|plugin)\}", "desk", template)
                found |= {(method.upper(), re.sub(r"\{\w+\}", people.root.pid, path)) for method in item}
    assert len(found) > 20, found
    return sorted(found)


@pytest.fixture(scope="module")
def tokens(people):
    """The owner's own, each for little."""
    root = people.root.client
    device = root.post("/api/auth/device/code", json={"client_id": "probe", "scope": NARROW}).json()
    assert root.post("/api/auth/device/approve", json={"userCode": device["user_code"]}).is_success
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    body = {"grant_type": grant, "device_code": device["device_code"], "client_id": "probe"}
    return {
        "nobody": None,
        "another resource": Program(people.server).let_in(root, scope=NARROW)["access_token"],
        "a narrow key": people.server.key("root", NARROW),
        "a narrow device": root.post("/api/auth/device/token", json=body).json()["access_token"],
    }


@contextmanager
def holder(people, tokens, kind):
    if kind == "a viewer":
        yield people.make("viewer").client
        return
    headers = {} if tokens[kind] is None else {"Authorization": f"Bearer {tokens[kind]}"}
    with httpx.Client(base_url=people.server.url, headers=headers, timeout=WAIT) as client:
        yield client


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_administration_is_closed(people, tokens, routes, kind):
    with holder(people, tokens, kind) as client:
        if kind.startswith("a "):
            assert client.get("/desks/mine/plain").status_code == 200, "it is good for something"
        answers = {one: client.request(*one, json={}) for one in routes}
        let_in = {one: answer.status_code for one, answer in answers.items() if answer.status_code not in (401, 403)}
        assert let_in == {}
        if kind != "a viewer":
            answer = client.get("/api/console/state")
            user = answer.json()["user"] if answer.status_code == 200 else None
            told = user["permissions"] if user else []
            assert not [name for name in told if not name.startswith(NARROW)], "the page is told of no more"


@pytest.mark.parametrize("kind", ["nobody", "another resource"])
def test_what_is_ones_own_is_closed_to_strangers(people, tokens, kind):
    with holder(people, tokens, kind) as client:
        for path in (
            "/api/console/overview",
            "/api/console/search?q=root",
            "/api/console/account",
            "/api/core/sessions",
        ):
            assert client.get(path).status_code == 401, path


@pytest.mark.parametrize("kind", ["a narrow key", "a narrow device"])
def test_a_narrow_right_finds_nobody_and_links_nothing(people, tokens, kind):
    with holder(people, tokens, kind) as client:
        found = client.get("/api/console/search", params={"q": "root"})
        assert found.json()["entries"] == [], found.text
        assert client.get("/api/console/overview").json()["entries"] == []
        for method, path in (
            ("GET", "/api/core/identities"),
            ("POST", "/api/core/password"),
            ("GET", "/api/core/sessions"),
        ):
            assert client.request(method, path, json={}).status_code in (401, 403, 422), path
