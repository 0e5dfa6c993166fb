"""What is in a folder, and below it: bounded in depth and number, links never followed."""

from __future__ import annotations

import heapq
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from moorage.api import MoorageError

from moorage_opencode.files.confine import Cage, Fd, listing
from moorage_opencode.files.paths import Parts, encoded, shown, shown_path
from moorage_opencode.files.pool import Stop

MAX_DEPTH = 100
HIDDEN_FOLDERS = frozenset(
    (b".git", b"node_modules", b"__pycache__", b".cache", b"target", b".venv", b"venv"),
)
HIDDEN_ENDINGS = (b".pyc", b".pyo", b".o", b".so", b".dylib")
TEMPORARY = b".moorage-"
"""How names begin that are ours for a moment: never shown, never told of."""
DOCUMENTS = frozenset(
    b".txt .md .pdf .doc .docx .odt .rtf .csv .xls .xlsx .ods .ppt .pptx .odp "
    b".png .jpg .jpeg .gif .svg .webp .json .xml .yaml .yml".split()
)
Node = dict[str, Any]


@dataclass(slots=True)
class Wanted:
    """Which entries. depth: folders below folders; entries: at most so many altogether."""

    depth: int = 20
    entries: int = 20_000
    show_hidden: bool = False
    documents: bool = False


@dataclass(slots=True)
class Tree:
    """What was found. cut: something is not in it because there is too much."""

    nodes: list[Node] = field(default_factory=list)
    cut: bool = False


def hidden(name: bytes, is_folder: bool, show_hidden: bool) -> bool:
    """Whether an entry stays out of trees and events, by its name."""
    if name.startswith(TEMPORARY):
        return True
    if is_folder and name in HIDDEN_FOLDERS:
        return True
    if not is_folder and name.lower().endswith(HIDDEN_ENDINGS):
        return True
    return not show_hidden and name.startswith(b".")


def tree(cage: Cage, base: Parts, parts: Parts, wanted: Wanted, stop: Stop) -> Tree:
    """The entries of base + parts, folders first. Paths in it are relative to `base`.

    Breadth first: where the number does not reach, the upper levels are there. OSError for the folder itself;
    one below that cannot be read is shown without children.
    """
    found = Tree()
    left = wanted.entries
    with cage.open(base + parts) as top:
        first = listing(top)
    if not wanted.depth:
        return found
    below = Cage.at(first)  # A link may have led here: what is below is opened from the real place.
    unread: deque[tuple[Parts, Node | None]] = deque([((), None)])
    while unread:
        stop.check()
        inner, node = unread.popleft()
        try:
            names, cut = _names(below, inner, wanted, cage, base + parts, stop)
        except OSError:
            if node is None:
                raise
            continue
        entries: list[Node] = []
        if len(names) > left:
            names, cut = names[:left], True
        left -= len(names)
        for entry in names:
            entries.append(_node(entry, (*parts, *inner)))
            if entry.folder and not entry.link and len(inner) + 1 < wanted.depth:
                unread.append(((*inner, entry.name), entries[-1]))
        if node is None:
            found.nodes = entries
        else:
            node["children"] = entries
            if cut:
                node["truncated"] = True
        found.cut = found.cut or cut
    first.close()
    if wanted.documents:
        found.nodes = sorted(_flat(found.nodes), key=lambda node: str(node["path"]).casefold())
    return found


@dataclass(slots=True)
class _Entry:
    name: bytes
    folder: bool
    link: bool
    about: os.stat_result | None


def _names(
    below: Cage, inner: Parts, wanted: Wanted, cage: Cage, prefix: Parts, stop: Stop
) -> tuple[list[_Entry], bool]:
    """The entries of a folder in order, and whether there were too many. Memory: for those that are wanted only."""
    limit = wanted.entries
    with below.plain(inner) as fd:
        with os.scandir(fd.number) as items:
            found = _sorted_by(items, wanted, lambda name: _leads_to_folder(cage, (*prefix, *inner, name)), stop)
            first = heapq.nsmallest(limit + 1, found)
        cut = len(first) > limit
        return [_Entry(name, not file, link, _stat(fd, name)) for file, _, name, link in first[:limit]], cut


def _sorted_by(
    items: Iterable[os.DirEntry[str]], wanted: Wanted, leads_to_folder: Callable[[bytes], bool], stop: Stop
) -> Iterator[tuple[bool, str, bytes, bool]]:
    """What is to be shown, by what it is to be sorted: (no folder, name in lower case, name, link)."""
    for item in items:
        stop.check()
        name, link = os.fsencode(item.name), item.is_symlink()
        folder = leads_to_folder(name) if link else item.is_dir(follow_symlinks=False)
        if not hidden(name, folder, wanted.show_hidden) and (folder or not wanted.documents or _document(name)):
            yield not folder, shown(name).casefold(), name, link


def _stat(fd: Fd, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=fd.number, follow_symlinks=False)
    except OSError:
        return None


def _leads_to_folder(cage: Cage, parts: Parts) -> bool:
    try:
        with cage.open(parts) as fd:
            return stat.S_ISDIR(os.fstat(fd.number).st_mode)
    except (MoorageError, OSError):
        return False  # Broken, or out of the workspace: a link and no more.


def _document(name: bytes) -> bool:
    return os.path.splitext(name)[1].lower() in DOCUMENTS  # noqa: PTH122


def _node(entry: _Entry, above: Parts) -> Node:
    """An entry as clients know it. kind: "symlink" or "special" where it is neither a plain file nor folder."""
    path = (*above, entry.name)
    node: Node = {"name": shown(entry.name), "path": shown_path(path), "type": "directory" if entry.folder else "file"}
    if entry.about is not None:
        if stat.S_ISREG(entry.about.st_mode):
            node["size"] = entry.about.st_size
        node["modified"] = max(0, int(entry.about.st_mtime))
        if entry.link:
            node["kind"] = "symlink"
        elif not entry.folder and not stat.S_ISREG(entry.about.st_mode):
            node["kind"] = "special"
    if (text := encoded(b"/".join(path))) is not None:
        node["encoded"] = text
    return node


def _flat(nodes: list[Node]) -> list[Node]:
    """All files of a tree, without the folders."""
    files: list[Node] = []
    uncounted = list(nodes)
    while uncounted:
        node = uncounted.pop()
        if node["type"] == "file":
            files.append(node)
        uncounted += node.get("children", ())
    return files
