"""A browser that logs in at a provider: it keeps cookies, and follows one redirect at a time."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from harness import Server
from realparts.identity_provider import CLIENT_ID, CLIENT_SECRET
from waits import WAIT


def provider(issuer: str, kind: str = "oidc", **more: Any) -> dict[str, Any]:
    """A table of `[accounts.providers]` for the tests' provider."""
    return {"kind": kind, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "issuer": issuer, **more}


class Visitor(httpx.Client):
    """Talks to one server with its own cookies; to providers without any."""

    def __init__(self, server: Server, **options: Any) -> None:
        super().__init__(base_url=server.url, timeout=30, **options)

    def leave(self, provider: str = "corp", **query: str) -> str:
        """Begin: the provider's address to which the browser is sent."""
        answer = self.get(f"/api/auth/{provider}", params=query)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def at_provider(self, url: str) -> str:
        """Log in there: the address to which the browser comes back."""
        answer = httpx.get(url, timeout=WAIT)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def come_back(self, url: str) -> str:
        """Finish: where the browser is sent in the end."""
        answer = self.get(url)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def sign_in(self, provider: str = "corp", **query: str) -> str:
        """All of it."""
        return self.come_back(self.at_provider(self.leave(provider, **query)))

    def me(self) -> dict[str, Any] | None:
        """Who is signed in."""
        return self.get("/api/auth/me").json()["user"]


def error_of(location: str) -> str | None:
    """The code in `/?error=CODE`."""
    return parse_qs(urlsplit(location).query).get("error", [None])[0]
