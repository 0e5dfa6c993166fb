"""Users of a running server: made over its own API where that can be, which is quicker than a command each."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from harness import Server, running

PASSWORD = "correct horse battery"
CONFIG = {
    "limits": {"general": "100000/minute", "authentication": "100000/minute"},
    "accounts": {"argon2_memory_kib": 64, "argon2_time": 1},
    "access": {"roles": {"helper": {"includes": "operator", "grants": ["core:user:read:any"]}}},
}


@dataclass
class Person:
    """A user with a browser that is signed in."""

    name: str
    id: int
    pid: str
    role: str
    client: httpx.Client

    @property
    def email(self) -> str:
        return f"{self.name}@example.org"


class People:
    """Makes users. `root` is an owner."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._numbers = itertools.count(1)
        self._clients: list[httpx.Client] = []
        self.root = self.make("owner", "root")

    def make(self, role: str = "operator", name: str | None = None) -> Person:
        """A new user, signed in."""
        name = name or f"{role}{next(self._numbers)}"
        email = f"{name}@example.org"
        if role in ("operator", "viewer", "admin"):
            body = {"username": name, "password": PASSWORD, "email": email}
            made = self.root.client.post("/api/admin/users", json=body)
            assert made.status_code == 201, made.text
            if role != "operator":
                path = f"/api/users/{made.json()['id']}/role"
                assert self.root.client.patch(path, json={"role": role}).status_code == 200
        else:
            args = ["users", "create", name, "--role", role, "--email", email, "--password-file", "-"]
            self.server.cli(*args, input=PASSWORD + "\n")
        client = self.login(name)
        me = client.get("/auth/me").json()
        return Person(name, me["user"]["id"], me["id"], role, client)

    def login(self, name: str, password: str = PASSWORD) -> httpx.Client:
        """A browser of its own."""
        client = self.server.client(name, password)
        self._clients.append(client)
        return client

    def anybody(self) -> httpx.Client:
        """A browser that is not signed in."""
        client = self.server.client()
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()


@contextlib.contextmanager
def populated(folder: Path, config: dict[str, Any] | None = None) -> Iterator[People]:
    """A running server with one owner."""
    with running(folder, config or CONFIG) as server:
        people = People(server)
        try:
            yield people
        finally:
            people.close()
