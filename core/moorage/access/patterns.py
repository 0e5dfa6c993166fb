"""Patterns over permission names, as roles and token scopes write them.

`tmux:session:read` is the permission on the holder's own objects, `tmux:session:read:any` on everybody's.
A `*` stands for one part, at the end for all that follows (with and without `:any`): `tmux:session:*`, `tmux:*`,
`*:*:read`, `*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from moorage.access.permissions import ANY

_PART = r"(?:[a-z][a-z0-9_-]*|\*)"
_PATTERN = re.compile(rf"^(?:\*|{_PART}:\*|{_PART}:{_PART}:{_PART}(?::any)?)$")


def valid(pattern: str) -> bool:
    """Whether `pattern` has the form of a pattern; it may still match nothing."""
    return _PATTERN.match(pattern) is not None


def matches(pattern: str, name: str) -> bool:
    """Whether the pattern covers exactly this name (which may end in `:any`)."""
    parts, names = pattern.split(":"), name.split(":")
    if parts[-1] == "*" and len(parts) <= len(names):
        parts, names = parts[:-1], names[: len(parts) - 1]
    return len(parts) == len(names) and all(part in ("*", given) for part, given in zip(parts, names, strict=True))


def expand(patterns: Iterable[str], universe: Iterable[str]) -> frozenset[str]:
    """All names of `universe` that a pattern grants. Whoever reaches everybody's objects reaches his own."""
    patterns = tuple(patterns)
    found = {name for name in universe if any(matches(pattern, name) for pattern in patterns)}
    return frozenset(found | {name.removesuffix(ANY) for name in found})


def take_away(names: Iterable[str], patterns: Iterable[str]) -> frozenset[str]:
    """`names` without what a pattern denies. Denying the plain name denies `:any` too; the reverse leaves one's own."""
    patterns = tuple(patterns)
    return frozenset(
        name
        for name in names
        if not any(matches(pattern, name) or matches(pattern, name.removesuffix(ANY)) for pattern in patterns)
    )
