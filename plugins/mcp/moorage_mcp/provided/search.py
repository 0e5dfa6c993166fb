"""search_files: by name, by contents, or both; bounded in files, bytes, time and matches."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import time
from collections.abc import Iterator
from typing import Annotated

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from moorage_mcp.provided import paths, shapes
from moorage_mcp.provided.tree import GIT, Tree, names, told

MATCHES, MAX_MATCHES = 100, 1000
MAX_FILES = 50_000
MAX_FILE = 4 * 1024 * 1024
MAX_BYTES = 512 * 1024 * 1024
MAX_SECONDS = 20.0
MAX_TEXT = 300
"""Characters of a line that are shown."""
MAX_ANSWER = 1024 * 1024
"""Characters of all matches."""
MAX_PATTERN = 500
_BINARY = 8192


class _Enough(Exception):
    """The text says what there was too much of."""


class Search:
    """The tool. Contents are searched for plain text: an expression could keep the server busy for ever."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def search_files(
        self,
        glob: Annotated[
            str, Field(max_length=MAX_PATTERN, description="Names or paths to look at, for example *.py or src/*.md")
        ] = "*",
        query: Annotated[str, Field(max_length=MAX_PATTERN, description="Text that a line of the file has in it")] = "",
        path: Annotated[str, Field(description="Folder to look in; empty: the whole workspace")] = "",
        ignore_case: bool = True,
        limit: Annotated[int, Field(ge=1, le=MAX_MATCHES)] = MATCHES,
    ) -> shapes.Matches:
        """Find files of the workspace by name (glob), by the text in them (query), or both. `.git` is left out."""
        if not query and glob in ("", "*", "**"):
            raise ToolError("Say what to look for: a glob such as *.py, a query, or both")
        wanted, text = _glob(glob), _text(query, ignore_case)
        found, reason, searched = _Found(limit), None, 0
        with told(path or "."):
            start = self._tree.find(path)
            with self._tree.open(start, os.O_RDONLY | os.O_DIRECTORY):
                pass
        try:
            read = 0
            for name in self._walk(start, time.monotonic() + MAX_SECONDS):
                if not (wanted.match(name) or wanted.match(name.rpartition(b"/")[2])):
                    continue
                if searched >= MAX_FILES:
                    raise _Enough(f"more than {MAX_FILES} files")
                searched += 1
                if text is None:
                    found.add(shapes.Match(path=paths.text(name)))
                    continue
                data = self._content(name)
                read += len(data)
                for match in _lines(name, data, text):
                    found.add(match)
                if read > MAX_BYTES:
                    raise _Enough(f"more than {MAX_BYTES >> 20} MiB were read")
        except _Enough as enough:
            reason = str(enough)
        return shapes.Matches(
            matches=found.matches, files_searched=searched, truncated=reason is not None, reason=reason
        )

    def _walk(self, start: bytes, deadline: float) -> Iterator[bytes]:
        """All regular files below, links not followed; what vanishes or cannot be read is left out."""
        left = [start]
        while left:
            folder = left.pop()
            inner: list[bytes] = []
            try:
                with self._tree.open(folder, os.O_RDONLY | os.O_DIRECTORY, links=folder == start) as fd:
                    for name in names(fd):
                        if time.monotonic() > deadline:
                            raise _Enough(f"it took longer than {MAX_SECONDS:g} s")
                        try:
                            mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
                        except OSError:
                            continue
                        whole = name if folder == b"." else folder + b"/" + name
                        if stat.S_ISREG(mode):
                            yield whole
                        elif stat.S_ISDIR(mode) and name != GIT:
                            inner.append(whole)
            except OSError:
                continue
            left += reversed(inner)

    def _content(self, name: bytes) -> bytes:
        """The beginning of a file; nothing of one that is no text, or gone."""
        try:
            with self._tree.regular(name) as (fd, size):
                data = os.pread(fd, min(size, MAX_FILE), 0)
        except (OSError, ToolError):
            return b""
        return b"" if b"\0" in data[:_BINARY] else data


def _glob(pattern: str) -> re.Pattern[bytes]:
    """`**/` is any folder, none too. fnmatch's own translation takes a time that is linear in `*`."""
    raw = pattern.removeprefix("./").encode("utf-8", "surrogatepass")
    raw = re.sub(rb"\*\*/?", b"*", raw)
    return re.compile(fnmatch.translate(raw.decode("latin-1")).encode("latin-1"))


def _text(query: str, ignore_case: bool) -> re.Pattern[bytes] | None:
    if not query:
        return None
    if ignore_case:
        # As text, so that letters other than a-z have their other case too.
        both = ("(?:" + "|".join({re.escape(form) for form in (c, c.lower(), c.upper())}) + ")" for c in query)
        return re.compile("".join(both).encode("utf-8", "surrogatepass"))
    return re.compile(re.escape(query.encode("utf-8", "surrogatepass")))


def _lines(name: bytes, data: bytes, text: re.Pattern[bytes]) -> Iterator[shapes.Match]:
    """Each line with the text in it, once."""
    at = number = 0
    while found := text.search(data, at):
        begin = data.rfind(b"\n", 0, found.start()) + 1
        end = data.find(b"\n", found.end())
        end = len(data) if end < 0 else end
        number += data.count(b"\n", at, begin)
        shown = data[begin : min(end, begin + 4 * MAX_TEXT)].decode("utf-8", "replace").rstrip("\r")
        yield shapes.Match(path=paths.text(name), line=number + 1, text=shown[:MAX_TEXT])
        if end >= len(data):
            return
        number, at = number + 1, end + 1


class _Found:
    """What was found, as long as it is not too much."""

    def __init__(self, limit: int) -> None:
        self.matches: list[shapes.Match] = []
        self._limit, self._left = limit, MAX_ANSWER

    def add(self, match: shapes.Match) -> None:
        """_Enough when there is no room for it."""
        self._left -= len(match.path) + len(match.text or "")
        if len(self.matches) >= self._limit:
            raise _Enough(f"more than {self._limit} matches")
        if self._left < 0:
            raise _Enough(f"the matches are longer than {MAX_ANSWER >> 10} KiB")
        self.matches.append(match)
