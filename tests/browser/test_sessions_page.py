"""Sessions in front of people: made, used and ended in the page; over the real OpenCode, one session for most."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Server
from playwright.sync_api import expect
from realcode import Coding, coding


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, opencode_binary: Path) -> Iterator[Coding]:
    """ann and bob are operators, vic a viewer, ada an administrator."""
    with coding(tmp_path_factory.mktemp("sessions"), opencode_binary) as place:
        yield place


@pytest.fixture
def server(place: Coding) -> Server:
    return place.server


def test_a_session_from_its_beginning_to_its_end(place: Coding, sign_in, faults, tmp_path: Path) -> None:
    project = place.project("garden", README="roses\n", notes__txt="old")
    page = sign_in("ann", "/console/sessions")
    expect(page.get_by_text("You have no sessions")).to_be_visible()

    # A wrong folder is told beside the form, which keeps what was typed.
    page.keyboard.press("n")
    folder = page.get_by_role("dialog").get_by_label("Folder of the project")
    expect(folder).to_be_focused()
    page.keyboard.type(str(project / "nowhere"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("does not exist")
    folder.fill(str(project))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="garden")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Running")).to_be_visible()
    expect(page.get_by_text("of memory")).to_be_visible()

    # The terminal is a shell in the project, in the page's size, and another can be had when it has ended.
    page.get_by_role("link", name="Terminal", exact=True).click()
    expect(page.get_by_role("textbox", name="Terminal of garden")).to_be_focused()
    page.keyboard.type("cat README; stty size > size; exit\n")
    expect(page.get_by_role("alert").filter(has_text="The terminal has ended")).to_be_visible()
    assert int((project / "size").read_text().split()[1]) > 60
    page.get_by_role("button", name="Open another").click()
    expect(page.get_by_role("textbox", name="Terminal of garden")).to_be_focused()

    # Files: read, changed, made, moved, uploaded, deleted.
    page.get_by_role("link", name="Files", exact=True).click()
    page.get_by_role("button", name="README", exact=True).click()
    text = page.get_by_role("textbox", name="README")
    expect(text).to_have_value("roses\n")
    text.fill("tulips\n")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert (project / "README").read_text() == "tulips\n"
    (project / "README").write_text("the agent was here\n")
    text.fill("mine\n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("It was changed meanwhile")).to_be_visible()
    assert (project / "README").read_text() == "the agent was here\n"
    page.get_by_role("button", name="Read anew").click()
    expect(text).to_have_value("the agent was here\n")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="New folder").click()
    page.get_by_role("dialog").get_by_label("Name").fill("beds & <b>paths")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="beds & <b>paths/").click()
    expect(page.get_by_text("Nothing is in this folder")).to_be_visible()
    (tmp_path / "plan.txt").write_text("north")
    page.get_by_label("Files to upload").set_input_files(tmp_path / "plan.txt")
    expect(page.get_by_role("button", name="plan.txt", exact=True)).to_be_visible()
    assert (project / "beds & <b>paths" / "plan.txt").read_text() == "north"
    page.get_by_role("button", name="Delete plan.txt").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("Nothing is in this folder")).to_be_visible()

    page.get_by_role("link", name="Log", exact=True).click()
    expect(page.get_by_label("Log")).to_contain_text("listening")

    # Stopped and resumed, and told to who looks at another page.
    other = sign_in("ann", "/console/sessions")
    expect(other.locator(".mark.running")).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped: garden.")).to_be_visible()
    expect(other.locator(".mark.stopped")).to_be_visible()
    other.get_by_role("button", name="Resume garden").click()
    expect(other.locator(".mark.running")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Running")).to_be_visible()

    page.get_by_role("button", name="Delete garden").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("You have no sessions")).to_be_visible()
    expect(other.get_by_text("You have no sessions")).to_be_visible()
    assert (project / "README").exists()
    assert [fault for fault in faults if "400" not in fault and "412" not in fault and "404" not in fault] == []


def test_what_somebody_may_not_is_not_offered(place: Coding, sign_in) -> None:
    session = place.session("bob", place.project("bobs"))
    page = sign_in("vic", "/console/sessions")
    expect(page.get_by_text("your role may not begin one")).to_be_visible()
    expect(page.get_by_role("button", name="New session")).to_have_count(0)
    page = sign_in("ann", f"/console/sessions/{session}")
    expect(page.get_by_role("heading", name="There is no such session")).to_be_visible()


def test_on_a_phone(place: Coding, sign_in) -> None:
    place.session("ann", place.project("phone"))
    page = sign_in("ann", "/console/sessions", viewport={"width": 360, "height": 640})
    expect(page.get_by_role("link", name="phone", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("link", name="phone", exact=True).click()
    expect(page.get_by_role("heading", name="phone")).to_be_visible()
    page.get_by_role("link", name="Terminal", exact=True).click()
    expect(page.get_by_role("textbox", name="Terminal of phone")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
