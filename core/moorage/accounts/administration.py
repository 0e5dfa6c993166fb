"""What one user may do to another: make, change, disable, delete; the rules of rank."""

from __future__ import annotations

from moorage.accounts.shared import Shared


class Administration:
    """What one user may do to another: make, change, disable, delete; the rules of rank."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
