"""`moorage audit`: read the audit log, export it, and remove what is old; also while the server runs."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from moorage.access.service import Access
from moorage.accounts import SYSTEM, Accounts
from moorage.accounts.names import storable
from moorage.cli.offline import open_accounts, open_database
from moorage.cli.options import chosen_config, config_option
from moorage.config import load
from moorage.events import EventBus
from moorage.observe.audit import Audit, AuditRecord
from moorage.observe.audit_query import AuditFilter, prune, walk
from moorage.observe.logs import escape

_AGO = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def _moment(context: click.Context, option: click.Parameter, value: str | None) -> datetime | None:
    """An instant: so long ago (90s, 30m, 2h, 7d, 4w), or ISO 8601, where no zone means UTC."""
    if value is None:
        return None
    try:
        if ago := _AGO.fullmatch(value.strip()):
            return datetime.now(UTC) - timedelta(seconds=float(ago[1]) * _SECONDS[ago[2]])
        at = datetime.fromisoformat(value.strip())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is no time: give 2h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z.") from None


def _text(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not storable(value):
        raise click.BadParameter("It holds characters that no event has.")
    return value


@click.group(invoke_without_command=True)
@click.option("--action", callback=_text, help="What was done: login.failed; or a family of it: user.*")
@click.option("--actor", callback=_text, help="Who did it: a username, an id (user_…), system or anonymous.")
@click.option("--target", callback=_text, help="What it was done to, as kind:number: user:3")
@click.option("--address", callback=_text, help="From which address.")
@click.option("--request", "request_id", callback=_text, help="In which request.")
@click.option("--since", metavar="WHEN", callback=_moment, help="From then on: 2h, 7d, or a date and time.")
@click.option("--until", metavar="WHEN", callback=_moment, help="Before then.")
@click.option("--limit", type=click.IntRange(min=1), help="How many; 50, and all with --jsonl.")
@click.option("--json", "as_json", is_flag=True, help="For programs: a list.")
@click.option("--jsonl", "as_lines", is_flag=True, help="For programs: one object on each line, as they are read.")
@config_option
@click.pass_context
def audit(
    context: click.Context,
    /,
    config_path: Path | None,
    actor: str | None,
    limit: int | None,
    as_json: bool,
    as_lines: bool,
    **filters: Any,
) -> None:
    """Show who did what, newest first."""
    if context.invoked_subcommand is not None:
        if any(value for value in (actor, limit, as_json, as_lines, *filters.values())):
            raise click.UsageError(f"`moorage audit {context.invoked_subcommand}` takes its options behind its name.")
        return
    if as_json and as_lines:
        raise click.UsageError("Give one of --json and --jsonl.")
    loaded = load(chosen_config(config_path))

    async def run() -> None:
        async with open_accounts(loaded, Access(loaded.settings.access.roles)) as accounts:
            wanted = AuditFilter(**filters, **await _actor(accounts, actor))
            if as_lines:
                await _echo_lines(wanted, limit)
                return
            records = await _collect(wanted, limit or 50)
            if as_json:
                click.echo(json.dumps([record.as_json() for record in records], indent=2))
            else:
                await _echo_table(accounts, records)

    asyncio.run(run())


@audit.command("prune")
@click.option(
    "--before", metavar="WHEN", callback=_moment, required=True, help="Remove what is older: 365d, or a date and time."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def prune_(before: datetime, yes: bool, config_path: Path | None) -> None:
    """Remove old events for good. That it was done, from when and how many, is written to the log itself."""
    if before > datetime.now(UTC):
        raise click.UsageError("--before is in the future.")
    loaded = load(chosen_config(config_path))
    if not yes:
        click.confirm(f"Remove all audit events before {before:%Y-%m-%d %H:%M:%S} UTC?", abort=True, err=True)

    async def run() -> int:
        async with open_database(loaded) as db:
            bus = EventBus()
            try:
                return await prune(db, Audit(db, bus), before, by=SYSTEM)
            finally:
                await bus.close()

    click.echo(f"Removed {asyncio.run(run())} events.")


async def _actor(accounts: Accounts, text: str | None) -> dict[str, Any]:
    """The filter for --actor; a user that is gone is still found by its id (user_…)."""
    if text is None:
        return {}
    if text in ("system", "anonymous"):
        return {"actor": text}
    if (user := await accounts.find_user(text)) is not None:
        return {"actor_id": user.id}
    if not text.startswith("user_"):
        raise click.ClickException(f"There is no user {text!r}. Of one that is gone, give the id (user_…).")
    return {"actor": text}


async def _collect(wanted: AuditFilter, limit: int) -> list[AuditRecord]:
    found: list[AuditRecord] = []
    async for records in walk(wanted):
        found += records
        if len(found) >= limit:
            break
    return found[:limit]


async def _echo_lines(wanted: AuditFilter, limit: int | None) -> None:
    left = limit
    async for records in walk(wanted):
        for record in records[:left]:
            click.echo(record.as_line())
        if left is not None and (left := left - len(records)) <= 0:
            return


async def _echo_table(accounts: Accounts, records: list[AuditRecord]) -> None:
    names: dict[int, str] = {}
    for number in {record.actor_id for record in records if record.actor_id is not None}:
        if (user := await accounts.get_user(number)) is not None:
            names[number] = user.username
    for record in records:
        actor = names.get(record.actor_id or 0, record.actor)
        data = json.dumps(record.data, ensure_ascii=False) if record.data else ""
        cells = [f"{actor:<20}", f"{record.action:<24}", f"{record.target or '-':<16}", f"{record.address or '-':<15}"]
        text = "  ".join([f"{record.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", *cells, data])
        click.echo(escape(text.rstrip()))
