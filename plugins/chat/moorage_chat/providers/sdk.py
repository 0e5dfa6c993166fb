"""What providers by the SDKs of OpenAI and Anthropic have in common: the client, the request, its faults.

Both SDKs are made by one generator and have the same `post`, `get` and errors. They connect, send, and type what is
refused; the answer's bytes are read raw (see `sse`).
"""

from __future__ import annotations

import asyncio
import importlib
import json
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, ClassVar

import aiohttp
import httpx2

from moorage_chat.config import ProviderConfig
from moorage_chat.providers import faults, sse
from moorage_chat.providers.base import Capabilities, ErrorCode, ModelInfo, Provider, ProviderError
from moorage_chat.providers.keys import key
from moorage_chat.store.text import sound

LINGER = 3.0
"""Seconds for what comes after the end's mark (the usage, the stream's end): some servers leave the connection open."""
MAX_WHOLE = 8 * 1024 * 1024
"""Bytes of an answer that is no stream."""
MAX_ERROR = 64 * 1024
"""Bytes that are read of a refusal."""
COMPRESSED = "x-moorage-compressed"
MAX_MODELS = 5000
MAX_NAME = 256
"""Characters of a model's id, and of what it is called."""


class SdkProvider(Provider):
    """A provider by its settings. sdk: the SDK's module, imported when it is first needed; models_path: of the list."""

    sdk: ClassVar[str]
    extra: ClassVar[str]
    models_path: ClassVar[str] = "/models"

    def __init__(self, id: str, config: ProviderConfig, capabilities: Capabilities) -> None:
        self.id, self.name = id, config.name or id
        self.capabilities = capabilities
        self._config = config
        self._sdk: Any = None
        self._client: Any = None
        self._making = asyncio.Lock()

    @abstractmethod
    def _auth(self, key: str) -> Mapping[str, str]:
        """The headers that show the key."""

    @abstractmethod
    def _make(self, sdk: Any, http: Any) -> Any:
        """The SDK's client over this HTTP client; it has no key."""

    async def warm(self) -> None:
        """Import the SDK ahead of the first request: it takes seconds. ProviderError when it is not installed."""
        if self._client is not None:
            return
        async with self._making:
            if self._client is None:
                self._sdk, self._client = await asyncio.to_thread(self._build)

    def _build(self) -> tuple[Any, Any]:
        try:
            sdk = importlib.import_module(self.sdk)
        except ImportError as error:
            mend = f"pip install 'moorage[{self.extra}]'"
            raise ProviderError(ErrorCode.UNREACHABLE, f"{self.sdk} is not installed ({error}): {mend}") from None
        # Silence is the plugin's to bound (`Bounds`): here are only the times of connecting and of sending.
        connect = self._config.connect_timeout
        http = sdk.DefaultAioHttpClient(
            timeout=httpx2.Timeout(None, connect=connect, pool=connect, write=max(connect, 30.0)),
            limits=httpx2.Limits(max_connections=self._config.max_parallel + 8, keepalive_expiry=15.0),
            follow_redirects=False,
            event_hooks={"response": [_bound]},
        )
        client = self._make(sdk, http)
        # What the environment says for the SDK's own service (`…_CUSTOM_HEADERS`); no option leaves it out.
        client._custom_headers = {}
        return sdk, client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    @asynccontextmanager
    async def _open(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> AsyncIterator[Any]:
        """The response (an `httpx2.Response`), unread, closed at the end. ProviderError when there is none."""
        await self.warm()
        secret = await key(self._config.api_key)
        headers: dict[str, Any] = {"Accept-Encoding": "identity", **self._config.headers, **self._auth(secret)}
        stream_class = self._sdk.AsyncStream[object]
        try:
            if method == "GET":
                stream = await self._client.get(
                    path, cast_to=object, options={"headers": headers}, stream=True, stream_cls=stream_class
                )
            else:
                stream = await self._client.post(
                    path, cast_to=object, body=body, options={"headers": headers}, stream=True, stream_cls=stream_class
                )
        except self._sdk.APIStatusError as error:
            raise Refused(error.response, error.body, secret) from None
        except self._sdk.APIConnectionError as error:
            raise ProviderError(ErrorCode.UNREACHABLE, repr(error.__cause__ or error)) from None
        except aiohttp.ClientError as error:
            raise ProviderError(ErrorCode.ERROR, f"no HTTP: {type(error).__name__}") from None
        try:
            if COMPRESSED in stream.response.headers:
                raise ProviderError(ErrorCode.ERROR, "the answer is compressed, which was not asked for")
            yield stream.response
        finally:
            await stream.close()

    async def _events(self, response: Any) -> AsyncGenerator[Any, None]:
        """The answer's events, up to its end or the connection's. ProviderError INCOMPLETE when that breaks."""
        try:
            async with aclosing(sse.events(response.aiter_bytes())) as events:
                async for event in events:
                    yield event
        except (httpx2.HTTPError, httpx2.StreamError, aiohttp.ClientError) as error:
            # Not its text: that quotes what was read, which is somebody's answer.
            raise ProviderError(ErrorCode.INCOMPLETE, type(error).__name__) from None

    async def _whole(self, response: Any) -> Any:
        """The answer as JSON. ProviderError, also for one that is too long or no JSON."""
        data = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > MAX_WHOLE:
                    raise ProviderError(ErrorCode.ERROR, f"an answer of more than {MAX_WHOLE} bytes")
        except (httpx2.HTTPError, httpx2.StreamError, aiohttp.ClientError) as error:
            # Not its text: that quotes what was read, which is somebody's answer.
            raise ProviderError(ErrorCode.INCOMPLETE, type(error).__name__) from None
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            kind = response.headers.get("content-type", "")
            raise ProviderError(ErrorCode.ERROR, f"{len(data)} bytes of {kind[:100]!r} that are no JSON") from None

    async def models(self) -> Sequence[ModelInfo]:
        """Those of the settings, else what the provider lists."""
        if self._config.models:
            return [ModelInfo(one.id, one.label or one.id) for one in self._config.models]
        return await self._listed()

    async def check(self) -> None:
        """Ask for its list, also where the settings say which of its models are used."""
        await self._listed()

    async def _listed(self) -> list[ModelInfo]:
        async with self._open("GET", self.models_path) as response:
            answer = await self._whole(response)
        listed = answer.get("data") if isinstance(answer, Mapping) else None
        if not isinstance(listed, list):
            raise ProviderError(ErrorCode.ERROR, "the list of models has no data")
        found = [item for item in listed[:MAX_MODELS] if isinstance(item, Mapping) and _can_be_named(item.get("id"))]
        return [
            ModelInfo(one["id"], sound(str(one.get("display_name") or one.get("name") or one["id"]))[:MAX_NAME])
            for one in found
        ]


def _can_be_named(id: Any) -> bool:
    """Whether it is a model's id that clients can say and the database takes."""
    return isinstance(id, str) and 0 < len(id) <= MAX_NAME and sound(id) == id


class Refused(ProviderError):
    """The provider answered with an error status. body: what it said, parsed where it is JSON."""

    def __init__(self, response: Any, body: Any, secret: str) -> None:
        wait = faults.seconds(response.headers.get("retry-after"))
        error = faults.refused(response.status_code, body)
        self.status, self.body = response.status_code, body
        # Some quote the key that they refuse.
        detail = error.detail.replace(secret, "…") if secret else error.detail
        super().__init__(error.code, detail, retry_after=wait)


async def _bound(response: Any) -> None:
    """The SDK reads a refusal to its end, however long it is. Nothing is unpacked: a few kB may be gigabytes then."""
    packed = response.headers.pop("content-encoding", "identity").strip().lower() not in ("", "identity")
    if response.status_code >= 300:
        response.stream = _Short(response.stream)
    elif packed:
        response.headers[COMPRESSED] = "1"


class _Short(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_ERROR
        async for chunk in self._stream:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return

    async def aclose(self) -> None:
        await self._stream.aclose()
