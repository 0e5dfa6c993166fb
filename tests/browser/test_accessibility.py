"""Every page and the main dialogs: no fault for assistive programs, no scrolling sideways, a picture for the docs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import looks
import pytest
from pages import VIEWS, View, show_off
from playwright.sync_api import Browser, BrowserContext, Page, expect
from realparts.identity_provider import IdentityProvider
from waits import PAGE
from wholehouse import House, whole_house

PASSWORD = "correct horse battery"
PICTURES = os.environ.get("MOORAGE_SCREENSHOTS")


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, opencode_binary: Path, identity_provider: IdentityProvider
) -> Iterator[House]:
    with whole_house(tmp_path_factory.mktemp("house"), opencode_binary, identity_provider) as house:
        yield house


@pytest.fixture(scope="module")
def names(house: House) -> dict[str, str]:
    return show_off(house)


@pytest.fixture(scope="module")
def profile_of(browser: Browser, house: House) -> Iterator[Callable[[str], BrowserContext]]:
    """`profile_of(who)`: a profile of the browser in which somebody, or nobody, is signed in."""
    profiles: dict[str, BrowserContext] = {}

    def of(who: str) -> BrowserContext:
        if who not in profiles:
            profiles[who] = context = browser.new_context(
                viewport=looks.WIDE, reduced_motion="reduce", timezone_id="Europe/Berlin", locale="en-GB"
            )
            context.set_default_timeout(PAGE)
            if who:
                answer = context.request.post(
                    f"{house.url}/api/auth/login", data={"username": who, "password": PASSWORD}
                )
                assert answer.ok, answer.text()
        return profiles[who]

    yield of
    for context in profiles.values():
        context.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go."""
    return Path(PICTURES) if PICTURES else tmp_path_factory.mktemp("pictures")


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_everybody_can_use_it(
    view: View, house: House, names: dict[str, str], profile_of: Callable[[str], BrowserContext], folder: Path
) -> None:
    page = profile_of(view.who).new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(f"exception: {error}"))
    page.emulate_media(color_scheme="light")
    looks.arrive(page, house.url, view, names)
    wrong: list[str] = []

    def look(how: str, found: list[str]) -> None:
        wrong.extend(f"{view.name}, {how}: {one}" for one in found)

    look("light", looks.violations(page))
    look("light", looks.badly_made(page))
    page.emulate_media(color_scheme="dark")
    look("dark", looks.violations(page, ["color-contrast"]))
    for width in looks.NARROW:
        page.set_viewport_size({"width": width, "height": looks.PHONE["height"]})
        look(f"{width} px wide", looks.too_wide(page))
    if "phone" in view.pictures:
        look("phone", looks.violations(page))
        look("phone", looks.badly_made(page))
    if PICTURES:
        take(page, view, house, folder)
    page.evaluate(looks.SPACED)
    look("spaced text at 320 px", looks.too_wide(page))
    page.close()
    assert not wrong, "\n".join(wrong)
    assert faults == []


STOP = """() => {
  const on = document.activeElement;
  if (on === null || on === document.body) return null;
  const style = getComputedStyle(on);
  const ringed = (one) => one.outlineStyle !== "none" && parseFloat(one.outlineWidth) > 0;
  const seen = on.checkVisibility() && on.getBoundingClientRect().width > 0;
  // A field of its own, and a box that stands for one that is not shown, show the focus by what is around them.
  const around = on.parentElement && getComputedStyle(on.parentElement);
  on.dataset.stop ??= String(document.querySelectorAll("[data-stop]").length);
  return [on.dataset.stop, on.outerHTML.slice(0, 120), seen && (ringed(style) || ringed(around))];
}"""
REACHABLE = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
  .filter((one) => one.checkVisibility() && !one.matches(".skip") && !one.disabled && one.tabIndex >= 0
    && one.dataset.stop === undefined && !(one.type === "radio" && !one.checked))
  .map((one) => one.outerHTML.slice(0, 120))"""
WALKED = ("home", "account", "users", "workspace", "memories")


@pytest.mark.parametrize("view", [view for view in VIEWS if view.name in WALKED], ids=lambda view: view.name)
def test_all_of_a_page_is_reached_by_tab(
    view: View, house: House, names: dict[str, str], profile_of: Callable[[str], BrowserContext]
) -> None:
    page = profile_of(view.who).new_page()
    looks.arrive(page, house.url, view, names)
    page.evaluate("document.activeElement?.blur()")
    order: list[str] = []
    for _ in range(150):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        if stop is None or stop[0] in order:
            break
        assert stop[2], f"the focus is not seen on {stop[1]}"
        order.append(stop[0])
    assert page.evaluate(REACHABLE) == []
    assert order == page.evaluate("[...document.querySelectorAll('[data-stop]')].map((one) => one.dataset.stop)"), (
        "the order of Tab is another than that of reading"
    )
    page.close()


def test_the_focus_goes_where_the_page_goes(house: House, profile_of: Callable[[str], BrowserContext]) -> None:
    page = profile_of("olga").new_page()
    page.goto(house.url)
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    places = page.get_by_role("navigation", name="Places")
    # By the keyboard, through the navigation and back: the page's heading is read out.
    places.get_by_role("link", name="Users").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Users", level=1)).to_be_focused()
    # From within the page, by a link that is gone then.
    page.get_by_role("link", name="vic", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="vic", level=1)).to_be_focused()
    page.get_by_role("link", name="All users").press("Enter")
    expect(page.get_by_role("heading", name="Users", level=1)).to_be_focused()
    # A dialog that closes gives it back. What it offers comes with the list.
    expect(page.get_by_role("link", name="vic", exact=True)).to_be_visible()
    opener = page.get_by_role("button", name="New user")
    opener.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Username")).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    # By the search, which was opened in the navigation.
    page.get_by_role("button", name="Search").first.press("Enter")
    page.keyboard.type("Audit")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Audit", level=1)).to_be_focused()
    page.close()


def take(page: Page, view: View, house: House, folder: Path) -> None:
    """Pictures of the page as it is open; of main ones also in the dark and at a phone's width."""
    changes = [
        (house.url, "https://moorage.example.org"),
        (str(house.projects.parent), "/srv"),
        (r"python-httpx/[\d.]+", "Firefox 140 on Linux"),
        (r"mcp_[0-9a-f]{8}_\w+", "mcp_04e8eeee_and_what_follows_is_shown_this_once"),
    ]
    for how in view.pictures:
        page.emulate_media(color_scheme="dark" if how == "dark" else "light")
        page.set_viewport_size(looks.PHONE if how == "phone" else looks.WIDE)
        name = view.name if how == "light" else f"{view.name}-{how}"
        looks.picture(page, folder / f"{name}.png", changes)
