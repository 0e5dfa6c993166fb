"""A server for tests of files: sessions that do not run, whose files are reached all the same."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from harness import Server
from openapi_check import Checker, checked, documents_of

ROLES = {"ann": "operator", "bob": "operator", "vic": "viewer", "ada": "admin"}


class Workspace:
    """A folder of a session's project, through its fileserver. Paths in its calls are relative to the folder."""

    def __init__(self, server: FilesServer, who: str, client: httpx.Client, name: str) -> None:
        self.server, self.client, self._name = server, client, name
        self.path = server.projects[who] / name
        self.path.mkdir()
        self.base = f"/api/session/{server.sessions[who]}/files"

    def inside(self, path: str) -> str:
        """A path of the folder as one of the session."""
        return f"{self._name}/{path}" if path else self._name

    def _at(self, url: str) -> str:
        """The URL with its `path` inside of the folder."""
        route, _, query = url.partition("?")
        if route == "/health":
            return self.base + url
        if "path=" not in query:
            query = f"path=.&{query}" if query else "path=."
        return self.base + route + "?" + re.sub(r"\bpath=", f"path={self._name}/", query)

    def get(self, url: str, **options: Any) -> httpx.Response:
        answer = self.client.get(self._at(url), **options)
        if url.startswith("/tree") and answer.is_success:
            answer._content = answer.content.replace(f'"{self._name}/'.encode(), b'"')
        return answer

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self.client.post(self._at(url), **options)

    def put(self, url: str, **options: Any) -> httpx.Response:
        return self.client.put(self._at(url), **options)

    def delete(self, url: str, **options: Any) -> httpx.Response:
        return self.client.delete(self._at(url), **options)

    def make(self, path: str, data: bytes | None = None) -> None:
        """A file, as the agent would make it; its path is in it unless something else is."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(path.encode() if data is None else data)

    def read(self, path: str) -> bytes:
        return (self.path / path).read_bytes()

    def mtime(self, path: str) -> int:
        return int((self.path / path).stat().st_mtime)

    def names(self, path: str = ".") -> list[str]:
        """All that is in a folder, hidden or not."""
        return sorted(os.listdir(self.path / path))


class FilesServer(Server):
    """With users, and a session of ann's and of bob's."""

    projects: dict[str, Path]
    sessions: dict[str, str]
    keys: dict[str, str]
    checker: Checker

    def api(self, who: str | None, *scopes: str) -> httpx.Client:
        """A client whose answers are checked against the server's OpenAPI documents."""
        key = self.key(who, *scopes) if who and scopes else self.keys.get(who or "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return checked(httpx.Client(base_url=self.url, headers=headers, timeout=60), self, self.checker)

    @contextlib.contextmanager
    def workspace(self, who: str, name: str) -> Iterator[Workspace]:
        """A folder of a session, gone at the end."""
        with self.api(who) as client:
            workspace = Workspace(self, who, client, re.sub(r"[^a-z0-9]+", "-", name.lower())[:60])
            try:
                yield workspace
            finally:
                shutil.rmtree(workspace.path, ignore_errors=True)


@contextlib.contextmanager
def serving(folder: Path, **options: Any) -> Iterator[FilesServer]:
    """A running server. `options` are the plugin's."""
    program = folder / "opencode"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 1.0.0 && exit\nexit 1\n')
    program.chmod(0o755)
    projects = {who: folder / "projects" / who for who in ("ann", "bob")}
    for project in projects.values():
        project.mkdir(parents=True)
    plugin = {"enabled": True, "required": True, "roots": [str(folder / "projects")], "binary": str(program), **options}
    server = FilesServer(folder, {"limits": {"enabled": False}, "plugins": {"opencode": plugin}})
    try:
        server.start()
        server.add_users(ROLES)
        server.keys = {who: server.key(who) for who in ROLES}
        server.projects, server.sessions = projects, {}
        server.checker = Checker(documents_of(server))
        for who, project in projects.items():
            with httpx.Client(base_url=server.url, timeout=60) as client:
                made = client.post(
                    "/api/sessions",
                    json={"project_path": str(project)},
                    headers={"Prefer": "respond-async", "Authorization": f"Bearer {server.keys[who]}"},
                )
                assert made.status_code == 202, made.text
                server.sessions[who] = made.json()["id"]
        yield server
    finally:
        server.stop()
