"""schemathesis over every OpenAPI document: no input is answered by a fault, and every answer is as described.

`make fuzz` runs it longer and with other input each time; here it is short and always the same.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import warnings
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from harness import merged, running
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from openapi_check import Checker, documents_of, resolve
from realparts.llm import MODEL, Llm
from sessionserver import end_workloads, install
from waits import WAIT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Of its own dependencies, at import.
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LONG = int(os.environ.get("MOORAGE_FUZZ_EXAMPLES", "0"))
EXAMPLES = LONG or 6
KNOWN_EXAMPLES = max(1, EXAMPLES // 8)
"""Of each operation with each thing that is there."""
CLOSED_EXAMPLES = max(2, EXAMPLES // 8)
"""Of what nobody may call: one refusal is like the next."""
PASSWORD = "correct horse battery"
CONFIG = {
    "limits": {"enabled": False},
    # No lockout: it would hide what comes after it.
    "accounts": {"argon2_memory_kib": 256, "argon2_time": 1, "lockout_threshold": 1_000_000},
    "plugins": {
        "chat": {"enabled": True, "required": True, "default_provider": "scripted"},
        # Searches by words: what is made up means nothing, and a model would be asked for each.
        "memories": {"enabled": True, "required": True, "default_mode": "bm25"},
        # Nothing is run of what is made up.
        "mcp": {"enabled": True, "required": True, "provided": False, "runtime": "docker"},
        "opencode": {"enabled": True, "max_running_per_user": 4},
        "tmux": {"enabled": True, "mount": "/tmux"},
        "voice": {"enabled": True, "required": True},
    },
    "runtimes": {"process": {"isolation": "none"}},
}
DOCUMENTS = [
    "chat",
    "chrote",
    "core",
    "octo",
    "octoprox",
    "orbital",
    "plugin-chat",
    "plugin-mcp",
    "plugin-memories",
    "plugin-opencode",
    "plugin-tmux",
    "plugin-voice",
]
ENDS_ITS_OWN_LOGIN = {
    "/api/auth/logout",
    "/auth/logout",
    "/api/auth/sign-out",
    "/api/core/sessions/revoke-all",
}
"""After one of these the owner would be nobody for the rest of the run. Nobody may call them as often as they like."""
ALIASES = (
    "/api/sessions/{id}/files",
    "/api/session/{id}/workspace",
    "/api/sessions/{id}/terminal",
    "/api/session/{id}/memories",
    "/api/sessions/{id}/mmry",
    "/api/sessions/{id}/memories",
    "/api/workspace/memories",
    "/api/memories/{memory_id}",
    "/api/memories/search",
    "/api/memories/stores",
    "/mmry/v1/memories",
    "/mmry/v1/agents",
    "/mmry/v1/federation",
    "/mmry/v1/stores",
    "/mmry/v1/embeddings",
    "/mmry/v1/rerank",
)
"""Other names of what is asked already."""
NAMING = ("id", "code", "token")
"""Members of answers by which things are asked for again."""


class Target:
    """A server, an owner's token, its documents, and things that are there to be found."""

    def __init__(self, server) -> None:
        self.server = server
        self.numbers = itertools.count()
        self.codes: list[str] = []
        server.add_user("keeper", role="owner")  # So that no rule about the last owner hides anything.
        server.add_user("fuzzer", role="owner")
        with server.client("fuzzer") as client:
            session = client.cookies["moorage_session"]
        self.headers = {"owner": {"Authorization": f"Bearer {session}"}, "nobody": {}}
        # One for all of the run: of those that wait for approval there may be so many.
        self.device = httpx.post(server.url + "/api/auth/device/code", json={"client_id": "orbital-cli"}).json()
        found = documents_of(server)
        assert len(found) == len(DOCUMENTS)
        self.documents = dict(zip(DOCUMENTS, found, strict=True))
        self.checker = Checker(found)
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def operations(self, name, who):
        """The operations of a document that are asked, deletions last: not streams, whose answers do not end."""
        schema = schemathesis.openapi.from_dict(self.documents[name], config=schemathesis.Config())
        found = [result.ok() for result in schema.get_all_operations()]
        for operation in sorted(found, key=lambda operation: operation.method == "delete"):
            answers = operation.definition.raw["responses"].values()
            stream = any("text/event-stream" in answer.get("content", {}) for answer in answers)
            if (
                not stream
                and not operation.path.startswith(ALIASES)
                and not (who == "owner" and operation.path in ENDS_ITS_OWN_LOGIN)
            ):
                yield operation

    def likely(self) -> dict[str, Any]:
        """Values of members that views go on with; what is random they refuse at once."""
        number = next(self.numbers)
        name = f"somebody{number}"
        return {
            "invite_code": self.codes[number % len(self.codes)] if self.codes else "",
            "username": name,
            "email": f"{name}@example.org",
            "password": PASSWORD,
            "role": ("user", "viewer")[number % 2],
            "client_id": "orbital-cli",
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "settings": "{}",
            "avatar_url": "https://example.org/a.png",
            "expires_at": "2099-01-01T00:00:00Z",
            "model": MODEL,
            "messages": [{"role": "user", "content": "hello"}],
            "provider_id": "scripted",
        }

    def things(self) -> tuple[list[str], dict[str, Any]]:
        """Makes a user, invites, a key, a terminal and a session; gives what names them, and members for bodies."""
        named: list[str] = []
        codes: list[str] = []
        key = ""
        with httpx.Client(base_url=self.server.url, headers=self.headers["owner"], timeout=WAIT) as client:
            for path, body in (
                ("/api/admin/users", self.likely() | {"role": "user"}),
                ("/admin/invites", {}),
                ("/api/invites", {}),
                ("/api/admin/invite-codes", {}),
                ("/api/v1/api-keys", {"name": "k"}),
            ):
                answer = client.post(path, json={name: body[name] for name in body if name in self.reads(path)})
                assert answer.status_code in (200, 201), f"{path}: {answer.text}"
                data = answer.json()
                data = data.get("data", data)
                named += [str(data[name]) for name in NAMING if name in data]
                codes += [data[name] for name in ("code", "token") if name in data and "api_key" not in data]
                key = data.get("api_key", key)
            workspace = client.post("/api/v1/workspaces", json={"name": f"fuzz{next(self.numbers)}"}).json()["data"]
            upstreams = f"/api/v1/workspaces/{workspace['id']}/upstreams"
            program = {"name": "s", "kind": "stdio", "command": ["none"], "enabled": False}
            upstream = client.post(upstreams, json=program).json()["data"]
            named += [str(workspace["id"]), workspace["pid"], str(upstream["id"])]
            terminal = client.post("/tmux/api/sessions", json={}).json()["session"]["name"]
            project: dict[str, str] = {"name": "fuzzed"}
            session = client.post("/api/sessions/get-or-create", json=project)
            assert session.status_code == 200, session.text
            people = client.get("/admin/users").json()["users"]
        named += [str(max(person["id"] for person in people)), terminal, session.json()["id"], "0"]
        self.codes = codes
        members = {
            "device_code": self.device["device_code"],
            "userCode": self.device["user_code"],
            "token": key,
        }
        return list(dict.fromkeys(named)), members

    def chats(self) -> tuple[list[str], dict[str, Any]]:
        """The same for chat alone: conversations, and a link to one."""
        with httpx.Client(base_url=self.server.url, headers=self.headers["owner"], timeout=WAIT) as client:
            chat = client.post("/conversations", json={"title": "fuzzed"}).json()["id"]
            message = client.post(f"/conversations/{chat}/messages", json={"content": "fuzzed"}).json()["message_id"]
            shared = client.post(f"/conversations/{chat}/share").json()["token"]
            orbital = client.post("/api/conversations", json={}).json()["id"]
        return [str(chat), orbital, shared, "scripted"], {"conversation_id": chat, "message_id": message}

    def remembered(self) -> tuple[list[str], dict[str, Any]]:
        """The same for memories alone: one's own, and one of a session."""
        with httpx.Client(base_url=self.server.url, headers=self.headers["owner"], timeout=WAIT) as client:
            session = client.post("/api/sessions/get-or-create", json={"name": "fuzzed"}).json()["id"]
            own, there = (
                client.post(base, json={"content": "fuzzed"}).json()["id"]
                for base in ("/api/memories", f"/api/session/{session}/mmry")
            )
        return [own, there, session], {"store": "default", "query": "fuzzed", "content": "fuzzed", "tags": ["fuzzed"]}

    def reads(self, path) -> set[str]:
        """The members of a body that is posted to a path."""
        for document in self.documents.values():
            if "post" in document["paths"].get(path, {}):
                return members_of(document, document["paths"][path]["post"])
        raise LookupError(path)

    def ask(self, case, who) -> None:
        """Send a case and check the answer, by schemathesis and against the closed schemas of our own check."""
        servers = case.operation.definition.raw.get("servers") or case.operation.schema.raw_schema["servers"]
        response = case.call(
            base_url=self.server.url + str(servers[0]["url"]).rstrip("/"),
            session=self.session,
            headers=self.headers[who],
            timeout=20,
            allow_redirects=False,
        )
        if response.status_code in (400, 414, 431) and not response.content and "x-request-id" not in response.headers:
            return  # The HTTP engine refused it: it was too long to be read at all.
        case.validate_response(response, checks=CHECKS)
        self.checker.check(
            httpx.Response(
                response.status_code,
                headers=[
                    (key, value)
                    for key, values in response.headers.items()
                    for value in values
                    if key.lower() != "content-encoding"  # Decoded already.
                ],
                content=response.content,
                request=httpx.Request(response.request.method, response.request.url),
            )
        )


