"""Requests and WebSockets handed through to what runs behind the server: workloads, and services of the operator's."""

from moorage.proxy.forward import Proxy
from moorage.proxy.targets import ProxyRequest, Redirect, Target, Upstream, Upstreams

__all__ = ["Proxy", "ProxyRequest", "Redirect", "Target", "Upstream", "Upstreams"]
