"""Search in 100,000 memories: what each mode finds of a labelled set that is made up, and what a search takes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from bench import memory_facts, report
from bench.databases import fresh_database
from bench.memory_facts import WAYS, Query
from bench.processes import Moorage, cpu_seconds, first_ready, rss_mb

MODES = ("keyword", "bm25", "fuzzy", "semantic", "hybrid")
KEPT = Path(__file__).parent / ".vectors" / "facts.f16"
"""Vectors, so that they are computed once: 100,000 take several minutes of a processor."""
SIZE, AT_ONCE, LINES = 384, 256, 5_000
TOP = 10
Vectors = np.ndarray[Any, np.dtype[np.float16]]


def run(*, memories: int, seconds: float, asked: int) -> None:
    """Measure and print. seconds: how long vectors may be computed; asked: searches of each kind."""
    texts, about = memory_facts.facts()
    texts, about = texts[:memories], about[:memories]
    with contextlib.suppress(ImportError):
        model, vectors, real = _vectors(texts, seconds)
        queries = list(memory_facts.queries(about, asked, min(real, memories)))
        print(
            f"\nmemories: {memories}, vectors of {real} computed and the rest mixed of them; {asked} searches of a kind"
        )
        kept: dict[str, Any] = {}
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for database in ("sqlite", "postgres"):
                with contextlib.ExitStack() as stack:
                    found = fresh_database(database, stack)
                    if found is not None:
                        kept[database] = _measured(
                            Path(folder) / database, *found, stack, texts, model, vectors, queries
                        )
        for database, rows in kept.items():
            heads = ("mode", *next(iter(rows.values())))
            report.table(
                f"{database}: recall at {TOP}, and a search", heads, [(n, *r.values()) for n, r in rows.items()]
            )
        print(f"  kept in {report.save('memories', {'memories': memories, 'computed': real, **kept})}")
        return
    print("  (memories: the model is not installed)")


def _vectors(texts: list[str], seconds: float) -> tuple[str, Vectors, int]:
    """The model's name, a vector of each text, and of how many they were computed.

    The others' are made of two of those: no text's, and as near to the ones that are looked for.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from moorage_memories.embeddings.encoder import _packaged
    from moorage_memories.embeddings.model import Model

    folder = _packaged()
    if folder is None:
        raise ImportError("the model's package is not installed")
    model = Model({"folder": str(folder)})
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.touch()
    end = time.monotonic() + seconds
    with KEPT.open("ab") as file:
        while (done := file.tell() // (SIZE * 2)) < len(texts) and time.monotonic() < end:
            _, some = model.encode(b"", texts[done : done + AT_ONCE])
            file.write(np.frombuffer(some, "<f4").astype("<f2").tobytes())
    found = np.frombuffer(KEPT.read_bytes(), "<f2").reshape(-1, SIZE)[: len(texts)]
    chance = np.random.default_rng(3)
    pairs = chance.integers(0, len(found), (len(texts) - len(found), 2))
    mixed = found[pairs[:, 0]].astype(np.float32) + found[pairs[:, 1]]
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    return model.about(b"")["model"], np.concatenate([found, mixed.astype(np.float16)]), len(found)


def _measured(
    folder: Path,
    url: str,
    settle: Callable[[], object],
    stack: contextlib.ExitStack,
    texts: list[str],
    model: str,
    vectors: Vectors,
    queries: list[Query],
) -> dict[str, dict[str, float]]:
    def config(semantic: bool) -> dict[str, Any]:
        return {
            "database": {"url": url},
            "limits": {"enabled": False},
            "plugins": {"memories": {"enabled": True, "semantic": semantic}},
        }

    server = first_ready(folder, config(False))
    server.start()
    stack.callback(lambda: server.process is not None and server.stop())
    headers = {"Authorization": f"Bearer {server.key('ann')}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=300) as client:
        _fill(client, server, texts)
    server.stop()
    rows = _rows(model, vectors)
    if url.startswith("sqlite"):
        _into_sqlite(folder, rows)
    else:
        asyncio.run(_into_postgres(url, rows))
    settle()
    server.write_config(config(True))
    server.start()
    with httpx.Client(base_url=server.url, headers=headers, timeout=300) as client:
        return _asked(client, server, queries, texts)


def _fill(client: httpx.Client, server: Moorage, texts: list[str]) -> None:
    start = time.perf_counter()
    for at in range(0, len(texts), LINES):
        lines = "\n".join(json.dumps({"content": text}) for text in texts[at : at + LINES])
        answer = client.post("/api/memories/import", content=lines, headers={"Content-Type": "application/jsonl"})
        assert answer.status_code == 200, answer.text
    took = time.perf_counter() - start
    print(f"  ({len(texts) / took:.0f} memories a second brought in; RSS {rss_mb(server.pid):.0f} MB)")


def _rows(model: str, vectors: Vectors) -> Callable[[list[tuple[int, int, int]]], Iterator[tuple[Any, ...]]]:
    return lambda entries: (
        (user, store, id, model, one.tobytes()) for (id, user, store), one in zip(entries, vectors, strict=True)
    )


ENTRIES = "SELECT id, user_id, store_id FROM memories_entries ORDER BY id"
INSERT = "INSERT INTO memories_vectors (user_id, store_id, memory_id, model, vector) VALUES "


def _into_sqlite(folder: Path, rows: Any) -> None:
    (file,) = folder.glob("**/moorage.db")
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.executemany(INSERT + "(?, ?, ?, ?, ?)", rows(db.execute(ENTRIES).fetchall()))
        db.execute("DELETE FROM memories_pending")


async def _into_postgres(url: str, rows: Any) -> None:
    import asyncpg

    db = await asyncpg.connect(url)
    try:
        entries = [tuple(row) for row in await db.fetch(ENTRIES)]
        await db.executemany(INSERT + "($1, $2, $3, $4, $5)", rows(entries))
        await db.execute("DELETE FROM memories_pending")
    finally:
        await db.close()


def _asked(
    client: httpx.Client, server: Moorage, queries: list[Query], texts: list[str]
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for mode in MODES:
        _search(client, queries[0].words, mode)  # The first time reads what is kept in memory.
        waits: list[float] = []
        before = cpu_seconds(server.pid)
        hits = dict.fromkeys(WAYS, 0)
        for query in queries:
            for way in WAYS:
                start = time.perf_counter()
                answer = _search(client, query.by(way), mode)
                waits.append((time.perf_counter() - start) * 1000)
                hits[way] += texts[query.place] in answer
        cpu = (cpu_seconds(server.pid) - before) / len(waits) * 1000
        recall = {f"by {way}": hits[way] / len(queries) for way in WAYS}
        found[mode] = {
            **recall,
            "p50 ms": report.median(waits),
            "p99 ms": report.percentile(waits, 99),
            "CPU ms": cpu,
            "RSS MB": rss_mb(server.pid),
        }
    return found


def _search(client: httpx.Client, query: str, mode: str) -> list[str]:
    answer = client.post("/v1/federation/search", json={"query": query, "mode": mode, "limit": TOP})
    assert answer.status_code == 200, answer.text
    assert answer.json()["mode"] == mode, "the model is not there"
    return [one["content"] for one in answer.json()["memories"]]
