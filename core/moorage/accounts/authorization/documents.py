"""Client ID Metadata Documents: clients whose id is the URL of what describes them. Fetched once in a while, bounded.

Source: draft-ietf-oauth-client-id-metadata-document.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpx2

from moorage.accounts.authorization.metadata import ClientMetadata, read_metadata
from moorage.accounts.grants import GrantRefused
from moorage.accounts.outgoing import Guarded
from moorage.addresses import is_public

MAX_URL = 240
MAX_DOCUMENT = 16 * 1024
"""Bytes of a document."""
TOTAL_SECONDS, CONNECT_SECONDS = 5.0, 3.0
KEEP_DEFAULT, KEEP_LEAST, KEEP_MOST = 300.0, 60.0, 86_400.0
"""Seconds for which a document is believed: without its word, and bounds of its word."""
KEEP_FAILED = 30.0
MAX_KEPT = 256
AT_ONCE = 4
_URL = re.compile(r"https://[\x21-\x7e]+")
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?(\d{1,9})")
_FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class _Kept:
    found: ClientMetadata | GrantRefused
    until: float


class Documents:
    """hosts: whose documents may come from private addresses. schemes: see `redirect_problem`."""

    def __init__(self, hosts: Collection[str], schemes: Collection[str]) -> None:
        self._hosts, self._schemes = frozenset(host.lower() for host in hosts), schemes
        self._kept: dict[str, _Kept] = {}
        self._fetching: dict[str, asyncio.Future[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tls: ssl.SSLContext | None = None

    def kept(self, url: str) -> bool:
        """Whether it is known without asking anybody."""
        known = self._kept.get(url)
        return known is not None and known.until > monotonic()

    async def find(self, url: str) -> ClientMetadata:
        """What the document at a URL (see `is_document`) says. GrantRefused ("invalid_client") says what is wrong."""
        while (known := self._kept.get(url)) is None or known.until <= monotonic():
            other = self._fetching.get(url)
            if other is not None:
                await other
                continue
            mine = self._fetching[url] = asyncio.get_running_loop().create_future()
            try:
                await self._fetch(url)
            finally:
                del self._fetching[url]
                mine.set_result(None)
        if isinstance(known.found, GrantRefused):
            raise GrantRefused(known.found.error_code, known.found.message)
        return known.found

    async def _fetch(self, url: str) -> None:
        found: ClientMetadata | GrantRefused
        seconds = KEEP_FAILED
        try:
            async with self._room:
                data, seconds = await self._get(url)
            found = self._checked(url, data)
        except _FAILURES as error:
            found = GrantRefused("invalid_client", f"The client's document cannot be read ({type(error).__name__})")
        except GrantRefused as refused:
            found = GrantRefused("invalid_client", f"The client's document is wrong: {refused.message}")
        self._kept.pop(url, None)
        while len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[url] = _Kept(found, monotonic() + seconds)

    async def _get(self, url: str) -> tuple[Any, float]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "moorage"}
        # Built now: reading the certificates of all authorities takes a while, and many servers never need them.
        if self._tls is None:
            self._tls = await asyncio.to_thread(_tls)
        inner = httpx2.AsyncHTTPTransport(retries=0, verify=self._tls)
        options: dict[str, Any] = {
            "transport": Guarded(self._allowed, MAX_DOCUMENT, inner),
            "timeout": httpx2.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS),
            "follow_redirects": False,
            "trust_env": False,
        }
        async with asyncio.timeout(TOTAL_SECONDS), httpx2.AsyncClient(**options) as client:
            answer = await client.get(url, headers=headers)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if answer.status_code != 200:
            raise GrantRefused("invalid_client", f"its server answered {answer.status_code}")
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise GrantRefused("invalid_client", "it is not of type application/json")
        return json.loads(answer.content), _seconds(answer.headers.get("cache-control", ""))

    def _checked(self, url: str, data: Any) -> ClientMetadata:
        if not isinstance(data, dict):
            raise GrantRefused("invalid_client", "it is no JSON object")
        if data.get("client_id") != url:
            raise GrantRefused("invalid_client", "its client_id is not its own address")
        if "client_secret" in data:
            raise GrantRefused("invalid_client", "it tells a secret to everybody")
        found = read_metadata(data, self._schemes, auth_method="none")
        if found.auth_method != "none":
            raise GrantRefused("invalid_client", "token_endpoint_auth_method must be none")
        return found

    def _allowed(self, host: str, address: IPv4Address | IPv6Address) -> bool:
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            return False
        return is_public(address) or host.lower() in self._hosts


def is_document(client_id: str) -> bool:
    """Whether a client id is the URL of a document: https, with a path, and spelled in one way only."""
    if len(client_id) > MAX_URL or not _URL.fullmatch(client_id):
        return False
    with suppress(ValueError):
        parts = urlsplit(client_id)
        segments = parts.path.split("/")
        plain = "@" not in parts.netloc and "#" not in client_id and "\\" not in client_id and bool(parts.hostname)
        return plain and parts.port != 0 and parts.path not in ("", "/") and not {".", ".."} & set(segments)
    return False


def _seconds(cache_control: str) -> float:
    said = cache_control.lower()
    if "no-store" in said or "no-cache" in said:
        return KEEP_LEAST
    found = _MAX_AGE.search(said)
    return KEEP_DEFAULT if found is None else min(KEEP_MOST, max(KEEP_LEAST, float(found[1])))


def _tls() -> ssl.SSLContext:
    """What this machine trusts, and what browsers do."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
