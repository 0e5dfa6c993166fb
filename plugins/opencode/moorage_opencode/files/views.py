"""The fileserver's routes over HTTP. Source: the contract's fileserver, whose paths are below a session's here."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, NotRequired
from urllib.parse import parse_qsl

from moorage.api import Actor, LimitClass, NotFound, Permission, Route, Routes, current_actor, json_response, read_query
from pydantic import BaseModel, Field
from quart import Response, request
from typing_extensions import TypedDict

from moorage_opencode.files.answers import CONFINED, answer, disposition, expectation
from moorage_opencode.files.multipart import first_field, safe_name
from moorage_opencode.files.paths import Parts, parse, shown, shown_path
from moorage_opencode.files.reading import tag
from moorage_opencode.files.refusals import FILES_DIALECT, invalid
from moorage_opencode.files.service import Files, Scope
from moorage_opencode.files.tree import MAX_DEPTH, Tree, Wanted
from moorage_opencode.rights import FILES, WRITE
from moorage_opencode.sessions import Sessions

BASES = (
    "/api/session/{id}/files",
    "/api/sessions/{id}/files",
    "/api/session/{id}/workspace",
    "/api/workspace/files",  # The session is the one whose workspace `workspace_path` is, or lies in.
)
_FORM_OVERHEAD = 64 * 1024
_UPLOAD_SECONDS = 3600.0
Text = Annotated[str, Field(max_length=16_384)]


class NodeShape(TypedDict):
    """An entry of a tree. size: bytes. modified: Unix seconds.

    children: absent at the depth limit, and of what is no folder or cannot be read. truncated: some are missing.
    kind: "symlink" or "special" (a pipe, socket or device). encoded: of a path that is no UTF-8, what a query needs.
    """

    name: str
    path: str
    type: Literal["file", "directory"]
    size: NotRequired[int]
    modified: NotRequired[int]
    children: NotRequired[list[NodeShape]]
    truncated: NotRequired[bool]
    kind: NotRequired[Literal["symlink", "special"]]
    encoded: NotRequired[str]


class HealthShape(TypedDict):
    """GET …/health. root: the session's workspace."""

    status: str
    root: str


class DoneShape(TypedDict):
    """A change that was made."""

    success: bool
    message: str
    path: str


class ErrorShape(TypedDict):
    """The disk is full."""

    error: str
    code: str
    error_code: str


class Within(BaseModel):
    """directory (or workspace_path): a folder of the workspace to which all paths are relative."""

    directory: Text = ""
    workspace_path: Text = ""


class TreeQuery(Within):
    """Which entries. depth: folders below folders; mode "simple": a flat list of documents."""

    path: Text = "."
    depth: Annotated[int, Field(ge=0, le=1_000_000)] = 20
    mode: Literal["full", "simple"] = "full"
    show_hidden: bool = False


class PathQuery(Within):
    """Which file or folder."""

    path: Text


class FileQuery(PathQuery):
    """highlight: as a page with colours, in a style of Pygments (theme)."""

    highlight: bool = False
    theme: Annotated[str, Field(max_length=64)] = "default"


class WriteQuery(PathQuery):
    """mkdir: make folders that are missing."""

    mkdir: bool = False


class RenameQuery(Within):
    """From where to where."""

    old_path: Text
    new_path: Text


class ZipQuery(Within):
    """paths: with commas between them. name: of the archive."""

    paths: Text
    name: Annotated[str, Field(max_length=1000)] = ""


def raw_query(query: bytes) -> dict[str, bytes]:
    """A query's fields as bytes: names of files need not be text. The first of a repeated one."""
    fields: dict[str, bytes] = {}
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=64)
    for key, value in pairs:
        fields.setdefault(key, value.encode("latin-1"))
    return fields


def scope_of(sessions: Sessions, actor: Actor, id: str, permission: Permission, fields: dict[str, bytes]) -> Scope:
    """Which session's files, and which folder of them, a request is about. id: "" when the path does not say."""
    directory = fields.get("directory") or fields.get("workspace_path", b"")
    live = sessions.live(actor, id or _session_at(sessions, actor, fields.get("workspace_path", b"")), permission)
    sessions.touch(live)
    return Scope.of(live, directory)


