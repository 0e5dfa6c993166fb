"""Network addresses that others chose: whether one is somebody's on the internet, and may be asked at all."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

_NAT64 = ip_network("64:ff9b::/96")
"""RFC 6052: the IPv4 address is in the last 32 bits."""
_COMPATIBLE = ip_network("::/96")
_NEVER = tuple(map(ip_network, ("64:ff9b:1::/48", "2001::/32")))
"""NAT64 of a network's own (RFC 8215) and Teredo: they stand for IPv4 addresses in ways that cannot be told here."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is an address of the internet at large: nothing local, private, reserved, for many, or for testing.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, NAT64) is what that one is.

    .. versionadded:: 0.1
    """
    if isinstance(address, IPv6Address):
        if any(address in network for network in _NEVER) or address.is_site_local:
            return False
        if (hidden := _hidden(address)) is not None:
            return is_public(hidden)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _hidden(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if address in _NAT64 or address in _COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
