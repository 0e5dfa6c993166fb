"""A PostgreSQL cluster of the test run's own: fresh data folder, spare port, one password."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from realparts.child import Child
from realparts.ports import free_port

USER = "moorage"
PASSWORD = "test p@ss/word"  # characters that a URL must quote
QUOTED = "test%20p%40ss%2Fword"


def find_bindir() -> Path | None:
    """The folder with initdb and postgres, newest version first, or None."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True)
    found = shutil.which("initdb")
    if found:
        versions.append(Path(found).resolve().parent)
    return next(
        (folder for folder in versions if (folder / "initdb").exists() and (folder / "postgres").exists()), None
    )


class Postgres:
    """`new_database()` gives the URL of an empty database; `stop()` ends the cluster and removes its folder."""

    def __init__(self, bindir: Path) -> None:
        self.bindir = bindir
        self.port = free_port()
        # PostgreSQL refuses to run as root, and pytest's folders are closed to others: a folder of its own.
        self.folder = Path(tempfile.mkdtemp(prefix="moorage-pg-"))
        self.user = "postgres" if os.geteuid() == 0 else None
        self._child: Child | None = None
        try:
            self._initdb()
            self.start()
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def missing() -> str | None:
        """Why it cannot run here, or None."""
        if find_bindir() is None:
            return "no PostgreSQL server is installed (Debian: postgresql)"
        if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
            return "running as root and there is no user 'postgres' to run PostgreSQL as"
        return None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def _initdb(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self.user:
            shutil.chown(self.folder, self.user, self.user)
            shutil.chown(secret, self.user, self.user)
        argv = [self.bindir / "initdb", "-D", self.data, "-U", USER, "-A", "scram-sha-256", "--pwfile", secret]
        argv += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.folder,
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr}")

    def start(self) -> None:
        """Start the server on its port; for tests that stop it."""
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "60",
            "shared_buffers": "32MB",
        }
        argv = [str(self.bindir / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        self._child = Child(argv, self.folder / "log", cwd=self.folder, user=self.user)
        self._child.wait_until(self._ready, "PostgreSQL")

    def _ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def halt(self) -> None:
        """Stop the server, keep its data; `start()` brings it back."""
        if self._child is not None:
            self._child.stop(signal.SIGINT)  # "fast": ends the connections
            self._child = None

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgres://{USER}:{QUOTED}@127.0.0.1:{self.port}/{database}"

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Run one statement as the superuser; returns the bare rows."""
        argv = [self.bindir / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database]
        argv += ["-v", "ON_ERROR_STOP=1", "-XAtqc", sql]
        env = {**os.environ, "PGPASSWORD": PASSWORD}
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=env)
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"test_{secrets.token_hex(6)}"
        self.psql(f"CREATE DATABASE {name}")
        return self.url(name)
