"""Logins under way: kept from when a browser leaves for a provider until it comes back, once, within ten minutes."""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta

from moorage.accounts.models import OAuthFlow
from moorage.accounts.oauth.refusals import Refused
from moorage.accounts.sealing import WrongSecret
from moorage.accounts.secrets import digest
from moorage.accounts.shared import Shared

COOKIE = "oauth_flow"
FLOW_SECONDS = 600
MAX_STATE = 128
"""Characters of the longest state or cookie that is looked at."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What is needed when the browser comes back. Locations were checked when it left.

    link_user_id: who links an identity; None logs in. new_next: where a user goes that was made by this.
    """

    verifier: str
    nonce: str
    redirect_uri: str
    invite: str | None
    next: str
    new_next: str | None
    error_next: str
    link_user_id: int | None

    def __repr__(self) -> str:
        return "Flow(…)"


class Flows:
    """The rows of `core_oauth_flows`."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def keep(self, provider: str, flow: Flow) -> tuple[str, str]:
        """Remember a flow; returns its state, for the provider, and the cookie, for the browser: 256 bits each."""
        state, browser = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        async with self._shared.db.transaction():
            await OAuthFlow.create(
                state_hash=digest(state),
                browser_hash=digest(browser),
                provider=provider,
                sealed=self._shared.seal.seal(json.dumps(asdict(flow))),
                expires_at=self._shared.now() + timedelta(seconds=FLOW_SECONDS),
            )
        return state, browser

    async def take(self, provider: str, state: str, browser: str) -> Flow:
        """The flow of a browser that comes back, once. Refused("invalid_state").

        Another browser's state stays good for that browser: whoever guesses or steals one ends nobody's login.
        """
        if not 0 < len(state) <= MAX_STATE or not 0 < len(browser) <= MAX_STATE:
            raise Refused("invalid_state", "no state, or no cookie of a login under way")
        async with self._shared.db.transaction():
            row = await OAuthFlow.filter(state_hash=digest(state)).first()
            if row is None or row.provider != provider:
                raise Refused("invalid_state", "unknown or used state")
            if not hmac.compare_digest(row.browser_hash, digest(browser)):
                raise Refused("invalid_state", "the state of another browser")
            if not await OAuthFlow.filter(id=row.id).delete():
                raise Refused("invalid_state", "unknown or used state")
        if row.expires_at <= self._shared.now():
            raise Refused("invalid_state", "the login took too long")
        try:
            return Flow(**json.loads(self._shared.seal.open(row.sealed)))
        except (WrongSecret, TypeError, ValueError) as error:
            raise Refused("invalid_state", "the flow was sealed with another secret") from error

    async def sweep(self) -> None:
        """Delete the rows of those that never came back."""
        await OAuthFlow.filter(expires_at__lte=self._shared.now()).delete()
