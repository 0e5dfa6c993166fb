"""A mmry service in the test's process: its HTTP API as its revisions have had it, and faults when asked for.

Source of the format: mmry's HTTP service. There is none to install any more.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "mmry-token-of-the-server"
MOST = 100
_STORE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Mmry:
    """The service. `stores`: its memories by store, oldest first; `requests`: (method, path, query, body, headers).

    older: it has `/v1/agents/memories`, whose answer does not hold the text, and no `POST /v1/memories`; without, the
    other way round. fault: what it does instead of an answer, until it is set to None: a status, "hang", "cut" (in the
    middle of the body), "drop" (at once), "html", "list", or an object that it answers with; `only`: to which methods,
    all without.
    """

    def __init__(self, *, older: bool = True, token: str | None = TOKEN) -> None:
        self.older, self.token = older, token
        self.fault: int | str | Mapping[str, Any] | None = None
        self.only: frozenset[str] = frozenset()
        self.stores: dict[str, list[dict[str, Any]]] = {"default": []}
        self.requests: list[tuple[str, str, dict[str, str], Any, dict[str, str]]] = []
        self.released = threading.Event()
        self.lock = threading.Lock()
        self._clock = datetime(2026, 1, 1, tzinfo=UTC)
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        """End it; what hangs is let go."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def now(self) -> str:
        """As chrono writes it, each a little later than the one before."""
        self._clock += timedelta(seconds=1)
        return self._clock.strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"

    # -- what it does --------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Status and JSON."""
        store = query.get("store") or (body or {}).get("store") or "default"
        if _STORE.fullmatch(store) is None:
            return _error(400, f"invalid store: {store}")
        if path == "/v1/stores":
            return 200, {"stores": [{"name": name} for name in sorted(self.stores)], "default": "default"}
        if path == "/v1/agents/memories" and self.older and method == "POST":
            return 200, self._agents(store, body)
        if path == "/v1/memories" and method == "POST" and not self.older:
            return 200, {"memory": self._made(store, body)}
        if path == "/v1/agents/memories" or method not in ("GET", "POST", "PUT", "DELETE"):
            return _error(404, "no such route")
        if store not in self.stores:
            return _error(400, f"unknown store: {store}")
        if path == "/v1/federation/search":
            return 200, {"memories": self._found(store, body)}
        if path == "/v1/memories" and method == "GET":
            return 200, self._page(store, query)
        if path.startswith("/v1/memories/"):
            return self._one(method, store, path.rpartition("/")[2], body)
        return _error(404, "no such route")

    def _made(self, store: str, body: Mapping[str, Any]) -> dict[str, Any]:
        now = self.now()
        memory = {
            "id": str(uuid.uuid4()),
            "memory_type": body.get("memory_type", "semantic"),
            "content": body["content"],
            "embedding": None,
            "sparse_embedding": None,
            "metadata": {},
            "importance": body.get("importance", 5),
            "created_at": now,
            "updated_at": now,
            "category": body.get("category", "default"),
            "tags": body.get("tags", []),
            "parent_id": None,
            "chunk_index": None,
            "total_chunks": None,
            "helpful_count": 0,
        }
        self.stores.setdefault(store, []).append(memory)
        return memory

    def _agents(self, store: str, body: Mapping[str, Any]) -> dict[str, Any]:
        memory = self._made(store, body)
        told = ("id", "memory_type", "category", "tags", "importance", "created_at")
        more = {"facts_extracted": 0, "bridge_block_id": None, "is_new_topic": True}
        return {**{name: memory[name] for name in told}, **more}

    def _page(self, store: str, query: Mapping[str, str]) -> dict[str, Any]:
        category = query.get("category")
        meant = [one for one in reversed(self.stores[store]) if category in (None, one["category"])]
        limit, offset = min(int(query.get("limit", 50)), MOST), int(query.get("offset", 0))
        return {"memories": meant[offset : offset + limit], "total": len(meant), "offset": offset, "limit": limit}

    def _found(self, store: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        words = body["query"].lower().split()
        category = body.get("category")
        meant = [
            one
            for one in self.stores[store]
            if category in (None, one["category"]) and any(word in one["content"].lower() for word in words)
        ]
        return meant[: min(body.get("limit", 10), MOST)]

    def _one(self, method: str, store: str, id: str, body: Any) -> tuple[int, Any]:
        try:
            uuid.UUID(id)
        except ValueError:
            return _error(400, "invalid uuid")
        memory = next((one for one in self.stores[store] if one["id"] == id), None)
        if memory is None:
            return _error(404, f"memory not found: {id}")
        if method == "PUT":
            changes = {name: body[name] for name in ("content", "category", "tags", "importance") if name in body}
            memory.update(changes, updated_at=self.now())
            return 200, {"memory": memory}
        if method == "DELETE":
            self.stores[store].remove(memory)
            return 200, {"deleted": True, "id": id}
        return 200, memory


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave are no fault."""


def _error(status: int, message: str) -> tuple[int, Any]:
    return status, {"error": {"message": message}}


def _handler(service: Mmry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *args: Any) -> None:
            pass

        def _do(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(data) if data else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            fault = service.fault if not service.only or self.command in service.only else None
            with service.lock:
                service.requests.append((self.command, parts.path, query, body, headers))
                if fault is not None:
                    pass
                elif service.token is not None and headers.get("authorization") != f"Bearer {service.token}":
                    status, answer = _error(401, "unauthorized")
                else:
                    status, answer = service.answer(self.command, parts.path, query, body)
            if fault is None:
                self._send(status, json.dumps(answer).encode())
            else:
                self._fail(fault)

        def _fail(self, fault: int | str | Mapping[str, Any]) -> None:
            if isinstance(fault, int):
                self._send(*((status := fault), json.dumps(_error(status, "as the test wants it")[1]).encode()))
            elif isinstance(fault, Mapping):
                self._send(200, json.dumps(fault).encode())
            elif fault == "hang":
                service.released.wait(60)
                self.close_connection = True
            elif fault == "cut":
                self._send(200, b'{"memories": [', length=1000)
                self.close_connection = True
            elif fault == "drop":
                self.close_connection = True
            else:
                self._send(200, {"html": b"<html>", "list": b"[1, 2]"}[fault])

        def _send(self, status: int, body: bytes, length: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _do

    return Handler
