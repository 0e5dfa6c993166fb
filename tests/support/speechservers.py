"""Servers that speak eaRS's and kokorox's protocols as they were recorded, and fail as they are told to.

Sources: the facts about eaRS 2025 and kokorox (see docs/contracts/octo.md, Voice): frames, events, close behaviour.
"""

from __future__ import annotations

import asyncio
import base64
import http
import json
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import websockets.exceptions
from waits import WAIT
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

RATE = 24_000
Talk = Callable[[ServerConnection], Awaitable[None]]


class SpeechServer:
    """What both have: connections that are watched, and a talk that a test may replace.

    handshakes, paths: of those who came. open: those that are connected. ended: close codes of those that have gone.
    refuses: an HTTP status instead of the handshake.
    """

    def __init__(self) -> None:
        self.open: set[ServerConnection] = set()
        self.port = 0
        self.forget()

    def forget(self) -> None:
        """Be as new."""
        self.handshakes: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.ended: asyncio.Queue[int | None] = asyncio.Queue()
        self.refuses: int | None = None
        self.talk: Talk = self.speak

    async def renew(self) -> None:
        """Be as new for another test, once those of the last one have gone."""
        async with asyncio.timeout(WAIT):
            while self.open:
                await asyncio.sleep(0.01)
        self.forget()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def speak(self, link: ServerConnection) -> None:
        raise NotImplementedError

    async def serve(self, link: ServerConnection) -> None:
        self.open.add(link)
        try:
            await self.talk(link)
        except websockets.exceptions.ConnectionClosed:
            pass
        finally:
            await link.wait_closed()
            self.open.discard(link)
            self.ended.put_nowait(link.close_code)

    async def admit(self, link: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append({name.lower(): value for name, value in request.headers.raw_items()})
        self.paths.append(request.path)
        if self.refuses is not None:
            return link.respond(http.HTTPStatus(self.refuses), "not today\n")
        return None

    def die(self) -> None:
        """As a process that is killed: its connections are reset."""
        for link in list(self.open):
            link.transport.abort()

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[SpeechServer]:
        # No time-out: what is still on its way to a slow client would be lost with the connection.
        patient: dict[str, Any] = {"ping_interval": None, "close_timeout": None}
        options: dict[str, Any] = {"max_size": None, "max_queue": 1, "ssl": tls, **patient}
        async with serve(self.serve, "127.0.0.1", 0, process_request=self.admit, **options) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            yield self


class EarsServer(SpeechServer):
    """Hears a word in each quarter of a second of sound that is not silent; says `final` after `stop`, and closes."""

    def forget(self) -> None:
        super().forget()
        self.heard = bytearray()

    async def speak(self, link: ServerConnection) -> None:
        words: list[dict[str, Any]] = []
        samples, begun = b"", False
        async for frame in link:
            if not begun:
                begun = True
                await say(link, {"type": "enginechanged", "engine": "kyutai"})
            if isinstance(frame, bytes):
                self.heard += frame
                samples += frame[: len(frame) // 4 * 4]
                while len(samples) >= RATE:  # A quarter of a second, in bytes.
                    piece, samples = samples[:RATE], samples[RATE:]
                    if any(piece):
                        start = len(words) / 4
                        words.append({"word": f"word{len(words)}", "start_time": start, "end_time": start + 0.25})
                        await say(link, {"type": "word", **words[-1]})
                continue
            command = {"type": "stop"} if frame == "stop" else json.loads(frame)
            if command["type"] == "stop":
                text = " ".join(word["word"] for word in words)
                await say(link, {"type": "final", "text": text, "words": words})
                await link.close(1000, "final")
                return
            if command["type"] == "setlanguage":
                await say(link, {"type": "languagechanged", "lang": command["lang"]})
            if command["type"] == "getstatus":
                await say(link, {"type": "status", "paused": False, "vad": False, "engine": "kyutai"})


class KokoroxServer(SpeechServer):
    """Says each sentence as a tenth of a second of sound."""

    async def speak(self, link: ServerConnection) -> None:
        voice = "af_heart"
        async for frame in link:
            asked = json.loads(frame)
            if asked["command"] == "list_voices":
                await say(link, {"type": "voices", "voices": ["af_heart", "af_sky"], "voice": voice})
            elif asked["command"] == "set_voice":
                voice = asked["voice"]
                await say(link, {"type": "voice_changed", "voice": voice})
            elif asked["command"] == "synthesize":
                await say(link, {"type": "synthesis_started"})
                sentences = [one for one in asked["text"].split(".") if one.strip()]
                for index, _ in enumerate(sentences):
                    chunk = base64.b64encode(wav(b"\1\0" * 2400)).decode()
                    place = {"index": index, "total": len(sentences), "sample_rate": RATE}
                    await say(link, {"type": "audio_chunk", "chunk": chunk, **place})
                await say(link, {"type": "synthesis_completed"})


class KokoroxHttp:
    """kokorox's HTTP. asked: (request line, headers, JSON) of what came.

    fails: the status of all answers, which are then empty. halves: pieces of a speech that come before `go_on` is set.
    cut: the connection breaks off before the last one.
    """

    def __init__(self) -> None:
        self.port = 0
        self.forget()

    def forget(self) -> None:
        """Be as new."""
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.fails: int | None = None
        self.pieces, self.halves = 4, 4
        self.cut = False
        self.go_on, self.left = asyncio.Event(), asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[KokoroxHttp]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append((first, headers, json.loads(body) if body else None))
        path = first.split()[1]
        if self.fails is not None:
            writer.write(b"HTTP/1.1 %d Failed\r\ncontent-length: 0\r\n\r\n" % self.fails)
        elif path == "/v1/audio/speech":
            await self._speak(writer)
        else:
            told = {
                "/v1/audio/voices": ["af_heart"],
                "/v1/audio/voices/detailed": [{"id": "af_heart", "name": "Heart"}],
            }
            said = json.dumps({"voices": told[path]}).encode()
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(said)
            writer.write(head + said)

    async def _speak(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: audio/wav\r\ntransfer-encoding: chunked\r\n")
        writer.write(b"access-control-allow-origin: *\r\n\r\n")
        for number in range(self.pieces):
            if number == self.halves:
                await self.go_on.wait()
            if self.cut and number == self.pieces - 1:
                raise ConnectionResetError
            writer.write(b"%x\r\n%b\r\n" % (9600, bytes([number]) * 9600))
            await writer.drain()
        writer.write(b"0\r\n\r\n")


def wav(samples: bytes) -> bytes:
    """16-bit samples, mono, with kokorox's header of 44 bytes."""
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE,
                       2, 16, b"data", len(samples))  # fmt: skip
    return head + samples


async def say(link: ServerConnection, event: dict[str, Any]) -> None:
    await link.send(json.dumps(event))
