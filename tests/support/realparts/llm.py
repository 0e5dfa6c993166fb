"""A provider of language models that says what a test tells it to: OpenAI's chat completions, streamed.

Source of the format: OpenAI's API reference, "Chat Completions" and "Streaming".
"""

from __future__ import annotations

import itertools
import json
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "scripted"
TITLE = "A scripted title"
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


@dataclass(frozen=True)
class Say:
    """An answer in words, in as many pieces as there are; `pause` seconds between them. think: reasoning before it."""

    text: str
    think: str = ""
    pause: float = 0.0


@dataclass(frozen=True)
class Call:
    """A tool call. After its result OpenCode asks again, which is the script's next step."""

    tool: str
    arguments: dict[str, Any]
    say: str = ""


@dataclass(frozen=True)
class Fail:
    """An HTTP error instead of an answer. more: further members of the error, {"code": …}."""

    status: int = 500
    message: str = "the scripted provider fails"
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """Some words, then nothing more until the provider is stopped, `release` is called or the client leaves.

    mute: not even the answer's head. then: what it goes on with when it is released, to its end.
    """

    text: str = ""
    mute: bool = False
    then: str | Call | None = None


@dataclass(frozen=True)
class Cut:
    """Some words, then the connection breaks off."""

    text: str = "This is cut off in the"


@dataclass(frozen=True)
class Chunks:
    """An answer's events as they are: objects are sent as data, texts and bytes as written. No end is added to them.

    cut: the connection breaks off after them; hold: it is kept open, as by `Hang`; else it ends as HTTP has it.
    """

    chunks: tuple[dict[str, Any] | str | bytes, ...]
    cut: bool = False
    hold: bool = False


@dataclass(frozen=True)
class Raw:
    """An answer in bytes. length: what Content-Length says of it."""

    body: bytes
    kind: str = "text/event-stream"
    status: int = 200
    length: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Endless:
    """Words until the client leaves; with `what`, these bytes again and again."""

    what: bytes | None = None
    kind: str = "text/event-stream"


Step = Say | Call | Fail | Hang | Cut | Chunks | Raw | Endless


