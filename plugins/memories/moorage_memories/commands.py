"""`moorage memories`: on the place where memories are kept, also while the server runs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TextIO

import click
from moorage.api import Actor, Credential, Hub, Method, MoorageError, UserInfo
from moorage.commands import SYSTEM, echo_table, required_user, with_hub

from moorage_memories import bounds, portable
from moorage_memories.backends.base import MemoryBackend
from moorage_memories.backends.choice import chosen
from moorage_memories.config import MemoriesConfig
from moorage_memories.embeddings.encoder import Encoder
from moorage_memories.records import Filter, Scope
from moorage_memories.service import Memories
from moorage_memories.store.embedded import EmbeddedBackend

user_option = click.option("--user", "login", required=True, help="Whose: a username or an e-mail address.")
store_option = click.option("--store", help="One of their stores; without it, all.")
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.group()
def memories() -> None:
    """See users' stores of memories, carry memories out and in, delete them."""


@memories.command("stores")
@click.option("--user", "login", help="Whose: a username or an e-mail address; without it, of all users.")
@json_option
@with_hub("memories")
async def list_stores(hub: Hub, login: str | None, as_json: bool) -> None:
    """Show the stores that users have, how many memories are in each, and the projects that they belong to."""
    async with _backend(hub) as backend:
        if login is not None:
            users = [await required_user(hub.accounts, login)]
        elif not isinstance(backend, EmbeddedBackend):
            raise click.ClickException(f"Whose memories {backend.name} has cannot be told: name somebody with --user.")
        else:
            found = [await hub.accounts.get_user(id) for id in await backend.owners()]
            users = [user for user in found if user is not None]
        stores = [(user, one) for user in users for one in await backend.stores(user.id)]
    if as_json:
        told = [
            {"user": user.username, "store": one.name, "memories": one.memories, "project": one.project}
            for user, one in stores
        ]
        click.echo(json.dumps(told, indent=2))
        return
    rows = [("USER", "STORE", "MEMORIES", "PROJECT")]
    for user, one in stores:
        rows.append((user.username, one.name, "?" if one.memories is None else str(one.memories), one.project or "-"))
    echo_table(rows)


@memories.command("export")
@user_option
@store_option
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A new file; without it, the terminal.")
@with_hub("memories")
async def export(hub: Hub, login: str, store: str | None, output: Path | None) -> None:
    """Write a user's memories as JSON lines, which `moorage memories import` and the page take in again.

    That it was done is written to the audit log.
    """
    user = await required_user(hub.accounts, login)
    async with _service(hub) as service:
        scope = _scope(user, store)
        await hub.audit.write("memories.exported", actor=SYSTEM, target=f"user:{user.pid}")
        if output is None:
            await _write(service, user, scope, sys.stdout)
            return
        try:
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise click.ClickException(f"{output} is there already: choose another name, or delete it first") from None
        except OSError as error:
            raise click.ClickException(f"{output}: {error.strerror}") from None
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            count = await _write(service, user, scope, file)
    click.echo(f"{count} memories of {user.username} in {output}", err=True)


@memories.command("import")
@user_option
@click.option("--store", help="Where all go; without it, each into the store that its line names.")
@click.argument("file", type=click.File("rb"))
@with_hub("memories")
async def bring_in(hub: Hub, login: str, store: str | None, file: BinaryIO) -> None:
    """Take in FILE (JSON lines; "-": what is piped in) as memories of a user. Those that they have already are skipped.

    That it was done is written to the audit log.
    """
    user = await required_user(hub.accounts, login)
    data: bytes = await asyncio.to_thread(file.read)
    async with _service(hub) as service:
        done = await service.import_(_as(user), _scope(user, store), portable.Entries(data))
        counts = {"imported": done.imported, "skipped": done.skipped}
        await hub.audit.write("memories.imported", actor=SYSTEM, target=f"user:{user.pid}", data=counts)
    click.echo(f"{user.username}: {done.imported} memories brought in, {done.skipped} were there already.")


@memories.command("forget")
@user_option
@store_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_hub("memories")
async def forget(hub: Hub, login: str, store: str | None, yes: bool) -> None:
    """Delete all memories of a user, or one of their stores with what is in it. It cannot be undone.

    That it was done is written to the audit log.
    """
    user = await required_user(hub.accounts, login)
    async with _backend(hub) as backend:
        scope = _scope(user, store)
        total = (await backend.page(scope, Filter(), offset=0, limit=1)).total
        what = f"{total} memories of {user.username}" + (f" in the store {store}" if store else "")
        if not yes:
            click.confirm(f"Delete {what}?", abort=True)
        await backend.forget(scope)
        data = {"store": store, "memories": total}
        await hub.audit.write("memories.forgotten", actor=SYSTEM, target=f"user:{user.pid}", data=data)
    click.echo(f"Deleted: {what}.")


async def _write(service: Memories, user: UserInfo, scope: Scope, file: TextIO) -> int:
    count = 0
    async for one in service.export(_as(user), scope):
        file.write(portable.line_of(one))
        count += 1
    return count


def _scope(user: UserInfo, store: str | None) -> Scope:
    return Scope(user.id, bounds.store_name(store) if store else None)


def _as(user: UserInfo) -> Actor:
    """Its user, whatever their role may do and whether or not they may come in."""
    return Actor(user=replace(user, role="owner", active=True), credential=Credential(Method.SYSTEM, 0, "cli"))


@asynccontextmanager
async def _service(hub: Hub) -> AsyncIterator[Memories]:
    assert isinstance(hub.config, MemoriesConfig)
    service = Memories(hub, hub.config)
    async with _backend(hub) as backend:
        service.use(backend)
        yield service


@asynccontextmanager
async def _backend(hub: Hub) -> AsyncIterator[MemoryBackend]:
    """The configured one. ClickException, also for what goes wrong with it; another plugin's cannot be had here."""
    config = hub.config
    assert isinstance(config, MemoriesConfig)
    encoder = Encoder(hub.tasks, config.model_folder, threads=config.model_threads)
    try:
        backend = chosen(hub, config, encoder)
        # Ours would begin to make vectors: that is a server's work, which finds by itself what is brought in here.
        ours = isinstance(backend, EmbeddedBackend)
        if not ours:
            await backend.start()
        try:
            yield backend
        finally:
            if not ours:
                await backend.close()
    except MoorageError as error:
        raise click.ClickException(error.message) from None
    finally:
        await encoder.close()
