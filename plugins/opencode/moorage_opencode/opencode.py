"""A small client of the OpenCode servers that run in sessions: the calls that the plugin itself makes.

Source: OpenCode 1.18's own OpenAPI document (`GET /doc`), and what it was seen to answer.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from moorage.api import BadRequest, Conflict, MoorageError, NotFound, Unavailable, Upstream, UpstreamError

from moorage_opencode.sessions import Live

if TYPE_CHECKING:
    import aiohttp

CONNECT_SECONDS = 5.0
CALL_SECONDS = 30.0
SILENCE_SECONDS = 35.0
"""An event stream that says nothing for so long is dead: OpenCode sends a heartbeat each ten seconds."""
MAX_ANSWER = 16 * 1024 * 1024
_ERRORS: dict[int, type[MoorageError]] = {400: BadRequest, 404: NotFound, 409: Conflict}


class OpenCode:
    """Calls the OpenCode of a session that runs. One object for all; its connections are opened when first needed."""

    def __init__(self) -> None:
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def call(
        self, live: Live, method: str, path: str, *, body: Any = None, query: Mapping[str, str] | None = None
    ) -> Any:
        """One call; the answer's JSON, None for an empty one.

        path: begins with a slash and is percent-encoded where it must be. Errors: Unavailable when nothing answers
        there; BadRequest, NotFound and Conflict in OpenCode's words; UpstreamError for anything else.
        """
        import aiohttp

        upstream = _upstream(live)
        try:
            with upstream.use():
                async with (
                    self._session(upstream) as client,
                    client.request(
                        method,
                        f"http://{upstream.authority}{path}",
                        params=query,
                        json=body,
                        headers={"Authorization": live.authorization},
                        allow_redirects=False,
                        timeout=aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS),
                    ) as answer,
                ):
                    text = await _whole(answer)
        except aiohttp.ClientConnectorError as error:
            raise Unavailable("The session's OpenCode cannot be reached") from error
        except TimeoutError as error:
            raise Unavailable("The session's OpenCode did not answer in time") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise UpstreamError("The session's OpenCode broke off its answer") from error
        if 200 <= answer.status < 300:
            return _json(text) if text.strip() else None
        raise _error(answer.status, text)

    async def events(self, live: Live) -> AsyncGenerator[bytes, None]:
        """The event stream as bytes, as they come, until it ends. Errors as in `call`; close the iterator."""
        import aiohttp

        upstream = _upstream(live)
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        try:
            with upstream.use():
                async with (
                    self._session(upstream) as client,
                    client.get(
                        f"http://{upstream.authority}/event",
                        headers={"Authorization": live.authorization, "Accept": "text/event-stream"},
                        allow_redirects=False,
                        timeout=limits,
                    ) as answer,
                ):
                    if answer.status != 200 or answer.content_type != "text/event-stream":
                        raise UpstreamError(f"OpenCode answered the request for its events with {answer.status}")
                    async for chunk in answer.content.iter_any():
                        yield chunk
        except aiohttp.ClientConnectorError as error:
            raise Unavailable("The session's OpenCode cannot be reached") from error
        except TimeoutError as error:
            raise Unavailable("The session's OpenCode fell silent") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise UpstreamError("The session's OpenCode broke off its events") from error

    @asynccontextmanager
    async def _session(self, upstream: Upstream) -> AsyncIterator[aiohttp.ClientSession]:
        """One client for all addresses, and one for each call by a unix socket."""
        import aiohttp

        jar = aiohttp.DummyCookieJar()
        if upstream.path is not None:
            connector = aiohttp.UnixConnector(str(upstream.path))
            async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, trust_env=False) as client:
                yield client
            return
        if self._client is None:
            # Idle connections are kept for less than the time after which OpenCode closes its side.
            tcp = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
            self._client = aiohttp.ClientSession(connector=tcp, cookie_jar=jar, trust_env=False)
        yield self._client


def _upstream(live: Live) -> Upstream:
    if live.upstream is None:
        raise Unavailable("The session does not run")
    return live.upstream


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    text = bytearray()
    async for chunk in answer.content.iter_any():
        text += chunk
        if len(text) > MAX_ANSWER:
            raise UpstreamError("OpenCode's answer is too large")
    return bytes(text)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UpstreamError("OpenCode answered what is no JSON") from error


def _error(status: int, text: bytes) -> MoorageError:
    """OpenCode's own words where it has some, and where the caller is to blame."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    data = said.get("data") if isinstance(said, dict) else None
    message = next(
        (
            source["message"]
            for source in (data, said)
            if isinstance(source, dict) and isinstance(source.get("message"), str)
        ),
        None,
    )
    kind = _ERRORS.get(status)
    if kind is None:
        return UpstreamError(f"OpenCode answered with status {status}")
    return kind(message[:500] if message else None)
