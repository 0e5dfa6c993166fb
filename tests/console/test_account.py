"""What the account page asks for itself: the rule for passwords, and rights in words."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from harness import Server, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("account")) as server:
        server.add_users({"ann": "operator", "olga": "owner"})
        yield server


def test_rights_are_told_in_words_and_whose_they_are(server: Server) -> None:
    def held(name: str) -> dict[str, bool]:
        with server.client(name) as client:
            told = client.get("/api/console/account").json()
        assert told["has_password"] is True
        assert all(right["summary"] for right in told["rights"])
        return {right["name"]: right["held"] for right in told["rights"]}

    ann, olga = held("ann"), held("olga")
    assert ann.keys() == olga.keys()
    assert ann["core:key:create"]
    assert not ann["core:user:manage"]
    assert all(olga.values())


def test_a_key_is_told_what_it_may_itself(server: Server) -> None:
    with server.client("ann") as client:
        body = {"name": "narrow", "scopes": ["core:key:read"]}
        made = client.post("/api/v1/api-keys", json=body, headers={"Origin": server.url}).json()
    bearer = {"Authorization": f"Bearer {made['data']['api_key']}"}
    rights = httpx.get(f"{server.url}/api/console/account", headers=bearer).json()["rights"]
    assert [right["name"] for right in rights if right["held"]] == ["core:key:read"]


def test_strangers_are_told_nothing(server: Server) -> None:
    assert httpx.get(f"{server.url}/api/console/account").status_code == 401
