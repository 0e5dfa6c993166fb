"""Providers that could not be reached a moment ago: while another can answer, nobody waits for their time-out again."""

from __future__ import annotations

import time

from moorage_chat.providers.base import ErrorCode, ProviderError

SECONDS = 30.0
"""For so long others are asked instead, where there are any."""
_FAULTS = frozenset({ErrorCode.UNREACHABLE, ErrorCode.TIMEOUT})


class Cooldown:
    """Which providers cool down, by their ids."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[float, ErrorCode]] = {}

    def failed(self, provider_id: str, error: ProviderError) -> None:
        """It failed before it had said anything."""
        if error.code in _FAULTS:
            self._failed[provider_id] = (time.monotonic(), error.code)

    def over(self, provider_id: str) -> None:
        """It answers, or is gone."""
        self._failed.pop(provider_id, None)

    def why(self, provider_id: str) -> ErrorCode | None:
        """Why it is not to be asked now; None when it is."""
        at, code = self._failed.get(provider_id, (0.0, None))
        return code if code is not None and time.monotonic() - at < SECONDS else None
