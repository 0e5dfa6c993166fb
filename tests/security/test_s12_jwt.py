"""S12: a JWT holds only as we made it: one algorithm, our keys, our claims; and it obeys the cross-site rule."""

import base64
import hmac
import json
import sqlite3
import time

import httpx
import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from fakedist import probe
from harness import running
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from moorage.accounts.sealing import Seal
from waits import WAIT

PASSWORD = "correct horse battery"
SECRET = "for-tests-only-0123456789-0123456789"
ISSUER = "https://moorage.example"
CONFIG = {
    "server": {"public_url": ISSUER, "trusted_proxies": ["127.0.0.2"]},
    "limits": {"general": "100000/minute", "authentication": "100000/minute"},
    "accounts": {"argon2_memory_kib": 256, "argon2_time": 1, "secret_key": SECRET},
    "plugins": {"good": {"enabled": True}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    probe(site, "good")
    with running(tmp_path_factory.mktemp("server"), CONFIG, env={"PYTHONPATH": str(site)}) as server:
        server.add_users({"root": "owner", "ann": "operator"})
        yield server


def log_in(server, name="ann"):
    answer = httpx.post(f"{server.url}/api/auth/login", json={"username": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return answer.json()["token"]


@pytest.fixture(scope="module")
def token(server):
    return log_in(server)


@pytest.fixture(scope="module")
def key(server, token):
    """The server's own private key: what is signed with it and refused is refused for what it says."""
    rows = sqlite3.connect(server.data_dir / "moorage.db").execute("SELECT key_sealed FROM core_signing_keys")
    ((sealed,),) = rows.fetchall()
    return ECKey.import_key(json.loads(Seal(SECRET).open(sealed)))


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data):
    data = json.dumps(data).encode() if isinstance(data, dict) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def check(server, token):
    return httpx.get(f"{server.url}/api/auth/check", headers={"Authorization": f"Bearer {token}"})


class Forger:
    """Makes tokens that differ from a right one in one thing."""

    def __init__(self, token, key):
        head, payload, self.signature = token.split(".")
        self.token, self.key, self.header, self.claims = (
            token,
            key,
            json.loads(decoded(head)),
            json.loads(decoded(payload)),
        )

    def __call__(self, header=None, claims=None, key=None, drop=(), algorithm="ES256"):
        header = {name: value for name, value in {**self.header, **(header or {})}.items() if value is not None}
        claims = {name: value for name, value in {**self.claims, **(claims or {})}.items() if name not in drop}
        registry = jws.JWSRegistry(algorithms=[algorithm, "none"], strict_check_header=False)
        return jws.serialize_compact(header, json.dumps(claims).encode(), key or self.key, registry=registry)

    def by_hmac(self, secret, **header):
        text = f"{encoded({**self.header, 'alg': 'HS256', **header})}.{encoded(self.claims)}"
        return f"{text}.{encoded(hmac.digest(secret, text.encode(), 'sha256'))}"

    def unsigned(self, signature, **header):
        return f"{encoded({**self.header, **header})}.{encoded(self.claims)}.{signature}"

    def by_hand(self, **header):
        """Signed rightly, whatever libraries think of the header."""
        text = f"{encoded({**self.header, **header})}.{encoded(self.claims)}"
        pair = decode_dss_signature(self.key.private_key.sign(text.encode(), ECDSA(SHA256())))
        return f"{text}.{encoded(b''.join(number.to_bytes(32, 'big') for number in pair))}"

    def changed(self, **claims):
        return ".".join([self.token.split(".")[0], encoded({**self.claims, **claims}), self.signature])


@pytest.fixture(scope="module")
def forge(token, key):
    return Forger(token, key)


def test_what_the_forger_signs_unchanged_holds(server, forge):
    answer = check(server, forge())
    assert answer.status_code == 200, answer.text
    assert check(server, forge.by_hand()).status_code == 200
    assert check(server, forge(claims={"more": "claims", "nbf": int(time.time())})).status_code == 200


OTHER = ECKey.generate_key("P-256")
NOW = int(time.time())
FORGED = {
    "no algorithm, no signature": lambda f: f.unsigned("", alg="none"),
    "no algorithm, the old signature": lambda f: f.unsigned(f.signature, alg="none"),
    "no signature": lambda f: ".".join(f.token.split(".")[:2]) + ".",
    "an empty part": lambda f: f"{f.token.split('.')[0]}..{f.signature}",
    "the public key as HMAC secret (PEM)": lambda f: f.by_hmac(f.key.as_pem(private=False)),
    "the public key as HMAC secret (DER)": lambda f: f.by_hmac(f.key.as_der(private=False)),
    "the public key as HMAC secret (JWK)": lambda f: f.by_hmac(json.dumps(f.key.as_dict(private=False)).encode()),
    "HMAC under our own algorithm's name": lambda f: f.by_hmac(f.key.as_pem(private=False), alg="ES256"),
    "another key under our kid": lambda f: f(key=OTHER),
    "RSA under our kid": lambda f: f({"alg": "RS256"}, key=RSAKey.generate_key(2048), algorithm="RS256"),
    "an unknown kid": lambda f: f({"kid": "0123456789abcdef"}),
    "a kid that is a path": lambda f: f({"kid": "../../../dev/null"}, key=OTHER),
    "a kid that is SQL": lambda f: f({"kid": "x' OR '1'='1"}),
    "no kid": lambda f: f({"kid": None}),
    "the wrong type": lambda f: f({"typ": "JWT"}),
    "no type": lambda f: f({"typ": None}),
    "a critical header": lambda f: f.by_hand(crit=["exp"], exp=1),
    "an empty critical header": lambda f: f.by_hand(crit=[]),
    "a payload that is not encoded": lambda f: f.by_hand(crit=["b64"], b64=False),
    "an embedded key": lambda f: f({"jwk": OTHER.as_dict(private=False)}, key=OTHER),
    "an embedded key beside our signature": lambda f: f({"jwk": OTHER.as_dict(private=False)}),
    "a key to be fetched": lambda f: f({"jku": "http://127.0.0.1:1/keys"}, key=OTHER),
    "a certificate": lambda f: f({"x5u": "http://127.0.0.1:1/cert"}, key=OTHER),
    "another issuer": lambda f: f(claims={"iss": "https://evil.example"}),
    "no issuer": lambda f: f(drop=["iss"]),
    "another audience": lambda f: f(claims={"aud": "other"}),
    "no audience": lambda f: f(drop=["aud"]),
    "expired": lambda f: f(claims={"exp": NOW - 1}),
    "no end": lambda f: f(drop=["exp"]),
    "an end that is a text": lambda f: f(claims={"exp": "never"}),
    "not valid yet": lambda f: f(claims={"nbf": NOW + 3600}),
    "made in the future": lambda f: f(claims={"iat": NOW + 3600}),
    "another use": lambda f: f(claims={"type": "refresh"}),
    "no use": lambda f: f(drop=["type"]),
    "no session": lambda f: f(drop=["sid"]),
    "a session that is not there": lambda f: f(claims={"sid": "sess_AAAAAAAAAAAA"}),
    "a session that is no text": lambda f: f(claims={"sid": ["sess"]}),
    "a session too long to be one": lambda f: f(claims={"sid": "s" * 2000}),
    "a session with a NUL": lambda f: f(claims={"sid": "sess_\x00"}),
    "another user": lambda f: f(claims={"sub": "user_AAAAAAAAAAAA"}),
    "no user": lambda f: f(drop=["sub"]),
    "a changed payload": lambda f: f.changed(role="admin"),
    "a changed end": lambda f: f.changed(exp=NOW + 10**6),
    "a changed signature": lambda f: f.token[:-4] + ("AAAA" if f.token[-4:] != "AAAA" else "BBBB"),
    "huge": lambda f: f(claims={"more": "x" * 4096}),
    "claims that are no object": lambda f: jws.serialize_compact(f.header, b"[]", f.key),
    "claims that are no JSON": lambda f: jws.serialize_compact(f.header, b"\xff{", f.key),
    "claims too deep": lambda f: jws.serialize_compact(f.header, b"[" * 2500, f.key),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_token_is_refused(server, forge, kind):
    forged = FORGED[kind](forge)
    assert forged != forge.token
    answer = check(server, forged)
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_TOKEN"), answer.text
    by_cookie = httpx.get(f"{server.url}/api/auth/check", headers={"Cookie": f"auth_token={forged}"})
    assert by_cookie.status_code == 401
    assert by_cookie.headers["set-cookie"].startswith("auth_token=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax")


def test_what_a_token_says_of_rights_is_not_believed(server, forge):
    answer = check(server, forge(claims={"role": "admin", "roles": ["admin"], "username": "root"}))
    assert (answer.json()["user"]["username"], answer.json()["user"]["role"]) == ("ann", "user")


def test_anybody_can_verify_a_token_by_the_published_keys(server, token):
    answer = httpx.get(f"{server.url}/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=60"
    (public,) = answer.json()["keys"]
    assert set(public) == {"kty", "crv", "x", "y", "kid", "use", "alg"}, "nothing private"
    checked = jws.deserialize_compact(token, ECKey.import_key(public), algorithms=["ES256"])
    claims = json.loads(checked.payload)
    assert (claims["iss"], claims["aud"], claims["preferred_username"]) == (ISSUER, "moorage", "ann")


# -- Octo's cookie --------------------------------------------------------------------------------------------


def test_the_cookie_alone_is_enough(server, token):
    cookie = {"Cookie": f"auth_token={token}"}
    answer = httpx.get(f"{server.url}/api/auth/check", headers=cookie)
    assert answer.json()["user"]["username"] == "ann"
    assert "set-cookie" not in answer.headers


def test_the_cookie_is_under_the_cross_site_rule_and_the_header_is_not(server, token):
    cookie, header = {"Cookie": f"auth_token={token}"}, {"Authorization": f"Bearer {token}"}
    for foreign in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        refused = httpx.post(f"{server.url}/good/write", headers={**cookie, **foreign})
        assert refused.status_code == 403, (foreign, refused.text)
        assert httpx.post(f"{server.url}/good/write", headers={**header, **foreign}).status_code not in (401, 403)
    csrf = httpx.get(f"{server.url}/api/auth/csrf", headers=cookie).json()["csrf_token"]
    assert csrf
    assert httpx.get(f"{server.url}/api/auth/csrf", headers=header).json()["csrf_token"] is None
    wrong, right = {**cookie, "X-CSRF-Token": "x" * len(csrf)}, {**cookie, "X-CSRF-Token": csrf}
    assert httpx.post(f"{server.url}/good/write", headers=wrong).status_code == 403
    assert httpx.post(f"{server.url}/good/write", headers=right).status_code not in (401, 403)


def test_the_sessions_cookie_comes_first(server, token):
    with server.client("root") as root:
        both = {"Cookie": f"auth_token={token}; moorage_session={root.cookies['moorage_session']}"}
    assert httpx.get(f"{server.url}/api/auth/check", headers=both).json()["user"]["username"] == "root"
    stale = {"Cookie": f"moorage_session=mses_{'A' * 43}; auth_token={token}"}
    answer = httpx.get(f"{server.url}/api/auth/check", headers=stale)
    assert answer.json()["user"]["username"] == "ann"
    assert answer.headers["set-cookie"].startswith("moorage_session=; Max-Age=0")


def test_each_cookie_takes_its_own_kind(server, token):
    with server.client("ann") as ann:
        session = ann.cookies["moorage_session"]
    for cookie in (f"moorage_session={token}", f"auth_token={session}", f"auth_token={server.key('ann')}"):
        assert httpx.get(f"{server.url}/api/auth/check", headers={"Cookie": cookie}).status_code == 401


def test_over_https_only_the_hidden_name_counts(server, token):
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.9"}
    with httpx.Client(base_url=server.url, transport=transport, headers=proxied) as client:
        assert client.get("/api/auth/check", headers={"Cookie": f"__Host-auth_token={token}"}).status_code == 200
        assert client.get("/api/auth/check", headers={"Cookie": f"auth_token={token}"}).status_code == 401


# -- the end of a token ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["cookie", "header"])
def test_logging_out_by_a_token_ends_it(server, way):
    token = log_in(server)
    shown = {"Cookie": f"auth_token={token}"} if way == "cookie" else {"Authorization": f"Bearer {token}"}
    answer = httpx.post(f"{server.url}/api/auth/logout", headers=shown)
    assert answer.status_code == 200
    assert [c.partition("=")[0] for c in answer.headers.get_list("set-cookie")] == ["moorage_session", "auth_token"]
    assert check(server, token).status_code == 401


def test_a_new_login_in_the_same_browser_ends_the_old_token(server):
    token = log_in(server)
    body = {"username": "ann", "password": PASSWORD}
    fresh = httpx.post(f"{server.url}/api/auth/login", json=body, headers={"Cookie": f"auth_token={token}"})
    assert fresh.status_code == 200
    assert check(server, token).status_code == 401
    assert check(server, fresh.json()["token"]).status_code == 200


def soon(ask, before):
    """What `ask()` answers once what the command line did has arrived."""
    deadline = time.monotonic() + WAIT
    while (status := ask()) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    return status


def test_disabling_a_user_ends_their_tokens(server):
    server.add_user("dan")
    token = log_in(server, "dan")
    assert check(server, token).status_code == 200
    server.cli("users", "disable", "dan")
    assert soon(lambda: check(server, token).status_code, 200) == 401


def test_a_changed_role_reaches_tokens(server):
    server.add_user("rob")
    header = {"Authorization": f"Bearer {log_in(server, 'rob')}"}

    def write():
        return httpx.post(f"{server.url}/good/write", headers=header).status_code

    allowed = write()
    assert allowed not in (401, 403)
    server.cli("users", "set-role", "rob", "viewer")
    assert soon(write, allowed) == 403


def test_ending_the_session_ends_its_token(server):
    token = log_in(server)
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}) as client:
        (current,) = [one for one in client.get("/api/core/sessions").json()["sessions"] if one["current"]]
        assert client.delete(f"/api/core/sessions/{current['id']}").status_code == 204
        assert client.get("/api/auth/check").status_code == 401


@pytest.mark.parametrize("way", ["cookie", "header"])
async def test_logging_out_closes_the_sockets_that_a_token_opened(server, way):
    token = log_in(server)
    shown = {"Cookie": f"auth_token={token}"} if way == "cookie" else {"Authorization": f"Bearer {token}"}
    async with websockets.connect(f"{server.ws_url}/good/echo", additional_headers=shown) as socket:
        await socket.send("x")
        assert await socket.recv() == "x"
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.post("/api/auth/logout", headers=shown)).status_code == 200
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd.code == 4001


async def test_a_foreign_page_opens_no_socket_with_the_cookie(server, token):
    shown = {"Cookie": f"auth_token={token}", "Origin": "https://evil.example"}
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"{server.ws_url}/good/echo", additional_headers=shown)
    assert refused.value.response.status_code == 403


def test_no_token_gets_into_the_logs(server, token):
    assert check(server, token).status_code == 200
    httpx.get(f"{server.url}/api/auth/check", params={"token": token})
    said = server.stderr + server.output()
    assert token not in said
    assert token.rpartition(".")[2] not in said
