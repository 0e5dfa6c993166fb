"""Logins at a provider that come at the same moment, over both databases; and what a server without providers pays."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import running
from visitor import Visitor, provider

AT_ONCE = 10


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_first_logins_of_somebody_at_once_make_one_user(tmp_path, request, identity_provider, kind):
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else "sqlite://moorage.db"
    config = {
        "database": {"url": url},
        "limits": {"general": "100000/minute", "authentication": "100000/minute"},
        "accounts": {
            "argon2_memory_kib": 256,
            "argon2_time": 1,
            "providers": {"open": provider(identity_provider.issuer, register_new="open")},
        },
    }
    identity_provider.tell(person={"sub": "crowd", "email": "crowd@example.org"})
    with running(tmp_path, config) as server:
        server.add_user("root", "owner")
        visitors = [Visitor(server) for _ in range(AT_ONCE)]
        backs = [visitor.at_provider(visitor.leave("open")) for visitor in visitors]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            places = list(pool.map(lambda pair: pair[0].come_back(pair[1]), zip(visitors, backs, strict=True)))
        assert places == ["/"] * AT_ONCE
        assert len({visitor.me()["id"] for visitor in visitors}) == 1
        for visitor in visitors:
            visitor.close()
        with server.client("root") as root:
            assert len(root.get("/api/users").json()["users"]) == 2


def test_a_server_without_providers_does_not_import_their_client():
    code = "import sys, moorage.app, moorage.builtin; sys.exit('authlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_client_warns_of_nothing_when_it_is_imported():
    code = "import moorage.accounts.oauth.client"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
