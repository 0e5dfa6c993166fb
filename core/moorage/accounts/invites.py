"""Invites: made, listed, revoked, redeemed; one table behind three spellings."""

from __future__ import annotations

from moorage.accounts.shared import Shared


class Invites:
    """Invites: made, listed, revoked, redeemed; one table behind three spellings."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
