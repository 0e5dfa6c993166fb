"""Locks on files: one server per data folder, one migration at a time."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from moorage.errors import StartError


def make_folder(path: Path) -> Path:
    """Create a folder and what is missing above it, all of mode 0700. StartError (exit code 4) when that fails."""
    if not path.parent.exists():
        make_folder(path.parent)
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StartError(f"The folder {path} cannot be created: {error.strerror}.", exit_code=4) from error
    return path


class DataDirLock:
    """Held by the server as long as it runs: a second one on the same data folder refuses to start.

    The lock is the kernel's (flock on `run/lock`), so it ends with the process, however that ends.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.path = data_dir / "run" / "lock"
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock. StartError (exit code 4) when another process holds it, naming its pid."""
        if self._fd is not None:
            return
        fd = _open(self.path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_pid(fd)
            os.close(fd)
            who = f"process {holder}" if holder else "another process"
            raise StartError(
                f"The data folder {self.data_dir} is in use by {who}. "
                "Stop that server first, or give this one another data_dir.",
                exit_code=4,
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two processes lock two files."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> DataDirLock:
        self.acquire()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.release()


@asynccontextmanager
async def file_lock(path: Path, timeout: float) -> AsyncIterator[None]:
    """Hold an exclusive lock on a file, waiting up to `timeout` seconds. TimeoutError after that."""
    fd = _open(path)
    try:
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if asyncio.get_running_loop().time() >= deadline:
                    raise TimeoutError from None
                await asyncio.sleep(0.05)
        yield
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    make_folder(path.parent)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"The lock file {path} cannot be opened: {error.strerror}.", exit_code=4) from error


def _read_pid(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdigit() else None
