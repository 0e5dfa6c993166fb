"""What several commands share: which configuration file, and how a table is printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

config_option = click.option(
    "--config", "config_path", type=click.Path(path_type=Path), metavar="FILE", help="The configuration file."
)


class Days(click.FloatRange):
    """A number of days, parts of one too; a hundred years at most."""

    name = "days"

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=36500)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click. NaN is in no range, and click's own comparison does not see that."""
        days = super().convert(value, param, ctx)
        return days if days == days else self.fail(f"{value} is not a number of days", param, ctx)


def chosen_config(config_path: Path | None) -> Path | None:
    """The file that this command, or `moorage --config`, was given; None when neither was."""
    return config_path or (click.get_current_context().find_root().obj or {}).get("config")


def echo_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; the last column may be as long as it likes.

    What users wrote may be in them, and does not steer the terminal.
    """
    from moorage.observe.logs import escape  # structlog takes long, and most commands print no table.

    rows = [[escape(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)] if rows else []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]).rstrip())
