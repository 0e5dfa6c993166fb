"""`moorage chat`: on the database and the settings, also while the server runs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import click
from moorage.api import Actor, Credential, Hub, Method, UserInfo
from moorage.commands import SYSTEM, echo_table, required_user, with_hub

from moorage_chat.accounting import MOST_DAYS, Accounting, Report
from moorage_chat.config import ChatConfig, ProviderConfig
from moorage_chat.limits import Limits
from moorage_chat.providers.base import Ask, Finish, ModelInfo, Provider, ProviderError, Reasoning, Text
from moorage_chat.providers.choice import first
from moorage_chat.providers.configured import configured
from moorage_chat.providers.keys import key
from moorage_chat.records import Space
from moorage_chat.store import usage as store
from moorage_chat.store.conversations import Conversations
from moorage_chat.store.portable import Portable
from moorage_chat.store.removal import Removal
from moorage_chat.store.usage import Allowed, Used
from moorage_chat.views.usage import allowed_shape, usage_shape, used_shape

LIST_SECONDS = 15.0
ASK_SECONDS = 180.0
SHOWN_MODELS = 5
user_option = click.option("--user", "login", help="Whose: a username or an e-mail address.")
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


class Amount(click.ParamType):  # type: ignore[type-arg]
    """A number, or "none" for no limit."""

    name = "number|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click."""
        text = str(value).lower()
        if text == "none":
            return None
        if not text.isascii() or not text.isdigit() or int(text) > 2**31 - 1:
            self.fail(f"{value!r} is neither a number nor none", param, ctx)
        return int(text)


@click.group()
def chat() -> None:
    """See what models cost, set limits, check providers, carry conversations out."""


@chat.command("usage")
@user_option
@click.option("--days", type=click.IntRange(1, MOST_DAYS), default=30, show_default=True, help="Today among them.")
@json_option
@with_hub("chat")
async def usage(hub: Hub, login: str | None, days: int, as_json: bool) -> None:
    """Show what users have used of models, or by day and model what one user has."""
    accounting = _accounting(hub)
    if login is not None:
        report = await accounting.of(await required_user(hub.accounts, login), days)
        click.echo(json.dumps(usage_shape(_config(hub), report), indent=2)) if as_json else _echo_report(report)
        return
    rows = await accounting.ranking(days=days, limit=1000)
    if as_json:
        click.echo(json.dumps([{**used_shape(used), "user_id": user_id} for user_id, used in rows], indent=2))
        return
    names = await _names(hub, [user_id for user_id, _ in rows])
    echo_table([("USER", *_HEAD), *((names[user_id], *_cells(used)) for user_id, used in rows)])


# -- limits ------------------------------------------------------------------------------------------------------


@chat.group()
def limits() -> None:
    """Show and set what users may use of models in a day (UTC)."""


@limits.command("list")
@json_option
@with_hub("chat")
async def list_limits(hub: Hub, as_json: bool) -> None:
    """Show the limits of roles, from the settings, and those of users who have their own."""
    roles = {role: Limits(hub, _config(hub)).of_role(role) for role in _config(hub).limits}
    users = await store.all_allowed()
    names = await _names(hub, list(users))
    if as_json:
        found = {
            "roles": {role: allowed_shape(allowed, own=False) for role, allowed in roles.items()},
            "users": {names[id]: allowed_shape(allowed, own=True) for id, allowed in users.items()},
        }
        click.echo(json.dumps(found, indent=2))
        return
    rows = [("WHOSE", "ANSWERS A DAY", "TOKENS A DAY")]
    rows += [(f"role {role}", *_allowed(allowed)) for role, allowed in roles.items()]
    rows += [(names[id], *_allowed(allowed)) for id, allowed in users.items()]
    echo_table(rows)


