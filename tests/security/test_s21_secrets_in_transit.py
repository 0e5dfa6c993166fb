"""S21: what proves who somebody is stands in no URL, log, audit record or cache, over a journey through all logins.

A token in the path (GET /api/me/{token}), which Orbital's document wants: tests/contracts/test_orbital.py.
"""

import json
import re
import time

import httpx
import pytest
from harness import running
from people import CONFIG, PASSWORD
from realparts.identity_provider import CLIENT_SECRET
from visitor import Visitor, provider
from waits import WAIT
from wire import rows

SECRET = "what two servers know of each other, and nobody else"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# Where an address holds what lets somebody in, because the contract wants it.
IN_URLS = re.compile(r"/api/invites/[^/]+/(validate|accept)|/invite/[^/]+|/api/me/[^/]+|/api/auth/\w+/callback\?.*")


class Journey:
    """Every request of it, every answer, and every secret that was in either, by what it is."""

    def __init__(self, server):
        self.server, self.secrets, self.answers = server, {"introspect": SECRET, "client": CLIENT_SECRET}, []

    def browser(self, **options):
        return Visitor(self.server, event_hooks={"response": [self.note]}, **options)

    def note(self, answer):
        answer.read()
        self.answers.append(answer)

    def keep(self, **secrets):
        for name, text in secrets.items():
            assert len(text) >= 8
            self.secrets[name] = text


@pytest.fixture(scope="module")
def journey(tmp_path_factory, identity_provider):
    accounts = {
        **CONFIG["accounts"],
        "introspect_secret": SECRET,
        "providers": {"open": provider(identity_provider.issuer, register_new="open")},
    }
    config = {**CONFIG, "accounts": accounts, "log": {"format": "json", "level": "debug"}}
    with running(tmp_path_factory.mktemp("s21"), config) as server:
        identity_provider.tell()
        journey = Journey(server)
        owner(journey)
        newcomer(journey)
        device(journey)
        elsewhere(journey)
        mistakes(journey)
        yield journey


def owner(journey):
    """The first start, a key, a new password."""
    with journey.browser() as browser:
        token = (journey.server.data_dir / "run" / "setup-token").read_text().strip()
        body = {"token": token, "username": "root", "password": PASSWORD, "email": "root@example.org"}
        login = browser.post("/api/auth/setup", json=body).json()
        first = browser.cookies["moorage_session"]
        journey.keep(setup=token, password=PASSWORD, jwt=login["token"], csrf=login["csrf_token"], first=first)
        journey.keep(key=browser.post("/api/v1/api-keys", json={"name": "k"}).json()["data"]["api_key"])
        new = "another battery staple"
        body = {"current_password": PASSWORD, "new_password": new}
        browser.post("/api/core/password", json=body).raise_for_status()
        journey.keep(new_password=new, session=browser.cookies["moorage_session"])
        journey.keep(code=browser.post("/api/admin/invite-codes", json={"max_uses": 5}).json()["code"])
        journey.keep(link=browser.post("/api/invites", json={"role": "operator"}).json()["token"])
        browser.get("/api/admin/invite-codes").raise_for_status()
        browser.get("/api/invites").raise_for_status()


def newcomer(journey):
    """Registers by a code, signs in in four ways, accepts a link."""
    with journey.browser() as browser:
        body = {"invite_code": journey.secrets["code"], "username": "ann", "email": "ann@example.org"}
        browser.post("/api/auth/register", json={**body, "password": PASSWORD}).raise_for_status()
        for path, name in (
            ("/api/auth/login", {"username": "ann"}),
            ("/auth/login", {"username": "ann"}),
            ("/api/auth/sign-in/email", {"email": "ann@example.org"}),
            ("/api/auth/sign-in/username", {"username": "ann"}),
        ):
            browser.post(path, json={**name, "password": PASSWORD}).raise_for_status()
            journey.keep(**{f"session of {path}": browser.cookies["moorage_session"]})
        browser.get(f"/api/invites/{journey.secrets['link']}/validate").raise_for_status()
        browser.post(f"/api/invites/{journey.secrets['link']}/accept").raise_for_status()
        for path in ("/auth/me", "/api/auth/me", "/api/auth/get-session", "/api/core/sessions", "/api/v1/api-keys"):
            browser.get(path).raise_for_status()
        journey.keep(csrf_of_ann=browser.get("/api/auth/csrf").json()["csrf_token"])


