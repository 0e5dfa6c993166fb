"""The built page in memory: its files by name, each with its type, its tag and compressed copies."""

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
    """One file. `packed` is the same by content coding, the smallest first, where that saves something."""

    body: bytes
    packed: Mapping[str, bytes]
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
        packed = _packed(path, body) if path.suffix in _COMPRESSIBLE else {}
        tag = hashlib.sha256(body).hexdigest()[:24]
        found[path.relative_to(folder).as_posix()] = Asset(body, packed, content_type, tag)
    return found


def _packed(path: Path, body: bytes) -> Mapping[str, bytes]:
    """What is smaller than the body: by Brotli where the build left that beside the file, and gzip."""
    found = {"gzip": gzip.compress(body, 9, mtime=0)}
    brotli = path.with_name(f"{path.name}.br")
    if brotli.is_file():
        found = {"br": brotli.read_bytes(), **found}
    return {coding: packed for coding, packed in found.items() if len(packed) < len(body)}
