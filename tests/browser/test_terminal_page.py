"""The page of a shared terminal: windows and panes, size, control that changes hands, lost connections, phones."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator

import pytest
from cable import Cable
from harness import Server, running
from playwright.sync_api import Page, expect
from realparts.tmux import TmuxServer
from waits import PAGE

PHONE = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
WIDE = {"viewport": {"width": 1200, "height": 800}}
NETWORK = ("net::ERR", "WebSocket", "503")


@pytest.fixture(scope="module")
def terminals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TmuxServer]:
    """One tmux for the module; each test makes a session of its own."""
    made = TmuxServer()
    if reason := made.missing():
        pytest.skip(reason)
    made.new_session("keeper", "exec sleep 10000")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, terminals: TmuxServer) -> Iterator[Server]:
    plugin = {
        "enabled": True,
        "mount": "/tmux",
        "socket_name": terminals.socket_name,
        # Leases so short that one sees them end; what is not typed for five minutes is not tested here.
        "claim_seconds": 299.0,
        "claim_warning_seconds": 0.0,
    }
    folder = tmp_path_factory.mktemp("server")
    with running(folder, {"plugins": {"tmux": plugin}}) as server:
        server.add_users({"ada": "admin", "bob": "operator", "vic": "viewer"})
        yield server


@pytest.fixture(scope="module")
def logins(server: Server) -> dict[str, list[dict[str, str]]]:
    """Cookies of everybody: hashing a password takes longer than opening a page."""
    found = {}
    for name in ("ada", "bob", "vic"):
        with server.client(name) as client:
            found[name] = [{"name": cookie.name, "value": cookie.value or ""} for cookie in client.cookies.jar]
    return found


Enter = Callable[..., Page]


@pytest.fixture
def enter(browser, server, logins, faults) -> Iterator[Enter]:
    """`enter(name, session, **context options)`: the terminal's page of somebody who is signed in.

    frames: collects what the page is sent on sockets.
    """
    contexts = []

    def enter_as(
        name: str, session: str, *, origin: str = server.url, frames: list[str] | None = None, **options: object
    ) -> Page:
        context = browser.new_context(**{**WIDE, **options})
        context.set_default_timeout(PAGE)
        context.add_cookies([{**cookie, "url": origin} for cookie in logins[name]])
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"exception: {error}"))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        if frames is not None:
            page.on("websocket", lambda ws: ws.on("framereceived", lambda data: frames.append(str(data))))
        page.goto(f"{origin}/console/terminal/{session}")
        expect(page.locator(".xterm-rows").first).to_be_visible()
        return page

    yield enter_as
    for context in contexts:
        context.close()


def rows(page: Page, pane: int = 0):
    return page.locator(".xterm-rows").nth(pane)


def menu(page: Page, *keys: str) -> None:
    """Commands by the keyboard alone."""
    for key in keys:
        page.keyboard.press("Control+Shift+B")
        expect(page.get_by_role("menu", name="Commands")).to_be_visible()
        page.keyboard.press(key)


def status(page: Page):
    return page.get_by_role("status")


def take(page: Page) -> None:
    page.get_by_role("button", name="Take control").click()
    expect(status(page)).to_have_text("You type here")


def window_size(terminals: TmuxServer, session: str) -> tuple[int, int]:
    cols, height = terminals.run("display-message", "-p", "-t", session, "#{window_width} #{window_height}").split()
    return int(cols), int(height)


def test_windows_and_panes_are_driven_with_the_keyboard_and_followed(terminals, enter, faults) -> None:
    terminals.new_session("work")
    terminals.wait_for("work", "$")
    ada, vic = enter("ada", "work"), enter("vic", "work")
    expect(vic.get_by_role("tab")).to_have_count(1)
    ada.keyboard.press("Enter")
    expect(status(ada)).to_have_text("You type here")

    # Split to the right: both see two panes side by side, and what is typed goes to the new one.
    menu(ada, "%")
    expect(ada.locator(".pane")).to_have_count(2)
    expect(vic.locator(".pane")).to_have_count(2)
    expect(vic.locator(".pane.active")).to_have_count(1)
    # Both at one moment: the terminal is being resized.
    boxes = "panes => panes.map(pane => pane.getBoundingClientRect()).map(box => [box.left, box.right, box.top])"
    left, right = vic.locator(".pane").evaluate_all(boxes)
    assert left[1] <= right[0] + 1, "side by side"
    assert left[2] == right[2]
    expect(ada.locator(".pane.active textarea")).to_be_focused()
    ada.keyboard.type("echo right-$((6*7))\n")
    expect(rows(vic, 1)).to_contain_text("right-42")
    expect(rows(vic, 0)).not_to_contain_text("right")

    # A click on the other pane makes it the session's, and keys go there.
    ada.locator(".pane").nth(0).click()
    expect(vic.locator(".pane").nth(0)).to_have_class(re.compile("active"))
    ada.keyboard.type("echo left-$((5*5))\n")
    expect(rows(vic, 0)).to_contain_text("left-25")
    menu(ada, "z")
    expect(vic.locator(".pane")).to_have_count(1)
    menu(ada, "z")
    expect(vic.locator(".pane")).to_have_count(2)

    # A new window: who follows sees it, and may look back alone.
    menu(ada, "c")
    expect(vic.get_by_role("tab")).to_have_count(2)
    expect(vic.get_by_role("tab", selected=True)).to_contain_text("1:")
    expect(ada.locator(".pane textarea")).to_be_focused()
    ada.keyboard.type("echo second-$((3*3))\n")
    expect(rows(vic)).to_contain_text("second-9")
    vic.get_by_role("tab", name="0:").click()
    expect(rows(vic, 1)).to_contain_text("right-42")
    expect(vic.get_by_role("tab", name="1:")).to_contain_text("where the session is")
    vic.get_by_role("button", name="Follow").click()
    expect(rows(vic)).to_contain_text("second-9")
    expect(vic.get_by_role("button", name="Follow")).to_have_count(0)

    # Rename and close, each after a question; a name is text.
    menu(ada, ",")
    expect(ada.get_by_label("Name", exact=True)).to_be_focused()
    ada.keyboard.type("#(touch x) <b>")
    ada.keyboard.press("Enter")
    expect(vic.get_by_role("tab", selected=True)).to_contain_text("1: #(touch x) <b>")
    menu(ada, "&")
    ada.get_by_role("button", name="Close it").click()
    expect(vic.get_by_role("tab")).to_have_count(1)
    expect(rows(vic, 1)).to_contain_text("right-42")
    menu(ada, "x")
    ada.get_by_role("button", name="Close it").click()
    expect(vic.locator(".pane")).to_have_count(1)
    assert faults == []


def test_the_driver_sizes_the_terminal_and_others_see_all_of_it(terminals, enter, faults) -> None:
    terminals.new_session("size", cols=80, rows=24)
    first = window_size(terminals, "size")[1]
    bob, vic = enter("bob", "size"), enter("vic", "size", viewport={"width": 700, "height": 500})
    expect(rows(vic).locator("> div")).to_have_count(first)
    bob.set_viewport_size({"width": 1400, "height": 900})
    take(bob)
    expect(rows(vic).locator("> div")).not_to_have_count(first)
    cols, height = window_size(terminals, "size")
    assert cols > 110
    assert height > 30
    expect(rows(vic).locator("> div")).to_have_count(height)
    expect(rows(bob).locator("> div")).to_have_count(height)
    box = vic.locator(".screen").evaluate(
        "box => [box.scrollWidth - box.clientWidth, box.scrollHeight - box.clientHeight]"
    )
    assert box == [0, 0], "the whole window is seen, in smaller letters"
    seen, room = vic.locator(".window").bounding_box(), vic.locator(".screen").bounding_box()
    assert seen["width"] > room["width"] * 0.8 or seen["height"] > room["height"] * 0.8

    # A smaller page, a smaller terminal; larger letters too.
    bob.set_viewport_size({"width": 800, "height": 500})
    expect(rows(vic).locator("> div")).not_to_have_count(height)
    narrow = window_size(terminals, "size")
    assert narrow[0] < cols
    menu(bob, "+")
    bob.keyboard.press("+")
    bob.keyboard.press("Escape")
    expect(rows(vic).locator("> div")).not_to_have_count(narrow[1])
    assert window_size(terminals, "size")[0] < narrow[0]
    assert faults == []


def test_control_is_asked_for_and_handed_over_with_the_keyboard(terminals, enter, faults) -> None:
    terminals.new_session("hand")
    ada, bob, vic = enter("ada", "hand"), enter("bob", "hand"), enter("vic", "hand")
    take(ada)
    expect(vic.get_by_role("button", name="Ask for control")).to_have_count(0)
    bob.keyboard.press("Control+Shift+Enter")
    expect(bob.get_by_text("You asked ada for control.")).to_be_visible()
    asked = ada.get_by_role("group", name="bob asks for control")
    expect(asked).to_be_visible()
    expect(ada.locator(".screen textarea")).to_be_focused()
    ada.keyboard.type("echo hd-$((4*4))\n")
    expect(rows(vic)).to_contain_text("hd-16")
    menu(ada, "d")
    expect(asked).to_have_count(0)
    expect(bob.get_by_text("ada keeps control for now.")).to_be_visible()

    # From the list of those present, then on request.
    ada.get_by_role("button", name="Here now:").click()
    ada.get_by_role("button", name="Hand over to bob").click()
    expect(status(bob)).to_have_text("You type here")
    expect(status(vic)).to_have_text("Read-only: bob types")
    bob.keyboard.type("echo bob-$((2*4))\n")
    expect(rows(vic)).to_contain_text("bob-8")
    menu(ada, "a")
    expect(bob.get_by_role("group", name="ada asks for control")).to_be_visible()
    menu(bob, "h")
    expect(status(ada)).to_have_text("You type here")
    expect(status(bob)).to_have_text("Read-only: ada types")

    # A lease that ends soon is told, and kept.
    expect(ada.get_by_role("timer")).to_have_text(re.compile(r"^[34]:\d\d$"))
    ada.get_by_role("button", name="Keep control").click()
    ada.get_by_role("button", name="Release").click()
    expect(status(vic)).to_have_text("Read-only: nobody types")

    # Who loses control without having given it is told by whom.
    take(bob)
    ada.get_by_role("button", name="Take over").click()
    ada.get_by_role("dialog").get_by_role("button", name="Take over").click()
    expect(bob.get_by_text("ada took control.")).to_be_visible()
    expect(vic.get_by_text("ada took control.")).to_have_count(0)
    assert faults == []


def test_keys_for_the_page_never_reach_the_program(terminals, enter, faults) -> None:
    terminals.new_session("keys", "exec cat")
    first = window_size(terminals, "keys")[1]
    ada = enter("ada", "keys")
    take(ada)
    # The terminal takes this page's size, and is drawn anew: what was found just before would not stay selected.
    expect(rows(ada).locator("> div")).not_to_have_count(first)
    ada.keyboard.type("find-me and find-me\n")
    expect(rows(ada)).to_contain_text("find-me and find-mefind-me")
    # As fast as keys come: what opens has the next key.
    ada.keyboard.press("Control+Shift+F")
    ada.keyboard.type("find-me")
    expect(ada.locator(".xterm-selection div").first).to_be_attached()
    ada.keyboard.press("Escape")
    ada.keyboard.press("Control+Shift+B")
    ada.keyboard.press("?")
    expect(ada.get_by_role("dialog", name="Keys")).to_contain_text("Split to the right")
    ada.keyboard.press("Escape")
    expect(ada.get_by_role("dialog")).to_have_count(0)
    expect(ada.locator(".screen textarea")).to_be_focused()
    ada.keyboard.press("Control+Shift+B")
    expect(ada.get_by_role("menu")).to_be_visible()
    ada.keyboard.press("Control+Shift+B")
    expect(ada.get_by_role("menu")).to_have_count(0)
    expect(ada.locator(".screen textarea")).to_be_focused()
    menu(ada, "[")
    expect(ada.get_by_role("dialog", name="History of keys")).to_contain_text("find-me")
    # Timers of a busy page come late. They do not take the focus from what has it by then.
    ada.evaluate("""() => {
        const [real, late] = [setTimeout, []];
        window.setTimeout = (what) => late.push(what);
        window.atLast = () => {
            window.setTimeout = real;
            late.forEach((what) => what());
        };
    }""")
    ada.keyboard.press("Escape")
    expect(ada.locator(".screen textarea")).to_be_focused()
    # Out of a terminal that takes every key, and back.
    menu(ada, "Tab")
    expect(ada.get_by_role("button", name="Menu")).to_be_focused()
    ada.evaluate("() => atLast()")
    expect(ada.get_by_role("button", name="Menu")).to_be_focused()
    ada.keyboard.press("Shift+Tab")
    expect(ada.get_by_role("button", name="A+")).to_be_focused()
    ada.locator(".pane").click()
    ada.keyboard.type("end\n")
    expect(rows(ada)).to_contain_text("endend")
    screen = terminals.capture("keys").split()
    assert screen == ["find-me", "and", "find-me", "find-me", "and", "find-me", "end", "end"]
    assert faults == []


def test_what_is_offered_follows_the_rights(server, terminals, enter, faults) -> None:
    terminals.new_session("rights")
    vic = enter("vic", "rights")
    expect(vic.get_by_role("button", name="Take control")).to_have_count(0)
    server.cli("users", "set-role", "vic", "operator")
    expect(vic.get_by_role("button", name="Take control")).to_be_visible()
    take(vic)
    server.cli("users", "set-role", "vic", "viewer")
    expect(status(vic)).to_have_text("Read-only: nobody types")
    expect(vic.get_by_role("button", name="Take control")).to_have_count(0)
    assert faults == []


@pytest.mark.slow
def test_a_flood_ends_in_the_screen_that_is_there(terminals, enter, faults) -> None:
    terminals.new_session("flood")
    bob = enter("bob", "flood")
    take(bob)
    bob.keyboard.type("seq 1 2000000; echo flood-$((7*6))\n")
    expect(rows(bob)).to_contain_text("flood-42", timeout=120_000)
    bob.keyboard.type("echo then-$((6*6))\n")
    expect(rows(bob)).to_contain_text("then-36")
    assert faults == []


def test_who_only_watches_sees_that_and_selects_with_the_mouse(terminals, enter, faults) -> None:
    terminals.new_session("watch")
    vic = enter("vic", "watch")
    expect(vic.locator(".screen.typing")).to_have_count(0)
    expect(vic.get_by_role("textbox", name="read-only")).to_have_count(1)
    assert vic.locator(".screen").evaluate("box => getComputedStyle(box).borderStyle") == "dashed"
    # The program takes the mouse: from who types.
    terminals.run("send-keys", "-t", "watch", "clear; printf 'selectme\\033[?1006;1000h'; cat -v", "Enter")
    expect(rows(vic)).to_contain_text("selectme")
    box = rows(vic).bounding_box()
    vic.mouse.dblclick(box["x"] + 20, box["y"] + 8)
    expect(vic.locator(".xterm-selection div").first).to_be_visible()
    assert "[<" not in terminals.capture("watch")
    bob = enter("bob", "watch")
    take(bob)
    bob.locator(".pane").click(position={"x": 100, "y": 100})
    bob.keyboard.press("Enter")
    expect(rows(vic)).to_contain_text("^[[<0;")
    bob.get_by_role("button", name="Release").click()
    vic.keyboard.press("?")
    expect(vic.get_by_role("dialog", name="Keys")).to_be_visible()
    vic.keyboard.press("Escape")
    expect(vic.get_by_role("dialog")).to_have_count(0)
    vic.keyboard.press("m")
    expect(vic.get_by_role("menuitem", name="New window")).to_have_count(0)
    expect(vic.get_by_role("menuitem", name="Take")).to_have_count(0)
    # Rows as text for screen readers, kept on the device.
    vic.keyboard.press("s")
    expect(vic.locator(".xterm-accessibility")).to_contain_text("selectme")
    vic.reload()
    expect(vic.locator(".xterm-accessibility")).to_contain_text("selectme")
    assert faults == []


def test_a_paste_of_several_lines_is_asked_about(terminals, enter, faults) -> None:
    terminals.new_session("paste", "exec cat")
    bob = enter("bob", "paste")
    take(bob)
    paste = """text => {
        const data = new DataTransfer();
        data.setData("text/plain", text);
        const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
        document.activeElement.dispatchEvent(event);
    }"""
    bob.evaluate(paste, "one line")
    expect(rows(bob)).to_contain_text("one line")
    bob.evaluate(paste, "first\nsecond\n")
    expect(bob.get_by_role("dialog", name="Paste 2 lines?")).to_contain_text("first")
    # The moment it is gone, the terminal has the focus again: what comes next may come at once.
    bob.evaluate("""() => new MutationObserver(() => {
        if (!document.querySelector("dialog")) window.focused ??= document.activeElement.tagName;
    }).observe(document.body, { childList: true, subtree: true })""")
    bob.keyboard.press("Escape")
    expect(bob.get_by_role("dialog")).to_have_count(0)
    assert bob.evaluate("window.focused") == "TEXTAREA"
    assert "first" not in terminals.capture("paste")
    bob.evaluate(paste, "first\nsecond\n")
    bob.get_by_role("button", name="Paste").click()
    expect(rows(bob)).to_contain_text("second")
    expect(bob.locator(".screen textarea")).to_be_focused()
    # In brackets, as the program asked for, lines are no commands; and a large one arrives whole.
    terminals.run("respawn-pane", "-k", "-t", "paste", "printf '\\033[?2004hready'; stty raw -echo; wc -c")
    expect(rows(bob)).to_contain_text("ready")
    bob.evaluate(paste, "a\nb")
    expect(bob.get_by_role("dialog")).to_have_count(0)
    assert faults == []


def test_recording_is_told_to_everybody(terminals, enter, faults) -> None:
    terminals.new_session("rec")
    bob, vic = enter("bob", "rec"), enter("vic", "rec")
    menu(bob, "r")
    expect(bob.get_by_role("dialog")).to_contain_text("Everybody who is here is told")
    bob.get_by_role("button", name="Record", exact=True).click()
    for page in (bob, vic):
        expect(page.locator(".recording-note")).to_contain_text("Recording by bob since")
    late = enter("ada", "rec")
    expect(late.locator(".recording-note")).to_contain_text("Recording by bob since")
    expect(vic.get_by_role("button", name="Stop recording")).to_have_count(0)
    bob.get_by_role("button", name="Stop recording").click()
    for page in (bob, vic, late):
        expect(page.locator(".recording-note")).to_have_count(0)
    assert faults == []


@pytest.fixture
def cable(server: Server) -> Iterator[Cable]:
    made = Cable(server.port)
    yield made
    made.stop()


def same_screen(page: Page) -> bool:
    """Whether the first pane is the element that was marked: the screen was not made anew."""
    return bool(page.evaluate("window.marked === document.querySelector('.xterm-rows')"))


def test_a_cut_connection_resumes_every_pane_without_drawing_it_anew(cable, terminals, enter, faults) -> None:
    terminals.new_session("cut")
    terminals.run("split-window", "-h", "-t", "cut", "exec /bin/sh")
    frames: list[str] = []
    bob = enter("bob", "cut", origin=cable.url, frames=frames, viewport={"width": 900, "height": 640})
    expect(bob.locator(".pane")).to_have_count(2)
    first = window_size(terminals, "cut")[1]
    take(bob)
    # The terminal has taken this page's size, of which there is no other.
    expect(rows(bob, 1).locator("> div")).not_to_have_count(first)
    bob.keyboard.type("echo mine-$((2+3))\n")
    expect(rows(bob, 1)).to_contain_text("mine-5")
    bob.evaluate("window.marked = document.querySelector('.xterm-rows')")
    cable.cut()
    expect(bob.get_by_text("The connection was lost")).to_be_visible()
    expect(status(bob)).to_contain_text("Read-only")
    expect(rows(bob, 1)).to_contain_text("mine-5")
    for pane, command in ((0, "echo one-$((1+1))"), (1, "echo two-$((2+2))")):
        terminals.run("send-keys", "-t", f"cut:0.{pane}", command, "Enter")
    frames.clear()
    cable.mend()
    expect(rows(bob, 0)).to_contain_text("one-2")
    expect(rows(bob, 1)).to_contain_text("two-4")
    assert sum('"resumed":true' in frame for frame in frames) == 2, frames
    assert not any('"snapshot":true' in frame for frame in frames), frames
    assert rows(bob, 1).inner_text().count("mine-5") == 1
    assert same_screen(bob)
    expect(status(bob)).to_have_text("You type here")
    bob.keyboard.type("echo typed-$((9*9))\n")
    expect(rows(bob, 1)).to_contain_text("typed-81")
    assert [fault for fault in faults if not any(text in fault for text in NETWORK)] == []


def test_a_restarted_server_is_found_again(server, terminals, enter, faults) -> None:
    terminals.new_session("again")
    bob = enter("bob", "again")
    take(bob)
    bob.evaluate("window.marked = document.querySelector('.xterm-rows')")
    server.stop()
    expect(bob.get_by_text("The connection was lost")).to_be_visible()
    # What is still typed is meant for the program: it is no command to the page.
    expect(status(bob)).to_have_text("Read-only: no connection")
    bob.keyboard.type("m?")
    expect(bob.get_by_text("what you type is not sent")).to_be_visible()
    expect(bob.get_by_role("menu")).to_have_count(0)
    expect(bob.get_by_role("dialog")).to_have_count(0)
    terminals.run("send-keys", "-t", "again", "clear; echo after-$((3+3))", "Enter")
    server.start()
    expect(rows(bob)).to_contain_text("after-6")
    assert same_screen(bob)
    # The claim is a lease in the database: it is still bob's.
    expect(status(bob)).to_have_text("You type here")
    bob.keyboard.type("echo typed-$((9*9))\n")
    expect(rows(bob)).to_contain_text("typed-81")
    assert [fault for fault in faults if not any(text in fault for text in NETWORK)] == []


def test_a_plugin_that_is_off_for_a_while_is_no_session_that_ended(server, terminals, enter, faults) -> None:
    terminals.new_session("stays")
    bob = enter("bob", "stays")
    take(bob)
    server.write_config({"plugins": {"tmux": {"enabled": False}}})
    server.process.send_signal(signal.SIGHUP)
    expect(bob.get_by_text("switched terminals off")).to_be_visible()
    terminals.run("rename-window", "-t", "stays", "kept")
    server.write_config({"plugins": {"tmux": {"enabled": True}}})
    server.process.send_signal(signal.SIGHUP)
    expect(status(bob)).to_have_text("You type here")
    expect(bob.get_by_role("tab")).to_contain_text("kept")
    bob.keyboard.type("echo typed-$((9*9))\n")
    expect(rows(bob)).to_contain_text("typed-81")


def hover(page: Page, x: float, y: float) -> None:
    """Move the mouse there, until the emulator has found a link."""
    for step in range(100):
        page.mouse.move(x + step % 2, y)
        if page.locator(".xterm-cursor-pointer").count():
            return
        page.wait_for_timeout(20)
    raise AssertionError("no link")


def test_links_open_when_that_is_meant(server, terminals, enter, faults) -> None:
    url = f"{server.url}/health"
    terminals.new_session("links")
    vic = enter("vic", "links")
    expect(rows(vic)).to_contain_text("$")
    # One that is seen to be a link, and one whose address the program says (OSC 8).
    command = f"clear; printf '%s \\033]8;;%s\\033\\\\%s\\033]8;;\\033\\\\\\n' {url} {url} hid''den"
    terminals.run("send-keys", "-t", "links", "-l", command)
    terminals.run("send-keys", "-t", "links", "Enter")
    expect(rows(vic)).to_contain_text("hidden")
    box = rows(vic).bounding_box()
    for x in (40, 9 * (len(url) + 3)):
        hover(vic, box["x"] + x, box["y"] + 8)
        vic.mouse.click(box["x"] + x, box["y"] + 8)
        expect(vic.get_by_role("dialog", name="Open this link?")).to_contain_text(url)
        vic.keyboard.press("Escape")
        expect(vic.get_by_role("dialog")).to_have_count(0)
    hover(vic, box["x"] + 60, box["y"] + 8)
    with vic.context.expect_page() as opened:
        vic.keyboard.down("Control")
        vic.mouse.click(box["x"] + 60, box["y"] + 8)
        vic.keyboard.up("Control")
    assert opened.value.evaluate("window.opener") is None
    assert faults == []


def test_a_phone(terminals, enter, faults) -> None:
    terminals.new_session("phone")
    terminals.run("split-window", "-h", "-t", "phone", "exec /bin/sh")
    terminals.run("send-keys", "-t", "phone", "seq 1 200", "Enter")
    bob = enter("bob", "phone", **PHONE)
    expect(rows(bob)).to_contain_text("200")
    assert bob.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no scrolling sideways"
    expect(bob.locator(".pane")).to_have_count(1)  # One at a time.
    before = window_size(terminals, "phone")
    bob.get_by_role("button", name="Take control").tap()
    expect(status(bob)).to_have_text("You type here")
    bob.keyboard.type("cat")
    bob.get_by_role("button", name="Enter", exact=True).tap()
    # As on-screen keyboards put it in: text, and no keys.
    bob.keyboard.insert_text("ü語 pipe")
    bob.get_by_role("button", name="|", exact=True).tap()
    bob.get_by_role("button", name="Enter", exact=True).tap()
    expect(rows(bob)).to_contain_text("ü語 pipe|")
    expect(bob.locator(".screen textarea")).to_be_focused()
    bob.get_by_role("button", name="Ctrl", exact=True).tap()
    bob.keyboard.type("c")
    expect(rows(bob)).to_contain_text("^C")
    expect(bob.get_by_role("button", name="Ctrl", exact=True)).to_have_attribute("aria-pressed", "false")
    bob.get_by_role("button", name="Up", exact=True).tap()
    bob.get_by_role("button", name="Esc", exact=True).tap()
    assert bob.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert window_size(terminals, "phone") == before, "a phone does not shrink everybody's terminal"
    swipe(bob, 200, 320)
    expect(rows(bob)).not_to_contain_text("pipe|")
    assert faults == []


def swipe(page: Page, start: int, end: int) -> None:
    """One finger on the terminal, from one height to another."""
    touch = page.context.new_cdp_session(page)
    at = lambda y: [{"x": 150, "y": y}]  # noqa: E731
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": at(start)})
    for y in range(start, end, 10 if end > start else -10):
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": at(y)})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_session_that_is_renamed_and_then_ends(terminals, enter, faults) -> None:
    terminals.new_session("before")
    page = enter("bob", "before")
    take(page)
    terminals.run("rename-session", "-t", "=before", "after")
    expect(page.get_by_role("heading", name="after")).to_be_visible()
    expect(page).to_have_url(re.compile("/console/terminal/after$"))
    page.keyboard.type("echo on-$((1+1))\n")
    expect(rows(page)).to_contain_text("on-2")
    terminals.run("kill-session", "-t", "=after")
    expect(page.get_by_text("This session does not exist, or has ended.")).to_be_visible()
    terminals.new_session("after")
    page.get_by_role("button", name="Connect again").click()
    expect(rows(page)).to_contain_text("$")
    assert faults == []


def test_the_terminal_is_fetched_only_by_who_opens_one(browser, server, enter, terminals) -> None:
    fetched = """() => performance.getEntriesByType('resource').filter(({name}) => name.endsWith('.js'))
        .reduce((sum, {encodedBodySize}) => sum + encodedBodySize, 0)"""
    page = browser.new_page()
    page.goto(server.url)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert 0 < page.evaluate(fetched) < 32 * 1024
    page.close()
    terminals.new_session("bytes")
    assert 32 * 1024 < enter("vic", "bytes").evaluate(fetched) < 160 * 1024
