"""S1: a login at a provider begins a fresh session; what the browser held before is worth nothing."""

from __future__ import annotations

import httpx
import pytest
from harness import running
from visitor import Visitor, provider


@pytest.fixture(scope="module")
def server(tmp_path_factory, identity_provider):
    config = {
        "server": {"trusted_proxies": ["127.0.0.1"]},
        "limits": {"general": "100000/minute", "authentication": "100000/minute"},
        "accounts": {
            "argon2_memory_kib": 256,
            "argon2_time": 1,
            "providers": {"open": provider(identity_provider.issuer, register_new="open")},
        },
    }
    with running(tmp_path_factory.mktemp("s01"), config) as server:
        server.add_user("root", "owner")
        identity_provider.tell()
        yield server


def test_a_chosen_cookie_is_not_the_session(server):
    chosen = "mses_" + "A" * 43
    with Visitor(server, cookies={"moorage_session": chosen}) as visitor:
        back = visitor.get(visitor.at_provider(visitor.leave("open")))
        fresh = [one for one in back.headers.get_list("set-cookie") if one.startswith("moorage_session=mses_")]
        assert len(fresh) == 1
        assert chosen not in fresh[0]
        assert "HttpOnly" in fresh[0]
        assert "SameSite=Lax" in fresh[0]
    with Visitor(server, cookies={"moorage_session": chosen}) as other:
        assert other.me() is None


def test_each_login_ends_the_session_that_the_browser_had(server):
    with server.client("root") as client:
        old = client.cookies["moorage_session"]
        with Visitor(server, cookies=client.cookies) as visitor:
            assert visitor.sign_in("open") == "/"
            assert visitor.me()["role"] == "viewer"
            assert visitor.cookies["moorage_session"] != old
        assert client.get("/auth/me").status_code == 401


def test_over_https_the_cookies_are_of_this_host_alone(server):
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "moorage.example.org"}
    with Visitor(server, headers=headers) as visitor:
        begun = visitor.get("/api/auth/open")
        (flow,) = begun.headers.get_list("set-cookie")
        name, _, rest = flow.partition("=")
        assert name == "__Host-oauth_flow"
        for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"):
            assert part in rest.split("; ")
        back = httpx.URL(visitor.at_provider(begun.headers["location"]))
        assert str(back).startswith("https://moorage.example.org/api/auth/open/callback?")
        value = rest.partition(";")[0]
        done = visitor.get(back.raw_path.decode(), headers={"Cookie": f"__Host-oauth_flow={value}"})
        assert done.headers["location"] == "/"
        assert any(one.startswith("__Host-moorage_session=mses_") for one in done.headers.get_list("set-cookie"))