def members_of(document, operation) -> set[str]:
    """The names in the schema of an operation's body."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = resolve(document, content["application/json"]["schema"]) if content else {}
    return set(schema.get("properties", ()))


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    # A tmux of its own, and no shell in it: what is typed would be run.
    folder = Path(tempfile.mkdtemp(prefix="mf"))
    (folder / ".tmux.conf").write_text("set -g default-command 'exec sleep 1000'\n")
    where = {"HOME": str(folder), "TMUX_TMPDIR": str(folder)}
    llm = Llm()
    try:
        place = tmp_path_factory.mktemp("fuzz")
        program = {"opencode": {"binary": str(install(folder / "bin"))}}
        provider = {"chat": {"providers": {"scripted": {"base_url": llm.url}}}}
        with running(place, merged(CONFIG, {"plugins": program | provider}), env=where) as server:
            yield Target(server)
    finally:
        llm.stop()
        end_workloads(place / "data")
        subprocess.run(["tmux", "kill-server"], env={"PATH": os.environ["PATH"], **where}, check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(60 + 10 * EXAMPLES)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("who", ["owner", "nobody"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_input_is_answered_by_a_fault_or_otherwise_than_described(target, name, who):
    problems: list[str] = []
    special = {"plugin-chat": target.chats, "plugin-memories": target.remembered}
    things, members = special.get(name, target.things)()
    for operation in target.operations(name, who):
        for mode in schemathesis.GenerationMode:
            problems += _fuzz(target, operation, who, generation_mode=mode)
        if members_of(target.documents[name], operation.definition.raw):
            problems += _fuzz(target, operation, who, members)
        if parameters := [parameter.name for parameter in operation.path_parameters]:
            # Nobody is told the same whatever is there; one thing shows it.
            there = things if who == "owner" or LONG else things[:1]
            problems += _fuzz(target, operation, who, members, [dict.fromkeys(parameters, known) for known in there])
    with httpx.Client(base_url=target.server.url, headers=target.headers["owner"]) as client:
        assert client.get("/api/auth/check").status_code == 200, "the owner lost their login on the way"
    assert not problems, f"{len(problems)} problems:\n\n" + "\n\n".join(problems)


def test_parts_of_a_form_without_a_name_are_no_fault(target):
    part = b'--B\r\nContent-Disposition: form-data; name="\\"\r\n\r\nx\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=B", **target.headers["owner"]}
    answer = httpx.post(target.server.url + "/api/v1/auth/introspect", content=2 * part + b"--B--\r\n", headers=headers)
    assert answer.status_code == 400, answer.text


def _fuzz(target, operation, who, members=None, paths=(), **how) -> list[str]:
    """The first problem of an operation, if there is one.

    members: put into bodies, together with other likely ones, each now and then left as it was made up.
    paths: parameters of the path of things that are there, each of which is asked KNOWN_EXAMPLES times.
    """
    known = members_of(operation.schema.raw_schema, operation.definition.raw)
    turns = itertools.cycle(paths)
    closed = who == "nobody" and operation.definition.raw["security"]

    @settings(
        max_examples=KNOWN_EXAMPLES * len(paths) or (CLOSED_EXAMPLES if closed else EXAMPLES),
        derandomize=not LONG,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(**how), odd=st.sets(st.sampled_from(sorted(known) or [""]), max_size=1))
    def ask(case, odd):
        case.path_parameters = next(turns, case.path_parameters)
        if members is not None and isinstance(case.body, dict):
            likely = target.likely() | members
            case.body |= {key: likely[key] for key in (likely.keys() & known) - odd}
        target.ask(case, who)

    try:
        ask()
    except Unsatisfiable:
        return []  # There is no wrong input for what reads none.
    except (Exception, BaseExceptionGroup) as error:
        parts = [str(part) for part in getattr(error, "exceptions", ())]
        return ["\n".join([f"{operation.label} ({how or paths}): {error}", *parts])[:3000]]
    return []
