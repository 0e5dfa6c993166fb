"""The request's head: whose word counts for where a request comes from."""

import pytest
from moorage.server.head import Head, TrustedProxies

PROXIES = TrustedProxies(["10.0.0.0/8", "2001:db8::/32"])


def resolved(peer, **headers):
    head = Head()
    for name, value in headers.items():
        setattr(head, name, value)
    return PROXIES.resolve(peer, head, "http")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.9", "198.51.100.1", "192.0.2.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.5, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.5, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.5, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:4860::1]:4711", "2001:4860::1"),
        ("10.0.0.1", "2001:4860::1", "2001:4860::1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("unix", "198.51.100.1", "198.51.100.1"),
        ("2001:db8::1", "198.51.100.1", "198.51.100.1"),
    ],
)
def test_the_address_behind_proxies(peer, forwarded, address):
    assert resolved(peer, forwarded_for=forwarded)[0] == address


def test_scheme_and_host_are_believed_of_proxies_alone():
    told = {"forwarded_proto": "http, https", "forwarded_host": "evil.example, moorage.example", "host": "inner"}
    assert resolved("10.0.0.1", **told)[1:] == ("https", "moorage.example")
    assert resolved("192.0.2.9", **told)[1:] == ("http", "inner")
    assert resolved("10.0.0.1", forwarded_host="a b", forwarded_proto="gopher", host="inner")[1:] == ("http", "inner")
