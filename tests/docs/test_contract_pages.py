"""The pages of the contracts: each account route is on the pages it belongs to, each example does what it says."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from harness import environment, running
from moorage.app import App
from moorage.config import load
from moorage.openapi.served import by_document
from moorage.routes import ProxyRoute, SocketRoute
from realparts.llm import Llm
from waits import WAIT

FOLDER = Path(__file__).parents[2] / "docs" / "contracts"
PAGES = ("octo", "chrote", "octoprox", "orbital", "chat")
CONFIG = {
    "limits": {"enabled": False},
    "accounts": {"argon2_memory_kib": 256, "argon2_time": 1},
}
SHARED = {
    "octo": {"GET /api/me", "POST /api/auth/logout", "GET /api/auth/csrf"},
    "chrote": {
        "POST /auth/logout",
        "POST /api/auth/logout",
        "GET /auth/me",
        "GET /invite/{token}",
        "GET /api/auth/callback/{provider}",
    },
    "octoprox": set(),
    "orbital": {
        "GET /api/me",
        "GET /api/auth/callback/{provider}",
        "GET /.well-known/oauth-authorization-server",
        "GET /.well-known/jwks.json",
    },
    "chat": {"GET /health", "GET /auth/me", "POST /auth/logout"},
}
"""Routes of a page whose view is another surface's or the core's."""

PLUGINS = {
    "tmux": {"chrote"},
    "opencode": {"octo"},
    "mcp": {"octoprox"},
    "chat": {"chat", "orbital"},
    "memories": {"octo"},
    "voice": {"octo"},
}
"""Plugins and the pages of their contracts."""

ROUTE = r"`(GET|POST|PUT|PATCH|DELETE|WS) (/[^\s`]*)`"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
SETTINGS = re.compile(r"^```toml\n(.*?)^```$", re.M | re.S)
SCRIPT = 'set -u\nsay() { printf "\\n=== %s\\n" "$1"; }\n'


def text_of(page):
    return (FOLDER / f"{page}.md").read_text()


def section(page, title):
    """A part of a page, from its heading to the next of the same rank; empty where there is none."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text_of(page), re.M | re.S)
    return found[1] if found else ""


def rows(text):
    """The routes in the first cells of tables."""
    return [f"{method} {path}" for method, path in re.findall(rf"^\| {ROUTE} \|", text, re.M)]


