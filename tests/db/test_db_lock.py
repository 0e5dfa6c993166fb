"""The lock of the data folder: one server at a time, and free again however the holder ended."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from moorage.db import DataDirLock
from moorage.db.lock import file_lock
from moorage.errors import StartError

HOLD = """
import sys
from pathlib import Path
from moorage.db import DataDirLock

lock = DataDirLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_second_holder_is_refused_until_the_first_is_gone(
    data_dir: Path, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    holder = start_python(HOLD, data_dir, stdin=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    lock = DataDirLock(data_dir)
    with pytest.raises(StartError, match=f"{data_dir} is in use by process {holder.pid}") as caught:
        lock.acquire()
    assert caught.value.exit_code == 4
    holder.kill()
    holder.wait(10)
    with lock, pytest.raises(StartError, match=f"process {os.getpid()}"):
        DataDirLock(data_dir).acquire()
    with DataDirLock(data_dir):
        assert stat.S_IMODE((data_dir / "run").stat().st_mode) == 0o700
    lock.release()


async def test_a_lock_that_is_never_given_has_an_end(tmp_path: Path) -> None:
    async with file_lock(tmp_path / "lock", 1):
        with pytest.raises(TimeoutError):
            async with file_lock(tmp_path / "lock", 0.1):
                pass
    async with file_lock(tmp_path / "lock", 1):
        pass


def test_a_lock_file_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(StartError, match="cannot be"):
        DataDirLock(tmp_path).acquire()
