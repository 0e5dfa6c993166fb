"""What Octoprox's lists share: the envelope, its paging, whole numbers as ids. Source: `api/octoprox.md`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from moorage.accounts import KeyInfo
from moorage.dialects import OCTOPROX
from moorage.errors import ValidationFailed

MAX_ID = 2**31 - 1
Id = Annotated[int, Field(ge=1, le=MAX_ID)]


class PageQuery(BaseModel):
    """Which page of a list. A page past the end is empty."""

    page: int = Field(1, ge=1, le=MAX_ID)
    per_page: int = Field(20, ge=1, le=100)

    @property
    def offset(self) -> int:
        """How many come before the page."""
        return (self.page - 1) * self.per_page


class Meta(TypedDict):
    """Where a page stands in its list."""

    page: int
    per_page: int
    total: int
    total_pages: int


class KeyShape(TypedDict):
    """An API key without its secret. scopes: null for all of the owner's rights."""

    id: int
    name: str
    prefix: str
    user_id: int
    created_at: str
    last_used_at: str | None
    nexusgate_token_id: None
    expires_at: str | None
    scopes: list[str] | None


def meta(query: PageQuery, total: int) -> Meta:
    """The paging of an answer; `total` is the length of the whole list."""
    return {
        "page": query.page,
        "per_page": query.per_page,
        "total": total,
        "total_pages": -(-total // query.per_page),
    }


def shown_key(key: KeyInfo) -> KeyShape:
    """A key as Octoprox's clients know one."""
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "user_id": key.user_id,
        "created_at": OCTOPROX.timestamp(key.created_at),
        "last_used_at": time_or_none(key.last_used_at),
        "nexusgate_token_id": None,
        "expires_at": time_or_none(key.expires_at),
        "scopes": list(key.scopes) if key.scopes is not None else None,
    }


def time_or_none(at: datetime | None) -> str | None:
    """A time as Octoprox's clients read it."""
    return OCTOPROX.timestamp(at) if at is not None else None


def path_id(text: str, field: str) -> int | None:
    """The number in a path; None for one that no row has. ValidationFailed for what is no number."""
    if not (text.isascii() and text.isdigit()):
        raise ValidationFailed(
            f"{field} must be an integer", problems=[{"field": field, "message": "must be an integer"}]
        )
    number = int(text) if len(text) <= 10 else 0
    return number if 1 <= number <= MAX_ID else None
