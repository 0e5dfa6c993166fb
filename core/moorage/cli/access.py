"""`moorage access`: who may do what, and why."""

from __future__ import annotations

import asyncio
import difflib
import json
from pathlib import Path

import click

from moorage.access import ANY, Access, Actor, Explanation, Permission
from moorage.cli.offline import declare_plugins, open_accounts, required_user
from moorage.config import Loaded, load

config_option = click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration file.")
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


class CannotSay(click.ClickException):
    """There is no such user: neither allowed (0) nor denied (1)."""

    exit_code = 2


@click.group()
def access() -> None:
    """Say who may do what, and why. Reads the configuration and the manifests of the enabled plugins."""


@access.command("explain")
@click.argument("user")
@click.argument("permission")
@click.argument("resource", required=False)
@config_option
@json_option
@click.pass_context
def explain(
    context: click.Context, user: str, permission: str, resource: str | None, config_path: Path | None, as_json: bool
) -> None:
    """Say whether USER may do PERMISSION, and each reason.

    RESOURCE is what it is about: `user:NAME` for a thing that belongs to that user; without it, USER's own things.
    Exit code 0 = allowed, 1 = denied, 2 = cannot be said.
    """
    loaded, decisions = _prepare(context, config_path)
    _require_permission(decisions, permission)
    owner = _owner(resource)
    try:
        said = asyncio.run(_explain(loaded, decisions, user, permission, owner))
    except click.ClickException as error:
        raise CannotSay(error.message) from None
    if as_json:
        click.echo(json.dumps({"allowed": said.allowed, "reasons": list(said.lines)}, indent=2))
    else:
        click.echo(str(said))
    context.exit(0 if said.allowed else 1)


@access.command("roles")
@config_option
@json_option
@click.pass_context
def roles(context: click.Context, config_path: Path | None, as_json: bool) -> None:
    """Show every role and what it holds; `:any` means everybody's objects, else one's own."""
    _, decisions = _prepare(context, config_path)
    held = {role: _shortest(decisions.held_by_role(role)) for role in decisions.roles()}
    if as_json:
        click.echo(json.dumps(held, indent=2))
        return
    for role, names in held.items():
        click.echo(f"{role}{'' if names else '  (nothing)'}")
        for name in names:
            click.echo(f"  {name}")


@access.command("permissions")
@config_option
@json_option
@click.pass_context
def permissions(context: click.Context, config_path: Path | None, as_json: bool) -> None:
    """Show every permission of the core and the enabled plugins, and the lowest role that holds it by default."""
    _, decisions = _prepare(context, config_path)
    found = decisions.permissions()
    if as_json:
        click.echo(json.dumps([_shown(permission) for permission in found], indent=2))
        return
    width = max(len(permission.name) for permission in found)
    for p in found:
        reach = f"own: {p.default}, everybody's: {p.default_any}" if p.owned else p.default
        click.echo(f"{p.name:<{width}}  {p.summary}  ({reach})")


def _prepare(context: click.Context, config_path: Path | None) -> tuple[Loaded, Access]:
    loaded = load(config_path or (context.find_root().obj or {}).get("config"))
    decisions = Access(loaded.settings.access.roles)
    declare_plugins(loaded, decisions)
    decisions.check_roles()
    return loaded, decisions


async def _explain(loaded: Loaded, decisions: Access, user: str, permission: str, owner: str | None) -> Explanation:
    async with open_accounts(loaded, decisions) as accounts:
        actor = Actor(await required_user(accounts, user))
        owner_id = (await required_user(accounts, owner)).id if owner is not None else None
    return decisions.explain(actor, permission, owner_id)


def _owner(resource: str | None) -> str | None:
    """The user's name in `user:NAME`."""
    if resource is None:
        return None
    kind, colon, name = resource.partition(":")
    if kind != "user" or not colon or not name:
        raise click.UsageError(f"RESOURCE is `user:NAME`, the owner of the thing; {resource!r} is not.")
    return name


def _require_permission(decisions: Access, permission: str) -> None:
    names = [p.name for p in decisions.permissions()]
    base = permission.removesuffix(ANY)
    if base in names:
        return
    near = difflib.get_close_matches(base, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else " `moorage access permissions` shows all."
    raise click.UsageError(f"No enabled plugin declares the permission {permission!r}.{hint}")


def _shortest(names: frozenset[str]) -> list[str]:
    """Names by order, without the plain ones that `:any` includes."""
    return sorted(name for name in names if name + ANY not in names)


def _shown(permission: Permission) -> dict[str, object]:
    return {
        "name": permission.name,
        "plugin": permission.name.split(":", 1)[0],
        "summary": permission.summary,
        "default": permission.default,
        "owned": permission.owned,
        "default_any": permission.default_any if permission.owned else None,
    }
