"""The program of a worker process: calls in by its input, answers out by its output. It imports nothing of Moorage.

Run as `python -P program.py package.module:factory`. A frame, both ways: two lengths of four bytes (big-endian), of the
head and of the body; the head (JSON, an object); the body (bytes). The first frame's head is given to the factory, and
what that returns is the object that is called. Its answer is {"ready": true} or {"failed": text}. A call is
{"id", "method", "params"} with a body, answered by {"id", "data"} with a body, or by {"id", "error", "kind"}, the kind
being the exception's class. When the input ends, so does the process, whatever it does.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import struct
import sys
import threading
from typing import Any, BinaryIO

HEAD = struct.Struct(">II")


def main() -> None:
    """Make the object, then answer until the input ends."""
    out = own_output()
    settings, _ = read(sys.stdin.buffer)
    with contextlib.suppress(OSError):
        os.nice(int(os.environ.get("MOORAGE_WORKER_NICE", "0")))
    calls: queue.Queue[tuple[dict[str, Any], bytes]] = queue.Queue()
    threading.Thread(target=listen, args=(calls,), daemon=True).start()
    try:
        module, _, factory = sys.argv[1].partition(":")
        made = getattr(importlib.import_module(module), factory)(settings)
    except Exception as error:
        write(out, {"failed": f"{type(error).__name__}: {error}"})
        return
    write(out, {"ready": True})
    while True:
        head, body = calls.get()
        write(out, *answer(made, head, body))


def own_output() -> BinaryIO:
    """Where the frames go. The usual output is led to the errors: native code prints to it."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(kept, "wb")


def listen(calls: queue.Queue[tuple[dict[str, Any], bytes]]) -> None:
    """Take in calls while the object works; end with the server."""
    with contextlib.suppress(EOFError, ValueError, OSError):
        while True:
            calls.put(read(sys.stdin.buffer))
    os._exit(0)


def answer(made: Any, head: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Do one call: `method(body, **params)` gives the data, or the data and a body."""
    try:
        given = getattr(made, head["method"])(body, **head["params"])
    except Exception as error:
        return {"id": head["id"], "error": str(error), "kind": type(error).__name__}, b""
    data, out = given if isinstance(given, tuple) else (given, b"")
    return {"id": head["id"], "data": data}, out


def read(source: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """A frame. EOFError at the end."""
    first, second = HEAD.unpack(exactly(source, HEAD.size))
    return json.loads(exactly(source, first)), exactly(source, second)


def exactly(source: BinaryIO, size: int) -> bytes:
    """So many bytes."""
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def write(out: BinaryIO, head: dict[str, Any], body: bytes = b"") -> None:
    """A frame, at once."""
    text = json.dumps(head).encode()
    out.write(HEAD.pack(len(text), len(body)) + text + body)
    out.flush()


if __name__ == "__main__":
    main()
