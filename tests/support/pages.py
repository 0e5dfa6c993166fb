"""Every page of the application and its main dialogs, and a house in which each has something to show.

The tests of what all pages must be go through this list, and so do the pictures in the docs.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx
from lettingin import Program
from waits import WAIT
from wholehouse import House

MORE = ("light", "dark", "phone")
"""Of the main pages there are pictures in all of these."""


@dataclass(frozen=True)
class View:
    """A page as somebody sees it. Each has a picture in docs/screenshots: NAME.png, and of `pictures` others."""

    name: str
    who: str
    """Who is signed in; empty for nobody."""
    address: str
    """The address, with {names} of `show_off`."""
    heading: str
    """What its h1 says, with {names} of `show_off`."""
    shows: str = ""
    """Something of its content: text that is there when all has come."""
    opens: str = ""
    """A button that opens the dialog that is meant."""
    dialog: str = ""
    """The title of that dialog."""
    fills: tuple[str, str] | None = None
    """A field and what is typed into it before."""
    types: str = ""
    """What is typed into the terminal."""
    pictures: tuple[str, ...] = ("light",)


ADMIN = "/console/admin"
KEY = ("Name of a new key", "laptop")
VIEWS = (
    View("login", "", "/", "Sign in", "Continue with Corp", pictures=MORE),
    View("invite", "", "{invite}", "You are invited", "Make the account"),
    View("shared", "", "{shared}", "{talk}", "Shared to be read"),
    View("nothing-shared", "", "/console/shared/nothing", "Nothing is shared here", pictures=()),
    View("home", "ann", "/", "Home", "{talk}", pictures=MORE),
    View("search", "ann", "/", "Home", "{talk}", opens="Search", dialog="Search", pictures=MORE),
    View("not-found", "ann", "/console/nowhere", "Nothing is here", "There is no page"),
    View("terminals", "ann", "/console/terminals", "Terminals", "deploy", pictures=MORE),
    View("new-terminal", "ann", "/console/terminals", "Terminals", "deploy", "New terminal", "New terminal"),
    View("terminal", "ann", "{terminal}", "deploy", "Take control", pictures=MORE),
    View("recordings", "ann", "/console/recordings", "Recordings", "deploy"),
    View("replay", "ann", "{recording}", "deploy", pictures=("light", "dark")),
    View("sessions", "ann", "/console/sessions", "Sessions", "garden", pictures=MORE),
    View("new-session", "ann", "/console/sessions", "Sessions", "garden", "New session", "New session"),
    View("session", "ann", "{session}", "garden", "of memory"),
    View("session-terminal", "ann", "{session}/terminal", "garden", types="PS1='garden$ '; clear; ls\n"),
    View("session-files", "ann", "{session}/files", "garden", "plan.md"),
    View("session-log", "ann", "{session}/log", "garden"),
    View("workspaces", "ann", "/console/workspaces", "Workspaces", "garden-tools", pictures=MORE),
    View("new-workspace", "ann", "/console/workspaces", "Workspaces", "garden-tools", "New workspace", "New workspace"),
    View("workspace", "ann", "{workspace}", "garden-tools"),
    View("workspace-servers", "ann", "{workspace}/servers", "garden-tools", "every"),
    View("workspace-tools", "ann", "{workspace}/tools", "garden-tools", "every"),
    View("workspace-calls", "ann", "{workspace}/calls", "garden-tools", "git_status"),
    View("workspace-settings", "ann", "{workspace}/settings", "garden-tools"),
    View("chat", "ann", "/console/chat", "Conversations", "{talk}", pictures=("light", "phone")),
    View("chat-new", "ann", "/console/chat/new", "New conversation", "{talk}", pictures=()),
    View("conversation", "ann", "{conversation}", "{talk}", "hostas want no slugs", pictures=MORE),
    View("chat-usage", "ann", "/console/chat/usage", "Usage", "Answers"),
    View("memories", "ann", "/console/memories", "Memories", "The hose is in the shed", pictures=MORE),
    View("new-memory", "ann", "/console/memories", "Memories", "The hose", "New memory", "New memory"),
    View("plugin-page", "ann", "/console/plugin/hello/greetings", "Greetings of ann", "Ahoy"),
    View("account", "ann", "/console/account", "Your account", "Keys for programs", pictures=MORE),
    View("new-key", "ann", "/console/account", "Your account", "Good for", "Make a key", fills=KEY),
    View("device", "ann", "{device}", "Sign in a device", "Only approve if"),
    View("consent", "ann", "{consent}", "Let a program in", "Nobody has checked"),
    View("administration", "olga", ADMIN, "Administration", "Requests", pictures=MORE),
    View("users", "olga", f"{ADMIN}/users", "Users", "ann", pictures=("light", "phone")),
    View("user", "olga", "{user}", "ann", "Where they are signed in"),
    View("roles", "olga", f"{ADMIN}/roles", "Roles", "built in"),
    View("invites", "olga", f"{ADMIN}/invites", "Invites", "for the gardeners"),
    View("new-invite", "olga", f"{ADMIN}/invites", "Invites", "for the", "New invite", "New invite"),
    View("logins", "olga", f"{ADMIN}/sessions", "Logins", "ann"),
    View("running", "olga", f"{ADMIN}/running", "Running", "garden"),
    View("plugins", "olga", f"{ADMIN}/plugins", "Plugins", "memories", pictures=("light", "dark")),
    View("plugin", "olga", f"{ADMIN}/plugins/tmux", "tmux", "socket_name"),
    View("metrics", "olga", f"{ADMIN}/metrics", "Metrics", "Requests", pictures=("light", "dark")),
    View("audit", "olga", f"{ADMIN}/audit", "Audit", "olga"),
)


def show_off(house: House) -> dict[str, str]:
    """Something on each page. What `View`s name: addresses, and a title that is made up elsewhere."""
    return {**(names := house.furnish("ann")), **more_of(house, names)}


def more_of(house: House, furnished: dict[str, str]) -> dict[str, str]:
    """What `furnish` has not, and pages need."""
    names = {"talk": "What grows in the shade"}
    for title in ("Names for a sailing boat", "A letter to the harbour office", "Why the build is slow on Mondays"):
        house.conversation("ann", title, ("user", title + "?"), ("assistant", "Let us see."))
    number = furnished["conversation"].rpartition("/")[2]
    names["shared"] = _path(house, str(house.made("ann", f"/conversations/{number}/share", {})["url"]))
    talk = house.made("ann", "/conversations", {})["id"]
    house.made("ann", f"/conversations/{talk}/messages", {"content": "Say hello"})
    for terminal in ("build", "notes"):
        house.tmux.new_session(terminal)
    workspace = int(furnished["workspace"].rpartition("/")[2])
    use = {"workspace_id": workspace, "tool": "git_status", "parameters": {}}
    house.made("ann", "/api/v1/mcp/invoke", use)
    house.made("ann", "/hello/api/hello/greetings", {"text": "Ahoy"})
    house.made("ann", "/api/v1/api-keys", {"name": "nightly build"})
    names["recording"] = f"/console/recordings/{_recording(house)}"
    house.tmux.run("send-keys", "-t", "deploy", f"clear; cat {shlex.quote(str(_output(house)))}", "Enter")
    for note, role in (("for the gardeners", "operator"), ("for a guest", "viewer")):
        invite = house.made("olga", "/api/invites", {"role": role, "note": note, "max_uses": 3})
        names.setdefault("invite", _path(house, str(invite["url"])))
    with house.client("olga") as olga:
        users = olga.get("/api/core/admin/users").json()["users"]
    names["user"] = f"{ADMIN}/users/{next(one['id'] for one in users if one['username'] == 'ann')}"
    form = {"client_id": "orbital-cli", "scope": ""}
    agent = {"User-Agent": "orbital-cli/1.2"}
    asked = httpx.post(f"{house.url}/api/auth/device", data=form, headers=agent, timeout=WAIT)
    names["device"] = f"/console/device?user_code={asked.json()['user_code']}"
    program = Program(house.server, resource=f"{house.url}/ws/garden-tools/mcp")
    assert program.register(client_name="Notebook").is_success
    names["consent"] = f"/oauth/authorize?{urlencode(program.query())}"
    return names


def _path(house: House, url: str) -> str:
    return url.removeprefix(house.url)


GREEN, PLAIN = "\x1b[32m", "\x1b[0m"
LINES = (
    "Release 4.2, three hosts",
    f"harbour-1  unpacked  migrated  {GREEN}healthy{PLAIN}",
    f"harbour-2  unpacked  migrated  {GREEN}healthy{PLAIN}",
    f"harbour-3  unpacked  migrated  {GREEN}healthy{PLAIN}",
    "All hosts answer. Done in 41 s.",
)


def _output(house: House) -> Path:
    """What somebody's program has said."""
    file = house.projects / "deploy.log"
    file.write_text("\n".join(LINES) + "\n")
    return file


def _recording(house: House) -> str:
    """The id of a recording that has ended."""
    recording = str(house.made("ann", "/tmux/api/sessions/deploy/recording", {})["recording"]["id"])
    with house.client("ann") as ann:
        assert ann.delete("/tmux/api/sessions/deploy/recording").is_success
    [file] = house.server.data_dir.rglob(f"{recording}.cast")
    header = {"version": 3, "term": {"cols": 80, "rows": 24}, "timestamp": 1_700_000_000}
    steps = [[0.2 if number < 4 else 40, "o", f"{line}\r\n"] for number, line in enumerate(("$ ./deploy", *LINES))]
    file.write_text("".join(json.dumps(line) + "\n" for line in (header, *steps)))
    return recording
