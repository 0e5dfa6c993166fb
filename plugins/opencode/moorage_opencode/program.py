"""The OpenCode program of this machine: is it there, and which version."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from moorage.api import Unavailable

HOW = "install it (npm install -g opencode-ai) or set [plugins.opencode] binary to where it is"
SECONDS = 30.0
"""For `--version`: the program is a large one, and its first start on a busy machine takes its time."""
_MAX_OUTPUT = 4096


class Program:
    """Asks a program for its version, again only when its file is another one."""

    def __init__(self, binary: str) -> None:
        self.binary = binary
        self._known: tuple[tuple[str, int, int, int, int], str] | None = None
        self._asking = asyncio.Lock()

    def path(self) -> str:
        """Where it is. Unavailable, with what to do, when it is nowhere."""
        found = shutil.which(self.binary)
        if found is None:
            raise Unavailable(f"OpenCode is not installed ({self.binary!r} is no program here): {HOW}")
        return os.path.realpath(found)

    async def version(self) -> str:
        """What `--version` says. Unavailable, with what to do, when it cannot be run."""
        path = self.path()
        async with self._asking:
            try:
                stat = await asyncio.to_thread(Path(path).stat)
            except OSError as error:
                raise Unavailable(f"OpenCode cannot be read ({error.strerror}): {HOW}") from error
            # Packages give their files the time of nobody; the inode and its change say that it was replaced.
            stamp = (path, stat.st_dev, stat.st_ino, stat.st_ctime_ns, stat.st_size)
            if self._known is None or self._known[0] != stamp:
                self._known = (stamp, await _ask(path))
            return self._known[1]


async def _ask(path: str) -> str:
    with tempfile.TemporaryDirectory(prefix="moorage-opencode-") as home:
        # A home that is thrown away: even to say its version the program makes folders.
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        env = kept | {"HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
        env |= {"XDG_STATE_HOME": home, "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                path, "--version", stdin=null, stdout=pipe, stderr=null, env=env, cwd=home, start_new_session=True
            )
        except OSError as error:
            raise Unavailable(f"OpenCode cannot be run ({error.strerror}): {HOW}") from error
        assert process.stdout is not None
        try:
            async with asyncio.timeout(SECONDS):
                said = await process.stdout.read(_MAX_OUTPUT)
                code = await process.wait()
        except TimeoutError as error:
            raise Unavailable(f"{path} --version did not end within {SECONDS:.0f} s") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
    text = said.decode("utf-8", "replace").strip()
    if code != 0 or not text:
        raise Unavailable(f"{path} --version ended with exit code {code}: {HOW}")
    return "".join(c for c in text.splitlines()[-1] if c.isprintable())[:64]
