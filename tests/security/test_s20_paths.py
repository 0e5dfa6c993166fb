"""S20: no path of a request reaches the file system, whatever it is spelled like.

What is served of files today is the console, from memory. The proxy's files come with its plugin, and with tests here.
"""

import re

import pytest
from openapi_check import documents_of
from people import populated
from wire import request

UP = [
    "../../../../../../etc/passwd",
    "..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e%252f%252e%252e%252fetc%252fpasswd",
    "..%252f..%252fetc%252fpasswd",
    "..\\..\\..\\etc\\passwd",
    "..%5c..%5c..%5cetc%5cpasswd",
    "....//....//etc/passwd",
    "..;/..;/etc/passwd",
    "%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
    "%ef%bc%8e%ef%bc%8e/etc/passwd",
    "%e2%80%a5/%e2%80%a5/etc/passwd",
    "..%c0%af..%c0%afetc/passwd",
    "..%u2215..%u2215etc/passwd",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "..%00/etc/passwd",
    "index.html%00.js",
    "..%0d%0a/etc/passwd",
    "./././../secret.key",
    "../../../../data/secret.key",
    "..%2f..%2f..%2fdata%2fmoorage.db",
    "~root/.ssh/id_rsa",
    "%7e/",
    "con",
    "..",
    "%2e%2e",
    ".",
    "%",
    "%zz",
    "%ff%fe",
    "é",
    "a" * 4000,
]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("s20")) as people:
        yield people


@pytest.fixture(scope="module")
def marks(people):
    """What only files of the server's machine hold."""
    return [b"root:", b"SQLite format 3", (people.server.data_dir / "secret.key").read_bytes().strip(), b"[server]"]


@pytest.mark.parametrize("path", UP)
def test_the_console_gives_its_own_files_alone(people, marks, path):
    page = people.root.client.get("/", headers={"Accept-Encoding": "identity"}).content
    for folder in ("/console/assets/", "/console/", "/invite/", "/"):
        status, head, body = request(people.server, folder + path)
        assert status in (200, 302, 400, 401, 404, 405), (folder, head)
        assert not any(mark in body for mark in marks), folder
        if status == 200:
            assert body in (page, b"") or head.count(b"application/json"), folder


@pytest.mark.parametrize("path", UP)
def test_a_parameter_of_a_path_is_a_name_and_nothing_else(people, marks, templates, path):
    cookie = f"Cookie: moorage_session={people.root.client.cookies['moorage_session']}"
    for template in templates:
        status, head, body = request(people.server, re.sub(r"\{\w+\}", lambda _: path, template), cookie)
        assert 200 <= status < 500, (template, head)
        assert not any(mark in body for mark in marks), template


@pytest.fixture(scope="module")
def templates(people):
    """The paths of all routes that are read and have something in their path."""
    found = {
        template
        for document in documents_of(people.server)
        for template, item in document["paths"].items()
        if "{" in template and "get" in item
    }
    assert len(found) > 8
    return sorted(found)


def test_a_path_is_decoded_once(people):
    """%252e is "%2e" to a route, and never "."."""
    pid = people.root.pid
    cookie = f"Cookie: moorage_session={people.root.client.cookies['moorage_session']}"
    once = "".join(f"%{ord(char):02x}" for char in pid)
    twice = once.replace("%", "%25")
    assert request(people.server, f"/api/admin/users/{once}", cookie)[0] == 200
    assert request(people.server, f"/api/admin/users/{twice}", cookie)[0] == 404
    # A slash that was encoded is part of the name: it does not begin another segment.
    target = f"/api/admin/users/{pid}%2fpromote"
    assert request(people.server, target, cookie, "Content-Length: 0", method="POST")[0] in (404, 405)
