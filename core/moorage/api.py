"""What a plugin imports: the stable surface, and nothing else of the core.

Names are added with a version note and leave only with a new `API_VERSION`.
"""

from moorage.access import ANONYMOUS, Actor, Credential, Method, Permission, UserInfo
from moorage.context import RequestInfo, bind_request, current_actor, current_request
from moorage.dialects import CHAT, CHROTE, OCTO, OCTOPROX, ORBITAL, PROBLEM, Dialect
from moorage.errors import (
    BadRequest,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    MoorageError,
    NotFound,
    PayloadTooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    UpstreamError,
    ValidationFailed,
)
from moorage.events import EventBus, SocketRegistry, TaskSupervisor, Topic
from moorage.hooks import hookimpl, hookspec
from moorage.hub import HookFailed, Hub
from moorage.plugin import API_VERSION, Health, Manifest, Plugin, PluginConfig
from moorage.proxy.targets import ProxyRequest, Target, Upstream, Upstreams
from moorage.routes import AUTHENTICATED, PUBLIC, Access, HttpRoute, LimitClass, ProxyRoute, Route, Routes, SocketRoute
from moorage.runtimes import (
    Endpoint,
    Exec,
    Limits,
    Mount,
    Runtime,
    RuntimeView,
    Stats,
    TerminalSize,
    WorkloadSpec,
    WorkloadState,
    WorkloadStatus,
)
from moorage.server.frames import PreparedText
from moorage.server.socket import Socket, SocketClosed
from moorage.web import json_response, parse_json, read_json, read_query

__all__ = [
    "ANONYMOUS",
    "API_VERSION",
    "AUTHENTICATED",
    "CHAT",
    "CHROTE",
    "OCTO",
    "OCTOPROX",
    "ORBITAL",
    "PROBLEM",
    "PUBLIC",
    "Access",
    "Actor",
    "BadRequest",
    "Conflict",
    "Credential",
    "DeadlineExceeded",
    "Dialect",
    "Endpoint",
    "EventBus",
    "Exec",
    "Forbidden",
    "Health",
    "HookFailed",
    "HttpRoute",
    "Hub",
    "LimitClass",
    "Limits",
    "Manifest",
    "Method",
    "MoorageError",
    "Mount",
    "NotFound",
    "PayloadTooLarge",
    "Permission",
    "Plugin",
    "PluginConfig",
    "PreparedText",
    "ProxyRequest",
    "ProxyRoute",
    "RequestInfo",
    "Route",
    "Routes",
    "Runtime",
    "RuntimeView",
    "Socket",
    "SocketClosed",
    "SocketRegistry",
    "SocketRoute",
    "Stats",
    "Target",
    "TaskSupervisor",
    "TerminalSize",
    "TooManyRequests",
    "Topic",
    "Unauthorized",
    "Unavailable",
    "UnsupportedMediaType",
    "Upstream",
    "UpstreamError",
    "Upstreams",
    "UserInfo",
    "ValidationFailed",
    "WorkloadSpec",
    "WorkloadState",
    "WorkloadStatus",
    "bind_request",
    "current_actor",
    "current_request",
    "hookimpl",
    "hookspec",
    "json_response",
    "parse_json",
    "read_json",
    "read_query",
]
