"""A server with every shipped plugin and the example's, over real parts, and something of each kind in it.

What a test of the application as a whole begins with: pages that are looked at one after the other, or by two people at
once. Only models, and who knows people elsewhere, are stand-ins.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from harness import Server, merged
from realcode import repository
from realparts.identity_provider import IdentityProvider
from realparts.llm import Llm
from realparts.mcpservers.parts import HERE, everything
from realparts.tmux import TmuxServer
from visitor import provider
from waits import WAIT

PEOPLE = {"olga": "owner", "ada": "admin", "ann": "operator", "bob": "operator", "vic": "viewer"}
HELLO = Path(__file__).parents[2] / "examples/moorage-hello/src"


class House:
    """The server and what is behind it. `projects` is the folder of projects that sessions may have."""

    def __init__(self, server: Server, tmux: TmuxServer, llm: Llm, projects: Path) -> None:
        self.server, self.tmux, self.llm, self.projects = server, tmux, llm, projects

    @property
    def url(self) -> str:
        return self.server.url

    @contextlib.contextmanager
    def client(self, who: str) -> Iterator[httpx.Client]:
        """Somebody's browser without a page: signed in by cookie, with the header that changes need."""
        with self.server.client(who) as client:
            client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrf_token"]
            yield client

    def made(self, who: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What a POST made."""
        with self.client(who) as client:
            # OpenCode starts as an npm program does; several at once take their time.
            answer = client.post(path, json=body, timeout=4 * WAIT)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}\n{self.server.stderr[-2000:]}"
        return dict(answer.json())

    # -- one thing of a kind ----------------------------------------------------------------------------------------

    def project(self, name: str, **files: str) -> Path:
        """A folder that a session may have: a repository with these files."""
        return repository(self.projects / name, **files)

    def session(self, who: str, project: Path) -> str:
        """The id of a new session of OpenCode, which runs."""
        return str(self.made(who, "/api/sessions", {"project_path": str(project)})["id"])

    def workspace(self, who: str, name: str) -> int:
        """The number of a new workspace of MCP, with one server of many tools."""
        number = int(self.made(who, "/api/v1/workspaces", {"name": name})["data"]["id"])
        body = {"name": "every", "kind": "stdio", "command": everything()}
        self.made(who, f"/api/v1/workspaces/{number}/upstreams", body)
        return number

    def conversation(self, who: str, title: str, *said: tuple[str, str]) -> int:
        """The number of a new conversation of these (role, text)s."""
        messages = [
            {"id": number, "parent": number - 1 or None, "role": role, "content": text}
            for number, (role, text) in enumerate(said, 1)
        ]
        file = {"format": "moorage-chat", "version": 1, "title": title, "messages": messages, "head": len(said) or None}
        return int(self.made(who, "/conversations/import", file)["conversations"][0]["id"])

    def memory(self, who: str, content: str, **more: Any) -> str:
        """The id of a new memory."""
        return str(self.made(who, "/api/memories", {"content": content, **more})["id"])

    def furnish(self, who: str = "ann") -> dict[str, str]:
        """Something of each kind of somebody's; the addresses of its pages by kind."""
        self.tmux.new_session("deploy")
        self.conversation("bob", "Somebody else's")
        session = self.session(who, self.project("garden", README="Roses and tulips.\n", plan__md="# Plan\n"))
        talk = self.conversation(
            who,
            "What grows in the shade",
            ("user", "What grows in the shade?"),
            ("assistant", "**Ferns** and *hostas* do:\n\n- ferns want water\n- hostas want no slugs\n"),
        )
        workspace = self.workspace(who, "garden-tools")
        for content, tags in (("The hose is in the shed", ["tools"]), ("Roses are cut in March", ["roses", "spring"])):
            self.memory(who, content, category="garden", tags=tags)
        return {
            "terminal": "/console/terminal/deploy",
            "session": f"/console/sessions/{session}",
            "conversation": f"/console/chat/{talk}",
            "workspace": f"/console/workspaces/{workspace}",
        }


@contextlib.contextmanager
def whole_house(
    folder: Path, opencode: Path, identity: IdentityProvider | None = None, more: dict[str, Any] | None = None
) -> Iterator[House]:
    """A server that has started, with `PEOPLE`. opencode: the program. more: settings over these."""
    projects, site = folder / "projects", folder / "site"
    projects.mkdir(parents=True)
    info = site / "moorage_hello-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moorage-hello\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[moorage.plugins]\nhello = moorage_hello.plugin:HelloPlugin\n")
    tmux, llm = TmuxServer(), Llm()
    config: dict[str, Any] = {
        "limits": {"enabled": False},
        "accounts": {"device": {"interval": 1}},
        "runtimes": {"process": {"isolation": "none"}},
        "plugins": {
            "tmux": {"enabled": True, "mount": "/tmux", "socket_name": tmux.socket_name},
            "opencode": {
                "enabled": True,
                "roots": [str(projects)],
                "binary": str(opencode),
                "opencode_config": dict(llm.config()),
            },
            "mcp": {"enabled": True, "programs": [str(HERE)], "keep_arguments": "full"},
            "chat": {"enabled": True, "providers": {"scripted": {"base_url": llm.url, "name": "Scripted"}}},
            "memories": {"enabled": True, "default_mode": "keyword"},
            "voice": {"enabled": True, "mount": "/voice"},
            "hello": {"enabled": True, "mount": "/hello"},
        },
    }
    if identity is not None:
        config["accounts"]["providers"] = {"corp": provider(identity.issuer, label="Corp")}
    env = {"PYTHONPATH": f"{site}{os.pathsep}{HELLO}"}
    server = Server(folder, merged(config, more or {}), env=env)
    try:
        server.add_users(PEOPLE)
        house = House(server.start(timeout=4 * WAIT), tmux, llm, projects)
        yield house
        with house.client("olga") as client:
            for session in client.get("/api/admin/sessions").json():
                client.delete(f"/api/admin/sessions/{session['id']}")
    finally:
        server.stop()
        tmux.stop()
        llm.stop()
