"""S14: a refresh token that is used twice ends its login; a device code is worth one token under parallel polls."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from people import populated
from waits import WAIT

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("s14")) as people:
        yield people


@pytest.fixture
def post(people):
    with httpx.Client(base_url=people.server.url, timeout=WAIT) as client:
        yield lambda path, **body: client.post(f"/api/auth/{path}", data=body)


def approved(post, person):
    code = post("device/code", client_id="cli").json()
    body = {"userCode": code["user_code"]}
    assert person.client.post("/api/auth/device/approve", json=body).status_code == 200
    return {"grant_type": DEVICE_GRANT, "client_id": "cli", "device_code": code["device_code"]}


def tokens(post, person):
    return post("device/token", **approved(post, person)).json()


def holds(people, token):
    answer = httpx.get(f"{people.server.url}/api/me", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code == 200


def together(count, ask):
    with ThreadPoolExecutor(count) as pool:
        return [done.result() for done in [pool.submit(ask) for _ in range(count)]]


def test_twenty_polls_at_once_get_one_token(people, post):
    ann = people.make()
    body = approved(post, ann)
    answers = together(20, lambda: post("device/token", **body))
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    assert {answer.json()["error"] for answer in answers if answer not in good} <= {"invalid_grant", "slow_down"}
    mine = ann.client.get("/api/core/sessions").json()["sessions"]
    assert len([one for one in mine if one["kind"] == "bearer"]) == 1


def test_two_users_deciding_at_once_leave_one_decision(people, post):
    first, second = people.make(), people.make()
    code = post("device/code", client_id="cli").json()
    deciders = iter((first, second))
    body = {"userCode": code["user_code"]}
    answers = together(2, lambda: next(deciders).client.post("/api/auth/device/approve", json=body))
    assert sorted(answer.status_code for answer in answers) in ([200, 400], [200, 403])


def test_a_refresh_token_that_is_used_twice_ends_the_login(people, post):
    first = tokens(post, people.make())
    body = {"grant_type": "refresh_token", "client_id": "cli", "refresh_token": first["refresh_token"]}
    second = post("token", **body).json()
    assert not holds(people, first["access_token"])
    assert holds(people, second["access_token"])
    again = post("token", **body)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert not holds(people, second["access_token"])
    after = post("token", **{**body, "refresh_token": second["refresh_token"]})
    assert (after.status_code, after.json()["error"]) == (400, "invalid_grant")
    noted = people.root.client.get("/api/v1/audit", params={"action": "token.reuse_detected"}).json()["data"]["events"]
    assert noted


def test_refreshes_at_once_with_one_token_have_one_winner_and_end_the_login(people, post):
    refresh = tokens(post, people.make())["refresh_token"]
    body = {"grant_type": "refresh_token", "client_id": "cli", "refresh_token": refresh}
    answers = together(10, lambda: post("token", **body))
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    assert not holds(people, good[0].json()["access_token"])


def test_a_login_that_its_user_ends_is_over_for_both_tokens(people, post):
    ann = people.make()
    given = tokens(post, ann)
    assert ann.client.post("/api/core/sessions/revoke-all", json={"keep_current": True}).json()["ended"] == 1
    assert not holds(people, given["access_token"])
    body = {"grant_type": "refresh_token", "client_id": "cli", "refresh_token": given["refresh_token"]}
    assert post("token", **body).json()["error"] == "invalid_grant"


def test_another_sites_page_decides_nothing(people, post):
    ann = people.make()
    code = post("device/code", client_id="cli").json()
    for decision in ("approve", "deny"):
        answer = ann.client.post(
            f"/api/auth/device/{decision}",
            json={"userCode": code["user_code"]},
            headers={"Origin": "https://evil.example"},
        )
        assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
    assert ann.client.get(f"/api/auth/device?user_code={code['user_code']}").json()["status"] == "pending"


def test_a_key_and_a_device_let_no_other_device_in(people, post):
    ann = people.make()
    code = post("device/code", client_id="cli").json()
    for token in (people.server.key(ann.name), tokens(post, ann)["access_token"]):
        answer = httpx.post(
            f"{people.server.url}/api/auth/device/approve",
            json={"userCode": code["user_code"]},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")


def test_wrong_codes_are_counted_for_the_user_and_the_address(people, post):
    ann = people.make()
    code = post("device/code", client_id="cli").json()
    for _ in range(5):
        answer = ann.client.get("/api/auth/device?user_code=BBBB-BBBB")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    path = f"/api/auth/device?user_code={code['user_code']}"
    for client in (ann.client, people.make().client, people.anybody()):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]) == (429, "slow_down")
        assert 0 < int(answer.headers["Retry-After"]) <= 600
