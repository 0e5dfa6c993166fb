"""What the parts of accounts share: settings, database, clock, cache, and how a change is told to the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moorage.access import Actor, Credential, Method
from moorage.access.service import Access
from moorage.accounts.cache import CredentialCache
from moorage.accounts.sealing import Seal
from moorage.config.settings import AccountsSettings
from moorage.context import current_actor
from moorage.db import Database
from moorage.events import EventBus, Topic
from moorage.observe.audit import Audit

SYSTEM = Actor(None, Credential(Method.SYSTEM, 0, "system"))
"""The server itself, and the operator at its command line."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Where a login comes from: the client's address behind trusted proxies, and what it calls itself."""

    address: str
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """A fresh session. `token` is told once: to the client, in a cookie or as a Bearer token."""

    actor: Actor
    token: str
    csrf: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Login({self.actor.label})"


@dataclass(slots=True)
class Shared:
    """Handed to each part. `now` is an aware clock in UTC."""

    settings: AccountsSettings
    db: Database
    audit: Audit
    bus: EventBus
    access: Access
    cache: CredentialCache
    seal: Seal
    now: Clock

    async def record(
        self, action: str, *, by: Actor | None, target: str | None = None, data: dict[str, Any] | None = None
    ) -> None:
        """Write to the audit log; `by` None is whoever makes the current request.

        Inside the transaction of what is recorded: neither is there without the other.
        """
        await self.audit.write(action, actor=by or current_actor(), target=target, data=data)

    def user_changed(self, user_id: int) -> None:
        """Tell everybody once the transaction in hand is committed. The cache hears it as well."""
        self.db.after_commit(lambda: self.bus.publish(Topic.USER_CHANGED, {"user_id": user_id}))

    def revoked(self, method: Method, credential_id: int, user_id: int) -> None:
        """The same for a credential that holds no more."""
        data = {"method": method.value, "id": credential_id, "user_id": user_id}
        self.db.after_commit(lambda: self.bus.publish(Topic.CREDENTIAL_REVOKED, data))
