"""The console beside plugins that say what they should not: each fault stays with its plugin, no secret is shown."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fakedist import probe
from harness import running
from moorage.api import Entry, Health, Page
from moorage.foreign import json_object
from waits import WAIT

ENTRIES = {
    "nothing": "[Entry('t', None, '/x')]",
    "large": "[Entry('t', 't', '/x' * 5_000_000)]",
    "elsewhere": "[Entry('t', 't', 'javascript:alert(1)')]",
    "endless": "itertools.repeat(Entry('t', 't', '/x'))",
    "breaking": "(1 / 0 for _ in 'x')",
    "surrogate": "[Entry('t', chr(0xD800) + 't' * 1000, '/x')]",
    "naive": "[Entry('t', 't', '/x', updated_at=datetime(2020, 1, 1))]",
}
PAGES = {
    "nothing": "7",
    "large": "[Page('p', 'T' * 101, '/p.js')]",
    "elsewhere": "[Page('p', 'T', '//evil.example/p.js')]",
    "endless": "itertools.repeat(Page('p', 'T', '/p.js'))",
    "breaking": "(1 / 0 for _ in 'x')",
    "surrogate": "[Page('p', chr(0xD800), '/p.js')]",
    "naive": "[Page('p', 'T', '/p.js', permission=7)]",
}
DETAILS = {
    "nothing": "{'a': object()}",
    "large": "{'a': 'x' * 2_000_000}",
    "elsewhere": "{('a', 1): 1}",
    "endless": "{'a': float('inf')}",
    "breaking": "[1]",
    "surrogate": "{'a': chr(0xD800)}",
    "naive": "{'a': {'b': [1, None]}}",
}
HEALTH = {
    "nothing": "7",
    "large": "Health('ok', 'x' * 5_000_000)",
    "elsewhere": "Health('weird')",
    "endless": "Health('ok', '', {'a': float('nan')})",
    "breaking": "Health('degraded', 'no way to postgres://u:hunter22@db/x')",
    "surrogate": "Health('ok', chr(0xD800), {'a': object()})",
    "naive": "Health('ok', 'all well', {'a': 1})",
}
BODY = """
    @hookimpl
    async def moorage_overview(self, actor, limit):
        return {entries}

    @hookimpl
    async def moorage_search(self, actor, query, limit):
        return {entries}

    @hookimpl
    def moorage_pages(self):
        return {pages}

    @hookimpl
    async def moorage_user_details(self, actor, user):
        return {details}

    @hookimpl
    async def moorage_health(self):
        return {health}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    for name in ENTRIES:
        said = {"entries": ENTRIES[name], "pages": PAGES[name], "details": DETAILS[name], "health": HEALTH[name]}
        probe(site, name, body=BODY.format(**said))
        module = site / f"{name}_module.py"
        module.write_text("import itertools\nfrom datetime import datetime\n" + module.read_text())
    slow = "@hookimpl\nasync def moorage_shutdown(self):\n    await asyncio.sleep(1.5)"
    probe(site, "slow", body=slow)
    failing = "@hookimpl\nasync def moorage_startup(self, hub):\n    raise OSError('redis://:hunter22@cache is away')"
    probe(site, "failing", body=failing)
    config: dict[str, Any] = {
        "limits": {"enabled": False},
        "server": {"request_timeout": 1},
        "plugins": {name: {"enabled": True} for name in (*ENTRIES, "slow", "failing")},
    }
    with running(tmp_path_factory.mktemp("server"), config, env={"PYTHONPATH": str(site)}) as server:
        server.add_users({"ann": "admin", "vic": "viewer"})
        yield server


@pytest.fixture(scope="module")
def ann(server):
    with server.client("ann") as client:
        yield client


