"""The `moorage` command: its subcommands are imported when they are asked for, so one that is broken hurts no other."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

import moorage
from moorage.errors import ConfigError, MoorageError, StartError

COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("moorage.cli.serve:serve", "Run the server until SIGTERM or Ctrl-C."),
    "config": ("moorage.cli.config:config", "Explain, check and write the configuration."),
    "plugins": ("moorage.cli.plugins:plugins", "Switch plugins on and off, and see what is wrong with them."),
    "users": ("moorage.cli.users:users", "Make and change users, also while the server runs."),
    "keys": ("moorage.cli.keys:keys", "Make, list and revoke API keys."),
    "invites": ("moorage.cli.invites:invites", "Make, list and revoke invites."),
    "signing-keys": ("moorage.cli.signing_keys:signing_keys", "See, rotate and revoke the keys that sign JWTs."),
    "access": ("moorage.cli.access:access", "Say who may do what, and why."),
    "audit": ("moorage.cli.audit:audit", "Read the audit log, export it, and remove what is old."),
    "openapi": ("moorage.cli.openapi:openapi", "Print the OpenAPI documents of what is served."),
    "db": ("moorage.cli.db:db", "Migrate, back up and restore the database."),
}
"""name -> (module:command, help). The help stands here so that `--help` imports nothing."""
TRACEBACK = "MOORAGE_TRACEBACK"
OF_PLUGINS = "moorage.plugin_commands"


def plugin_commands(config: Path | None = None) -> dict[str, tuple[str, str]]:
    """The commands of the enabled plugins, as in COMMANDS; none where the configuration cannot be read."""
    found: dict[str, tuple[str, str]] = {}
    try:
        from moorage.config import load
        from moorage.plugins import load_manifests

        manifests = load_manifests(load(config))
    except Exception as error:
        _show_traceback(error)
        return {}
    for manifest in manifests.values():
        if not isinstance(manifest, Exception):
            found = {**manifest.commands, **found}
    return {name: kept for name, kept in found.items() if name not in COMMANDS}


def _config_of(ctx: click.Context, args: Sequence[str]) -> Path | None:
    """The file that --config names, before the command or after it."""
    for place, flag in enumerate(args):
        value = args[place + 1] if place + 1 < len(args) else ""
        if flag == "--config" or flag.startswith("--config="):
            return Path(value if flag == "--config" else flag.removeprefix("--config="))
    given = ctx.params.get("config_path")
    return Path(given) if given is not None else None


class LazyGroup(click.Group):
    """A group that imports a command when it is run: the server's own by the table, then those of enabled plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table, then plugins'."""
        return [*COMMANDS, *self._of_plugins(ctx)]

    def _of_plugins(self, ctx: click.Context, args: Sequence[str] = ()) -> dict[str, tuple[str, str]]:
        kept: dict[str, tuple[str, str]] | None = ctx.meta.get(OF_PLUGINS)
        if kept is None:
            kept = ctx.meta[OF_PLUGINS] = plugin_commands(_config_of(ctx, args))
        return kept

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; None for an unknown name; an error that names the cause when it cannot be imported."""
        found = COMMANDS.get(cmd_name) or self._of_plugins(ctx).get(cmd_name)
        if found is None:
            return None
        module_name, _, attribute = found[0].partition(":")
        try:
            command = getattr(importlib.import_module(module_name), attribute)
            _logs_to_stderr()
        except Exception as error:
            _show_traceback(error)
            raise click.ClickException(
                f"`moorage {cmd_name}` cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(command, click.Command):
            raise click.ClickException(f"`moorage {cmd_name}` cannot be loaded: {module_name} has no such command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, and an unknown name is told the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            others = self._of_plugins(ctx, args[1:])
            if args[0] in others:
                return super().resolve_command(ctx, args)
            close = difflib.get_close_matches(args[0], [*COMMANDS, *others], n=1)
            hint = f" Did you mean {close[0]!r}?" if close else " Plugins' commands are there while they are enabled."
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])
        if others := self._of_plugins(ctx):
            with formatter.section("Of plugins"):
                formatter.write_dl([(name, text) for name, (_, text) in others.items()])


@dataclass(frozen=True, slots=True)
class CommandLogs:
    """How commands log; `serve` sets up what the configuration says."""

    level: str = "warning"
    format: str = "console"


def _logs_to_stderr() -> None:
    """What a command prints is for programs too: nothing else may come between."""
    from moorage.observe import logs

    logs.setup(CommandLogs())


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration file. Otherwise $MOORAGE_CONFIG, ./moorage.toml or /etc/moorage/moorage.toml.",
)
@click.version_option(moorage.__version__, prog_name="moorage")
@click.pass_context
def cli(context: click.Context, config_path: Path | None) -> None:
    """Live terminals, agent workspaces, tools, chat and memories behind one login."""
    context.obj = {"config": config_path}


def main() -> NoReturn:
    """The entry point: runs a command and turns every error into a text and an exit code."""
    sys.exit(run(None))


def run(arguments: list[str] | None) -> int:
    """Run with the arguments (None = the process's own); returns the exit code."""
    try:
        result: Any = cli.main(arguments, prog_name="moorage", standalone_mode=False)
    except click.Abort:
        click.echo("Aborted.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ConfigError as error:
        return _config_error(error)
    except StartError as error:
        click.echo(f"moorage: {error}", err=True)
        return error.exit_code
    except MoorageError as error:
        click.echo(f"Error: {error.message}", err=True)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        _show_traceback(error)
        hint = "" if os.environ.get(TRACEBACK) else f" Set {TRACEBACK}=1 to see where."
        click.echo(f"moorage: unexpected error: {type(error).__name__}: {error}.{hint}", err=True)
        return 1
    return result if isinstance(result, int) else 0


def _config_error(error: ConfigError) -> int:
    """Each problem on a line of its own that begins with the place, as editors and terminals like it."""
    count = len(error.problems)
    click.echo(f"moorage: the configuration has {f'{count} problems' if count != 1 else 'a problem'}:", err=True)
    for problem in error.problems:
        click.echo(problem, err=True)
    return error.exit_code


def _show_traceback(error: BaseException) -> None:
    if os.environ.get(TRACEBACK):
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)


if __name__ == "__main__":
    main()
