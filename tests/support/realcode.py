"""A real `moorage serve` with the opencode plugin over the real OpenCode and a scripted provider, and its clients."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from harness import Server
from realparts.llm import Llm

ROLES = {"ann": "operator", "bob": "operator", "vic": "viewer", "ada": "admin"}
PASSWORD = "correct horse battery"


def repository(folder: Path, **files: str) -> Path:
    """The folder, made a repository with these files in it; two underscores are a point."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["git", "init", "-q", str(folder)], check=True, timeout=30)
    for path, text in files.items():
        (folder / path.replace("__", ".")).write_text(text)
    return folder


class Coding:
    """The server, its provider, and one user's sessions at a time."""

    def __init__(self, server: Server, llm: Llm, projects: Path) -> None:
        self.server, self.llm, self.projects = server, llm, projects
        self.tokens: dict[str, str] = {}

    def token(self, who: str) -> str:
        """A token of a fresh login."""
        answer = httpx.post(
            f"{self.server.url}/api/auth/login", json={"username": who, "password": PASSWORD}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def client(self, who: str) -> httpx.Client:
        """A client with the token of an earlier login."""
        if who not in self.tokens:
            self.tokens[who] = self.token(who)
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        return httpx.Client(base_url=self.server.url, headers=headers, timeout=120)

    def project(self, name: str, **files: str) -> Path:
        """A project's folder, a repository with these files in it."""
        return repository(self.projects / name, **files)

    def session(self, who: str, project: Path, **wish: Any) -> str:
        """The id of a new session that runs."""
        with self.client(who) as client:
            answer = client.post("/api/sessions", json={"project_path": str(project), **wish})
        assert answer.status_code == 201, f"{answer.text}\n{self.server.stderr[-2000:]}"
        return str(answer.json()["id"])

    def code(self, session: str, path: str = "") -> str:
        """The address of a session's OpenCode."""
        return f"{self.server.url}/api/session/{session}/code{path}"


@contextlib.contextmanager
def coding(
    folder: Path, binary: Path, core: dict[str, Any] | None = None, *, llm_host: str = "127.0.0.1", **options: Any
) -> Iterator[Coding]:
    """A server with the users of `ROLES`; all that it has started is ended with it. llm_host: where sessions reach
    the provider."""
    projects = folder / "projects"
    projects.mkdir(parents=True)
    llm = Llm(llm_host)
    plugin = {
        "enabled": True,
        "required": True,
        "roots": [str(projects)],
        "binary": str(binary),
        "opencode_config": dict(llm.config()),
        **options,
    }
    config = {"limits": {"enabled": False}, "plugins": {"opencode": plugin}, **(core or {})}
    server = Server(folder, config)
    try:
        server.start()
        server.add_users(ROLES)
        place = Coding(server, llm, projects)
        yield place
        with place.client("ada") as admin:
            for session in admin.get("/api/admin/sessions").json():
                admin.delete(f"/api/admin/sessions/{session['id']}")
    finally:
        server.stop()
        llm.stop()
