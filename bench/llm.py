"""The provider behind the chats: `python -m bench.llm PORT`. OpenAI's chat completions, streamed as told.

The last message's text is "COUNT RATE": so many tokens, each with the instant at which it was sent (ns, monotonic), at
so many a second, or without a pause at rate 0. It does no more than that, so that it is faster than what it is behind.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from typing import cast

MODEL = "scripted"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n"
_CHUNK = '{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1790000000,"model":"%s","choices":%s%s}'
_CHOICE = '[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}]'
USAGE = ',"usage":{"prompt_tokens":9,"completion_tokens":%d,"total_tokens":%d}'


def event(choices: str, usage: str = "") -> bytes:
    """A server-sent event as a chunk of HTTP/1.1."""
    return chunked(f"data: {_CHUNK % (MODEL, choices, usage)}\n\n".encode())


def chunked(data: bytes) -> bytes:
    """A chunk of HTTP/1.1."""
    return b"%x\r\n%b\r\n" % (len(data), data)


FIRST = event(_CHOICE % ('{"role":"assistant","content":""}', "null"))
LAST = event(_CHOICE % ("{}", '"stop"'))
DONE = chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"
_TOKEN = _CHUNK % (MODEL, _CHOICE % ('{"content":"t@;"}', "null"), "")
_BEFORE, _AFTER = f"data: {_TOKEN}\n\n".encode().split(b"@")
_SIZE = len(_BEFORE) + len(_AFTER)


def token() -> bytes:
    """One token, as a chunk of HTTP/1.1."""
    now = b"%d" % time.monotonic_ns()
    return b"%x\r\n%b%b%b\r\n" % (_SIZE + len(now), _BEFORE, now, _AFTER)


class Provider(asyncio.Protocol):
    """One connection. It answers one request after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class.
        self._data = b""
        self._loop = asyncio.get_running_loop()
        self._paused = False

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, blank, body = self._data.partition(b"\r\n\r\n")
        if not blank:
            return
        length = _LENGTH.search(head)
        if len(body) < (int(length[1]) if length else 0):
            return
        self._data = b""
        if head.startswith(b"POST"):
            self._answer(json.loads(body))
        else:
            listed = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode()
            size = b"Content-Length: %d\r\n\r\n" % len(listed)
            self._transport.write(_HEAD % b"application/json" + size + listed)

    def _answer(self, asked: dict[str, object]) -> None:
        messages = asked["messages"]
        assert isinstance(messages, list)
        said = messages[-1]["content"]
        count, rate = str(said if isinstance(said, str) else said[0]["text"]).split()
        self._count, self._rate, self._told, self._start = int(count), float(rate), 0, self._loop.time()
        self._usage = bool(asked.get("stream_options"))
        self._transport.write(_HEAD % b"text/event-stream" + b"Transfer-Encoding: chunked\r\n\r\n" + FIRST + token())
        self._told = 1
        self._later()

    def _later(self) -> None:
        if self._rate:
            self._loop.call_at(self._start + self._told / self._rate, self._more)
        elif not self._paused:
            # One a turn of the loop: written together, they would be one write.
            self._loop.call_soon(self._more)

    def _more(self) -> None:
        if self._transport.is_closing():
            return
        if self._told < self._count:
            self._transport.write(token())
            self._told += 1
            self._later()
        else:
            usage = event("[]", USAGE % (self._count, 9 + self._count)) if self._usage else b""
            self._rate = 1.0  # Nothing more comes of a pause in writing that ends.
            self._transport.write(LAST + usage + DONE)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if not self._rate:
            self._later()


async def serve(port: int) -> None:
    """Until SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Provider, "127.0.0.1", port, backlog=1024)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(int(sys.argv[1])))
    else:
        uvloop.run(serve(int(sys.argv[1])))
