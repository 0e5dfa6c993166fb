"""Programs: registered by themselves, known by a document, configured; and the clients that people really use."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx
import httpx2
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from harness import running
from lettingin import OAUTH, Program, resources, shown
from mcp.client.auth import OAuthFlowError
from people import CONFIG
from realparts import npm
from realparts.ports import free_port
from sdklogin import Storage, sdk
from waits import WAIT


class Documents(HTTPServer):
    """A site with documents of clients, over TLS: `answers` by path, as (status, headers, body)."""

    def __init__(self, certificate: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_port}"

    def publish(self, name: str, headers: dict[str, str] | None = None, status: int = 200, **changed: Any) -> str:
        """A good document but for `changed`; its URL."""
        url = f"{self.url}/{name}"
        document = {
            "client_id": url,
            "client_name": "Documented",
            "client_uri": self.url,
            "redirect_uris": ["http://127.0.0.1/cb", "https://app.example/cb"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
            **changed,
        }
        body = json.dumps({key: value for key, value in document.items() if value is not None}).encode()
        self.answers[f"/{name}"] = (status, {"Content-Type": "application/json", **(headers or {})}, body)
        return url

    def handle_error(self, *_: object) -> None:
        """Whoever does not trust the certificate leaves in the middle."""


class _Handler(BaseHTTPRequestHandler):
    server: Documents

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, headers, body = self.server.answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*command, *names], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def documents(certificate) -> Iterator[Documents]:
    documents = Documents(certificate)
    thread = threading.Thread(target=documents.serve_forever)
    thread.start()
    yield documents
    documents.shutdown()
    thread.join()
    documents.server_close()


@pytest.fixture(scope="module")
def people(tmp_path_factory, certificate):
    env = {"SSL_CERT_FILE": str(certificate / "cert.pem")}
    oauth = {**OAUTH, "document_hosts": ["127.0.0.1"], "max_clients": 30}
    with resources(tmp_path_factory, env, accounts={"oauth": oauth}) as people:
        yield people


@pytest.fixture(scope="module")
def ann(people):
    return people.make()


# -- registration -----------------------------------------------------------------------------------------------


def test_a_program_registers_itself_and_is_told_what_it_is(people, ann):
    program = Program(people.server)
    answer = program.register(client_uri="https://writer.example/", scope="anything", software_id="x", logo_uri="y")
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json()
    assert said.pop("client_id").startswith("client_")
    assert said.pop("client_id_issued_at") > 1_700_000_000
    assert said == {
        "client_name": "Writer",
        "client_uri": "https://writer.example/",
        "redirect_uris": [program.redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    page = urlsplit(program.ask(ann.client).headers["location"])
    asked = ann.client.get(f"/api/core/authorize?{page.query}").json()
    assert (asked["kind"], asked["client_name"], asked["client_uri"]) == (
        "registered",
        "Writer",
        "https://writer.example/",
    )
    assert program.let_in(ann.client)["refresh_token"]


def test_a_program_with_a_secret_is_told_it_once_and_has_to_show_it(people, ann):
    program = Program(people.server)
    said = program.register(token_endpoint_auth_method=None).json()
    assert said["token_endpoint_auth_method"] == "client_secret_basic", "as RFC 7591 has it where nothing is said"
    assert said["client_secret_expires_at"] == 0
    assert len(said["client_secret"]) >= 40
    assert program.exchange(program.decide(ann.client)["code"]).json()["error"] == "invalid_client"
    auth = (program.client_id, said["client_secret"])
    assert program.exchange(program.decide(ann.client)["code"], auth=auth).status_code == 200


def test_a_program_that_wants_no_refresh_token_gets_none(people, ann):
    program = Program(people.server)
    assert program.register(grant_types=["authorization_code"]).json()["grant_types"] == ["authorization_code"]
    assert "refresh_token" not in program.let_in(ann.client)


GOOD_URIS = [
    "https://app.example/cb",
    "https://app.example:8443/cb?x=1",
    "http://127.0.0.1/cb",
    "http://127.0.0.1:33418",
    "http://[::1]:3000/cb",
    "http://localhost:6274/oauth/callback",
    "com.example.app:/oauth2redirect",
    "com.example.app://callback",
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "vscode://vscode.example/callback",
]
WRONG_URIS: list[Any] = [
    "http://app.example/cb",
    "http://192.168.1.1/cb",
    "http://127.0.0.1.example/cb",
    "https://app.example/cb#x",
    "https://ann@app.example/cb",
    "https:///cb",
    "//app.example/cb",
    "/cb",
    "",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "blob:https://x/y",
    "mailto:x@y.z",
    "myapp://callback",
    "https://app.example/a b",
    "https://app.example/\\x",
    "https://[::1/cb",
    "https://app.example:x/cb",
    "https://app.example/" + "x" * 1024,
    None,
    5,
]


def test_redirect_uris_are_https_this_machine_or_a_programs_own(people):
    good = Program(people.server).register(redirect_uris=GOOD_URIS)
    assert (good.status_code, good.json()["redirect_uris"]) == (201, GOOD_URIS)
    for uri in WRONG_URIS:
        refused = Program(people.server).register(redirect_uris=["https://app.example/cb", uri])
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_redirect_uri"), uri


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://app.example/cb"}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://app.example/cb"] * 11}, "invalid_redirect_uri"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": {}}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"grant_types": "authorization_code"}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"client_name": "x" * 500}, "invalid_client_metadata"),
        ({"client_name": "Writer\u202eretirW"}, "invalid_client_metadata"),
        ({"client_name": "Cla\u0443de Code"}, "invalid_client_metadata"),
        ({"client_name": 5}, "invalid_client_metadata"),
        ({"client_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
    ],
    ids=str,
)
def test_what_a_program_says_of_itself_is_checked(people, changed, error):
    refused = Program(people.server).register(**changed)
    assert (refused.status_code, refused.json()["error"]) == (400, error)


def test_a_name_may_be_in_two_languages(people):
    named = Program(people.server).register(client_name="MCP \u043a\u043b\u0438\u0435\u043d\u0442")
    assert named.status_code == 201


@pytest.mark.parametrize("body", ["", "[]", "x", "null", '"x"'])
def test_what_is_no_object_is_no_client(people, body):
    headers = {"Content-Type": "application/json"}
    assert httpx.post(f"{people.server.url}/oauth/register", content=body, headers=headers).status_code == 400


def test_what_is_off_is_off(tmp_path):
    config = {**CONFIG, "accounts": {**CONFIG["accounts"], "oauth": {"register_clients": False}}}
    with running(tmp_path, config) as server:
        metadata = httpx.get(f"{server.url}/.well-known/oauth-authorization-server").json()
        assert "registration_endpoint" not in metadata
        assert metadata["authorization_endpoint"]
        assert Program(server).register().status_code == 404


def test_all_of_it_can_be_off(tmp_path_factory):
    with resources(tmp_path_factory, accounts={"oauth": {"enabled": False}}) as people:
        base, program, root = people.server.url, Program(people.server, "known"), people.root.client
        assert httpx.get(program.url("papers")).headers["www-authenticate"] == "Bearer"
        assert httpx.get(f"{base}/.well-known/oauth-protected-resource/desks/mine/papers").status_code == 404
        metadata = httpx.get(f"{base}/.well-known/oauth-authorization-server").json()
        assert (metadata["response_types_supported"], "authorization_endpoint" in metadata) == ([], False)
        assert metadata["token_endpoint"] == f"{base}/api/auth/device/token"
        assert program.ask(root).status_code == 404
        assert root.post("/api/core/authorize", json={"query": "x", "approve": True}).status_code == 404
        assert program.register().status_code == 404
        assert Program(people.server, "known").exchange("mcode_x").json()["error"] == "invalid_client"
        key = root.post("/api/v1/api-keys", json={"name": "mine"}).json()["data"]["api_key"]
        assert shown(program.url("papers"), key).status_code == 200


# -- documents --------------------------------------------------------------------------------------------------


def test_a_program_is_known_by_its_document(people, ann, documents):
    program = Program(people.server, documents.publish("client.json"), "http://127.0.0.1:7777/cb")
    assert program.ask(people.anybody()).status_code == 303
    assert documents.asked == [], "nobody makes the server ask others who is not signed in"
    tokens = program.let_in(ann.client)
    assert shown(program.resource, tokens["access_token"]).status_code == 200
    assert program.refresh(tokens["refresh_token"]).status_code == 200
    page = urlsplit(program.ask(ann.client).headers["location"])
    asked = ann.client.get(f"/api/core/authorize?{page.query}").json()
    assert (asked["kind"], asked["client_name"]) == ("document", "Documented")
    assert asked["host"] == urlsplit(documents.url).netloc
    assert documents.asked == ["/client.json"], "once, and then remembered"
    refused = program.ask(people.anybody(), redirect_uri="https://evil.example/cb")
    assert refused.status_code == 400, "what is remembered is told at once"


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("other-id.json", {"client_id": "https://known.example/client.json"}),
        ("no-id.json", {"client_id": None}),
        ("secret.json", {"client_secret": "x"}),
        ("jwt.json", {"token_endpoint_auth_method": "private_key_jwt"}),
        ("basic.json", {"token_endpoint_auth_method": "client_secret_basic"}),
        ("no-uris.json", {"redirect_uris": None}),
        ("wrong-uris.json", {"redirect_uris": ["javascript:alert(1)"]}),
        ("missing.json", {"status": 404}),
        ("moved.json", {"status": 302, "headers": {"Location": "/client.json"}}),
        ("html.json", {"headers": {"Content-Type": "text/html"}}),
        ("long.json", {"client_name": "x" * 20_000}),
        ("packed.json", {"headers": {"Content-Encoding": "gzip"}}),
    ],
)
def test_a_document_that_is_wrong_makes_no_client(people, ann, documents, name, changed):
    program = Program(people.server, documents.publish(name, **changed), "http://127.0.0.1:7777/cb")
    refused = program.ask(ann.client)
    assert refused.status_code == 400
    assert "document" in refused.text
    assert documents.asked.count(f"/{name}") == 1
    assert program.ask(ann.client).status_code == 400
    assert documents.asked.count(f"/{name}") == 1, "a failure is remembered too"


@pytest.mark.parametrize(
    "client_id",
    [
        "https://localhost:{port}/client.json",
        "https://10.0.0.1/client.json",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/client.json",
        "https://[fd00::1]/client.json",
        "https://[64:ff9b::a00:1]/client.json",
        "https://[::a00:1]/client.json",
        "https://[fec0::1]/client.json",
        "https://0.0.0.0/client.json",
        "https://2130706433/client.json",
        "http://127.0.0.1:{port}/client.json",
        "https://127.0.0.1:{port}",
        "https://127.0.0.1:{port}/",
        "https://127.0.0.1:{port}/x/../client.json",
        "https://ann@127.0.0.1:{port}/client.json",
        "https://127.0.0.1:{port}/client.json#x",
        "https://127.0.0.1:{port}/" + "x" * 300,
    ],
)
def test_the_server_asks_no_address_that_is_not_public_and_no_odd_one(people, ann, documents, client_id):
    documents.publish("client.json")
    before = len(documents.asked)
    program = Program(people.server, client_id.format(port=documents.server_port), "http://127.0.0.1:7777/cb")
    assert program.ask(ann.client).status_code == 400
    assert len(documents.asked) == before


# -- clients that people use ------------------------------------------------------------------------------------


async def test_the_mcp_sdk_finds_registers_and_comes_in_and_refreshes(people, ann):
    program, storage = Program(people.server), Storage()
    provider, sent = sdk(ann.client, program.resource, storage)
    async with httpx2.AsyncClient(auth=provider, timeout=WAIT) as client:
        assert (await client.get(program.resource)).json()["user"] == ann.name
        assert (await client.get(program.resource)).status_code == 200
        assert len(sent) == 1
        first = storage.tokens
        provider.context.token_expiry_time = 1.0
        assert (await client.get(program.resource)).status_code == 200
    assert len(sent) == 1, "a refresh needs no person"
    assert storage.tokens.access_token != first.access_token
    assert storage.tokens.scope == "desk:paper:read desk:paper:write offline_access"


async def test_the_mcp_sdk_steps_up_where_more_is_needed(people, ann):
    program = Program(people.server)
    program.resource = program.url("papers", "stepping")
    storage = Storage()
    provider, sent = sdk(ann.client, program.resource, storage)
    async with httpx2.AsyncClient(auth=provider, timeout=WAIT) as client:
        await client.get(program.resource)
        program.client_id, program.redirect_uri = storage.client.client_id, "http://127.0.0.1:3030/callback"
        tokens = program.let_in(ann.client, scope="desk:paper:read")
        provider.context.current_tokens = storage.tokens.model_copy(update=tokens)
        provider.context.client_metadata.scope = "desk:paper:read"
        assert (await client.post(program.resource)).status_code == 200
    assert len(sent) == 2
    assert "desk%3Apaper%3Awrite" in sent[1]


async def test_the_mcp_sdk_comes_by_its_document(people, ann, documents):
    program, storage = Program(people.server), Storage()
    url = documents.publish("sdk.json", redirect_uris=["http://127.0.0.1/callback"])
    provider, _ = sdk(ann.client, program.resource, storage, client_metadata_url=url)
    async with httpx2.AsyncClient(auth=provider, timeout=WAIT) as client:
        assert (await client.get(program.resource)).json()["user"] == ann.name
    assert storage.client.client_id == url


async def test_the_mcp_sdk_sees_an_answer_of_another_server(people, ann):
    """A mix-up: the code is ours, the answer says that it is somebody else's."""
    program = Program(people.server)
    provider, _ = sdk(
        ann.client,
        program.resource,
        Storage(),
        change=lambda result: result.model_copy(update={"iss": "https://evil.example"}),
    )
    async with httpx2.AsyncClient(auth=provider, timeout=WAIT) as client:
        with pytest.raises(OAuthFlowError, match="iss"):
            await client.get(program.resource)