def shape(route):
    return re.sub(r"\{[^}]*\}", "{}", route)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The routes by document, with shipped plugins; those of plugins hold their sockets and proxied paths as well."""
    file = tmp_path_factory.mktemp("table") / "moorage.toml"
    file.write_text('data_dir = "data"\n' + "".join(f"[plugins.{name}]\nenabled = true\n" for name in PLUGINS))
    loaded = load(file, env={})

    async def sites():
        app = App(loaded)
        records = await app.plugins.load(loaded)
        await app.prepare(records)
        return app.sites(records)

    found = asyncio.run(sites())
    documents = {
        name: {f"{method} {one.route.path}" for one in served for method in one.route.methods}
        for name, served in by_document(found).items()
    }
    for _, entry in found.entries():
        if isinstance(entry.route, SocketRoute):
            documents[f"plugin-{entry.owner}"].add(f"WS {entry.route.path}")
        elif isinstance(entry.route, ProxyRoute):
            documents[f"plugin-{entry.owner}"] |= {f"{method} {entry.route.path}" for method in entry.route.methods}
    return documents


@pytest.mark.parametrize("page", PAGES)
def test_a_page_holds_the_routes_of_its_contract_and_no_others(page, table):
    listed = rows(section(page, "Served"))
    assert len(listed) == len(set(listed)), "a route is listed twice"
    assert set(listed) == table[page] | SHARED[page]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_served_or_said_to_be_missing(page, table):
    served = {shape(route) for document in table.values() for route in document}
    missing = {shape(route) for route in rows(section(page, "Not served yet"))}
    # What a plugin has at the same path, maybe mounted elsewhere, is not what the other contracts mean by it.
    elsewhere = set().union(*(table[f"plugin-{name}"] for name, own in PLUGINS.items() if page not in own))
    assert not missing & {shape(route) for document in table.values() for route in document - elsewhere}
    plugin = rows(section(page, "With the tmux plugin"))
    assert set(plugin) == (table["plugin-tmux"] if page == "chrote" else set())
    named = {shape(f"{method} {path.partition('?')[0]}") for method, path in re.findall(ROUTE, text_of(page))}
    assert named <= served | missing


def test_the_page_of_octo_holds_the_routes_of_sessions_and_no_others(table):
    """Those of the parts by their beginnings."""
    part = section("octo", "With the opencode plugin")
    beginnings = re.findall(r"^\| `ANY (/[^\s`]*)…` \|", part, re.M)
    below = {
        route: [path for path in beginnings if re.match(rf"{re.escape(path)}(?=/|$)", route.split()[1])]
        for route in table["plugin-opencode"]
    }
    assert set(rows(part)) == {route for route, found in below.items() if not found}
    assert set(beginnings) == {path for found in below.values() for path in found}


def test_the_page_of_octo_holds_the_routes_of_voice_and_no_others(table):
    assert set(rows(section("octo", "With the voice plugin"))) == table["plugin-voice"]


def test_the_page_of_octo_holds_the_routes_of_memories_and_no_others(table):
    """Those that are below several addresses by their beginnings, and their ends once."""
    part = section("octo", "With the memories plugin")
    bases = re.findall(r"^\| `(/[^\s`]*)…` \|", part, re.M)
    ends = [f"{method} {end}" for method, end in re.findall(r"^\| `(GET|POST|PUT|DELETE) …(/?[^\s`]*)` \|", part, re.M)]
    told = {f"{method} {base}{end}" for base in bases for method, _, end in (one.partition(" ") for one in ends)}
    assert told | set(rows(part)) == table["plugin-memories"]
    assert not told & set(rows(part))


def test_the_page_of_octoprox_holds_the_routes_of_workspaces_and_no_others(table):
    assert set(rows(section("octoprox", "With the mcp plugin"))) == table["plugin-mcp"]


def test_the_pages_of_chat_and_orbital_hold_the_routes_of_conversations_and_no_others(table):
    chat, orbital = (rows(section(page, "With the chat plugin")) for page in ("chat", "orbital"))
    assert set(chat) | set(orbital) == table["plugin-chat"]
    assert {route for route in table["plugin-chat"] if " /api/conversations" in route} == set(orbital)
    assert not set(chat) & set(orbital)


def test_each_account_route_is_on_some_page(table):
    listed = {route for page in PAGES for route in rows(section(page, "Served"))}
    assert set().union(*(table[page] for page in PAGES)) <= listed


def test_the_settings_are_right(tmp_path):
    found = [text for page in ("README", *PAGES) for text in SETTINGS.findall(text_of(page))]
    assert found
    for number, text in enumerate(found):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        load(file, env={})


def examples(page):
    """[command, what it answers] of the console blocks, in their order."""
    found = []
    for block in BLOCK.findall(text_of(page)):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append([line[2:], ""])
            elif found[-1][0].endswith("\\") and not found[-1][1]:
                found[-1][0] += "\n" + line
            else:
                found[-1][1] += line + "\n"
    return found


def play(page, server, folder, **env):
    """Run a page's commands in one shell; each command with what it should and what it did say."""
    bash, curl = shutil.which("bash"), shutil.which("curl")
    options = subprocess.run([curl, "--help", "all"], capture_output=True, text=True).stdout if curl else ""
    if bash is None or "--json" not in options:
        pytest.skip("bash and curl 7.82 or newer are needed")
    told = examples(page)
    assert len(told) > 5
    # As the shipped configuration has it: CHROTE's paths with terminals are whole at a port of their own.
    address = f"http://127.0.0.1:{3000 if page == 'chrote' else 8000}"
    script = SCRIPT + "".join(f"say {number}\n{command}\n" for number, (command, _) in enumerate(told))
    done = subprocess.run(
        [bash, "-c", script.replace(address, server.url)],
        cwd=folder,
        env=environment(HOME=str(folder), PATH=os.environ["PATH"], **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    said = re.split(r"^=== \d+\n", done.stdout.replace(server.url, address), flags=re.M)[1:]
    assert len(said) == len(told), done.stdout
    for (command, expected), answer in zip(told, said, strict=True):
        compare(command, expected.strip(), answer.strip())


def compare(command, expected, answer):
    """Equal but for what `…` stands for; of JSON also but for numbers, and the status counts."""
    body, status = split(answer)
    wanted, wanted_status = split(expected)
    assert status == wanted_status, f"$ {command}\n{answer}"
    if wanted[:1] in "[{" and wanted:
        assert alike(json.loads(wanted), json.loads(body)), f"$ {command}\n{answer}\nThe page says:\n{expected}"
    else:
        assert like(wanted, body), f"$ {command}\n{answer}\nThe page says:\n{expected}"


def split(text):
    found = re.fullmatch(r"(.*?)(?:(?:^|\s)(\d{3}))?", text, re.S)
    return found[1], found[2]


def alike(wanted, found):
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(alike(wanted[key], found[key]) for key in wanted)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(alike, wanted, found))
    if isinstance(wanted, str) and isinstance(found, str):
        return like(wanted, found)
    number = type(wanted) in (int, float) and type(found) in (int, float)
    return number or (type(wanted) is type(found) and wanted == found)


def like(wanted, found):
    return re.fullmatch(".*".join(map(re.escape, wanted.split("…"))), found, re.S) is not None


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with an owner, as most pages have it, and with a tmux of its own."""
    folder = tmp_path_factory.mktemp("pages")
    socket = str(folder / "tmux")
    tmux = {"enabled": True, "required": True, "mount": ["/"], "socket_path": socket}
    on = {"enabled": True, "required": True}
    config = {**CONFIG, "plugins": {"chat": on, "mcp": on, "tmux": tmux}}
    with running(folder, config) as server:
        ada = ["users", "create", "ada", "--role", "owner", "--email", "ada@example.org", "--password-file", "-"]
        server.cli(*ada, input="correct horse battery\n")
        yield server
    subprocess.run(["tmux", "-S", socket, "kill-server"], capture_output=True)


@pytest.mark.parametrize("page", [page for page in PAGES if page != "chat"])
def test_the_examples_of_a_page_do_what_it_says(page, server, tmp_path):
    play(page, server, tmp_path)


def test_the_examples_of_chat_begin_with_its_first_user(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    llm = Llm()
    provider = {"name": "LM Studio", "base_url": llm.url}
    chat = {"enabled": True, "required": True, "providers": {"lmstudio": provider}}
    try:
        with running(folder, {**CONFIG, "plugins": {"chat": chat}}) as fresh:
            play("chat", fresh, tmp_path, SETUP=setup_token(fresh))
    finally:
        llm.stop()


def setup_token(server):
    """What the link of the first start holds; it is written a moment after the server is ready."""
    file = server.data_dir / "run" / "setup-token"
    deadline = time.monotonic() + WAIT
    while not (file.exists() and file.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return file.read_text().strip()


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ('{"a": "x…"} 200', '{"a": "y"} 200'),
        ('{"a": 1} 200', '{"a": 1} 201'),
        ('{"a": 1} 200', '{"a": 1, "b": 2} 200'),
        ('{"a": true} 200', '{"a": false} 200'),
        ("204", '{"a": 1} 204'),
    ],
)
def test_an_answer_that_is_not_as_the_page_says_is_found(expected, answer):
    compare("", expected, expected)
    with pytest.raises(AssertionError):
        compare("", expected, answer)
