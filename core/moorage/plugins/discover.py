"""Finding plugins: entry points by name. Nothing of a plugin is imported here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

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
    found: dict[str, Discovered] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.dist.name if p.dist else "")):
        distribution = point.dist.name if point.dist else "unknown"
        version = point.dist.version if point.dist else "unknown"
        found.setdefault(point.name, Discovered(point.name, point, distribution, version))
    return found


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
