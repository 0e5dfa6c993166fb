"""The kinds of values in the configuration: how each is written, checked and brought into one form.

Every check raises ValueError with a text that says what is wrong and how to write it; the loader adds
the key, the place and the value.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z", re.I)
RATE = re.compile(r"(\d+)\s*(?:/|per)\s*(\d+)?\s*([a-z]+)", re.I)
PERIODS = {"s": "second", "sec": "second", "m": "minute", "min": "minute", "h": "hour", "hr": "hour", "d": "day"}
MOUNT = re.compile(
    r"(?::(?P<port>\d{1,5})|//(?P<host>[^/:?#\s]+)(?::(?P<host_port>\d{1,5}))?)?(?P<path>/[A-Za-z0-9/_.~-]*)?\Z", re.A
)
MAX_UNIX_PATH = 107
"""Bytes of a UNIX socket's path that Linux takes."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a listener binds: a host and a port (0 = any free one), or a UNIX socket's path."""

    host: str = ""
    port: int = 0
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> Listen:
    """`host:port`, `[v6]:port` or `unix:/path` -> `Listen`. ValueError says what is wrong."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise ValueError('a UNIX socket needs an absolute path, as "unix:/run/moorage.sock"')
        if len(path.encode()) > MAX_UNIX_PATH:
            raise ValueError(f"the path of a UNIX socket has at most {MAX_UNIX_PATH} bytes")
        return Listen(path=path)
    if "://" in text:
        raise ValueError('give the address alone, without a scheme, as "127.0.0.1:8000"')
    host, colon, port_text = text.rpartition(":")
    if not colon or not host or host.endswith(":"):
        port = (port_text or "8000") if port_text.isdigit() else "8000"
        raise ValueError(
            f'not host:port; write "127.0.0.1:{port}" for this machine only, "0.0.0.0:{port}" for every address'
        )
    if not (port_text.isascii() and port_text.isdigit()) or int(port_text) > 65535:
        raise ValueError(f'"{port_text}" is not a port (0 to 65535)')
    return Listen(_listen_host(host, port_text), int(port_text))


def _listen_host(host: str, port: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise ValueError(f'"{host}" is not an IPv6 address') from None
    if ":" in host:
        raise ValueError(f'an IPv6 address stands in brackets, as "[{host}]:{port}"')
    if re.fullmatch(r"[\d.]+", host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError(f'"{host}" is not an IPv4 address') from None
    if not HOST_NAME.match(host):
        raise ValueError(f'"{host}" is not a host name')
    return host.lower()


def _listen_text(text: str) -> str:
    return str(parse_listen(text))


def _distinct_listeners(texts: list[str]) -> list[str]:
    """Refuse two listeners that cannot both bind: the same one, or one address and every address."""
    if not texts:
        raise ValueError('at least one address is needed, as ["127.0.0.1:8000"]')
    seen: list[Listen] = []
    for text in texts:
        one = parse_listen(text)
        for other in seen:
            if one == other and (one.path is not None or one.port != 0):
                raise ValueError(f'"{text}" is given twice')
            if one.path is None and other.path is None and one.port == other.port != 0:
                for wide, narrow in ((one, other), (other, one)):
                    if wide.host == "0.0.0.0" and ":" not in narrow.host:  # noqa: S104 - compared, not bound
                        raise ValueError(f'"{wide}" already covers "{narrow}"; keep one of them')
        seen.append(one)
    return texts


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=True))
    except ValueError:
        pass
    try:
        loose = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError('not an address or a network, as "10.0.0.0/8", "192.168.1.5" or "fd00::/8"') from None
    raise ValueError(f'the address has bits beyond its prefix; did you mean "{loose}"?')


