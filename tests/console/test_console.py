"""The console from outside: the page, its files, its policy, and what it is told at first."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fakedist import install, probe
from harness import Server, free_port, running
from waits import WAIT


def nobody(*, setup: bool) -> dict[str, Any]:
    """What a stranger is told first."""
    return {"user": None, "setup": setup, "password_min": 8, "plugins": [], "pages": [], "providers": []}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    site = tmp_path_factory.mktemp("site")
    probe(site, "wide")
    probe(site, "apart")
    install(site, "broken", "raise RuntimeError('not today')")
    config: dict[str, Any] = {
        "plugins": {
            "wide": {"enabled": True, "mount": ["/wide", f":{free_port()}/"]},
            "apart": {"enabled": True, "mount": "//apart.example/"},
            "broken": {"enabled": True, "mount": "/broken"},
        },
    }
    with running(tmp_path_factory.mktemp("server"), config, env={"PYTHONPATH": str(site)}) as server:
        assert httpx.get(f"{server.url}/api/console/state").json() == nobody(setup=True)
        server.add_user("ann")
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/console/terminal/main", "/console/a/b%20c", "/invite/AbCdEfGh12345678"])
def test_the_page_is_served_at_each_of_its_addresses_under_a_strict_policy(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    empty = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    assert policy["style-src"] == f"'self' 'sha256-{empty}'"
    # The chat page hears, where somebody lets it; nothing of it sees, or asks where one is.
    allowed = dict(part.strip().split("=") for part in answer.headers["permissions-policy"].split(","))
    assert allowed.pop("microphone") == "(self)"
    assert {"camera", "geolocation"} <= set(allowed)
    assert set(allowed.values()) == {"()"}
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert {"object-src", "frame-src", "child-src", "worker-src"}.isdisjoint(policy), "as nothing else: none"
    assert "://" not in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*src=)[^>]*>|<style|\sstyle=|\son[a-z]+=", answer.text)
    assert not re.search(r"(?:src|href)=\"(?!/console/assets/|data:)", answer.text)


def test_a_page_that_is_not_the_console_has_rights_to_nothing(client: httpx.Client) -> None:
    answer = client.get("/oauth/authorize", params={"client_id": "nobody"}, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/html; charset=utf-8")
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    assert answer.headers["content-security-policy"] == policy
    # What is not there, or refused, is no page at all.
    for path in ("/console/assets/none.js", "/nowhere", "/api/users"):
        answer = client.get(path, headers={"Accept": "text/html"})
        assert answer.is_client_error
        assert "html" not in answer.headers["content-type"]
        assert answer.headers["content-security-policy"] == policy


@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("/", "same-origin"),
        ("/console/device", "same-origin"),
        ("/invite/AbC", "no-referrer"),
        ("/?invite=AbC", "no-referrer"),
        ("/console/shared/AbC", "no-referrer"),
    ],
)
def test_an_address_that_holds_a_secret_is_told_nobody(client: httpx.Client, path: str, policy: str) -> None:
    assert client.get(path).headers["referrer-policy"] == policy


def test_what_the_page_names_is_there_and_may_be_kept_for_ever(client: httpx.Client) -> None:
    names = re.findall(r"(?:src|href)=\"(/console/assets/[^\"]+)\"", client.get("/").text)
    assert {name.rpartition(".")[2] for name in names} == {"js", "css"}
    for name in names:
        answer = client.get(name)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        kind = "text/javascript" if name.endswith(".js") else "text/css"
        assert answer.headers["content-type"].startswith(kind)
        again = client.get(name, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("br", "br"),
        ("br;q=0, gzip", "gzip"),
        ("deflate", None),
        ("identity", None),
        ("br;q=0, gzip;q=0", None),
    ],
)
def test_files_are_compressed_for_those_who_take_that(client: httpx.Client, accepted: str, coding: str | None) -> None:
    [name] = re.findall(r"type=\"module\" src=\"(/console/assets/[^\"]+)\"", client.get("/").text)
    plain = client.get(name, headers={"Accept-Encoding": "identity"})
    with client.stream("GET", name, headers={"Accept-Encoding": accepted}) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == coding
    assert "Accept-Encoding" in answer.headers["vary"]
    if coding is None:
        assert (packed, answer.headers["etag"]) == (plain.content, plain.headers["etag"])
        return
    assert len(packed) < len(plain.content)
    assert answer.headers["etag"] != plain.headers["etag"]
    if coding == "gzip":
        assert gzip.decompress(packed) == plain.content
    head = client.head(name, headers={"Accept-Encoding": accepted})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(packed))
    assert head.headers["etag"] == answer.headers["etag"]
    again = client.get(name, headers={"Accept-Encoding": accepted, "If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/console/assets/nothing.js",
        "/console/assets/index.html",
        "/console/assets/../../__init__.py",
        "/console/assets/..%2f..%2f__init__.py",
        "/console/assets/%2e%2e/index.html",
        "/console/assets//etc/passwd",
        "/console/assets/%2fetc%2fpasswd",
    ],
)
def test_nothing_but_the_built_files_is_served(server: Server, path: str) -> None:
    # By hand: a client library would tidy the path up.
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = sock.makefile("rb").read()
    status, body = answer.split(b"\r\n")[0], answer.partition(b"\r\n\r\n")[2]
    assert b" 404 " in status or body == httpx.get(f"{server.url}/").content


def test_other_methods_are_refused(client: httpx.Client) -> None:
    answer = client.post("/")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_the_state_names_who_is_signed_in_and_what_the_page_can_call(server: Server) -> None:
    with server.client("ann") as client:
        told = client.get("/api/console/state")
        assert told.headers["cache-control"] == "no-store"
        body = told.json()
        assert body["user"]["username"] == "ann"
        assert body["user"]["role"] == "operator"
        assert body["user"]["id"].startswith("user_")
        assert body["user"]["number"] == 1
        assert "core:key:create" in body["user"]["permissions"]
        assert "core:user:manage" not in body["user"]["permissions"]
        assert "core:user:read:any" not in body["user"]["permissions"], "one's own only"
        assert body["setup"] is False
        assert body["plugins"] == [{"name": "wide", "mount": "/wide"}]
        there = client.get("/api/console/state", headers={"Host": "apart.example"}).json()
        assert there["plugins"] == [{"name": "apart", "mount": ""}]


def test_a_stranger_is_told_of_no_plugin(client: httpx.Client) -> None:
    assert client.get("/api/console/state").json() == nobody(setup=False)
