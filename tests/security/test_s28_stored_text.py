"""S28: what people write is text: answers that hold it are no pages, and pages hold none of it.

How the console shows it, in a real browser: tests/browser/test_account_pages.py (a name is text wherever it is shown).
"""

import re

import pytest
from openapi_check import documents_of
from people import PASSWORD, populated

EVIL = "<img src=x onerror=alert(1)>"
SCRIPT = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("s28")) as people:
        root = people.root.client
        root.put("/api/me", json={"display_name": EVIL}).raise_for_status()
        root.post("/api/v1/api-keys", json={"name": EVIL}).raise_for_status()
        root.post("/api/invites", json={"role": "viewer", "note": EVIL}).raise_for_status()
        root.post("/api/admin/invite-codes", json={"note": SCRIPT}).raise_for_status()
        root.post("/api/auth/login", json={"username": "root", "password": PASSWORD}, headers={"User-Agent": EVIL})
        yield people


def is_data(answer):
    kind = answer.headers.get("content-type", "application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"
    return not re.match(r"(text/html|application/xhtml|image/svg|text/xml|application/xml)", kind)


def test_every_answer_that_holds_stored_text_is_data(people):
    holding = set()
    for document in documents_of(people.server):
        for template, item in document["paths"].items():
            if "get" not in item or "metrics" in template:
                continue
            path = re.sub(r"\{\w*id\}", people.root.pid, template)
            answer = people.root.client.get(re.sub(r"\{\w+\}", "x", path), headers={"Accept": "text/html"})
            if EVIL in answer.text or SCRIPT in answer.text:
                assert is_data(answer), path
                holding.add(path)
            elif not is_data(answer):
                assert "onerror" not in answer.text, path
                assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert len(holding) > 5, holding


@pytest.mark.parametrize("text", [EVIL, SCRIPT, "javascript:alert(1)//<svg/onload=alert(1)>"])
def test_what_is_sent_back_is_data_too(people, text):
    client = people.anybody()
    answers = [
        client.get(f"/{text}"),
        client.get("/api/me/x", params={"x": text}),
        client.get("/device", params={"user_code": text}),
        client.get("/api/auth/device", params={"user_code": text[:32]}),
        client.get("/auth/" + re.sub(r"[^\w<>=() ]", "", text)),
        client.post("/api/auth/login", json={"username": text, "password": text, text: text}),
        client.post("/api/auth/token", data={"grant_type": text, "client_id": text}),
        client.post("/api/auth/device/code", json={"client_id": text, "scope": text}),
        client.post("/api/auth/login", content=text.encode(), headers={"Content-Type": text}),
        people.root.client.get("/api/v1/users", params={"page": text}),
        people.root.client.get("/api/admin/users", params={"role": text}),
    ]
    for answer in answers:
        assert answer.status_code < 500, answer.url
        assert is_data(answer) or answer.content == b"", answer.url


def test_pages_hold_nothing_of_what_asks_for_them(people):
    plain = people.root.client.get("/").text
    for path in ("/", f"/console/{EVIL}", f"/invite/{EVIL}", "/console/account"):
        answer = people.root.client.get(path, params={"error": EVIL, "next": SCRIPT})
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.text == plain, path


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", f"https://x.test/{EVIL}", "vbscript:x", "//x.test/a"]
)
def test_an_avatar_is_an_address_of_the_web(people, url):
    answer = people.root.client.put("/api/me", json={"avatar_url": url})
    shown = people.root.client.get("/auth/me").json()["avatarUrl"]
    assert answer.status_code in (400, 422) or shown is None or re.fullmatch(r"https?://[^<>\"\s]+", shown), shown