@pytest.mark.parametrize("path", ["/api/console/overview?limit=10", "/api/console/search?q=t&limit=10"])
def test_entries_that_are_none_take_nothing_from_the_other_plugins(server, path) -> None:
    with server.client("vic") as vic:
        found = vic.get(path)
    assert found.status_code == 200, found.text
    assert sorted(found.json()["missing"]) == ["breaking", "elsewhere", "large", "nothing"]
    shown = {entry["plugin"]: entry for entry in found.json()["entries"]}
    assert sorted(shown) == ["endless", "naive", "surrogate"]
    assert shown["surrogate"]["title"] == "?" + "t" * 299
    assert shown["naive"]["updated_at"] == "2020-01-01T00:00:00Z"
    assert len(found.json()["entries"]) == 12


def test_pages_that_are_none_leave_everybody_the_console(ann) -> None:
    found = ann.get("/api/console/state")
    assert found.status_code == 200, found.text
    assert {page["plugin"] for page in found.json()["pages"]} == {"endless"}
    assert len(found.json()["pages"]) == 50


def test_what_plugins_say_of_a_user_is_json_or_nothing(ann) -> None:
    user = ann.get("/api/core/admin/users").json()["users"][0]
    shown = ann.get(f"/api/core/admin/users/{user['id']}")
    assert shown.status_code == 200, shown.text
    assert shown.json()["plugins"] == {"naive": {"a": {"b": [1, None]}}}
    contract = ann.get(f"/api/v1/users/{user['number']}")
    assert contract.status_code == 200, contract.text
    assert contract.json()["data"]["a"] == {"b": [1, None]}


def test_health_that_is_none_is_a_fault_of_its_plugin(ann) -> None:
    report = ann.get("/health")
    assert report.status_code == 200, report.text
    parts = report.json()["components"]
    for name in ("elsewhere", "endless", "surrogate"):
        assert parts[name]["status"] == "failed", name
    assert len(parts["large"]["detail"]) == 2000
    assert (parts["naive"]["status"], parts["naive"]["detail"]) == ("ok", "all well")
    assert ann.get("/api/core/plugins").status_code == 200


def test_why_a_plugin_does_not_run_names_no_password(server, ann) -> None:
    answers = [ann.get(path).text for path in ("/health", "/api/core/plugins", "/api/core/plugins/failing")]
    answers += [ann.post("/api/core/reload").text, ann.get("/failing/greet").text, server.cli("plugins", "list").stdout]
    assert "redis://:***@cache is away" in answers[1]
    assert "postgres://u:***@db/x" in answers[0]
    assert not [text for text in answers if "hunter22" in text]


def test_a_switch_that_outlasts_its_request_is_in_the_audit_log(ann) -> None:
    with pytest.raises(httpx.ReadTimeout):
        ann.post("/api/core/plugins/slow/disable", timeout=0.3)

    def written() -> list[str]:
        events = ann.get("/api/core/admin/audit", params={"target": "plugin:slow"}).json()["events"]
        return [event["action"] for event in events]

    deadline = time.monotonic() + WAIT
    while not (actions := written()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert actions == ["plugin.disabled"]


@pytest.mark.parametrize("module", ["p.js", "//evil/p.js", "/\\evil/p.js", "/../p.js", "/a/%2e%2e/p.js", "/a b", "/.."])
def test_a_page_is_of_the_plugins_own_routes(module) -> None:
    with pytest.raises(ValueError, match=r"no path|leads out"):
        Page("p", "T", module)


def test_a_page_of_administration_says_who_may_see_it() -> None:
    with pytest.raises(ValueError, match="names the permission"):
        Page("p", "T", "/p.js", section="admin")


def test_what_is_in_order_is_taken() -> None:
    assert Page("p", "Täglich", "/a.b/p..v1.js?x=1", permission="hello:page:view", section="admin").order == 100
    assert Entry("t", "t", "/console/x?y#z", updated_at=datetime(2020, 1, 1)).updated_at == datetime(
        2020, 1, 1, tzinfo=UTC
    )
    assert Health("degraded", "text", {"a": [1]}).data == {"a": [1]}
    deep: dict[str, Any] = {}
    deep["a"] = deep
    assert json_object(deep) is None
    assert json_object({1: "a"}) == {"1": "a"}
    assert json.dumps(json_object({"é": "é"}), ensure_ascii=False) == '{"é": "é"}'