def _rate(text: str) -> str:
    match = RATE.fullmatch(text.strip())
    shape = 'a rate is a count and a period, as "200/minute" or "10/30 seconds"'
    if match is None:
        raise ValueError(shape)
    count, multiple, unit = int(match[1]), int(match[2] or 1), match[3].lower()
    unit = PERIODS.get(unit, unit.removesuffix("s"))
    if unit not in PERIODS.values():
        raise ValueError(f"{shape}; the periods are second, minute, hour and day")
    if count < 1 or multiple < 1:
        raise ValueError("the count and the period are at least 1 (limits are switched off by limits.enabled = false)")
    return f"{count}/{unit}" if multiple == 1 else f"{count}/{multiple} {unit}s"


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError('write it as the provider does, such as "https://login.example.org/realms/main"')
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("an issuer has neither query nor fragment nor password")
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError("an issuer is reached over https; http is taken for this machine only")
    return text


def _origin(text: str) -> str:
    if text == "*":
        raise ValueError('"*" would let every web page act for your users; name each origin')
    try:
        parts = urlsplit(text.rstrip("/"))
        port = parts.port
    except ValueError as error:
        raise ValueError(f"not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError('write scheme and host, as "https://moorage.example.org"')
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f'scheme, host and port only, as "{parts.scheme}://{parts.hostname}{_port(port)}"')
    if not HOST_NAME.match(parts.hostname) and ":" not in parts.hostname:
        raise ValueError(f'"{parts.hostname}" is not a host name')
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}{_port(None if port == default else port)}"


def _port(port: int | None) -> str:
    return f":{port}" if port is not None else ""


def _mount(text: str) -> str:
    match = MOUNT.match(text) if text else None
    if match is None:
        raise ValueError('a mount is a path "/tmux", a port ":3000/" or a host "//term.example.org/"')
    for port in (match["port"], match["host_port"]):
        if port is not None and not 0 < int(port) <= 65535:
            raise ValueError(f'"{port}" is not a port (1 to 65535)')
    if match["host"] is not None and not HOST_NAME.match(match["host"]):
        raise ValueError(f'"{match["host"]}" is not a host name')
    if any(part in (".", "..") for part in (match["path"] or "").split("/")) or "//" in (match["path"] or ""):
        raise ValueError("the path of a mount has no empty, `.` or `..` parts")
    return text


def _distinct_mounts(texts: list[str]) -> list[str]:
    if not texts:
        raise ValueError('at least one mount is needed, as ["/"]; leave the key out for the plugin\'s own')
    seen: set[str] = set()
    for text in texts:
        if text.rstrip("/") in seen:
            raise ValueError(f'"{text}" is given twice')
        seen.add(text.rstrip("/"))
    return texts


def _one_or_many(value: Any) -> Any:
    """A list may be written as its only item."""
    return [value] if isinstance(value, str) else value


def _absolute(path: Path, info: ValidationInfo) -> Path:
    """Relative paths start at the folder of the config file (`context["base"]`), else at the working folder."""
    context = info.context if isinstance(info.context, dict) else {}
    base = context.get("base") or Path.cwd()
    if not str(path).strip() or "\0" in str(path):
        raise ValueError("not a path")
    try:
        return Path(base, path.expanduser()).resolve()
    except (RuntimeError, OSError) as error:
        raise ValueError(f"not a usable path: {error}") from None


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def distinct(texts: Sequence[str]) -> list[str]:
    """The texts without repetitions, in order."""
    return list(dict.fromkeys(texts))


ListenAddress = Annotated[str, AfterValidator(_listen_text)]
ListenList = Annotated[list[ListenAddress], BeforeValidator(_one_or_many), AfterValidator(_distinct_listeners)]
Network = Annotated[str, AfterValidator(_network)]
NetworkList = Annotated[list[Network], BeforeValidator(_one_or_many), AfterValidator(distinct)]
Rate = Annotated[str, AfterValidator(_rate)]
Origin = Annotated[str, AfterValidator(_origin)]
Issuer = Annotated[str, AfterValidator(_issuer)]
OriginList = Annotated[list[Origin], BeforeValidator(_one_or_many), AfterValidator(distinct)]
MountPoint = Annotated[str, AfterValidator(_mount)]
MountList = Annotated[list[MountPoint], BeforeValidator(_one_or_many), AfterValidator(_distinct_mounts)]
ConfigPath = Annotated[Path, AfterValidator(_absolute)]
TextList = Annotated[list[str], BeforeValidator(_one_or_many)]
LowerCase = BeforeValidator(_lower)
