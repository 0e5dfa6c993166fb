"""The built page in memory: its files by name, each with its type, its tag and a compressed copy."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"
PAGE = "index.html"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_COMPRESSIBLE = frozenset({".css", ".html", ".js", ".json", ".svg", ".txt"})


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. `packed` is the same as gzip, or None where that saves nothing."""

    body: bytes
    packed: bytes | None
    content_type: str
    tag: str


def load(folder: Path = STATIC) -> Mapping[str, Asset]:
    """Every file of the built page by its name relative to `folder`; empty when it was not built.

    What is served is what this mapping holds: no path of a request ever reaches the file system.
    """
    found: dict[str, Asset] = {}
    for path in sorted(folder.rglob("*")):
        content_type = _TYPES.get(path.suffix)
        if content_type is None or not path.is_file():
            continue
        body = path.read_bytes()
        packed = gzip.compress(body, 9, mtime=0) if path.suffix in _COMPRESSIBLE else None
        if packed is not None and len(packed) >= len(body):
            packed = None
        tag = hashlib.sha256(body).hexdigest()[:24]
        found[path.relative_to(folder).as_posix()] = Asset(body, packed, content_type, tag)
    return found
