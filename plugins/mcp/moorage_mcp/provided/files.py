"""The tools for files: read, write, list, move, delete. All of them over `Tree`, which keeps them in the workspace."""

from __future__ import annotations

import base64
import binascii
import errno
import os
import secrets
import stat
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import BlobResourceContents, CallToolResult, EmbeddedResource, TextContent
from pydantic import Field

from moorage_mcp.provided import paths, shapes
from moorage_mcp.provided.removal import remove_tree
from moorage_mcp.provided.tree import Tree, kind, names, told

READ, MAX_READ = 256 * 1024, 1024 * 1024
MAX_WRITE = 8 * 1024 * 1024
LIST, MAX_LIST = 500, 2000
MAX_NAMES = 200_000
"""Names of one folder that are put in order; a folder with more is not listed."""
TEMPORARY = b".moorage-"
_TYPES: dict[int, Any] = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}

Path = Annotated[str, Field(description="Relative to the workspace, for example src/main.py")]


class Files:
    """The tools, as methods; their docstrings are what clients read."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def read_file(
        self,
        path: Path,
        offset: Annotated[int, Field(ge=0, description="Byte at which to begin")] = 0,
        limit: Annotated[int, Field(ge=1, le=MAX_READ, description="Bytes at most")] = READ,
    ) -> Annotated[CallToolResult, shapes.FileContent]:
        """Read a file of the workspace, or a part of it: text as text, anything else as base64."""
        with told(path):
            name = self._tree.find(path)
            with self._tree.regular(name) as (fd, size):
                data = _read(fd, offset, limit)
        text, data = _decode(data, more=offset + len(data) < size)
        end = offset + len(data)
        found = shapes.FileContent(
            path=paths.text(name),
            encoding="base64" if text is None else "utf-8",
            content=base64.b64encode(data).decode() if text is None else text,
            size=size,
            offset=offset,
            next_offset=end if data and end < size else None,
        )
        return CallToolResult(content=_blocks(found, text), structured_content=found.model_dump())

    def write_file(
        self,
        path: Path,
        content: Annotated[str, Field(description="The text, or the bytes in base64")],
        encoding: Literal["utf-8", "base64"] = "utf-8",
        append: Annotated[bool, Field(description="Add to the end of the file instead of replacing it")] = False,
    ) -> shapes.Written:
        """Write a file of the workspace, made with its folders if it is not there. It is replaced as a whole."""
        data = _bytes(content, encoding)
        with told(path):
            name = self._tree.find(path)
            self._make_folders(name.rpartition(b"/")[0])
            with self._tree.place(name) as (folder, last):
                about = _about(folder, last)
                if about is not None and not stat.S_ISREG(about.st_mode):
                    raise _not_a_file(path, about, folder, last)
                size = _append(folder, last, data) if append else _replace(folder, last, data, about)
        return shapes.Written(path=paths.text(name), size=size, created=about is None)

    def list_directory(
        self,
        path: Annotated[str, Field(description="Relative to the workspace; empty: the workspace itself")] = "",
        offset: Annotated[int, Field(ge=0, description="How many entries to leave out")] = 0,
        limit: Annotated[int, Field(ge=1, le=MAX_LIST)] = LIST,
    ) -> shapes.Listing:
        """List a folder of the workspace, in the order of names."""
        with told(path or "."):
            name = self._tree.find(path)
            with self._tree.open(name, os.O_RDONLY | os.O_DIRECTORY) as fd:
                found = names(fd)
                if len(found) > MAX_NAMES:
                    raise ToolError(f"There are more than {MAX_NAMES} entries: use search_files with a glob")
                page = [entry for one in found[offset : offset + limit] if (entry := _entry(fd, one)) is not None]
        more = offset + limit < len(found)
        return shapes.Listing(
            path=paths.text(name), entries=page, total=len(found), next_offset=offset + limit if more else None
        )

    def create_directory(self, path: Path) -> shapes.Done:
        """Make a folder in the workspace, with those above it; nothing happens if it is there."""
        with told(path):
            name = self._tree.find(path)
            self._make_folders(name)
            with self._tree.open(name, os.O_RDONLY | os.O_DIRECTORY):
                return shapes.Done(message=f"{paths.text(name)} is there")

    def move_file(
        self,
        source: Path,
        destination: Path,
        overwrite: Annotated[bool, Field(description="Replace a file that is there")] = False,
    ) -> shapes.Done:
        """Move or rename a file or folder of the workspace."""
        with told(source):
            old = self._tree.find(source)
            with self._tree.place(old) as (from_folder, from_name):
                os.stat(from_name, dir_fd=from_folder, follow_symlinks=False)
                with told(destination):
                    new = self._tree.find(destination)
                    self._make_folders(new.rpartition(b"/")[0])
                    with self._tree.place(new) as (to_folder, to_name):
                        if not overwrite and _about(to_folder, to_name) is not None:
                            raise ToolError(f"{destination!r} is there already: set overwrite to replace it")
                        os.rename(from_name, to_name, src_dir_fd=from_folder, dst_dir_fd=to_folder)
        return shapes.Done(message=f"Moved {paths.text(old)} to {paths.text(new)}")

    def delete_file(
        self,
        path: Path,
        recursive: Annotated[bool, Field(description="Delete a folder with all that is in it")] = False,
    ) -> shapes.Done:
        """Delete a file, a link or an empty folder of the workspace; a full folder with `recursive`."""
        with told(path):
            name = self._tree.find(path)
            with self._tree.place(name) as (folder, last):
                about = os.stat(last, dir_fd=folder, follow_symlinks=False)
                if not stat.S_ISDIR(about.st_mode):
                    os.unlink(last, dir_fd=folder)
                elif recursive:
                    remove_tree(folder, last)
                else:
                    os.rmdir(last, dir_fd=folder)
        return shapes.Done(message=f"Deleted {paths.text(name)}")

    def _make_folders(self, path: bytes) -> None:
        parts = [part for part in path.split(b"/") if part not in (b"", b".")]
        for depth in range(1, len(parts) + 1):
            above = b"/".join(parts[:depth])
            if parts[depth - 1] == b"..":
                continue
            with self._tree.place(above) as (folder, last):
                try:
                    os.mkdir(last, 0o755, dir_fd=folder)
                except FileExistsError:
                    continue


def _read(fd: int, offset: int, limit: int) -> bytes:
    data = bytearray()
    while len(data) < limit:
        part = os.pread(fd, limit - len(data), offset + len(data))
        if not part:
            break
        data += part
    return bytes(data)


def _decode(data: bytes, *, more: bool) -> tuple[str | None, bytes]:
    """Text, if it is such, and its bytes: a character that is cut off is left for the next part."""
    if b"\0" not in data:
        try:
            return data.decode(), data
        except UnicodeDecodeError as error:
            cut = error.start >= len(data) - 3 and error.reason == "unexpected end of data"
            if more and cut and error.start > 0:
                return data[: error.start].decode(), data[: error.start]
    return None, data


def _blocks(found: shapes.FileContent, text: str | None) -> list[TextContent | EmbeddedResource]:
    """For clients that take no structured content: what was read, and how to go on."""
    blocks: list[TextContent | EmbeddedResource] = []
    if text is None:
        uri = "file:///" + quote(found.path)
        blob = BlobResourceContents(uri=uri, blob=found.content, mime_type="application/octet-stream")
        blocks.append(EmbeddedResource(type="resource", resource=blob))
    else:
        blocks.append(TextContent(type="text", text=text))
    if found.next_offset is not None:
        rest = f"[{found.size} bytes in all; go on with offset {found.next_offset}]"
        blocks.append(TextContent(type="text", text=rest))
    return blocks


def _bytes(content: str, encoding: str) -> bytes:
    try:
        data = content.encode() if encoding == "utf-8" else base64.b64decode(content, validate=True)
    except UnicodeEncodeError:
        raise ToolError("The content has half a surrogate pair in it, which is no text: send base64") from None
    except (binascii.Error, ValueError):
        raise ToolError("The content is not base64") from None
    if len(data) > MAX_WRITE:
        raise ToolError(f"The content is longer than {MAX_WRITE} bytes: write it in parts, with append")
    return data


def _about(folder: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _not_a_file(path: str, about: os.stat_result, folder: int, name: bytes) -> ToolError:
    if stat.S_ISLNK(about.st_mode):
        return ToolError(
            f"{path!r} is a link to {paths.shown(os.readlink(name, dir_fd=folder))}: write to that instead"
        )
    return ToolError(f"{path!r} is {kind(about.st_mode)}, not a file that can be written")


def _append(folder: int, name: bytes, data: bytes) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(name, flags, 0o644, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "")
        _write(fd, data)
        return os.fstat(fd).st_size
    finally:
        os.close(fd)


def _replace(folder: int, name: bytes, data: bytes, before: os.stat_result | None) -> int:
    """Beside it first, so that nobody ever reads half of it."""
    fresh = TEMPORARY + secrets.token_hex(8).encode()
    mode = stat.S_IMODE(before.st_mode) & 0o777 if before is not None else 0o644
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        try:
            _write(fd, data)
            os.fchmod(fd, mode)
        finally:
            os.close(fd)
        os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(fresh, dir_fd=folder)
        raise
    return len(data)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _entry(folder: int, name: bytes) -> shapes.Entry | None:
    """None for one that has vanished since."""
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        link = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(about.st_mode) else None
    except OSError:
        return None
    return shapes.Entry(
        name=paths.text(name),
        type=_TYPES.get(stat.S_IFMT(about.st_mode), "other"),
        size=about.st_size if stat.S_ISREG(about.st_mode) else None,
        modified=_moment(about.st_mtime),
        target=paths.text(link) if link is not None else None,
    )


def _moment(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None
