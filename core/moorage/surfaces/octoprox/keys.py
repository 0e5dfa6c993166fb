"""Octoprox's API keys. Source: `api/octoprox.md`, API Keys; scopes and expiry are ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, Field
from quart import Response

from moorage.access import Actor
from moorage.accounts import KeyInfo
from moorage.context import current_actor
from moorage.dialects import OCTOPROX
from moorage.errors import Forbidden, NotFound, Unauthorized, ValidationFailed
from moorage.routes import Route, Routes
from moorage.web import json_response, read_json, read_query

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_ID = 2**31 - 1
MAX_BODY = 16 * 1024
WARNING = "This key will only be shown once. Store it securely."

Id = Annotated[int, Field(ge=1, le=MAX_ID)]


def _aware(at: datetime) -> datetime:
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the calendar") from None


class Page(BaseModel):
    """The query of GET /api/v1/api-keys."""

    page: int = Field(1, ge=1, le=MAX_ID)
    per_page: int = Field(20, ge=1, le=100)
    user_id: Id | None = None


class NewKeyBody(BaseModel):
    """POST /api/v1/api-keys. Times without a zone are UTC."""

    name: str
    user_id: Annotated[int, Field(ge=1, le=MAX_ID, strict=True)] | None = None
    scopes: list[str] | None = None
    expires_at: Annotated[datetime, AfterValidator(_aware)] | None = None


def routes(hub: Hub) -> list[Route]:
    """GET, POST and DELETE under /api/v1/api-keys."""
    found = Routes()
    accounts, access = hub.accounts, hub.access

    @found.get("/api/v1/api-keys", access="core:key:read", dialect=OCTOPROX)
    async def list_keys() -> Response:
        query = read_query(Page)
        own = access.list_filter(current_actor(), "core:key:read")
        if own is None or (own and query.user_id not in (None, own["user_id"])):
            raise Forbidden("Not authorized to access this resource")
        keys, total = await accounts.list_keys(
            user_id=query.user_id or own.get("user_id"),
            offset=(query.page - 1) * query.per_page,
            limit=query.per_page,
        )
        meta = {
            "page": query.page,
            "per_page": query.per_page,
            "total": total,
            "total_pages": -(-total // query.per_page),
        }
        return json_response({"data": {"api_keys": [_shown(key) for key in keys]}, "meta": meta})

    @found.post("/api/v1/api-keys", access="core:key:create", dialect=OCTOPROX, max_body=MAX_BODY)
    async def create_key() -> Response:
        body = await read_json(NewKeyBody)
        actor = current_actor()
        owner_id = body.user_id or _user_id(actor)
        if not access.can(actor, "core:key:create", owner_id=owner_id):
            raise Forbidden("Only admins can create API keys for other users")
        key, secret = await accounts.create_key(
            owner_id, body.name, scopes=body.scopes, expires_at=body.expires_at, by=actor
        )
        data = {**_shown(key), "api_key": secret, "token": secret, "warning": WARNING}
        return json_response({"data": data}, 201)

    @found.delete("/api/v1/api-keys/{key_id}", access="core:key:delete", dialect=OCTOPROX, max_body=MAX_BODY)
    async def revoke_key(key_id: str) -> Response:
        actor = current_actor()
        key = await accounts.get_key(_id(key_id))
        # Whose key it is, is nobody else's business, nor whether there is one.
        if key is None or not access.can(actor, "core:key:delete", owner_id=key.user_id):
            raise NotFound("API key not found")
        await accounts.revoke_key(key.id, by=actor)
        return Response(b"", 204)

    return list(found)


def _shown(key: KeyInfo) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "user_id": key.user_id,
        "created_at": OCTOPROX.timestamp(key.created_at),
        "last_used_at": _time(key.last_used_at),
        "nexusgate_token_id": None,
        "expires_at": _time(key.expires_at),
        "scopes": list(key.scopes) if key.scopes is not None else None,
    }


def _time(at: datetime | None) -> str | None:
    return OCTOPROX.timestamp(at) if at is not None else None


def _user_id(actor: Actor) -> int:
    if actor.user is None:
        raise Unauthorized
    return actor.user.id


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        problem = {"field": "key_id", "message": "must be an integer"}
        raise ValidationFailed("key_id must be an integer", problems=[problem])
    number = int(text) if len(text) <= 10 else 0
    if not 1 <= number <= MAX_ID:
        raise NotFound("API key not found")
    return number
