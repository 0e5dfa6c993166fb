"""Token introspection. Source: `api/octoprox.md`, Authentication; RFC 7662."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, NotRequired

from pydantic import BaseModel, Field
from quart import Response, request
from typing_extensions import TypedDict

from moorage.accounts.introspection import Inspected
from moorage.accounts.secrets import digest_bytes
from moorage.dialects import OCTOPROX
from moorage.errors import Forbidden, Unauthorized
from moorage.routes import PUBLIC, LimitClass, Route, Routes
from moorage.surfaces.common import from_this_machine
from moorage.web import json_response, read_json

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024
HEADER = "X-Introspect-Secret"


class IntrospectBody(BaseModel):
    """POST /api/v1/auth/introspect, as JSON or as a form. The hint is taken and not needed."""

    token: str = Field(strict=True)
    token_type_hint: str | None = Field(None, max_length=64)


class IntrospectAnswer(TypedDict):
    """Whom a token stands for. Of one that does not hold only `active` is there, and false.

    sub: the user's integer id, as text. role: "admin" or "user". token_type: "api_key"; "jwt"; "session", the token
    of a browser's session; "bearer", the access token of a device login. exp, iat: seconds since 1970; exp only for
    what ends by itself. scope: only where it narrows the user's rights (permissions of an API key, or what the device
    asked for), separated by blanks. client_id: of a device login, or of a program that was let in
    at a resource; aud: that resource's URL, where alone the token is good.
    """

    active: bool
    sub: NotRequired[str]
    username: NotRequired[str]
    role: NotRequired[str]
    token_type: NotRequired[str]
    exp: NotRequired[int]
    iat: NotRequired[int]
    scope: NotRequired[str]
    client_id: NotRequired[str]
    aud: NotRequired[str]


def routes(hub: Hub) -> list[Route]:
    """POST /api/v1/auth/introspect."""
    found = Routes()
    introspection = hub.accounts.introspection

    @found.post(
        "/api/v1/auth/introspect",
        access=PUBLIC,
        limit=LimitClass.AUTH,
        dialect=OCTOPROX,
        max_body=MAX_BODY,
        body=IntrospectBody,
        forms=True,
        answer=IntrospectAnswer,
    )
    async def introspect() -> Response:
        """Say whom a token stands for, to a server that was shown it."""
        await _check_caller(hub)
        body = await read_json(IntrospectBody, forms=True)
        return json_response(_shown(await introspection.inspect(body.token)))

    return list(found)


async def _check_caller(hub: Hub) -> None:
    secret = hub.accounts.settings.introspect_secret
    if secret is None:
        if not from_this_machine():
            raise Forbidden("Without an introspect secret only programs on this machine may ask")
        return
    # Digests, so that the comparison takes equal time for every length and takes any text.
    shown, wanted = (digest_bytes(text) for text in (request.headers.get(HEADER, ""), secret.get_secret_value()))
    if not hmac.compare_digest(shown, wanted):
        await hub.accounts.introspection.refused()
        raise Unauthorized("Invalid or missing introspect secret")


def _shown(found: Inspected | None) -> IntrospectAnswer:
    user = found.actor.user if found is not None else None
    credential = found.actor.credential if found is not None else None
    if found is None or user is None or credential is None:
        return {"active": False}
    answer: IntrospectAnswer = {
        "active": True,
        "sub": str(user.id),
        "username": user.username,
        "role": OCTOPROX.role(user.role),
        "token_type": credential.method.value,
        "iat": int(found.issued_at.timestamp()),
    }
    if credential.expires_at is not None:
        answer["exp"] = int(credential.expires_at.timestamp())
    if found.scope is not None:
        answer["scope"] = found.scope
    if found.client_id is not None:
        answer["client_id"] = found.client_id
    if found.resource is not None:
        answer["aud"] = found.resource
    return answer
