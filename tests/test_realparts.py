"""The real parts start, answer and end."""

from __future__ import annotations

import os
from pathlib import Path

import asyncpg
import pytest
from realparts.postgres import Postgres
from realparts.redis_server import RedisServer
from realparts.tmux import TmuxServer


async def test_each_postgres_url_is_an_empty_database_of_its_own(postgres: Postgres, postgres_url: str) -> None:
    other = postgres.new_database()
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("CREATE TABLE kept (id int)")
    finally:
        await connection.close()
    connection = await asyncpg.connect(other)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    finally:
        await connection.close()


def test_redis_is_emptied_and_can_be_stopped_and_started(redis_url: str, own_redis: RedisServer) -> None:
    assert redis_url.startswith("redis://127.0.0.1:")
    own_redis.command("SET", "a", "1")
    own_redis.stop()
    with pytest.raises(OSError):
        own_redis.command("PING")
    own_redis.start()
    assert own_redis.command("GET", "a") == "$-1"


def test_a_private_tmux_server_is_ended_by_its_fixture() -> None:
    if TmuxServer.missing():
        pytest.skip("tmux is not installed")
    server = TmuxServer()
    server.new_session("main", "exec cat", cols=100, rows=30)
    server.run("send-keys", "-t", "main", "hello", "Enter")
    assert "hello" in server.wait_for("main", "hello")
    assert server.run("display-message", "-p", "-t", "main", "#{window_width}x#{window_height}") == "100x30"
    pid = server.pid
    assert pid is not None
    server.stop()
    assert not Path(f"/proc/{pid}").exists() or os.waitpid(pid, os.WNOHANG)
    assert not server.socket_path.exists()
