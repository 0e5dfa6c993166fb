"""A client of the Docker SDK. Imported where it is needed only: the SDK takes a quarter of a second."""

from __future__ import annotations

import socket
from typing import Any

import docker
from docker.transport import unixconn

FIRST_VERSION = "1.41"
"""Of the API: Docker 20.10's. It is what the engine is asked in for what it can."""


def connect(url: str, timeout: float) -> docker.APIClient:
    """A client that speaks the engine's version of the API. timeout: seconds of silence in a call."""
    asking = _client(url, timeout, FIRST_VERSION)
    try:
        version = str(asking.version(api_version=False)["ApiVersion"])
    finally:
        asking.close()
    return _client(url, timeout, version)


def _client(url: str, timeout: float, version: str) -> docker.APIClient:
    # Typed as whole seconds, and handed to `socket.settimeout`.
    seconds: Any = timeout
    client = docker.APIClient(base_url=url, version=version, timeout=seconds)
    if url.startswith("unix://"):
        client.mount("http+docker://", _Adapter(url.replace("unix://", "http+unix://", 1), seconds))
    return client


class _Connection(unixconn.UnixHTTPConnection):
    """The SDK's own leaves its socket to the garbage collector when there is no engine."""

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(self.timeout)
            made.connect(self.unix_socket)
        except BaseException:
            made.close()
            raise
        self.sock = made


class _Pool(unixconn.UnixHTTPConnectionPool):
    def _new_conn(self) -> Any:
        seconds: Any = self.timeout
        return _Connection(self.base_url, self.socket_path, seconds)


class _Adapter(unixconn.UnixHTTPAdapter):
    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        with self.pools.lock:
            pool = self.pools.get(url)
            if pool is None:
                pool = self.pools[url] = _Pool(url, self.socket_path, self.timeout, maxsize=1)
        return pool
