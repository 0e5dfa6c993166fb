"""JWTs: signed for a session, verified, and the keys behind them."""

from __future__ import annotations

from moorage.accounts.shared import Shared


class Tokens:
    """JWTs: signed for a session, verified, and the keys behind them."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
