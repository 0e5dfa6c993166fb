"""Identifiers, tokens and what is kept of them: random where it matters, SHA-256 at rest.

A token has at least 128 random bits, so a plain digest is enough: there is nothing to guess from a dictionary.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from dataclasses import dataclass

SESSION_PREFIX = "mses_"
KEY_PREFIX = "mcp_"
REFRESH_PREFIX = "mref_"
DEVICE_PREFIX = "mdev_"
CODE_PREFIX = "mcode_"
CLIENT_PREFIX = "mcsec_"
MAX_TOKEN = 256
"""Characters of the longest text that is looked at as a token."""

_BASE62 = string.ascii_letters + string.digits


def new_pid(kind: str) -> str:
    """A public string id: the kind, an underscore, and 71 random bits in base 62."""
    return f"{kind}_{''.join(secrets.choice(_BASE62) for _ in range(12))}"


def new_session_token() -> str:
    """256 random bits; the prefix lets scanners of leaked secrets know it."""
    return SESSION_PREFIX + secrets.token_urlsafe(32)


def new_refresh_token() -> str:
    """256 random bits, for the program that a device login let in."""
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def new_device_code() -> str:
    """256 random bits, for the program that waits for a device login."""
    return DEVICE_PREFIX + secrets.token_urlsafe(32)


def new_code() -> str:
    """256 random bits, for a program that somebody has just let in: good once, within a minute."""
    return CODE_PREFIX + secrets.token_urlsafe(32)


def new_client_secret() -> str:
    """256 random bits, for a program that registered itself and can keep a secret."""
    return CLIENT_PREFIX + secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A fresh API key: `secret` is the whole key, told once; `prefix` and `digest` are stored."""

    secret: str
    prefix: str
    digest: str


def new_api_key() -> NewKey:
    """A key `mcp_<8 hex>_<secret>` with 192 random bits in its secret."""
    prefix = KEY_PREFIX + secrets.token_hex(4)
    secret = f"{prefix}_{secrets.token_urlsafe(24)}"
    return NewKey(secret, prefix, digest(secret))


def digest_bytes(token: str) -> bytes:
    """SHA-256 of a token. Takes any str, also one with lone surrogates."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def digest(token: str) -> str:
    """SHA-256 of a token in hex, as it is stored."""
    return digest_bytes(token).hex()
