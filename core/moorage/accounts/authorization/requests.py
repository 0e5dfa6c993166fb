"""What a client asks for at the authorization endpoint, checked. Sources: OAuth 2.1, 4.1; RFC 7636, 8707, 9207."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

from moorage.accounts.authorization.clients import Client, Clients, Kind
from moorage.accounts.grants import GrantRefused
from moorage.accounts.scopes import MAX_WORDS, words
from moorage.config.redirects import is_loopback, redirect_matches
from moorage.errors import BadRequest

MAX_RESOURCE, MAX_STATE, MAX_SCOPE = 2048, 2048, 1024
OFFLINE = "offline_access"
RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
"""Before the path of a resource: where its metadata is (RFC 9728, 3.1)."""
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_SCOPE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Resource:
    """One URL of ours that takes tokens: in its one spelling, what they may do there, and whose it is."""

    uri: str
    scopes: tuple[str, ...]
    plugin: str


Find = Callable[[str], Resource | None]
"""(a client's `resource`) -> which of ours that is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A good request. scope: permissions of the resource; offline: `offline_access` was asked for as well."""

    client: Client
    redirect_uri: str
    state: str | None
    challenge: str
    resource: Resource
    scope: tuple[str, ...]
    offline: bool
    issuer: str

    def answer(self, **parameters: str) -> str:
        """Where the browser goes with an answer."""
        return answer_url(self.redirect_uri, self.state, self.issuer, parameters)

    def refuse(self, code: str, description: str) -> AnswerRefused:
        """A refusal that the client is told."""
        url = self.answer(error=code, error_description=description)
        return AnswerRefused(code, description, url, at_once=goes_at_once(self.client, self.redirect_uri))


class PageRefused(BadRequest):
    """A refusal that only the person is told: who asks, or where to answer, is not certain."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code=code)


class AnswerRefused(BadRequest):
    """A refusal that the client is told: the browser goes to `url` with it.

    at_once: without asking the person. Elsewhere a link to us could lead anybody anywhere, as anybody can register a
    program with an address of theirs (RFC 9700, 4.11.2).
    """

    def __init__(self, code: str, message: str, url: str, *, at_once: bool) -> None:
        self.url, self.at_once = url, at_once
        super().__init__(message, code=code)


def goes_at_once(client: Client, redirect_uri: str) -> bool:
    """Whether the operator vouches for where the browser goes, or it stays on the person's computer."""
    return client.kind is Kind.CONFIGURED or is_loopback(redirect_uri)


def answer_url(redirect_uri: str, state: str | None, issuer: str, parameters: dict[str, str]) -> str:
    """The redirect URI with an answer in its query, which may have had something in it."""
    parts = urlsplit(redirect_uri)
    said = parameters | ({} if state is None else {"state": state}) | {"iss": issuer}
    query = "&".join(part for part in (parts.query, urlencode(said)) if part)
    # By hand: urlunsplit would drop the slashes of an empty authority.
    if redirect_uri.startswith(f"{parts.scheme}:///"):
        return f"{parts.scheme}://{parts.path}?{query}"
    return urlunsplit(parts._replace(query=query))


async def check(pairs: Sequence[tuple[str, str]], clients: Clients, find: Find, issuer: str) -> Asked:
    """A request from the parameters of its query. PageRefused, AnswerRefused."""
    given: dict[str, str] = {}
    twice: set[str] = set()
    for key, value in pairs:
        if key in given:
            twice.add(key)
        given[key] = value
    client, redirect_uri = await _who(given, twice, clients)
    state = given.get("state")
    readable = state is None or (len(state) <= MAX_STATE and _PRINTABLE.fullmatch(state) is not None)

    def refuse(code: str, description: str) -> AnswerRefused:
        told = {"error": code, "error_description": description}
        known_state = state if readable and "state" not in twice else None
        url = answer_url(redirect_uri, known_state, issuer, told)
        return AnswerRefused(code, description, url, at_once=goes_at_once(client, redirect_uri))

    try:
        if "resource" in twice:
            raise GrantRefused("invalid_target", "One resource at a time")
        if twice:
            raise GrantRefused("invalid_request", "A parameter was given twice")
        if not readable:
            raise GrantRefused("invalid_request", f"state has at most {MAX_STATE} printable characters")
        _check_form(given)
        resource = _resource(given, find)
        scope, offline = _scope(given.get("scope"), resource)
    except GrantRefused as refused:
        raise refuse(refused.error_code, refused.message) from refused
    return Asked(client, redirect_uri, state, given["code_challenge"], resource, scope, offline, issuer)


async def _who(given: dict[str, str], twice: set[str], clients: Clients) -> tuple[Client, str]:
    """Who asks, and where to answer. Until both are certain no browser is sent anywhere."""
    if {"client_id", "redirect_uri"} & twice:
        raise PageRefused("invalid_request", "client_id and redirect_uri can be given once")
    if not given.get("client_id"):
        raise PageRefused("invalid_request", "client_id is missing")
    try:
        client = await clients.find(given["client_id"])
    except GrantRefused as refused:
        raise PageRefused(refused.error_code, refused.message) from refused
    redirect_uri = given.get("redirect_uri")
    if not redirect_uri:
        raise PageRefused("invalid_request", "redirect_uri is missing")
    if not any(redirect_matches(redirect_uri, known) for known in client.redirect_uris):
        raise PageRefused("invalid_redirect_uri", "redirect_uri is none of those that the client has registered")
    return client, redirect_uri


def _check_form(given: dict[str, str]) -> None:
    if "request" in given:
        raise GrantRefused("request_not_supported", "request objects are not taken")
    if "request_uri" in given:
        raise GrantRefused("request_uri_not_supported", "request objects are not taken")
    if not given.get("response_type"):
        raise GrantRefused("invalid_request", "response_type is missing")
    if given["response_type"] != "code":
        raise GrantRefused("unsupported_response_type", "response_type must be code")
    if given.get("response_mode", "query") != "query":
        raise GrantRefused("invalid_request", "response_mode must be query")
    if given.get("code_challenge_method") != "S256":
        raise GrantRefused("invalid_request", "PKCE is required: code_challenge_method must be S256")
    if not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        raise GrantRefused("invalid_request", "PKCE is required: code_challenge has 43 characters")
    if "none" in given.get("prompt", "").split():
        raise GrantRefused("interaction_required", "Nothing is given without asking the person")


def _resource(given: dict[str, str], find: Find) -> Resource:
    uri = given.get("resource")
    if not uri:
        raise GrantRefused("invalid_target", "resource is missing: the URL at which the token is to be used")
    found = find(uri) if len(uri) <= MAX_RESOURCE else None
    if found is None or len(found.uri) > MAX_RESOURCE:
        raise GrantRefused("invalid_target", "resource is no protected resource of this server")
    return found


def _scope(asked: str | None, resource: Resource) -> tuple[tuple[str, ...], bool]:
    """What is asked for of what there is; all of it where nothing is named. What belongs elsewhere is left out."""
    if asked is not None and (len(asked) > MAX_SCOPE or not _SCOPE.fullmatch(asked)):
        raise GrantRefused("invalid_scope", f"scope has at most {MAX_SCOPE} printable characters")
    named = words(asked or "")
    if len(named) > MAX_WORDS:
        raise GrantRefused("invalid_scope", f"At most {MAX_WORDS} scopes can be asked for")
    offline = OFFLINE in named
    if not [word for word in named if word != OFFLINE]:
        return resource.scopes, offline
    found = tuple(scope for scope in resource.scopes if scope in named)
    if not found:
        raise GrantRefused("invalid_scope", f"The scopes of this resource are: {' '.join(resource.scopes)}")
    return found, offline
