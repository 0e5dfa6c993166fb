"""Which plugins the console can call: those that are at the address that it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Mounts = Callable[[], Mapping[str, Sequence[str]]]
"""Gives the plugins that run at the address that was asked, by name, with their prefixes there."""
