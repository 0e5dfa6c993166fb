"""One's rights in words, keys that may less, the login that ends in the middle of something, and other tabs."""

from __future__ import annotations

import re

import httpx
import pytest
from harness import running
from playwright.sync_api import expect
from visitor import provider

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory, identity_provider):
    """One for all of them; each test has somebody of its own."""
    config = {
        "accounts": {
            "argon2_memory_kib": 256,
            "argon2_time": 1,
            "password_min_length": 11,
            "providers": {"open": provider(identity_provider.issuer, label="Open", register_new="open")},
        },
        "limits": {"general": "100000/minute", "authentication": "100000/minute"},
    }
    with running(tmp_path_factory.mktemp("ways"), config) as server:
        server.add_users({"kay": "operator", "lou": "operator", "max": "operator", "ned": "operator", "off": "viewer"})
        server.add_user("root", "owner")
        yield server


def part(page, name: str):
    return page.get_by_role("region", name=name, exact=True)


def elsewhere(server, name: str, path: str, **body: object) -> httpx.Response:
    """A change by the same person, signed in at another place."""
    with server.client(name) as client:
        return client.post(path, json=body, headers={"Origin": server.url})


def test_a_key_may_less_than_its_owner_and_says_in_words_what(server, sign_in, faults) -> None:
    page = sign_in("kay", "/console/account", viewport={"width": 360, "height": 740})
    keys = part(page, "Keys for programs")
    expect(keys.get_by_text("You have none.")).to_be_visible()
    keys.get_by_label("Name of a new key").fill("reader")
    keys.get_by_label("only what you choose").check()
    keys.get_by_role("button", name="Make a key").click()
    expect(keys.get_by_role("alert")).to_have_text("Choose what the key may do.")
    keys.get_by_text("this server").click()
    expect(keys.get_by_label("Revoke API keys")).to_be_visible()
    expect(keys.get_by_label("Manage users")).to_have_count(0)  # Nobody lends what they have not.
    keys.get_by_label("List API keys").check()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it fits a phone's width"
    keys.get_by_role("button", name="Make a key").click()
    secret = keys.get_by_label(re.compile("It is shown this once")).input_value()
    expect(keys.get_by_role("listitem")).to_contain_text("It may only: List API keys")
    bearer = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{server.url}/api/v1/api-keys", headers=bearer).status_code == 200
    assert httpx.get(f"{server.url}/api/core/sessions", headers=bearer).status_code == 403
    assert faults == []


def test_who_has_many_keys_finds_one_by_its_name(server, sign_in) -> None:
    with server.client("ned") as client:
        client.headers["Origin"] = server.url
        for number in range(100):
            assert client.post("/api/v1/api-keys", json={"name": f"robot {number}"}).status_code == 201
    page = sign_in("ned", "/console/account")
    keys = part(page, "Keys for programs")
    expect(keys.get_by_role("listitem")).to_have_count(100)
    keys.get_by_label("Find one of your 100 keys").fill("Robot 77")
    expect(keys.get_by_role("listitem")).to_have_count(1)
    keys.get_by_label("Name of a new key").fill("one too many")
    keys.get_by_role("button", name="Make a key").click()
    expect(keys.get_by_role("alert")).to_contain_text("A user may have 100 keys; revoke one first")