@limits.command("set")
@click.argument("login", metavar="USER")
@click.option("--messages", type=Amount(), required=True, help="Answers a day.")
@click.option("--tokens", type=Amount(), required=True, help="Tokens a day, asked and answered together.")
@with_hub("chat")
async def set_limits(hub: Hub, login: str, messages: int | None, tokens: int | None) -> None:
    """Give USER limits of their own, which hold instead of those of the role."""
    user, allowed = await required_user(hub.accounts, login), Allowed(messages, tokens)
    await _accounting(hub).give(SYSTEM, user, allowed)
    click.echo(f"{user.username}: {_a_day(allowed)}.")


@limits.command("clear")
@click.argument("login", metavar="USER")
@with_hub("chat")
async def clear_limits(hub: Hub, login: str) -> None:
    """Let the limits of the role hold for USER again."""
    user = await required_user(hub.accounts, login)
    await _accounting(hub).take(SYSTEM, user)
    click.echo(f"{user.username}: the limits of the role {user.role}.")


# -- providers ---------------------------------------------------------------------------------------------------


@chat.group()
def providers() -> None:
    """Show the providers of the settings, and try them."""


@providers.command("list")
@json_option
@with_hub("chat")
async def list_providers(hub: Hub, as_json: bool) -> None:
    """Show the providers of the settings, and whether their keys are there; never the keys."""
    found = [await _described(id, one) for id, one in _config(hub).providers.items()]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    rows = [("ID", "KIND", "KEY", "ADDRESS")]
    rows += [(one["id"], one["kind"], one["key"], one["address"]) for one in found]
    echo_table(rows)


@providers.command("check")
@click.argument("id", required=False)
@click.option("--ask", "model", is_flag=False, flag_value="", metavar="[MODEL]", help="Let a model say a word as well.")
@with_hub("chat")
async def check_providers(hub: Hub, id: str | None, model: str | None) -> None:
    """Ask each provider (or the one called ID) for its models. Exit code 1 when one does not answer.

    With --ask a model, its first one or MODEL, is made to answer, which may cost something.
    """
    made = {one.id: one for one in configured(hub, _config(hub))}
    if id is not None and id not in made:
        raise click.ClickException(f"There is no provider {id!r}; `moorage chat providers list` shows all.")
    well = True
    try:
        for name, provider in made.items():
            if id in (None, name):
                well = await _check(provider, model) and well
    finally:
        for provider in made.values():
            await provider.close()
    if not made:
        raise click.ClickException("No provider is set up: see [plugins.chat.providers] in the documentation.")
    if not well:
        raise SystemExit(1)


async def _check(provider: Provider, model: str | None) -> bool:
    started = time.monotonic()
    try:
        async with asyncio.timeout(LIST_SECONDS):
            models = list(await provider.models())
        click.echo(f"{provider.id}: answers in {time.monotonic() - started:.2f} s; {_models(models)}")
        if model is not None:
            async with asyncio.timeout(ASK_SECONDS):
                click.echo(f"{provider.id}: {await _ask(provider, model or first(models) or '')}")
    except ProviderError as error:
        click.echo(f"{provider.id}: {error.code}: {error.detail}")
        return False
    except TimeoutError:
        click.echo(f"{provider.id}: no answer in time")
        return False
    except Exception as error:  # Whatever a provider does wrong, the others are asked as well.
        click.echo(f"{provider.id}: {type(error).__name__}: {error}")
        return False
    return True


async def _ask(provider: Provider, model: str) -> str:
    """How a model's answer went, as a sentence. ProviderError."""
    started, begun, text, whole = time.monotonic(), 0.0, "", False
    ask = Ask(model=model, messages=[{"role": "user", "content": "Answer with one word: ready"}], max_tokens=64)
    async with aclosing(provider.generate(ask)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Text | Reasoning) and not begun:
                begun = time.monotonic()
            if isinstance(piece, Text):
                text += piece.text
            whole = whole or isinstance(piece, Finish)
    ended = "" if whole else ", but broke off"
    return f"{model} began to answer after {(begun or time.monotonic()) - started:.2f} s{ended}: {text.strip()[:80]!r}"


