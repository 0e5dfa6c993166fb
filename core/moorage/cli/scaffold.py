"""`moorage plugins new`: a plugin to begin with, which passes its linters, its type checker and its tests."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import click

import moorage
from moorage.plugins.discover import discover

NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
MAX_NAME = 32
PREFIX = "moorage-"

FILES = {
    "pyproject.toml": "pyproject.toml.tmpl",
    "README.md": "README.md.tmpl",
    ".gitignore": "gitignore.tmpl",
    "src/@PACKAGE@/__init__.py": "init.py.tmpl",
    "src/@PACKAGE@/plugin.py": "plugin.py.tmpl",
    "src/@PACKAGE@/py.typed": None,
    "tests/conftest.py": "conftest.py.tmpl",
    "tests/test_@IDENTIFIER@.py": "test_plugin.py.tmpl",
    "tests/test_@IDENTIFIER@_conformance.py": "test_conformance.py.tmpl",
}
"""file -> its template, or None for an empty one."""


@click.command("new")
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to make; otherwise ./moorage-NAME.",
)
def new(name: str, folder: Path | None) -> None:
    """Begin a plugin called NAME: a distribution of its own, with a route, a setting, a permission and tests."""
    name = name.removeprefix(PREFIX)
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise click.ClickException(
            f"{name!r} is no name for a plugin: small letters and digits, with single - or _ between them, "
            f"at most {MAX_NAME} characters, a letter first."
        )
    if name == "core":
        raise click.ClickException("The name 'core' is the server's own.")
    if (installed := discover().get(name)) is not None:
        raise click.ClickException(f"A plugin {name!r} is installed already, by {installed.distribution}.")
    folder = folder or Path(f"{PREFIX}{name}")
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise click.ClickException(f"{folder} is there already, and not empty.")
        write(name, folder)
    except OSError as error:
        raise click.ClickException(f"Cannot write {folder}: {error.strerror or error}") from None
    click.echo(f"Made {folder}. To go on:")
    click.echo(f"  cd {folder}")
    click.echo('  pip install -e ".[dev]"')
    click.echo("  pytest")
    click.echo(f"  moorage plugins enable {name}")


def write(name: str, folder: Path) -> None:
    """Write the files of a plugin. OSError when that cannot be."""
    values = tokens(name)
    templates = files("moorage.cli") / "templates" / "plugin"
    for target, template in FILES.items():
        path = folder / fill(target, values)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (templates / template).read_text(encoding="utf-8") if template else ""
        path.write_text(fill(text, values), encoding="utf-8")


def tokens(name: str) -> dict[str, str]:
    """What stands for what in the templates."""
    words = re.split(r"[-_]", name)
    identifier = "_".join(words)
    return {
        "@NAME@": name,
        "@IDENTIFIER@": identifier,
        "@PACKAGE@": f"moorage_{identifier}",
        "@DISTRIBUTION@": f"{PREFIX}{'-'.join(words)}",
        "@CLASS@": "".join(word.capitalize() for word in words),
        "@MOORAGE@": ".".join(moorage.__version__.split(".")[:2]),
    }


def fill(text: str, values: dict[str, str]) -> str:
    """Put the values in."""
    for token, value in values.items():
        text = text.replace(token, value)
    return text
