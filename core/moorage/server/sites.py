"""Sites: which mount was asked, and the audit of the whole table before anything is served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from moorage.dialects import PROBLEM, Dialect
from moorage.errors import MoorageError, NotFound, Unavailable
from moorage.routes import Access, ProxyRoute, Route
from moorage.server.router import Collision, Entry, RouteTable, WrongMethod, bind

_MOUNT = re.compile(r"^(?://(?P<host>[A-Za-z0-9.-]+))?(?::(?P<port>\d{1,5}))?(?P<path>/.*)?$")
_DOMAIN = re.compile(r"^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$")
CORE = "core"


@dataclass(frozen=True, slots=True, order=True)
class Mount:
    """Where a plugin is served: a port and host (None = any) and a path prefix ("" = root)."""

    port: int | None
    host: str | None
    prefix: str

    @classmethod
    def parse(cls, text: str) -> Mount:
        """Read "/", "/tmux", ":3000/", "//host/", "//host:8080/x". ValueError says what is wrong."""
        found = _MOUNT.match(text)
        if not text or found is None:
            raise ValueError(f'mount {text!r} is not of the form "/", "/path", ":port/" or "//host/"')
        path = found["path"] or "/"
        prefix = path.removesuffix("/")
        if re.search(r"[^A-Za-z0-9/_.~-]|//|\.\.", path):
            raise ValueError(f"mount {text!r}: the path may hold letters, digits and - _ . ~ only")
        port = int(found["port"]) if found["port"] else None
        if port is not None and not 0 < port < 65536:
            raise ValueError(f"mount {text!r}: no such port")
        return cls(port, found["host"].lower() if found["host"] else None, prefix)

    def __str__(self) -> str:
        host = f"//{self.host}" if self.host else ""
        return f"{host}{f':{self.port}' if self.port else ''}{self.prefix}/"


def reachable(mounts: Mapping[str, Sequence[str]], port: int | None, host: str) -> dict[str, list[str]]:
    """Plugins that are mounted at the site that was asked, in alphabetical order, with their prefixes there.

    mounts: of each plugin as the operator wrote them. port: that the request came in by, None on a Unix socket.
    host: of its `Host` header.
    """
    parsed = {name: [Mount.parse(text) for text in texts] for name, texts in mounts.items()}
    named = {(mount.port, mount.host) for each in parsed.values() for mount in each}
    hostname = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].lower()
    # The most particular site wins, and holds nothing of the others.
    here = next((key for key in ((port, hostname), (port, None), (None, hostname)) if key in named), (None, None))
    found = {
        name: [mount.prefix for mount in parsed[name] if (mount.port, mount.host) == here] for name in sorted(parsed)
    }
    return {name: prefixes for name, prefixes in found.items() if prefixes}


@dataclass(slots=True)
class Mounted:
    """One owner's part of the table.

    routes: what it serves; None when they are not known because the plugin failed.
    everywhere: routes present at every mount of everybody (the core's account surfaces).
    apart: routes present at every host apart (the core's way in).
    failed: the public reason while the plugin cannot answer; its mounts then say 503.
    """

    name: str
    dialect: Dialect
    mounts: Sequence[Mount]
    routes: Iterable[Route] | None
    everywhere: Iterable[Route] = ()
    apart: Iterable[Route] = ()
    failed: str | None = None
    permissions: frozenset[str] = frozenset()


class AuditFailed(Exception):
    """The table has faults; `problems` are one line each: owners and the config line that mends it."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(slots=True)
class _Site:
    table: RouteTable = field(default_factory=RouteTable)
    dialects: list[tuple[str, Dialect]] = field(default_factory=list)
    failed: list[tuple[str, str, Dialect]] = field(default_factory=list)

    def dialect_of(self, path: str) -> Dialect:
        """The dialect of the longest mount that covers the path; our own where several share it."""
        best = -1
        found: Dialect = PROBLEM
        for prefix, dialect in self.dialects:
            if len(prefix) >= best and _under(path, prefix):
                shared = len(prefix) == best and dialect is not found
                best, found = len(prefix), PROBLEM if shared else dialect
        return found


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")


class MatchFailed(Exception):
    """No entry: the error to answer and the dialect to spell it in."""

    def __init__(self, error: MoorageError, dialect: Dialect) -> None:
        self.error, self.dialect = error, dialect
        super().__init__(error.message)


class Sites:
    """The complete table (listener, host, method, path) of one generation. Immutable once built."""

    def __init__(self, owners: Sequence[Mounted]) -> None:
        self._sites: dict[tuple[int | None, str | None], _Site] = {}
        self._apart: dict[str, _Site] = {}
        self._problems: list[str] = []
        self._build(owners)
        self._named = any(host for _, host in self._sites)
        if self._problems:
            raise AuditFailed(list(dict.fromkeys(self._problems)))

    @property
    def ports(self) -> set[int]:
        """Ports that mounts name."""
        return {port for port, _ in self._sites if port is not None}

    def match(self, port: int | None, host: str, method: str, raw_path: str) -> tuple[Entry, dict[str, str]]:
        """Find the entry. MatchFailed carries the error and its dialect."""
        site = self._site(port, host)
        try:
            return site.table.match(method, raw_path)
        except MoorageError as error:
            if isinstance(error, NotFound):
                for prefix, reason, dialect in site.failed:
                    if _under(raw_path, prefix):
                        raise MatchFailed(Unavailable(reason, headers={"Retry-After": "30"}), dialect) from None
            dialect = error.dialect if isinstance(error, WrongMethod) else site.dialect_of(raw_path)
            raise MatchFailed(error, dialect) from None

    def knows(self, hostname: str) -> bool:
        """Whether a mount names this host."""
        return any(host == hostname.lower() for _, host in self._sites)

    def entries(self) -> list[tuple[str, Entry]]:
        """Every (site, entry), for the audit snapshot and docs."""
        return [(str(Mount(*key, "")), entry) for key, site in self._sites.items() for entry in site.table.entries]

    def _site(self, port: int | None, host: str) -> _Site:
        sites = self._sites
        if self._apart and (apart := self._apart.get(_hostname(host).partition(".")[2])) is not None:
            return apart
        if len(sites) == 1:
            return sites[None, None]
        if not self._named:
            return sites.get((port, None)) or sites[None, None]
        name = _hostname(host)
        for key in ((port, name), (port, None), (None, name)):
            if (found := sites.get(key)) is not None:
                return found
        return sites[None, None]

    def _build(self, owners: Sequence[Mounted]) -> None:
        mounts: dict[tuple[int | None, str | None], set[str]] = {(None, None): {""}}
        for owner in owners:
            for mount in owner.mounts:
                mounts.setdefault((mount.port, mount.host), {""}).add(mount.prefix)
        self._sites = {key: _Site() for key in mounts}
        for owner in owners:
            places = set(owner.mounts)
            if owner.name == CORE:
                places = {Mount(*key, "") for key in mounts}
            for mount in sorted(places, key=str):
                self._mount(owner, mount)
            routes = list(owner.everywhere)
            for key, prefixes in mounts.items():
                for prefix in sorted(prefixes):
                    self._bind(owner, Mount(*key, prefix), routes)
        for owner in owners:
            self._bind_apart(owner)
        for owner in owners:
            for domain, site in self._apart.items():
                for route in owner.apart:
                    self._add(owner, route, site, Mount(None, f"*.{domain}", ""), apart=True)

    def _mount(self, owner: Mounted, mount: Mount) -> None:
        site = self._sites[mount.port, mount.host]
        if owner.name != CORE:
            site.dialects.append((mount.prefix, owner.dialect))
        if owner.failed is not None:
            site.failed.append((mount.prefix, owner.failed, owner.dialect))
            site.failed.sort(key=lambda item: -len(item[0]))
        else:
            self._bind(owner, mount, owner.routes or ())

    def _bind(self, owner: Mounted, mount: Mount, routes: Iterable[Route]) -> None:
        for route in routes:
            if not isinstance(route, ProxyRoute) or route.apart is None:
                self._add(owner, route, self._sites[mount.port, mount.host], mount)

    def _add(self, owner: Mounted, route: Route, site: _Site, mount: Mount, *, apart: bool = False) -> None:
        try:
            entry = bind(route, owner=owner.name, dialect=owner.dialect, prefix=mount.prefix)
        except ValueError as error:
            self._problems.append(f"plugin {owner.name}: {error}")
            return
        entry.apart, entry.named = apart, bool(mount.port or mount.host)
        self._check_access(owner, route)
        for scope in set(entry.resource or ()) - owner.permissions - {route.access}:
            self._problems.append(
                f"plugin {owner.name}: {route.path} has the scope {scope!r}, which its manifest does not declare"
            )
        try:
            site.table.add(entry)
        except Collision as collision:
            self._problems.append(_collision(collision, mount))

    def _bind_apart(self, owner: Mounted) -> None:
        """At hosts apart: the routes that say so, and the core's way in."""
        for route in owner.routes or ():
            if not isinstance(route, ProxyRoute) or route.apart is None:
                continue
            star, _, domain = route.apart.lower().partition(".")
            if star != "*" or not _DOMAIN.match(domain):
                self._problems.append(f"plugin {owner.name}: apart = {route.apart!r} is not of the form *.example.org")
                continue
            if any(host and (host == domain or host.endswith("." + domain)) for _, host in self._sites):
                self._problems.append(f"plugin {owner.name}: a mount is at {domain}, whose hosts are apart")
            self._add(owner, route, self._apart.setdefault(domain, _Site()), Mount(None, route.apart, ""), apart=True)

    def _check_access(self, owner: Mounted, route: Route) -> None:
        if route.access is None:
            self._problems.append(
                f"plugin {owner.name}: {route.path} declares no access rule; "
                "give it access=PUBLIC, AUTHENTICATED or a permission"
            )
        elif not isinstance(route.access, Access) and route.access not in owner.permissions:
            self._problems.append(
                f"plugin {owner.name}: {route.path} wants permission {route.access!r}, "
                "which its manifest does not declare"
            )


def _collision(collision: Collision, mount: Mount) -> str:
    first, second = collision.first.owner, collision.second.owner
    if first == second:
        return f"plugin {first} serves {collision.method} {collision.second.template} twice"
    mend = second if second != CORE else first
    return (
        f"{collision.method} {collision.second.template} at {mount} is claimed by {first} and {second}; "
        f'set [plugins.{mend}] mount = "/{mend}" (or another place) to tell them apart'
    )


def _hostname(host: str) -> str:
    """The name of a Host header without its port, lower case."""
    if host.startswith("["):
        return host.partition("]")[0][1:]
    return host.partition(":")[0].lower()
