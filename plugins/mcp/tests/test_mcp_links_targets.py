"""Which addresses upstreams may have."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from moorage.api import Forbidden, HttpClient, Unavailable, ValidationFailed, is_public
from moorage_mcp.links.base import LinkClosed
from moorage_mcp.links.http import Http
from moorage_mcp.links.targets import NotPublic, Targets, public_socket

TARGETS = Targets(["https://mcp.example.org/tools", "http://127.0.0.1:9000/mcp/", "http://[::1]:8080"])


@pytest.mark.parametrize(
    "url",
    [
        "https://mcp.example.org/tools",
        "https://MCP.Example.org:443/tools/mcp?key=1",
        "https://mcp.example.org./tools/",
        "http://127.0.0.1:9000/mcp",
        "http://127.0.0.1:9000/mcp/a",
        "http://[0:0::1]:8080/",
        "http://[::1]:8080/whatever",
    ],
)
def test_what_the_config_names_is_anybodys(url: str) -> None:
    TARGETS.check(url, remote=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://mcp.example.org/toolsmith",
        "https://mcp.example.org/",
        "http://mcp.example.org/tools",
        "https://mcp.example.org:444/tools",
        "https://mcp.example.org.evil.org/tools",
        "https://evil.org/https://mcp.example.org/tools",
        "http://127.0.0.1:90000/mcp".replace("90000", "9001"),
        "http://localhost:9000/mcp",
    ],
)
def test_what_only_looks_like_it_is_not(url: str) -> None:
    with pytest.raises(Forbidden):
        TARGETS.check(url, remote=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://mcp.example.org/tools/../admin",
        "https://mcp.example.org/tools/%2e%2E/admin",
        "https://mcp.example.org/tools/..%5cadmin",
        "https://mcp.example.org/tools/..;a=b/admin",
        "https://mcp.example.org@evil.org/tools",
        "https://user:password@mcp.example.org/tools",
        "https://mcp.example.org/tools#there",
        "https://mcp.example.org\\@evil.org/tools",
        "https://mcp.example.org /tools",
        "https://mcp.example.org/tools\r\nHost: x",
        "https://мср.example.org/",
        "https:///tools",
        "https://mcp.example.org:0/tools",
        "https://mcp.example.org:/tools",
        "https://mcp.example.org:99999/",
        "ftp://mcp.example.org/",
        "file:///etc/passwd",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1.0x1/",
        "http://[fe80::1%25eth0]/",
        "http://[::1/",
        "http://a..b/",
        "mcp.example.org",
        "",
        "https://e.org/" + "a" * 3000,
    ],
)
def test_what_is_no_address_of_a_server(url: str) -> None:
    assert not TARGETS.named(url)
    with pytest.raises(ValidationFailed):
        TARGETS.check(url, remote=True)


PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "64:ff9b:1:a00:0:100:808:808",
    "2001:0:53aa:64c::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises(Forbidden):
        TARGETS.check(f"http://[{address}]/" if ":" in address else f"http://{address}/", remote=True)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_that_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
    url = f"https://[{address}]/mcp" if ":" in address else f"https://{address}/mcp"
    TARGETS.check(url, remote=True)
    with pytest.raises(Forbidden):
        TARGETS.check(url, remote=False)


@pytest.mark.parametrize("target", ["http://a b/", "example.org", "https://example.org/?a=b", "https://u@example.org/"])
def test_a_target_that_is_none_is_told(target: str) -> None:
    with pytest.raises(ValueError, match=r"URL|query"):
        Targets([target])


async def test_a_name_is_judged_by_the_address_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that was public when it was allowed, and is not when it is used."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    real = socket.getaddrinfo

    def rebound(host: str, *args: object, **more: object) -> object:
        return real("127.0.0.1" if host == "rebound.example.org" else host, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    TARGETS.check(f"http://rebound.example.org:{port}/", remote=True)
    http = Http(TARGETS)
    for host in ("rebound.example.org", "localhost", "127.0.0.1", "[::ffff:127.0.0.1]"):
        server = http.server(f"http://{host}:{port}/mcp", {}, 1000, 5)
        with pytest.raises(LinkClosed, match="not public"):
            await server.send("POST", {}, b"{}")
    await http.close()
    listening.settimeout(0.1)
    with pytest.raises(TimeoutError):
        listening.accept()
    listening.close()


def test_a_socket_is_made_for_public_addresses_only() -> None:
    public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))).close()
    with pytest.raises(NotPublic):
        public_socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%lo", 443, 0, 1)))


async def test_a_client_without_a_policy_reaches_what_it_is_told() -> None:
    client = HttpClient()
    with pytest.raises(Unavailable):
        await client.send("GET", "127.0.0.1", 1, "/")
    await client.close()