@contextmanager
def authlib_client(client_id: str, secret: str | None) -> Iterator[OAuth2Client]:
    method = "none" if secret is None else "client_secret_basic"
    with OAuth2Client(
        client_id,
        secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        redirect_uri="https://keeper.example/cb?way=in" if secret else "https://known.example/cb",
        scope="desk:paper:read",
        code_challenge_method="S256",
        timeout=WAIT,
    ) as client:
        yield client


@pytest.mark.parametrize(("client_id", "secret"), [("known", None), ("keeper", "s" * 40)])
def test_authlibs_client_comes_in_refreshes_and_leaves(people, ann, client_id, secret):
    base, resource = people.server.url, f"{people.server.url}/desks/mine/papers"
    verifier = "v" * 64
    with authlib_client(client_id, secret) as client:
        url, _ = client.create_authorization_url(f"{base}/oauth/authorize", code_verifier=verifier, resource=resource)
        page = urlsplit(ann.client.get(url, follow_redirects=False).headers["location"])
        answer = ann.client.post("/api/core/authorize", json={"query": page.query, "approve": True}).json()
        token = client.fetch_token(
            f"{base}/oauth/token",
            authorization_response=answer["redirect_to"],
            code_verifier=verifier,
            resource=resource,
        )
        assert client.get(resource).json()["user"] == ann.name
        fresh = client.refresh_token(f"{base}/oauth/token", refresh_token=token["refresh_token"])
        assert fresh["access_token"] != token["access_token"]
        assert client.get(resource).status_code == 200
        assert client.revoke_token(f"{base}/oauth/revoke", token=fresh["access_token"]).status_code == 200
        assert client.get(resource).status_code == 401


def test_mcps_conformance_suite_for_authorization_servers_passes(people, ann, mcp_parts, tmp_path):
    base, port = people.server.url, free_port()
    script = npm.node_modules(npm.MCP) / "@modelcontextprotocol/conformance/dist/index.js"
    named = ["--client-id", "known", "--resource", f"{base}/desks/mine/papers", "--port", str(port)]
    command = [str(npm.node()), str(script), "authorization", "--url", base, *named, "-o", str(tmp_path)]
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as suite:
        assert suite.stdout is not None
        # It tells where a person is to go, and waits for them.
        for line in suite.stdout:
            said.append(line)
            if line.startswith(f"{base}/oauth/authorize?"):
                page = urlsplit(ann.client.get(line.strip(), follow_redirects=False).headers["location"])
                answer = ann.client.post("/api/core/authorize", json={"query": page.query, "approve": True}).json()
                assert httpx.get(answer["redirect_to"], timeout=WAIT).status_code == 200
    text = "".join(said)
    assert suite.returncode == 0, text
    for scenario in ("authorization-server-metadata-endpoint: 2", "authorization-code-grant: 1"):
        assert f"\u2713 {scenario} passed, 0 failed" in text, text
