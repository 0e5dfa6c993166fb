"""A real Chromium, driven by Playwright, and a server with shared terminals behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Server, running
from playwright.sync_api import Browser, Page, expect, sync_playwright
from realparts.identity_provider import IdentityProvider
from realparts.tmux import TmuxServer
from waits import PAGE
from wholehouse import PEOPLE, House, whole_house

PASSWORD = "correct horse battery"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=PAGE)


@pytest.fixture(scope="module")
def browser_arguments() -> list[str]:
    """What a module wants its browser to be started with besides."""
    return []


@pytest.fixture(scope="module")
def browser(chromium: Path, browser_arguments: list[str]) -> Iterator[Browser]:
    """Module-scoped: Playwright's loop must be gone before other modules' async tests run."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS + browser_arguments)
        yield browser
        browser.close()


@pytest.fixture
def server(tmp_path: Path, tmux_server: TmuxServer) -> Iterator[Server]:
    """A server over a tmux of its own, without any user."""
    plugin = {"enabled": True, "mount": "/tmux", "socket_name": tmux_server.socket_name}
    with running(tmp_path, {"plugins": {"tmux": plugin}}) as server:
        yield server


class Faults(list[str]):
    """What went wrong inside a page: exceptions, refused styles and scripts, console errors."""


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def open_page(browser: Browser, server: Server, faults: Faults) -> Iterator[Callable[..., Page]]:
    """`open_page(path, **context options)`: a page in a profile of its own. base: another way to the server."""
    contexts = []

    def open_one(path: str = "/", base: str | None = None, **options: object) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(PAGE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"exception: {error}"))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.goto((base or server.url) + path)
        return page

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def sign_in(open_page: Callable[..., Page]) -> Callable[..., Page]:
    """`sign_in(name, path, **context options)`: a page of somebody who typed name and password."""

    def sign_in_as(name: str, path: str = "/", **options: object) -> Page:
        page = open_page(path, **options)
        page.get_by_label("Username or e-mail").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        # Hidden where a terminal needs the room of a phone.
        expect(page.get_by_role("button", name="Sign out", include_hidden=True)).to_be_attached()
        return page

    return sign_in_as


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, opencode_binary: Path, identity_provider: IdentityProvider
) -> Iterator[House]:
    """The application as a whole; its people are `PEOPLE`, whom no test deletes or gives other roles."""
    identity_provider.tell()
    with whole_house(tmp_path_factory.mktemp("house"), opencode_binary, identity_provider) as house:
        yield house


@pytest.fixture(scope="module")
def tickets(house: House) -> dict[str, list[dict[str, str]]]:
    """Cookies of everybody who signed in once: hashing a password takes longer than opening a page."""
    found = {}
    for name in PEOPLE:
        with house.server.client(name) as client:
            found[name] = [
                {"name": cookie.name, "value": cookie.value or "", "domain": "127.0.0.1", "path": "/"}
                for cookie in client.cookies.jar
            ]
    return found


@pytest.fixture
def come(open_page: Callable[..., Page], tickets: dict[str, list[dict[str, str]]]) -> Callable[..., Page]:
    """`come(name, path, **context options)`: a browser of one of the house's people, who is signed in."""

    def come_as(name: str, path: str = "/", **options: object) -> Page:
        return open_page(path, storage_state={"cookies": tickets[name], "origins": []}, **options)

    return come_as
