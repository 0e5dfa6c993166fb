"""Checks over several keys, and what is allowed but deserves a warning."""

from __future__ import annotations

import difflib
import ipaddress
import re

from moorage.config.problems import Problem
from moorage.config.schema import Loc
from moorage.config.secret_files import readable_by_everybody
from moorage.config.settings import Settings
from moorage.config.sources import Provenance, Source, short_path

ROLES = ("viewer", "operator", "admin", "owner")
"""The roles that are always there (`moorage.access`, which this layer does not know)."""
RESERVED_PROVIDERS = frozenset(
    {"me", "logout", "login", "register", "callback", "check", "status", "csrf", "setup", "device", "token"}
    | {"session", "sign-in", "sign-out", "get-session"}
)
"""What follows /auth/ or /api/auth/ in paths of the contracts."""
_PASSWORD_IN_URL = re.compile(r"://[^/\s@]*:[^/\s@]+@|[?&]password=", re.I)


def conflicts(settings: Settings) -> list[tuple[Problem, Loc]]:
    """Keys that are right alone and wrong together: what to say of the one, and the other."""
    server, accounts, database = settings.server, settings.accounts, settings.database
    found: list[tuple[Problem, Loc]] = []

    def wrong(key: str, other: str, reason: str) -> None:
        found.append((Problem(tuple(key.split(".")), reason), tuple(other.split("."))))

    if server.tls_cert is not None and server.tls_key is None:
        wrong("server.tls_cert", "server.tls_key", "needs server.tls_key beside it")
    if server.tls_key is not None and server.tls_cert is None:
        wrong("server.tls_key", "server.tls_cert", "needs server.tls_cert beside it")
    if settings.limits.storage == "redis" and settings.redis.url is None:
        wrong("limits.storage", "redis.url", 'is "redis", which needs redis.url (or redis.url_file)')
    for low, high, least, most in (
        ("database.pool_min", "database.pool_max", database.pool_min, database.pool_max),
        (
            "accounts.session_idle_seconds",
            "accounts.session_max_seconds",
            accounts.session_idle_seconds,
            accounts.session_max_seconds,
        ),
        (
            "accounts.lockout_base_seconds",
            "accounts.lockout_max_seconds",
            accounts.lockout_base_seconds,
            accounts.lockout_max_seconds,
        ),
    ):
        if least > most:
            wrong(low, high, f"is more than {high} ({most:g})")
    found += _providers(settings)
    if accounts.argon2_memory_kib < 8 * accounts.argon2_parallelism:
        wrong(
            "accounts.argon2_memory_kib", "accounts.argon2_parallelism", "must be at least 8 times argon2_parallelism"
        )
    return found


def _providers(settings: Settings) -> list[tuple[Problem, Loc]]:
    """Logins elsewhere: names that are paths of our own, issuers that lack, roles that nobody may get so."""
    found: list[tuple[Problem, Loc]] = []
    roles = {*ROLES[:-1], *settings.access.roles}
    for name, provider in settings.accounts.providers.items():
        at: Loc = ("accounts", "providers", name)
        if name in RESERVED_PROVIDERS:
            found.append((Problem(at, f"cannot be called so: /auth/{name} is another page; choose another name"), at))
        if provider.kind == "oidc" and provider.issuer is None:
            reason = 'needs `issuer`, the address of the OpenID Connect provider; or set kind = "github" or "google"'
            found.append((Problem(at, reason), (*at, "issuer")))
        if not provider.client_secret.get_secret_value():
            found.append((Problem((*at, "client_secret"), "is empty"), at))
        if provider.role == ROLES[-1]:
            reason = f"nobody becomes {ROLES[-1]} by a login elsewhere; choose one of {', '.join(sorted(roles))}"
            found.append((Problem((*at, "role"), reason), at))
        elif provider.role not in roles:
            found.append((Problem((*at, "role"), f"is no role; there are {', '.join(sorted(roles))}"), at))
    return found


def warnings_of(settings: Settings, provenance: Provenance) -> list[str]:
    """One line for each thing that works and is probably not meant."""
    problems = [*_proxies(settings), *_open_file(settings, provenance), *_misspelt_sections(settings)]
    return [one.line(provenance) for one in problems]


def _proxies(settings: Settings) -> list[Problem]:
    return [
        Problem(("server", "trusted_proxies"), f'"{text}" is everybody: any client can claim any address')
        for text in settings.server.trusted_proxies
        if ipaddress.ip_network(text).prefixlen == 0
    ]


def _open_file(settings: Settings, provenance: Provenance) -> list[Problem]:
    """A password written into a configuration file that everybody can read."""
    if provenance.file is None or not readable_by_everybody(provenance.file):
        return []
    secrets: list[tuple[Loc, str]] = [(("database", "url"), settings.database.url.get_secret_value())]
    if settings.redis.url is not None:
        secrets.append((("redis", "url"), settings.redis.url.get_secret_value()))
    name = short_path(provenance.file)
    return [
        Problem(loc, f"everybody on this machine can read this password; chmod 600 {name}, or use {loc[-1]}_file")
        for loc, text in secrets
        if _PASSWORD_IN_URL.search(text) and _is_inline(provenance.given.get(loc))
    ]


def _is_inline(source: Source | None) -> bool:
    return source is not None and source.variable is None and source.secret_file is None


def _misspelt_sections(settings: Settings) -> list[Problem]:
    """`enable = true` in a plugin's section is an option of the plugin's, so the plugin stays off."""
    return [
        Problem(("plugins", name, key), f'the plugin stays off; did you mean "{meant[0]}"?')
        for name, section in settings.plugins.items()
        if not section.enabled
        for key in section.options
        if (meant := difflib.get_close_matches(key, ["enabled"], cutoff=0.75))
    ]
