"""The request in hand: set by the gate, read by views, services and logs."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field

from moorage.access.actor import ANONYMOUS, Actor


@dataclass(slots=True)
class RequestInfo:
    """Facts about one request or socket that the gate found out once.

    address: the client's, after trusted proxies. base_url: scheme and authority as the client sees them
        (`public_url` where configured), no trailing slash. prefix: the mount's path ("" or "/tmux").
    template: the matched route's template, for logs and metrics. plugin: the route's owner.
    """

    id: str
    address: str
    scheme: str = "http"
    host: str = ""
    base_url: str = ""
    user_agent: str = ""
    method: str = ""
    path: str = ""
    prefix: str = ""
    template: str = ""
    plugin: str = "core"
    actor: Actor = field(default=ANONYMOUS)
    max_json_depth: int = 64


_current: ContextVar[RequestInfo] = ContextVar("moorage_request")


def current_request() -> RequestInfo:
    """The request in hand. LookupError outside of one."""
    return _current.get()


def optional_request() -> RequestInfo | None:
    """The request in hand, or None outside of one."""
    return _current.get(None)


def current_actor() -> Actor:
    """Who is asking; ANONYMOUS outside of a request."""
    info = _current.get(None)
    return info.actor if info is not None else ANONYMOUS


def bind_request(info: RequestInfo) -> None:
    """Make `info` the request of this task. For the gate and tests."""
    _current.set(info)
