"""The lane of Quart views: Quart without its router, which would match every path a second time."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, NoReturn, cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart import Quart, Request, Response
from quart.asgi import ASGIHTTPConnection
from quart.ctx import RequestContext
from quart.sessions import NullSession, SessionInterface
from quart.typing import ResponseTypes
from quart.wrappers.request import Body
from quart.wrappers.response import DataBody
from werkzeug.exceptions import HTTPException

from moorage.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    MethodNotAllowed,
    MoorageError,
    NotFound,
    PayloadTooLarge,
    RequestTimeout,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from moorage.events.tasks import Exited, together
from moorage.server.body import DISCARD_BYTES, DISCARD_SECONDS

_BY_STATUS: dict[int, type[MoorageError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    408: RequestTimeout,
    409: Conflict,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
    422: ValidationFailed,
    429: TooManyRequests,
    503: Unavailable,
}
_NULL_SESSION = NullSession()
_AHEAD = 256 * 1024
"""Bytes of a body that are read before its view takes them."""


class _NoSessions(SessionInterface):
    """Quart's own cookie sessions are off: the gate has read the credentials already."""

    def is_null_session(self, obj: object) -> bool:
        return True

    async def open_session(self, app: Quart, request: Any) -> NullSession:
        return _NULL_SESSION


class _Body(Body):
    """A body that holds the client back while nobody takes what has come: Quart's own keeps all of it in memory."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._whole = False
        self._far = (expected_content_length or 0) > DISCARD_BYTES
        self._left: int | None = None
        self._taken = asyncio.Event()

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        self._taken.set()
        return data

    def __await__(self) -> Generator[Any, None, Any]:
        self._whole = True
        self._taken.set()
        return super().__await__()

    async def room(self) -> None:
        """Wait until there is room for more. A view that wants all of it at once has room for all."""
        while len(self._data) >= _AHEAD and not self._whole and self._must_raise is None:
            self._taken.clear()
            await self._taken.wait()

    def append(self, data: bytes) -> None:
        """What came; nothing is kept any more once the view has answered."""
        if self._left is None:
            super().append(data)
            return
        self._left -= len(data)
        if self._left < 0:
            self.set_complete()

    async def rest(self) -> None:
        """Let what the view left unread come in, a little way and a short time.

        Engines close the connection of a body that was not read, and the client's next request would meet that.
        """
        if self._complete.is_set() or self._far:
            return
        self._left, self._whole = DISCARD_BYTES, True
        self._data.clear()
        self._taken.set()
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                await self._complete.wait()
        except TimeoutError:
            return


class _Request(Request):
    body_class = _Body


class _Connection(ASGIHTTPConnection):
    """One HTTP request. Without a body there is nothing to receive, so no task is spent on waiting for it."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if self.scope["moorage.bodyless"]:  # type: ignore[typeddict-item]
            request = self._create_request_from_scope(send)
            request.body.set_complete()
            response = await self.app.handle_request(request)
            if isinstance(response, Response) and isinstance(response.response, DataBody):
                await _send_whole(response, send)
            else:
                await self._send_while_connected(response, receive, send)
        else:
            await self._with_body(receive, send)

    async def _with_body(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """The view, and beside it what feeds it its body."""
        request = self._create_request_from_scope(send)
        await together(self.handle_request(request, send), self.handle_messages(request, receive))

    async def handle_messages(self, request: Request, receive: ASGIReceiveCallable) -> None:
        """Feed the view its body, no faster than it takes it; returns when the client is gone."""
        body = cast(_Body, request.body)
        while (message := await receive())["type"] != "http.disconnect":
            if message["type"] == "http.request":
                body.append(message.get("body", b""))
                if message.get("more_body", False):
                    await body.room()
                else:
                    body.set_complete()

    async def _send_while_connected(
        self, response: ResponseTypes, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Stream a response; stop as soon as the client is gone."""
        await together(self._send_response(send, response), _disconnected(receive))


async def _disconnected(receive: ASGIReceiveCallable) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_whole(response: Response, send: ASGISendCallable) -> None:
    body = cast(DataBody, response.response).data
    headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in response.headers]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class Views(Quart):
    """Calls the view that the gate matched (`scope["moorage.view"]`) inside a Quart request context."""

    asgi_http_class = _Connection
    request_class = _Request
    session_interface = _NoSessions()  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__("moorage", static_folder=None, template_folder=None)
        # The gate holds the limits and deadlines; Quart's would cut long streams.
        self.config.update(BODY_TIMEOUT=None, RESPONSE_TIMEOUT=None, MAX_CONTENT_LENGTH=None, PROPAGATE_EXCEPTIONS=True)

    def create_url_adapter(self, request: Any) -> None:
        """No adapter: matching was done by the router."""
        return

    async def full_dispatch_request(self, request_context: RequestContext | None = None) -> ResponseTypes:
        """Call the matched view."""
        context = cast(RequestContext, request_context)
        view, params = context.request.scope["moorage.view"]  # type: ignore[typeddict-item]
        try:
            result = await view(**params)
        except HTTPException as error:
            _as_moorage(error)
        except SystemExit as error:
            raise Exited(f"the view called sys.exit({error.code!r})") from error
        response = await self.make_response(result)
        for function in context._after_request_functions:
            response = await self.ensure_async(function)(response)  # type: ignore[assignment]
        if isinstance(response, Response) and isinstance(response.response, DataBody):
            await cast(_Body, context.request.body).rest()
        return response

    async def handle_exception(self, error: Exception) -> ResponseTypes:
        """Let the gate spell it."""
        raise error


def _as_moorage(error: HTTPException) -> NoReturn:
    """Raise werkzeug's exception as ours, so that one place spells errors."""
    if error.response is not None:
        raise error
    status = error.code or 500
    kind = _BY_STATUS.get(status)
    if kind is None:
        raise MoorageError from error
    raise kind(error.description) from error
