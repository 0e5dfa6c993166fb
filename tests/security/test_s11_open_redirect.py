"""S11: after a login nobody is sent to another site: `next` and `callbackURL` are paths here or at listed origins."""

from __future__ import annotations

import pytest
from harness import running
from visitor import Visitor, provider

LISTED = "https://app.example.org"
EVIL = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https://evil.example",
    "HTTPS://EVIL.EXAMPLE/",
    "http://[::1",
    "http://evil.example:99999/",
    "javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,hi",
    "/%2fevil.example",
    "/%2Fevil.example",
    "/%252f/evil.example",
    "/%5cevil.example",
    "/%5Cevil.example",
    "/%09/evil.example",
    "%2f%2fevil.example",
    "/ok\r\nSet-Cookie: x=1",
    "/ok%0d%0aSet-Cookie:%20x=1",
    "/./%2fevil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/x/../..//evil.example",
    "evil.example",
    "?next=1",
    "#x",
    "",
    "/\u2028//evil.example",
    "/\x00",
    "/%00",
    "/%ff%fe",
    f"{LISTED}.evil.example/",
    f"{LISTED}@evil.example/",
    "https://app.example.org:8443/",
    "http://app.example.org/",
    "https://evil.example/app.example.org",
    "https://app.example.org\\@evil.example/",
    "ftp://app.example.org/",
    "https://user:pw@app.example.org/",
]
GOOD = {
    "/": "/",
    "/console/account": "/console/account",
    "/a?b=c&d=https://x.example//y#top": "/a?b=c&d=https://x.example//y#top",
    "/caf\u00e9": "/caf%C3%A9",
    "/with%20space": "/with%20space",
    "/a:b@c": "/a:b@c",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory, identity_provider):
    config = {
        "server": {"trusted_origins": [LISTED]},
        "limits": {"general": "100000/minute", "authentication": "100000/minute"},
        "accounts": {
            "argon2_memory_kib": 256,
            "argon2_time": 1,
            "providers": {"open": provider(identity_provider.issuer, register_new="open")},
        },
    }
    with running(tmp_path_factory.mktemp("s11"), config) as server:
        server.add_user("root", "owner")
        identity_provider.tell()
        yield server


@pytest.fixture(scope="module")
def visitor(server):
    with Visitor(server) as visitor:
        yield visitor


def social(visitor: Visitor, url: str, key: str = "callbackURL") -> str:
    body = {"provider": "open", key: url}
    begun = visitor.post("/api/auth/sign-in/social", json=body)
    assert begun.status_code == 200, begun.text
    return visitor.come_back(visitor.at_provider(begun.json()["url"]))


@pytest.mark.parametrize("url", EVIL)
def test_next_leads_nowhere_else(visitor, url):
    assert visitor.sign_in("open", next=url) == "/"


@pytest.mark.parametrize("url", EVIL)
def test_callback_url_leads_nowhere_else(visitor, url):
    assert social(visitor, url) == "/"


@pytest.mark.parametrize("url", EVIL)
def test_an_error_leads_nowhere_else(visitor, identity_provider, url):
    body = {"provider": "open", "errorCallbackURL": url}
    begun = visitor.post("/api/auth/sign-in/social", json=body).json()["url"]
    back = visitor.at_provider(begun)
    assert visitor.come_back(back.replace("code=", "kode=")) == "/?error=invalid_state"


@pytest.mark.parametrize(("url", "place"), GOOD.items())
def test_paths_here_are_kept(visitor, url, place):
    assert visitor.sign_in("open", next=url) == place
    assert social(visitor, url) == place


def test_listed_origins_are_kept_in_callback_urls(visitor, server):
    assert social(visitor, f"{LISTED}/done?x=1") == f"{LISTED}/done?x=1"
    assert social(visitor, LISTED) == f"{LISTED}/"
    assert social(visitor, f"{server.url}/done") == f"{server.url}/done"
