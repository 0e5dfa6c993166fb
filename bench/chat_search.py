"""Lists and search over many messages: what a request takes on each database, beside one that reads a single row."""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench import report
from bench.databases import fresh_database
from bench.processes import Moorage, cpu_seconds, first_ready, rss_mb

CONVERSATIONS, EACH, LONG = 900, 100, 10_000
WORDS = 20_000
AT_ONCE = 50
"""Conversations of one file."""
BASE = "one conversation"


@dataclass(frozen=True)
class Found:
    """Where to look: an ordinary conversation and the long one."""

    usual: int
    long: int


def run(*, rounds: int, requests: int) -> None:
    """Measure and print. requests: of each kind in a round; the kinds take turns."""
    print(f"\nchat-search: {rounds} rounds of {requests} requests, {CONVERSATIONS * EACH + LONG} messages")
    kept: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for database in ("sqlite", "postgres"):
            with contextlib.ExitStack() as stack:
                found = fresh_database(database, stack)
                if found is not None:
                    kept[database] = _measured(Path(folder) / database, *found, stack, rounds * requests)
    for database, rows in kept.items():
        base = rows[BASE]["p50 ms"]
        heads = ("request", "× one", *next(iter(rows.values())))
        report.table(database, heads, [(name, row["p50 ms"] / base, *row.values()) for name, row in rows.items()])
    print(f"  kept in {report.save('chat-search', kept)}")


def _measured(
    folder: Path, url: str, settle: Callable[[], object], stack: contextlib.ExitStack, requests: int
) -> dict[str, dict[str, float]]:
    config = {
        "database": {"url": url},
        "limits": {"enabled": False},
        "plugins": {"chat": {"enabled": True, "providers": {"none": {"base_url": "http://127.0.0.1:9/v1"}}}},
    }
    server = first_ready(folder, config)
    server.start()
    stack.callback(server.stop)
    headers = {"Authorization": f"Bearer {server.key('ann')}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=300) as client:
        found, words = _filled(client, server)
        settle()
        return _asked(client, server, _kinds(found, words), requests)


def _filled(client: httpx.Client, server: Moorage) -> tuple[Found, list[str]]:
    """Bring the messages in, as files; the words that they are made of, the most frequent first."""
    chance = random.Random(7)
    words = _words(chance)
    shares = [1 / (place + 3) for place in range(WORDS)]
    start, ids = time.perf_counter(), []
    for lines in _files(chance, words, shares):
        headers = {"Content-Type": "application/jsonl"}
        answer = client.post("/conversations/import", content="\n".join(lines), headers=headers)
        assert answer.status_code == 200, answer.text
        ids += [one["id"] for one in answer.json()["conversations"]]
    took, count = time.perf_counter() - start, CONVERSATIONS * EACH + LONG
    print(
        f"  ({count} messages brought in in {took:.0f} s, {count / took:.0f} a second; RSS {rss_mb(server.pid):.0f} MB)"
    )
    return Found(ids[len(ids) // 2], ids[-1]), words


def _words(chance: random.Random) -> list[str]:
    parts = [first + vowel for first in "bcdfghjklmnprstvwz" for vowel in "aeiou"]
    found: dict[str, None] = {}
    while len(found) < WORDS:
        found["".join(chance.choices(parts, k=chance.randint(2, 4)))] = None
    return list(found)


def _files(chance: random.Random, words: list[str], shares: list[float]) -> Iterator[list[str]]:
    """JSON lines, some conversations at a time; the last is the long one alone."""
    texts = iter(lambda: chance.choices(words, shares, k=chance.randint(5, 60)), None)

    def line(count: int) -> str:
        messages = [
            {"id": n, "parent": n - 1 or None, "role": ("assistant", "user")[n % 2], "content": " ".join(next(texts))}
            for n in range(1, count + 1)
        ]
        title = " ".join(chance.sample(words, 4))
        head = {"format": "moorage-chat", "version": 1, "title": title, "head": count}
        return json.dumps({**head, "messages": messages})

    for _ in range(CONVERSATIONS // AT_ONCE):
        yield [line(EACH) for _ in range(AT_ONCE)]
    yield [line(LONG)]


def _kinds(found: Found, words: list[str]) -> dict[str, str]:
    """What is asked for. The common word is in a quarter of the messages, the usual one in 1800, the rare one in 70."""
    common, usual, rare = words[10], words[200], words[5000]
    usual_messages, long_messages = (f"/conversations/{id}/messages" for id in (found.usual, found.long))
    return {
        BASE: f"/conversations/{found.usual}",
        "conversations, 50": "/conversations?limit=50",
        "conversations, all": "/conversations",
        "titles, q=": f"/conversations?limit=50&q={rare[:4]}",
        "titles and messages, rare word": f"/conversations?limit=50&in=messages&q={rare}",
        "titles and messages, common word": f"/conversations?limit=50&in=messages&q={common}",
        "search, rare word": f"/chat/search?q={rare}",
        "search, usual word": f"/chat/search?q={usual}",
        "search, common word": f"/chat/search?q={common}",
        "search, two common words": f"/chat/search?q={common}+{words[12]}",
        "search, beginning of words": f"/chat/search?q={common[:2]}",
        "search, no such word": "/chat/search?q=qqqq",
        "search, in the long one": f"/chat/search?q={common}&conversation_id={found.long}",
        "messages, 50": f"{usual_messages}?limit=50",
        "messages, 50 last of 10 000": f"{long_messages}?limit=50&after_seq={LONG - 50}",
        "messages, branch, 50 last of 10 000": f"{long_messages}?branch=active&limit=50&after_seq={LONG - 50}",
        "messages, all 10 000": long_messages,
        "messages, branch, all 10 000": f"{long_messages}?branch=active",
    }


def _asked(client: httpx.Client, server: Moorage, kinds: dict[str, str], requests: int) -> dict[str, dict[str, float]]:
    waits: dict[str, list[float]] = {name: [] for name in kinds}
    costs, sizes = dict.fromkeys(kinds, 0.0), dict.fromkeys(kinds, 0)
    for number in range(requests + 1):
        for name, path in kinds.items():
            before, start = cpu_seconds(server.pid), time.perf_counter()
            answer = client.get(path)
            took = time.perf_counter() - start
            assert answer.status_code == 200, answer.text
            if number:  # The first time warms up.
                waits[name].append(took * 1000)
                costs[name] += cpu_seconds(server.pid) - before
                sizes[name] = len(answer.content)
    return {
        name: {
            "p50 ms": report.median(values),
            "p99 ms": report.percentile(values, 99),
            "CPU ms": costs[name] / len(values) * 1000,
            "KB": sizes[name] / 1024,
        }
        for name, values in waits.items()
    }
