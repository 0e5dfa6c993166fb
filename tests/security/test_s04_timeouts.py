"""S4: a session ends when it is not used for a while, and ends anyway; with it end the JWTs and devices of it."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import websockets
from fakedist import probe
from harness import running
from people import CONFIG, PASSWORD, People
from waits import WAIT
from wire import rows

IDLE, MOST = 3600, 7200
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    probe(site, "good")
    # Times are turned in the database, so nothing may be remembered of what it said before.
    times = {"session_idle_seconds": IDLE, "session_max_seconds": MOST, "session_cache_seconds": 0}
    config = {**CONFIG, "accounts": {**CONFIG["accounts"], **times}, "plugins": {"good": {"enabled": True}}}
    with running(tmp_path_factory.mktemp("s04"), config, env={"PYTHONPATH": str(site)}) as server:
        people = People(server)
        yield people
        people.close()


class Held:
    """Three ways in that stand for sessions: a cookie, a JWT of the same session, a device's access token."""

    def __init__(self, people):
        self.server, person = people.server, people.make()
        login = person.client.post("/api/auth/login", json={"username": person.name, "password": PASSWORD})
        self.cookie = f"moorage_session={person.client.cookies['moorage_session']}"
        code = person.client.post("/api/auth/device/code", json={"client_id": "cli"}).json()
        person.client.post("/api/auth/device/approve", json={"userCode": code["user_code"]}).raise_for_status()
        asked = {"grant_type": DEVICE_GRANT, "client_id": "cli", "device_code": code["device_code"]}
        self.tokens = person.client.post("/api/auth/device/token", json=asked).json()
        self.headers = {
            "cookie": {"Cookie": self.cookie},
            "jwt": {"Authorization": f"Bearer {login.json()['token']}"},
            "device": {"Authorization": f"Bearer {self.tokens['access_token']}"},
        }
        self.user = person.id

    def statuses(self):
        return {way: httpx.get(f"{self.server.url}/auth/me", headers=h).status_code for way, h in self.headers.items()}

    def turn(self, **seconds):
        """Move times of all sessions of the user to so many seconds from now."""
        for column, distance in seconds.items():
            at = (datetime.now(UTC) + timedelta(seconds=distance)).isoformat(" ")
            rows(self.server, f"UPDATE core_sessions SET {column} = ? WHERE user_id = ?", at, self.user)

    def turn_access_token(self, seconds):
        """Move the end of the device's access token."""
        at = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(" ")
        change = "UPDATE core_sessions SET token_expires_at = ? WHERE user_id = ? AND kind = 'bearer'"
        rows(self.server, change, at, self.user)


@pytest.fixture
def held(people):
    held = Held(people)
    # The server notes a use in memory first; a session that was just seen has nothing to note.
    held.turn(last_seen_at=0)
    assert held.statuses() == {"cookie": 200, "jwt": 200, "device": 200}
    return held


def test_an_unused_session_ends(held):
    held.turn(last_seen_at=-IDLE + 60)
    assert set(held.statuses().values()) == {200}
    # That was a use, and it counts though nothing is written yet.
    held.turn(last_seen_at=-IDLE - 60)
    assert set(held.statuses().values()) == {200}


def test_a_session_that_was_not_used_for_long_enough_is_over(held):
    held.turn(last_seen_at=-IDLE - 1)
    assert held.statuses() == {"cookie": 401, "jwt": 401, "device": 401}


def test_a_session_that_is_used_ends_all_the_same(held):
    held.turn(expires_at=1, last_seen_at=0)
    assert set(held.statuses().values()) == {200}
    held.turn(expires_at=-1)
    assert held.statuses() == {"cookie": 401, "jwt": 401, "device": 401}


@pytest.mark.parametrize("turned", [{"last_seen_at": -IDLE - 1}, {"expires_at": -1}])
def test_a_session_that_is_over_is_not_refreshed(held, turned):
    held.turn(**turned)
    body = {"grant_type": "refresh_token", "client_id": "cli", "refresh_token": held.tokens["refresh_token"]}
    answer = httpx.post(f"{held.server.url}/api/auth/token", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_an_access_token_of_a_device_ends_before_its_session(held):
    held.turn_access_token(-1)
    assert held.statuses() == {"cookie": 200, "jwt": 200, "device": 401}
    body = {"grant_type": "refresh_token", "client_id": "cli", "refresh_token": held.tokens["refresh_token"]}
    assert httpx.post(f"{held.server.url}/api/auth/token", json=body).status_code == 200


@pytest.mark.parametrize("turned", [{"last_seen_at": -IDLE - 1}, {"expires_at": -1}])
async def test_what_a_session_holds_open_closes_with_it(held, turned):
    url = f"{held.server.ws_url}/good/echo"
    async with websockets.connect(url, additional_headers=held.headers["cookie"]) as socket:
        await socket.send("who")
        assert await socket.recv() == "operator"
        await asyncio.to_thread(held.turn, **turned)
        await asyncio.wait_for(socket.wait_closed(), WAIT)
        assert socket.close_code == 4001


def test_cookies_and_tokens_say_when_they_end(people):
    name = people.make().name
    answer = httpx.post(f"{people.server.url}/api/auth/login", json={"username": name, "password": PASSWORD})
    ages = [int(line.partition("Max-Age=")[2].partition(";")[0]) for line in answer.headers.get_list("set-cookie")]
    assert all(MOST - 10 < age <= MOST for age in ages), "a JWT holds no longer than its session"
