"""`moorage users`: make and change users, also while the server runs."""

from __future__ import annotations

import json

import click

from moorage.access import UserInfo
from moorage.accounts import SYSTEM, Accounts
from moorage.cli.offline import read_password, required_user, with_accounts

PAGE = 200
password_file_option = click.option(
    "--password-file", metavar="FILE|-", help="Where the password is; - is standard input. One line end is cut off."
)


@click.group()
def users() -> None:
    """Make and change users, also while the server runs."""


@users.command("create")
@click.argument("name")
@click.option("--email", help="An e-mail address, with which the user may log in as well.")
@click.option("--role", default="operator", show_default=True, help="owner, admin, operator, viewer, or your own.")
@click.option("--display-name", help="The name that others see; unset, NAME.")
@password_file_option
@click.option("--no-password", is_flag=True, help="For somebody who logs in at a provider with this --email.")
@with_accounts()
async def create(
    accounts: Accounts,
    name: str,
    email: str | None,
    role: str,
    display_name: str | None,
    password_file: str | None,
    no_password: bool,
) -> None:
    """Make the user NAME. The password is read from --password-file, or asked for."""
    if no_password and (password_file is not None or email is None):
        raise click.UsageError("--no-password goes with --email and without --password-file.")
    password = None if no_password else read_password(password_file)
    user = await accounts.create_user(name, password=password, email=email, role=role, name=display_name, by=SYSTEM)
    click.echo(f"Created {user.username} ({user.pid}), {user.role}.")


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@with_accounts()
async def list_(accounts: Accounts, as_json: bool) -> None:
    """Show all users."""
    found: list[UserInfo] = []
    while page := (await accounts.list_users(offset=len(found), limit=PAGE))[0]:
        found += page
    if as_json:
        click.echo(json.dumps([_shown(user) for user in found], indent=2))
        return
    for user in found:
        state = "" if user.active else "disabled"
        click.echo(f"{user.username:<24} {user.role:<12} {user.email or '-':<32} {user.pid}  {state}".rstrip())


@users.command("set-role")
@click.argument("name")
@click.argument("role")
@with_accounts()
async def set_role(accounts: Accounts, name: str, role: str) -> None:
    """Give the user NAME the role ROLE. It counts at once, on open connections too."""
    user = await accounts.set_role((await required_user(accounts, name)).id, role, by=SYSTEM)
    click.echo(f"{user.username} is {user.role}.")


@users.command("set-password")
@click.argument("name")
@password_file_option
@with_accounts()
async def set_password(accounts: Accounts, name: str, password_file: str | None) -> None:
    """Set a new password for NAME. All sessions of the user end; API keys stay."""
    user = await required_user(accounts, name)
    await accounts.set_password(user.id, read_password(password_file), by=SYSTEM)
    click.echo(f"The password of {user.username} is changed; all sessions have ended.")


@users.command("disable")
@click.argument("name")
@with_accounts()
async def disable(accounts: Accounts, name: str) -> None:
    """Let NAME in no more: sessions end, API keys do not hold until the user is enabled again."""
    user = await accounts.set_active((await required_user(accounts, name)).id, False, by=SYSTEM)
    click.echo(f"{user.username} is disabled.")


@users.command("enable")
@click.argument("name")
@with_accounts()
async def enable(accounts: Accounts, name: str) -> None:
    """Let the disabled user NAME in again."""
    user = await accounts.set_active((await required_user(accounts, name)).id, True, by=SYSTEM)
    click.echo(f"{user.username} is enabled.")


@users.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_accounts()
async def delete(accounts: Accounts, name: str, yes: bool) -> None:
    """Delete the user NAME with sessions, API keys and linked identities. What they did stays in the audit log."""
    user = await required_user(accounts, name)
    if not yes:
        question = f"Delete {user.username} ({user.pid}) and all that is theirs? This cannot be undone"
        click.confirm(question, abort=True, err=True)
    await accounts.delete_user(user.id, by=SYSTEM)
    click.echo(f"Deleted {user.username}.")


def _shown(user: UserInfo) -> dict[str, object]:
    return {
        "id": user.id,
        "pid": user.pid,
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "active": user.active,
        "created_at": user.created_at.isoformat(),
    }
