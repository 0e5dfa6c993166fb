"""People in front of their account: providers at the login, invites, devices to approve, sessions, keys."""

from __future__ import annotations

import re
import time

import httpx
import pytest
from harness import running
from playwright.sync_api import expect
from visitor import provider

PASSWORD = "correct horse battery"
HOME = "Home"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
AGENT = "orbital-cli/1.2 <b>node</b>"


@pytest.fixture(scope="module")
def server(tmp_path_factory, identity_provider):
    """One server for all of them; each test has people of its own."""
    issuer = identity_provider.issuer
    config = {
        "limits": {"general": "100000/minute", "authentication": "100000/minute"},
        "accounts": {
            "argon2_memory_kib": 256,
            "argon2_time": 1,
            "device": {"interval": 1},
            "providers": {"corp": provider(issuer, label="Corp <i>"), "open": provider(issuer, register_new="open")},
        },
    }
    with running(tmp_path_factory.mktemp("accounts"), config) as server:
        server.add_user("root", "owner")
        yield server


@pytest.fixture(autouse=True)
def told(identity_provider):
    identity_provider.tell()


@pytest.fixture
def root(server):
    with server.client("root") as client:
        client.headers["Origin"] = server.url
        yield client


@pytest.fixture
def add_user(root):
    """`add_user(name, role)` over the API, which is quicker than a command."""

    def add(name: str, role: str = "operator") -> None:
        made = root.post("/api/admin/users", json={"username": name, "password": PASSWORD})
        assert made.status_code == 201, made.text
        if role != "operator":
            changed = root.patch(f"/api/users/{made.json()['id']}/role", json={"role": role})
            assert changed.status_code == 200, changed.text

    return add


def device_asks(server, scope: str = "") -> dict[str, str]:
    """A code, asked for as a program does that cannot show a browser."""
    form = {"client_id": "orbital-cli", "scope": scope}
    answer = httpx.post(f"{server.url}/api/auth/device", data=form, headers={"User-Agent": AGENT})
    assert answer.status_code == 200, answer.text
    return answer.json()


def device_polls(server, asked) -> httpx.Response:
    form = {"grant_type": GRANT, "device_code": asked["device_code"], "client_id": "orbital-cli"}
    return httpx.post(f"{server.url}/api/auth/device/token", data=form)


def real(faults) -> list[str]:
    """Faults without the refusals that a test asked for: browsers tell of each answer above 399."""
    return [fault for fault in faults if "Failed to load resource" not in fault]


def new_password(page, text: str, label: str = "Password") -> None:
    page.get_by_label(label, exact=True).fill(text)
    page.get_by_label(f"{label}, once more").fill(text)


# -- devices ------------------------------------------------------------------------------------------------------


def test_a_device_is_let_in_by_a_click_and_by_nothing_less(server, add_user, open_page, faults) -> None:
    add_user("dora")
    asked = device_asks(server, "openid profile")
    page = open_page(
        asked["verification_uri_complete"].removeprefix(server.url), viewport={"width": 360, "height": 700}
    )
    page.get_by_label("Username or e-mail").fill("dora")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Let orbital-cli in as you?")).to_be_visible()
    main = page.get_by_role("main")
    for said in (asked["user_code"], "everything that you may do here", "127.0.0.1", AGENT, "Only approve if"):
        expect(main).to_contain_text(said)
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"in (30:00|29:\d\d)"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it fits a phone's width"
    assert device_polls(server, asked).json()["error"] == "authorization_pending"

    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_contain_text("Approved.")
    assert "user_code" not in page.url
    time.sleep(asked["interval"])  # As the server asked the device to.
    token = device_polls(server, asked).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{server.url}/api/me", headers=bearer).json()["username"] == "dora"

    # It is in the list of one's sessions under its name, and its access ends there.
    page.get_by_role("link", name="your account page").click()
    row = page.get_by_role("listitem").filter(has_text="orbital-cli")
    row.get_by_role("button", name="End").click()
    row.get_by_role("button", name="End it").click()
    expect(page.get_by_text("Ended: orbital-cli.")).to_be_visible()
    expect(page.get_by_role("heading", name="Where you are signed in")).to_be_focused()
    assert httpx.get(f"{server.url}/api/me", headers=bearer).status_code == 401
    assert real(faults) == []


