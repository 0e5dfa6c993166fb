"""Registration: a new user by an invite, in one transaction."""

from __future__ import annotations

from moorage.accounts.shared import Shared


class Registration:
    """Registration: a new user by an invite, in one transaction."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
