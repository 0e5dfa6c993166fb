"""What a client says of itself, when it registers or in its document. Sources: RFC 7591, 2; OpenID's and IETF's drafts
on Client ID Metadata Documents."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from moorage.accounts.grants import GrantRefused
from moorage.accounts.names import MAX_NAME, check_name, mixed
from moorage.config.redirects import MAX_URI, redirect_problem
from moorage.errors import ValidationFailed

MAX_REDIRECTS = 10
CODE, REFRESH = "authorization_code", "refresh_token"
_WORD = re.compile(r"\w+")
AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    """The part that is kept. renewable: the client takes refresh tokens."""

    name: str
    uri: str | None
    redirect_uris: tuple[str, ...]
    auth_method: str
    renewable: bool


def read_metadata(data: Mapping[str, Any], schemes: Collection[str], *, auth_method: str) -> ClientMetadata:
    """Check it. auth_method: where none is named. GrantRefused (invalid_redirect_uri, invalid_client_metadata)."""
    uris = data.get("redirect_uris")
    if not isinstance(uris, list) or not 1 <= len(uris) <= MAX_REDIRECTS:
        raise GrantRefused("invalid_redirect_uri", f"redirect_uris is a list of 1 to {MAX_REDIRECTS} URIs")
    for uri in uris:
        if problem := redirect_problem(uri, schemes):
            raise GrantRefused("invalid_redirect_uri", problem)
    grants = _texts(data, "grant_types", (CODE, REFRESH))
    if CODE not in grants:
        raise GrantRefused("invalid_client_metadata", f"grant_types must have {CODE}")
    if "code" not in _texts(data, "response_types", ("code",)):
        raise GrantRefused("invalid_client_metadata", "response_types must have code")
    method = data.get("token_endpoint_auth_method", auth_method)
    if method is None:
        method = auth_method
    if method not in AUTH_METHODS:
        raise GrantRefused("invalid_client_metadata", f"token_endpoint_auth_method is one of {', '.join(AUTH_METHODS)}")
    unique = tuple(dict.fromkeys(uris))
    return ClientMetadata(_name(data, unique[0]), _page(data), unique, method, REFRESH in grants)


def _texts(data: Mapping[str, Any], field: str, default: tuple[str, ...]) -> tuple[str, ...]:
    value = data.get(field)
    if value is None:
        return default
    if not isinstance(value, list) or len(value) > 32 or not all(isinstance(one, str) for one in value):
        raise GrantRefused("invalid_client_metadata", f"{field} is a list of texts")
    return tuple(value)


def _name(data: Mapping[str, Any], redirect_uri: str) -> str:
    """What it calls itself, or else where it is answered."""
    name = data.get("client_name")
    if name is None or name == "":
        parts = urlsplit(redirect_uri)
        return (parts.hostname or parts.scheme)[:MAX_NAME]
    if not isinstance(name, str):
        raise GrantRefused("invalid_client_metadata", "client_name is a text")
    try:
        checked = check_name(name)
    except ValidationFailed as error:
        raise GrantRefused("invalid_client_metadata", f"client_{error.message}") from error
    # Word by word: a name may well be in two languages.
    if any(mixed(word) for word in _WORD.findall(checked)):
        raise GrantRefused("invalid_client_metadata", "client_name may not mix alphabets whose letters look alike")
    return checked


def _page(data: Mapping[str, Any]) -> str | None:
    uri = data.get("client_uri")
    if uri is None or uri == "":
        return None
    good = isinstance(uri, str) and uri.startswith(("https://", "http://")) and len(uri) <= MAX_URI
    if not good or redirect_problem(uri.replace("http://", "https://", 1), ()) is not None:
        raise GrantRefused("invalid_client_metadata", "client_uri is the address of a web page")
    return str(uri)
