"""S19: no request means one thing to the server and another to what stands before it: what is ambiguous is refused.

Here is what an engine or the gate refuses, on both engines. What a proxy sends on (headers that are taken away, paths
that are encoded once) is in tests/proxy/test_proxy_security.py. More: tests/server/test_gate.py (malformed heads,
sizes), tests/server/test_head.py (forwarding headers), tests/server/test_engine_bounds.py (endless heads, HTTP/2).
"""

import httpx
import pytest
from people import CONFIG, populated
from smuggling import AMBIGUOUS, HEAD, SECOND
from wire import exchange


@pytest.fixture(scope="module", params=["hypercorn", "uvicorn"])
def people(request, tmp_path_factory):
    with populated(tmp_path_factory.mktemp("s19"), {**CONFIG, "server": {"engine": request.param}}) as people:
        yield people


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_is_ambiguous_is_refused_and_nothing_behind_it_is_read(people, data):
    got = exchange(people.server, data, end=False)
    assert got == b"" or got.startswith(b"HTTP/1.1 4") or got.startswith(b"HTTP/1.1 501"), got[:300]
    assert b"smuggled" not in got, got
    assert httpx.get(f"{people.server.url}/health").status_code == 200


def test_a_folded_line_is_refused_or_part_of_the_value(people):
    """RFC 9112, 5.2. What matters is that it is no header of its own."""
    for line in (b"Authorization: Bearer a", b"X-Request-ID: folded", b"Content-Length: 97"):
        got = exchange(
            people.server,
            b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n " + line + b"\r\n\r\n" + SECOND,
            end=False,
        )
        assert got.startswith((b"HTTP/1.1 400", b"HTTP/1.1 200")) or got == b""
        assert b"folded" not in got
        assert got.count(b"HTTP/1.1 200") in (0, 2)


@pytest.mark.parametrize("length", [b"Content-Length: 7\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n7\r\n"])
def test_a_request_behind_a_body_is_no_part_of_it(people, length):
    """Or else the refusals above would say nothing: two good requests in one connection have two answers."""
    tail = b"\r\n0\r\n\r\n" if b"chunked" in length else b""
    got = exchange(people.server, HEAD + length + b'{"a":1}' + tail + SECOND, end=False)
    assert got.count(b"HTTP/1.1 200") == 2, got
    assert b"smuggled" in got


def test_no_header_is_made_of_what_a_request_says(people):
    """CR and LF, encoded, end in no header of an answer."""
    for target in (
        "/device?user_code=A%0d%0aX-Evil:1",
        "/%0d%0aX-Evil:%201",
        "/auth/x%0d%0aX-Evil:1?next=/%0d%0aX-Evil:1",
    ):
        lines = f"GET {target} HTTP/1.1\r\nHost: x\r\nX-Request-ID: a%0d%0aX-Evil:1\r\nConnection: close\r\n\r\n"
        head = exchange(people.server, lines.encode()).partition(b"\r\n\r\n")[0]
        assert head
        assert b"\r\nx-evil" not in head.lower()
