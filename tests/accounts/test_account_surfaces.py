"""The account APIs over HTTP, as their clients see them."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from harness import Server, running
from waits import WAIT

PASSWORD = "correct horse battery"
CONFIG = {
    "server": {"trusted_proxies": ["127.0.0.1"]},
    "limits": {"general": "100000/minute", "authentication": "100000/minute"},
    "accounts": {"argon2_memory_kib": 256, "argon2_time": 1},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("accounts"), CONFIG) as server:
        for name, role in (("root", "owner"), ("ada", "admin"), ("ann", "operator"), ("vic", "viewer")):
            server.cli(
                "users",
                "create",
                name,
                "--role",
                role,
                "--email",
                f"{name}@example.org",
                "--password-file",
                "-",
                input=PASSWORD + "\n",
            )
        yield server


@pytest.fixture
def anybody(server):
    with server.client() as client:
        yield client


@pytest.fixture
def ann(server):
    with server.client("ann") as client:
        yield client


@pytest.fixture
def ada(server):
    with server.client("ada") as client:
        yield client


def bearer(server: Server, token: str, **headers: str) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}", **headers}, timeout=WAIT)


def cookie_of(answer: httpx.Response, name: str = "moorage_session") -> str:
    """The value that an answer sets for a cookie; the client itself keeps no Secure ones over http."""
    found = [c for c in answer.headers.get_list("set-cookie") if c.startswith(f"{name}=")]
    return found[0].partition("=")[2].partition(";")[0]


def rest_of_output(server: Server) -> str:
    """What it has printed and nobody has read; the pipe does not block."""
    assert server.process is not None
    assert server.process.stdout is not None
    try:
        return os.read(server.process.stdout.fileno(), 1 << 16).decode()
    except BlockingIOError:
        return ""


def user_id(client: httpx.Client) -> int:
    return client.get("/auth/me").json()["user"]["id"]


# -- login and logout -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names", [{"email": "ann@example.org"}, {"username": "ann"}, {"email": "ANN"}, {"username": "Ann@Example.org"}]
)
def test_login_takes_either_name_and_answers_as_octo_does(server, anybody, names):
    answer = anybody.post("/api/auth/login", json={**names, "password": PASSWORD, "remember": True})
    assert answer.status_code == 200
    body = answer.json()
    assert body["user"] == {
        "id": body["user"]["id"],
        "username": "ann",
        "name": "ann",
        "email": "ann@example.org",
        "role": "user",
    }
    assert body["user"]["id"].startswith("user_")
    assert answer.headers["cache-control"] == "no-store"
    with bearer(server, body["token"]) as program:
        assert program.get("/api/auth/check").json() == {"authenticated": True, "user": body["user"]}
    assert anybody.get("/api/auth/csrf").json() == {"csrf_token": body["csrf_token"]}


def test_the_cookies(server, anybody):
    answer = anybody.post("/api/auth/login", json={"username": "ann", "password": PASSWORD})
    session, token = answer.headers.get_list("set-cookie")
    assert session.startswith("moorage_session=mses_")
    assert token.startswith(f"auth_token={answer.json()['token']};")
    for cookie, most in ((session, 30 * 86400), (token, 86400)):
        flags = {flag.partition("=")[0].strip().lower(): flag.partition("=")[2] for flag in cookie.split(";")[1:]}
        assert (flags["path"], flags["samesite"]) == ("/", "Lax")
        assert "httponly" in flags
        assert {"secure", "domain"}.isdisjoint(flags)
        assert most - 10 < int(flags["max-age"]) <= most


def test_the_cookies_over_https(server, anybody):
    # Told by a proxy that is trusted; what an untrusted one says is the gate's test.
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.9", "Host": "moorage.example"}
    answer = anybody.post("/api/auth/login", json={"username": "ann", "password": PASSWORD}, headers=proxied)
    session, token = answer.headers.get_list("set-cookie")
    assert session.startswith("__Host-moorage_session=")
    assert token.startswith("__Host-auth_token=")
    assert all("; Secure" in cookie and "; Path=/" in cookie for cookie in (session, token))
    token = cookie_of(answer, "__Host-moorage_session")
    with httpx.Client(base_url=server.url, headers=proxied) as browser:
        assert browser.get("/auth/me", headers={"Cookie": f"__Host-moorage_session={token}"}).status_code == 200
        assert browser.get("/auth/me", headers={"Cookie": f"moorage_session={token}"}).status_code == 401
        gone = browser.post("/auth/logout", headers={"Cookie": f"__Host-moorage_session={token}"})
        session, jwt = gone.headers.get_list("set-cookie")
        assert session.startswith("__Host-moorage_session=;")
        assert jwt.startswith("__Host-auth_token=;")


def test_a_stale_cookie_does_not_spoil_a_login(server, anybody):
    stale = {"Cookie": f"moorage_session=mses_{'A' * 43}"}
    answer = anybody.post("/api/auth/login", json={"username": "ann", "password": PASSWORD}, headers=stale)
    assert answer.status_code == 200
    # New ones alone: a chosen session is not taken over, and the old one's end does not end the new one.
    session, token = answer.headers.get_list("set-cookie")
    assert session.startswith("moorage_session=mses_")
    assert token.startswith(f"auth_token={answer.json()['token']};")
    assert anybody.get("/auth/me").status_code == 200
    (cleared,) = anybody.get("/api/auth/me", headers=stale).headers.get_list("set-cookie")
    assert cleared.startswith("moorage_session=; Max-Age=0")


def test_the_session_before_a_login_is_worth_nothing(server, anybody):
    tokens = [
        anybody.post("/api/auth/login", json={"username": name, "password": PASSWORD}).json()["token"]
        for name in ("ann", "ann", "vic")
    ]
    states = []
    for token in tokens:
        with bearer(server, token) as program:
            states.append(program.get("/api/auth/check").status_code)
    assert states == [401, 401, 200]


def test_wrong_passwords_and_strangers_are_told_the_same(anybody):
    wrong = anybody.post("/api/auth/login", json={"username": "vic", "password": "wrong password"})
    stranger = anybody.post("/api/auth/login", json={"username": "nobody", "password": "wrong password"})
    assert wrong.status_code == stranger.status_code == 401
    assert wrong.json() == stranger.json()
    assert wrong.json()["error"] == "Unauthorized: Invalid username or password"
    assert wrong.json()["code"] == "INVALID_CREDENTIALS"
    assert "set-cookie" not in wrong.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'"ann"', 400),
        (b"\xff\xfe", 400),
        (b"[" * 5000, 400),
        (b"{}", 422),
        (b'{"username": "ann"}', 422),
        (b'{"password": "x"}', 422),
        (b'{"username": "", "password": "x"}', 422),
        (b'{"username": 5, "password": "x"}', 422),
        (b'{"username": "ann", "password": null}', 422),
        (b'{"username": "ann", "password": ["x"]}', 422),
        (b'{"username": "%s", "password": "x"}' % (b"x" * 321), 422),
        (b'{"username": "ann", "password": "%s"}' % (b"x" * 1025), 422),
        (b'{"username": "ann", "password": "%s"}' % (b"x" * 20_000), 413),
        (b'{"username": "a\\u0000", "password": "x\\u0000"}', 401),
        (b'{"username": "\\ud800", "password": "x"}', 400),
    ],
)
def test_bad_logins_are_told_what_is_bad(server, anybody, body, status):
    answer = anybody.post(
        "/api/auth/login",
        content=body,
        headers={"Content-Type": "application/json", "X-Forwarded-For": f"198.51.100.{status % 200}"},
    )
    assert answer.status_code == status, answer.text
    assert {"error", "code"} <= set(answer.json())
    assert "x" * 100 not in answer.text


@pytest.mark.parametrize(
    ("path", "name"),
    [("/auth/login", "username"), ("/api/auth/sign-in/username", "username"), ("/api/auth/login", "username")],
)
def test_after_a_login_no_cookie_is_of_whoever_was_there_before(server, anybody, path, name):
    """The JWT's cookie of another user must not speak once the session's is gone."""
    theirs = server.client("ada")
    answer = theirs.post("/api/auth/login", json={"username": "ada", "password": PASSWORD})
    before = f"auth_token={answer.json()['token']}"
    theirs.close()
    for stale in ("", f"; moorage_session=mses_{'A' * 43}"):
        headers = {"Cookie": before + stale}
        answer = anybody.post(path, json={name: "ann", "password": PASSWORD}, headers=headers)
        assert answer.status_code == 200
        kept = {}
        for line in answer.headers.get_list("set-cookie"):
            cookie, _, value = line.partition(";")[0].partition("=")
            kept[cookie] = value
        assert kept["moorage_session"].startswith("mses_")
        assert kept["auth_token"] != before.partition("=")[2]
        assert path == "/api/auth/login" or not kept["auth_token"]
        anybody.cookies.clear()


def test_a_login_is_json_and_a_post(anybody):
    fields = {"username": "ann", "password": PASSWORD}
    assert anybody.post("/api/auth/login", data=fields).status_code == 415
    refused = anybody.get("/api/auth/login")
    assert refused.status_code == 405
    assert "POST" in refused.headers["allow"]


def test_the_delay_over_http(server, anybody):
    def attempt(password, address):
        return anybody.post(
            "/api/auth/login",
            json={"username": "slowly", "password": password},
            headers={"X-Forwarded-For": address},
        )

    answers = [attempt("wrong password", f"203.0.113.{n}") for n in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "Too many failed attempts" in answers[-1].json()["error"]


@pytest.mark.parametrize("path", ["/api/auth/logout", "/auth/logout"])
def test_logout_ends_the_session(server, path):
    with server.client("ann") as client:
        token = client.cookies["moorage_session"]
        answer = client.post(path)
        assert answer.status_code == 200
        assert answer.json() == {"success": True, "message": "Logged out successfully"}
        assert "moorage_session" not in client.cookies
        assert client.get("/auth/me", headers={"Cookie": f"moorage_session={token}"}).status_code == 401
        # And once more, and as nobody: the answer is the same.
        assert client.post(path, headers={"Cookie": f"moorage_session={token}"}).status_code == 200
        assert client.post(path).json()["success"] is True


@pytest.mark.parametrize("path", ["/api/auth/logout", "/auth/logout", "/api/auth/login", "/api/v1/api-keys"])
def test_no_other_site_posts_with_a_cookie(ann, path):
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = ann.post(path, json={"username": "ann", "password": PASSWORD, "name": "x"}, headers=headers)
        assert answer.status_code == 403, (headers, answer.text)
    assert ann.get("/auth/me").status_code == 200


def test_a_program_may_say_any_origin(server):
    with server.client() as client:
        token = client.post("/api/auth/login", json={"username": "ann", "password": PASSWORD}).json()["token"]
    with bearer(server, token, Origin="https://evil.example") as program:
        assert program.post("/api/auth/logout").status_code == 200
        assert program.get("/api/auth/check").status_code == 401


# -- who am I -------------------------------------------------------------------------------------------------


def test_me_serves_both_of_its_clients(ann):
    answer = ann.get("/auth/me")
    me = answer.json()
    assert set(me) == {"id", "name", "email", "avatarUrl", "role", "createdAt", "user"}
    assert me["id"].startswith("user_")
    assert (me["name"], me["email"], me["avatarUrl"], me["role"]) == ("ann", "ann@example.org", None, "operator")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", me["createdAt"])
    assert isinstance(me["user"]["id"], int)
    assert (me["user"]["username"], me["user"]["role"]) == ("ann", "user")
    csrf = answer.headers["x-csrf-token"]
    assert ann.post("/api/v1/api-keys", json={"name": "csrf"}, headers={"X-CSRF-Token": csrf}).status_code == 201
    assert ann.post("/api/v1/api-keys", json={"name": "csrf"}, headers={"X-CSRF-Token": csrf + "x"}).status_code == 403


def test_me_as_nobody(anybody):
    answer = anybody.get("/auth/me")
    assert answer.status_code == 401
    assert answer.json() == {"error": "UNAUTHORIZED", "message": "Authentication required", "details": {}}
    assert anybody.get("/api/auth/me").json() == {"user": None}
    assert anybody.get("/api/auth/check").status_code == 401
    assert anybody.get("/api/auth/csrf").status_code == 401


def test_me_as_the_other_page_asks(ann):
    user = ann.get("/api/auth/me").json()["user"]
    assert set(user) == {"id", "email", "name", "avatar_url", "role"}
    assert user["role"] == "operator"


# -- API keys -------------------------------------------------------------------------------------------------


def make_key(client, **body):
    answer = client.post("/api/v1/api-keys", json={"name": "My Application", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def test_a_key_from_first_to_last(server, ann):
    made = make_key(ann)
    assert re.fullmatch(r"mcp_[0-9a-f]{8}_[A-Za-z0-9_-]{32}", made["api_key"])
    assert made["api_key"].startswith(made["prefix"] + "_")
    assert made["warning"] == "This key will only be shown once. Store it securely."
    assert made["name"] == "My Application"
    with bearer(server, made["api_key"]) as program:
        assert program.get("/auth/me").json()["name"] == "ann"
        keys = program.get("/api/v1/api-keys?per_page=100")
        assert made["api_key"] not in keys.text
        (shown,) = [key for key in keys.json()["data"]["api_keys"] if key["id"] == made["id"]]
        assert {k: shown[k] for k in ("name", "prefix", "user_id", "nexusgate_token_id", "expires_at")} == {
            "name": "My Application",
            "prefix": made["prefix"],
            "user_id": user_id(ann),
            "nexusgate_token_id": None,
            "expires_at": None,
        }
        for at in (shown["created_at"], shown["last_used_at"]):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", at)
        assert program.post("/api/auth/logout").status_code == 200, "which is for sessions"
        gone = program.delete(f"/api/v1/api-keys/{made['id']}")
        assert (gone.status_code, gone.content) == (204, b"")
        refused = program.get("/api/v1/api-keys")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert set(refused.json()) == {"detail"}
    assert ann.delete(f"/api/v1/api-keys/{made['id']}").status_code == 404


def test_pages(server, ann):
    for _ in range(3):
        make_key(ann)
    first = ann.get("/api/v1/api-keys?page=1&per_page=2").json()
    total = first["meta"]["total"]
    assert first["meta"] == {"page": 1, "per_page": 2, "total": total, "total_pages": (total + 1) // 2}
    assert len(first["data"]["api_keys"]) == 2
    second = ann.get("/api/v1/api-keys?page=2&per_page=2").json()["data"]["api_keys"]
    assert {key["id"] for key in second}.isdisjoint(key["id"] for key in first["data"]["api_keys"])
    beyond = ann.get("/api/v1/api-keys?page=2000000000&per_page=100").json()
    assert (beyond["data"]["api_keys"], beyond["meta"]["total"]) == ([], total)


@pytest.mark.parametrize(
    "query", ["page=0", "page=-1", "page=x", "page=1.5", "page=" + "9" * 40, "per_page=0", "per_page=101", "user_id=x"]
)
def test_bad_pages(ann, query):
    answer = ann.get(f"/api/v1/api-keys?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"name": None}, 422),
        ({"name": 5}, 422),
        ({"name": ""}, 422),
        ({"name": "x" * 129}, 422),
        ({"name": "a\nb"}, 422),
        ({"name": "x", "user_id": "1"}, 422),
        ({"name": "x", "user_id": 0}, 422),
        ({"name": "x", "user_id": 2**40}, 422),
        ({"name": "x", "scopes": "core:*"}, 422),
        ({"name": "x", "scopes": []}, 422),
        ({"name": "x", "scopes": ["no:such:thing"]}, 422),
        ({"name": "x", "expires_at": "yesterday"}, 422),
        ({"name": "x", "expires_at": "2001-01-01T00:00:00Z"}, 422),
        ({"name": "x", "expires_at": "9999-12-31T23:59:59-23:00"}, 422),
        ({"name": "x" * 20_000}, 413),
    ],
)
def test_bad_keys(ann, body, status):
    answer = ann.post("/api/v1/api-keys", json=body)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize(
    ("key_id", "status"),
    [("x", 422), ("-1", 422), ("1.0", 422), ("²", 422), ("0", 404), ("999999", 404), ("9" * 30, 404)],
)
def test_bad_key_ids(ann, key_id, status):
    assert ann.delete(f"/api/v1/api-keys/{key_id}").status_code == status


def test_keys_of_others_are_their_business(server, ann, ada):
    key = make_key(ann)
    ann_id, ada_id = user_id(ann), user_id(ada)
    with server.client("vic") as vic:
        assert vic.delete(f"/api/v1/api-keys/{key['id']}").json() == {"detail": "API key not found"}
        assert vic.get(f"/api/v1/api-keys?user_id={ann_id}").status_code == 403
        assert vic.get("/api/v1/api-keys").json()["data"]["api_keys"] == []
        refused = vic.post("/api/v1/api-keys", json={"name": "x", "user_id": ann_id})
        assert refused.status_code == 403
        assert refused.json() == {"detail": "Only admins can create API keys for other users"}
        assert make_key(vic, user_id=user_id(vic))["user_id"] == user_id(vic)
    mine = ada.get(f"/api/v1/api-keys?user_id={ann_id}&per_page=100").json()["data"]["api_keys"]
    assert {found["user_id"] for found in mine} == {ann_id}
    everybody = ada.get("/api/v1/api-keys?per_page=100").json()["data"]["api_keys"]
    assert len({found["user_id"] for found in everybody}) > 1
    made = make_key(ada, user_id=ann_id)
    with bearer(server, made["api_key"]) as program:
        assert user_id(program) == ann_id
    assert ada.delete(f"/api/v1/api-keys/{made['id']}").status_code == 204
    unknown = ada.post("/api/v1/api-keys", json={"name": "x", "user_id": 999_999})
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Target user not found"})
    with server.client("root") as root:
        refused = ada.post("/api/v1/api-keys", json={"name": "x", "user_id": user_id(root)})
        assert refused.status_code == 403, "an admin does not become the owner by way of a key"
        assert make_key(root, user_id=ada_id)


def test_scopes_over_http(server, ann):
    until = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    made = make_key(ann, scopes=["core:key:create"], expires_at=until.isoformat())
    assert made["scopes"] == ["core:key:create"]
    assert made["expires_at"] == until.strftime("%Y-%m-%dT%H:%M:%SZ")
    with bearer(server, made["api_key"]) as program:
        assert program.get("/api/v1/api-keys").status_code == 403
        assert program.delete(f"/api/v1/api-keys/{made['id']}").status_code == 403
        assert program.post("/api/v1/api-keys", json={"name": "x", "scopes": ["*"]}).status_code == 403
        child = make_key(program)
        assert (child["scopes"], child["expires_at"]) == (["core:key:create"], made["expires_at"])


def test_a_key_is_no_cookie(server, ann):
    key = make_key(ann)["api_key"]
    assert httpx.get(f"{server.url}/auth/me", headers={"Cookie": f"moorage_session={key}"}).status_code == 401


# -- beside the server ----------------------------------------------------------------------------------------


def soon(check, what, seconds=WAIT):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_the_command_line_changes_a_running_server(server):
    server.add_user("temp", role="viewer")
    key = server.key("temp")
    with server.client("temp") as client, bearer(server, key) as program:
        assert program.get("/auth/me").json()["role"] == "viewer"
        server.cli("users", "set-role", "temp", "admin")
        soon(lambda: client.get("/auth/me").json()["role"] == "admin", "the new role")
        assert "temp" in server.cli("users", "list").stdout
        server.cli("users", "disable", "temp")
        soon(lambda: client.get("/auth/me").status_code == 401, "the session of a disabled user")
        soon(lambda: program.get("/auth/me").status_code == 401, "the key of a disabled user")
        inactive = client.post("/api/auth/login", json={"username": "temp", "password": PASSWORD})
        assert (inactive.status_code, inactive.json()["code"]) == (401, "USER_INACTIVE")
        server.cli("users", "enable", "temp")
        soon(lambda: program.get("/auth/me").status_code == 200, "the key of an enabled user")
        assert client.get("/auth/me").status_code == 401
        server.cli("keys", "revoke", key)
        soon(lambda: program.get("/auth/me").status_code == 401, "a revoked key")
        server.cli("users", "set-password", "temp", "--password-file", "-", input="another battery")
        assert client.post("/api/auth/login", json={"username": "temp", "password": PASSWORD}).status_code == 401
        assert (
            client.post("/api/auth/login", json={"username": "temp", "password": "another battery"}).status_code == 200
        )


def test_no_secret_is_written_anywhere(server):
    server.add_user("discreet", password="a very secret phrase")
    key = server.key("discreet")
    with server.client("discreet", "a very secret phrase") as client:
        token = client.cookies["moorage_session"]
        made = make_key(client)["api_key"]
        client.post("/api/auth/login", json={"username": "oops my passphrase", "password": "wrong passphrase"})
    with bearer(server, key) as program:
        program.get("/auth/me?token=" + key)
    secrets = [b"a very secret phrase", key[13:].encode(), token.encode(), made[13:].encode(), b"passphrase"]
    with sqlite3.connect(server.data_dir / "moorage.db") as database:
        stored = "\n".join(database.iterdump()).encode()
    database.close()
    written = {"log": server.stderr.encode(), "output": rest_of_output(server).encode(), "database": stored}
    for path in server.data_dir.rglob("*"):
        if path.is_file():
            written[path.name] = path.read_bytes()
    found = [(where, secret) for where, data in written.items() for secret in secrets if secret in data]
    assert not found


# -- the first owner ------------------------------------------------------------------------------------------


def test_a_first_start_is_claimed_once(tmp_path):
    with running(tmp_path, CONFIG) as server:
        file = server.data_dir / "run" / "setup-token"
        soon(lambda: file.exists() and file.read_text().endswith("\n"), "the setup token")
        token = file.read_text().strip()
        assert file.stat().st_mode & 0o777 == 0o600
        with server.client() as client:
            claim = {"token": token, "username": "Root", "password": PASSWORD, "email": "root@example.org"}
            wrong = client.post("/api/auth/setup", json={**claim, "token": "guess"})
            assert (wrong.status_code, wrong.json()["code"]) == (403, "INVALID_SETUP_TOKEN")
            weak = client.post("/api/auth/setup", json={**claim, "password": "password123"})
            assert weak.status_code == 422
            assert "common" in weak.text
            assert client.post("/api/auth/setup", json={"token": token}).status_code == 422
            evil = client.post("/api/auth/setup", json=claim, headers={"Origin": "https://evil.example"})
            assert evil.status_code == 403
            said = "\n".join([*server.said, ""])

            def told():
                nonlocal said
                said += rest_of_output(server)
                return f"/#setup={token}\n" in said

            soon(told, "the link with the setup token")
            done = client.post("/api/auth/setup", json=claim)
            assert done.status_code == 200, done.text
            assert done.json()["user"]["role"] == "admin"
            assert client.get("/auth/me").json()["role"] == "owner"
            again = client.post("/api/auth/setup", json={**claim, "username": "second", "email": None})
            assert (again.status_code, again.json()["code"]) == (403, "SETUP_DONE")
        assert server.stop() == 0
        server.start()
        with server.client("root") as client:
            assert client.get("/auth/me").json()["name"] == "Root"
        assert "#setup=" not in "\n".join(server.said) + rest_of_output(server)
        assert not file.exists()
