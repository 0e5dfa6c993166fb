"""What the authorization server refuses: requests that were tampered with, codes of others, tricks with addresses."""

from __future__ import annotations

import html
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from lettingin import Program, resources, shown, told


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with resources(tmp_path_factory) as people:
        yield people


@pytest.fixture(scope="module")
def ann(people):
    return people.make()


@pytest.fixture
def program(people):
    return Program(people.server, "known", "http://127.0.0.1:4711/cb")


# -- what only the person is told -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": None},
        {"client_id": ""},
        {"client_id": "nobody"},
        {"client_id": "known\u00e9"},
        {"client_id": "<script>alert(1)</script>"},
        {"client_id": "https://127.0.0.1/client.json", "redirect_uri": "https://127.0.0.1/cb"},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/cb"},
        {"redirect_uri": "https://known.example/cb/"},
        {"redirect_uri": "https://known.example/cb?x=1"},
        {"redirect_uri": "https://known.example/cb#x"},
        {"redirect_uri": "https://KNOWN.example/cb"},
        {"redirect_uri": "https://known.example:443/cb"},
        {"redirect_uri": "https://known.example:8443/cb"},
        {"redirect_uri": "https://known.example/../cb"},
        {"redirect_uri": "https://known.example/%63b"},
        {"redirect_uri": "https://known.example@evil.example/cb"},
        {"redirect_uri": "https://known.example.evil.example/cb"},
        {"redirect_uri": "https://evil.example\\@known.example/cb"},
        {"redirect_uri": "http://known.example/cb"},
        {"redirect_uri": "http://127.0.0.1.evil.example/cb"},
        {"redirect_uri": "http://127.0.0.1:80@evil.example/cb"},
        {"redirect_uri": "http://127.0.0.1:x/cb"},
        {"redirect_uri": "http://127.0.0.1:/cb"},
        {"redirect_uri": "http://127.0.0.1:4711/cb/../other"},
        {"redirect_uri": "http://localhost:4711/cb"},
        {"redirect_uri": "http://[::1]:4711/cb"},
        {"redirect_uri": "https://127.0.0.1/cb"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "//evil.example/cb"},
        {"redirect_uri": "/cb"},
    ],
    ids=str,
)
def test_no_browser_is_sent_where_it_is_not_certain_who_asked(ann, program, changed):
    answer = program.ask(ann.client, **changed)
    assert answer.status_code == 400, answer.headers.get("location")
    assert "location" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-frame-options"] == "DENY"
    assert "<script" not in answer.text
    text = html.unescape(answer.text)
    assert "cannot be let in" in text
    page = urlencode(program.query(**changed))
    looked = ann.client.get(f"/api/core/authorize?{page}")
    assert looked.status_code == 400
    decided = ann.client.post("/api/core/authorize", json={"query": page, "approve": True})
    assert decided.status_code == 400
    assert "redirect_to" not in decided.text


@pytest.mark.parametrize("twice", ["client_id=known", "redirect_uri=https%3A%2F%2Fevil.example%2Fcb", "client_id=x"])
def test_who_asks_is_said_once(ann, program, twice):
    answer = ann.client.get(f"/oauth/authorize?{urlencode(program.query())}&{twice}", follow_redirects=False)
    assert (answer.status_code, "location" in answer.headers) == (400, False)


# -- what the program is told -----------------------------------------------------------------------------------