def _session_at(sessions: Sessions, actor: Actor, workspace: bytes) -> str:
    """The id of the user's own session that works there, or nearest above."""
    wanted = (b"/", *parse(workspace)) if workspace.startswith(b"/") else ()
    mine = [entry.live for entry in sessions.records if actor.user is not None and entry.live.user_id == actor.user.id]
    at = {(b"/", *parse(os.fsencode(live.workspace))): live.pid for live in mine}
    for length in range(len(wanted), 1, -1):
        if wanted[:length] in at:
            return at[wanted[:length]]
    raise NotFound("No session of yours has that workspace_path")


class Asked:
    """A request about a session's files, checked: who, which session, which folder."""

    def __init__(self, sessions: Sessions, id: str, permission: Permission) -> None:
        self.fields = raw_query(request.query_string)
        self.where = scope_of(sessions, current_actor(), id, permission, self.fields)

    def path(self, field: str = "path", default: bytes = b"") -> Parts:
        """A field as a path. Forbidden, BadRequest."""
        return parse(self.fields.get(field, default))


def routes(files: Files, sessions: Sessions) -> list[Route]:
    """All of them, under each of their addresses."""
    views = Views(files, sessions)
    table = Routes()
    read: dict[str, Any] = {"access": FILES.name, "limit": LimitClass.PROXIED, "dialect": FILES_DIALECT}
    done = {"answer": DoneShape, "answers": {507: ErrorShape}}
    write: dict[str, Any] = {"access": WRITE.name, "limit": LimitClass.PROXIED, "dialect": FILES_DIALECT, **done}
    binary: dict[str, Any] = {**read, "media_type": "*/*", "answers": {206: Any, 304: None}}
    for base in BASES:
        upload = {**write, "timeout": _UPLOAD_SECONDS, "query": WriteQuery}
        table.get(base + "/health", **read, answer=HealthShape)(views.health)
        table.get(base + "/tree", **read, query=TreeQuery, answer=list[NodeShape])(views.tree)
        table.get(base + "/file", **binary, query=FileQuery)(views.file)
        table.get(base + "/download", **binary, query=PathQuery)(views.download)
        table.get(base + "/download-zip", **read, query=ZipQuery, media_type="application/zip")(views.download_zip)
        table.post(base + "/file", **upload, max_body=files.max_bytes + _FORM_OVERHEAD)(views.upload)
        table.put(base + "/file", **upload, max_body=files.max_bytes)(views.put)
        table.delete(base + "/file", **write, query=PathQuery, timeout=_UPLOAD_SECONDS)(views.delete)
        table.put(base + "/mkdir", **write, query=PathQuery)(views.mkdir)
        table.post(base + "/rename", **write, query=RenameQuery)(views.rename)
    return list(table)


View = Callable[..., Awaitable[Response]]


