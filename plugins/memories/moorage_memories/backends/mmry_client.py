"""Requests to a mmry service: the token, time-outs, how many at once, and what its errors mean here.

Source: mmry's HTTP service; errors are `{"error": {"message"}}`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from moorage.api import (
    BadRequest,
    Conflict,
    DeadlineExceeded,
    HttpClient,
    MoorageError,
    NotFound,
    PayloadTooLarge,
    SecretSource,
    Unavailable,
    UpstreamError,
    parse_json,
)

from moorage_memories.config import MmryConfig

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer."""
WAITING = 32
"""Requests that may wait for each that may be under way."""
MAX_SAID = 200
"""Characters of the service's own words that are handed on."""
LONG = 256 * 1024


class Client:
    """Asks the service. One object; used from the event loop. `trouble`: what is wrong with it, "" while it answers."""

    def __init__(self, config: MmryConfig) -> None:
        parts = urlsplit(config.url)
        self._host, self._tls = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = quote(parts.path.rstrip("/"), safe="/%-._~")
        self._config, self._http = config, HttpClient()
        self._free = asyncio.Semaphore(config.max_parallel)
        self._here = 0
        self.trouble = ""

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int | None] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a request; the object that it is answered with. path: "/v1/…", percent-encoded. None in query: left out.

        BadRequest, NotFound, Conflict, PayloadTooLarge as the service says; Unavailable when it is away or too busy,
        DeadlineExceeded when it takes too long, UpstreamError for all else.
        """
        if self._here >= (1 + WAITING) * self._config.max_parallel:
            raise Unavailable("Too many requests to the mmry service at once", headers={"Retry-After": "1"})
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = self._prefix + path + ("?" + urlencode(given) if given else "")
        self._here += 1
        try:
            async with asyncio.timeout(self._config.timeout), self._free:
                status, data = await self._send(method, target, body)
        except TimeoutError:
            self.trouble = f"the mmry service did not answer within {self._config.timeout:g} s"
            raise DeadlineExceeded("The mmry service took too long to answer") from None
        except (Unavailable, UpstreamError) as error:
            self.trouble = f"the mmry service: {error.message}"
            raise
        finally:
            self._here -= 1
        if not 200 <= status < 300:
            self._refuse(status, data)
        answer = await _object(data)
        self.trouble = ""
        return answer

    async def _send(self, method: str, target: str, body: Mapping[str, Any] | None) -> tuple[int, bytes]:
        headers = [("accept", "application/json"), ("accept-encoding", "identity")]
        if self._config.token is not None:
            headers.append(("authorization", f"Bearer {await _token(self._config.token)}"))
        data = b""
        if body is not None:
            headers.append(("content-type", "application/json"))
            data = json.dumps(body, ensure_ascii=False).encode()
        try:
            return await self._once(method, target, headers, data)
        except UpstreamError:
            # A connection that was kept may have been closed just then; what changes nothing can be asked again.
            if method != "GET":
                raise
            return await self._once(method, target, headers, data)

    async def _once(self, method: str, target: str, headers: list[tuple[str, str]], data: bytes) -> tuple[int, bytes]:
        answer = await self._http.send(method, self._host, self._port, target, headers, data, tls=self._tls)
        try:
            found = bytearray()
            async for piece in answer:
                found += piece
                if len(found) > MAX_ANSWER:
                    raise UpstreamError("The mmry service's answer is too long")
            return answer.status, bytes(found)
        finally:
            answer.close()

    def _refuse(self, status: int, data: bytes) -> NoReturn:
        said = _said(data)
        if status in (401, 403):
            # Whoever asks here has shown who they are: that this server may not is not their fault.
            self.trouble = "the mmry service does not take this server's token"
            raise UpstreamError("The mmry service does not take this server's token")
        if status in (429, 503):
            self.trouble = "the mmry service says that it is not available"
            raise Unavailable("The mmry service is not available now", headers={"Retry-After": "5"})
        if status in (408, 504):
            raise DeadlineExceeded("The mmry service took too long to answer")
        known: dict[int, type[MoorageError]] = {
            400: BadRequest,
            404: NotFound,
            405: NotFound,
            409: Conflict,
            413: PayloadTooLarge,
            422: BadRequest,
        }
        if (kind := known.get(status)) is NotFound:
            raise NotFound("Memory not found")
        if kind is not None:
            raise kind(f"The mmry service refused it: {said}" if said else "The mmry service refused it")
        self.trouble = f"the mmry service answers with status {status}"
        raise UpstreamError(f"The mmry service answered with status {status}")


async def _object(data: bytes) -> dict[str, Any]:
    try:
        answer = parse_json(data) if len(data) < LONG else await asyncio.to_thread(parse_json, data)
    except BadRequest:
        raise UpstreamError("The mmry service answered what is no JSON") from None
    if not isinstance(answer, dict):
        raise UpstreamError("The mmry service answered with something else than an object")
    return answer


def _said(data: bytes) -> str:
    """The service's own words about an error, as far as they can be shown."""
    try:
        found = parse_json(data[:LONG])
    except BadRequest:
        return ""
    error = found.get("error") if isinstance(found, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    return "".join(c for c in text if c.isprintable())[:MAX_SAID] if isinstance(text, str) else ""


async def _token(source: SecretSource) -> str:
    """The token. UpstreamError."""
    if not (found := await source.read()):
        # Where it should be is in the settings, and for operators alone.
        raise UpstreamError("The token for the mmry service is not where the settings say")
    return found
