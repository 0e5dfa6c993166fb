"""The endpoints of the authorization server, and what the console's consent page asks.

Sources: OAuth 2.1; RFC 7591 (registration), RFC 7009 (revocation), RFC 9728 (metadata of resources).
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any, NotRequired
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field
from quart import Response, request
from typing_extensions import TypedDict

from moorage.accounts.authorization import (
    RESOURCE_METADATA,
    AnswerRefused,
    Asked,
    Client,
    Kind,
    PageRefused,
    Registered,
    Resource,
)
from moorage.accounts.authorization.metadata import CODE, REFRESH
from moorage.accounts.authorization.service import APPROVE
from moorage.accounts.grants import Grant, GrantRefused
from moorage.config.redirects import is_loopback
from moorage.context import current_actor, current_request
from moorage.dialects import OAUTH
from moorage.errors import NotFound, Unreadable
from moorage.routes import PUBLIC, LimitClass, Route, Routes
from moorage.surfaces.common import client_info
from moorage.surfaces.orbital.device import DEVICE_GRANT, NO_STORE, RevokeBody, Scope, Visible, by_basic, spelled
from moorage.web import json_response, parse_json, read_json

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 32 * 1024
CONSENT_PAGE = "/console/authorize"
_READ: dict[str, Any] = {"dialect": OAUTH, "max_body": MAX_BODY}
_NO_REFERRER = {**NO_STORE, "Referrer-Policy": "no-referrer"}
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Moorage</title></head><body>
<h1>This program cannot be let in</h1><p>{reason}.</p><p>Nothing was given to it. Its maker can tell what to do: show
them this page. <a href="/">Go to Moorage</a></p></body></html>
"""

Find = Callable[[str], Resource | None]
"""(a URL) -> the resource at it, as the request in hand may name it."""
Protected = Callable[[str], Resource | None]
"""(a path, percent-encoded, of the site that was asked) -> the resource there, with its URL as it was asked for."""


class TokenBody(BaseModel):
    """POST /oauth/token. Which fields are needed depends on grant_type. The client may come by HTTP Basic instead."""

    grant_type: Visible
    client_id: Visible | None = None
    client_secret: str | None = Field(None, max_length=1024)
    code: Visible | None = None
    redirect_uri: str | None = Field(None, max_length=2048)
    code_verifier: str | None = Field(None, max_length=256)
    resource: str | None = Field(None, max_length=2048)
    device_code: Visible | None = None
    refresh_token: Visible | None = None
    scope: Scope | None = None


class RevokeTokenBody(RevokeBody):
    """POST /oauth/revoke."""

    client_secret: str | None = Field(None, max_length=1024)


