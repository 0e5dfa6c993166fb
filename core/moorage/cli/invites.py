"""`moorage invites`: make, list and revoke invites, also while the server runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import click

from moorage.accounts import SYSTEM, Accounts
from moorage.accounts.invite_rules import MAX_AHEAD, MAX_USES
from moorage.accounts.invites import CODE, LINK, InviteInfo
from moorage.cli.offline import with_accounts

PAGE = 200


@click.group()
def invites() -> None:
    """Make, list and revoke invites, also while the server runs."""


@invites.command("create")
@click.option("--role", default="operator", show_default=True, help="What who comes in becomes; never owner.")
@click.option("--uses", type=click.IntRange(1, MAX_USES), default=1, show_default=True, help="How many may come in.")
@click.option("--unlimited", is_flag=True, help="As many as want may come in.")
@click.option(
    "--expires",
    type=click.IntRange(1, MAX_AHEAD.days - 1),
    metavar="DAYS",
    help="Days to live; unset, until it is used or revoked.",
)
@click.option("--note", help="What it is for; shown in lists.")
@click.option("--code", help="A code of your own, 4 to 64 of A-Z, a-z, 0-9, _ and -.")
@click.option("--link", is_flag=True, help="Make a long token that is shown only now, instead of a code.")
@with_accounts()
async def create(
    accounts: Accounts,
    role: str,
    uses: int,
    unlimited: bool,
    expires: int | None,
    note: str | None,
    code: str | None,
    link: bool,
) -> None:
    """Make an invite. Its code or token is printed alone on standard output."""
    if link and code is not None:
        raise click.UsageError("--code and --link exclude each other: a link's token is always random.")
    expires_at = datetime.now(UTC) + timedelta(days=expires) if expires is not None else None
    invite, text = await accounts.invites.create(
        kind=LINK if link else CODE,
        role=role,
        max_uses=None if unlimited else uses,
        expires_at=expires_at,
        note=note,
        code=code,
        by=SYSTEM,
    )
    told = "It is shown only now; people open /invite/TOKEN:" if link else "People register with this code:"
    click.echo(f"Invite {invite.pid} ({invite.role}). {told}", err=True)
    click.echo(text)


@invites.command("list")
@click.option("--valid", is_flag=True, help="Only those that let somebody in now.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@with_accounts(permissions=True)
async def list_(accounts: Accounts, valid: bool, as_json: bool) -> None:
    """Show invites, newest first; codes are shown, tokens of links never."""
    found: list[InviteInfo] = []
    while page := (await accounts.invites.page(valid=True if valid else None, offset=len(found), limit=PAGE))[0]:
        found += page
    if as_json:
        click.echo(json.dumps([_shown(invite) for invite in found], indent=2))
        return
    for invite in found:
        uses = f"{invite.used_count}/{invite.max_uses if invite.max_uses is not None else 'any'}"
        until = f"until {invite.expires_at.astimezone(UTC):%Y-%m-%d}" if invite.expires_at else ""
        what = invite.code or ("(link)" if invite.kind == LINK else "(sealed with another secret)")
        words = (f"{invite.pid:<18}", f"{what:<24}", f"{invite.role:<12}", f"{uses:<8}", invite.state, until)
        click.echo("  ".join((*words, invite.note or "")).rstrip())


@invites.command("revoke")
@click.argument("invite")
@with_accounts()
async def revoke(accounts: Accounts, invite: str) -> None:
    """Revoke INVITE: its id (inv_…), its code or its token."""
    found = await accounts.invites.find(invite)
    info = found or await accounts.invites.get(invite)
    if await accounts.invites.revoke(info.id, by=SYSTEM):
        click.echo(f"Invite {info.pid} is revoked.")
    else:
        click.echo(f"Invite {info.pid} was revoked before.")


def _shown(invite: InviteInfo) -> dict[str, object]:
    return {
        "id": invite.id,
        "pid": invite.pid,
        "kind": invite.kind,
        "code": invite.code,
        "role": invite.role,
        "note": invite.note,
        "state": invite.state,
        "max_uses": invite.max_uses,
        "used_count": invite.used_count,
        "created_by": invite.created_by.pid if invite.created_by is not None else None,
        "created_at": invite.created_at.isoformat(),
        "expires_at": invite.expires_at.isoformat() if invite.expires_at else None,
        "revoked_at": invite.revoked_at.isoformat() if invite.revoked_at else None,
    }
