"""The router and the start-up audit of sites."""

import pytest
from moorage.dialects import CHROTE, OCTO, PROBLEM
from moorage.errors import BadRequest, MethodNotAllowed, NotFound, Unavailable
from moorage.routes import PUBLIC, HttpRoute, SocketRoute
from moorage.server.router import WEBSOCKET, RouteTable, bind, parameter_names
from moorage.server.sites import AuditFailed, MatchFailed, Mount, Mounted, Sites


async def view(**_):
    return ""


def table(*paths, methods=("GET",)):
    result = RouteTable()
    for path in paths:
        result.add(bind(HttpRoute(methods, path, PUBLIC, view), owner="x", dialect=PROBLEM, prefix=""))
    return result


def test_literal_beats_parameter_and_backtracks():
    routes = table("/a/{id}", "/a/updates", "/a/{id}/x", "/a/updates/y", "/files/{rest:path}")
    assert routes.match("GET", "/a/updates")[0].template == "/a/updates"
    assert routes.match("GET", "/a/7")[1] == {"id": "7"}
    assert routes.match("GET", "/a/updates/x")[1] == {"id": "updates"}
    assert routes.match("GET", "/files/a/b%20c")[1] == {"rest": "a/b c"}
    assert routes.match("HEAD", "/a/7")[0].template == "/a/{id}"


def test_encoded_slash_stays_inside_its_segment():
    routes = table("/a/{id}", "/a/b/c")
    assert routes.match("GET", "/a/b%2Fc")[1] == {"id": "b/c"}
    assert routes.match("GET", "/a/%62/c")[0].template == "/a/b/c"


CLIMBING = ["/files/../etc", "/files/%2e%2e/etc", "/files/a%2F..%2Fb"]


@pytest.mark.parametrize("path", ["/b", "/a/", "/a", "/a/1/", "//a/1", *CLIMBING])
def test_not_found(path):
    with pytest.raises(NotFound):
        table("/a/{id}", "/files/{rest:path}").match("GET", path)


def test_wrong_method_names_the_right_ones():
    routes = table("/a/{id}", methods=("GET", "POST"))
    with pytest.raises(MethodNotAllowed) as caught:
        routes.match("DELETE", "/a/1")
    assert caught.value.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_a_path_of_its_own_is_no_value_of_a_parameter():
    routes = table("/a/{id}", "/files/{rest:path}", methods=("GET", "DELETE"))
    for path in ("/a/login", "/files/login"):
        routes.add(bind(HttpRoute(("POST",), path, PUBLIC, view), owner="x", dialect=PROBLEM, prefix=""))
    assert routes.match("POST", "/a/login")[1] == {}
    for path in ("/a/login", "/a/%6cogin"):
        with pytest.raises(MethodNotAllowed) as caught:
            routes.match("GET", path)
        assert caught.value.headers["Allow"] == "OPTIONS, POST"
    assert routes.match("GET", "/a/logins")[1] == {"id": "logins"}
    assert routes.match("GET", "/files/login")[1] == {"rest": "login"}


@pytest.mark.parametrize("path", ["/a/%ff", "/a/x%00y"])
def test_bad_encoding(path):
    with pytest.raises(BadRequest):
        table("/a/{id}").match("GET", path)


@pytest.mark.parametrize("path", ["a", "/{A}", "/{a}x", "/{a:path}/b", "/{a}/{a}", "/{"])
def test_bad_template(path):
    with pytest.raises(ValueError):
        parameter_names(path)


@pytest.mark.parametrize("text", ["", "x", "/a b", "/../x", ":99999/", ":x/", "//", "/a//b"])
def test_bad_mount(text):
    with pytest.raises(ValueError):
        Mount.parse(text)


def test_mounts_read_and_print():
    for text in ("/", "/tmux/", ":3000/", "//host/", "//host:80/x/"):
        assert str(Mount.parse(text)) == text


def owner(name, *routes, mounts=("/",), dialect=CHROTE, **options):
    permissions = frozenset({f"{name}:thing:read"})
    return Mounted(name, dialect, [Mount.parse(m) for m in mounts], routes, permissions=permissions, **options)


def get(path, access=PUBLIC):
    return HttpRoute(("GET",), path, access, view)


def test_two_owners_of_one_path_are_named_with_the_mend():
    with pytest.raises(AuditFailed) as caught:
        Sites([owner("core"), owner("one", get("/x/{a}")), owner("two", get("/x/{b}"))])
    text = str(caught.value)
    assert "one" in text
    assert "two" in text
    assert "[plugins.two] mount" in text


def test_missing_and_undeclared_access_are_refused():
    with pytest.raises(AuditFailed) as caught:
        Sites([owner("core"), owner("one", get("/x", None), get("/y", "one:thing:write"))])
    assert len(caught.value.problems) == 2


def test_sites_by_port_host_and_prefix():
    core = owner("core", get("/"), everywhere=[get("/auth/me")], dialect=PROBLEM)
    tmux = owner("tmux", get("/api/sessions"), mounts=("/tmux", ":3000/", "//t.example/"))
    octo = owner("opencode", get("/api/sessions"), dialect=OCTO)
    sites = Sites([core, tmux, octo])

    def who(port, host, path):
        return sites.match(port, host, "GET", path)[0].owner

    assert who(8000, "localhost:8000", "/api/sessions") == "opencode"
    assert who(8000, "localhost:8000", "/tmux/api/sessions") == "tmux"
    assert who(3000, "localhost:3000", "/api/sessions") == "tmux"
    assert who(8000, "T.example:8000", "/api/sessions") == "tmux"
    for port, host, path in [(8000, "h", "/auth/me"), (8000, "h", "/tmux/auth/me"), (3000, "h", "/auth/me")]:
        assert who(port, host, path) == "core"
    assert who(3000, "h", "/") == "core"
    with pytest.raises(MatchFailed) as caught:
        sites.match(8000, "h", "GET", "/tmux/nope")
    assert caught.value.dialect is CHROTE
    with pytest.raises(MatchFailed) as caught:
        sites.match(8000, "h", "GET", "/nope")
    assert caught.value.dialect is OCTO


def test_a_failed_plugin_answers_503_at_its_mount_only():
    bad = Mounted("bad", CHROTE, [Mount.parse("/bad")], None, failed="Plugin bad does not run")
    sites = Sites([owner("core", get("/health")), bad])
    with pytest.raises(MatchFailed) as caught:
        sites.match(1, "h", "GET", "/bad/anything")
    assert isinstance(caught.value.error, Unavailable)
    assert caught.value.dialect is CHROTE
    with pytest.raises(MatchFailed) as caught:
        sites.match(1, "h", "GET", "/badger")
    assert isinstance(caught.value.error, NotFound)


def test_http_and_websocket_share_a_path():
    async def handler(socket):
        pass

    sites = Sites([owner("core"), owner("one", get("/ws/{a}"), SocketRoute("/ws/{b}", PUBLIC, handler))])
    assert sites.match(1, "h", "GET", "/ws/x")[1] == {"a": "x"}
    assert sites.match(1, "h", WEBSOCKET, "/ws/x")[1] == {"b": "x"}
