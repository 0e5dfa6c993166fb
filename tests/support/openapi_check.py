"""Checks answers against the server's own OpenAPI documents: `checked(client, server)` makes every answer a test."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx
from jsonschema import Draft202012Validator
from waits import WAIT

METHODS = ("get", "put", "post", "delete", "patch", "head", "options")


@dataclass
class Operation:
    """One operation of a document, below one path prefix."""

    document: dict[str, Any]
    method: str
    template: str
    prefix: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", self.prefix + self.template)
        rest = {p["name"] for p in self.spec.get("parameters", ()) if p.get("description") == "The rest of the path"}
        return re.compile("".join(_part(i, part, rest) for i, part in enumerate(parts)))

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["paths"][self.template][self.method]
        return found

    def response(self, status: int) -> dict[str, Any] | None:
        found = self.spec["responses"].get(str(status)) or self.spec["responses"].get(f"{status // 100}XX")
        return resolve(self.document, found) if found else None


class Checker:
    """All operations of some documents. `check` raises AssertionError for an answer that none of them describes."""

    def __init__(self, documents: list[dict[str, Any]]) -> None:
        self.operations: list[Operation] = []
        self.seen: set[str] = set()
        for document in documents:
            closed = {**document, "components": _closed(copy.deepcopy(document["components"]))}
            for template, item in document["paths"].items():
                for method in METHODS:
                    if method in item:
                        servers = item[method].get("servers", document["servers"])
                        # Of other ports and hosts only the path counts.
                        prefixes = {re.sub(r"^\{scheme\}://[^/]*", "", s["url"]).rstrip("/") for s in servers}
                        self.operations += [Operation(closed, method, template, prefix) for prefix in prefixes]
        # A literal is meant before a parameter, as the router has it.
        self.operations.sort(key=lambda found: (found.prefix + found.template).replace("{", "\uffff"))

    def find(self, method: str, path: str) -> Operation | None:
        for operation in self.operations:
            if operation.method == method.lower() and operation.pattern.fullmatch(path):
                return operation
        return None

    def check(self, response: httpx.Response) -> None:
        """`response` was read. What no document has (a wrong path or method) is not looked at."""
        request = response.request
        operation = self.find(request.method, request.url.raw_path.decode().partition("?")[0])
        if operation is None:
            return
        self.seen.add(operation.spec["operationId"])
        where = f"{request.method} {operation.template} answered {response.status_code}"
        said = operation.response(response.status_code)
        assert said is not None, f"{where}, which its document does not know: {response.text[:300]}"
        for name, header in said.get("headers", {}).items():
            needed = resolve(operation.document, header).get("required", False)
            assert not needed or name in response.headers, f"{where} without {name}"
        content = said.get("content")
        if content is None:
            assert not response.content, f"{where} with a body: {response.text[:300]}"
            return
        kind = response.headers.get("content-type", "").partition(";")[0]
        media = next((content[m] for m in (kind, f"{kind.partition('/')[0]}/*", "*/*") if m in content), None)
        assert media is not None, f"{where} as {kind!r}, and not as {list(content)}"
        if (kind == "application/json" or kind.endswith("+json")) and "schema" in media:
            self._validate(operation, media["schema"], response.json(), where)

    def _validate(self, operation: Operation, schema: dict[str, Any], value: Any, where: str) -> None:
        whole = {**schema, "components": operation.document["components"]}
        problems = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)]
        assert not problems, f"{where}, which does not fit its schema:\n  " + "\n  ".join(problems[:5])


def documents_of(server: Any) -> list[dict[str, Any]]:
    """Every document that a running server gives."""
    with httpx.Client(base_url=server.url, timeout=WAIT) as client:
        rows = client.get("/api/core/openapi").json()["documents"]
        return [client.get(row["url"]).json() for row in rows]


def checked(client: httpx.Client, server: Any, checker: Checker | None = None) -> httpx.Client:
    """`client`, each answer of which is checked from now on. checker: one made earlier, of the same server."""
    checker = checker or Checker(documents_of(server))

    def check(response: httpx.Response) -> None:
        if response.request.method == "HEAD" or "event-stream" in response.headers.get("content-type", ""):
            return
        response.read()
        checker.check(response)

    client.event_hooks["response"].append(check)
    return client


def resolve(document: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """What a reference into the document means; anything else as it is."""
    while "$ref" in item:
        found: Any = document
        for key in item["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        item = found
    return item


def _part(index: int, text: str, rest: set[str]) -> str:
    if index % 2 == 0:
        return re.escape(text)
    return ".+" if text in rest else "[^/]+"


def _closed(item: Any) -> Any:
    """Objects take no members but those that are described: what is answered is to be documented."""
    if isinstance(item, list):
        return [_closed(part) for part in item]
    if not isinstance(item, dict):
        return item
    closed = {key: _closed(value) for key, value in item.items()}
    if item.get("type") == "object" and isinstance(item.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed
