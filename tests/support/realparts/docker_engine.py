"""A Docker engine of the test run's own, on a Unix socket, with images made on the spot: busybox, or a Debian."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import tarfile
import tempfile
from pathlib import Path

from realparts.child import Child

CLIENT = "/usr/bin/docker"
BASE = "debian:bookworm-slim"
SUITE = "bookworm"
SMALL = "busybox:test"


class DockerEngine:
    """`docker(...)` runs the client against it; `stop()` ends it with everything that runs in it.

    It changes nothing of the machine's firewall and has a bridge of its own, so that others may run beside it: ports
    that are published on loopback work, containers reach the machine, and nothing beyond.
    """

    def __init__(self) -> None:
        # A short path: the name of a Unix socket holds 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="moorage-docker-"))
        self.socket = self.folder / "docker.sock"
        self.bridge = Bridge()
        self._child: Child | None = None
        try:
            self.start()
        except RuntimeError:
            self._remove()
            raise

    def start(self) -> None:
        """Start it, again after `end`. RuntimeError when it does not answer."""
        argv: list[str | Path] = ["dockerd", "-H", f"unix://{self.socket}", "--data-root", self.folder / "data"]
        argv += ["--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid", "--shutdown-timeout", "3"]
        argv += ["--iptables=false", "--ip-masq=false", "--bridge", self.bridge.name]
        self._child = Child(argv, self.folder / "log")
        self._child.wait_until(self._ready, "Docker engine", 60)

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def runs(self) -> bool:
        return self._child is not None

    def end(self, sig: signal.Signals = signal.SIGTERM) -> None:
        """End the engine alone; its images and containers are kept for the next `start`."""
        if self._child is None:
            return
        self._child.stop(sig, seconds=30)
        self._child = None
        # Its containerd dies with it, and where nobody reaps it the next one would take it for one that runs.
        (self.folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def _left(self, program: str) -> list[int]:
        """Processes of a program that were started with this engine's folder in their arguments."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                first, _, rest = (folder / "cmdline").read_bytes().partition(b"\0")
                if Path(os.fsdecode(first)).name == program and str(self.folder).encode() + b"/" in rest:
                    found.append(int(folder.name))
        return found

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

    def import_busybox(self) -> str:
        """Import an image with a static busybox under all its names; returns the image's name."""
        packed = pack_busybox(self.folder / "busybox.tar")
        self.docker("import", "--change", "LABEL made.by=tests", str(packed), SMALL)
        packed.unlink()
        return SMALL

    def stop(self) -> None:
        """Stop every container, then the engine, and remove its folder."""
        if self._child is not None:
            running = self.docker("ps", "-q", check=False).stdout.split()
            if running:
                self.docker("rm", "-f", *running, check=False)
            # Their bridges would outlive the engine.
            self.docker("network", "prune", "-f", check=False)
        self.end()
        self._remove()

    def _remove(self) -> None:
        self.end(signal.SIGKILL)
        for left in self._left("containerd"):
            with contextlib.suppress(OSError):
                os.kill(left, signal.SIGKILL)
        for shim in self._left("containerd-shim-runc-v2"):
            # What an engine that is gone cannot end: the containers, each below its shim.
            with contextlib.suppress(OSError):
                for child in Path(f"/proc/{shim}/task/{shim}/children").read_text().split():
                    os.kill(int(child), signal.SIGKILL)
                os.kill(shim, signal.SIGKILL)
        self.bridge.remove()
        # What a killed engine left mounted would make the folder undeletable.
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class Bridge:
    """A network bridge; `address` is this machine as its containers see it.

    Source: `linux/sockios.h`; a tool for it may not be installed.
    """

    ADD, DELETE = 0x89A0, 0x89A1
    GET_FLAGS, SET_FLAGS, SET_ADDRESS, SET_MASK = 0x8913, 0x8914, 0x8916, 0x891C
    UP = 1

    def __init__(self) -> None:
        self.name = f"moor{random.randrange(16**8):08x}"
        self.address = f"10.{random.randrange(64, 250)}.{random.randrange(256)}.1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            try:
                fcntl.ioctl(asked, self.ADD, self.name.encode() + b"\0")
                self._address(asked, self.SET_ADDRESS, self.address)
                self._address(asked, self.SET_MASK, "255.255.255.0")
                self._flags(asked, up=True)
            except OSError as error:
                raise RuntimeError(f"no network bridge can be made: {error}") from error

    def remove(self) -> None:
        """Take it down and away; harmless when it is gone."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            self._flags(asked, up=False)
            fcntl.ioctl(asked, self.DELETE, self.name.encode() + b"\0")

    def _address(self, asked: socket.socket, what: int, address: str) -> None:
        packed = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
        fcntl.ioctl(asked, what, struct.pack("16s16s", self.name.encode(), packed))

    def _flags(self, asked: socket.socket, *, up: bool) -> None:
        now = struct.unpack("16sh", fcntl.ioctl(asked, self.GET_FLAGS, struct.pack("16sh", self.name.encode(), 0)))[1]
        flags = now | self.UP if up else now & ~self.UP
        fcntl.ioctl(asked, self.SET_FLAGS, struct.pack("16sh", self.name.encode(), flags))


def no_busybox() -> str | None:
    """Why no image can be made of busybox, or None."""
    program = shutil.which("busybox")
    # A program that needs libraries names their loader at its beginning.
    if program is None or b"/ld-linux" in Path(program).read_bytes()[:4096]:
        return "no static busybox is installed (Debian: busybox-static)"
    return None


def pack_busybox(path: Path) -> Path:
    """Write the files of an image that is busybox and nothing else."""
    program = shutil.which("busybox") or "busybox"
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True, timeout=10)
    with tarfile.open(path, mode="w") as tar:
        for folder in ("bin", "dev", "etc", "proc", "root", "srv", "sys", "tmp", "var/tmp"):
            tar.addfile(_entry(folder, tarfile.DIRTYPE))
        tar.add(program, "bin/busybox")
        for name in names.stdout.split():
            if name != "busybox":
                tar.addfile(_entry(f"bin/{name}", tarfile.SYMTYPE, "busybox"))
    return path


def _entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = kind, target, 0o1777 if name.endswith("tmp") else 0o755
    return entry


def debian_mirror() -> str:
    """Where this machine's apt gets Debian itself from."""
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages", f"Codename: {SUITE}"]
    found = subprocess.run([*argv, "Label: Debian"], capture_output=True, text=True, timeout=60).stdout.split()
    if not found:
        raise RuntimeError("apt-get knows no Debian mirror; run apt-get update")
    return found[0]
