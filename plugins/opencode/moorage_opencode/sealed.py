"""What is secret of a session, as it is kept in its row: sealed JSON."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from moorage.api import Hub, MoorageError

USER = "opencode"
"""The name that OpenCode's server asks for beside its password, unless it is told another."""


class Unsealable(MoorageError):
    """The row was sealed under another secret of the server's."""

    default_message = (
        "What is secret of this session cannot be read: the server's secret is another one now. "
        "Put the old one back, or delete the session"
    )


@dataclass(frozen=True, slots=True)
class Secrets:
    """password: OpenCode's, of this session alone. env: variables that its maker gave, which may be keys."""

    password: str = field(repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def fresh(cls, env: Mapping[str, str]) -> Secrets:
        """With a new password of 256 random bits."""
        return cls(secrets.token_urlsafe(32), dict(env))

    @classmethod
    def open(cls, hub: Hub, sealed: str) -> Secrets:
        """As `seal` made it. Unsealable when that cannot be read any more."""
        try:
            kept = json.loads(hub.sealing.open(sealed))
            return cls(kept["password"], kept["env"])
        except (ValueError, KeyError, TypeError) as error:
            raise Unsealable from error

    def seal(self, hub: Hub) -> str:
        """For the row."""
        return hub.sealing.seal(json.dumps({"password": self.password, "env": dict(self.env)}))

    @property
    def authorization(self) -> str:
        """The header that OpenCode takes (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{USER}:{self.password}".encode()).decode()

    def masked(self, text: str) -> str:
        """`text` without the secrets, in case the program printed one."""
        for secret in (self.password, self.authorization.removeprefix("Basic "), *self.env.values()):
            if len(secret) >= 8:
                text = text.replace(secret, "***")
        return text
