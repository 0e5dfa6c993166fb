"""A Docker engine of the test run's own, on a Unix socket, with a Debian base image made on the spot."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from realparts.child import Child

CLIENT = "/usr/bin/docker"
BASE = "debian:bookworm-slim"
SUITE = "bookworm"


class DockerEngine:
    """`docker(...)` runs the client against it; `stop()` ends it with everything that runs in it."""

    def __init__(self) -> None:
        # A short path: the name of a Unix socket holds 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="moorage-docker-"))
        self.socket = self.folder / "docker.sock"
        argv: list[str | Path] = ["dockerd", "-H", f"unix://{self.socket}", "--data-root", self.folder / "data"]
        argv += ["--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid"]
        self._child = Child(argv, self.folder / "log")
        try:
            self._child.wait_until(self._ready, "Docker engine", 60)
        except RuntimeError:
            self._remove()
            raise

    @staticmethod
    def missing() -> str | None:
        """Why it cannot run here, or None."""
        if os.geteuid() != 0:
            return "a Docker engine of the tests' own needs root"
        if shutil.which("dockerd") is None or not Path(CLIENT).exists():
            return "no Docker engine is installed (Debian: docker.io)"
        return None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def _ready(self) -> bool:
        return self.socket.exists() and self.docker("version", check=False).returncode == 0

    def docker(
        self, *args: str, check: bool = True, timeout: float = 60, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the client; RuntimeError with its words when it fails."""
        done = subprocess.run(
            [CLIENT, "-H", self.url, *args],
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )
        if check and done.returncode:
            raise RuntimeError(f"docker {' '.join(args)}: {done.stderr[-6000:]}{done.stdout[-3000:]}")
        return done

    def import_debian(self) -> str:
        """Make and import a minimal Debian, since no image can be pulled; returns the image's name."""
        root = self.folder / "rootfs"
        argv = ["debootstrap", "--variant=minbase", SUITE, str(root), debian_mirror()]
        made = subprocess.run(argv, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
        if made.returncode:
            raise RuntimeError(f"debootstrap failed: {made.stdout[-3000:]}{made.stderr[-1000:]}")
        packed = self.folder / "rootfs.tar"
        subprocess.run(["tar", "-C", str(root), "-cf", str(packed), "."], check=True, timeout=300)
        self.docker("import", str(packed), BASE, timeout=300)
        packed.unlink()
        shutil.rmtree(root)
        return BASE

    def stop(self) -> None:
        """Stop every container, then the engine, and remove its folder."""
        running = self.docker("ps", "-q", check=False).stdout.split()
        if running:
            self.docker("rm", "-f", *running, check=False)
        self._child.stop(seconds=30)
        self._remove()

    def _remove(self) -> None:
        # What a killed engine left mounted would make the folder undeletable.
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def debian_mirror() -> str:
    """Where this machine's apt gets Debian itself from."""
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages", f"Codename: {SUITE}"]
    found = subprocess.run([*argv, "Label: Debian"], capture_output=True, text=True, timeout=60).stdout.split()
    if not found:
        raise RuntimeError("apt-get knows no Debian mirror; run apt-get update")
    return found[0]
