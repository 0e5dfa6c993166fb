"""Device authorization and its tokens. Source: `api/orbital.md`, RFC 8628, 6749 and 7009, and the better-auth client.

Two paths each: the document's, and the one that better-auth's clients call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NotRequired
from urllib.parse import unquote_plus

from pydantic import BaseModel, Field
from quart import Response, request
from typing_extensions import TypedDict

from moorage.accounts.devices import DeviceInfo
from moorage.accounts.grants import Grant, GrantRefused
from moorage.context import current_actor, current_request
from moorage.dialects import OAUTH
from moorage.errors import Unauthorized, ValidationFailed
from moorage.routes import PUBLIC, Route, Routes
from moorage.surfaces.common import client_info
from moorage.web import json_response, read_json, read_query

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
REFRESH_GRANT = "refresh_token"
_READ: dict[str, Any] = {"dialect": OAUTH, "max_body": MAX_BODY}
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
APPROVE = "core:device:approve"

Visible = Annotated[str, Field(max_length=255, pattern=r"^[\x20-\x7e]+$")]
"""Printable ASCII, as client ids and tokens are. Source: RFC 6749, appendix A."""
Scope = Annotated[str, Field(max_length=1024, pattern=r"^[\x20\x21\x23-\x5b\x5d-\x7e]*$")]


class CodeBody(BaseModel):
    """POST /api/auth/device. client_id may come by HTTP Basic instead, with an empty password."""

    client_id: Visible | None = None
    scope: Scope | None = None


class TokenBody(BaseModel):
    """POST /api/auth/device/token. Which fields are needed depends on grant_type."""

    grant_type: Visible
    client_id: Visible | None = None
    client_secret: str | None = Field(None, max_length=1024)
    device_code: Visible | None = None
    refresh_token: Visible | None = None
    scope: Scope | None = None


class RevokeBody(BaseModel):
    """POST /api/auth/revoke. Source: RFC 7009, 2.1."""

    token: Annotated[str, Field(min_length=1, max_length=4096)]
    token_type_hint: str | None = Field(None, max_length=64)
    client_id: Visible | None = None


class UserCodeQuery(BaseModel):
    """GET /api/auth/device."""

    user_code: str = Field(min_length=1, max_length=32)


class UserCodeBody(BaseModel):
    """POST /api/auth/device/approve and /deny."""

    userCode: str = Field(min_length=1, max_length=32)


class CodeAnswer(TypedDict):
    """A fresh code, and where to type it in."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class TokenAnswer(TypedDict):
    """Tokens. Source: RFC 6749, 5.1."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    scope: str


class DeviceAnswer(TypedDict):
    """A code that waits. Who asks for what is told to the user who claimed it, and to nobody else."""

    user_code: str
    status: str
    client_id: NotRequired[str]
    scope: NotRequired[str]
    address: NotRequired[str]
    user_agent: NotRequired[str]
    created_at: NotRequired[str]
    expires_at: NotRequired[str]


class SuccessAnswer(TypedDict):
    """It is done."""

    success: bool


def routes(hub: Hub) -> list[Route]:
    """The device's side: codes, tokens, revocation. The user's side: look, approve, deny."""
    return [*_for_devices(hub), *_for_users(hub)]


def _for_devices(hub: Hub) -> Routes:
    found = Routes()
    devices, grants = hub.accounts.devices, hub.accounts.grants

    async def code() -> Response:
        """Begin the login of a program without a browser."""
        body = await read_json(CodeBody, forms=True)
        client_id = _client_id(body.client_id)
        try:
            start = await devices.begin(client_id, body.scope or "", client_info())
        except GrantRefused as refused:
            raise spelled(refused) from None
        place = f"{current_request().base_url}/device"
        answer: CodeAnswer = {
            "device_code": start.device_code,
            "user_code": start.user_code,
            "verification_uri": place,
            "verification_uri_complete": f"{place}?user_code={start.user_code}",
            "expires_in": start.expires_in,
            "interval": start.interval,
        }
        return json_response(answer, headers=NO_STORE)

    async def token() -> Response:
        """Exchange an approved device code or a refresh token for tokens."""
        body = await read_json(TokenBody, forms=True)
        client_id = _client_id(body.client_id, body.client_secret)
        try:
            if body.grant_type == DEVICE_GRANT:
                grant = await devices.poll(_needed("device_code", body.device_code), client_id, client_info())
            elif body.grant_type == REFRESH_GRANT:
                grant = await devices.refresh(_needed("refresh_token", body.refresh_token), client_id, body.scope)
            else:
                raise GrantRefused("unsupported_grant_type", "Only device codes and refresh tokens are taken here")
        except GrantRefused as refused:
            raise spelled(refused) from None
        return json_response(_told(grant), headers=NO_STORE)

    # Not limited as logins are: there is nothing to guess here, and a program polls on and on.
    for path in ("/api/auth/device", "/api/auth/device/code"):
        found.post(path, access=PUBLIC, forms=True, **_READ, body=CodeBody, answer=CodeAnswer)(code)
    for path in ("/api/auth/device/token", "/api/auth/token"):
        found.post(path, access=PUBLIC, forms=True, **_READ, body=TokenBody, answer=TokenAnswer)(token)

    @found.post("/api/auth/revoke", access=PUBLIC, forms=True, **_READ, body=RevokeBody)
    async def revoke() -> Response:
        """End the login that an access token or a refresh token of a device stands for."""
        body = await read_json(RevokeBody, forms=True)
        client_id = _client_id(body.client_id) if body.client_id or by_basic() else None
        await grants.revoke(body.token, client_id)
        return Response(b"", 200, headers=NO_STORE)

    return found


def _for_users(hub: Hub) -> Routes:
    found = Routes()
    devices = hub.accounts.devices

    @found.get("/api/auth/device", access=PUBLIC, dialect=OAUTH, query=UserCodeQuery, answer=DeviceAnswer)
    async def look() -> Response:
        """Show a code that waits; whoever is signed in and may decide about it claims it."""
        info = await devices.look(read_query(UserCodeQuery).user_code, current_actor(), current_request().address)
        return json_response(_shown(info), headers=NO_STORE)

    @found.post("/api/auth/device/approve", access=APPROVE, **_READ, body=UserCodeBody, answer=SuccessAnswer)
    async def approve() -> Response:
        """Let the program that waits in, as oneself."""
        return await decide(approve=True)

    @found.post("/api/auth/device/deny", access=APPROVE, **_READ, body=UserCodeBody, answer=SuccessAnswer)
    async def deny() -> Response:
        """Turn the program that waits away."""
        return await decide(approve=False)

    async def decide(*, approve: bool) -> Response:
        body = await read_json(UserCodeBody)
        actor, address = current_actor(), current_request().address
        await devices.decide(body.userCode, approve=approve, actor=actor, address=address)
        return json_response({"success": True}, headers=NO_STORE)

    return found


def _client_id(given: str | None, secret: str | None = None) -> str:
    """The client of a request: of its body, or by HTTP Basic. Clients are public, nobody has a secret."""
    basic = request.authorization
    if not by_basic():
        if secret:
            raise GrantRefused("invalid_client", "Clients have no secret here")
        return _needed("client_id", given)
    name = unquote_plus((basic.username if basic is not None else None) or "")
    printable = 1 <= len(name) <= 255 and name.isascii() and name.isprintable()
    if not printable or (basic is not None and basic.password) or given not in (None, name):
        raise spelled(GrantRefused("invalid_client", "The client is not known by this name and secret"))
    return name


def by_basic() -> bool:
    """Whether the client named itself by HTTP Basic."""
    return request.headers.get("Authorization", "").lower().startswith("basic")


def spelled(refused: GrantRefused) -> GrantRefused | Unauthorized:
    """A client that came by HTTP Basic is refused in that scheme. Source: RFC 6749, 5.2."""
    if refused.error_code != "invalid_client" or not by_basic():
        return refused
    challenge = {"WWW-Authenticate": 'Basic realm="moorage"'}
    return Unauthorized(refused.message, code="invalid_client", headers=challenge)


def _needed(field: str, value: str | None) -> str:
    if not value:
        raise ValidationFailed(f"{field} is required", problems=[{"field": field, "message": "is required"}])
    return value


def _told(grant: Grant) -> TokenAnswer:
    return {
        "access_token": grant.access_token,
        "token_type": "Bearer",
        "expires_in": grant.expires_in,
        "refresh_token": grant.refresh_token or "",
        "scope": grant.scope,
    }


def _shown(info: DeviceInfo) -> DeviceAnswer:
    answer: DeviceAnswer = {"user_code": info.user_code, "status": info.status}
    if not info.mine:
        return answer
    return {
        **answer,
        "client_id": info.client_id,
        "scope": info.scope,
        "address": info.address,
        "user_agent": info.user_agent,
        "created_at": OAUTH.timestamp(info.created_at),
        "expires_at": OAUTH.timestamp(info.expires_at),
    }
