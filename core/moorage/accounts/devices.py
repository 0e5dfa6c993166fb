"""Device logins (RFC 8628): codes asked for, looked at, approved, polled."""

from __future__ import annotations

from moorage.accounts.shared import Shared


class Devices:
    """Device logins (RFC 8628): codes asked for, looked at, approved, polled."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
