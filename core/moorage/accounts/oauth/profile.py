"""What is kept while a browser is at a provider, and what the provider then says of the person."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """A person as a provider knows them. `subject` never changes; `email_verified` is the provider's word."""

    subject: str
    email: str | None
    email_verified: bool
    login: str | None
    name: str | None
    avatar_url: str | None


@dataclass(frozen=True, slots=True)
class Proof:
    """What belongs to one login: kept here, sealed, while the browser is away."""

    verifier: str
    nonce: str
    redirect_uri: str

    def __repr__(self) -> str:
        return "Proof(…)"
