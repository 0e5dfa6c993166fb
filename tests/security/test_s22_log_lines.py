"""S22: one event is one line of the log, whatever people call themselves; what they send to prove it is not in it.

What is masked in which place: tests/observe/test_redaction.py and test_logging.py. A whole journey: S21.
"""

import json
import time
from itertools import dropwhile
from urllib.parse import quote

import pytest
from people import CONFIG, PASSWORD, populated
from waits import WAIT
from wire import exchange, rows

FORGED = '{"event": "login.succeeded", "level": "critical", "forged": true}'
BREAKS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1b[2J", "\x85", "\u2028", "\u2029", "\x00", "\x7f", "\u202e"]


@pytest.fixture(scope="module", params=["json", "console"])
def people(request, tmp_path_factory):
    config = {**CONFIG, "log": {"format": request.param, "level": "debug"}}
    with populated(tmp_path_factory.mktemp("s22"), config) as people:
        people.form = request.param
        yield people


def lines(people, marker):
    """What was written until the request with this id was: access log and log, line by line."""
    out, deadline = "", time.monotonic() + WAIT
    while marker not in out and time.monotonic() < deadline:
        out += people.server.output()
        time.sleep(0.05)
    assert marker in out
    # What the start prints for people comes first; whatever comes after a line of the access log is looked at.
    printed = dropwhile(lambda line: "/health" not in line, out.split("\n"))
    return [line for line in (*printed, *people.server.stderr.split("\n")) if line]


def test_no_text_of_a_request_begins_a_line_of_its_own(people):
    client = people.anybody()
    for mark in BREAKS:
        text = f"x{mark}{FORGED}"
        body = {"username": text, "password": text, "email": f"{text}@example.org", "invite_code": text, "token": text}
        for path in ("/api/auth/login", "/auth/login", "/api/auth/register", "/api/auth/setup", "/api/auth/token"):
            client.post(path, json=body)
        people.root.client.post("/api/v1/api-keys", json={"name": text})
        people.root.client.post("/api/invites", json={"role": "viewer", "note": text})
        people.root.client.put("/api/me", json={"display_name": text, "name": text})
        client.get("/no/such/" + quote(text))
        client.get("/api/v1/users", params={"search": text})
    for header in (f"User-Agent: a {FORGED}", f"X-Request-ID: {FORGED}", f"User-Agent: a\x1b[2J {FORGED}"):
        exchange(people.server, f"GET /health HTTP/1.1\r\nHost: x\r\n{header}\r\nConnection: close\r\n\r\n".encode())
    # Who can be named in a log at all: by an event that is written down.
    client.post("/api/auth/login", json={"username": "root", "password": PASSWORD}, headers={"User-Agent": FORGED})
    last = client.get("/health", headers={"X-Request-ID": f"last-{people.form}"})
    for line in lines(people, last.headers["x-request-id"]):
        assert not line.startswith("{") or "forged" not in json.loads(line), line
        assert not any(mark in line for mark in BREAKS if mark not in ("\x1b[2J",)), repr(line)
        assert "\x1b[2J" not in line
        if people.form == "json":
            assert line.startswith("{"), repr(line)


def test_names_are_one_line_each(people):
    """What is stored is what logs, lists and terminals show."""
    root = people.root.client
    for number, mark in enumerate(BREAKS):
        name = f"a{mark}b{number}"
        made = root.post("/api/admin/users", json={"username": name, "email": "x@example.org", "password": PASSWORD})
        assert made.status_code in (400, 422), repr(name)
        assert root.put("/api/me", json={"display_name": name}).status_code in (400, 422), repr(name)
        assert root.post("/api/v1/api-keys", json={"name": name}).status_code in (400, 422), repr(name)
    texts = "SELECT username, name FROM core_users UNION ALL SELECT name, prefix FROM core_api_keys"
    stored = rows(people.server, texts)
    assert not any(mark in text for row in stored for text in row for mark in BREAKS)


def test_what_proves_somebody_is_masked(people):
    client, key = people.anybody(), people.server.key("root")
    given = [key, people.root.client.cookies["moorage_session"], people.root.client.cookies["auth_token"]]
    for secret in given:
        client.get("/auth/me", headers={"Authorization": f"Bearer {secret}"})
        client.get("/auth/me", headers={"Cookie": f"moorage_session={secret}; auth_token={secret}"})
        client.get("/auth/me", params={"token": secret, "access_token": secret})
        client.get(f"/api/me/{secret}")
        client.get(f"/no/such/{secret}")
        client.post("/api/auth/login", json={"username": secret, "password": secret})
        client.post("/api/auth/revoke", content=f"token={secret}&x=%ff", headers={"Content-Type": "text/odd"})
    last = client.get("/health", headers={"X-Request-ID": f"masked-{people.form}"})
    written = "\n".join(lines(people, last.headers["x-request-id"]))
    audit = json.dumps(rows(people.server, "SELECT * FROM core_audit_events"))
    for secret in [*given, PASSWORD]:
        assert secret not in written
        assert secret not in audit
