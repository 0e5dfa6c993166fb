"""ID tokens: verified with the issuer's keys. Source: OpenID Connect Core 1.0, 3.1.3.7."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from time import monotonic
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from moorage.accounts.oauth.refusals import Refused

ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA", "Ed25519"),
}
"""What is believed, by the kind of key: nothing symmetric, and never "none"."""
_KEYS: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
MAX_TOKEN = 64 * 1024
MAX_KEYS = 100
KEYS_SECONDS = 600.0
REFETCH_SECONDS = 30.0
LEEWAY = 60
"""Seconds that the issuer's clock may differ from ours."""

_FAILURES = (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, OverflowError, RecursionError)
"""What a key or a token that others made may end in."""

Fetch = Callable[[], Awaitable[Any]]


class IssuerKeys:
    """The keys of an issuer, kept for ten minutes; an unknown key id asks for them once more, but not all the time."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._keys: list[dict[str, Any]] = []
        self._at = self._refetched_at = float("-inf")

    async def find(self, kid: str | None) -> dict[str, Any]:
        """The key with this id; without an id, the only one there is. Refused when there is none."""
        if monotonic() - self._at > KEYS_SECONDS:
            await self._load()
        found = self._matching(kid)
        if not found and monotonic() - self._refetched_at > REFETCH_SECONDS:
            self._refetched_at = monotonic()
            await self._load()
            found = self._matching(kid)
        if len(found) != 1:
            raise Refused("oauth_failed", "the id_token names no key of its issuer")
        return found[0]

    def _matching(self, kid: str | None) -> list[dict[str, Any]]:
        return [key for key in self._keys if kid is None or key.get("kid") == kid]

    async def _load(self) -> None:
        answer = await self._fetch()
        keys = answer.get("keys") if isinstance(answer, dict) else None
        if not isinstance(keys, list):
            raise Refused("oauth_failed", "the issuer's keys cannot be read")
        self._keys = [
            key
            for key in keys[:MAX_KEYS]
            if isinstance(key, dict) and key.get("kty") in tuple(ALGORITHMS) and key.get("use", "sig") == "sig"
        ]
        self._at = monotonic()


async def verify(
    token: object, keys: IssuerKeys, *, issuer: str, client_id: str, nonce: str, now: datetime
) -> dict[str, Any]:
    """The claims of an ID token. Refused for one that is not from this issuer, for us, for this login, and now."""
    if not isinstance(token, str) or len(token) > MAX_TOKEN:
        raise Refused("oauth_failed", "the provider gave no id_token")
    header = _header(token)
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise Refused("oauth_failed", "the id_token's header is malformed")
    data = await keys.find(kid)
    # The key says which algorithms there are for it; the token may only choose among them.
    usable = [name for name in ALGORITHMS[data["kty"]] if data.get("alg", name) == name]
    if header.get("alg") not in usable:
        raise Refused("oauth_failed", "the id_token's algorithm is not one of its key's")
    try:
        key = _KEYS[data["kty"]].import_key(data)
        claims = jwt.decode(token, key, algorithms=usable).claims
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(claims)
    except _FAILURES as error:
        raise Refused("oauth_failed", f"the id_token does not hold ({type(error).__name__})") from error
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise Refused("oauth_failed", "the id_token was issued to another client")
    return dict(claims)


def _header(token: str) -> dict[str, Any]:
    part = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise Refused("oauth_failed", "the id_token is malformed")
    return header