class TokenAnswer(TypedDict):
    """Tokens. Source: OAuth 2.1, 3.2.3."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: NotRequired[str]
    scope: str


class RegisterBody(BaseModel):
    """POST /oauth/register. Other fields of RFC 7591 are taken and left out."""

    model_config = ConfigDict(extra="allow")

    redirect_uris: list[str] = Field(min_length=1, max_length=10)
    client_name: str | None = None
    client_uri: str | None = None
    grant_types: list[str] | None = None
    response_types: list[str] | None = None
    token_endpoint_auth_method: str | None = None


class RegisterAnswer(TypedDict):
    """A registered client. Source: RFC 7591, 3.2.1. client_secret_expires_at: 0, never."""

    client_id: str
    client_id_issued_at: int
    client_secret: NotRequired[str]
    client_secret_expires_at: NotRequired[int]
    client_name: str
    client_uri: NotRequired[str]
    redirect_uris: list[str]
    grant_types: list[str]
    response_types: list[str]
    token_endpoint_auth_method: str


class ResourceAnswer(TypedDict):
    """Where tokens for a resource are given out. Source: RFC 9728, 2."""

    resource: str
    authorization_servers: list[str]
    scopes_supported: list[str]
    bearer_methods_supported: list[str]


class ConsentScope(TypedDict):
    """A right that is asked for. held: the user has it, so that it would be granted."""

    name: str
    summary: str
    held: bool


class ConsentAnswer(TypedDict):
    """What the consent page shows; or where the browser is to go with a refusal (redirect_to), and why (problem).

    kind: "configured" by the operator, "registered" by itself, or known by a "document". host: of the document.
    answers_to: the host that is told the answer, or the scheme of a program. loopback: a program on the person's
    computer is told.
    """

    redirect_to: NotRequired[str]
    problem: NotRequired[str]
    client_id: NotRequired[str]
    client_name: NotRequired[str]
    client_uri: NotRequired[str | None]
    kind: NotRequired[str]
    host: NotRequired[str | None]
    answers_to: NotRequired[str]
    loopback: NotRequired[bool]
    resource: NotRequired[str]
    plugin: NotRequired[str]
    scopes: NotRequired[list[ConsentScope]]


class DecideBody(BaseModel):
    """POST /api/core/authorize. query: of the address that the person was sent to, as it was."""

    query: str = Field(max_length=16_384)
    approve: bool = Field(strict=True)


class DecideAnswer(TypedDict):
    """Where the browser is to go now."""

    redirect_to: str


def routes(hub: Hub, find: Find, protected: Protected) -> list[Route]:
    """Endpoints for programs, the two of the consent page, and the metadata of resources. At the root of each site."""
    parts = (
        _for_browsers(hub, find),
        _tokens(hub, find),
        _clients(hub),
        _for_consent(hub, find),
        _metadata(hub, protected),
    )
    return [route for part in parts for route in part]


def _for_browsers(hub: Hub, find: Find) -> Routes:
    found = Routes()
    authorization = hub.accounts.authorization

    @found.get("/oauth/authorize", access=PUBLIC, dialect=OAUTH, status=303, answers={400: str})
    async def authorize() -> Response:
        """Take in a browser that a program sent, to ask its person.

        Refusals go back to the program: at once where the operator vouches for its address, else from the page.

        A page tells the person instead when it is not certain who asks, or where to answer.
        """
        pairs = list(request.args.items(multi=True))
        ask = f"{CONSENT_PAGE}?{urlencode(pairs)}"
        # Other servers are asked only for people who are signed in: after the login the page comes to the same.
        far = authorization.enabled and authorization.clients.is_far(request.args.get("client_id", ""))
        if far and not current_actor().authenticated:
            return _to(ask)
        try:
            await authorization.check(pairs, find, current_request().base_url)
        except PageRefused as refused:
            page = _PAGE.format(reason=escape(refused.message))
            return Response(page, 400, headers=_NO_REFERRER, content_type="text/html; charset=utf-8")
        except AnswerRefused as refused:
            return _to(refused.url if refused.at_once else ask)
        return _to(ask)

    return found


def _for_consent(hub: Hub, find: Find) -> Routes:
    found = Routes()
    authorization = hub.accounts.authorization

    @found.get("/api/core/authorize", access=APPROVE, dialect=OAUTH, answer=ConsentAnswer)
    async def look() -> Response:
        """Say who asks for what, from the query of the authorization endpoint."""
        try:
            asked = await authorization.check(list(request.args.items(multi=True)), find, current_request().base_url)
        except AnswerRefused as refused:
            answer = {"redirect_to": refused.url, "problem": refused.message, "answers_to": _place(refused.url)}
            return json_response(answer, headers=NO_STORE)
        held = authorization.may_decide(current_actor(), asked)
        known = {permission.name: permission.summary for permission in hub.access.permissions()}
        return json_response(_shown(asked, held, known), headers=NO_STORE)

    @found.post("/api/core/authorize", access=APPROVE, **_READ, body=DecideBody, answer=DecideAnswer)
    async def decide() -> Response:
        """Let the program in as oneself, or turn it away."""
        body = await read_json(DecideBody)
        try:
            pairs = parse_qsl(body.query.removeprefix("?"), keep_blank_values=True, max_num_fields=64)
        except ValueError:
            raise Unreadable("The query has too many fields") from None
        actor = current_actor()
        try:
            asked = await authorization.check(pairs, find, current_request().base_url)
            url = await (authorization.approve if body.approve else authorization.deny)(asked, actor)
        except AnswerRefused as refused:
            url = refused.url
        return json_response({"redirect_to": url}, headers=NO_STORE)

    return found


def _tokens(hub: Hub, find: Find) -> Routes:
    found = Routes()
    authorization, devices = hub.accounts.authorization, hub.accounts.devices

    @found.post("/oauth/token", access=PUBLIC, forms=True, **_READ, body=TokenBody, answer=TokenAnswer)
    async def token() -> Response:
        """Exchange an authorization code, a refresh token or an approved device code for tokens."""
        body = await read_json(TokenBody, forms=True)
        try:
            return json_response(_told(await given(body)), headers=NO_STORE)
        except GrantRefused as refused:
            raise spelled(refused) from None

    async def given(body: TokenBody) -> Grant:
        client_id, secret = _credentials(body.client_id, body.client_secret)
        client = await authorization.prove(client_id, secret)
        if body.grant_type == CODE:
            if client is None:
                raise GrantRefused("invalid_client", "Unknown client")
            code, redirect_uri = _needed("code", body.code), _needed("redirect_uri", body.redirect_uri)
            verifier = _needed("code_verifier", body.code_verifier)
            resource = _resource(find, body.resource)
            return await authorization.redeem(code, client, redirect_uri, verifier, resource, client_info())
        if body.grant_type == REFRESH:
            shown, resource = _needed("refresh_token", body.refresh_token), _resource(find, body.resource)
            return await authorization.refresh(shown, client, client_id, body.scope, resource)
        if body.grant_type == DEVICE_GRANT:
            return await devices.poll(_needed("device_code", body.device_code), client_id, client_info())
        raise GrantRefused("unsupported_grant_type", "Codes, refresh tokens and device codes are taken here")

    return found


def _resource(find: Find, uri: str | None) -> str | None:
    if uri is None:
        return None
    known = find(uri)
    if known is None:
        raise GrantRefused("invalid_target", "resource is no protected resource of this server")
    return known.uri


def _clients(hub: Hub) -> Routes:
    found = Routes()
    authorization = hub.accounts.authorization

    @found.post("/oauth/revoke", access=PUBLIC, forms=True, **_READ, body=RevokeTokenBody)
    async def revoke() -> Response:
        """End the login that an access token or a refresh token of a program stands for."""
        body = await read_json(RevokeTokenBody, forms=True)
        try:
            client_id = None
            if body.client_id or by_basic():
                client_id, secret = _credentials(body.client_id, body.client_secret)
                await authorization.prove(client_id, secret)
            await hub.accounts.grants.revoke(body.token, client_id)
        except GrantRefused as refused:
            raise spelled(refused) from None
        return Response(b"", 200, headers=NO_STORE)

    @found.post(
        "/oauth/register",
        access=PUBLIC,
        limit=LimitClass.AUTH,
        **_READ,
        body=RegisterBody,
        answer=RegisterAnswer,
        status=201,
    )
    async def register() -> Response:
        """Register a program. Nothing is given to it before a person has allowed it."""
        data = parse_json(await request.get_data(as_text=False))
        if not isinstance(data, dict):
            raise GrantRefused("invalid_client_metadata", "Expected a JSON object")
        done = await authorization.register(data, client_info())
        return json_response(_registered(done), 201, headers=NO_STORE)

    return found


def _metadata(hub: Hub, protected: Protected) -> Routes:
    found = Routes()

    async def resource(path: str = "") -> Response:
        """Say where tokens for a resource are given out, whether or not there is such an object."""
        where = current_request().path.removeprefix(RESOURCE_METADATA)
        known = protected(where) if hub.accounts.authorization.enabled else None
        if known is None:
            raise NotFound("No OAuth resource is at this path")
        answer: ResourceAnswer = {
            "resource": known.uri,
            "authorization_servers": [current_request().base_url],
            "scopes_supported": list(known.scopes),
            "bearer_methods_supported": ["header"],
        }
        return json_response(answer)

    for path in (RESOURCE_METADATA, RESOURCE_METADATA + "/{path:path}"):
        found.get(path, access=PUBLIC, dialect=OAUTH, answer=ResourceAnswer)(resource)
    return found


def _to(url: str) -> Response:
    return Response(b"", 303, headers={**_NO_REFERRER, "Location": url})


def _credentials(given: str | None, secret: str | None) -> tuple[str, str | None]:
    """The client's id and secret, of the body or by HTTP Basic. Source: RFC 6749, 2.3.1."""
    if not by_basic():
        return _needed("client_id", given), secret
    basic = request.authorization
    name = unquote_plus((basic.username if basic is not None else None) or "")
    shown = unquote_plus((basic.password if basic is not None else None) or "")
    if secret is not None:
        raise GrantRefused("invalid_request", "The client's secret came in two ways")
    if not 1 <= len(name) <= 255 or not (name.isascii() and name.isprintable()) or given not in (None, name):
        raise GrantRefused("invalid_client", "The client is not known by this name and secret")
    return name, shown or None


