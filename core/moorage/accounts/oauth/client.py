"""The one module that talks to providers, and that imports authlib: bounded, over pinned addresses, no redirects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client  # Over httpx2, so what it is handed is httpx2's too.

from moorage.accounts.oauth.refusals import Refused
from moorage.accounts.outgoing import Guarded

CONNECT_SECONDS, TOTAL_SECONDS = 5.0, 10.0
MAX_ANSWER = 1024 * 1024
"""Bytes of the longest answer that is read."""
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError, ValueError, OverflowError, RecursionError)
"""What a connection, a URL or a body that others chose may end in."""
_JSON = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "moorage"}


class ProviderClient:
    """HTTP to one provider. Failures are `Refused("oauth_failed")` with a reason that holds no secrets.

    local: the configured issuer is on this machine, so that its endpoints may be too, and without TLS.
    """

    def __init__(self, client_id: str, client_secret: str, *, local: bool) -> None:
        self._id, self._secret, self._local = client_id, client_secret, local

    def check_url(self, url: object) -> str:
        """An endpoint that the metadata names: https, or on this machine where the issuer is."""
        if not isinstance(url, str) or len(url) > 2048:
            raise Refused("oauth_failed", "an endpoint in the metadata is no URL")
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host, parts = None, urlsplit("")
        if not host or "@" in parts.netloc:
            raise Refused("oauth_failed", "an endpoint in the metadata is no URL")
        if parts.scheme != "https" and not (self._local and parts.scheme == "http" and host in _LOOPBACK_NAMES):
            raise Refused("oauth_failed", "an endpoint in the metadata is not reached over https")
        return url

    def authorization_url(self, endpoint: str, *, redirect_uri: str, scope: str, verifier: str, **more: str) -> str:
        """Where the browser is sent: with state, PKCE (S256), and a nonce where there is one in `more`."""
        client = AsyncOAuth2Client(
            self._id, redirect_uri=redirect_uri, scope=scope, code_challenge_method="S256", trust_env=False
        )
        url, _ = client.create_authorization_url(endpoint, code_verifier=verifier, **more)
        return str(url)

    async def exchange(
        self, endpoint: str, *, code: str, verifier: str, redirect_uri: str, method: str
    ) -> dict[str, Any]:
        """The token endpoint's answer to a code. method: "client_secret_basic" or "client_secret_post"."""
        try:
            async with (
                asyncio.timeout(TOTAL_SECONDS),
                AsyncOAuth2Client(
                    self._id,
                    self._secret,
                    token_endpoint_auth_method=method,
                    redirect_uri=redirect_uri,
                    **self._options(),
                ) as client,
            ):
                token = await client.fetch_token(endpoint, code=code, code_verifier=verifier, headers=_JSON)
        except OAuthError as error:
            known = str(error.error)[:64] if str(error.error).replace("_", "").isalpha() else "an error"
            raise Refused("oauth_failed", f"the token endpoint answered {known}") from error
        except (*_FAILURES, TypeError, AttributeError) as error:
            raise Refused("oauth_failed", f"the token endpoint failed ({type(error).__name__})") from error
        if not isinstance(token, Mapping) or not isinstance(token.get("access_token"), str):
            raise Refused("oauth_failed", "the token endpoint gave no access token")
        return dict(token)

    async def get_json(self, url: str, *, bearer: str | None = None) -> Any:
        """The JSON at a URL; anything but 200 and JSON is a failure."""
        path = urlsplit(url).path
        headers = {**_JSON, "Authorization": f"Bearer {bearer}"} if bearer is not None else _JSON
        try:
            async with asyncio.timeout(TOTAL_SECONDS), httpx2.AsyncClient(**self._options()) as client:
                answer = await client.get(url, headers=headers)
            if answer.status_code != 200:
                raise Refused("oauth_failed", f"{path} answered {answer.status_code}")
            return json.loads(answer.content)
        except _FAILURES as error:
            raise Refused("oauth_failed", f"{path} failed ({type(error).__name__})") from error

    def _options(self) -> dict[str, Any]:
        # No proxy of the environment's: it would connect where the check of addresses does not look.
        return {
            "transport": Guarded(lambda _, address: _allowed(self._local, address), MAX_ANSWER),
            "timeout": httpx2.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS),
            "follow_redirects": False,
            "trust_env": False,
        }


def _allowed(local: bool, address: IPv4Address | IPv6Address) -> bool:
    if address.is_loopback:
        return local
    # fd00:ec2::254 is where one cloud keeps its metadata over IPv6; the others' is link-local.
    metadata = address == ip_address("fd00:ec2::254")
    return not (address.is_link_local or address.is_multicast or address.is_unspecified or metadata)


def is_local(url: str) -> bool:
    """True when a URL's host is this machine."""
    return urlsplit(url).hostname in _LOOPBACK_NAMES
