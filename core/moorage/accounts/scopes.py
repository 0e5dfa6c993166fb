"""What the `scope` of a device login means: words of OpenID that restrict nothing, and permissions that do."""

from __future__ import annotations

IDENTITY_SCOPES = ("openid", "profile", "email", "offline_access")
"""Words that clients ask for by habit. Alone they leave a token all of its user's rights."""
MAX_WORDS = 64


def words(scope: str) -> list[str]:
    """The words of a `scope`, each once, in their order. Source: RFC 6749, 3.3."""
    return list(dict.fromkeys(scope.split()))


def restriction(scope: str | None) -> frozenset[str] | None:
    """The permissions and patterns that a granted scope cuts a token down to; None where it names none."""
    return frozenset(words(scope or "")).difference(IDENTITY_SCOPES) or None
