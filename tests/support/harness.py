"""A real `moorage serve` in a process of its own, and what a client needs to talk to it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import httpx
from forks import Fork, forker
from realparts.ports import free_port
from waits import WAIT

MOORAGE = str(Path(sys.executable).parent / "moorage")


def environment(**more: str) -> dict[str, str]:
    """The environment without any setting of ours in it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MOORAGE")}
    return {**kept, **more}


def toml(data: dict[str, Any]) -> str:
    """A nested dict as TOML: enough for test configurations."""
    lines: list[str] = []

    def table(prefix: str, values: dict[str, Any]) -> None:
        plain = {k: v for k, v in values.items() if not isinstance(v, dict)}
        if prefix:
            lines.append(f"[{prefix}]")
        lines.extend(f"{key} = {json.dumps(value)}" for key, value in plain.items())
        for key, value in values.items():
            if isinstance(value, dict):
                table(f"{prefix}.{key}" if prefix else key, value)

    table("", data)
    return "\n".join(lines) + "\n"


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """`more` over `base`, table by table."""
    result = dict(base)
    for key, value in more.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


class Server:
    """One `moorage serve`. Its folder holds moorage.toml and data/.

    forked: its processes are forks of one that has imported the program, which is quicker; else it is started by name.
    """

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        *,
        forked: bool = True,
    ) -> None:
        self.folder, self.port, self.forked = folder, free_port(), forked
        self.config_file = folder / "moorage.toml"
        self.data_dir = folder / "data"
        self.env = env or {}
        base = {"data_dir": "data", "server": {"listen": [f"127.0.0.1:{self.port}"]}, "log": {"format": "json"}}
        base["accounts"] = {"argon2_memory_kib": 256, "argon2_time": 1}
        self.config = merged(base, config or {})
        self.write_config()
        self.process: subprocess.Popen[str] | Fork | None = None
        self.said: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr.log").read_text()

    def write_config(self, more: dict[str, Any] | None = None) -> None:
        self.config = merged(self.config, more or {})
        self.config_file.write_text(toml(self.config))

    def cli(self, *args: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command against this server's configuration."""
        return self._run([args], input, check)

    def _run(self, commands: Sequence[Sequence[str]], input: str | None, check: bool) -> Any:
        """Run commands, one after the other; what all of them said."""
        env = environment(MOORAGE_CONFIG=str(self.config_file), **self.env)
        if self.forked:
            done = [forker().run(commands, env=env, input=input, timeout=2 * WAIT)]
        else:
            how = {"env": env, "input": input, "capture_output": True, "text": True, "timeout": 2 * WAIT}
            done = [subprocess.run([MOORAGE, *command], **how) for command in commands]
        for one in done:
            if check and one.returncode:
                raise AssertionError(f"{' '.join(one.args)}: exit {one.returncode}\n{one.stdout}\n{one.stderr}")
        return done[-1]

    def spawn(self, *args: str) -> subprocess.Popen[str] | Fork:
        """Start the process without waiting for it."""
        command = ["serve", "--config", str(self.config_file), *args]
        with (self.folder / "stderr.log").open("a") as log:
            if self.forked:
                self.process = self._fork(command, log)
            else:
                self.process = subprocess.Popen(
                    [MOORAGE, *command],
                    env=environment(**self.env),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        return self.process

    def _fork(self, command: list[str], log: IO[str]) -> Fork:
        reader, writer = os.pipe()
        with open(writer, "w") as stdout, open(os.devnull) as stdin:
            env, reads = environment(**self.env), open(reader)  # noqa: SIM115 - as Popen.stdout it is read and closed later
            return forker().start([command], env=env, stdin=stdin, stdout=stdout, stderr=log, reads=reads)

    def start(self, *args: str, timeout: float = WAIT) -> Server:
        """Start and wait until it says that it is ready."""
        self.spawn(*args)
        return self.wait_started(timeout)

    def wait_started(self, timeout: float = WAIT) -> Server:
        """Wait until a spawned process says that it is ready."""
        process = self.process
        assert process is not None
        assert process.stdout is not None
        deadline = time.monotonic() + timeout
        os.set_blocking(process.stdout.fileno(), False)
        text = ""
        while "Moorage is ready" not in text or not text.endswith("\n"):
            left = deadline - time.monotonic()
            if process.poll() is not None or left <= 0:
                raise AssertionError(f"no start (exit {process.poll()}):\n{text}\n{self.stderr[-4000:]}")
            if select.select([process.stdout], [], [], min(left, 0.2))[0]:
                text += process.stdout.read() or ""
        self.wait_healthy(deadline)
        self.said = text.splitlines()
        return self

    def wait_healthy(self, deadline: float) -> None:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            if time.monotonic() > deadline:
                raise AssertionError(f"never healthy\n{self.stderr[-4000:]}")
            select.select([], [], [], 0.02)

    def output(self) -> str:
        """What it has printed since the start (access log)."""
        assert self.process is not None
        assert self.process.stdout is not None
        try:
            return self.process.stdout.read() or ""
        except TypeError:  # A text wrapper over a pipe that has nothing to read now.
            return ""

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, timeout: float = WAIT) -> int:
        """SIGTERM, then the exit code; SIGKILL and a failure if it does not end."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not stop within {timeout} s\n{self.stderr[-4000:]}") from None
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None
        return code

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None

    def add_user(self, name: str, role: str = "operator", password: str = "correct horse battery") -> None:
        self.cli("users", "create", name, "--role", role, "--password-file", "-", input=password + "\n")

    def add_users(self, roles: dict[str, str], password: str = "correct horse battery") -> None:
        """Users and their roles, by one process."""
        secret = self.folder / "password"
        secret.write_text(password + "\n")
        commands = [["users", "create", name, "--role", roles[name], "--password-file", str(secret)] for name in roles]
        self._run(commands, None, check=True)

    def key(self, name: str, *scopes: str) -> str:
        """A new API key of a user."""
        args = [part for scope in scopes for part in ("--scope", scope)]
        said = self.cli("keys", "create", "test", "--user", name, *args).stdout
        found = re.search(r"mcp_[0-9a-f]+_[A-Za-z0-9_-]+", said)
        assert found, said
        return found[0]

    def client(self, name: str | None = None, password: str = "correct horse battery") -> httpx.Client:
        """An HTTP client, logged in with a cookie if a name is given."""
        cookies = None
        if name is not None:
            with httpx.Client(base_url=self.url, timeout=WAIT) as first:
                answer = first.post("/api/auth/login", json={"username": name, "password": password})
                assert answer.status_code == 200, answer.text
                cookies = first.cookies
        return httpx.Client(base_url=self.url, timeout=WAIT, cookies=cookies)

    def cookie(self, name: str, password: str = "correct horse battery") -> str:
        """A Cookie header's value of a fresh login."""
        with self.client(name, password) as client:
            return "; ".join(f"{key}={value}" for key, value in client.cookies.items())


@contextlib.contextmanager
def running(folder: Path, config: dict[str, Any] | None = None, **options: Any) -> Iterator[Server]:
    """A started server, stopped at the end."""
    server = Server(folder, config, **options)
    try:
        yield server.start()
    finally:
        server.stop()
