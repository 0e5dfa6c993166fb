"""People in front of the page: first start, signing in, and a terminal that two of them share."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect
from waits import WAIT

HOME = "Home"
LIST = "/console/terminals"


def screen(page):
    return page.locator(".xterm-rows")


def printed_link(server) -> str:
    """The path of the owner's link, as the operator reads it in the terminal."""
    said, deadline = "\n".join(server.said), time.monotonic() + WAIT
    while (found := re.search(r"http\S+?(/#setup=\S+)\s", said + "\n")) is None:
        assert time.monotonic() < deadline, said
        time.sleep(0.02)
        said += server.output()
    return found[1]


def test_the_first_start_makes_the_owner(server, open_page, faults) -> None:
    link = printed_link(server)
    page = open_page(link)
    expect(page.get_by_role("heading", name="Make the owner's account")).to_be_visible()
    assert "setup" not in page.url, "the token stays in no address bar"
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password", exact=True).fill("correct horse battery")
    page.get_by_label("Password, once more").fill("correct horse batterie")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The two passwords differ. Type the same one twice.")
    page.get_by_label("Password, once more").fill("correct horse battery")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=HOME)).to_be_visible()
    expect(page.get_by_text("ada owner")).to_be_visible()
    page.get_by_role("navigation", name="Places").get_by_role("link", name="Terminals").click()
    expect(page.get_by_text("No terminal runs")).to_be_visible()
    again = open_page(link)
    expect(again.get_by_role("heading", name="Sign in")).to_be_visible()
    assert faults == []


def test_signing_in_with_the_keyboard_alone_and_out_again(server, open_page, faults) -> None:
    server.add_user("ann", "viewer")
    page = open_page("/", viewport={"width": 360, "height": 640})
    expect(page.get_by_label("Username or e-mail")).to_be_focused()
    page.keyboard.type("ann")
    page.keyboard.press("Tab")
    page.keyboard.type("a wrong password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=HOME)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it fits a phone's width"
    page.reload()
    expect(page.get_by_role("heading", name=HOME)).to_be_visible()
    page.get_by_role("button", name="Menu, now at Home").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert [fault for fault in faults if "401" not in fault] == []


def test_two_people_share_a_terminal(server, sign_in, tmux_server, faults) -> None:
    tmux_server.new_session("main")
    server.add_users({"ada": "admin", "bob": "operator"})
    ada, bob = sign_in("ada"), sign_in("bob", "/console/terminal/main", viewport={"width": 390, "height": 700})
    ada.get_by_role("link", name="main").click()
    expect(screen(ada)).to_contain_text("$")
    expect(ada.get_by_text("Here now: ")).to_contain_text("bob")
    expect(bob.get_by_role("status")).to_have_text("Read-only: nobody types")

    # Nothing is typed before control is taken; Enter takes it.
    ada.locator(".screen textarea").focus()
    ada.keyboard.type("echo never")
    expect(ada.get_by_role("alert")).to_contain_text("Nothing was typed")
    ada.keyboard.press("Enter")
    expect(ada.get_by_role("status")).to_contain_text("You type here")
    expect(bob.get_by_role("status")).to_have_text("Read-only: ada types")
    ada.keyboard.type("printf '\\033[38;2;9;99;199m%s\\033[0m\\n' $((6*7))-seen")
    ada.keyboard.press("Enter")
    expect(screen(bob)).to_contain_text("42-seen")
    assert "never" not in tmux_server.capture("main")
    coloured = ada.locator(".xterm-rows span", has_text="42-seen").last
    assert coloured.evaluate("span => getComputedStyle(span).color") != "rgb(0, 0, 0)"

    # The other one is told why nothing happens, and takes over once it is given back.
    bob.locator(".screen textarea").focus()
    bob.keyboard.type("x")
    expect(bob.get_by_role("alert")).to_have_text("Nothing was typed: ada has control.")
    expect(bob.get_by_role("button", name="Take over")).to_have_count(0)
    ada.keyboard.press("Control+Shift+Enter")
    expect(bob.get_by_role("status")).to_have_text("Read-only: nobody types")
    bob.get_by_role("button", name="Take control").click()
    expect(bob.get_by_role("status")).to_contain_text("You type here")
    bob.keyboard.type("echo from-$((1+1))-bob\n")
    expect(screen(ada)).to_contain_text("from-2-bob")
    ada.get_by_role("button", name="Take over").click()
    ada.get_by_role("dialog", name="Take over from bob?").get_by_role("button", name="Take over").click()
    expect(bob.get_by_role("status")).to_have_text("Read-only: ada types")
    assert faults == [], "no exception, and no style or script that the policy refused"


def test_a_viewer_watches_and_is_offered_no_control(server, sign_in, tmux_server, faults) -> None:
    tmux_server.new_session("main")
    server.add_user("vic", "viewer")
    page = sign_in("vic", "/console/terminal/main")
    expect(screen(page)).to_contain_text("$")
    expect(page.get_by_role("button", name=re.compile("Take"))).to_have_count(0)
    page.locator(".screen textarea").focus()
    page.keyboard.type("x")
    expect(page.get_by_role("alert")).to_contain_text("You may watch here, not type.")
    tmux_server.run("send-keys", "-t", "main", "echo shown", "Enter")
    expect(screen(page)).to_contain_text("shown")
    # Tab leaves a terminal that may only be read.
    page.keyboard.press("Tab")
    assert not page.locator(".screen textarea").evaluate("box => box === document.activeElement")
    assert faults == []


def test_the_terminal_comes_back_after_the_connection_was_lost(server, sign_in, tmux_server, faults) -> None:
    tmux_server.new_session("main")
    server.add_user("ada", "admin")
    page = sign_in("ada", "/console/terminal/main")
    expect(screen(page)).to_contain_text("$")
    server.stop()
    expect(page.get_by_text("The connection was lost")).to_be_visible()
    tmux_server.run("send-keys", "-t", "main", "echo meanwhile-$((2+3))", "Enter")
    server.start()
    expect(screen(page)).to_contain_text("meanwhile-5")
    expect(page.get_by_text("The connection was lost")).to_have_count(0)
    # A server that is ending answers 503 to what the page asks meanwhile.
    expected = ("ERR_CONNECTION", "WebSocket", "503")
    assert [fault for fault in faults if not any(text in fault for text in expected)] == []


def test_names_of_others_are_text_and_the_list_is_live(server, sign_in, tmux_server, faults) -> None:
    name = '<img src=x onerror="alert(1)">'
    server.add_user("ada", "admin")
    page = sign_in("ada", LIST)
    expect(page.get_by_text("No terminal runs")).to_be_visible()
    tmux_server.new_session(name)
    card = page.get_by_role("link", name=name)
    expect(card).to_be_visible()
    assert page.locator("main img").count() == 0
    card.click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    expect(screen(page)).to_contain_text("$")
    tmux_server.run("kill-session", "-t", "=" + name)
    expect(page.get_by_text("This session does not exist, or has ended.")).to_be_visible()
    assert faults == []


def test_who_is_signed_out_elsewhere_is_told(server, sign_in, tmux_server) -> None:
    tmux_server.new_session("main")
    server.add_user("ada", "operator")
    page = sign_in("ada", "/console/terminal/main")
    expect(screen(page)).to_contain_text("$")
    server.cli("users", "disable", "ada")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
