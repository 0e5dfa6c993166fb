"""What was shown before, in front of people: recordings listed and replayed, and a pane's history."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
from harness import Server, running
from playwright.sync_api import expect
from realparts.tmux import TmuxServer

REDRAW = "\x1b[?1049l\x1bc"


@pytest.fixture(scope="module")
def shared_tmux() -> Iterator[TmuxServer]:
    tmux = TmuxServer()
    tmux.new_session("main")
    yield tmux
    tmux.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, shared_tmux: TmuxServer) -> Iterator[Server]:
    """One for all tests here; ada is an administrator, bob an operator, vic a viewer."""
    plugin = {"enabled": True, "mount": "/tmux", "socket_name": shared_tmux.socket_name}
    with running(tmp_path_factory.mktemp("replay"), {"plugins": {"tmux": plugin}}) as server:
        server.add_users({"ada": "admin", "bob": "operator", "vic": "viewer"})
        yield server


@pytest.fixture(scope="module")
def bob(server):
    with api(server, "bob") as client:
        yield client


@contextlib.contextmanager
def api(server, name):
    with server.client(name) as client:
        client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrf_token"]
        yield client


@pytest.fixture
def begin(bob) -> Iterator:
    """`begin()`: a recording of `main` that goes on; what is left of it is deleted at the end."""

    def begin_one() -> str:
        answer = bob.post("/tmux/api/sessions/main/recording")
        assert answer.status_code == 201, answer.text
        return answer.json()["recording"]["id"]

    yield begin_one
    bob.delete("/tmux/api/sessions/main/recording")
    while found := bob.get("/tmux/api/recordings", params={"limit": 200}).json()["recordings"]:
        for recording in found:
            assert bob.delete(f"/tmux/api/recordings/{recording['id']}").status_code == 200


@pytest.fixture
def made(server, bob, begin):
    """`made(lines)`: an ended recording whose file is these lines."""

    def make(*lines: object) -> str:
        pid = begin()
        bob.delete("/tmux/api/sessions/main/recording")
        [file] = server.data_dir.rglob(f"{pid}.cast")
        file.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines))
        return pid

    return make


HEADER = {"version": 3, "term": {"cols": 40, "rows": 10}, "timestamp": 1_700_000_000}


def screen(page):
    return page.locator(".xterm-rows")


def clock(page):
    return page.locator(".player .time")


def test_a_recording_is_played_from_any_place(server, made, sign_in, faults) -> None:
    steps = [[1, "o", f"step {n}\r\n"] for n in range(1, 11)]
    later = [
        [5, "m", "a <b>mark</b>"],
        [0, "r", "60x8"],
        [0, "o", REDRAW + "fresh"],
        [85, "o", " end"],
        [0, "m", "last"],
    ]
    made(HEADER, *steps, *later)
    page = sign_in("bob")
    page.get_by_role("link", name="Recordings").first.click()
    page.get_by_role("link", name="Replay the recording of main").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(screen(page)).to_contain_text("step 1")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.keyboard.press("Home")
    expect(clock(page)).to_have_text("0:00 / 1:40")
    expect(screen(page)).not_to_contain_text("step")
    page.keyboard.press("ArrowRight")
    expect(clock(page)).to_have_text("0:05 / 1:40")
    expect(screen(page)).to_contain_text("step 5")
    expect(screen(page)).not_to_contain_text("step 6")
    place = page.get_by_role("slider", name="Place in the recording")
    expect(place).to_have_attribute("aria-valuetext", "5 seconds of 1 minute 40 seconds")
    page.keyboard.press("n")
    expect(clock(page)).to_have_text("0:15 / 1:40")
    expect(screen(page)).to_contain_text("fresh")
    assert screen(page).locator("> div").count() == 8, "the size of that moment"
    page.keyboard.press("n")
    expect(clock(page)).to_have_text("1:40 / 1:40")
    expect(screen(page)).to_contain_text("fresh end")
    page.get_by_text("2 markers").click()
    page.get_by_role("button", name="a <b>mark</b>").click()
    expect(clock(page)).to_have_text("0:15 / 1:40")
    # 85 seconds of silence are two, and those at eight times the pace a quarter.
    for _ in range(3):
        page.keyboard.press("]")
    expect(page.get_by_label("Speed")).to_have_value("8")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(screen(page)).to_contain_text("fresh end")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert faults == []


def test_a_recording_that_goes_on_is_followed(server, shared_tmux, begin, bob, sign_in, faults) -> None:
    pid = begin()
    shared_tmux.run("send-keys", "-t", "main", "echo was-$((1+1))-before", "Enter")
    page = sign_in("ada", f"/console/recordings/{pid}")
    expect(page.get_by_text("Recording, live")).to_be_visible()
    expect(screen(page)).to_contain_text("was-2-before")
    page.get_by_role("button", name="Pause").click()
    shared_tmux.run("send-keys", "-t", "main", "sleep 1; echo came-$((1+2))-later", "Enter")
    expect(screen(page)).not_to_contain_text("came-3-later")
    shown = clock(page).text_content()
    expect(clock(page)).not_to_have_text(shown or "")
    page.get_by_role("button", name="Jump to now").click()
    expect(screen(page)).to_contain_text("came-3-later")
    # Broken off in between, it goes on from where it was.
    page.context.set_offline(True)
    shared_tmux.run("send-keys", "-t", "main", "echo and-$((2+2))-more", "Enter")
    expect(page.get_by_role("alert")).to_contain_text("connection")
    page.context.set_offline(False)
    expect(screen(page)).to_contain_text("and-4-more")
    expect(page.get_by_role("alert")).to_have_count(0)
    bob.delete("/tmux/api/sessions/main/recording")
    expect(page.get_by_text("Recording, live")).to_have_count(0)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    expected = ("416", "ERR_INTERNET_DISCONNECTED")
    assert [fault for fault in faults if not any(text in fault for text in expected)] == []


def test_broken_files_are_played_as_far_as_they_go(server, made, sign_in) -> None:
    pid = made(HEADER, [0, "o", "good "], '[0, "o", broken', [0, "o", "and good"])
    page = sign_in("bob", f"/console/recordings/{pid}")
    expect(page.get_by_text("One line of this recording is damaged")).to_be_visible()
    expect(screen(page)).to_contain_text("good and good")
    page.goto(f"{server.url}/console/recordings/{made('no recording at all')}")
    expect(page.get_by_role("alert")).to_contain_text("This is not a recording")
    page.goto(f"{server.url}/console/recordings/{made({'version': 2, 'width': 30, 'height': 5}, [1, 'o', 'old'])}")
    expect(screen(page)).to_contain_text("old")
    page.goto(f"{server.url}/console/recordings/rec_nothing12")
    expect(page.get_by_role("alert")).to_contain_text("There is no such recording")


def test_the_list_is_filtered_paged_and_emptied(server, bob, begin, sign_in, faults) -> None:
    for _ in range(26):
        begin()
        bob.delete("/tmux/api/sessions/main/recording")
    begin()
    page = sign_in("ada", "/console/recordings", viewport={"width": 360, "height": 640}, color_scheme="dark")
    items = page.locator("li.item")
    expect(items).to_have_count(25)
    expect(items.first).to_contain_text("live")
    expect(items.first.get_by_role("button", name="Delete")).to_have_count(0)
    bob.delete("/tmux/api/sessions/main/recording")
    expect(items.first).not_to_contain_text("live")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="Older").click()
    expect(items).to_have_count(2)
    expect(page.get_by_text("26–27 of 27")).to_be_visible()
    with page.expect_download() as download:
        items.first.get_by_role("link", name="Download the recording of main").first.click()
    assert json.loads(download.value.path().read_text().splitlines()[0])["version"] == 3
    for left in (1, 25):
        items.first.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Delete it").click()
        expect(items).to_have_count(left)
    assert page.url.endswith("/console/recordings"), "the page that is empty now is left"
    page.get_by_role("searchbox").fill("other")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing has been recorded of a terminal named other.")).to_be_visible()
    page.get_by_role("link", name="All terminals").click()
    expect(items).to_have_count(25)
    assert faults == []


def test_who_may_not_see_recordings_is_told(sign_in) -> None:
    page = sign_in("vic", "/console/recordings")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("li.item")).to_have_count(0)


def test_the_history_of_a_pane(server, shared_tmux, sign_in, faults) -> None:
    shared_tmux.run("set-option", "-g", "history-limit", "20000")
    shared_tmux.new_session("past", cols=60, rows=10)
    shared_tmux.run(
        "send-keys", "-t", "past", "seq -f 'row %g <i>漢\U0001f600</i> needle' 1 6000; echo the-end", "Enter"
    )
    shared_tmux.wait_for("past", "\nthe-end")
    page = sign_in("vic", "/console/terminal/past", viewport={"width": 800, "height": 600})
    expect(screen(page)).to_contain_text("the-end")
    page.locator(".screen, .stage").first.click()
    page.keyboard.press("Control+Shift+B")
    page.keyboard.press("[")
    rows = page.get_by_role("region", name="Rows of past")
    expect(rows).to_be_focused()
    expect(rows.get_by_text("the-end", exact=True)).to_be_visible()
    assert rows.locator("i").count() == 0, "rows are text"

    # The newest match first, then towards the oldest.
    page.keyboard.press("/")
    page.keyboard.type("row 123")
    current = rows.locator("mark.current")
    expect(page.get_by_text("11 of 11", exact=True)).to_be_visible()
    expect(current).to_have_text("row 123")
    expect(current.locator("..")).to_contain_text("row 1239")
    page.keyboard.press("Enter")
    expect(page.get_by_text("10 of 11", exact=True)).to_be_visible()
    expect(current.locator("..")).to_contain_text("row 1238")
    expect(current).to_be_in_viewport()
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_text("11 of 11", exact=True)).to_be_visible()
    page.keyboard.press("Control+A")
    page.keyboard.type("\U0001f600</i> NEEDLE")
    expect(page.get_by_text("6001 of 6001", exact=True)).to_be_visible()
    expect(current).to_have_text("\U0001f600</i> needle")
    page.get_by_label("Match case").check()
    expect(page.get_by_text("No match")).to_be_visible()

    # Any place is fetched when it is looked at, and few rows are in the page.
    rows.evaluate("box => { box.scrollTop = 18 * 3000 }")
    expect(rows.get_by_text("row 3005 <i>漢\U0001f600</i> needle", exact=True)).to_be_visible()
    assert rows.locator(".line").count() < 600
    rows.focus()
    page.keyboard.press("Home")
    expect(rows.get_by_text("row 2 <i>漢\U0001f600</i> needle", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert faults == []
