"""Administration of people in front of an administrator: users, invites, logins and the audit log."""

from __future__ import annotations

import itertools
import json
import re
from functools import partial

import httpx
import pytest
import websockets.sync.client
from fakedist import probe
from harness import running
from playwright.sync_api import expect
from waits import WAIT

PASSWORD = "correct horse battery"
NAME = '<img src=x onerror="alert(1)">'
ROLES = {"helper": {"includes": "viewer", "grants": ["core:user:read:any"]}}
PHONE = {"viewport": {"width": 360, "height": 740}}
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all of them; each test makes people of its own."""
    site = tmp_path_factory.mktemp("site")
    probe(site, "one")
    config = {
        "limits": {"enabled": False},
        "access": {"roles": ROLES},
        "plugins": {"one": {"enabled": True}},
    }
    with running(tmp_path_factory.mktemp("people"), config, env={"PYTHONPATH": str(site)}) as server:
        server.add_users({"root": "owner", "ann": "admin", "hal": "helper"})
        yield server


@pytest.fixture(scope="module")
def root(server):
    with server.client("root") as client:
        yield client


@pytest.fixture(scope="module")
def signed_in(server):
    """What the browser of the administrator keeps after a login."""
    with server.client("ann") as client:
        kept = [{"name": one.name, "value": one.value, "url": server.url} for one in client.cookies.jar]
    return {"cookies": kept, "origins": []}


@pytest.fixture
def ann(open_page, signed_in):
    """`ann(path, **context options)`: a page of the administrator, who is signed in already."""
    return partial(open_page, storage_state=signed_in)


@pytest.fixture
def add_user(root):
    """`add_user(name, role)`: their row; the name gets a number, so that a test may be repeated."""

    def add(username: str, role: str = "operator", **more: str) -> dict:
        body = {"username": f"{username}{next(NUMBERS)}", "role": role, "password": PASSWORD, **more}
        made = root.post("/api/core/admin/users", json=body)
        assert made.status_code == 201, made.text
        return made.json()

    return add


def row(page, text: str):
    return page.get_by_role("row").filter(has_text=text)


def real(faults) -> list[str]:
    """Faults without the refusals that a test asked for: browsers tell of each answer above 399."""
    return [fault for fault in faults if "Failed to load resource" not in fault]


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_users_are_found_by_an_address_that_says_the_same_to_others(server, ann, add_user, faults) -> None:
    off, on = add_user("fred", "viewer", name=NAME), add_user("fred", "helper")
    prefix = re.match(r"\D+", on["username"])[0]
    page = ann("/console/admin/users")
    expect(page).to_have_title("Users – Moorage")
    page.get_by_label("Search").fill(prefix.upper())
    expect(row(page, on["username"])).to_contain_text("helper")
    expect(row(page, off["username"])).to_contain_text(NAME)
    expect(row(page, "root")).to_have_count(0)
    page.get_by_label("Role").select_option("helper")
    expect(row(page, off["username"])).to_have_count(0)
    expect(page.get_by_label("State")).to_have_value("")
    page.get_by_label("State").select_option("active")
    expect(page).to_have_url(re.compile(rf"search={prefix.upper()}.*role=helper.*state=active"))

    other = ann(page.url.removeprefix(server.url), **PHONE)
    expect(row(other, on["username"])).to_be_visible()
    expect(other.get_by_label("Role")).to_have_value("helper")
    assert fits(other), "it fits a phone's width"
    other.get_by_label("State").select_option("deactivated")
    expect(other.get_by_text("Nobody matches.")).to_be_visible()
    other.get_by_role("link", name="Show everybody").click()
    expect(row(other, "root")).to_be_visible()
    assert fits(other), "it fits a phone's width"
    assert other.locator("main img").count() == 0
    assert faults == []


def test_a_user_from_being_made_to_being_deleted(server, ann, add_user, faults) -> None:
    add_user("taken", email="taken@example.org")
    name = f"zoe{next(NUMBERS)}"
    page = ann("/console/admin/users", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="New user").click()
    dialog = page.get_by_role("dialog", name="New user")
    expect(dialog.get_by_label("Username")).to_be_focused()
    dialog.get_by_label("Username").fill("no such name!")
    roles = dialog.get_by_label("Role").locator("option")
    expect(roles, "nobody gives more than they have").to_have_text(["viewer", "operator", "admin", "helper"])
    dialog.get_by_label("Role").select_option("helper")
    dialog.get_by_role("button", name="Make one up").click()
    expect(dialog.get_by_label("Password")).to_have_value(re.compile(r"^\w{20}$"))
    password = dialog.get_by_label("Password").input_value()
    dialog.get_by_role("button", name="Make the user").click()
    expect(dialog.get_by_role("alert")).to_contain_text("username")
    dialog.get_by_label("Username").fill(name)
    dialog.get_by_role("button", name="Make the user").click()
    page.get_by_role("main").get_by_role("status").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    expect(page).to_have_title(f"{name} – Users – Moorage")

    with server.client(name, password) as zoe:
        assert zoe.post("/api/v1/api-keys", json={"name": "<b>backup</b>"}).status_code == 201
        page.get_by_role("button", name="Change the role…").click()
        dialog = page.get_by_role("dialog", name=f"Role of {name}")
        dialog.get_by_label("Role").select_option("viewer")
        dialog.get_by_role("button", name="Change the role").click()
        expect(page.get_by_text(f"Changed: {name} is viewer now.")).to_be_visible()
        expect(page.get_by_role("heading", name=name, level=1)).to_be_focused()
        assert zoe.get("/auth/me").json()["role"] == "viewer"

        page.get_by_role("button", name="Edit name and e-mail…").click()
        dialog = page.get_by_role("dialog", name=f"Name and e-mail of {name}")
        expect(dialog.get_by_label("Name that others see")).to_have_value(name)
        dialog.get_by_label("Name that others see").fill(NAME)
        dialog.get_by_label("E-mail").fill("taken@example.org")
        dialog.get_by_role("button", name="Save").click()
        expect(dialog.get_by_role("alert")).to_contain_text("taken")
        dialog.get_by_label("E-mail").fill(f"{name}@example.org")
        dialog.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Changed. They see it")).to_be_visible()
        assert (zoe.get("/auth/me").json()["email"], page.locator("main img").count()) == (f"{name}@example.org", 0)
        expect(page.get_by_text(NAME)).to_be_visible()

        page.reload()
        keys = page.get_by_role("region", name="Keys for programs")
        keys.get_by_role("button", name="Revoke the key <b>backup</b>").click()
        dialog = page.get_by_role("dialog", name="Revoke the key “<b>backup</b>”?")
        expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        dialog.get_by_role("button", name="Revoke it").click()
        expect(keys.get_by_text("None.")).to_be_visible()

        page.get_by_role("button", name="Deactivate…").click()
        page.get_by_role("dialog", name=f"Deactivate {name}?").get_by_role("button", name="Deactivate").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"{name}deactivated")
        assert zoe.get("/api/me").status_code == 401
    page.get_by_role("button", name="Activate", exact=True).click()
    expect(page.get_by_text("Activated. They can sign in again.")).to_be_visible()
    page.get_by_role("button", name="Set a password…").click()
    dialog = page.get_by_role("dialog", name=f"New password of {name}")
    dialog.get_by_label("Password").fill("short")
    dialog.get_by_role("button", name="Set the password").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The password")
    dialog.get_by_label("Password").fill("a long new password")
    dialog.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("The password was set.")).to_be_visible()
    with server.client(name, "a long new password") as zoe:
        page.get_by_role("button", name="Delete…").click()
        dialog = page.get_by_role("dialog", name=f"Delete {name} for good?")
        expect(dialog.get_by_role("button", name=f"Delete {name}")).to_be_disabled()
        expect(dialog.get_by_label("To confirm")).to_be_focused()
        page.keyboard.type(name)
        expect(dialog.get_by_role("button", name=f"Delete {name}")).to_be_enabled()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Users", level=1)).to_be_visible()
        expect(row(page, "root")).to_be_visible()
        expect(row(page, name)).to_have_count(0)
        assert zoe.get("/api/me").status_code == 401
    assert real(faults) == []


def test_what_one_may_not_is_said_and_not_offered(server, ann, add_user, root, sign_in, faults) -> None:
    users = {one["username"]: one["id"] for one in root.get("/api/core/admin/users").json()["users"]}
    page = ann(f"/console/admin/users/{users['root']}")
    part = page.get_by_role("region", name="What can be done")
    expect(part).to_contain_text("Only an owner may change an owner")
    expect(part.get_by_role("button", name="Delete…")).to_have_count(0)
    page.goto(f"{server.url}/console/admin/users/{users['ann']}")
    expect(part).to_contain_text("This is you")
    expect(part.get_by_role("button")).to_have_count(0)
    page.goto(f"{server.url}/console/admin/users/user_none")
    expect(page.get_by_role("alert")).to_contain_text("There is no such user")

    helped = add_user("ida")
    page = sign_in("hal", f"/console/admin/users/{helped['id']}", **PHONE)
    part = page.get_by_role("region", name="What can be done")
    expect(part).to_contain_text("You need the permission core:user:manage")
    expect(part.get_by_role("button")).to_have_count(0)
    expect(page.get_by_role("region", name="Where they are signed in")).to_have_count(0)
    assert fits(page), "it fits a phone's width"
    page.get_by_role("link", name="All users").click()
    expect(row(page, helped["username"])).to_be_visible()
    expect(page.get_by_role("button", name="New user")).to_have_count(0)
    assert real(faults) == []


def test_a_login_with_something_open_is_seen_and_ended(server, ann, add_user, faults) -> None:
    name = add_user("lou")["username"]
    cookie = server.cookie(name)
    headers = {"Cookie": cookie}
    url = f"{server.ws_url}/one/echo"
    with websockets.sync.client.connect(url, additional_headers=headers, open_timeout=WAIT) as socket:
        page = ann("/console/admin/sessions", **PHONE)
        expect(row(page, "ann").filter(has_text="this one").get_by_role("button", name="End")).to_have_count(0)
        page.get_by_label("Of the user").fill(name)
        expect(page.get_by_text("1 login", exact=True)).to_be_visible()
        expect(row(page, name)).to_contain_text("one")
        assert fits(page), "it fits a phone's width"
        start = row(page, name).get_by_role("button", name=f"End the login of {name}")
        start.click()
        dialog = page.get_by_role("dialog", name=f"End the login of {name}?")
        expect(dialog).to_contain_text("What it holds open closes at once: one.")
        page.keyboard.press("Escape")
        expect(start).to_be_focused()
        page.keyboard.press("Enter")
        dialog.get_by_role("button", name="End it").click()
        expect(page.get_by_text(f"Ended: the login of {name}")).to_be_visible()
        expect(page.get_by_text(f"{name} is not signed in anywhere.")).to_be_visible()
        expect(page.get_by_role("heading", name="Logins", level=1)).to_be_focused()
        with pytest.raises(websockets.ConnectionClosed):
            socket.recv(timeout=WAIT)
    assert httpx.get(f"{server.url}/api/me", headers=headers).status_code == 401
    page.get_by_label("Of the user").fill("nobody-at-all")
    expect(page.get_by_role("alert")).to_contain_text("There is no such user")
    page.get_by_label("Of the user").fill("")
    expect(row(page, "ann").first).to_be_visible()
    assert real(faults) == []


def test_somebody_is_signed_out_everywhere(server, ann, add_user, faults) -> None:
    user = add_user("max")
    with server.client(user["username"]) as one, server.client(user["username"]) as two:
        page = ann(f"/console/admin/users/{user['id']}")
        part = page.get_by_role("region", name="Where they are signed in")
        expect(part.get_by_role("row")).to_have_count(3)
        page.get_by_role("button", name="Sign out everywhere…").click()
        page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("2 logins were ended.")).to_be_visible()
        expect(part.get_by_text("Nowhere.")).to_be_visible()
        assert {client.get("/api/me").status_code for client in (one, two)} == {401}
    assert faults == []


def test_an_invite_lets_somebody_in_and_ends(server, ann, faults) -> None:
    note, who = f"for {NAME} {next(NUMBERS)}", f"ivy{next(NUMBERS)}"
    page = ann("/console/admin/users")
    page.get_by_role("link", name="Invite", exact=True).click()
    dialog = page.get_by_role("dialog", name="New invite")
    roles = dialog.get_by_label("Role of whoever comes").locator("option")
    expect(roles).to_have_text(["viewer", "operator", "helper"])
    dialog.get_by_label("Role of whoever comes").select_option("helper")
    dialog.get_by_label("For how many people").fill("2")
    dialog.get_by_label("Note for yourself").fill(note)
    dialog.get_by_role("button", name="Make the invite").click()
    shown = page.get_by_label(re.compile("The link of the new invite"))
    link = shown.input_value()
    assert link.startswith(f"{server.url}/invite/")
    page.get_by_role("button", name="Done").click()
    expect(shown).to_have_count(0)
    token = link.rpartition("/")[2]
    assert token not in page.content()
    made = httpx.post(
        f"{server.url}/auth/register", json={"invite_code": token, "username": who, "password": "a long new password"}
    )
    assert made.is_success, made.text
    page.reload()
    expect(row(page, note)).to_contain_text("1 of 2")
    row(page, note).get_by_role("button", name="Who came").click()
    expect(page.get_by_role("dialog").get_by_role("link", name=who)).to_be_visible()
    page.keyboard.press("Escape")
    row(page, note).get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog", name=f"Revoke the invite {note}?").get_by_role("button", name="Revoke it").click()
    expect(row(page, note)).to_contain_text("revoked")
    page.get_by_label("Show").select_option("those that let somebody in")
    expect(row(page, note)).to_have_count(0)
    page.get_by_label("Show").select_option("all")
    row(page, note).get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(page.get_by_text(f"Deleted: {note}.")).to_be_visible()
    expect(row(page, note)).to_have_count(0)
    assert page.locator("main img").count() == 0
    assert faults == []


def test_a_code_is_chosen_and_seen_again(ann, root, faults) -> None:
    code = f"WELCOME-{next(NUMBERS)}"
    page = ann("/console/admin/invites?new=1", **PHONE)
    dialog = page.get_by_role("dialog", name="New invite")
    dialog.get_by_label("As").select_option("code")
    dialog.get_by_label("Code", exact=True).fill(code)
    dialog.get_by_role("button", name="Make the invite").click()
    expect(page.get_by_label("The code of the new invite.")).to_have_value(code)
    assert "new" not in page.url
    page.reload()
    expect(row(page, code)).to_contain_text("0 of 1")
    assert fits(page), "it fits a phone's width"
    invites = root.get("/api/core/admin/invites").json()["invites"]
    assert [one["state"] for one in invites if one["code"] == code] == ["valid"]
    assert faults == []


def test_events_are_filtered_by_the_address_and_taken_out(server, ann, add_user, root, faults) -> None:
    user = add_user("eva")
    assert root.patch(f"/api/core/admin/users/{user['id']}", json={"name": NAME, "role": "viewer"}).is_success
    page = ann(f"/console/admin/users/{user['id']}")
    page.get_by_role("link", name="what was done to them").click()
    expect(page.get_by_label("Target")).to_have_value(f"user:{user['number']}")
    changed = row(page, "user.role_changed")
    expect(changed).to_contain_text("root")
    expect(changed).to_contain_text(f"user:{user['username']}")
    changed.get_by_role("button", name="Details of user.role_changed").click()
    expect(page.get_by_role("table")).to_contain_text('"before": "operator"')
    expect(row(page, "user.created")).to_be_visible()
    changed.get_by_role("link", name="user.role_changed").click()
    expect(row(page, "user.created")).to_have_count(0)
    expect(page.get_by_label("Action")).to_have_value("user.role_changed")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export what was found").click()
    lines = download.value.path().read_text().splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["user.role_changed"]

    page.get_by_label("Action").fill("us*")
    expect(page.get_by_text("Write an action as user.created")).to_be_visible()
    page.get_by_label("Action").fill("user.*")
    expect(row(page, "user.created")).to_be_visible()
    page.get_by_label("Until before").fill("2020-01-01T00:00")
    expect(page.get_by_text("Nothing that was done matches.")).to_be_visible()
    page.get_by_role("link", name="Show everything").click()
    expect(page.get_by_label("Target")).to_have_value("")
    page.get_by_label("Who").fill("ROOT")
    expect(page).to_have_url(re.compile("actor=ROOT$"))
    expect(row(page, "user.role_changed").first).to_be_visible()
    assert faults == []


def test_long_lists_have_pages(server, ann, root, faults) -> None:
    for number in range(55):
        root.get("/api/core/admin/audit", params={"request_id": f"page-{number}"})
    page = ann("/console/admin/audit?action=audit.read", **PHONE)
    pages = page.get_by_role("navigation", name="Pages of events")
    expect(pages).to_contain_text("1–50 of")
    pages.get_by_role("link", name="Next page").click()
    expect(pages).to_contain_text("51–")
    expect(page).to_have_url(re.compile("offset=50"))
    page.get_by_role("button", name="Details").first.click()
    expect(page.get_by_role("table")).to_contain_text("Request")
    assert fits(page), "it fits a phone's width"
    page.go_back()
    expect(pages).to_contain_text("1–50 of")
    assert faults == []
