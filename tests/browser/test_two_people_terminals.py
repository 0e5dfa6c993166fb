"""Two people at one terminal: one types, the other sees it; control changes hands; an operator switches it all off."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import Server
from playwright.sync_api import Page, expect
from wholehouse import House

Come = Callable[..., Page]


@pytest.fixture
def server(house: House) -> Server:
    return house.server


def screen(page: Page):
    return page.locator(".xterm-rows").first


def keys(page: Page):
    return page.locator(".screen textarea").first


def status(page: Page):
    return page.get_by_role("status")


def places(page: Page):
    return page.get_by_role("navigation", name="Places").get_by_role("link")


def press(page: Page, name: str) -> None:
    """A button, then the one of the same name in the dialog that asks."""
    page.get_by_role("button", name=name).click()
    page.get_by_role("dialog").get_by_role("button", name=name).click()


def test_one_types_the_other_watches_asks_and_types(house: House, come: Come, faults) -> None:
    house.tmux.new_session("release")
    ann, bob = come("ann"), come("bob")
    # Both find it where they come in.
    for page in (ann, bob):
        page.get_by_role("region", name="Terminals").get_by_role("link", name="release").click()
        expect(screen(page)).to_contain_text("$")
    ann.get_by_role("button", name="Take control").click()
    expect(status(ann)).to_have_text("You type here")
    expect(status(bob)).to_have_text("Read-only: ann types")
    ann.get_by_role("button", name="Here now:").click()
    expect(ann.get_by_role("list", name="Who is here").get_by_role("listitem")).to_contain_text(["ann (you)", "bob"])
    ann.keyboard.press("Escape")
    keys(ann).focus()
    ann.keyboard.type("echo tide-$((6*7))\n")
    expect(screen(bob)).to_contain_text("tide-42")

    # What is typed by who has no control goes nowhere, and they are told.
    keys(bob).focus()
    bob.keyboard.type("x")
    expect(bob.get_by_role("alert").filter(has_text="ann has control")).to_be_visible()
    bob.get_by_role("button", name="Ask for control").click()
    expect(bob.get_by_text("You asked ann for control.")).to_be_visible()
    ann.get_by_role("group", name="bob asks for control").get_by_role("button", name="Hand over").click()
    expect(status(bob)).to_have_text("You type here")
    expect(status(ann)).to_have_text("Read-only: bob types")
    bob.keyboard.type("echo ebb-$((5*5))\n")
    expect(screen(ann)).to_contain_text("ebb-25")
    keys(ann).focus()
    ann.keyboard.type("y")
    expect(ann.get_by_role("alert").filter(has_text="bob has control")).to_be_visible()
    lines = house.tmux.capture("release").splitlines()
    assert [line for line in lines if line.strip("$ ") in ("x", "y")] == []

    # Who leaves is not here any more, for who stays.
    bob.close()
    expect(ann.get_by_role("button", name="Here now: ann")).to_be_visible()
    assert faults == []


def test_a_plugin_goes_under_a_live_terminal_and_comes_again(house: House, come: Come, faults) -> None:
    house.tmux.new_session("harbour")
    pid = house.tmux.pid
    ann, bob, ada = come("ann", "/console/terminal/harbour"), come("bob"), come("ada", "/console/admin/plugins/tmux")
    expect(bob.get_by_role("link", name="harbour")).to_be_visible()
    expect(screen(ann)).to_contain_text("$")
    ann.get_by_role("button", name="Take control").click()
    expect(status(ann)).to_have_text("You type here")
    ann.keyboard.type("TIDE=high; echo set-$((2+3))\n")
    expect(screen(ann)).to_contain_text("set-5")
    ann.evaluate("window.same = true")

    ada.get_by_role("button", name="Switch off").click()
    dialog = ada.get_by_role("dialog", name="Switch off tmux?")
    box, room = dialog.bounding_box(), ada.viewport_size
    assert box["x"] + box["width"] / 2 == pytest.approx(room["width"] / 2, abs=2), "in the middle of the page"
    dialog.get_by_role("button", name="Switch off").click()
    expect(ada.get_by_role("status").filter(has_text="Switched off: tmux.")).to_be_visible()
    try:
        expect(ann.get_by_text("switched terminals off")).to_be_visible()
        expect(status(ann)).to_contain_text("Read-only")
        expect(ann.get_by_role("button", name="Release")).to_have_count(0)
        # Their places go with the plugin, on every page that is open; what was shown stays to be read.
        for page in (ann, bob, ada):
            expect(places(page).filter(has_text="Terminals")).to_have_count(0)
        expect(screen(ann)).to_contain_text("set-5")
        expect(bob.get_by_role("link", name="harbour")).to_have_count(0)
        bob.keyboard.press("Control+k")
        bob.keyboard.type("harbour")
        expect(bob.get_by_role("dialog").get_by_role("status")).to_contain_text("Nothing of yours")
        bob.keyboard.press("Escape")
        bob.keyboard.press("Escape")
    finally:
        press(ada, "Switch on")
    expect(ann.get_by_text("switched terminals off")).to_have_count(0)
    expect(places(ann).filter(has_text="Terminals")).to_be_visible()
    expect(places(bob).filter(has_text="Terminals")).to_be_visible()
    expect(bob.get_by_role("link", name="harbour")).to_be_visible()
    assert house.tmux.pid == pid
    expect(status(ann)).to_have_text("You type here")
    keys(ann).focus()
    ann.keyboard.type("echo $TIDE-water\n")
    expect(screen(ann)).to_contain_text("high-water")
    assert ann.evaluate("window.same"), "without loading the page anew"
    assert [fault for fault in faults if not any(word in fault for word in ("404", "503", "WebSocket"))] == []
