"""JWTs (RFC 9068): signed for a session, and verified. A JWT stands for its session and never outlives it."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from moorage.access import Actor, Method
from moorage.accounts.secrets import new_pid
from moorage.accounts.sessions import Sessions
from moorage.accounts.shared import Login, Shared
from moorage.accounts.signing import ALGORITHM, SigningKeys
from moorage.dialects import OCTO
from moorage.errors import Forbidden

JWT_PREFIX = "eyJ"
"""How every JWT begins: the base64 of `{"`."""
MAX_JWT = 4096
"""Characters of the longest text that is looked at as a JWT."""
AUDIENCE = "moorage"
TYPE = "at+jwt"
LEEWAY = 60
"""Seconds by which clocks of servers may differ: a JWT may be from the future by so much. Its end is exact."""

# The signature of ES256 has 64 bytes. Stricter than decoders are, which skip what is not of the alphabet.
_SHAPE = re.compile(r"([A-Za-z0-9_-]{1,256})\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}", re.ASCII)


class Tokens:
    """JWTs of sessions. What they say of the user is for clients to read: the server believes its database."""

    def __init__(self, shared: Shared, sessions: Sessions, issuer: str) -> None:
        self._shared = shared
        self._sessions = sessions
        self._issuer = issuer
        self.keys = SigningKeys(shared)

    async def issue(self, of: Login | Actor) -> tuple[str, datetime]:
        """A JWT for a session, and its end: after `jwt_seconds`, or with the session if that ends before.

        Forbidden (SESSION_REQUIRED) for who did not come by a session.
        """
        actor = of.actor if isinstance(of, Login) else of
        user, credential = actor.user, actor.credential
        if user is None or credential is None or not credential.of_session or credential.resource is not None:
            raise Forbidden("Tokens are made for sessions: log in first", code="SESSION_REQUIRED")
        now = self._shared.now()
        ends = now + timedelta(seconds=self._shared.settings.jwt_seconds)
        if credential.expires_at is not None:
            ends = min(ends, credential.expires_at)
        role = OCTO.role(user.role)
        exp = int(ends.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": user.pid,
            "sid": credential.pid,
            "jti": new_pid("jwt"),
            "iat": int(now.timestamp()),
            "exp": exp,
            "type": "access",
            "name": user.name,
            "preferred_username": user.username,
            "username": user.username,
            "email": user.email,
            "role": role,
            "roles": [role],
        }
        kid, key = await self.keys.signer()
        token = jwt.encode({"alg": ALGORITHM, "typ": TYPE, "kid": kid}, claims, key, [ALGORITHM], default_type=None)
        return token, datetime.fromtimestamp(exp, UTC)

    async def load(self, token: str, *, touch: bool = True) -> Actor | None:
        """The actor of a JWT, as its session and user are now; None when it does not hold. touch: it is a use."""
        verified = await self.verified(token)
        if verified is None:
            return None
        kid, claims = verified
        actor = await self._sessions.load_pid(claims["sid"], touch=touch)
        if actor is None or actor.user is None or actor.credential is None or actor.user.pid != claims["sub"]:
            return None
        # The CSRF token of a browser's session stays in: the gate takes it out where no cookie carried the JWT.
        ends = datetime.fromtimestamp(claims["exp"], UTC)
        if actor.credential.expires_at is not None:
            ends = min(ends, actor.credential.expires_at)
        return Actor(actor.user, replace(actor.credential, method=Method.JWT, expires_at=ends, kid=kid))

    async def verified(self, token: str) -> tuple[str, dict[str, Any]] | None:
        """The kid and the claims of a JWT that we signed, for us, and that is in time; None otherwise.

        Says nothing of the session. The header must be ours to the letter: one algorithm, one type, a kid, and
        nothing beside them, so that no parameter of RFC 7515 is left to be understood.
        """
        kid = _kid(token)
        key = await self.keys.verifier(kid) if kid is not None else None
        if kid is None or key is None:
            return None
        now = self._shared.now().timestamp()
        try:
            claims = jwt.decode(token, key, [ALGORITHM]).claims
            self._rules(int(now)).validate(claims)
        except (JoseError, ValueError, RecursionError):
            return None
        return (kid, claims) if now < claims["exp"] else None

    async def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys, as a JWK set (RFC 7517)."""
        return {"keys": await self.keys.public()}

    def _rules(self, now: int) -> _Rules:
        return _Rules(
            now,
            LEEWAY,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": AUDIENCE},
            sub={"essential": True},
            sid={"essential": True},
            jti={"essential": True},
            iat={"essential": True},
            exp={"essential": True},
            type={"essential": True, "value": "access"},
        )


class _Rules(jwt.JWTClaimsRegistry):
    def validate_sid(self, value: object) -> None:
        self.validate_sub(value)


def _kid(token: str) -> str | None:
    """The kid of a text that looks like a JWT of ours; None for any other, before anything is computed."""
    shape = _SHAPE.fullmatch(token) if len(token) <= MAX_JWT else None
    if shape is None:
        return None
    head = shape[1]
    try:
        header = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except ValueError:
        return None
    if not isinstance(header, dict) or len(header) != 3:
        return None
    kid = header.get("kid")
    ours = header.get("alg") == ALGORITHM and header.get("typ") == TYPE
    return kid if ours and isinstance(kid, str) else None
