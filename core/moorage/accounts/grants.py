"""Refresh tokens: rotation, and what happens when an old one comes back."""

from __future__ import annotations

from moorage.accounts.shared import Shared


class Grants:
    """Refresh tokens: rotation, and what happens when an old one comes back."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