class Views:
    """Parse, call one operation, answer."""

    def __init__(self, files: Files, sessions: Sessions) -> None:
        self.files, self.sessions = files, sessions

    async def health(self, id: str = "") -> Response:
        """Say that the workspace is there, and where."""
        asked = Asked(self.sessions, id, FILES)
        await self.files.check(asked.where)
        return json_response({"status": "ok", "root": shown(asked.where.workspace)})

    async def tree(self, id: str = "") -> Response:
        """List a folder and what is below it, folders first. `X-Truncated: true` when there is more than is told."""
        query, asked = read_query(TreeQuery), Asked(self.sessions, id, FILES)
        wanted = Wanted(
            depth=min(query.depth, MAX_DEPTH),
            entries=self.files.max_entries,
            show_hidden=query.show_hidden,
            documents=query.mode == "simple",
        )
        body, cut = await self.files.tree(asked.where, asked.path(default=b"."), wanted, _as_json)
        response = Response(body, content_type="application/json")
        if cut:
            response.headers["X-Truncated"] = "true"
        return response

    async def file(self, id: str = "") -> Response:
        """Read a file: all of it, or a part (`Range`); only if it has changed (`If-None-Match`); or with colours."""
        query, asked = read_query(FileQuery), Asked(self.sessions, id, FILES)
        found = await self.files.find(asked.where, asked.path())
        if not query.highlight:
            return await answer(self.files, asked.where, found, kind="inline", limit=self.files.max_bytes)
        page = await self.files.highlighted(asked.where, found, query.theme)
        response = Response(page, headers=CONFINED, content_type="text/html; charset=utf-8")
        response.headers["Content-Disposition"] = "inline"
        return response

    async def download(self, id: str = "") -> Response:
        """Download a file of any size, or a folder as a ZIP archive."""
        read_query(PathQuery)
        asked = Asked(self.sessions, id, FILES)
        path = asked.path()
        if await self.files.is_folder(asked.where, path):
            whole = path or asked.where.base or parse(asked.where.workspace) or (b"workspace",)
            return await self._zip(asked, [path], shown(whole[-1]))
        found = await self.files.find(asked.where, path)
        return await answer(self.files, asked.where, found, kind="attachment", limit=None)

    async def download_zip(self, id: str = "") -> Response:
        """Download files and folders as one ZIP archive, made while it is sent."""
        query, asked = read_query(ZipQuery), Asked(self.sessions, id, FILES)
        paths = [parse(path) for path in asked.fields["paths"].split(b",") if path.strip()]
        if not paths:
            raise invalid("No paths were given")
        return await self._zip(asked, paths, query.name or "download")

    async def _zip(self, asked: Asked, paths: list[Parts], name: str) -> Response:
        name = name if name.lower().endswith(".zip") else name + ".zip"
        headers = {**CONFINED, "Content-Disposition": disposition(name, "attachment")}
        body: Any = b"" if request.method == "HEAD" else await self.files.zipped(asked.where, paths)
        response = Response(body, headers=headers, content_type="application/zip")
        response.headers.pop("Content-Length", None)
        return response

    async def upload(self, id: str = "") -> Response:
        """Upload a file: the first field of a multipart body. To a folder, it gets the name that it came with."""
        query, asked = read_query(WriteQuery), Asked(self.sessions, id, WRITE)
        path = asked.path()
        field = await first_field(aiter(request.body))
        if asked.fields["path"].endswith(b"/") or await self._is_folder(asked.where, path):
            path = (*path, safe_name(field.file_name))
        size, new_tag, _ = await self.files.write(
            asked.where,
            path,
            aiter(field),
            follow=False,
            make_folders=query.mkdir,
            expect=expectation(tag),
        )
        return _done(f"Uploaded: {shown_path(path)} ({size} bytes)", path, new_tag)

    async def _is_folder(self, where: Scope, path: Parts) -> bool:
        if not path:
            return True
        try:
            return await self.files.is_folder(where, path)
        except NotFound:
            return False

    async def put(self, id: str = "") -> Response:
        """Write a file: the body as it is. `If-Match` with the ETag that was read keeps others' changes."""
        query, asked = read_query(WriteQuery), Asked(self.sessions, id, WRITE)
        path = asked.path()
        size, new_tag, _ = await self.files.write(
            asked.where,
            path,
            aiter(request.body),
            follow=True,
            make_folders=query.mkdir,
            expect=expectation(tag),
        )
        return _done(f"Written: {shown_path(path)} ({size} bytes)", path, new_tag)

    async def delete(self, id: str = "") -> Response:
        """Delete a file, or a folder with all that is in it."""
        read_query(PathQuery)
        asked = Asked(self.sessions, id, WRITE)
        path = asked.path()
        was_folder = await self.files.delete(asked.where, path, expectation(tag))
        return _done(f"Deleted {'directory' if was_folder else 'file'}: {shown_path(path)}", path)

    async def mkdir(self, id: str = "") -> Response:
        """Make a folder, and those above it. One that is there already is as good."""
        read_query(PathQuery)
        asked = Asked(self.sessions, id, WRITE)
        path = asked.path()
        new = await self.files.make_folder(asked.where, path)
        return _done(f"Directory created: {shown_path(path)}" if new else "Directory already exists", path)

    async def rename(self, id: str = "") -> Response:
        """Move a file or folder. What is at the new place already stays: 400."""
        read_query(RenameQuery)
        asked = Asked(self.sessions, id, WRITE)
        old, new = asked.path("old_path"), asked.path("new_path")
        await self.files.rename(asked.where, old, new)
        return _done(f"Renamed: {shown_path(old)} -> {shown_path(new)}", new)


def _as_json(tree: Tree) -> tuple[bytes, bool]:
    return json.dumps(tree.nodes, separators=(",", ":"), ensure_ascii=False).encode(), tree.cut


def _done(message: str, path: Parts, new_tag: str | None = None) -> Response:
    headers = {"ETag": f'"{new_tag}"'} if new_tag else None
    return json_response({"success": True, "message": message, "path": shown_path(path)}, headers=headers)