# -- conversations -----------------------------------------------------------------------------------------------


@chat.command("export")
@click.option("--user", "login", required=True, help="Whose: a username or an e-mail address.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A new file; without it, the terminal.")
@with_hub("chat")
async def export(hub: Hub, login: str, output: Path | None) -> None:
    """Write all conversations of a user as JSONL, which the page and `POST /conversations/import` take in again.

    That it was done is written to the audit log.
    """
    user = await required_user(hub.accounts, login)
    await hub.audit.write("chat.exported", actor=SYSTEM, target=f"user:{user.pid}")
    # As its user, whatever their role may do and whether or not they may come in.
    owner = Actor(user=replace(user, role="owner", active=True), credential=Credential(Method.SYSTEM, 0, "cli"))
    portable = Portable(hub, _config(hub), Conversations(hub, _config(hub), Removal(hub)))
    spaces = [Space.CHAT] if _config(hub).shared_conversations else list(Space)
    if output is None:
        await _write(portable, owner, spaces, sys.stdout)
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"{output}: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        count = await _write(portable, owner, spaces, file)
    click.echo(f"{count} conversations of {user.username} in {output}", err=True)


async def _write(portable: Portable, owner: Actor, spaces: Iterable[Space], file: TextIO) -> int:
    count = 0
    for space in spaces:
        async for line in portable.lines(owner, space):
            file.write(line)
            count += 1
    return count


# -- shown -------------------------------------------------------------------------------------------------------

_HEAD = ("ANSWERS", "TOKENS ASKED", "TOKENS ANSWERED")


def _echo_report(report: Report) -> None:
    whose = "their own" if report.own else f"the role {report.user.role}'s"
    click.echo(f"{report.user.username}: {report.today.messages} answers and {report.today.tokens} tokens today.")
    click.echo(f"Allowed in a day, {whose}: {_a_day(report.allowed)}.")
    rows = [("DAY", "MODEL", *_HEAD)]
    for day in report.days:
        rows.append((day.day.isoformat(), "all", *_cells(day.used)))
        rows += [("", f"{one.provider}/{one.model}", *_cells(one.used)) for one in day.models]
    if len(rows) > 1:
        echo_table(rows)


def _cells(used: Used) -> tuple[str, str, str]:
    return str(used.messages), str(used.tokens_in), str(used.tokens_out)


def _allowed(allowed: Allowed) -> tuple[str, str]:
    messages, tokens = (
        "any number" if one is None else str(one) for one in (allowed.messages_per_day, allowed.tokens_per_day)
    )
    return messages, tokens


def _a_day(allowed: Allowed) -> str:
    messages, tokens = _allowed(allowed)
    return f"answers: {messages}, tokens: {tokens}"


def _models(models: list[ModelInfo]) -> str:
    named = ", ".join(one.id for one in models[:SHOWN_MODELS])
    more = f" and {len(models) - SHOWN_MODELS} more" if len(models) > SHOWN_MODELS else ""
    return f"models: {named}{more}" if models else "it lists no models"


async def _described(id: str, settings: ProviderConfig) -> dict[str, str]:
    source = settings.api_key
    said = "none"
    if source is not None:
        where = f"env {source.env}" if source.env is not None else f"file {source.file}"
        try:
            await key(source)
        except ProviderError:
            where += " (missing)"
        said = where
    return {"id": id, "kind": settings.kind, "key": said, "address": settings.base_url or "-"}


def _config(hub: Hub) -> ChatConfig:
    assert isinstance(hub.config, ChatConfig)
    return hub.config


def _accounting(hub: Hub) -> Accounting:
    return Accounting(hub, Limits(hub, _config(hub)))


async def _names(hub: Hub, ids: list[int]) -> dict[int, str]:
    users: dict[int, UserInfo | None] = {id: await hub.accounts.get_user(id) for id in ids}
    return {id: user.username if user is not None else f"user {id}" for id, user in users.items()}