def _needed(field: str, value: str | None) -> str:
    if not value:
        raise GrantRefused("invalid_request", f"{field} is required")
    return value


def _told(grant: Grant) -> TokenAnswer:
    answer: TokenAnswer = {
        "access_token": grant.access_token,
        "token_type": "Bearer",
        "expires_in": grant.expires_in,
        "scope": grant.scope,
    }
    if grant.refresh_token is not None:
        answer["refresh_token"] = grant.refresh_token
    return answer


def _registered(done: Registered) -> RegisterAnswer:
    client = done.client
    answer: RegisterAnswer = {
        "client_id": client.id,
        "client_id_issued_at": int(done.created_at.timestamp()),
        "client_name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "grant_types": [CODE, REFRESH] if client.renewable else [CODE],
        "response_types": ["code"],
        "token_endpoint_auth_method": done.auth_method,
    }
    if client.uri is not None:
        answer["client_uri"] = client.uri
    if done.secret is not None:
        answer["client_secret"], answer["client_secret_expires_at"] = done.secret, 0
    return answer


def _shown(asked: Asked, held: tuple[str, ...], summaries: dict[str, str]) -> ConsentAnswer:
    return {
        "client_id": asked.client.id,
        "client_name": asked.client.name,
        "client_uri": asked.client.uri,
        "kind": asked.client.kind.value,
        "host": _host(asked.client),
        "answers_to": _place(asked.redirect_uri),
        "loopback": is_loopback(asked.redirect_uri),
        "resource": asked.resource.uri,
        "plugin": asked.resource.plugin,
        "scopes": [
            {"name": scope, "summary": summaries.get(scope, scope), "held": scope in held} for scope in asked.scope
        ],
    }


def _place(url: str) -> str:
    """The host that is told an answer, or the scheme of a program."""
    parts = urlsplit(url)
    return parts.netloc if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def _host(client: Client) -> str | None:
    return urlsplit(client.id).netloc if client.kind is Kind.DOCUMENT else None
