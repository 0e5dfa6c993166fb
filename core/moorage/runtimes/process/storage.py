"""What lies in a workload's folder: its spec, its state, the lock of its keeper, its log."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Any

from moorage.runtimes.base import Limits, Mount, WorkloadSpec
from moorage.runtimes.keeper import log as keeper_log
from moorage.runtimes.keeper import state as keeper_state

SPEC, LOCK, TEMPORARY, ERRORS = "spec.json", "lock", "tmp", "keeper.err"
BLOCK = 65536


class Storage:
    """A workload's folder. Everything here blocks for as long as the disk does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, spec: WorkloadSpec) -> None:
        """Write all down that a start needs. FileExistsError, OSError."""
        self.folder.mkdir(mode=0o700)
        try:
            (self.folder / TEMPORARY).mkdir(mode=0o700)
            data = json.dumps(_to_json(spec)).encode()
            fd = os.open(self.folder / SPEC, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            keeper_state.write(str(self.folder), {"status": "created"})
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def spec(self) -> WorkloadSpec:
        """What was written down. OSError, ValueError, LookupError or TypeError when it is not there or not whole."""
        return _from_json(json.loads((self.folder / SPEC).read_bytes()))

    def state(self) -> dict[str, Any]:
        """As the keeper wrote it; {} when it cannot be read."""
        return keeper_state.read(str(self.folder)) or {}

    def write_state(self, state: dict[str, Any]) -> None:
        """Instead of a keeper that cannot any more. OSError."""
        keeper_state.write(str(self.folder), state)

    def kept(self) -> bool:
        """Whether a keeper holds it: the one thing that does not lie after a reboot."""
        try:
            fd = os.open(self.folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False

    def empty_temporary(self) -> Path:
        """Its folder for temporary files, empty. OSError."""
        folder = self.folder / TEMPORARY
        _remove(folder)
        folder.mkdir(mode=0o700)
        return folder

    def remove(self) -> None:
        """Everything. OSError."""
        _remove(self.folder)

    def tail(self, lines: int, limit: int) -> bytes:
        """The newest lines of the log, never more than `limit` bytes."""
        found = b""
        for name in (keeper_log.CURRENT, keeper_log.OLDER):
            found = _tail(self.folder / name, lines - found.count(b"\n"), limit - len(found)) + found
            if found.count(b"\n") > lines or len(found) >= limit:
                break
        parts = found.split(b"\n")
        # Without the end of the last line there is one more piece than there are lines.
        keep = lines + 1 if found.endswith(b"\n") else lines
        return b"\n".join(parts[-keep:]) if lines > 0 else b""

    def errors(self) -> str:
        """The last that the keeper itself complained about."""
        try:
            return (self.folder / ERRORS).read_bytes()[-2000:].decode("utf-8", "replace")
        except OSError:
            return ""


def _tail(path: Path, lines: int, limit: int) -> bytes:
    """The end of a file, with at least so many ends of lines in it if it has so many."""
    blocks: list[bytes] = []
    seen = size = 0
    try:
        with path.open("rb") as file:
            at = file.seek(0, os.SEEK_END)
            while at and seen <= lines and size < limit:
                length = min(BLOCK, at, limit - size)
                at -= length
                file.seek(at)
                block = file.read(length)
                blocks.append(block)
                seen += block.count(b"\n")
                size += len(block)
    except OSError:
        pass
    return b"".join(reversed(blocks))


def _remove(folder: Path) -> None:
    """A tree in which a program may have made folders that their owner cannot enter."""

    def mend(_: Any, path: str, __: Any) -> None:
        stuck = Path(path)
        stuck.parent.chmod(0o700)
        if stuck.is_dir() and not stuck.is_symlink():
            stuck.chmod(0o700)
            shutil.rmtree(stuck)
        else:
            stuck.unlink(missing_ok=True)

    if folder.exists():
        shutil.rmtree(folder, onerror=mend)


def _to_json(spec: WorkloadSpec) -> dict[str, Any]:
    limits = spec.limits
    return {
        "name": spec.name,
        "command": list(spec.command),
        "workdir": spec.workdir,
        "home": str(spec.home) if spec.home else None,
        "image": spec.image,
        "env": dict(spec.env),
        "secrets": dict(spec.secrets),
        "mounts": [[str(m.source), m.target, m.read_only, m.plain] for m in spec.mounts],
        "ports": list(spec.ports),
        "limits": {name: getattr(limits, name) for name in Limits.__slots__},
        "labels": dict(spec.labels),
        "stop_seconds": spec.stop_seconds,
    }


def _from_json(data: dict[str, Any]) -> WorkloadSpec:
    return WorkloadSpec(
        **{
            **data,
            "command": tuple(data["command"]),
            "home": Path(data["home"]) if data["home"] else None,
            "mounts": tuple(Mount(Path(source), *rest) for source, *rest in data["mounts"]),
            "ports": tuple(data["ports"]),
            "limits": Limits(**data["limits"]),
        }
    )