WRONG = [
    ({"response_type": None}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "code token"}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge": "x" * 42}, "invalid_request"),
    ({"code_challenge": "x" * 42 + "="}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": "s256"}, "invalid_request"),
    ({"resource": None}, "invalid_target"),
    ({"resource": "https://other.example/desks/mine/papers"}, "invalid_target"),
    ({"resource": "{base}"}, "invalid_target"),
    ({"resource": "{base}/desks/mine/plain"}, "invalid_target"),
    ({"resource": "{base}/desks/mine/papers?x=1"}, "invalid_target"),
    ({"resource": "{base}/desks/mine/papers#x"}, "invalid_target"),
    ({"resource": "{base}/desks/mine/papers/"}, "invalid_target"),
    ({"resource": "{base}/desks/../desks/mine/papers"}, "invalid_target"),
    ({"resource": "http://ann@{host}/desks/mine/papers"}, "invalid_target"),
    ({"resource": "http://{host}.evil.example/desks/mine/papers"}, "invalid_target"),
    ({"resource": "http://localhost:{port}/desks/mine/papers"}, "invalid_target"),
    ({"resource": "https://{host}/desks/mine/papers"}, "invalid_target"),
    ({"resource": "http://127.0.0.1:1/desks/mine/papers"}, "invalid_target"),
    ({"resource": "http://127.0.0.1:x/desks/mine/papers"}, "invalid_target"),
    ({"resource": "/desks/mine/papers"}, "invalid_target"),
    ({"resource": "{base}/desks/" + "x" * 3000 + "/papers"}, "invalid_target"),
    ({"scope": "core:user:manage"}, "invalid_scope"),
    ({"scope": "admin *"}, "invalid_scope"),
    ({"scope": 'desk:paper:read "'}, "invalid_scope"),
    ({"scope": "x" * 1025}, "invalid_scope"),
    ({"prompt": "none"}, "interaction_required"),
    ({"request": "eyJ"}, "request_not_supported"),
    ({"request_uri": "urn:x"}, "request_uri_not_supported"),
]


@pytest.mark.parametrize(("changed", "error"), WRONG, ids=lambda value: str(value)[:70])
def test_a_wrong_request_is_told_to_the_program(people, ann, program, changed, error):
    url = urlsplit(people.server.url)
    places = {"base": people.server.url, "host": url.netloc, "port": url.port}
    changed = {key: value and value.format(**places) for key, value in changed.items()}
    for browser in (ann.client, people.anybody()):
        answer = program.ask(browser, **changed)
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith("http://127.0.0.1:4711/cb?")
        said = told(answer.headers["location"])
        assert (said["error"], said["state"], said["iss"]) == (error, "st4te", people.server.url)
        assert "code" not in said
    # Nor past the first look, by the page's own door.
    query = urlencode(program.query(**changed))
    decided = ann.client.post("/api/core/authorize", json={"query": query, "approve": True}).json()
    assert told(decided["redirect_to"])["error"] == error


def test_a_parameter_that_comes_twice_is_refused(ann, program):
    for twice, error in (("scope=x", "invalid_request"), ("resource=x", "invalid_target")):
        query = f"{urlencode(program.query(scope='desk:paper:read'))}&{twice}"
        answer = ann.client.get(f"/oauth/authorize?{query}", follow_redirects=False)
        assert told(answer.headers["location"])["error"] == error


def test_nobody_is_led_anywhere_by_a_link_to_here(people, ann):
    """Anybody can register a program: a wrong request of one must not make us an open redirector."""
    program = Program(people.server, redirect_uri="https://evil.example/cb")
    assert program.register().status_code == 201
    for browser in (ann.client, people.anybody()):
        for changed in ({"scope": "x"}, {"response_type": None}, {"resource": "https://evil.example/"}):
            sent = urlsplit(program.ask(browser, **changed).headers["location"])
            assert (sent.netloc, sent.path) == ("", "/console/authorize")
    looked = ann.client.get(f"/api/core/authorize?{urlencode(program.query(scope='x'))}").json()
    assert looked["answers_to"] == "evil.example"
    assert looked["problem"].startswith("The scopes of this resource are")
    assert told(looked["redirect_to"])["error"] == "invalid_scope", "once the person has seen where that leads"


# -- codes ------------------------------------------------------------------------------------------------------


def error_of(answer: httpx.Response) -> str:
    assert answer.status_code in (400, 401), answer.text
    assert answer.headers["cache-control"] == "no-store"
    code: str = answer.json()["error"]
    return code


def test_a_code_that_comes_back_ends_what_it_gave(ann, program):
    code = program.decide(ann.client)["code"]
    tokens = program.exchange(code).json()
    assert shown(program.url("papers"), tokens["access_token"]).status_code == 200
    assert error_of(program.exchange(code)) == "invalid_grant"
    assert shown(program.url("papers"), tokens["access_token"]).status_code == 401
    assert error_of(program.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_a_code_is_worth_one_login_however_many_ask_at_once(ann, program):
    code = program.decide(ann.client)["code"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: program.exchange(code), range(8)))
    assert sum(answer.status_code == 200 for answer in answers) <= 1
    for answer in answers:
        if answer.status_code == 200:
            assert shown(program.url("papers"), answer.json()["access_token"]).status_code == 401, "it came back"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": "https://known.example/cb"}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:4712/cb"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"client_id": "keeper", "client_secret": "s" * 40}, "invalid_grant"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": None}, "invalid_request"),
        ({"client_secret": "x"}, "invalid_client"),
        ({"resource": "https://other.example/x"}, "invalid_target"),
        ({"resource": "other"}, "invalid_target"),
        ({"code": "mcode_wrong"}, "invalid_grant"),
        ({"code": "x" * 200}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_code_is_good_for_who_asked_as_they_asked(ann, program, changed, error):
    if changed.get("resource") == "other":
        changed = {"resource": program.url("papers", "yours")}
    code = program.decide(ann.client)["code"]
    assert error_of(program.exchange(code, **changed)) == error


def test_the_challenge_itself_is_no_verifier(ann, program):
    """A downgrade to PKCE's plain method."""
    code = program.decide(ann.client)["code"]
    assert error_of(program.exchange(code, code_verifier=program.challenge)) == "invalid_grant"
    assert error_of(program.exchange(code)) == "invalid_grant", "and the code is used up"


def test_a_refresh_token_is_good_for_its_client_and_resource(ann, program):
    tokens = program.let_in(ann.client)
    shown_ = tokens["refresh_token"]
    assert error_of(program.refresh(shown_, client_id="nobody")) == "invalid_client"
    assert error_of(program.refresh(shown_, client_id="keeper", client_secret="s" * 40)) == "invalid_grant"
    assert error_of(program.refresh(shown_, resource=program.url("papers", "yours"))) == "invalid_target"
    assert error_of(program.refresh(shown_, resource="https://other.example/")) == "invalid_target"
    assert error_of(program.refresh(shown_, scope="desk:paper:read core:user:read")) == "invalid_scope"
    assert error_of(program.refresh(tokens["access_token"])) == "invalid_grant"
    assert program.refresh(shown_, scope="desk:paper:read").status_code == 200, "what was wrong cost nothing"


def test_forms_are_read_strictly(people):
    url = f"{people.server.url}/oauth/token"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    twice = httpx.post(url, content="grant_type=refresh_token&client_id=known&client_id=known", headers=form)
    assert error_of(twice) == "invalid_request"
    assert error_of(httpx.post(url, content=b"x", headers={"Content-Type": "text/plain"})) == "invalid_request"
    assert error_of(httpx.post(url, content="", headers=form)) == "invalid_request"


# -- consent ----------------------------------------------------------------------------------------------------


def test_the_consent_page_cannot_be_framed_and_tells_nobody_its_address(ann, program):
    page = ann.client.get(program.ask(ann.client).headers["location"])
    assert page.status_code == 200
    assert page.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-CSRF-Token": "wrong"},
    ],
    ids=str,
)
def test_another_sites_page_decides_nothing(ann, program, headers):
    body = {"query": urlencode(program.query()), "approve": True}
    refused = ann.client.post("/api/core/authorize", json=body, headers=headers)
    assert (refused.status_code, "redirect_to" in refused.text) == (403, False)


