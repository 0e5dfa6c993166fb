"""A Moorage that chats, with the scripted provider behind it, and what a client of the chat contract does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from harness import Server, merged
from realparts.llm import MODEL, Llm
from waits import WAIT

USERS = {"ann": "operator", "ben": "operator", "root": "owner"}


@dataclass(frozen=True)
class Sse:
    """An event as it came."""

    type: str
    data: dict[str, Any]
    id: int | None = None


@dataclass
class Stream:
    """An open stream. `for` gives its events and ends with it; `raw` is what has come of it."""

    response: httpx.Response
    raw: str = ""
    events: list[Sse] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._coming = self._come()

    def __iter__(self) -> Iterator[Sse]:
        return self._coming

    def _come(self) -> Iterator[Sse]:
        rest = ""
        for chunk in self.response.iter_text():
            self.raw += chunk
            *whole, rest = (rest + chunk).split("\n\n")
            for block in whole:
                event = parse(block)
                self.events.append(event)
                yield event
        assert not rest, rest

    def until(self, type: str, **data: Any) -> Sse:
        """The next event of that type (with those data), leaving out what comes before."""
        for event in self:
            if event.type == type and data.items() <= event.data.items():
                return event
        raise AssertionError(f"no {type} {data} in {self.events}")

    @property
    def id(self) -> str:
        return self.response.headers["x-generation-id"]


def parse(block: str) -> Sse:
    """One event, exactly as the contract's page reads it."""
    lines = block.split("\n")
    id = int(lines.pop(0).removeprefix("id: ")) if lines[0].startswith("id: ") else None
    event, data = lines
    assert event.startswith("event: "), block
    assert data.startswith("data: "), block
    assert data.isascii(), block
    return Sse(event.removeprefix("event: "), json.loads(data.removeprefix("data: ")), id)


def text(events: list[Sse]) -> str:
    """What was said."""
    return "".join(event.data["delta"] for event in events if event.type == "delta")


class Chat:
    """A user's client."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def conversation(self, **body: Any) -> int:
        answer = self.client.post("/conversations", json=body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["id"])

    def say(self, conversation: int, content: str, **more: Any) -> int:
        answer = self.client.post(f"/conversations/{conversation}/messages", json={"content": content, **more})
        assert answer.status_code == 200, answer.text
        return int(answer.json()["message_id"])

    def ask(self, content: str) -> int:
        """A new conversation in which this was said."""
        conversation = self.conversation()
        self.say(conversation, content)
        return conversation

    @contextmanager
    def stream(self, conversation: int, headers: dict[str, str] | None = None, **body: Any) -> Iterator[Stream]:
        """Let a model answer."""
        url = f"/conversations/{conversation}/stream"
        with self.client.stream("POST", url, json=body, headers=headers) as response:
            if response.status_code != 200:
                response.read()
            assert response.status_code == 200, response.text
            yield Stream(response)

    @contextmanager
    def follow(self, generation: str, after: int | None = None, **query: Any) -> Iterator[Stream]:
        """Follow an answer."""
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        url = f"/chat/generations/{generation}/stream"
        with self.client.stream("GET", url, headers=headers, params=query) as response:
            assert response.status_code == 200, response.read()
            yield Stream(response)

    def answer(self, conversation: int, **body: Any) -> list[Sse]:
        """All events of an answer."""
        with self.stream(conversation, **body) as stream:
            return list(stream)

    def messages(self, conversation: int, **query: Any) -> list[dict[str, Any]]:
        answer = self.client.get(f"/conversations/{conversation}/messages", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def generation(self, id: str) -> dict[str, Any]:
        answer = self.client.get(f"/chat/generations/{id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def cancel(self, id: str) -> httpx.Response:
        return self.client.post(f"/chat/cancel/{id}")

    def retry(self, conversation: int, **body: Any) -> httpx.Response:
        return self.client.post("/chat/retry", json={"conversation_id": conversation, **body})


class ChatSite:
    """A server with users ann and ben (operators) and root, whose provider is the scripted one: `lm`."""

    def __init__(self, folder: Path, llm: Llm | str, *, chat: dict[str, Any] | None = None, **more: Any) -> None:
        url = llm if isinstance(llm, str) else llm.url
        self.llm = llm
        settings = merged(
            {
                "enabled": True,
                "providers": {"lm": {"base_url": url, "max_parallel": 1000}},
                "default_provider": "lm",
                "default_model": MODEL,
            },
            chat or {},
        )
        self.server = Server(folder, merged({"plugins": {"chat": settings}, "limits": {"enabled": False}}, more))
        self._clients: dict[str, httpx.Client] = {}

    @classmethod
    @contextmanager
    def running(cls, folder: Path, llm: Llm | str, **options: Any) -> Iterator[ChatSite]:
        site = cls(folder, llm, **options)
        site.server.add_users(USERS)
        try:
            site.server.start()
            yield site
        finally:
            site.close()

    def chat(self, user: str = "ann") -> Chat:
        """A user's client, logged in once."""
        if user not in self._clients:
            client = self.server.client(user)
            client.timeout = httpx.Timeout(4 * WAIT)
            self._clients[user] = client
        return Chat(self._clients[user])

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self.server.stop()


def until(condition: Callable[[], Any], what: str = "it") -> Any:
    """What the condition gives as soon as that is something; asked again and again."""
    deadline = time.monotonic() + WAIT
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.02)
    return found
