"""OAuth protected resources: which URLs are one, whose tokens they take, and how they ask for them.

Sources: RFC 9728 (metadata), RFC 6750 (challenges), RFC 8707 (tokens for one resource).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

from moorage.access import Actor, Credential
from moorage.accounts.authorization import RESOURCE_METADATA, Resource
from moorage.context import RequestInfo
from moorage.errors import Forbidden, MoorageError, Unauthorized
from moorage.routes import ALL_METHODS
from moorage.server.router import Entry
from moorage.server.sites import MatchFailed, Sites

_DEFAULT_PORTS = {"http": 80, "https": 443}


def takes(entry: Entry | None, params: Mapping[str, str], info: RequestInfo, credential: Credential | None) -> bool:
    """Whether a credential counts at a route: one that is bound to a resource, at that URL alone."""
    if credential is None or credential.resource is None:
        return True
    return entry is not None and entry.resource is not None and identifier(entry, params, info) == credential.resource


def identifier(entry: Entry, params: Mapping[str, str], info: RequestInfo) -> str:
    """The URL of a resource in its one spelling, however the request wrote it."""
    segments = [_filled(segment, params) for segment in entry.template.split("/")]
    return f"{_origin(base_of(entry, info))}{'/'.join(segments)}"


def base_of(entry: Entry, info: RequestInfo) -> str:
    """Where clients see the route: the public address, but of a mount with a host or port of its own, that."""
    return f"{info.scheme}://{info.host}" if entry.named else info.base_url


def at(sites: Sites, port: int | None, host: str, path: str) -> tuple[Entry, dict[str, str]] | None:
    """The resource under a path that is still percent-encoded, or None; nobody asks whether its object exists."""
    for method in ALL_METHODS:
        try:
            entry, params = sites.match(port, host, method, path)
        except MatchFailed:
            continue
        if entry.resource is not None:
            return entry, params
    return None


def find(sites: Sites, port: int | None, info: RequestInfo, uri: str) -> Resource | None:
    """Which of our resources a client means that came to us by `info`; None if it is none of ours.

    Only names under which we are known for certain: the one that was asked, and hosts and ports of mounts. Another
    name would be a resource of somebody else's, who could then show us the token.
    """
    try:
        parts = urlsplit(uri)
        own = urlsplit(info.base_url)
        origin = _origin(uri)
        names = parts.hostname, own.hostname
        target_port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or "@" in parts.netloc or "?" in uri or "#" in uri or not uri.isascii():
        return None
    here = origin == _origin(info.base_url)
    found = at(sites, port, info.host, parts.path or "/") if here else None
    if found is None or found[0].named:
        port, host = target_port or _DEFAULT_PORTS[parts.scheme], parts.netloc
        known = names[0] == names[1] or sites.knows(parts.hostname or "")
        found = at(sites, port, host, parts.path or "/") if known else None
        if found is None or not found[0].named:
            return None
    entry, params = found
    place = replace(info, scheme=parts.scheme, host=parts.netloc)
    return Resource(identifier(entry, params, place), entry.resource or (), entry.owner)


def challenge(
    error: MoorageError, entry: Entry | None, info: RequestInfo, *, shown: bool, holds: Callable[[Actor, str], bool]
) -> None:
    """Tell a program at a resource where it is let in, or what its token lacks. shown: it came with a token."""
    if entry is None or entry.resource is None:
        return
    if isinstance(error, Unauthorized):
        parts = {"error": "invalid_token"} if shown else {}
        _ask(error, entry, info, parts, entry.resource)
    elif isinstance(error, Forbidden):
        required, credential = error.details.get("required"), info.actor.credential
        if credential is None or credential.resource is None or required not in entry.resource:
            return
        # Only where a new consent would help: not for what the user may not do.
        if holds(Actor(info.actor.user, replace(credential, scopes=None)), str(required)):
            wanted = [name for name in entry.resource if name == required or name in (credential.scopes or ())]
            _ask(error, entry, info, {"error": "insufficient_scope"}, wanted)


def _ask(
    error: MoorageError, entry: Entry, info: RequestInfo, parts: Mapping[str, str], scopes: list[str] | tuple[str, ...]
) -> None:
    path = info.path.replace('"', "%22").replace("\\", "%5C")
    where = f"{base_of(entry, info)}{RESOURCE_METADATA}{'' if path == '/' else path}"
    said = {**parts, "scope": " ".join(scopes), "resource_metadata": where}
    error.headers["WWW-Authenticate"] = "Bearer " + ", ".join(f'{key}="{value}"' for key, value in said.items())


def _filled(segment: str, params: Mapping[str, str]) -> str:
    if not segment.startswith("{"):
        return segment
    name, rest, _ = segment[1:-1].partition(":path")
    return quote(params[name], safe="/" if rest else "")


def _origin(url: str) -> str:
    """Scheme and authority in lower case, without the port that the scheme has anyway. ValueError."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
