"""Podman with Docker's API on a Unix socket, with storage of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from realparts.child import Child
from realparts.docker_engine import SMALL, pack_busybox

# Limits that are less than its own, which may be more than the machine lets anybody have.
SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=16384:16384"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "{runtime}"
"""


class Podman:
    """`url` is where it answers; `stop()` ends it with all that runs in it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="moorage-podman-"))
        self.socket = self.folder / "socket"
        settings = self.folder / "containers.conf"
        # runc knows machines with cgroups of both versions; crun does not.
        settings.write_text(SETTINGS.format(runtime="runc" if shutil.which("runc") else "crun"))
        self._argv: list[str] = ["podman", "--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run"]
        self._argv += ["--tmpdir", f"{self.folder}/tmp"]
        self._env = {**os.environ, "CONTAINERS_CONF": str(settings)}
        service = [*self._argv, "system", "service", "--time", "0", self.url]
        self._child = Child(service, self.folder / "log", env=self._env)
        try:
            self._child.wait_until(self.socket.exists, "Podman", 60)
        except RuntimeError:
            self.stop()
            raise

    @staticmethod
    def missing() -> str | None:
        """Why it cannot run here, or None."""
        if os.geteuid() != 0:
            return "Podman of the tests' own needs root"
        if shutil.which("podman") is None:
            return "Podman is not installed (Debian: podman, catatonit)"
        if not (Path("/usr/libexec/podman/catatonit").exists() or shutil.which("catatonit")):
            return "Podman has no init program (Debian: catatonit)"
        return None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def podman(self, *args: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run its own command; RuntimeError with its words when it fails."""
        done = subprocess.run(
            [*self._argv, *args],
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, env=self._env,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"podman {' '.join(args)}: {done.stderr[-4000:]}")
        return done

    def import_busybox(self) -> str:
        """As `DockerEngine.import_busybox`."""
        packed = pack_busybox(self.folder / "busybox.tar")
        self.podman("import", str(packed), SMALL)
        packed.unlink()
        return SMALL

    def stop(self) -> None:
        """End it, what runs in it, and what watches that."""
        with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
            self.podman("rm", "--all", "--force", "--time", "0")
        self._child.stop()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                first, _, rest = (folder / "cmdline").read_bytes().partition(b"\0")
                if Path(os.fsdecode(first)).name == "conmon" and str(self.folder).encode() + b"/" in rest:
                    os.kill(int(folder.name), signal.SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
