"""S23: what matters is written down with actor, address and request, can be read by who may, and stays."""

import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime

import httpx
import pytest
from harness import running
from waits import WAIT

PASSWORD = "correct horse battery"
SECRET = "a secret between two servers, long enough"
CONFIG = {
    "server": {"trusted_proxies": ["127.0.0.1"]},
    "limits": {"general": "100000/minute", "authentication": "100000/minute"},
    "accounts": {"argon2_memory_kib": 256, "argon2_time": 1, "lockout_threshold": 3, "introspect_secret": SECRET},
}
ADDRESS = "203.0.113.9"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("audit"), CONFIG) as server:
        server.add_users({"root": "owner", "ada": "admin", "ann": "operator", "bob": "operator"})
        yield server


@pytest.fixture(scope="module")
def ada(server):
    with server.client("ada") as client:
        yield client


@pytest.fixture(scope="module")
def root(server):
    with server.client("root") as client:
        client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrf_token"]
        yield client


@pytest.fixture
def elsewhere(server):
    """Somebody at an address of their own."""
    headers = {"X-Forwarded-For": ADDRESS, "User-Agent": "audited/1"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=WAIT) as client:
        yield client


def events(ada, **query):
    answer = ada.get("/api/v1/audit", params={"per_page": 100, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["events"]


def of_request(ada, answer):
    """The one event of the request that `answer` answered."""
    (event,) = events(ada, request_id=answer.headers["x-request-id"])
    return event


def pid(client):
    return client.get("/api/auth/check").json()["user"]["id"]


# -- what is written down ---------------------------------------------------------------------------------------


def test_a_login_that_succeeds_and_one_that_fails(server, ada, elsewhere):
    wrong = elsewhere.post("/api/auth/login", json={"username": "ann", "password": "wrong horse battery"})
    assert wrong.status_code == 401
    right = elsewhere.post("/api/auth/login", json={"username": "ann", "password": PASSWORD})
    assert right.status_code == 200
    failed, succeeded = of_request(ada, wrong), of_request(ada, right)
    assert (failed["action"], failed["actor"], failed["method"]) == ("login.failed", "anonymous", "anonymous")
    assert (succeeded["action"], succeeded["actor"]) == ("login.succeeded", right.json()["user"]["id"])
    assert failed["target"] == succeeded["target"] == f"user:{succeeded['actor_id']}"
    for event in (failed, succeeded):
        assert (event["address"], event["user_agent"]) == (ADDRESS, "audited/1")
    assert PASSWORD not in json.dumps(events(ada))
    assert right.json()["token"] not in json.dumps(events(ada))


def test_a_lockout_is_told_when_it_begins(server, ada, elsewhere):
    # Who is refused meanwhile has not failed: nothing was looked at.
    elsewhere.headers["X-Forwarded-For"] = "203.0.113.77"
    for status in (401, 401, 401, 429):
        answer = elsewhere.post("/api/auth/login", json={"username": "nobody", "password": "wrong horse battery"})
        assert answer.status_code == status
    found = events(ada, action="login.*", address="203.0.113.77")
    assert [event["action"] for event in found] == ["login.locked_out", *["login.failed"] * 3]
    assert found[0]["data"] == found[1]["data"] == {"delay": 1.0}


def test_a_logout(server, ada, elsewhere):
    login = elsewhere.post("/api/auth/login", json={"username": "ann", "password": PASSWORD}).json()
    answer = elsewhere.post("/api/auth/logout", headers={"X-CSRF-Token": login["csrf_token"]})
    event = of_request(ada, answer)
    assert (event["action"], event["actor"]) == ("logout", login["user"]["id"])
    assert event["target"].startswith("session:")


def test_a_key_made_used_and_revoked(server, ada, root):
    made = root.post("/api/v1/api-keys", json={"name": "ci"})
    assert made.status_code == 201, made.text
    key = made.json()["data"]
    gone = root.delete(f"/api/v1/api-keys/{key['id']}")
    assert gone.status_code == 204
    for answer, action in ((made, "key.created"), (gone, "key.revoked")):
        event = of_request(ada, answer)
        assert (event["action"], event["actor"], event["target"]) == (action, pid(root), f"api_key:{key['id']}")
        assert event["address"] == "127.0.0.1"
    assert key["api_key"] not in json.dumps(events(ada))


def test_a_role_set_by_the_operator(server, ada):
    server.cli("users", "set-role", "bob", "viewer")
    (event, *_) = events(ada, action="user.*", actor="system")
    assert event["target"].startswith("user:")
    assert event["data"]["role"] == "viewer"


def test_a_role_changed_by_an_administrator(server, ada, root):
    (bob,) = [user for user in root.get("/api/admin/users").json() if user["username"] == "bob"]
    answer = root.put(f"/api/admin/users/{bob['id']}", json={"role": "admin"})
    assert answer.status_code == 200, answer.text
    event = of_request(ada, answer)
    assert (event["action"], event["actor"], event["data"]["role"]) == ("user.role_changed", pid(root), "admin")


def test_an_invite_from_first_to_last(server, ada, root, elsewhere):
    made = root.post("/api/admin/invite-codes", json={"max_uses": 2})
    assert made.status_code == 201, made.text
    invite = made.json()
    new = {"username": "new", "email": "new@example.org", "password": PASSWORD, "invite_code": invite["code"]}
    redeemed = elsewhere.post("/api/auth/register", json=new)
    assert redeemed.status_code in (200, 201), redeemed.text
    refused = elsewhere.post("/api/auth/register", json={**new, "username": "other", "invite_code": "no such code"})
    assert refused.status_code >= 400
    revoked = root.post(f"/api/admin/invite-codes/{invite['id']}/revoke")
    assert revoked.status_code == 204
    for answer, action in ((made, "invite.created"), (redeemed, "invite.redeemed"), (revoked, "invite.revoked")):
        found = [e for e in events(ada, request_id=answer.headers["x-request-id"]) if e["action"] == action]
        assert [event["target"].partition(":")[0] for event in found] == ["invite"], action
    assert of_request(ada, refused)["action"] == "invite.refused"
    assert invite["code"] not in json.dumps(events(ada))


def test_an_introspection_with_a_wrong_secret(server, ada, elsewhere):
    answer = elsewhere.post("/api/v1/auth/introspect", data={"token": "x"}, headers={"X-Introspect-Secret": "wrong"})
    assert answer.status_code == 401
    event = of_request(ada, answer)
    assert (event["action"], event["actor"], event["address"]) == ("introspect.failed", "anonymous", ADDRESS)
    assert "wrong" not in json.dumps(event)


@pytest.mark.parametrize(("decision", "decided"), [("approve", "device.approved"), ("deny", "device.denied")])
def test_a_device_that_is_let_in_or_not(server, ada, root, elsewhere, decision, decided):
    asked = elsewhere.post("/api/auth/device/code", data={"client_id": "a-program"})
    assert asked.status_code == 200, asked.text
    code = asked.json()["user_code"]
    assert root.get("/api/auth/device", params={"user_code": code}).status_code == 200
    answer = root.post(f"/api/auth/device/{decision}", json={"userCode": code})
    assert answer.status_code == 200, answer.text
    event = of_request(ada, answer)
    assert (event["action"], event["actor"]) == (decided, pid(root))
    assert event["target"].startswith("device:")
    assert code not in json.dumps(events(ada))


def test_an_administrator_who_reads_about_others_is_written_down_once_a_minute(server, root):
    for _ in range(3):
        assert root.get("/api/admin/users").status_code == 200
        assert root.get("/api/admin/invite-codes").status_code == 200
        assert root.get("/api/v1/api-keys").status_code == 200
    for subject in ("user", "invite", "key"):
        found = [event for event in events(root, action=f"{subject}.read") if event["actor"] == pid(root)]
        assert len(found) == 1, subject
        assert found[0]["method"] == "session"


def test_reading_the_log_is_written_down_with_its_filters_and_once_a_minute(server, root):
    for _ in range(3):
        first = root.get("/api/v1/audit", params={"action": "nothing.*", "page": 1})
        assert first.status_code == 200
    found = [event for event in events(root, action="audit.read") if event["actor"] == pid(root)]
    asked = [event["data"]["filters"] for event in found]
    assert asked.count({"action": "nothing.*"}) == 1


# -- who may read it, and how -----------------------------------------------------------------------------------


def test_only_who_may_reads_it(server, elsewhere):
    assert elsewhere.get("/api/v1/audit").json() == {"detail": "Not authenticated"}
    with server.client("ann") as ann:
        assert ann.get("/api/v1/audit").status_code == 403


def test_pages(ada):
    query = {"action": "user.created", "actor": "system", "until": datetime.now(UTC).isoformat()}
    whole = ada.get("/api/v1/audit", params={**query, "per_page": 100}).json()
    assert whole["meta"] == {"page": 1, "per_page": 100, "total": 4, "total_pages": 1}
    pages = [ada.get("/api/v1/audit", params={**query, "per_page": 3, "page": number}).json() for number in (1, 2, 3)]
    assert [len(page["data"]["events"]) for page in pages] == [3, 1, 0]
    assert pages[0]["meta"] == {"page": 1, "per_page": 3, "total": 4, "total_pages": 2}
    assert [event for page in pages for event in page["data"]["events"]] == whole["data"]["events"]
    times = [event["at"] for event in whole["data"]["events"]]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("per_page=101", "per_page"),
        ("per_page=x", "per_page"),
        ("action=", "action"),
        ("action=us*er", "action"),
        ("action=user*", "action"),
        ("action=" + "x" * 256, "action"),
        ("actor=%00", "actor"),
        ("actor=%ED%A0%80", None),
        ("actor_id=0", "actor_id"),
        ("actor_id=2147483648", "actor_id"),
        ("since=yesterday", "since"),
        ("since=9999-12-31T23:59:59-23:00", "since"),
        ("until=", "until"),
        ("format=xml", "format"),
        ("target=%00", "target"),
        ("address=%00", "address"),
        ("request_id=%00", "request_id"),
    ],
)
@pytest.mark.parametrize("lines", ["", "&format=jsonl"])
def test_wrong_filters_are_named(ada, query, field, lines):
    answer = ada.get(f"/api/v1/audit?{query}{lines if 'format' not in query else ''}")
    if field is None:
        assert answer.status_code < 500
        return
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert field in answer.json()["detail"]


