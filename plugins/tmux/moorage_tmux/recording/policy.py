"""Which sessions are recorded without anybody's asking."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Mode = Literal["off", "request", "always"]


class Policy:
    """The operator's rule: see `recording` and `recording_sessions` in the configuration."""

    def __init__(self, mode: Mode, patterns: Iterable[str]) -> None:
        self.off = mode == "off"
        self._always = mode == "always"
        self._patterns = [
            re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL) for pattern in patterns if not self.off
        ]

    @property
    def active(self) -> bool:
        """Whether there may be sessions that it concerns."""
        return self._always or bool(self._patterns)

    def wants(self, name: str) -> bool:
        """Whether a session of that name is always recorded."""
        return self._always or any(pattern.fullmatch(name) for pattern in self._patterns)
