"""`moorage keys`: make, list and revoke API keys, also while the server runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import click

from moorage.accounts import SYSTEM, Accounts, KeyInfo
from moorage.cli.offline import required_user, with_accounts
from moorage.cli.options import Days

PAGE = 200


@click.group()
def keys() -> None:
    """Make, list and revoke API keys, also while the server runs."""


@keys.command("create")
@click.argument("name")
@click.option("--user", "owner", required=True, help="Whose key: a username or an e-mail address.")
@click.option("--scope", "scopes", multiple=True, help="A permission or pattern (tmux:*); again for more. None: all.")
@click.option("--expires", type=Days(), metavar="DAYS", help="Days to live.")
@with_accounts(permissions=True)
async def create(accounts: Accounts, name: str, owner: str, scopes: tuple[str, ...], expires: float | None) -> None:
    """Make an API key called NAME. The key is printed once, alone, on standard output."""
    user = await required_user(accounts, owner)
    expires_at = datetime.now(UTC) + timedelta(days=expires) if expires is not None else None
    key, secret = await accounts.create_key(user.id, name, scopes=scopes or None, expires_at=expires_at, by=SYSTEM)
    click.echo(f"Key {key.prefix} for {user.username}. It is shown only now:", err=True)
    click.echo(secret)


@keys.command("list")
@click.option("--user", "owner", help="Only this user's.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@with_accounts()
async def list_(accounts: Accounts, owner: str | None, as_json: bool) -> None:
    """Show keys that were not revoked; never their secrets."""
    user_id = (await required_user(accounts, owner)).id if owner is not None else None
    found: list[KeyInfo] = []
    while page := (await accounts.list_keys(user_id=user_id, offset=len(found), limit=PAGE))[0]:
        found += page
    if as_json:
        click.echo(json.dumps([_shown(key) for key in found], indent=2))
        return
    names: dict[int, str] = {}
    for key in found:
        if key.user_id not in names:
            user = await accounts.get_user(key.user_id)
            names[key.user_id] = user.username if user is not None else "-"
        used = f"used {_day(key.last_used_at)}" if key.last_used_at else "never used"
        until = f"until {_day(key.expires_at)}" if key.expires_at else ""
        scopes = " ".join(key.scopes) if key.scopes is not None else "all rights"
        click.echo(f"{key.prefix}  {names[key.user_id]:<20} {key.name:<24} {scopes}  {used}  {until}".rstrip())


@keys.command("revoke")
@click.argument("key")
@with_accounts()
async def revoke(accounts: Accounts, key: str) -> None:
    """Revoke KEY: its prefix (mcp_…), its number, or the key itself."""
    # A whole key may be what is at hand when it has leaked; only its public part is looked up.
    found = await accounts.find_key("_".join(key.split("_", 2)[:2]))
    if found is None:
        raise click.ClickException("There is no such key; `moorage keys list` shows all.")
    await accounts.revoke_key(found.id, by=SYSTEM)
    click.echo(f"Key {found.prefix} ({found.name}) is revoked.")


def _day(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d")


def _shown(key: KeyInfo) -> dict[str, object]:
    return {
        "id": key.id,
        "pid": key.pid,
        "user_id": key.user_id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "created_at": key.created_at.isoformat(),
        "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }
