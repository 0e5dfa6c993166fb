"""Accounts without a server, or beside a running one: what the commands `users` and `keys` stand on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click

from moorage.access import UserInfo
from moorage.access.service import Access
from moorage.accounts import Accounts
from moorage.config import Loaded, load
from moorage.db import Database
from moorage.db.migrate import CORE, upgrade
from moorage.events import EventBus
from moorage.observe.audit import Audit
from moorage.plugins import load_manifests

P = ParamSpec("P")
Work = Callable[Concatenate[Accounts, P], Awaitable[None]]
MAX_PASSWORD_FILE = 64 * 1024


@asynccontextmanager
async def open_database(loaded: Loaded) -> AsyncIterator[Database]:
    """The configured database with the core's models, active, and migrated first if need be.

    StartError when it cannot be used. A running server is not disturbed: it sees changes within a second or two.
    """
    settings = loaded.settings
    url = settings.database.url.get_secret_value()
    await upgrade(url, settings.data_dir, [CORE])
    db = Database(url, settings.data_dir, pool_max=2)
    await db.open({CORE.label: list(CORE.models)})
    try:
        with db.activate():
            yield db
    finally:
        await db.close()


@asynccontextmanager
async def open_accounts(loaded: Loaded, access: Access) -> AsyncIterator[Accounts]:
    """Accounts on the configured database; see `open_database`."""
    settings = loaded.settings
    bus = EventBus()
    async with open_database(loaded) as db:
        accounts = Accounts(settings.accounts, db, Audit(db, bus), bus, settings.data_dir, access)
        try:
            yield accounts
        finally:
            await accounts.close()
            await bus.close()


def with_accounts(*, permissions: bool = False) -> Callable[[Work[P]], Callable[..., None]]:
    """Make a click callback of a coroutine function over accounts, and add `--config`.

    permissions: the command names some, so the manifests of the enabled plugins are read (broken ones are left out).
    """

    def decorate(work: Work[P]) -> Callable[..., None]:
        @click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration file.")
        @click.pass_context
        @wraps(work)
        def command(context: click.Context, /, config_path: Path | None, **arguments: Any) -> None:
            loaded = load(config_path or (context.find_root().obj or {}).get("config"))
            access = Access(loaded.settings.access.roles)
            if permissions:
                declare_plugins(loaded, access)

            async def run() -> None:
                async with open_accounts(loaded, access) as accounts:
                    await work(accounts, **arguments)  # type: ignore[call-arg]

            asyncio.run(run())

        return command

    return decorate


def declare_plugins(loaded: Loaded, access: Access) -> None:
    """Make the permissions of the enabled plugins known; what cannot be read is told on stderr and left out."""
    for name, manifest in load_manifests(loaded).items():
        if isinstance(manifest, Exception):
            click.echo(f"Plugin {name} cannot be read, so its permissions are unknown: {manifest}", err=True)
            continue
        try:
            access.declare(name, manifest.permissions)
        except ValueError as error:
            click.echo(f"Plugin {name}: {error}", err=True)


async def required_user(accounts: Accounts, login: str) -> UserInfo:
    """The user with this username or e-mail address, or an error that says what to do."""
    user = await accounts.find_user(login)
    if user is None:
        raise click.ClickException(f"There is no user {login!r}; `moorage users list` shows all.")
    return user


def read_password(file: str | None) -> str:
    """A password from a file, from standard input ("-"), or asked for twice at a terminal."""
    if file is None:
        if not sys.stdin.isatty():
            raise click.UsageError(
                "There is no terminal to ask for a password: give --password-file FILE (- is stdin)."
            )
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_PASSWORD_FILE)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(MAX_PASSWORD_FILE)
        text = data.decode()
    except OSError as error:
        raise click.ClickException(f"The password cannot be read from {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"The password in {file} is not UTF-8 text") from None
    # One line end belongs to the file, not to the password.
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise click.ClickException(f"There is no password in {'standard input' if file == '-' else file}")
    return text
