"""The built page in memory: its files by name, each with its type, its tag and compressed copies."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
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


@dataclass(frozen=True)
class Asset:
    """One file. brotli: what the build left beside it; compressible: that gzip may make it smaller."""

    body: bytes
    content_type: str
    tag: str
    compressible: bool
    brotli: bytes | None

    @cached_property
    def packed(self) -> Mapping[str, bytes]:
        """The same by content coding, the smallest first, where that saves something. Made when first asked for:
        to pack every file is a good part of a start.
        """
        if not self.compressible:
            return {}
        found = {} if self.brotli is None else {"br": self.brotli}
        found["gzip"] = gzip.compress(self.body, 9, mtime=0)
        return {coding: packed for coding, packed in found.items() if len(packed) < len(self.body)}


@cache
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
        tag = hashlib.sha256(body).hexdigest()[:24]
        compressible = path.suffix in _COMPRESSIBLE
        brotli = path.with_name(f"{path.name}.br") if compressible else None
        beside = brotli.read_bytes() if brotli is not None and brotli.is_file() else None
        name = path.relative_to(folder).as_posix()
        found[name] = Asset(body, content_type, tag, compressible, beside)
    return found
