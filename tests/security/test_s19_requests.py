"""S19: no request means one thing to the server and another to what stands before it: what is ambiguous is refused.

Here is what an engine or the gate refuses, on both engines. What a proxy sends on (headers that are taken away, paths
that are encoded once) comes with the proxy's plugin. More: tests/server/test_gate.py (malformed heads, sizes),
tests/server/test_head.py (forwarding headers), tests/server/test_engine_bounds.py (endless heads, HTTP/2).
"""

import httpx
import pytest
from people import CONFIG, populated
from wire import exchange

SECOND = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-ID: smuggled\r\nConnection: close\r\n\r\n"
HEAD = b"POST /api/auth/logout HTTP/1.1\r\nHost: x\r\n"
# Two readings of where the first request ends; or of what its headers are.
AMBIGUOUS = {
    "length and chunks": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "chunks and length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SECOND,
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 97\r\n\r\n" + SECOND,
    "two lengths in one": HEAD + b"Content-Length: 0, 97\r\n\r\n" + SECOND,
    "a length with a sign": HEAD + b"Content-Length: +0\r\n\r\n" + SECOND,
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n" + SECOND,
    "a length in hex": HEAD + b"Content-Length: 0x0\r\n\r\n" + SECOND,
    "a length with a blank in it": HEAD + b"Content-Length: 0 0\r\n\r\n" + SECOND,
    "a length beyond all": HEAD + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n" + SECOND,
    "an unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SECOND,
    "chunked, then another coding": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SECOND,
    "chunked in quotes": HEAD + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + SECOND,
    "a blank before the colon": HEAD + b"Content-Length : 97\r\n\r\n" + SECOND,
    "a coding with a blank before the colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "a folded coding": HEAD + b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SECOND,
    "a bare CR in a value": HEAD + b"X-A: 1\rContent-Length: 97\r\n\r\n" + SECOND,
    "a NUL in a value": HEAD + b"X-A: 1\x00\r\n\r\n" + SECOND,
    "a control character in a name": HEAD + b"X\x0b-A: 1\r\n\r\n" + SECOND,
    "no name at all": HEAD + b": 1\r\n\r\n" + SECOND,
    "a line without a colon": HEAD + b"Content-Length\r\n\r\n" + SECOND,
    "a chunk's size that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + SECOND,
    "a chunk's size with a sign": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + SECOND,
    "a chunk's size beyond all": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n" + SECOND,
    "a chunk that is longer than it says": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n" + SECOND,
    "two hosts": b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + SECOND,
    "a host with a path": b"GET /health HTTP/1.1\r\nHost: x/y\r\n\r\n" + SECOND,
    "two credentials": b"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: b\r\n\r\n"
    + SECOND,
}


@pytest.fixture(scope="module", params=["hypercorn", "uvicorn"])
def people(request, tmp_path_factory):
    with populated(tmp_path_factory.mktemp("s19"), {**CONFIG, "server": {"engine": request.param}}) as people:
        yield people


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_is_ambiguous_is_refused_and_nothing_behind_it_is_read(people, data):
    got = exchange(people.server, data, end=False, timeout=1)
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
            timeout=1,
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
