"""`moorage workspaces`: on the database, also while the server runs, which sees a change within seconds."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import click
from moorage.api import Hub, UserInfo
from moorage.commands import SYSTEM, echo_table, required_user, with_hub

from moorage_mcp import store
from moorage_mcp.calls import Calls, Outcome
from moorage_mcp.config import McpConfig
from moorage_mcp.names import PID
from moorage_mcp.records import Status, WorkspaceInfo
from moorage_mcp.snippets import Client, snippet
from moorage_mcp.views.shapes import call_shape, upstream_shape
from moorage_mcp.workspaces import Wanted, Workspaces

PAGE = 200
user_option = click.option("--user", "owner", help="Whose: a username or an e-mail address.")
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.group()
def workspaces() -> None:
    """Make, list, delete and restore MCP workspaces, also while the server runs.

    WORKSPACE is its public id (ws_...), its number, or with --user its name.
    """


@workspaces.command("list")
@user_option
@click.option("--status", type=click.Choice([status.value for status in Status]), help="Only those in that state.")
@json_option
@with_hub("mcp")
async def list_(hub: Hub, owner: str | None, status: str | None, as_json: bool) -> None:
    """Show workspaces; deleted ones only with --status deleted."""
    user_id = (await required_user(hub.accounts, owner)).id if owner is not None else None
    service, found = _service(hub), list[WorkspaceInfo]()
    chosen = Status(status) if status is not None else None
    while page := (await service.page(Wanted(user_id=user_id, status=chosen, offset=len(found), limit=PAGE)))[0]:
        found += page
    if as_json:
        click.echo(json.dumps([_shown(one) for one in found], indent=2))
        return
    names = await _names(hub, {one.user_id for one in found})
    rows = [("ID", "NAME", "USER", "STATUS", "SERVERS", "CREATED")]
    for one in found:
        servers = str(len(one.upstreams))
        rows.append((one.pid, one.name, names[one.user_id], one.status.value, servers, _day(one.created_at)))
    echo_table(rows)


@workspaces.command("show")
@click.argument("workspace")
@user_option
@json_option
@with_hub("mcp")
async def show(hub: Hub, workspace: str, owner: str | None, as_json: bool) -> None:
    """Show a workspace with its servers; never their secrets."""
    found = await _find(hub, workspace, owner)
    shown = {**_shown(found), "upstreams": [upstream_shape(one) for one in found.upstreams]}
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    names = await _names(hub, {found.user_id})
    click.echo(f"{found.name} ({found.pid}, number {found.id}) of {names[found.user_id]}: {found.status.value}")
    for one in found.upstreams:
        what = " ".join(one.command) or one.url or "files and git"
        state = "" if one.enabled else "  off"
        click.echo(f"  {one.name:<20} {one.kind.value:<9} {what}{state}{f'  {one.fault}' if one.fault else ''}")


@workspaces.command("create")
@click.argument("name")
@click.option("--user", "owner", required=True, help="Whose: a username or an e-mail address.")
@with_hub("mcp")
async def create(hub: Hub, name: str, owner: str) -> None:
    """Make a workspace called NAME. Its public id is printed."""
    user = await required_user(hub.accounts, owner)
    made = await (await _started(hub)).create(SYSTEM, name, owner=user)
    click.echo(f"Created {made.name} for {user.username}.", err=True)
    click.echo(made.pid)


@workspaces.command("delete")
@click.argument("workspace")
@user_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_hub("mcp")
async def delete(hub: Hub, workspace: str, owner: str | None, yes: bool) -> None:
    """Delete a workspace. It can be restored until the server purges it."""
    found = await _find(hub, workspace, owner)
    if not yes:
        click.confirm(f"Delete the workspace {found.name} ({found.pid})", abort=True, err=True)
    await (await _started(hub)).delete(SYSTEM, found.id)
    click.echo(f"Deleted {found.name} ({found.pid}).")


@workspaces.command("restore")
@click.argument("workspace")
@click.option("--name", help="A new name, where the old is taken by now.")
@with_hub("mcp")
async def restore(hub: Hub, workspace: str, name: str | None) -> None:
    """Take back a deletion. WORKSPACE is a public id or a number."""
    found = await _find(hub, workspace, None)
    restored = await (await _started(hub)).restore(SYSTEM, found.id, name)
    click.echo(f"Restored {restored.name} ({restored.pid}).")


@workspaces.command("calls")
@click.argument("workspace")
@user_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
@click.option("--outcome", type=click.Choice([outcome.value for outcome in Outcome]), help="Only those that ended so.")
@click.option("--tool", help="Only this tool's.")
@json_option
@with_hub("mcp")
async def calls(
    hub: Hub, workspace: str, owner: str | None, limit: int, outcome: str | None, tool: str | None, as_json: bool
) -> None:
    """Show what was asked of a workspace's servers, newest first. That it was shown is written to the audit log."""
    found = await _find(hub, workspace, owner)
    await hub.audit.write("mcp_call.read", actor=SYSTEM, data={"workspace": found.pid, "user_id": found.user_id})
    chosen = Outcome(outcome) if outcome is not None else None
    rows, _ = await Calls(hub, _config(hub)).page(found.id, offset=0, limit=limit, outcome=chosen, tool=tool)
    if as_json:
        click.echo(json.dumps([call_shape(row) for row in rows], indent=2))
        return
    names = await _names(hub, {row.user_id for row in rows})
    table = [("AT", "USER", "METHOD", "TOOL", "MS", "OUTCOME")]
    for row in rows:
        said = f"{row.outcome}: {row.error}" if row.error else row.outcome
        at = store.aware(row.at).strftime("%Y-%m-%d %H:%M:%S")
        table.append((at, names[row.user_id], row.method, row.tool or "-", f"{row.duration_ms:.0f}", said))
    echo_table(table)


