"""Where the database is: the configured URL, read once, with a form that may be shown to anybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from moorage.errors import StartError

Dialect = Literal["sqlite", "postgres"]
DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgres")

_SYNCHRONOUS = ("FULL", "NORMAL", "EXTRA")


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed `database.url`.

    path: the SQLite file, absolute; None on PostgreSQL. dsn: the PostgreSQL URL with its password, a secret.
    public: for logs and error texts, without password or options.
    synchronous, busy_timeout (milliseconds): SQLite only, from the URL's query.
    """

    dialect: Dialect
    public: str
    path: Path | None = None
    dsn: str = field(default="", repr=False)
    synchronous: str = "FULL"
    busy_timeout: int = 10_000

    @property
    def file(self) -> Path:
        """The SQLite file. Only for targets of that dialect."""
        if self.path is None:
            raise TypeError(f"{self.public} is not a SQLite database")
        return self.path


def parse(url: str, data_dir: Path) -> Target:
    """Read a database URL; a relative SQLite path lies in `data_dir`. StartError (exit code 2) when it is wrong."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise StartError(
            "database.url: not a URL; write sqlite://moorage.db (a file in the data folder) "
            "or postgres://user@host:5432/name."
        )
    if scheme == "sqlite":
        return _sqlite(rest, data_dir)
    if scheme in ("postgres", "postgresql"):
        return _postgres(rest)
    raise StartError(f"database.url: unknown kind of database {scheme!r}; use sqlite:// or postgres://.")


def _sqlite(rest: str, data_dir: Path) -> Target:
    name, _, query = rest.partition("?")
    name = unquote(name)
    if name in ("", "/") or name.endswith("/"):
        raise StartError("database.url: sqlite:// names no file; write sqlite://moorage.db.")
    if name.startswith(":"):
        raise StartError(
            "database.url: a database in memory would be lost at the end of each command; "
            "write sqlite://moorage.db, a file in the data folder."
        )
    if name.startswith("/"):
        # Some write four slashes for an absolute path.
        name = "/" + name.lstrip("/")
    path = Path(data_dir, name).absolute()
    options = dict(parse_qsl(query, keep_blank_values=True))
    synchronous = options.pop("synchronous", "FULL").upper()
    if synchronous not in _SYNCHRONOUS:
        raise StartError(f"database.url: synchronous={synchronous} is not one of {', '.join(_SYNCHRONOUS)}.")
    busy = options.pop("busy_timeout", "10000")
    if not (busy.isascii() and busy.isdigit()):
        raise StartError("database.url: busy_timeout is a number of milliseconds.")
    if options:
        raise StartError(
            f"database.url: unknown option {sorted(options)[0]!r} for SQLite; there are synchronous and busy_timeout."
        )
    return Target("sqlite", f"sqlite://{path}", path, synchronous=synchronous, busy_timeout=int(busy))


def _postgres(rest: str) -> Target:
    dsn = f"postgresql://{rest}"
    try:
        parts = urlsplit(dsn)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        # The reason would quote the address, and with it, perhaps, a piece of the password.
        raise StartError(
            "database.url: malformed PostgreSQL URL; write postgres://user:password@host:5432/name, "
            "with %-escapes for any of @ : / ? # [ ] in the password."
        ) from None
    if ":" in host:
        host = f"[{host}]"
    user = f"{quote(unquote(parts.username))}@" if parts.username else ""
    return Target("postgres", f"postgres://{user}{host}{port}{parts.path}", dsn=dsn)


def without_password(dsn: str) -> tuple[str, str | None]:
    """A PostgreSQL URL for a command line, and the password that was taken out of it."""
    parts = urlsplit(dsn)
    options = parse_qsl(parts.query, keep_blank_values=True)
    password = unquote(parts.password) if parts.password is not None else dict(options).get("password")
    query = "&".join(f"{quote(key)}={quote(value, safe='')}" for key, value in options if key != "password")
    user, _, _ = parts.netloc.rpartition("@")[0].partition(":")
    address = parts.netloc.rpartition("@")[2]
    netloc = f"{user}@{address}" if user else address
    return urlunsplit((parts.scheme, netloc, parts.path, query, "")), password