def device(journey):
    """A program is let in, refreshed, introspected, and sent away."""
    with journey.browser() as browser:
        browser.post("/api/auth/login", json={"username": "ann", "password": PASSWORD}).raise_for_status()
        code = browser.post("/api/auth/device/code", json={"client_id": "cli"}).json()
        journey.keep(device_code=code["device_code"])
        browser.get("/api/auth/device", params={"user_code": code["user_code"]}).raise_for_status()
        browser.post("/api/auth/device/approve", json={"userCode": code["user_code"]}).raise_for_status()
        asked = {"grant_type": DEVICE_GRANT, "client_id": "cli", "device_code": code["device_code"]}
        given = browser.post("/api/auth/device/token", data=asked).json()
        journey.keep(access=given["access_token"], refresh=given["refresh_token"])
        again = {"grant_type": "refresh_token", "client_id": "cli", "refresh_token": given["refresh_token"]}
        given = browser.post("/api/auth/token", json=again).json()
        journey.keep(access2=given["access_token"], refresh2=given["refresh_token"])
        for token in (given["access_token"], journey.secrets["key"], "nonsense-nonsense"):
            headers = {"X-Introspect-Secret": SECRET}
            browser.post("/api/v1/auth/introspect", json={"token": token}, headers=headers).raise_for_status()
        browser.get(f"/api/me/{given['access_token']}")
        browser.post("/api/auth/revoke", data={"token": given["refresh_token"]}).raise_for_status()


def elsewhere(journey):
    """A login at a provider."""
    with journey.browser() as browser:
        left = browser.leave("open")
        back = browser.at_provider(left)
        query = httpx.URL(back).params
        journey.keep(oauth_code=query["code"], oauth_state=query["state"])
        browser.come_back(back)
        journey.keep(oauth_session=browser.cookies["moorage_session"])


def mistakes(journey):
    """Secrets in places where they do not belong."""
    wrong = "a password in the wrong field"
    journey.keep(wrong_field=wrong.replace(" ", "-"), wrong_password="nearly correct horse battery")
    with journey.browser() as browser:
        browser.post("/api/auth/login", json={"username": journey.secrets["wrong_field"], "password": "x"})
        browser.post("/api/auth/login", json={"username": "ann", "password": journey.secrets["wrong_password"]})
        browser.post("/api/auth/login", content=journey.secrets["new_password"].encode())
        browser.post("/api/auth/login", json={"username": 5, "password": [journey.secrets["new_password"]]})
        for name in ("key", "access", "jwt", "session"):
            secret = journey.secrets[name]
            browser.get("/health", headers={"Authorization": f"Basic {secret}", "User-Agent": f"tool {secret}"})
            browser.post("/api/auth/token", json={"grant_type": secret, "client_id": "cli"})


@pytest.fixture(scope="module")
def written(journey):
    """What was written anywhere: both streams, and the audit log."""
    out, deadline = "", time.monotonic() + WAIT
    last = journey.answers[-1].headers["x-request-id"]
    # The access log is written in batches.
    while last not in out and time.monotonic() < deadline:
        out += journey.server.output()
        time.sleep(0.05)
    assert last in out
    # The token of the first start is printed for who has started it, before there is anything to log.
    out = "\n".join(line for line in out.splitlines() if line.startswith("{"))
    assert out.count("/api/auth/login") >= 3
    audit = json.dumps(rows(journey.server, "SELECT * FROM core_audit_events"))
    assert audit.count("login.succeeded") >= 5
    return {"access log": out, "log": journey.server.stderr, "audit": audit}


def test_no_log_and_no_audit_record_holds_a_secret(journey, written):
    assert len(journey.secrets) > 20
    secrets = journey.secrets.items()
    found = [(place, name) for place, text in written.items() for name, secret in secrets if secret in text]
    assert found == []


def test_no_url_holds_a_secret_that_the_contracts_do_not_put_there(journey):
    """Of requests that pages of ours make, and of those that answers send browsers to."""
    for answer in journey.answers:
        for url in (str(answer.url), answer.headers.get("location", "")):
            if IN_URLS.search(url):
                continue
            inside = [name for name, secret in journey.secrets.items() if secret in url]
            assert inside in ([], ["oauth_state"]), url


def test_answers_that_hold_a_secret_are_kept_by_nobody(journey):
    holding = 0
    for answer in journey.answers:
        assert "no-store" in answer.headers["cache-control"], answer.url
        text = answer.text + "\n".join(answer.headers.get_list("set-cookie"))
        holding += any(secret in text for secret in journey.secrets.values())
    assert holding > 12


def test_no_page_tells_others_where_it_was(journey):
    for answer in journey.answers:
        wanted = {"no-referrer"} if "/api/me/" in str(answer.url) else {"same-origin", "no-referrer"}
        assert answer.headers["referrer-policy"] in wanted, answer.url
    for path in ("/", "/invite/abc", "/console/device?user_code=AAAA-BBBB"):
        assert httpx.get(journey.server.url + path).headers["referrer-policy"] in ("same-origin", "no-referrer")


def test_no_answer_gives_a_password_or_a_secret_of_the_configuration_back(journey):
    for answer in journey.answers:
        for name in ("password", "new_password", "wrong_password", "introspect", "client", "setup"):
            assert journey.secrets[name] not in answer.text, (name, answer.url)


def test_what_can_be_read_again_is_no_secret(journey):
    """Lists of keys, sessions, invites and audit events, seen by an owner."""
    with journey.server.client("root", journey.secrets["new_password"]) as root:
        for path in ("/api/v1/api-keys", "/api/core/sessions", "/api/invites", "/api/v1/audit?per_page=100", "/api/me"):
            text = root.get(path).text
            assert [name for name, secret in journey.secrets.items() if secret in text] == [], path