def test_the_extremes_of_the_calendar_are_no_fault(ada):
    for since in ("0001-01-01T00:00:00", "9999-12-31T23:59:59Z", "1e11"):
        assert ada.get("/api/v1/audit", params={"since": since, "until": since}).status_code in (200, 422)


@pytest.mark.parametrize("how", [{"params": {"format": "jsonl"}}, {"headers": {"Accept": "application/x-ndjson"}}])
def test_json_lines(ada, how):
    with ada.stream("GET", "/api/v1/audit", **how) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert [event["id"] for event in lines] == sorted({event["id"] for event in lines}, reverse=True)
    assert lines[-1]["action"] == "user.created"
    listed = {event["id"]: event for event in events(ada)}
    assert all(listed.get(event["id"], event) == event for event in lines)


def test_an_export_ends_when_the_right_does_and_holds_nothing_meanwhile(server, ada):
    server.add_user("eve", "admin")
    # Enough that it cannot all be on the way before it is cut off.
    row = (
        "2021-01-01 00:00:00+00:00",
        "anonymous",
        "anonymous",
        "bulk.made",
        "",
        "",
        "",
        json.dumps({"x": "y" * 4000}),
    )
    columns = "at, actor, method, action, address, user_agent, request_id, data"
    with closing(sqlite3.connect(server.data_dir / "moorage.db", timeout=WAIT)) as connection, connection:
        connection.executemany(
            f"INSERT INTO core_audit_events ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [row] * 8000
        )
    with server.client("eve") as eve, eve.stream("GET", "/api/v1/audit", params={"format": "jsonl"}) as answer:
        received = answer.iter_raw()
        next(received)
        # The reader waits, and others write: no transaction is open for it.
        server.cli("users", "set-role", "eve", "viewer")
        time.sleep(1.5)  # What the revalidation needs to hear of what another process did.
        with pytest.raises(httpx.RemoteProtocolError):
            list(received)
    assert ada.get("/api/v1/audit", params={"action": "bulk.made"}).json()["meta"]["total"] == 8000


def test_nobody_changes_it(server, ada):
    before = events(ada, action="user.created")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert ada.request(method, "/api/v1/audit").status_code == 405
    with closing(sqlite3.connect(server.data_dir / "moorage.db", timeout=WAIT)) as connection:
        for statement in ("UPDATE core_audit_events SET actor = 'x'", "DELETE FROM core_audit_events"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                connection.execute(statement)
    assert events(ada, action="user.created") == before