def test_a_device_is_turned_away_and_its_code_says_so_afterwards(server, sign_in, faults) -> None:
    asked = device_asks(server, "core:session:read core:key:read")
    page = sign_in("root", "/console/device")
    box = page.get_by_label("The code that the device shows")
    expect(box).to_be_focused()
    page.keyboard.type(asked["user_code"].replace("-", "").lower())
    expect(box).to_have_value(asked["user_code"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_contain_text("core:key:read")
    expect(page.get_by_text("everything")).to_have_count(0)
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("status")).to_have_text("Denied. The device stays out.")

    page.get_by_role("button", name="Type in another code").click()
    expect(box).to_be_focused()
    box.fill(asked["user_code"])
    expect(box).to_have_value(asked["user_code"])
    box.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This code was denied already.")
    assert device_polls(server, asked).json()["error"] == "access_denied"
    assert real(faults) == []


def test_wrong_and_half_codes_are_told_in_words_until_there_were_too_many(server, add_user, sign_in, faults) -> None:
    add_user("dan")
    page = sign_in("dan", "/console/device?user_code=%3Cimg%20src=x%3E")
    box = page.get_by_label("The code that the device shows")
    expect(box).to_have_value("IMGS-RCX")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The code has 8 letters.")
    for number in range(6):
        box.fill("BBBBBBB" + "CDFGHJ"[number])
        with page.expect_response(re.compile("/api/auth/device")):
            page.keyboard.press("Enter")
        if number == 0:
            expect(page.get_by_role("alert")).to_contain_text("No device waits with this code.")
        expect(page.get_by_role("button", name="Continue")).to_be_enabled()
    expect(page.get_by_role("alert")).to_contain_text("Too many codes were wrong.")
    assert real(faults) == []


# -- invites ------------------------------------------------------------------------------------------------------


def test_an_invite_makes_an_account_and_leaves_the_address_bar(server, root, open_page, faults) -> None:
    token = root.post("/api/invites", json={"role": "operator", "max_uses": 1}).json()["token"]
    page = open_page(f"/?invite={token}")
    sent = []
    page.on("request", lambda request: sent.append(request.headers.get("referer", "")))
    expect(page.get_by_text("an operator")).to_be_visible()
    page.get_by_label("Username").fill("ina")
    new_password(page, "a long new password")
    page.get_by_label("Password, once more").fill("another one, by mistake")
    page.get_by_label("Show what I type").check()
    expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "text")
    expect(page.get_by_label("Password", exact=True)).to_have_value("a long new password")
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("alert")).to_have_text("The two passwords differ. Type the same one twice.")
    new_password(page, "a long new password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=HOME)).to_be_visible()
    expect(page.get_by_text("ina operator")).to_be_visible()
    assert page.url == f"{server.url}/"
    assert not [referer for referer in sent if token in referer]

    late = open_page(f"/invite/{token}")
    expect(late.get_by_role("alert")).to_contain_text("This invite was used as often as it may be.")
    unknown = open_page("/invite/%3Cimg%20src%3Dx%3E")
    expect(unknown.get_by_role("alert")).to_contain_text("This invite is unknown;")
    assert real(faults) == []


def test_an_invite_with_an_e_mail_address_or_for_who_has_an_account(server, add_user, root, open_page, faults) -> None:
    token = root.post("/api/invites", json={"role": "operator"}).json()["token"]
    add_user("vic", "viewer")
    page = open_page(f"/invite/{token}")
    page.get_by_label("Username").fill("eve")
    page.get_by_label("E-mail, if you like").fill("eve@example.org")
    new_password(page, "a long new password")
    page.keyboard.press("Enter")
    expect(page.get_by_text("eve operator")).to_be_visible()

    page = open_page(f"/invite/{token}")
    page.get_by_role("button", name="I have an account here").click()
    page.get_by_label("Username or e-mail").fill("vic")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Accept as vic").click()
    expect(page.get_by_text("vic operator")).to_be_visible()
    assert page.url == f"{server.url}/"
    # The new role came with a fresh session: what changes something still works.
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert real(faults) == []


# -- providers ----------------------------------------------------------------------------------------------------


def test_a_login_at_a_provider_comes_back_to_where_it_began(server, open_page, faults) -> None:
    page = open_page("/console/device?user_code=BCDF-GHJK")
    link = page.get_by_role("link", name="Continue with Open")
    assert "next=%2Fconsole%2Fdevice%3Fuser_code%3DBCDF-GHJK" in link.get_attribute("href")
    expect(page.get_by_role("link", name="Continue with Corp <i>")).to_be_visible()
    link.click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert page.url == f"{server.url}/console/device?user_code=BCDF-GHJK"

    # It is the only way in of this account, so it cannot be removed; another can be added, and removed.
    page.goto(f"{server.url}/console/account")
    part = page.get_by_role("region", name="Other ways to sign in")
    expect(part.get_by_role("listitem")).to_contain_text("pat@example.org")
    part.get_by_role("button", name="Remove").click()
    part.get_by_role("button", name="Remove it").click()
    expect(part.get_by_role("alert")).not_to_be_empty()
    part.get_by_role("button", name="Link Corp <i>").click()
    expect(part.get_by_role("listitem")).to_have_count(2)
    assert page.url == f"{server.url}/console/account"
    row = part.get_by_role("listitem").filter(has_text="Corp")
    row.get_by_role("button", name="Remove").click()
    expect(row.get_by_role("button", name="Keep")).to_be_focused()
    page.keyboard.press("Escape")
    expect(row.get_by_role("button", name="Remove")).to_be_focused()
    row.get_by_role("button", name="Remove").click()
    row.get_by_role("button", name="Remove it").click()
    expect(part.get_by_role("listitem")).to_have_count(1)
    assert real(faults) == []


def test_a_login_that_failed_elsewhere_is_told_in_words(server, open_page, identity_provider, faults) -> None:
    identity_provider.tell(back={"error": "access_denied"})
    page = open_page("/")
    page.get_by_role("link", name="Continue with Open").click()
    expect(page.get_by_role("alert")).to_have_text(
        "The login was broken off or took too long. Begin it again, in this same browser."
    )
    assert page.url == f"{server.url}/"
    for code, said in {
        "invite_required": "You have no account here yet, and need an invite for one.",
        "account_exists": "An account here has this e-mail address already.",
        "constructor": "The login failed (constructor). Try again.",
        "%3Cimg%20src=x%20onerror=alert(1)%3E": "The login failed. Try again.",
    }.items():
        page.goto(f"{server.url}/console/account?error={code}&tab=1")
        expect(page.get_by_role("alert")).to_contain_text(said)
        assert page.url == f"{server.url}/console/account?tab=1"
    assert real(faults) == []


# -- the account --------------------------------------------------------------------------------------------------


def test_a_name_is_text_wherever_it_is_shown(server, add_user, sign_in, faults) -> None:
    add_user("xena")
    name = '<img src=x onerror="alert(1)">'
    page = sign_in("xena", "/console/account", viewport={"width": 360, "height": 700})
    page.get_by_label("Name that others see").fill(name)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("banner").get_by_role("link", name=name)).to_be_visible()
    page.reload()
    expect(page.get_by_label("Name that others see")).to_have_value(name)
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it fits a phone's width"
    page.get_by_label("Name that others see").fill(" ")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("region", name="Profile").get_by_role("alert")).to_contain_text("name")
    assert real(faults) == []


