"""Octoprox's API keys. Source: `api/octoprox.md`, API Keys; scopes and expiry are ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.access import Actor
from moorage.context import current_actor
from moorage.dialects import OCTOPROX
from moorage.errors import Forbidden, NotFound, Unauthorized
from moorage.routes import Route, Routes
from moorage.surfaces.common import note_admin_read
from moorage.surfaces.octoprox.shapes import MAX_ID, Id, KeyShape, Meta, PageQuery, meta, path_id, shown_key
from moorage.web import json_response, read_json, read_query

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024
WARNING = "This key will only be shown once. Store it securely."


def _aware(at: datetime) -> datetime:
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the calendar") from None


class KeysQuery(PageQuery):
    """The query of GET /api/v1/api-keys. user_id: whose, where not one's own only for administrators."""

    user_id: Id | None = None


class NewKeyBody(BaseModel):
    """POST /api/v1/api-keys. Times without a zone are UTC."""

    name: str
    user_id: Annotated[int, Field(ge=1, le=MAX_ID, strict=True)] | None = None
    scopes: list[str] | None = None
    expires_at: Annotated[datetime, AfterValidator(_aware)] | None = None


class KeysData(TypedDict):
    """The keys of a page."""

    api_keys: list[KeyShape]


class KeysAnswer(TypedDict):
    """GET /api/v1/api-keys."""

    data: KeysData
    meta: Meta


class NewKeyShape(KeyShape):
    """A new key with its secret, under the names of the contract and of its program."""

    api_key: str
    token: str
    warning: str


class NewKeyAnswer(TypedDict):
    """POST /api/v1/api-keys."""

    data: NewKeyShape


def routes(hub: Hub) -> list[Route]:
    """GET, POST and DELETE under /api/v1/api-keys."""
    found = Routes()
    accounts, access = hub.accounts, hub.access

    @found.get("/api/v1/api-keys", access="core:key:read", dialect=OCTOPROX, query=KeysQuery, answer=KeysAnswer)
    async def list_keys() -> Response:
        """List API keys, oldest first: one's own, for administrators everybody's."""
        query = read_query(KeysQuery)
        actor = current_actor()
        own = access.list_filter(actor, "core:key:read")
        if own is None or (own and query.user_id not in (None, own["user_id"])):
            raise Forbidden("Not authorized to access this resource")
        wanted = query.user_id or own.get("user_id")
        if wanted != _user_id(actor):
            await note_admin_read(hub, "key")
        keys, total = await accounts.list_keys(user_id=wanted, offset=query.offset, limit=query.per_page)
        return json_response({"data": {"api_keys": [shown_key(key) for key in keys]}, "meta": meta(query, total)})

    @found.post(
        "/api/v1/api-keys",
        access="core:key:create",
        dialect=OCTOPROX,
        max_body=MAX_BODY,
        body=NewKeyBody,
        answer=NewKeyAnswer,
        status=201,
    )
    async def create_key() -> Response:
        """Make an API key for oneself, as an administrator for anybody; its secret is shown this once."""
        body = await read_json(NewKeyBody)
        actor = current_actor()
        owner_id = body.user_id or _user_id(actor)
        if not access.can(actor, "core:key:create", owner_id=owner_id):
            raise Forbidden("Only admins can create API keys for other users")
        key, secret = await accounts.create_key(
            owner_id, body.name, scopes=body.scopes, expires_at=body.expires_at, by=actor
        )
        data = {**shown_key(key), "api_key": secret, "token": secret, "warning": WARNING}
        return json_response({"data": data}, 201)

    @found.delete(
        "/api/v1/api-keys/{key_id}", access="core:key:delete", dialect=OCTOPROX, max_body=MAX_BODY, status=204
    )
    async def revoke_key(key_id: str) -> Response:
        """Revoke an API key: it holds no more, at once."""
        actor = current_actor()
        number = path_id(key_id, "key_id")
        key = await accounts.get_key(number) if number is not None else None
        # Whose key it is, is nobody else's business, nor whether there is one.
        if key is None or not access.can(actor, "core:key:delete", owner_id=key.user_id):
            raise NotFound("API key not found")
        await accounts.revoke_key(key.id, by=actor)
        return Response(b"", 204)

    return list(found)


def _user_id(actor: Actor) -> int:
    if actor.user is None:
        raise Unauthorized
    return actor.user.id
