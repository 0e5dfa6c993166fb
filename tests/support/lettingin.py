"""A plugin with OAuth resources, and a program that asks to be let in at them, step by step."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from fakedist import install
from harness import Server, merged, running
from people import CONFIG, People
from waits import WAIT

REDIRECT = "http://127.0.0.1:8765/callback"
DESK = """
from quart import Response, request
from moorage.api import *

class Desk(Plugin):
    manifest = Manifest(
        name="desk", version="1.0", summary="Resources", dialect=PROBLEM,
        permissions=(Permission("desk:paper:read", "Read papers", default="viewer", owned=True),
                     Permission("desk:paper:write", "Write papers", default="operator", owned=True),
                     Permission("desk:paper:burn", "Burn papers", default="admin")),
    )

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()

        def told():
            actor = current_actor()
            return json_response({"user": actor.user.username, "method": actor.method,
                                  "scopes": sorted(actor.credential.scopes or ["*"])})

        @routes.http(("GET", "POST"), "/desks/{desk}/papers", access="desk:paper:read", resource=True,
                     scopes=("desk:paper:read", "desk:paper:write", "desk:paper:burn"))
        async def papers(desk):
            if request.method == "POST":
                hub.access.require(current_actor(), "desk:paper:write", owner_id=current_actor().user.id)
            if request.args.get("burn"):
                hub.access.require(current_actor(), "desk:paper:burn")
            return told()

        @routes.get("/desks/{desk}/other", access="desk:paper:read", resource=True)
        async def other(desk):
            return told()

        @routes.get("/desks/{desk}/plain", access="desk:paper:read")
        async def plain(desk):
            return told()

        @routes.get("/desks/{desk}/open", access=PUBLIC)
        async def anybody(desk):
            return json_response({"signed_in": current_actor().authenticated})

        @routes.socket("/desks/{desk}/socket", access="desk:paper:read")
        async def socket(socket):
            await socket.accept()

        async def raw(exchange):
            await exchange.answer(200, [(b"content-type", b"text/plain")], exchange.actor.user.username.encode())

        routes.append(ExchangeRoute(("POST",), "/desks/{desk}/raw", "desk:paper:write", raw, resource=True))
        return routes
"""


OAUTH = {
    "clients": {
        "known": {
            "name": "Known Ltd",
            "redirect_uris": ["https://known.example/cb", "http://127.0.0.1/cb", "http://127.0.0.1/callback"],
        },
        "keeper": {"redirect_uris": ["https://keeper.example/cb?way=in"], "secret": "s" * 40},
    },
}
READER = {"grants": ["core:client:approve", "core:session:read", "desk:paper:read"]}


@contextmanager
def resources(
    tmp_path_factory: pytest.TempPathFactory, env: dict[str, str] | None = None, **more: Any
) -> Iterator[People]:
    """A running server with the plugin and one owner. more: other tables of the configuration."""
    site = tmp_path_factory.mktemp("site")
    desk(site)
    config = merged(
        {
            **CONFIG,
            "accounts": {**CONFIG["accounts"], "oauth": OAUTH},
            "plugins": {"desk": {"enabled": True}},
            "access": {"roles": {"reader": READER}},
        },
        more,
    )
    with running(tmp_path_factory.mktemp("oauth"), config, env={"PYTHONPATH": str(site), **(env or {})}) as server:
        people = People(server)
        try:
            yield people
        finally:
            people.close()


def desk(site: Path) -> None:
    """Install the plugin into a folder for PYTHONPATH."""
    install(site, "desk", DESK, cls="Desk")


@dataclass
class Program:
    """A public client with PKCE. Each step can be told to do it wrongly."""

    server: Server
    client_id: str = ""
    redirect_uri: str = REDIRECT
    resource: str = ""
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def __post_init__(self) -> None:
        self.resource = self.resource or self.url("papers")

    def url(self, name: str, desk: str = "mine") -> str:
        return f"{self.server.url}/desks/{desk}/{name}"

    def register(self, **more: Any) -> httpx.Response:
        body = {"client_name": "Writer", "redirect_uris": [self.redirect_uri], "token_endpoint_auth_method": "none"}
        answer = httpx.post(f"{self.server.url}/oauth/register", json={**body, **more}, timeout=WAIT)
        self.client_id = answer.json().get("client_id", "")
        return answer

    @property
    def challenge(self) -> str:
        return urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    def query(self, **changed: str | None) -> dict[str, str]:
        """Parameters for the authorization endpoint; None leaves one out."""
        query: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": "st4te",
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            "resource": self.resource,
            **changed,
        }
        return {key: value for key, value in query.items() if value is not None}

    def ask(self, browser: httpx.Client, **changed: str | None) -> httpx.Response:
        """What a browser gets that the program sends to the authorization endpoint."""
        return browser.get("/oauth/authorize", params=self.query(**changed), follow_redirects=False)

    def decide(self, browser: httpx.Client, *, approve: bool = True, **changed: str | None) -> dict[str, str]:
        """What the program is told when the person decides on the consent page."""
        sent = self.ask(browser, **changed)
        assert sent.status_code == 303, sent.text
        page = urlsplit(sent.headers["location"])
        assert page.path == "/console/authorize", sent.headers["location"]
        answer = browser.post("/api/core/authorize", json={"query": page.query, "approve": approve})
        assert answer.status_code == 200, answer.text
        return told(answer.json()["redirect_to"])

    def exchange(self, code: str, /, **changed: Any) -> httpx.Response:
        """The token endpoint's answer to a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            "resource": self.resource,
        }
        return self.token(**{**form, **changed})

    def refresh(self, token: str, **changed: Any) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": self.client_id}
        return self.token(**{**form, **changed})

    def token(self, *, auth: Any = None, **form: Any) -> httpx.Response:
        data = {key: value for key, value in form.items() if value is not None}
        return httpx.post(f"{self.server.url}/oauth/token", data=data, auth=auth, timeout=WAIT)

    def let_in(self, browser: httpx.Client, **changed: str | None) -> dict[str, Any]:
        """Tokens, all the way."""
        if not self.client_id:
            assert self.register().status_code == 201
        answer = self.exchange(self.decide(browser, **changed)["code"])
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens


def told(location: str) -> dict[str, str]:
    """The parameters that a redirect carries."""
    return dict(parse_qsl(urlsplit(location).query))


def shown(url: str, token: str, method: str = "GET") -> httpx.Response:
    """An answer to who shows a token."""
    return httpx.request(method, url, headers={"Authorization": f"Bearer {token}"}, timeout=WAIT)
