"""Secrets in the settings of a plugin that nobody here knows: no page, answer, audit log, log or command shows one."""

from __future__ import annotations

import json

import pytest
from fakedist import install
from harness import Server

WORD = "hush-hush"
"""Stands in every secret; the digits after it say in which."""

SOURCE = """
from pathlib import Path
from pydantic import AnyUrl, Field, SecretStr
from moorage.api import *

class Account(PluginConfig):
    user: str = "me"
    password: SecretStr | None = None
    token: str = ""
    note: str = ""

class Config(PluginConfig):
    shown: str = "in the open"
    max_tokens: int = 5
    sealed: SecretStr | None = None
    sealed_list: list[SecretStr] = []
    sealed_table: dict[str, SecretStr] = {}
    by_default: SecretStr = SecretStr("hush-hush-1")
    token: str = "hush-hush-2"
    api_key: str | None = None
    private_keys: list[str] = []
    account: Account = Account()
    accounts: list[Account] = []
    by_name: dict[str, Account] = {}
    headers: dict[str, str] = {}
    anything: dict[str, object] = {}
    address: str = ""
    typed_address: AnyUrl | None = None
    from_file: SecretStr | None = None
    from_env: SecretStr | None = None
    elsewhere: SecretSource | None = None

class Thing(Plugin):
    manifest = Manifest(name="closed", version="1", summary="Has secrets", mounts=("/closed",), config=Config)

    @hookimpl
    async def moorage_startup(self, hub):
        assert hub.config.sealed.get_secret_value() == "hush-hush-3"
        assert hub.config.from_file.get_secret_value() == "hush-hush-4"
        assert hub.config.from_env.get_secret_value() == "hush-hush-5"
        hub.log.info("started with", settings=hub.config, token=hub.config.token)
"""


SETTINGS = """
[plugins.closed]
enabled = true
sealed = "hush-hush-3"
sealed_list = ["hush-hush-8"]
sealed_table = { a = "hush-hush-9" }
api_key = "hush-hush-10"
private_keys = ["hush-hush-11"]
account = { user = "zoe", password = "hush-hush-6", token = "hush-hush-7", note = "in the open" }
accounts = [{ user = "zoe", password = "hush-hush-6", token = "hush-hush-20", note = "in the open" }]
by_name.zoe = { user = "zoe", password = "hush-hush-6", token = "hush-hush-21", note = "in the open" }
headers = { Authorization = "Bearer hush-hush-12", X-Api-Key = "hush-hush-13", Accept = "in the open" }
anything = { deep = [{ client_secret = "hush-hush-14", plain = 1 }] }
address = "postgres://me:hush-hush-15@db.example.org/x"
typed_address = "https://me:hush-hush-16@example.org/x?token=hush-hush-17"
from_file_file = "secret"
elsewhere = { env = "FAR_SECRET" }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("server")
    install(site, "closed", SOURCE)
    env = {
        "PYTHONPATH": str(site),
        "FAR_SECRET": f"{WORD}-18",
        "MOORAGE__PLUGINS__CLOSED__FROM_ENV": f"{WORD}-5",
    }
    (folder / "secret").write_text("hush-hush-4\n")
    server = Server(folder, env=env)
    with server.config_file.open("a") as file:
        file.write(SETTINGS)
    try:
        server.start().add_users({"ann": "admin"})
        yield server
    finally:
        server.stop()


MISTAKES = {
    'token = "hush-hush-7"': 'token = ["hush-hush-7"]',
    'api_key = "hush-hush-10"': 'api_keys = "hush-hush-10"',
    'sealed = "hush-hush-3"': 'sealed = { a = "hush-hush-3" }',
    'private_keys = ["hush-hush-11"]': 'private_keys = "hush-hush-11"',
    'sealed_list = ["hush-hush-8"]': 'sealed_lists = ["hush-hush-8"]',
    "@example.org/x?": "@example.org:99999/x?",
}


def test_the_page_of_a_plugin_shows_none_and_says_where_each_is_from(server: Server) -> None:
    with server.client("ann") as ann:
        shown = ann.get("/api/core/plugins/closed").json()
    assert shown["state"] == "started", shown
    assert WORD not in json.dumps(shown)
    rows = {row["key"]: row for row in shown["settings"]}
    assert rows["from_env"]["source"] == "environment MOORAGE__PLUGINS__CLOSED__FROM_ENV"
    assert "secret" in rows["from_file"]["source"]
    assert "moorage.toml:" in rows["api_key"]["source"]
    assert rows["by_default"]["source"] == rows["token"]["source"] == "default"
    for key in ("sealed", "by_default", "token", "api_key", "from_file", "from_env", "by_name.zoe.token"):
        assert (rows[key]["secret"], rows[key]["value"]) == (True, "********"), key
    # What is none stays readable.
    assert (rows["shown"]["value"], rows["max_tokens"]["value"]) == ("in the open", 5)
    assert rows["by_name.zoe.note"]["value"] == "in the open"
    assert rows["headers.Accept"]["value"] == "in the open"
    assert rows["elsewhere.env"]["value"] == "FAR_SECRET"
    assert "db.example.org" in rows["address"]["value"]


def test_neither_do_refusals_the_audit_log_the_log_and_commands(server: Server) -> None:
    before = server.config_file.read_text()
    with server.client("ann") as ann:
        told = [ann.post("/api/core/plugins/closed/disable").text, ann.post("/api/core/plugins/closed/enable").text]
        wrong = before
        for right, mistaken in MISTAKES.items():
            assert right in wrong
            wrong = wrong.replace(right, mistaken)
        server.config_file.write_text(wrong)
        refused = ann.post("/api/core/reload").json()["failed"]["closed"]
        assert refused.count("must") + refused.count("unknown key") + refused.count("should") >= 4, refused
        told += [
            refused,
            ann.get("/api/core/plugins/closed").text,
            command(server, "check"),
            command(server, "explain"),
        ]
        server.config_file.write_text(before)
        assert ann.post("/api/core/reload").is_success
        told += [ann.get("/api/core/plugins").text, ann.get("/health").text]
        told += [ann.get("/api/v1/audit", params={"format": "jsonl"}).text]
    told += [command(server, "explain"), server.stderr]
    assert "started with" in server.stderr
    assert [text[max(0, text.index(WORD) - 300) :][:400] for text in told if WORD in text] == []


def command(server: Server, *words: str) -> str:
    found = server.cli("config", *words, check=False)
    return found.stdout + found.stderr
