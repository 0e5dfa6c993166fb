"""The ways to a model that are compared: the provider itself, Moorage's two APIs before it, and the LiteLLM proxy."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.chat_client import post
from bench.environments import installed
from bench.llm import MODEL
from bench.processes import Plain, children, cpu_seconds, first_ready, listening, rss_mb
from bench.targets import engines

MANY = 1000
"""Answers at once that everything lets be."""
PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class Way:
    """One way. pids: of the server between, if there is one; model: as it is asked for there."""

    name: str
    url: str
    pids: tuple[int, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    model: str = MODEL

    def cpu(self) -> float:
        """Seconds that it has used."""
        return sum(cpu_seconds(pid) for pid in self.pids)

    def memory(self) -> float:
        """Resident MB."""
        return sum(rss_mb(pid) for pid in self.pids)

    def requests(self, count: int, tokens: int, rate: float) -> list[bytes]:
        """What to send for `count` answers of so many tokens."""
        asked = {"role": "user", "content": f"{tokens} {rate:g}"}
        body = {"model": self.model, "stream": True, "messages": [asked]}
        return [post(self.url + PATH, self.headers, body)] * count


class Conversations(Way):
    """Conversations of the chat contract, each with one question."""

    def requests(self, count: int, tokens: int, rate: float) -> list[bytes]:
        """The questions are said now; what is sent later asks for the answer."""
        found = []
        with httpx.Client(base_url=self.url, headers=self.headers, timeout=60) as client:
            for _ in range(count):
                path = f"/conversations/{client.post('/conversations', json={}).json()['id']}"
                client.post(path + "/messages", json={"content": f"{tokens} {rate:g}"}).raise_for_status()
                found.append(post(f"{self.url}{path}/stream", self.headers, {}))
        return found


def started(folder: Path, stack: contextlib.ExitStack) -> list[Way]:
    """All of them, the provider itself first; ended with `stack`."""
    provider = Plain([sys.executable, "-m", "bench.llm", "{port}"], "/v1/models")
    stack.enter_context(provider.running())
    found = [Way("direct", provider.url)]
    for engine in engines():
        server = first_ready(folder / engine, moorage(engine, provider.url))
        server.start()
        stack.callback(server.stop)
        headers = {"Authorization": f"Bearer {server.key('ann')}"}
        found.append(Way(f"Moorage {engine}, /v1", server.url, (server.pid,), headers))
        found.append(Conversations(f"Moorage {engine}, conversation", server.url, (server.pid,), headers))
    return [*found, _litellm(folder, stack, provider.url)]


def moorage(engine: str, provider: str) -> dict[str, object]:
    """A server's configuration in which no limit is reached; limits and the access log are on."""
    return {
        "server": {"engine": engine, "access_log": True, "max_sockets_per_user": MANY},
        "limits": {"enabled": True, "general": "1000000/second"},
        "plugins": {
            "chat": {
                "enabled": True,
                "max_running_per_user": MANY,
                "providers": {"it": {"base_url": f"{provider}/v1", "max_parallel": MANY}},
            }
        },
    }


def _litellm(folder: Path, stack: contextlib.ExitStack, provider: str) -> Way:
    """LiteLLM's proxy without a database: one key, which it compares, and nothing is counted."""
    key, file = f"sk-{secrets.token_hex(16)}", folder / "litellm.yaml"
    behind = {"model": f"openai/{MODEL}", "api_base": f"{provider}/v1", "api_key": "unused"}
    config = {"model_list": [{"model_name": MODEL, "litellm_params": behind}], "general_settings": {"master_key": key}}
    file.write_text(json.dumps(config))
    command = [str(installed("litellm") / "litellm"), "--config", str(file), "--host", "127.0.0.1", "--port", "{port}"]
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
    peer = Plain(command, "/health/liveliness", quiet)
    stack.enter_context(listening(peer, seconds=120))
    pids = (peer.pid, *children(peer.pid))
    return Way("LiteLLM proxy", peer.url, pids, {"Authorization": f"Bearer {key}"})
