"""What `faulty.py` does wrong, by the name of the tool that is called. `n` is the tool's argument."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

COMPLETE = {"resultType": "complete"}
Fault = Callable[[Any, Any, Any, int, Any], Awaitable[None]]
FAULTS: dict[str, Fault] = {}


def fault(function: Fault) -> Fault:
    FAULTS[function.__name__] = function  # type: ignore[attr-defined]
    return function


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], **COMPLETE, **more}


@fault
async def ok(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    await peer.result(id, said("ok"))


@fault
async def counts(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """How often it was started, and how many calls were cancelled."""
    value = {"starts": server.noted("start"), "cancelled": server.noted("cancelled"), "pid": os.getpid()}
    await peer.result(id, said(json.dumps(value), structuredContent=value))


@fault
async def crash(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """The process ends, without an answer."""
    print("Something awful happened", file=sys.stderr, flush=True)
    os._exit(139)


@fault
async def half(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """Half of an answer, and then nothing more."""
    await peer.raw(b'{"jsonrpc": "2.0", "id": ')
    await peer.break_off()


@fault
async def hang(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """Never an answer."""
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        server.note("hang ended")
        raise


@fault
async def linger(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """An answer after n milliseconds."""
    await asyncio.sleep(n / 1000)
    await peer.result(id, said("lingered"))


@fault
async def flood(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """n notifications of 1 KB, and then an answer."""
    params = {"level": "info", "data": "f" * 1000}
    line = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": params}).encode()
    for _ in range(n):
        await peer.message(line)
        await asyncio.sleep(0)
    await peer.result(id, said("flooded"))


@fault
async def endless(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """Notifications until somebody ends it."""
    params = {"progressToken": token if token is not None else "nobody", "progress": 0}
    while True:
        params["progress"] += 1
        await peer.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        await asyncio.sleep(0)  # Writing alone lets nothing else run.


@fault
async def huge(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """An answer of n MB."""
    start = json.dumps({"jsonrpc": "2.0", "id": id, "result": said("HERE")}).encode()
    await peer.message(start.replace(b"HERE", b"h" * n * 1_000_000))


@fault
async def garbage(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """What is no JSON, and never an answer."""
    await peer.message(b"Segmentation fault (not really) \xff\xfe \x00")


@fault
async def garbage_first(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """What is no JSON, and then the answer: a server that prints."""
    await peer.message(b"DEBUG: about to answer")
    await peer.result(id, said("ok"))


@fault
async def no_rpc(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """JSON that is no JSON-RPC, and never an answer."""
    for wrong in ([], 5, "text", None, {"id": id, "result": {}}, {"jsonrpc": "1.0", "id": id, "result": {}}):
        await peer.send(wrong)


@fault
async def no_result(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """An answer with neither a result nor an error."""
    await peer.send({"jsonrpc": "2.0", "id": id})


@fault
async def list_result(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """An answer whose result is no object."""
    await peer.result(id, ["content"])


@fault
async def odd_result(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """A result that is no result of a tool."""
    await peer.result(id, {"content": "none", **COMPLETE})


@fault
async def odd_error(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """An error that is none."""
    await peer.send({"jsonrpc": "2.0", "id": id, "error": "it failed"})


@fault
async def rpc_error(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """A proper error, with data."""
    await peer.error(id, -32050, "The server's own error", {"why": "because"})


@fault
async def wrong_id(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """Answers to what nobody asked, and none to what was."""
    for wrong in ("nobody", 987654321, None, {"a": 1}, True):
        await peer.result(wrong, said("wrong"))


@fault
async def twice(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """Two answers: the first counts."""
    await peer.result(id, said("first"))
    await peer.result(id, said("second"))


@fault
async def deep(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """A result with n lists in one another."""
    start = json.dumps({"jsonrpc": "2.0", "id": id, "result": said("deep", structuredContent={"d": 0})})
    await peer.message(start.replace('"d": 0', '"d": ' + "[" * n + "]" * n).encode())


@fault
async def surrogate(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """Text that no UTF-8 can hold, and a NUL."""
    await peer.result(id, said("\ud800 and \0"))


@fault
async def change(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """n more tools from now on, which it tells of."""
    server.extra = n
    await peer.send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    await peer.result(id, said("changed"))


@fault
async def ask_odd(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """Asks the client what no client can do, and tells what came back."""
    asked = f"odd-{id}"
    server.answers[asked] = waiting = asyncio.get_running_loop().create_future()
    await peer.send({"jsonrpc": "2.0", "id": asked, "method": "client/formatDisk", "params": {}})
    found = await waiting
    await peer.result(id, said(json.dumps(found.get("error"))))


@fault
async def ask_many(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """Asks for roots n times at once, and waits for no answer."""
    for number in range(n):
        await peer.send({"jsonrpc": "2.0", "id": f"many-{id}-{number}", "method": "roots/list"})
    await peer.result(id, said("asked"))


@fault
async def stderr(server: Any, peer: Any, id: Any, n: int, token: Any) -> None:
    """n MB on stderr, without a line's end, and then an answer."""
    for _ in range(n):
        await asyncio.to_thread(sys.stderr.write, "e" * 1_000_000)
    sys.stderr.flush()
    await peer.result(id, said("ok"))
