"""`moorage signing-keys`: see, rotate and revoke the keys that sign JWTs, also while the server runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from moorage.accounts import SYSTEM, Accounts
from moorage.accounts.signing import SigningKeyInfo
from moorage.cli.offline import with_accounts


@click.group("signing-keys")
def signing_keys() -> None:
    """See, rotate and revoke the keys that sign JWTs, also while the server runs."""


@signing_keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@with_accounts()
async def list_(accounts: Accounts, as_json: bool) -> None:
    """Show the keys, the newest first; never their secrets."""
    found = await accounts.tokens.keys.listed()
    if as_json:
        click.echo(json.dumps([_shown(key) for key in found], indent=2))
        return
    for key in found:
        state = key.state if key.usable else f"{key.state}, but sealed with another secret"
        until = f"until {_second(key.verify_until)}" if key.verify_until else ""
        click.echo(f"{key.kid}  {key.algorithm}  made {_second(key.created_at)}  {state} {until}".rstrip())


@signing_keys.command("rotate")
@with_accounts()
async def rotate(accounts: Accounts) -> None:
    """Sign with a new key from now on. JWTs of the one before hold until they end."""
    key = await accounts.tokens.keys.rotate(by=SYSTEM)
    click.echo(f"Key {key.kid} signs now.")


@signing_keys.command("revoke")
@click.argument("kid")
@with_accounts()
async def revoke(accounts: Accounts, kid: str) -> None:
    """End the key KID and every JWT that it signed. Sessions go on."""
    await accounts.tokens.keys.revoke(kid, by=SYSTEM)
    click.echo(f"Key {kid} is revoked.")


def _second(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown(key: SigningKeyInfo) -> dict[str, object]:
    return {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "state": key.state,
        "usable": key.usable,
        "created_at": key.created_at.isoformat(),
        "retired_at": key.retired_at.isoformat() if key.retired_at else None,
        "verify_until": key.verify_until.isoformat() if key.verify_until else None,
    }
