"""Logins at providers: flows, identities, linking."""

from __future__ import annotations

from moorage.accounts.shared import Shared


class OAuthLogins:
    """Logins at providers: flows, identities, linking."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