@workspaces.command("mcp-json")
@click.argument("workspace")
@user_option
@click.option("--client", type=click.Choice([client.value for client in Client]), default="generic", show_default=True)
@click.option("--oauth", is_flag=True, help="Without a place for an API key: the client logs in.")
@click.option("--url", "base", help="The server's address, where `[server] public_url` does not say it.")
@with_hub("mcp")
async def mcp_json(hub: Hub, workspace: str, owner: str | None, client: str, oauth: bool, base: str | None) -> None:
    """Print the configuration of an MCP client for a workspace. A key is never in it."""
    found = await _find(hub, workspace, owner)
    base = base or hub.public_url
    if base is None:
        raise click.UsageError("Say where the server is: --url, or [server] public_url.")
    url = f"{base.rstrip('/')}/ws/{found.name}/mcp"
    click.echo(json.dumps(snippet(Client(client), found.name, url, key=not oauth), indent=2))


def _config(hub: Hub) -> McpConfig:
    assert isinstance(hub.config, McpConfig)
    return hub.config


def _service(hub: Hub) -> Workspaces:
    return Workspaces(hub, _config(hub))


async def _started(hub: Hub) -> Workspaces:
    service = _service(hub)
    await service.prepare(await asyncio.to_thread(hub.server_id))
    return service


async def _find(hub: Hub, ref: str, owner: str | None) -> WorkspaceInfo:
    user = await required_user(hub.accounts, owner) if owner is not None else None
    found = await store.find(hub, ref, user.id if user is not None else None)
    if found is None:
        what = "" if user is not None or ref.startswith(PID) or ref.isdigit() else " Names need --user."
        raise click.ClickException(f"There is no workspace {ref!r}; `moorage workspaces list` shows all.{what}")
    return found


async def _names(hub: Hub, ids: set[int]) -> dict[int, str]:
    users: dict[int, UserInfo | None] = {id: await hub.accounts.get_user(id) for id in ids}
    return {id: user.username if user is not None else "-" for id, user in users.items()}


def _shown(one: WorkspaceInfo) -> dict[str, Any]:
    return {
        "id": one.id,
        "pid": one.pid,
        "name": one.name,
        "user_id": one.user_id,
        "status": one.status.value,
        "created_at": one.created_at.isoformat(),
        "deleted_at": one.deleted_at.isoformat() if one.deleted_at else None,
        "purge_after": one.purge_after.isoformat() if one.purge_after else None,
        "metadata": dict(one.metadata),
        "runtime": one.runtime,
    }


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()
