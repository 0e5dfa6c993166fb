"""The documents as they are served: built once for each generation of routes, and kept as bytes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moorage.openapi.documents import build
from moorage.openapi.served import by_document
from moorage.server.sites import CORE, Sites


@dataclass(frozen=True, slots=True)
class Document:
    """One document: compact JSON, and its entity tag without quotes."""

    name: str
    body: bytes
    tag: str


class Published:
    """The documents of the routes that are in use.

    sites: the table in use; a reload makes another one. versions: of the core and the plugins by name.
    """

    def __init__(self, sites: Callable[[], Sites], versions: Callable[[], Mapping[str, str]], cookie: str) -> None:
        self._sites, self._versions, self._cookie = sites, versions, cookie
        self._of: Sites | None = None
        self._documents: dict[str, Document] = {}
        self._building = asyncio.Lock()

    async def documents(self) -> Mapping[str, Document]:
        """All of them by name."""
        async with self._building:
            sites = self._sites()
            if self._of is not sites:
                # Describing all types takes a while, in which others are served.
                self._documents = await asyncio.to_thread(render, sites, self._versions(), self._cookie)
                self._of = sites
            return self._documents


def render(sites: Sites, versions: Mapping[str, str], cookie: str) -> dict[str, Document]:
    """Every document of a table, sorted by name."""
    found: dict[str, Document] = {}
    for name, routes in sorted(by_document(sites).items()):
        owner = routes[0].owner
        version = versions.get(owner) or "0"
        document = build(name, routes, title=_title(name, owner), version=version, cookie=cookie)
        body = _json(document)
        found[name] = Document(name, body, hashlib.sha256(body).hexdigest()[:32])
    return found


def _title(name: str, owner: str) -> str:
    if name == CORE:
        return "Moorage"
    return f"Moorage: the plugin {owner}" if owner != CORE else f"Moorage: the account API of {name}"


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=str).encode()
