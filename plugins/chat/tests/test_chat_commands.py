"""`moorage chat`: use, limits, providers, export; on the database, beside a server."""

from __future__ import annotations

import json
import secrets

import pytest
from harness import running
from realparts.llm import MODEL, Fail, Llm, Say

KEY = "a-key-that-nobody-may-see"


@pytest.fixture(scope="module")
def llm():
    provider = Llm()
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory, llm):
    providers = {
        "lm": {"base_url": llm.url, "api_key": {"env": "LM_KEY"}},
        "away": {"base_url": "http://127.0.0.1:1/v1", "api_key": {"env": "NO_SUCH_KEY"}},
    }
    limits = {"viewer": {"messages_per_day": 5}}
    chat = {"enabled": True, "providers": providers, "limits": limits}
    with running(tmp_path_factory.mktemp("chat"), {"plugins": {"chat": chat}}, env={"LM_KEY": KEY}) as server:
        yield server


@pytest.fixture
def ann(server):
    """A user of this test's own."""
    name = f"ann-{secrets.token_hex(4)}"
    server.add_user(name, "viewer")
    return name


def complete(server, key):
    with server.client() as client:
        body = {"model": f"lm/{MODEL}", "messages": [{"role": "user", "content": "hi"}]}
        headers = {"Authorization": f"Bearer {key}"}
        return client.post("/v1/chat/completions", json=body, headers=headers)


def test_use_and_limits(server, ann):
    key = server.key(ann)
    assert complete(server, key).status_code == 200
    assert complete(server, key).status_code == 200
    table = server.cli("chat", "usage").stdout.splitlines()
    assert table[0].split() == ["USER", "ANSWERS", "TOKENS", "ASKED", "TOKENS", "ANSWERED"]
    assert [ann, "2", "22", "14"] in [line.split() for line in table]
    told = json.loads(server.cli("chat", "usage", "--user", ann, "--json").stdout)
    assert told["today"]["total_tokens"] == 36
    assert told["days"][0]["models"][0]["model"] == MODEL
    said = server.cli("chat", "usage", "--user", ann, "--days", "1").stdout
    assert "2 answers and 36 tokens today" in said
    assert f"lm/{MODEL}" in said
    # A user's own limits, at once in the server that runs.
    assert (
        "answers: 2, tokens: any number"
        in server.cli("chat", "limits", "set", ann, "--messages", "2", "--tokens", "none").stdout
    )
    listed = [line.split() for line in server.cli("chat", "limits", "list").stdout.splitlines()[1:]]
    assert listed == [["role", "viewer", "5", "any", "number"], [ann, "2", "any", "number"]]
    assert complete(server, key).json()["error"]["code"] == "insufficient_quota"
    server.cli("chat", "limits", "clear", ann)
    assert complete(server, key).status_code == 200
    wrong = server.cli("chat", "limits", "set", ann, "--messages", "-1", "--tokens", "1", check=False)
    assert (wrong.returncode, "neither a number nor none" in wrong.stderr) == (2, True)
    refused = server.cli("chat", "limits", "clear", "nobody", check=False)
    assert (refused.returncode, "There is no user 'nobody'" in refused.stderr) == (1, True)


def test_providers(server, llm):
    told = json.loads(server.cli("chat", "providers", "list", "--json").stdout)
    assert [(one["id"], one["kind"], one["key"]) for one in told] == [
        ("lm", "openai", "env LM_KEY"),
        ("away", "openai", "env NO_SUCH_KEY (missing)"),
    ]
    listed = server.cli("chat", "providers", "list")
    assert llm.url in listed.stdout
    checked = server.cli("chat", "providers", "check", check=False)
    assert checked.returncode == 1
    lm, away = checked.stdout.splitlines()
    assert lm.startswith("lm: answers in ")
    assert f"models: {MODEL}" in lm
    assert "away: PROVIDER_AUTH: no key in the environment variable NO_SUCH_KEY" in away
    llm.script("one word", Say("ready"))
    asked = server.cli("chat", "providers", "check", "lm", "--ask")
    assert f"lm: {MODEL} began to answer after" in asked.stdout
    assert "'ready'" in asked.stdout
    assert llm.keys[-1] == KEY
    llm.script("one word", Fail(404, "the model nosuch does not exist"))
    failed = server.cli("chat", "providers", "check", "lm", "--ask", "nosuch", check=False)
    assert (failed.returncode, "MODEL_NOT_FOUND" in failed.stdout) == (1, True)
    for one in (listed, checked, asked, failed):
        assert KEY not in one.stdout + one.stderr


def test_conversations_are_carried_out(server, ann, tmp_path):
    with server.client(ann) as page:
        token = page.get("/auth/me").headers["X-CSRF-Token"]
        made = page.post("/conversations", json={"title": "Carried"}, headers={"X-CSRF-Token": token}).json()
        path = f"/conversations/{made['id']}/messages"
        assert page.post(path, json={"content": "Åland"}, headers={"X-CSRF-Token": token}).status_code == 200
        other = page.post("/api/conversations", json={"title": "Other"}, headers={"X-CSRF-Token": token})
        assert other.status_code == 200, other.text
    lines = [json.loads(line) for line in server.cli("chat", "export", "--user", ann).stdout.splitlines()]
    assert {line["title"] for line in lines} == {"Carried", "Other"}
    assert [one["content"] for line in lines for one in line["messages"]] == ["Åland"]
    file = tmp_path / "ann.jsonl"
    said = server.cli("chat", "export", "--user", ann, "--output", str(file)).stderr
    assert f"2 conversations of {ann}" in said
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == lines
    assert file.stat().st_mode & 0o777 == 0o600
    again = server.cli("chat", "export", "--user", ann, "--output", str(file), check=False)
    assert (again.returncode, "File exists" in again.stderr) == (1, True)
