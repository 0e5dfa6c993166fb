"""What the tools, prompts and resources of several servers are called behind one endpoint, and whose they are.

A tool or prompt is called by its upstream's prefix and the server's own name for it. The first server of a workspace
has no prefix, so its names stay. When two come to the same name, the upstream that stands earlier in the workspace
keeps it, and the other one's is `<upstream>__<name>`, then with `_2`, `_3` … behind it. So names depend on the order of
the upstreams and on nothing else; a server that is away keeps the names that it was last known to have.

A resource is called by its URI, whoever has it. The upstream that lists it answers for it, else the one whose template
fits (the one with the most literal text), else those that have resources are asked in their order. When two list the
same one, the earlier upstream has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moorage_mcp.records import UpstreamInfo

_EXPRESSION = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One tool, prompt, resource or template. name: the server's own, a URI or a URI template for the last two."""

    upstream: UpstreamInfo
    name: str
    item: Mapping[str, Any] = field(repr=False)


Items = Sequence[tuple[UpstreamInfo, Sequence[Mapping[str, Any]]]]
"""What each upstream lists, in the order of the upstreams."""


def named(listed: Items) -> dict[str, Entry]:
    """Tools or prompts by the names that clients see, in the order in which they are listed."""
    places: list[tuple[str | None, Entry]] = []
    taken: set[str] = set()
    for upstream, items in listed:
        own: set[str] = set()
        for entry in _entries(upstream, items, "name"):
            if entry.name in own:
                continue
            own.add(entry.name)
            wanted = upstream.prefix + entry.name
            places.append((None if wanted in taken else wanted, entry))
            taken.add(wanted)
    found: dict[str, Entry] = {}
    for shown, entry in places:
        if shown is None:
            shown = _free(f"{entry.upstream.name}__{entry.name}", taken)
            taken.add(shown)
        found[shown] = entry
    return found


def located(listed: Items, member: str) -> dict[str, Entry]:
    """Resources (member `uri`) or templates (`uriTemplate`) by that; of the earlier upstream if two have it."""
    found: dict[str, Entry] = {}
    for upstream, items in listed:
        for entry in _entries(upstream, items, member):
            found.setdefault(entry.name, entry)
    return found


def fitting(templates: Mapping[str, Entry], uri: str) -> Entry | None:
    """Whose template (RFC 6570) a URI may have been made from: the one with the most literal text, then the first."""
    best: Entry | None = None
    most = -1
    for template, entry in templates.items():
        literals = _EXPRESSION.split(template)
        weight = sum(map(len, literals))
        if weight > most and _fits(literals, uri):
            best, most = entry, weight
    return best


def _fits(literals: list[str], uri: str) -> bool:
    """Whether a text has these parts in this order, from its beginning to its end. Linear, unlike a pattern."""
    first, last = literals[0], literals[-1]
    if len(literals) == 1:
        return uri == first
    if not uri.startswith(first) or not uri.endswith(last) or len(uri) < len(first) + len(last):
        return False
    at, end = len(first), len(uri) - len(last)
    for part in literals[1:-1]:
        at = uri.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def _entries(upstream: UpstreamInfo, items: Iterable[Mapping[str, Any]], member: str) -> Iterable[Entry]:
    """Those that have a name at all: a server's mistake costs one item, not the list."""
    for item in items:
        if isinstance(item, Mapping) and isinstance(name := item.get(member), str) and name:
            yield Entry(upstream, name, item)


def _free(wanted: str, taken: set[str]) -> str:
    shown, n = wanted, 1
    while shown in taken:
        n += 1
        shown = f"{wanted}_{n}"
    return shown