def test_a_new_password_ends_all_other_sessions(server, add_user, sign_in, faults) -> None:
    add_user("pam")
    with server.client("pam") as elsewhere:
        page = sign_in("pam", "/console/account")
        part = page.get_by_role("region", name="Password")
        part.get_by_label("Current password").fill("not the password")
        new_password(part, "a long new password", "New password")
        page.keyboard.press("Enter")
        expect(part.get_by_role("alert")).not_to_be_empty()
        assert elsewhere.get("/api/core/sessions").status_code == 200
        expect(page.get_by_role("region", name="Where you are signed in").get_by_role("listitem")).to_have_count(2)
        part.get_by_label("Current password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(part.get_by_text("Changed. Everywhere else you are signed out.")).to_be_visible()
        expect(part.get_by_label("Current password")).to_have_value("")
        expect(page.get_by_role("region", name="Where you are signed in").get_by_role("listitem")).to_have_count(1)
        assert elsewhere.get("/api/core/sessions").status_code == 401
    # The cookie and the CSRF token are those of the fresh session.
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    with server.client("pam", "a long new password"):
        pass
    assert real(faults) == []


def test_a_session_elsewhere_is_ended_alone_and_with_all_others(server, add_user, sign_in, faults) -> None:
    add_user("sam")
    with server.client("sam") as one, server.client("sam") as two:
        one.headers["User-Agent"] = "curl/8.0"
        other = sign_in("sam", "/console/account")
        page = sign_in("sam", "/console/account", user_agent="Mozilla/5.0 (Windows NT 10.0) Gecko/1 Firefox/130.0")
        part = page.get_by_role("region", name="Where you are signed in")
        expect(part.get_by_role("listitem")).to_have_count(4)
        mine = part.get_by_role("listitem").filter(has_text="this one")
        expect(mine).to_contain_text("Firefox on Windows")
        expect(mine.get_by_role("button")).to_have_count(0)
        row = part.get_by_role("listitem").filter(has_text="Chrome on Linux")
        row.get_by_role("button", name="End Chrome on Linux").click()
        row.get_by_role("button", name="End it").click()
        expect(part.get_by_role("listitem")).to_have_count(3)
        assert one.get("/api/core/sessions").status_code == 200
        other.get_by_role("button", name="Save").click()
        expect(other.get_by_role("heading", name="Sign in")).to_be_visible()

        part.get_by_role("button", name="End all others").click()
        part.get_by_role("button", name="End all others").click()
        expect(part.get_by_text("2 logins were ended.")).to_be_visible()
        expect(part.get_by_role("listitem")).to_have_count(1)
        assert {client.get("/api/core/sessions").status_code for client in (one, two)} == {401}
    assert real(faults) == []


def test_a_key_is_shown_once_copied_and_revoked(server, add_user, root, sign_in, faults) -> None:
    add_user("kim", "admin")
    root.post("/api/v1/api-keys", json={"name": "of root"})  # Administrators are told everybody's unless asked.
    page = sign_in("kim", "/console/account", permissions=["clipboard-read", "clipboard-write"])
    part = page.get_by_role("region", name="Keys for programs")
    name = "<b>backup</b>"
    part.get_by_label("Name of a new key").fill(name)
    part.get_by_label("Good for").select_option("90 days")
    page.keyboard.press("Enter")
    part.get_by_role("button", name="Make a key").click()
    shown = part.get_by_label(re.compile("It is shown this once"))
    expect(shown).to_have_value(re.compile("mcp_"))
    part.get_by_role("button", name="Copy").click()
    expect(part.get_by_text("Copied.")).to_be_visible()
    secret = page.evaluate("navigator.clipboard.readText()")
    assert secret == shown.input_value()
    bearer = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{server.url}/api/me", headers=bearer).json()["username"] == "kim"

    part.get_by_role("button", name="I have stored it").click()
    assert secret not in page.content()
    page.reload()
    row = part.get_by_role("listitem")
    expect(row).to_have_count(1)
    for said in (name, "last used", "expires in 90 days"):
        expect(row).to_contain_text(said)
    assert secret not in page.content()
    row.get_by_role("button", name=f"Revoke {name}").click()
    row.get_by_role("button", name="Revoke it").click()
    expect(part.get_by_text(f"Revoked: {name}.")).to_be_visible()
    expect(row).to_have_count(0)
    assert httpx.get(f"{server.url}/api/me", headers=bearer).status_code == 401

    part.get_by_label("Name of a new key").fill("mistaken")
    page.keyboard.press("Enter")
    expect(shown).to_have_value(re.compile("mcp_"))
    row.get_by_role("button", name="Revoke mistaken").click()
    row.get_by_role("button", name="Revoke it").click()
    expect(row).to_have_count(0)
    expect(shown).to_have_count(0)
    assert real(faults) == []
