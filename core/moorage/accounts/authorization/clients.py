"""Clients: programs that may ask people to be let in. Configured, registered by themselves, or known by a document."""

from __future__ import annotations

import enum
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moorage.accounts.attempts import network
from moorage.accounts.authorization.documents import Documents, is_document
from moorage.accounts.authorization.metadata import CODE, REFRESH, read_metadata
from moorage.accounts.grants import GrantRefused
from moorage.accounts.models import OAuthClient, Session
from moorage.accounts.names import storable
from moorage.accounts.secrets import digest, new_client_secret, new_pid
from moorage.accounts.shared import ClientInfo, Shared
from moorage.accounts.touches import BATCH
from moorage.errors import TooManyRequests, Unavailable

MAX_UNUSED, RECENT = 20, timedelta(hours=1)
"""Registrations of one network in an hour that nobody has let in yet."""
HURRY = timedelta(minutes=10)
"""How long a registration keeps its place that nobody has let in, when there is no other."""
UNUSED, FORGOTTEN = timedelta(days=1), timedelta(days=90)
"""When a registration goes that nobody let in, and one without a login since it was last let in."""


class Kind(enum.Enum):
    """How a client is known."""

    CONFIGURED = "configured"
    REGISTERED = "registered"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Client:
    """A client. secret_hash: SHA-256; None for a public one. renewable: it takes refresh tokens.

    uri: a page about it, as it says itself.
    """

    id: str
    kind: Kind
    name: str
    redirect_uris: tuple[str, ...]
    secret_hash: str | None = None
    renewable: bool = True
    uri: str | None = None

    def __repr__(self) -> str:
        return f"Client({self.id})"


@dataclass(frozen=True, slots=True)
class Registered:
    """A fresh registration. secret: told once; None for a public client."""

    client: Client
    auth_method: str
    secret: str | None
    created_at: datetime

    def __repr__(self) -> str:
        return f"Registered({self.client.id})"


class Clients:
    """The configuration, the rows of `core_oauth_clients`, and documents elsewhere."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._settings = settings = shared.settings.oauth
        self._documents = Documents(settings.document_hosts, settings.redirect_schemes)
        self._configured = {
            name: Client(
                name,
                Kind.CONFIGURED,
                each.name or name,
                tuple(each.redirect_uris),
                None if each.secret is None else digest(each.secret.get_secret_value()),
            )
            for name, each in settings.clients.items()
        }

    async def find(self, client_id: str) -> Client:
        """The client with this id; a document is fetched if need be. GrantRefused ("invalid_client")."""
        if self._settings.client_documents and is_document(client_id):
            found = await self._documents.find(client_id)
            return Client(
                client_id, Kind.DOCUMENT, found.name, found.redirect_uris, renewable=found.renewable, uri=found.uri
            )
        client = await self.known(client_id)
        if client is None:
            raise GrantRefused("invalid_client", "Unknown client")
        return client

    def is_far(self, client_id: str) -> bool:
        """Whether others would have to be asked who that is."""
        documents = self._settings.client_documents and is_document(client_id)
        return documents and not self._documents.kept(client_id)

    async def known(self, client_id: str) -> Client | None:
        """The same without asking anybody: of a document, only that it may be one, without where it is answered."""
        if self._settings.client_documents and is_document(client_id):
            return Client(client_id, Kind.DOCUMENT, client_id, ())
        if client_id in self._configured:
            return self._configured[client_id]
        if len(client_id) > 32 or not storable(client_id):
            return None
        row = await OAuthClient.get_or_none(pid=client_id)
        return None if row is None else _client(row)

    def prove(self, client: Client, secret: str | None) -> None:
        """Whether it is the client. GrantRefused ("invalid_client"), also for a secret of one that has none."""
        shown = digest(secret or "")
        if client.secret_hash is None and not secret:
            return
        if client.secret_hash is None or not hmac.compare_digest(shown, client.secret_hash):
            raise GrantRefused("invalid_client", "The client is not known by this name and secret")

    async def register(self, data: Mapping[str, Any], info: ClientInfo) -> Registered:
        """Write down a client that describes itself (RFC 7591). GrantRefused, TooManyRequests, Unavailable."""
        found = read_metadata(data, self._settings.redirect_schemes, auth_method="client_secret_basic")
        secret = None if found.auth_method == "none" else new_client_secret()
        async with self._shared.db.transaction():
            await self._make_room(info.address)
            row = await OAuthClient.create(
                pid=new_pid("client"),
                name=found.name,
                uri=found.uri,
                redirect_uris=list(found.redirect_uris),
                grant_types=[CODE, REFRESH] if found.renewable else [CODE],
                auth_method=found.auth_method,
                secret_hash=None if secret is None else digest(secret),
                address=network(info.address)[:64],
                created_at=self._shared.now(),
            )
            data = {"name": found.name, "redirect_uris": list(found.redirect_uris)}
            await self._shared.record("client.registered", by=None, target=f"client:{row.pid}", data=data)
        return Registered(_client(row), found.auth_method, secret, row.created_at)

    async def used(self, client: Client) -> None:
        """Somebody let it in. Inside a transaction."""
        if client.kind is Kind.REGISTERED:
            await OAuthClient.filter(pid=client.id).update(used_at=self._shared.now())

    async def sweep(self) -> None:
        """Delete registrations that nobody uses."""
        now = self._shared.now()
        await OAuthClient.filter(used_at__isnull=True, created_at__lt=now - UNUSED).delete()
        old = await OAuthClient.filter(used_at__lt=now - FORGOTTEN).order_by("used_at").limit(BATCH)
        for row in old:
            if not await _has_login(row, now):
                await row.delete()

    async def _left(self, now: datetime) -> OAuthClient | None:
        """One without a login that was let in a while ago: else a user who lets in many shuts others out."""
        for row in await OAuthClient.filter(used_at__lt=now - RECENT).order_by("used_at").limit(BATCH):
            if not await _has_login(row, now):
                return row
        return None

    async def _make_room(self, address: str) -> None:
        now = self._shared.now()
        mine = OAuthClient.filter(used_at__isnull=True, address=network(address)[:64], created_at__gt=now - RECENT)
        if await mine.count() >= MAX_UNUSED:
            raise TooManyRequests("Too many programs registered from this network and were not let in; try again later")
        if await OAuthClient.all().count() < self._settings.max_clients:
            return
        oldest = await OAuthClient.filter(used_at__isnull=True).order_by("created_at").first()
        if oldest is None or oldest.created_at > now - HURRY:
            oldest = await self._left(now)
        if oldest is None:
            raise Unavailable("No more programs can register now", headers={"Retry-After": "600"})
        await oldest.delete()


async def _has_login(row: OAuthClient, now: datetime) -> bool:
    return await Session.filter(client_id=row.pid, revoked_at__isnull=True, expires_at__gt=now).exists()


def _client(row: OAuthClient) -> Client:
    return Client(
        row.pid,
        Kind.REGISTERED,
        row.name,
        tuple(row.redirect_uris),
        row.secret_hash,
        REFRESH in row.grant_types,
        row.uri,
    )
