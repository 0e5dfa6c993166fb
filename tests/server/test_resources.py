"""OAuth resources in the table of routes: which URL is one, under which names, and what a plugin may say of them."""

from __future__ import annotations

import pytest
from moorage.access import Credential, Method
from moorage.context import RequestInfo
from moorage.dialects import PROBLEM
from moorage.routes import PUBLIC, HttpRoute, SocketRoute
from moorage.server import resources
from moorage.server.sites import AuditFailed, Mount, Mounted, Sites


async def view(**params):
    raise NotImplementedError


BOX = HttpRoute(("POST",), "/box/{name}", "mail:box:read", view, resource=True)
DEEP = HttpRoute(("GET",), "/deep/{rest:path}", "mail:box:read", view, resource=True)
REST = HttpRoute(("GET",), "/{rest:path}", PUBLIC, view)
RIGHTS = frozenset({"mail:box:read"})


def sites(*mounts: str, routes=(BOX, DEEP, REST)) -> Sites:
    core = Mounted("core", PROBLEM, [Mount.parse("/")], [])
    mail = Mounted("mail", PROBLEM, [Mount.parse(text) for text in mounts], routes, permissions=RIGHTS)
    return Sites([core, mail])


def came(host: str, scheme: str = "https", public: str | None = None) -> RequestInfo:
    return RequestInfo("1", "192.0.2.1", scheme, host, public or f"{scheme}://{host}")


def found(table: Sites, info: RequestInfo, uri: str, port: int = 8000) -> str | None:
    resource = resources.find(table, port, info, uri)
    return None if resource is None else resource.uri


@pytest.mark.parametrize(
    ("uri", "known"),
    [
        ("https://a.example/box/mine", "https://a.example/box/mine"),
        ("HTTPS://A.example:443/box/m%69ne", "https://a.example/box/mine"),
        ("https://a.example/box/a%2Fb", "https://a.example/box/a%2Fb"),
        ("https://a.example/box/a:b", "https://a.example/box/a%3Ab"),
        ("https://a.example/deep/x/y", "https://a.example/deep/x/y"),
        ("https://a.example:8443/box/mine", None),
        ("http://a.example/box/mine", None),
        ("https://b.example/box/mine", None),
        ("https://a.example/box/", None),
        ("https://a.example/box/a/b", None),
        ("https://a.example/anything", None),
        ("https://a.example/deep/../box/mine", None),
        ("https://a.example", None),
        ("https://a.example/box/mine?", None),
        ("https://a.example/box/mine#", None),
        ("https://u:p@a.example/box/mine", None),
        ("https://a.example/box/%FF", None),
        ("https://a.example/box/\u00e4", None),
        ("https://[/box/mine", None),
        ("ftp://a.example/box/mine", None),
        ("", None),
    ],
)
def test_a_resource_is_an_address_of_ours_in_one_spelling(uri, known):
    assert found(sites("/"), came("a.example"), uri) == known


def test_with_a_public_address_that_is_the_name_whatever_was_asked():
    info = came("10.0.0.7:8000", "http", "https://a.example")
    table = sites("/mail")
    assert found(table, info, "https://a.example/mail/box/mine") == "https://a.example/mail/box/mine"
    assert found(table, info, "http://10.0.0.7:8000/mail/box/mine") is None
    entry, params = resources.at(table, 8000, info.host, "/mail/box/m%69ne")
    assert resources.identifier(entry, params, info) == "https://a.example/mail/box/mine"


def test_a_mount_with_a_host_of_its_own_is_known_by_that():
    table = sites("//mail.example.org/")
    login = came("login.example.org", public="https://login.example.org")
    assert found(table, login, "https://mail.example.org/box/mine") == "https://mail.example.org/box/mine"
    assert found(table, login, "https://evil.example.org/box/mine") is None
    assert found(table, login, "https://login.example.org/box/mine") is None
    asked = came("mail.example.org", public="https://login.example.org")
    entry, params = resources.at(table, 8000, asked.host, "/box/mine")
    assert resources.identifier(entry, params, asked) == "https://mail.example.org/box/mine"


def test_a_mount_with_a_port_of_its_own_is_known_under_our_name_alone():
    table = sites(":3000/")
    login = came("a.example", public="https://a.example")
    assert found(table, login, "https://a.example:3000/box/mine") == "https://a.example:3000/box/mine"
    assert found(table, login, "https://evil.example:3000/box/mine") is None
    assert found(table, login, "https://a.example/box/mine") is None


def test_a_bound_token_counts_at_its_url_and_nowhere_else():
    table, info = sites("/"), came("a.example")
    bound = Credential(Method.BEARER, 1, "sess_x", frozenset(), resource="https://a.example/box/mine")
    entry, params = resources.at(table, 8000, info.host, "/box/mine")
    assert resources.takes(entry, params, info, bound)
    assert resources.takes(entry, params, came("A.EXAMPLE:443"), bound)
    assert not resources.takes(entry, params, came("b.example"), bound)
    assert not resources.takes(entry, params, came("a.example", "http"), bound)
    assert not resources.takes(entry, {"name": "yours"}, info, bound)
    plain, rest = table.match(8000, info.host, "GET", "/box/mine")
    assert plain.route is REST
    assert not resources.takes(plain, rest, info, bound)
    assert not resources.takes(None, {}, info, bound)
    assert resources.takes(None, {}, info, Credential(Method.BEARER, 1, "sess_x"))


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (HttpRoute(("GET",), "/x", PUBLIC, view, resource=True), "needs scopes"),
        (HttpRoute(("GET",), "/x", PUBLIC, view, scopes=("mail:box:read",)), "scopes are for resource=True"),
        (HttpRoute(("GET",), "/x", PUBLIC, view, resource=True, scopes=("mail:box:burn",)), "mail:box:burn"),
        (HttpRoute(("GET",), "/x", PUBLIC, view, resource=True, scopes=("core:user:manage",)), "core:user:manage"),
    ],
)
def test_a_plugin_gives_out_its_own_rights_only(route, said):
    with pytest.raises(AuditFailed, match=said):
        sites("/", routes=[route])


def test_sockets_are_no_resources():
    table = sites("/", routes=[SocketRoute("/socket", PUBLIC, view)])
    assert resources.at(table, 8000, "a.example", "/socket") is None