def test_a_look_at_the_page_gives_nothing(ann, program):
    answer = ann.client.get(f"/api/core/authorize?{urlencode(program.query())}&approve=true")
    assert "redirect_to" not in answer.json()


def test_only_a_login_with_all_of_its_rights_decides(people, ann, program):
    body = {"query": urlencode(program.query()), "approve": True}
    key = ann.client.post("/api/v1/api-keys", json={"name": "mine"}).json()["data"]["api_key"]
    token = program.let_in(ann.client)["access_token"]
    for shown_, status in ((key, 403), (token, 401)):
        bearer = {"Authorization": f"Bearer {shown_}"}
        refused = httpx.post(f"{people.server.url}/api/core/authorize", json=body, headers=bearer)
        assert refused.status_code == status, refused.text


@pytest.mark.parametrize("body", [{}, {"query": "x"}, {"query": "x", "approve": "yes"}, {"query": 1, "approve": True}])
def test_a_decision_says_what_about_and_how(ann, body):
    assert ann.client.post("/api/core/authorize", json=body).status_code == 400


def test_a_query_with_too_many_fields_is_no_query(ann):
    body = {"query": "&".join(f"a{n}=1" for n in range(100)), "approve": True}
    assert ann.client.post("/api/core/authorize", json=body).status_code == 400


# -- registration -----------------------------------------------------------------------------------------------


def test_registrations_that_nobody_lets_in_are_bounded(people, ann):
    Program(people.server).let_in(ann.client)
    codes = [Program(people.server).register().status_code for _ in range(21)]
    assert codes.count(201) in (19, 20), "those that were let in do not count, that of another test does"
    assert codes[-1] == 429, "of one network"


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}], ids=str)
def test_no_page_of_another_site_registers_programs(people, headers):
    answer = httpx.post(f"{people.server.url}/oauth/register", json={}, headers=headers)
    assert answer.status_code == 403
