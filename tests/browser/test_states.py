"""Each place of the application while the server is slow, fails, refuses or is away, and where nothing is in it yet."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Server
from playwright.sync_api import Browser, Locator, Page, Route, expect
from waits import PAGE
from wholehouse import House, whole_house

PLACES = {
    "home": "/",
    "terminals": "/console/terminals",
    "recordings": "/console/recordings",
    "sessions": "/console/sessions",
    "session": "",
    "workspaces": "/console/workspaces",
    "workspace": "",
    "chat": "/console/chat",
    "conversation": "",
    "memories": "/console/memories",
    "account": "/console/account",
    "administration": "/console/admin",
    "user list": "/console/admin/users",
    "roles": "/console/admin/roles",
    "running": "/console/admin/running",
    "a plugin": "/console/admin/plugins/tmux",
    "metrics": "/console/admin/metrics",
    "audit": "/console/admin/audit",
}
WAITING = re.compile("^(Loading|Looking|Connecting)")
AGAIN = re.compile("^(Try again|Continue)$")
PROBLEM = {"content_type": "application/problem+json"}
FAULTS: dict[str, tuple[Callable[[Route], None], str]] = {
    "a bare 500": (lambda route: route.fulfill(status=500, body="<h1>Oops</h1>"), "The server cannot do this now"),
    "no connection": (lambda route: route.abort("connectionrefused"), "The server does not answer"),
    "too often": (
        lambda route: route.fulfill(status=429, headers={"Retry-After": "17"}, body="{}", **PROBLEM),
        "Try again in 17 seconds",
    ),
    "a plugin that is off": (
        lambda route: route.fulfill(status=503, body=json.dumps({"detail": "The plugin is not running"}), **PROBLEM),
        "The plugin is not running",
    ),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, opencode_binary: Path) -> Iterator[House]:
    with whole_house(tmp_path_factory.mktemp("states"), opencode_binary) as house:
        yield house


@pytest.fixture(scope="module")
def server(house: House) -> Server:
    return house.server


@pytest.fixture(scope="module")
def places(house: House) -> dict[str, str]:
    made = house.furnish("olga")
    own = {kind: made[kind] for kind in ("session", "workspace", "conversation")}
    return {**PLACES, **own}


class Faulty:
    """What the page asks of the server is held back, then answered by a fault, until the server is well again."""

    def __init__(self, page: Page) -> None:
        self.page, self.held, self.answer = page, list[Route](), self._hold
        page.route("**/*", self._asked)
        page.route_web_socket("**/*", lambda socket: socket.close(code=1011))

    def _asked(self, route: Route) -> None:
        # Who is signed in is known already: it is about the place, not about the frame around it.
        if route.request.resource_type not in ("fetch", "xhr") or "/api/console/state" in route.request.url:
            route.fallback()
        else:
            self.answer(route)

    def _hold(self, route: Route) -> None:
        self.held.append(route)

    def fail(self, answer: Callable[[Route], None]) -> None:
        """Answer so what was held, and what is asked from now on."""
        self.answer = answer
        for route in self.held:
            answer(route)

    def mend(self) -> None:
        self.page.unroute("**/*", self._asked)
        self.page.route_web_socket("**/*", lambda socket: socket.connect_to_server())


def visit(page: Page, path: str) -> None:
    """As by a link of the page."""
    page.evaluate("path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }", path)


def troubles(page: Page) -> Locator:
    """What the page says went wrong."""
    return page.locator("#content [role=alert]:not(:empty)")


@pytest.fixture(scope="module")
def looked_at(browser: Browser, house: House, places: dict[str, str]) -> Iterator[tuple[Page, list[str]]]:
    """The page of somebody who may see everything, for all of the tests, and the exceptions in it."""
    thrown: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PAGE)
    page = context.new_page()
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.goto(house.url)
    page.get_by_label("Username or e-mail").fill("olga")
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    yield page, thrown
    context.close()


@pytest.mark.parametrize("place", PLACES)
def test_a_place_says_that_it_waits_what_went_wrong_and_how_to_go_on(place, places, looked_at) -> None:
    page, thrown = looked_at
    thrown.clear()
    for kind, (answer, said) in FAULTS.items():
        visit(page, "/console/nowhere")
        expect(page.get_by_role("heading", name="Nothing is here")).to_be_visible()
        faulty = Faulty(page)
        visit(page, places[place])
        # As long as nothing is known, it is not as if there was nothing.
        expect(page.get_by_text(WAITING).first, f"{kind}: it says that it waits").to_be_visible()
        faulty.fail(answer)
        expect(troubles(page).filter(has_text=said).first, kind).to_be_visible()
        expect(page.get_by_text(WAITING), f"{kind}: it waits no more").to_have_count(0)
        assert page.get_by_role("navigation", name="Places").is_visible()
        faulty.mend()
        # Those of answers ask models.
        again = page.locator("#content").get_by_role("button", name=AGAIN).and_(page.locator(":not(article *)"))
        expect(again.first, f"{kind}: there is a way to go on").to_be_visible()
        again.evaluate_all("buttons => buttons.forEach((button) => button.click())")
        expect(again, f"{kind}: it asks again").to_have_count(0)
        expect(troubles(page), f"{kind}: it is well again").to_have_count(0)
    assert thrown == []
