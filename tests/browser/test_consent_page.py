"""People in front of the consent page: who asks, for what, yes and no, and what a hostile page cannot do with it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlencode

import pytest
from lettingin import Program, resources, shown, told
from playwright.sync_api import expect
from waits import WAIT

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with resources(tmp_path_factory) as people:
        yield people


@pytest.fixture
def server(people):
    return people.server


class Listener(HTTPServer):
    """A program on this computer that waits for its answer; `page`: what it shows itself."""

    page = b"thank you"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.paths: list[str] = []
        self.came = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        if self.path.startswith("/cb"):
            self.server.paths.append(self.path)
            self.server.came.set()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.page)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield listener
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def program(server, listener):
    program = Program(server, redirect_uri=f"{listener.url}/cb")
    assert program.register(client_name="Writer <b>bold</b>").status_code == 201
    return program


def real(faults) -> list[str]:
    return [fault for fault in faults if "Failed to load resource" not in fault]


def test_a_person_signs_in_reads_and_allows(people, server, program, listener, open_page, faults):
    person = people.make()
    page = open_page(
        f"/oauth/authorize?{urlencode(program.query(scope='desk:paper:read'))}", viewport={"width": 360, "height": 740}
    )
    page.get_by_label("Username or e-mail").fill(person.name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Let Writer <b>bold</b> in as you?")).to_be_focused()
    main = page.get_by_role("main")
    for said in (
        "Nobody has checked who this is",
        "goes to a program on this computer",
        program.resource,
        "Read papers",
        listener.url.removeprefix("http://"),
        person.name,
    ):
        expect(main).to_contain_text(said)
    expect(main).not_to_contain_text("Write papers")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it fits a phone's width"
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{listener.url}/cb?**")
    answer = told(listener.paths[0])
    assert (answer["state"], answer["iss"]) == ("st4te", server.url)
    token = program.exchange(answer["code"]).json()["access_token"]
    assert shown(program.resource, token).json()["user"] == person.name

    page.goto(f"{server.url}/console/account")
    row = page.get_by_role("listitem").filter(has_text="Writer <b>bold</b>")
    expect(row).to_contain_text("program")
    expect(row).to_contain_text(f"for {program.resource} only. It may only: Read papers")
    row.get_by_role("button", name="End").click()
    row.get_by_role("button", name="End it").click()
    expect(page.get_by_text("Ended: Writer")).to_be_visible()
    assert shown(program.resource, token).status_code == 401
    assert real(faults) == []


def test_a_no_is_told_and_what_one_may_not_do_is_said(people, server, program, listener, open_page, sign_in):
    person = people.make("viewer")
    page = sign_in(person.name, f"/oauth/authorize?{urlencode(program.query())}")
    expect(page.get_by_role("main")).to_contain_text("desk:paper:write, desk:paper:burn, which you may not do yourself")
    page.get_by_role("button", name="Deny").click()
    page.wait_for_url(f"{listener.url}/cb?**")
    assert told(listener.paths[0])["error"] == "access_denied"


def test_a_program_that_the_operator_knows_is_not_warned_of(people, server, sign_in):
    person = people.make()
    known = Program(server, "known", "https://known.example/cb")
    page = sign_in(person.name, f"/oauth/authorize?{urlencode(known.query())}")
    expect(page.get_by_role("heading", name="Let Known Ltd in as you?")).to_be_visible()
    expect(page.get_by_role("main")).not_to_contain_text("Nobody has checked")
    expect(page.get_by_text("known.example", exact=True)).to_be_visible()


def test_a_request_that_is_no_good_shows_a_page_and_goes_nowhere(server, program, open_page):
    page = open_page(f"/oauth/authorize?{urlencode(program.query(redirect_uri='https://evil.example/cb'))}")
    expect(page.get_by_role("heading", name="This program cannot be let in")).to_be_visible()
    assert page.url.startswith(server.url)
    page.goto(f"{server.url}/console/authorize?client_id=%3Cimg%20src=x%20onerror=alert(1)%3E")
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_wrong_request_is_told_to_the_person_before_they_are_led_anywhere(people, server, sign_in):
    person = people.make()
    program = Program(server, redirect_uri="https://evil.example/cb")
    assert program.register().status_code == 201
    page = sign_in(person.name, f"/oauth/authorize?{urlencode(program.query(scope='x'))}")
    expect(page.get_by_role("alert").filter(has_text="did not ask as it should")).to_be_visible()
    expect(page.get_by_role("button", name="Go back to evil.example")).to_be_visible()
    assert page.url.startswith(server.url)


def test_a_hostile_page_can_neither_frame_it_nor_decide(people, server, program, listener, sign_in):
    person = people.make()
    page = sign_in(person.name)
    asked = f"{server.url}/console/authorize?{urlencode(program.query())}"
    # Another port is another origin, and the same site: cookies are sent as they are to friends.
    listener.page = f"""<!doctype html><iframe src="{asked}"></iframe><script>
        fetch("{server.url}/api/core/authorize", {{method: "POST", credentials: "include", mode: "no-cors",
            headers: {{"Content-Type": "text/plain"}},
            body: JSON.stringify({{query: {urlencode(program.query())!r}, approve: true}})}})
            .finally(() => document.title = "tried")
    </script>""".encode()
    page.goto(f"{listener.url}/evil")
    expect(page).to_have_title("tried")
    page.wait_for_load_state()
    framed = [frame for frame in page.frames if frame != page.main_frame]
    assert all(frame.get_by_role("button", name="Allow").count() == 0 for frame in framed)
    actions = people.root.client.get("/api/v1/audit", params={"action": "client.approved", "per_page": 50}).json()
    assert not [one for one in actions["data"]["events"] if re.search(rf"\b{person.pid}\b", str(one))]
    assert not listener.came.wait(0.1)
    assert WAIT
