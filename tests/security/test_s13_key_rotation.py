"""S13: keys of JWTs are sealed at rest, rotated by the command line while the server runs, and end when they should."""

import json
import sqlite3
import stat
import time

import httpx
import pytest
import websockets
from fakedist import probe
from harness import running
from waits import WAIT

PASSWORD = "correct horse battery"
CONFIG = {
    "limits": {"general": "100000/minute", "authentication": "100000/minute"},
    "accounts": {"argon2_memory_kib": 256, "argon2_time": 1},
    "plugins": {"good": {"enabled": True}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    probe(site, "good")
    with running(tmp_path_factory.mktemp("server"), CONFIG, env={"PYTHONPATH": str(site)}) as server:
        server.add_user("ann")
        yield server


def log_in(server):
    return httpx.post(f"{server.url}/api/auth/login", json={"username": "ann", "password": PASSWORD}).json()["token"]


def status(server, token):
    return httpx.get(f"{server.url}/api/auth/check", headers={"Authorization": f"Bearer {token}"}).status_code


def soon(server, token):
    """The status once what another process did has arrived, and how long that took."""
    started = time.monotonic()
    while (now := status(server, token)) == 200 and time.monotonic() < started + 5:
        time.sleep(0.02)
    return now, time.monotonic() - started


def keys(server):
    return json.loads(server.cli("signing-keys", "list", "--json").stdout)


def published(server):
    return [key["kid"] for key in httpx.get(f"{server.url}/.well-known/jwks.json").json()["keys"]]


def execute(server, statement, *values):
    with sqlite3.connect(server.data_dir / "moorage.db", timeout=WAIT) as connection:
        rows = connection.execute(statement, values).fetchall()
    connection.close()
    return rows


def test_a_rotation_hurts_nobody_and_an_ended_key_verifies_no_more(server):
    old = log_in(server)
    assert status(server, old) == 200
    (before,) = keys(server)
    assert "signs now" in server.cli("signing-keys", "rotate").stdout
    new, retired = keys(server)
    assert (retired["kid"], retired["state"], new["state"]) == (before["kid"], "verifies", "signs")
    assert retired["verify_until"] > retired["retired_at"]

    deadline = time.monotonic() + WAIT
    while published(server) != [new["kid"], before["kid"]] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert published(server) == [new["kid"], before["kid"]]
    fresh = log_in(server)
    assert status(server, old) == status(server, fresh) == 200

    # A day later: the clock cannot be turned, so the end of the key is moved here.
    ended = "2020-01-01 00:00:00+00:00"
    execute(server, "UPDATE core_signing_keys SET verify_until = ? WHERE kid = ?", ended, before["kid"])
    assert soon(server, old)[0] == 401
    assert status(server, fresh) == 200
    assert published(server) == [new["kid"]]


async def test_a_revoked_key_ends_its_tokens_and_sockets_within_about_a_second(server):
    token = log_in(server)
    with httpx.Client(base_url=server.url) as browser:
        browser.post("/api/auth/login", json={"username": "ann", "password": PASSWORD})
        session = {"Cookie": f"moorage_session={browser.cookies['moorage_session']}"}
    kid = keys(server)[0]["kid"]
    url, shown = f"{server.ws_url}/good/echo", {"Authorization": f"Bearer {token}"}
    async with (
        websockets.connect(url, additional_headers=shown) as socket,
        websockets.connect(url, additional_headers=session) as kept,
    ):
        await socket.send("x")
        assert await socket.recv() == "x"
        server.cli("signing-keys", "revoke", kid)
        assert kid not in [key["kid"] for key in keys(server) if key["state"] != "ended"]
        refused, seconds = soon(server, token)
        assert (refused, seconds < 2) == (401, True)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd.code == 4001
        await kept.send("still here")
        assert await kept.recv() == "still here", "the sessions themselves go on"
    assert status(server, log_in(server)) == 200, "and another key is made"


def test_what_the_command_line_did_is_in_the_audit_log(server):
    log_in(server)
    server.cli("signing-keys", "rotate")
    actions = {action for (action,) in execute(server, "SELECT action FROM core_audit_events")}
    assert {"signing_key.created", "signing_key.rotated"} <= actions


def test_an_unknown_key_is_named_as_such(server):
    done = server.cli("signing-keys", "revoke", "nope", check=False)
    assert (done.returncode, done.stderr) == (1, "Error: There is no such signing key\n")


def test_the_list_for_people_names_each_key_once_and_no_secret(server):
    log_in(server)
    said = server.cli("signing-keys", "list").stdout
    for key in keys(server):
        assert said.count(key["kid"]) == 1
    assert len(said.splitlines()) == len(keys(server))


def test_keys_are_sealed_by_a_secret_that_only_its_owner_reads(server):
    log_in(server)
    secret = server.data_dir / "secret.key"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert len(secret.read_text().strip()) >= 43
    for (sealed,) in execute(server, "SELECT key_sealed FROM core_signing_keys"):
        assert sealed.startswith("gAAAA"), "a Fernet token"
    public = httpx.get(f"{server.url}/.well-known/jwks.json").json()
    assert all({"d", "p", "q", "k"}.isdisjoint(key) for key in public["keys"])


def test_no_two_servers_have_the_same_secret(server, tmp_path):
    with running(tmp_path, {"accounts": CONFIG["accounts"]}) as other:
        other.add_user("ann")
        token = log_in(other)
        assert (other.data_dir / "secret.key").read_text() != (server.data_dir / "secret.key").read_text()
        assert status(other, token) == 200
        assert status(server, token) == 401


def test_a_lost_secret_costs_tokens_and_not_the_server(tmp_path):
    with running(tmp_path, {"accounts": CONFIG["accounts"]}) as server:
        server.add_user("ann")
        token = log_in(server)
        server.stop()
        (server.data_dir / "secret.key").unlink()
        server.start()
        assert status(server, token) == 401
        assert status(server, log_in(server)) == 200
        assert "sealed with another secret" in server.stderr
        assert [key["usable"] for key in keys(server)] == [True, False]
        assert "sealed with another secret" in server.cli("signing-keys", "list").stdout