class Llm:
    """The provider. It answers the last thing that the user said by the script whose text is in it.

    `script("hi", Call(...), Say(...))`: the first step for the prompt, the next after the tool's result, and so on; the
    last step answers whatever more comes. Without a script it repeats the prompt: "You said: …". Requests for a title
    are answered with `TITLE`. `requests`: the bodies that came. host: where it listens, loopback by default.

    models: what it lists. refuses: parameters that it takes for an error, as older servers do.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        """The API keys that came with them."""
        self.headers: list[Mapping[str, str]] = []
        """Their headers, by names in lower case."""
        self.models: list[dict[str, Any]] | Step = [{"id": MODEL, "object": "model", "owned_by": "moorage"}]
        self.refuses: dict[str, str] = {}
        """The error's text by parameter."""
        self._scripts: list[tuple[str, tuple[Step, ...]]] = []
        self._released = threading.Event()
        self._hanging = threading.Event()
        self._left = threading.Event()
        self._server = _Server((host, 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL of its API."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/v1"

    def config(self, **more: Any) -> dict[str, Any]:
        """OpenCode's settings for it; `bash` needs a permission."""
        model = {"name": "Scripted", "tool_call": True, "limit": {"context": 100_000, "output": 4096}}
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Scripted",
            "options": {"baseURL": self.url, "apiKey": "scripted-key"},
            "models": {MODEL: model},
        }
        return {
            "model": f"scripted/{MODEL}",
            "small_model": f"scripted/{MODEL}",
            "enabled_providers": ["scripted"],
            "permission": {"bash": "ask"},
            "provider": {"scripted": provider},
            **more,
        }

    def script(self, prompt: str, *steps: Step) -> None:
        """Answer prompts that hold this text with these steps; what was told last comes first."""
        assert steps, "a script has at least one step"
        self._scripts.insert(0, (prompt, steps))

    def release(self) -> None:
        """End all hanging answers."""
        self._released.set()

    def wait_hanging(self, seconds: float = 30) -> None:
        """Until an answer hangs."""
        assert self._hanging.wait(seconds), "no answer hangs"

    def wait_left(self, seconds: float = 30) -> None:
        """Until a client has left in the middle of an answer."""
        assert self._left.wait(seconds), "no client leaves"

    def clear(self) -> None:
        """Forget what came and who left: the next test begins anew."""
        self.requests.clear()
        self.keys.clear()
        self.headers.clear()
        for event in (self._released, self._hanging, self._left):
            event.clear()

    def stop(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()

    def hang(self, connection: socket.socket) -> None:
        self._hanging.set()
        deadline = time.monotonic() + 120
        while not self._released.wait(0.02) and time.monotonic() < deadline:
            if select.select([connection], [], [], 0)[0] and not _peek(connection):
                self.left()
                return

    def left(self) -> None:
        self._left.set()

    def step(self, body: dict[str, Any]) -> Step:
        """What a request is answered with."""
        messages = body.get("messages", [])
        if any("title generator" in _text(m).lower() for m in messages if m.get("role") == "system"):
            return Say(TITLE)
        last = max((i for i, m in enumerate(messages) if m.get("role") == "user"), default=None)
        if last is None:
            return Fail(400, "no message of a user")
        prompt = _text(messages[last])
        done = sum(1 for message in messages[last:] if message.get("role") == "assistant")
        for text, steps in self._scripts:
            if text in prompt:
                return steps[min(done, len(steps) - 1)]
        return Say(f"You said: {prompt}")


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [] if isinstance(part, dict))


def _deltas(step: Step) -> Iterator[dict[str, Any]]:
    """The pieces of an answer; the last says why it ends."""
    yield {"role": "assistant", "content": ""}
    if isinstance(step, Say) and step.think:
        yield {"reasoning_content": step.think}
    text = step.text if isinstance(step, Say | Hang | Cut) else step.say if isinstance(step, Call) else ""
    for first, word in enumerate(text.split(" ") if text else []):
        yield {"content": f" {word}" if first else word}
    if isinstance(step, Call):
        function = {"name": step.tool, "arguments": json.dumps(step.arguments)}
        yield {"tool_calls": [{"index": 0, "id": f"call_{next(_calls)}", "type": "function", "function": function}]}


def _peek(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return b""


_calls = itertools.count(1)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no fault."""


def _handler(llm: Llm) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            llm.headers.append({name.lower(): value for name, value in self.headers.items()})
            if isinstance(llm.models, list):
                self._json(200, {"object": "list", "data": llm.models})
            else:
                self._answer(llm.models, {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            llm.requests.append(body)
            llm.keys.append(self.headers.get("Authorization", "").removeprefix("Bearer "))
            llm.headers.append({name.lower(): value for name, value in self.headers.items()})
            refused = next((name for name in llm.refuses if name in body), None)
            step = llm.step(body)
            if refused is not None:
                step = Fail(400, llm.refuses[refused], {"param": refused, "code": "unsupported_value"})
            try:
                self._answer(step, body)
            except OSError:
                llm.left()

        def _answer(self, step: Step, body: dict[str, Any]) -> None:
            if isinstance(step, Hang) and step.mute:
                llm.hang(self.connection)
                self.close_connection = True
            elif isinstance(step, Fail):
                error = {"message": step.message, "type": "server_error", **step.more}
                self._json(step.status, {"error": error}, step.headers)
            elif isinstance(step, Raw):
                self._bytes(step.status, step.body, step.kind, step.headers, step.length)
            elif isinstance(step, Endless):
                self._endless(step)
            elif isinstance(step, Chunks) or body.get("stream"):
                self._stream(step, bool((body.get("stream_options") or {}).get("include_usage")))
            else:
                self._whole(step)

        def _json(self, status: int, answer: Any, headers: Mapping[str, str] | None = None) -> None:
            self._bytes(status, json.dumps(answer).encode(), "application/json", headers or {})

        def _bytes(
            self, status: int, data: bytes, kind: str, headers: Mapping[str, str], length: int | None = None
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data) if length is None else length))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
            # What was said too little or too much of would be read as the next answer.
            self.close_connection = self.close_connection or length is not None

        def _endless(self, step: Endless) -> None:
            self._head(step.kind)
            word = {**_head("chat.completion.chunk"), "choices": [{"index": 0, "delta": {"content": "and so on "}}]}
            what = b"data: " + json.dumps(word).encode() + b"\n\n" if step.what is None else step.what
            while True:
                self._write(what)

        def _head(self, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Cache-Control", "no-cache")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

        def _whole(self, step: Step) -> None:
            message: dict[str, Any] = {"role": "assistant", "content": ""}
            for delta in _deltas(step):
                message["content"] += delta.get("content", "")
                if "tool_calls" in delta:
                    message["tool_calls"] = delta["tool_calls"]
            if isinstance(step, Hang):
                llm.hang(self.connection)
            choice = {"index": 0, "message": message, "finish_reason": _reason(step)}
            self._json(200, {**_head("chat.completion"), "choices": [choice], "usage": USAGE})

        def _stream(self, step: Step, usage: bool) -> None:
            self._head("text/event-stream")
            if isinstance(step, Chunks):
                for chunk in step.chunks:
                    if isinstance(chunk, dict):
                        self._chunk(chunk)
                    else:
                        self._write(chunk.encode() if isinstance(chunk, str) else chunk)
                self.close_connection = True
                if step.hold:
                    llm.hang(self.connection)
                elif not step.cut:
                    self.wfile.write(b"0\r\n\r\n")
                return
            for delta in _deltas(step):
                self._event({"index": 0, "delta": delta, "finish_reason": None})
                if isinstance(step, Say) and step.pause:
                    time.sleep(step.pause)
            if isinstance(step, Hang):
                llm.hang(self.connection)
            if isinstance(step, Hang) and isinstance(step.then, Call):
                step = step.then
                for delta in _deltas(step):
                    self._event({"index": 0, "delta": delta, "finish_reason": None})
            elif isinstance(step, Hang) and step.then is not None:
                self._event({"index": 0, "delta": {"content": step.then}, "finish_reason": None})
            elif isinstance(step, Hang | Cut):
                self.close_connection = True  # Without the last chunk: broken off.
                return
            self._event({"index": 0, "delta": {}, "finish_reason": _reason(step)})
            if usage:
                self._chunk({**_head("chat.completion.chunk"), "choices": [], "usage": USAGE})
            self._write(b"data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")

        def _event(self, choice: dict[str, Any]) -> None:
            self._chunk({**_head("chat.completion.chunk"), "choices": [choice]})

        def _chunk(self, answer: dict[str, Any]) -> None:
            self._write(b"data: " + json.dumps(answer).encode() + b"\n\n")

        def _write(self, data: bytes) -> None:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

    return Handler


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-scripted", "object": kind, "created": 1_700_000_000, "model": MODEL}


def _reason(step: Step) -> str:
    return "tool_calls" if isinstance(step, Call) else "stop"
