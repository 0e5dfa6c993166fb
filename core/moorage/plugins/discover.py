"""Finding plugins: entry points by name. Nothing of a plugin is imported here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path

GROUP = "moorage.plugins"


@dataclass(frozen=True, slots=True)
class Discovered:
    """An installed plugin: its entry point and the distribution that brought it."""

    name: str
    entry_point: EntryPoint
    distribution: str
    version: str


Find = Callable[[], dict[str, Discovered]]
"""How plugins are found: `discover`, or what a test puts in its place."""


def discover() -> dict[str, Discovered]:
    """Every installed plugin by name. Of two distributions with one name, the first by name of distribution wins."""
    # To read what every distribution says of itself takes longer than the rest of a start; it is asked for repeatedly.
    return dict(_discover(tuple((folder, _changed(folder)) for folder in sys.path)))


def _changed(folder: str) -> int:
    """When something was last installed there or removed."""
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=1)
def _discover(places: tuple[tuple[str, int], ...]) -> dict[str, Discovered]:
    named: dict[int, tuple[str, str]] = {}  # One distribution brings several, and is parsed each time it is asked.
    points = [(_of(point.dist, named), point) for point in entry_points(group=GROUP)]
    found: dict[str, Discovered] = {}
    for (distribution, version), point in sorted(points, key=lambda one: (one[1].name, one[0][0])):
        found.setdefault(point.name, Discovered(point.name, point, distribution, version))
    return found


def _of(distribution: Distribution | None, named: dict[int, tuple[str, str]]) -> tuple[str, str]:
    """Name and version of a distribution, which lives as long as its entry points."""
    if distribution is None:
        return "unknown", "unknown"
    if id(distribution) not in named:
        metadata = distribution.metadata
        named[id(distribution)] = metadata["Name"], metadata["Version"]
    return named[id(distribution)]


def in_order(wanted: Mapping[str, Iterable[str]]) -> tuple[list[str], list[str]]:
    """Topological order of {name: names that come before it}, ties by name.

    Names that are not keys are ignored. Returns (order, names that form a cycle).
    """
    waiting = {name: {n for n in before if n in wanted and n != name} for name, before in wanted.items()}
    order: list[str] = []
    while ready := sorted(name for name, before in waiting.items() if not before):
        for name in ready:
            del waiting[name]
            order.append(name)
        for before in waiting.values():
            before.difference_update(ready)
    return order, sorted(waiting)
