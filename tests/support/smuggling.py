"""Requests of which a server and what stands before it could think differently where they end."""

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
