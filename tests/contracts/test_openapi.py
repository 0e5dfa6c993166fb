"""The OpenAPI documents: they hold every route, they are valid, and what is answered is as they say."""

from __future__ import annotations

import inspect
import re
from collections import Counter

import httpx
import pytest
from harness import running
from jsonschema import Draft202012Validator
from moorage.api import (
    AUTHENTICATED,
    PUBLIC,
    BadRequest,
    Conflict,
    Forbidden,
    HttpRoute,
    Manifest,
    NotFound,
    Plugin,
    Routes,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    ValidationFailed,
    hookimpl,
    json_response,
)
from moorage.dialects import DIALECTS
from moorage.openapi.served import by_document, view_of
from openapi_check import Checker, checked, documents_of
from openapi_spec_validator import validate

SURFACES = ["chat", "chrote", "core", "octo", "octoprox", "orbital"]
CONFIG = {
    "limits": {"enabled": False},
    "accounts": {"argon2_memory_kib": 256, "argon2_time": 1},
    "plugins": {"tmux": {"enabled": True, "mount": "/tmux"}},
}
STREAMS = {"text/event-stream"}
EMPTY = {"core: POST /oauth/revoke", "orbital: POST /api/auth/revoke"}
"""What answers 200 with nothing, because its standard says so (RFC 7009)."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("openapi"), CONFIG) as server:
        server.add_user("olga", role="owner")
        yield server


@pytest.fixture(scope="module")
def documents(server):
    return documents_of(server)


class Opaque:
    """No type that pydantic knows."""


class Odd(Plugin):
    """Has the name of a surface, and routes that are hardly described, or by a type that has no schema."""

    manifest = Manifest(name="octo", version="3.1", summary="Odd")

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()

        @routes.get("/api/odd/{thing}", access=PUBLIC)
        async def bare_view(thing):
            return json_response({"thing": thing})

        @routes.put("/api/odd/{other}", access=AUTHENTICATED, answer=dict[str, int])
        async def wrong(other):
            """Answer what was not said.

            On purpose.
            """
            return json_response({"other": other})

        @routes.get("/api/odd-object", access=PUBLIC, answer=Opaque)
        async def no_schema():
            return json_response({})

        return routes


def operations(documents):
    for document in documents:
        for path, item in document["paths"].items():
            for method, operation in item.items():
                yield document, path, method, operation


def test_every_document_is_valid_and_says_who_may_ask(documents):
    for document in documents:
        validate(document)
    ids = [operation["operationId"] for *_, operation in operations(documents)]
    assert len(ids) == len(set(ids)) > 40
    for *_, operation in operations(documents):
        assert operation["security"] == [] or operation["security"] == [{"session": []}, {"bearer": []}]
        assert ("401" in operation["responses"]) == (operation["security"] != [])


async def test_every_route_is_in_exactly_one_document_and_no_document_has_others(moorage_server):
    async with moorage_server("tmux", Odd) as server:
        rows = (await server.anonymous.get("/api/core/openapi")).json()["documents"]
        assert [row["name"] for row in rows] == [*SURFACES, "plugin-octo", "plugin-tmux"]
        told = Counter()
        for row in rows:
            document = (await server.anonymous.get(row["url"])).json()
            told.update((method, _shape(path)) for _, path, method, _ in operations([document]))
        table = {id(entry.route): entry.route for _, entry in server.app.gate.sites.entries()}
        served = Counter(
            (method.lower(), _shape(route.path))
            for route in table.values()
            if isinstance(route, HttpRoute)
            for method in route.methods
        )
        assert told == served


def _shape(path):
    return re.sub(r"\{[^}]*\}", "{}", path)


async def test_the_servers_are_the_mounts(moorage_server):
    config = {"plugins": {"tmux": {"mount": ["/term", ":3000/", "//t.example.org:81/x"]}}}
    async with moorage_server("tmux", config=config) as server:
        tmux, octo, core = [
            (await server.anonymous.get(f"/api/core/openapi/{name}.json")).json()
            for name in ("plugin-tmux", "octo", "core")
        ]
    named = {"/term", "{scheme}://t.example.org:81/x", "{scheme}://{host}:3000"}
    assert {found["url"] for found in tmux["servers"]} == named
    assert {"/", "/term", "{scheme}://{host}:3000"} <= {found["url"] for found in octo["servers"]}
    health = core["paths"]["/health"]["get"]
    assert "/term" not in {found["url"] for found in health.get("servers", core["servers"])}, "only at the root"


async def test_a_plugin_that_describes_little_has_a_document_that_is_true(moorage_server, caplog):
    async with moorage_server(Odd) as server:
        rows = (await server.anonymous.get("/api/core/openapi")).json()["documents"]
        documents = [(await server.anonymous.get(row["url"])).json() for row in rows]
        odd = next(document for document in documents if "/api/odd-object" in document["paths"])
        validate(odd)
        assert odd["info"]["version"] == "3.1"
        (both,) = [item for path, item in odd["paths"].items() if path.startswith("/api/odd/")]
        bare, wrong = both["get"], both["put"]
        assert bare["summary"] == "Bare view"
        assert (wrong["summary"], wrong["description"]) == ("Answer what was not said.", "On purpose.")
        assert bare["parameters"] == wrong["parameters"], "one template for one path"
        assert "cannot be described" in caplog.text

        checker, client = Checker(documents), await server.as_user()
        for path in ("/api/odd/x", "/api/odd-object"):
            checker.check(await client.get(path))
        with pytest.raises(AssertionError, match="does not fit its schema"):
            checker.check(await client.put("/api/odd/x"))


async def test_a_reload_brings_the_documents_of_new_plugins(moorage_server):
    async with moorage_server(Odd, config={"plugins": {"octo": {"enabled": False}}}) as server:
        path = "/api/core/openapi/plugin-octo.json"
        assert (await server.anonymous.get(path)).status_code == 404
        await server.reload({"plugins": {"octo": {"enabled": True}}})
        assert (await server.anonymous.get(path)).status_code == 200


def test_a_document_is_given_once_to_those_who_keep_it(server):
    with server.client() as client:
        path = "/api/core/openapi/octo.json"
        first = client.get(path)
        again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get(path, headers={"If-None-Match": '"other"'}).content == first.content
        for wrong in ("octo", "octo.yaml", ".json", "nothing.json", "plugin-hello.json", "..json"):
            assert client.get(f"/api/core/openapi/{wrong}").status_code == 404, wrong


def test_the_command_prints_what_the_server_gives(server, documents):
    for name in ("octo", "plugin-tmux"):
        with server.client() as client:
            assert server.cli("openapi", name).stdout.strip() == client.get(f"/api/core/openapi/{name}.json").text
    assert server.cli("openapi").stdout.split() == [*SURFACES, "plugin-tmux"]
    wrong = server.cli("openapi", "octopus", check=False)
    assert wrong.returncode == 2
    assert "octo" in wrong.stderr


async def test_our_routes_say_what_they_read_and_answer(moorage_server):
    problems = []
    async with moorage_server("tmux") as server:
        for name, routes in by_document(server.app.gate.sites).items():
            for served in routes:
                route, view = served.route, view_of(served.route)
                source = inspect.getsource(view)
                where = f"{name}: {route.methods[0]} {route.path}"
                for reads, said in (("json", route.body), ("query", route.query)):
                    found = re.search(rf"\bread_{reads}\((\w+)", source)
                    if found and (said is None or said.__name__ != found[1]):
                        problems.append(f"{where} reads {found[1]}, and says {said}")
                if not inspect.getdoc(view):
                    problems.append(f"{where} does not say what it does")
                empty = route.status == 204 or 300 <= route.status < 400 or route.media_type != "application/json"
                if route.answer is None and not empty and where not in EMPTY:
                    problems.append(f"{where} does not say what it answers")
    assert not problems, "\n".join(problems)


def test_what_is_asked_without_input_is_answered_as_described(server, documents):
    checker = Checker(documents)
    asked = 0
    with server.client("olga") as olga, server.client() as nobody:
        for client in (checked(olga, server, checker), checked(nobody, server, checker)):
            for document, path, method, operation in operations(documents):
                good = next(iter(operation["responses"].values()))
                if method != "get" or "{" in path or STREAMS & good.get("content", {}).keys():
                    continue
                prefix = operation.get("servers", document["servers"])[0]["url"].rstrip("/")
                client.get(prefix + path)
                asked += 1
    assert asked > 15


ERRORS = [
    BadRequest("No"),
    ValidationFailed("name: too long", problems=[{"field": "name", "message": "too long"}]),
    Unauthorized(),
    Forbidden("No", details={"required": "core:user:read", "current": "viewer", "action": "read"}),
    NotFound(),
    Conflict("There is one", code="EXISTS", details={"name": "x"}),
    TooManyRequests(retry_after=7),
    Unavailable(headers={"Retry-After": "5"}),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_errors_are_as_their_dialect_describes_them(dialect, error):
    schema = dialect.error_schema(dialect.status(error))
    body = dialect.error(error, "request-1")
    assert not list(Draft202012Validator(schema).iter_errors(body))
    assert list(Draft202012Validator(schema).iter_errors({**body, "surplus": 1})), "it tells of every member"
    for member in schema["required"]:
        assert member in body


def test_the_check_of_answers_can_fail(server, documents):
    checker = Checker(documents)
    request = httpx.Request("GET", server.url + "/api/console/state")
    headers = {"X-Request-ID": "1"}
    good = {"user": None, "setup": False, "plugins": []}
    with server.client() as client:
        checker.check(client.get("/api/console/state"))
    for response in (
        httpx.Response(200, json={**good, "more": 1}, headers=headers, request=request),
        httpx.Response(200, json={"user": None, "setup": False}, headers=headers, request=request),
        httpx.Response(200, text="hello", headers=headers, request=request),
        httpx.Response(200, json=good, request=request),
        httpx.Response(201, json=good, headers=headers, request=request),
        httpx.Response(404, json={"error": "x"}, headers=headers, request=request),
    ):
        with pytest.raises(AssertionError, match="answered"):
            checker.check(response)
