"""The threads for files: a file system that hangs keeps its own, and nothing waits for it for ever."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time

import pytest
from moorage.api import Unavailable
from moorage_opencode.files.confine import Fd
from moorage_opencode.files.pool import Held, Pool


async def test_a_hanging_workspace_leaves_the_others_their_threads() -> None:
    pool = Pool(threads=4, share=2, seconds=0.2)
    hang = threading.Event()
    try:
        hung = [asyncio.create_task(pool.run("nfs", hang.wait)) for _ in range(6)]
        for _ in range(20):
            assert await pool.run("disk", lambda: "read", seconds=20) == "read"
        said = await asyncio.gather(*hung, return_exceptions=True)
        assert all(isinstance(error, Unavailable) for error in said), said
        # It hangs still: its share is taken, and who comes is told so in time.
        with pytest.raises(Unavailable):
            await pool.run("nfs", lambda: "read")
        hang.set()
        assert await pool.run("nfs", lambda: "read", seconds=20) == "read"
    finally:
        hang.set()
        pool.close()


async def test_too_much_at_once_is_refused() -> None:
    pool = Pool(threads=1, share=1, waiting=3)
    hang = threading.Event()
    try:
        waiting = [asyncio.create_task(pool.run("a", hang.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await pool.run("a", lambda: 1)
        hang.set()
        assert await asyncio.gather(*waiting) == [True] * 3
        assert await pool.run("a", lambda: 1) == 1
        assert not pool._shares
    finally:
        hang.set()
        pool.close()


async def test_errors_are_the_callers() -> None:
    pool = Pool()
    try:
        with pytest.raises(FileNotFoundError):
            await pool.run("a", lambda: os.stat("/no/such"))
    finally:
        pool.close()


async def test_what_nobody_waits_for_is_closed() -> None:
    pool = Pool()
    go, ended = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    class Thing:
        def close(self) -> None:
            loop.call_soon_threadsafe(ended.set)

    def work() -> Held[Thing]:
        go.wait()
        return Held(Thing())

    try:
        task = asyncio.create_task(pool.run("a", work))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        async with asyncio.timeout(20):
            await ended.wait()
    finally:
        go.set()
        pool.close()


def test_a_file_is_not_closed_under_the_job_that_reads_it() -> None:
    fd = Fd(os.open("/dev/zero", os.O_RDONLY))
    held = Held(fd)
    with held.use():
        held.close()
        assert len(os.read(fd.number, 1)) == 1
    assert fd.number == -1


def test_a_thread_that_hangs_keeps_no_process_from_ending() -> None:
    script = """
import asyncio, threading
from moorage.api import Unavailable
from moorage_opencode.files.pool import Pool
async def main():
    pool = Pool(seconds=0.1)
    try:
        await pool.run("nfs", threading.Event().wait)
    except Unavailable:
        print("told")
    pool.close()
asyncio.run(main())
"""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "told\n"), done.stderr
    assert time.monotonic() - began < 50
