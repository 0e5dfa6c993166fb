"""schemathesis over every OpenAPI document: no input is answered by a fault, and every answer is as described.

`make fuzz` runs it longer and with other input each time; here it is short and always the same.
"""

from __future__ import annotations

import os
import warnings
from functools import cache

import httpx
import pytest
import requests
from harness import running
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from openapi_check import Checker, documents_of

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
EXAMPLES = LONG or 10
CONFIG = {
    "limits": {"enabled": False},
    "accounts": {"argon2_memory_kib": 256, "argon2_time": 1},
    "plugins": {"tmux": {"enabled": True, "mount": "/tmux"}},
}
DOCUMENTS = ["chat", "chrote", "core", "octo", "octoprox", "orbital", "plugin-tmux"]
ENDS_ITS_OWN_LOGIN = {
    "/api/auth/logout",
    "/auth/logout",
    "/auth/sign-out",
    "/api/auth/sign-out",
    "/api/core/sessions/revoke-all",
}
"""After one of these the owner would be nobody for the rest of the run. Nobody may call them as often as they like."""
VICTIMS = 8


class Target:
    """A server with some users to be found, an owner's token, and its documents."""

    def __init__(self, server) -> None:
        self.server = server
        server.add_user("keeper", role="owner")
        for number in range(VICTIMS):
            server.add_user(f"victim{number}")
        server.add_user("fuzzer", role="owner")
        with server.client("fuzzer") as client:
            session = client.cookies["moorage_session"]
            self.headers = {"owner": {"Authorization": f"Bearer {session}"}, "nobody": {}}
            users = client.get("/api/admin/users").json()
        pids = [user["id"] for user in users if user["username"].startswith("victim")]
        self.ids = [*pids[:2], "3", "4"]
        self.documents = dict(zip(DOCUMENTS, self._documents(), strict=True))
        self.checker = Checker(list(self.documents.values()))

    def _documents(self):
        found = documents_of(self.server)
        assert [row["info"]["title"].split()[-1] for row in found] == [
            name.removeprefix("plugin-").replace("core", "Moorage") for name in DOCUMENTS
        ]
        return found

    def operations(self, name, who):
        """The operations of a document that are asked: not streams, whose answers do not end."""
        schema = schemathesis.openapi.from_dict(self.documents[name])
        for found in schema.get_all_operations():
            operation = found.ok()
            answers = operation.definition.raw["responses"].values()
            stream = any("text/event-stream" in answer.get("content", {}) for answer in answers)
            if not stream and not (who == "owner" and operation.path in ENDS_ITS_OWN_LOGIN):
                yield operation

    def ask(self, case, who) -> None:
        prefix = self.documents_prefix(case.operation)
        response = case.call(
            base_url=self.server.url + prefix,
            session=self.session,
            headers=self.headers[who],
            timeout=20,
            allow_redirects=False,
        )
        case.validate_response(response, checks=CHECKS)
        request = httpx.Request(response.request.method, response.request.url)
        headers = [(key, value) for key, values in response.headers.items() for value in values]
        self.checker.check(_plain(response, headers, request))

    def documents_prefix(self, operation) -> str:
        servers = operation.definition.raw.get("servers") or operation.schema.raw_schema["servers"]
        return str(servers[0]["url"]).rstrip("/")

    @property
    def session(self) -> requests.Session:
        return _session()


@cache
def _session() -> requests.Session:
    """Connections are kept; cookies that answers set are not."""
    from http.cookiejar import DefaultCookiePolicy

    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _plain(response, headers, request) -> httpx.Response:
    kept = [(key, value) for key, value in headers if key.lower() not in ("content-encoding", "transfer-encoding")]
    return httpx.Response(response.status_code, headers=kept, content=response.content, request=request)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    with running(tmp_path_factory.mktemp("fuzz"), CONFIG) as server:
        yield Target(server)


@pytest.mark.timeout(60 + 10 * EXAMPLES)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("who", ["owner", "nobody"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_input_is_answered_by_a_fault_or_otherwise_than_described(target, name, who):
    problems: list[str] = []
    for operation in target.operations(name, who):
        for mode in schemathesis.GenerationMode:
            problems += _fuzz(target, operation, who, generation_mode=mode)
        parameters = [parameter.name for parameter in operation.path_parameters]
        if parameters and who == "owner":
            # What is random is not found: views are to be gone through with things that are there, too.
            for known in target.ids:
                problems += _fuzz(target, operation, who, path_parameters=dict.fromkeys(parameters, known))
    with httpx.Client(base_url=target.server.url, headers=target.headers["owner"]) as client:
        assert client.get("/api/auth/check").status_code == 200, "the owner lost their login on the way"
    assert not problems, f"{len(problems)} operations:\n\n" + "\n\n".join(problems)


def _fuzz(target, operation, who, **how) -> list[str]:
    """The first problem of an operation, if there is one."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=not LONG,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(**how))
    def ask(case):
        target.ask(case, who)

    try:
        ask()
    except Unsatisfiable:
        return []  # There is no wrong input for what reads none.
    except Exception as error:
        return [f"{operation.label} ({how}): {_text(error)}"[:3000]]
    return []


def _text(error: BaseException) -> str:
    parts = getattr(error, "exceptions", ())
    return "\n".join([str(error), *(str(part) for part in parts)])
