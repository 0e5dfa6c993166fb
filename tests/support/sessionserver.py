"""A real `moorage serve` with the opencode plugin, and a program of ours in the place of OpenCode."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import httpx
from harness import Server, merged
from openapi_check import Checker, checked, documents_of
from waits import WAIT

STANDIN = Path(__file__).with_name("opencode_standin.py")
PASSWORD = "correct horse battery"
PEOPLE = {"ann": "operator", "bob": "operator", "vic": "viewer", "ada": "admin"}


class Coding(Server):
    """The server; `projects` is its one root. Its workloads end with `stop`, whoever started them."""

    def __init__(self, folder, core=None, database="sqlite://moorage.db", **options):
        self.projects, self.bin = folder / "projects", folder / "bin"
        self.projects.mkdir(exist_ok=True)
        self.keys = {}
        self.program = install(self.bin)
        config = {
            "database": {"url": database},
            "limits": {"enabled": False},
            "accounts": {"argon2_memory_kib": 256, "argon2_time": 1},
            # Apart from the machine they are in tests of the runtime; a folder of the tests' Python is not seen there.
            "runtimes": {"process": {"isolation": "none"}},
            "plugins": {
                "opencode": {
                    "enabled": True,
                    "required": True,
                    "binary": str(self.program),
                    "roots": [str(self.projects)],
                    "start_timeout": WAIT,
                    "max_running_per_user": 100,
                    **options,
                }
            },
        }
        super().__init__(folder, merged(config, core or {}))

    def people(self, *names):
        """Make users, by default all of them, and log each in. `root`, an owner, is always there."""
        self.add_user("root", "owner")
        with httpx.Client(base_url=self.url, timeout=WAIT) as client:
            self.keys["root"] = _token(client, "root")
            client.headers["Authorization"] = f"Bearer {self.keys['root']}"
            for name in names or PEOPLE:
                body = {"username": name, "password": PASSWORD, "email": f"{name}@example.org"}
                made = client.post("/api/admin/users", json=body)
                assert made.status_code == 201, made.text
                if PEOPLE[name] != "operator":
                    path = f"/api/users/{made.json()['id']}/role"
                    assert client.patch(path, json={"role": PEOPLE[name]}).status_code == 200
                self.keys[name] = _token(client, name)
        return self

    def project(self, name, **told):
        """A folder below the root. told: what the program in OpenCode's place is to do there."""
        folder = self.projects / name
        folder.mkdir(exist_ok=True)
        if told:
            (folder / "standin.json").write_text(json.dumps(told))
        return folder

    def api(self, who):
        """A client of a user, each answer of which is checked against the server's OpenAPI documents."""
        if not hasattr(self, "checker"):
            self.checker = Checker(documents_of(self))
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        return checked(httpx.Client(base_url=self.url, headers=headers, timeout=2 * WAIT), self, self.checker)

    def query(self, sql, *values):
        """Ask or change its database by hand."""
        with contextlib.closing(sqlite3.connect(self.data_dir / "moorage.db", timeout=30)) as database:
            found = database.execute(sql, values).fetchall()
            database.commit()
            return found

    def audited(self):
        """What the plugin put on record: (action, target)."""
        return self.query("SELECT action, target FROM core_audit_events WHERE action LIKE 'opencode.%' ORDER BY id")

    def workload_folder(self, session):
        """Where the process runtime keeps a session's workload."""
        return self.data_dir / "runtimes" / "process" / f"opencode.octo-{session['id'][:8]}"

    def keeper(self, session):
        """The process ids of a session's keeper and its program."""
        state = json.loads((self.workload_folder(session) / "state.json").read_text())
        return state["keeper"], state["pid"]

    def people_again(self, *names):
        """Log in anew."""
        with httpx.Client(base_url=self.url, timeout=WAIT) as client:
            for name in names:
                self.keys[name] = _token(client, name)

    def stop_gently(self, timeout=30):
        """End the server as an operator does; sessions go on."""
        return super().stop(timeout)

    def stop(self, timeout=30):
        try:
            return super().stop(timeout)
        finally:
            end_workloads(self.data_dir)


def end_workloads(data_dir):
    """End every process that the process runtime of a server started: to be called when the server has ended."""
    for state in data_dir.glob("runtimes/process/*/state.json"):
        told = json.loads(state.read_text())
        for pid in (told.get("pid"), told.get("keeper")):
            if pid and str(data_dir) in _environment_or_files(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _token(client, name):
    answer = client.post("/api/auth/login", json={"username": name, "password": PASSWORD})
    client.cookies.clear()
    return answer.json()["token"]


def install(folder, version="1.0.0"):
    """Put the program in OpenCode's place into a folder."""
    folder.mkdir(exist_ok=True)
    program = folder / "opencode"
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin") or os.path.realpath(shutil.which("python3"))
    program.write_text(f"#!{python} -SE\n{STANDIN.read_text()}")
    program.chmod(0o755)
    (folder / "version").write_text(version)
    return program


@contextlib.contextmanager
def coding(folder, *people, **options):
    """A started server with users."""
    server = Coding(folder, **options)
    try:
        server.start()
        yield server.people(*people)
    finally:
        server.stop()


def starts(project):
    """(process id, version) of each start of the program in a project."""
    file = project / "starts"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(int(pid), version) for pid, version in (line.split() for line in lines)]


def alive(pid):
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition, what="it", timeout=WAIT):
    """Wait until a condition holds; returns what it returned."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.05)
    return found


def becomes(client, session, status, timeout=WAIT):
    """Wait until a session has a status; returns it."""
    seen = []

    def there():
        answer = client.get(f"/api/sessions/{session['id']}")
        seen[:] = [answer.json()]
        return answer.json() if answer.json().get("status") == status else None

    try:
        return until(there, f"status {status}", timeout)
    except AssertionError as error:
        raise AssertionError(f"{error}: {seen}") from None


def _environment_or_files(pid):
    """What tells whose process it is, so that a number that was given anew is left alone."""
    found = ""
    for name in ("environ", "cmdline"):
        with contextlib.suppress(OSError):
            found += Path(f"/proc/{pid}/{name}").read_bytes().decode("utf-8", "replace")
    with contextlib.suppress(OSError):
        found += " ".join(os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir())
    return found