def test_what_is_typed_outlives_a_login_that_ends(server, sign_in, faults) -> None:
    page = sign_in("lou", "/console/account")
    name = page.get_by_label("Name that others see")
    name.fill("Lou the patient")
    assert elsewhere(server, "lou", "/api/core/sessions/revoke-all").json()["ended"] == 1
    page.get_by_role("button", name="Save").click()
    again = page.get_by_role("dialog", name="Sign in")
    expect(again.get_by_text("Your login has ended. Sign in as lou")).to_be_visible()
    expect(again.get_by_label("Username or e-mail")).to_have_value("lou")
    expect(again.get_by_label("Password")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(again).to_be_visible()
    page.keyboard.type("not the password")
    page.keyboard.press("Enter")
    expect(again.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    page.keyboard.type(PASSWORD)  # The wrong one is selected.
    page.keyboard.press("Enter")
    expect(again).to_have_count(0)
    expect(page).to_have_title("Your account – Moorage")
    expect(name).to_have_value("Lou the patient")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert [fault for fault in faults if "Failed to load resource" not in fault] == []


def test_tabs_hear_of_each_others_logins(server, sign_in) -> None:
    page = sign_in("max", "/console/account")
    tab = page.context.new_page()
    tab.goto(f"{server.url}/console/account")
    expect(tab.get_by_role("button", name="Sign out")).to_be_visible()
    typed = tab.get_by_label("Name that others see")
    typed.fill("of max alone")
    page.get_by_role("button", name="Sign out").click()
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(typed).to_have_count(0)
    page.get_by_label("Username or e-mail").fill("lou")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    # Nothing of who was here before is left, and what is sent is sent as who it says.
    expect(tab.get_by_role("banner").get_by_text("operator")).to_be_visible()
    expect(part(tab, "Profile").get_by_text("lou", exact=True)).to_be_visible()
    expect(typed).not_to_have_value("of max alone")
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_text("Saved.")).to_be_visible()
    # As long as it is not known who, nothing is sent.
    tab.route("**/api/console/state", lambda route: route.abort())
    page.evaluate("new BroadcastChannel('moorage-login').postMessage('came')")
    tab.get_by_role("button", name="Save").click()
    expect(part(tab, "Profile").get_by_role("alert")).to_contain_text("in another tab. Reload this page.")


def test_a_login_says_why_it_failed(server, open_page) -> None:
    with server.client("root") as client:
        client.headers["Origin"] = server.url
        off = next(one["id"] for one in client.get("/api/admin/users").json() if one["username"] == "off")
        assert client.put(f"/api/admin/users/{off}", json={"is_active": False}).is_success
    page = open_page("/console/account")
    name, password = page.get_by_label("Username or e-mail"), page.get_by_label("Password")
    expect(name).to_be_focused()
    assert (name.get_attribute("autocomplete"), password.get_attribute("autocomplete")) == (
        "username",
        "current-password",
    )
    name.fill("off")
    password.fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This account is disabled. Ask an administrator to enable it.")
    # A browser that keeps no cookies.
    page.route("**/api/console/state", lambda route: route.fulfill(json=nobody(route)))
    name.fill("max")
    password.fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("your browser did not keep it. Allow cookies")


def nobody(route) -> dict[str, object]:
    """The state as who is not signed in is told it."""
    return {**route.fetch().json(), "user": None}


def test_who_came_by_a_provider_sets_a_first_password(server, open_page, identity_provider, faults) -> None:
    identity_provider.tell()
    page = open_page("/console/account")
    page.get_by_role("link", name="Continue with Open").click()
    password = part(page, "Password")
    expect(password.get_by_text("You have none")).to_be_visible()
    expect(password.get_by_label("Current password")).to_have_count(0)
    expect(password.get_by_text("At least 11 characters")).to_be_visible()
    fresh, again = password.get_by_label("New password", exact=True), password.get_by_label("New password, once more")
    assert fresh.get_attribute("autocomplete") == "new-password"
    fresh.fill("ten chars!")
    again.fill("ten chars!")
    page.keyboard.press("Enter")
    expect(password.get_by_role("alert")).to_contain_text("must have at least 11 characters")
    fresh.fill("a first password")
    again.fill("a first password")
    page.keyboard.press("Enter")
    expect(password.get_by_text("Set. Everywhere else you are signed out.")).to_be_visible()
    expect(password.get_by_label("Current password")).to_be_visible()
    assert [fault for fault in faults if "Failed to load resource" not in fault] == []


def test_a_device_is_told_what_of_its_wishes_is_left_out(server, sign_in) -> None:
    form = {"client_id": "orbital-cli", "scope": "core:key:read core:user:manage"}
    asked = httpx.post(f"{server.url}/api/auth/device", data=form).json()
    page = sign_in("kay", f"/console/device?user_code={asked['user_code'].lower().replace('-', '')}")
    main = page.get_by_role("main")
    expect(main).to_contain_text("List API keys core:key:read")
    expect(main).to_contain_text("It also asks for core:user:manage, which you may not do yourself.")
    answer = httpx.get(f"{server.url}/console/device")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
