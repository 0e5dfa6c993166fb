"""Writes `docs/reference/` and the included parts of the guides from the code; `--check` only says what is stale.

A guide includes code by a comment before a fenced block, which this program fills:

    <!-- from examples/x/plugin.py: CONSTANT, function, Class.method -->

For a TOML file the name is a table's header; without a name the whole file is taken.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import importlib
import inspect
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
from moorage import api
from moorage.access import CORE_PERMISSIONS, Permission
from moorage.app import App
from moorage.cli.main import COMMANDS, cli
from moorage.config import Settings, load
from moorage.config.schema import fields, is_secret, submodel
from moorage.config.settings import PluginSection, RoleSettings
from moorage.config.text import toml_text
from moorage.hooks import PROJECT, Specs
from moorage.plugin import Manifest
from moorage.plugins import discover, shipped_manifests
from moorage.plugins.loader import import_plugin
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).parents[1]
NOTE = "<!-- Written by `python docs/generate.py` from the code: change that, not this. -->\n"
INCLUDE = re.compile(
    r"^(<!-- from (?P<file>[^\s:]+)(?:: (?P<names>.+?))? -->\n\n?)```(?P<kind>\w+)\n.*?^```$", re.M | re.S
)
WIDTH = 100


def main() -> int:
    """Write, or check; the number of stale files tells the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a file is stale")
    check = parser.parse_args().check
    stale = [path for path, text in outputs() if not path.exists() or path.read_text() != text]
    for path in stale:
        click.echo(f"{'stale' if check else 'wrote'}: {path.relative_to(ROOT)}")
    if check and stale:
        click.echo("Run: python docs/generate.py")
        return 1
    for path, text in outputs() if stale else ():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


def outputs() -> Iterator[tuple[Path, str]]:
    """Each file and what it should hold."""
    manifests = shipped_manifests()
    folder = ROOT / "docs" / "reference"
    yield folder / "hooks.md", page("Hooks", hooks(manifests))
    yield folder / "permissions.md", page("Permissions", permissions(manifests))
    yield folder / "config.md", page("Configuration", configuration(manifests))
    yield folder / "metrics.md", page("Metrics", metrics(manifests))
    yield folder / "cli.md", page("Commands", commands())
    yield folder / "api.md", page("The plugin API", surface())
    for path in sorted((ROOT / "docs").rglob("*.md")):
        if path.parent != folder:
            text = path.read_text()
            yield path, INCLUDE.sub(included, text)


def page(title: str, body: str) -> str:
    """A page of the reference."""
    return f"# {title}\n\n{NOTE}\n{body.strip()}\n"


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(text: str) -> str:
    """A name in a table."""
    return f"`{text}`"


# -- hooks ------------------------------------------------------------------------------------------------------


def hooks(manifests: dict[str, Manifest]) -> str:
    """Every hook: its exact arguments, when it is called, and what an error does."""
    parts = [
        "A plugin implements a hook by a method of the same name that is marked `@hookimpl`. It may leave out "
        "arguments that it does not need, and must be sync or async as the hook is."
    ]
    parts += _hooks(Specs)
    for name in sorted(manifests):
        offered = _offered(name)
        if offered:
            parts.append(f"Offered by the plugin `{name}`, and called while it is on:")
        for specs in offered:
            parts += _hooks(specs)
    return "\n\n".join(parts)


def _offered(name: str) -> list[object]:
    """The hook specifications of a shipped plugin."""
    plugin = import_plugin(discover()[name])
    implemented = getattr(plugin, "moorage_add_hookspecs", None)
    return list(implemented()) if implemented else []


def _hooks(specs: object) -> Iterator[str]:
    for name, function in vars(specs).items():
        if not hasattr(function, f"{PROJECT}_spec"):
            continue
        signature = inspect.signature(function)
        arguments = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
        shown = signature.replace(parameters=arguments)
        prefix = "async def" if inspect.iscoroutinefunction(function) else "def"
        yield f"## {name}({', '.join(parameter.name for parameter in arguments)})"
        yield f"```python\n{prefix} {name}{str(shown).replace(chr(39), '')}\n```"
        yield _from_rest(inspect.getdoc(function) or "")


def _from_rest(text: str) -> str:
    """A docstring's field list as Markdown."""
    text = re.sub(r"^:param (\w+): ?", r"- `\1`: ", text, flags=re.M)
    text = re.sub(r"^:returns: ?", "- returns ", text, flags=re.M)
    return re.sub(r"^\.\. versionadded:: ?(.+)$", r"Since \1.", text, flags=re.M)


# -- permissions ------------------------------------------------------------------------------------------------


def permissions(manifests: dict[str, Manifest]) -> str:
    """What can be allowed, and who may do it by default."""
    parts = [
        "Roles are a ladder: viewer, operator, admin, owner; each holds what the ones before it hold, and the owner "
        "everything. A permission with owners reaches one's own objects; with `:any` after it, everybody's. "
        "`moorage access explain USER PERMISSION` says why somebody may do something, or not."
    ]
    owners = [("core", CORE_PERMISSIONS), *((name, m.permissions) for name, m in sorted(manifests.items()))]
    for owner, found in owners:
        rows = [(code(p.name), p.summary, p.default, _any(p)) for p in found]
        parts += [f"## {owner}", table(("permission", "allows", "lowest role", "lowest role for `:any`"), rows)]
    return "\n\n".join(parts)


def _any(permission: Permission) -> str:
    return permission.default_any if permission.owned else "-"


# -- configuration ----------------------------------------------------------------------------------------------


def configuration(manifests: dict[str, Manifest]) -> str:
    """Every key."""
    parts = [
        "One TOML file; `config/moorage.toml` shows it whole. Any key may come from the environment instead: "
        "`server.listen` as `MOORAGE__SERVER__LISTEN`, `plugins.tmux.enabled` as `MOORAGE__PLUGINS__TMUX__ENABLED`. "
        "A secret `x` may stand in a file that `x_file` names. Unknown keys are refused. "
        "`moorage config explain` shows each value and where it comes from."
    ]
    top = [(name, info) for name, info in fields(Settings).items() if submodel(info.annotation) is None]
    parts += ["## Top level", _keys([item for item in top if item[0] != "plugins"])]
    for name, info in fields(Settings).items():
        model = submodel(info.annotation)
        if model is not None and name != "access":
            parts += [f"## [{name}]", info.description or "", _keys(list(fields(model).items()))]
    parts += ["## [access.roles.NAME]", fields(Settings)["access"].description or ""]
    parts += [_keys(list(fields(RoleSettings).items()))]
    common = [item for item in fields(PluginSection).items() if item[0] != "options"]
    parts += ["## [plugins.NAME]", "For every plugin:", _keys(common)]
    for name, manifest in sorted(manifests.items()):
        parts += [f"## [plugins.{name}]", manifest.summary + ".", _keys(list(fields(manifest.config).items()))]
    return "\n\n".join(filter(None, parts))


def _keys(items: list[tuple[str, FieldInfo]]) -> str:
    rows = [(code(name), _type(info), _default(info), info.description or "") for name, info in items]
    return table(("key", "type", "default", ""), rows) if rows else "It has no keys of its own."


def _type(info: FieldInfo) -> str:
    """What TOML takes for it."""
    schema = _model(info).model_json_schema()["properties"]["value"]
    shown = " or ".join(dict.fromkeys(_schema_type(one) for one in schema.get("anyOf", [schema])))
    return f"{shown}, secret" if is_secret(info) else shown


def _model(info: FieldInfo) -> type[BaseModel]:
    model: type[BaseModel] = type("Value", (BaseModel,), {"__annotations__": {"value": info.annotation}, "value": info})
    return model


def _schema_type(schema: dict[str, object]) -> str:
    if "enum" in schema or "const" in schema:
        values = schema.get("enum") or [schema["const"]]
        return ", ".join(code(toml_text(value)) for value in values)  # type: ignore[attr-defined]
    words = {"string": "text", "array": "list", "object": "table", "null": "unset"}
    kind = str(schema.get("type", "text"))
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {_number(schema[key])}" for key, sign in signs.items() if _matters(schema.get(key))]
    return " ".join([words.get(kind, kind), ", ".join(bounds)]).strip()


def _matters(bound: object) -> bool:
    """Bounds of years are there against slips, and say nothing."""
    return isinstance(bound, int | float) and bound < 86400 * 365


def _number(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "needed"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined:
        return "unset"
    return code(toml_text(value.get_secret_value() if isinstance(value, SecretStr) else value))


# -- metrics ----------------------------------------------------------------------------------------------------


def metrics(manifests: dict[str, Manifest]) -> str:
    """What a server with all shipped plugins counts, taken from one that is put together and not started."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "moorage.toml")
        config.write_text("".join(f"[plugins.{name}]\nenabled = true\n" for name in sorted(manifests)))
        found = asyncio.run(_metrics(config))
    rows = [(code(name), kind, ", ".join(map(code, labels)) or "-", doc) for name, kind, doc, labels in found]
    return (
        "Served at `/metrics` in the Prometheus text format: to this machine, and to who holds `core:metrics:read`. "
        "Beside these there are the usual ones of the process, the platform and Python's collector. "
        "A plugin's begin with `moorage_`, its name and `_`.\n\n" + table(("metric", "kind", "labels", ""), rows)
    )


async def _metrics(config: Path) -> list[tuple[str, str, str, tuple[str, ...]]]:
    app = App(load(config, env={}))
    records = await app.plugins.load(app.loaded)
    await app.prepare(records)
    try:
        return app.metrics.describe()
    finally:
        await app.stop()


HELP_OPTIONS = cli.context_settings["help_option_names"]


# -- commands ---------------------------------------------------------------------------------------------------


def commands() -> str:
    """The help of every command."""
    parts = [
        "Every command takes `--config FILE`; otherwise the file is `$MOORAGE_CONFIG`, `./moorage.toml` or "
        "`/etc/moorage/moorage.toml`."
    ]
    of_plugins = {name: kept for one in shipped_manifests().values() for name, kept in one.commands.items()}
    for name, (target, _) in [*COMMANDS.items(), *sorted(of_plugins.items())]:
        module, _, attribute = target.partition(":")
        parts += _help(getattr(importlib.import_module(module), attribute), f"moorage {name}")
    return "\n\n".join(parts)


def _help(command: click.Command, path: str) -> list[str]:
    # As a command of `moorage`, whose settings it inherits: click remembers the help option that it made first.
    context = click.Context(
        command, info_name=path, terminal_width=WIDTH, max_content_width=WIDTH, help_option_names=HELP_OPTIONS
    )
    level = "##" if path.count(" ") == 1 else "###"
    parts = [f"{level} {path}", f"```text\n{command.get_help(context).strip()}\n```"]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            parts += _help(child, f"{path} {name}")
    return parts


# -- the plugin API ---------------------------------------------------------------------------------------------


def surface() -> str:
    """Every name of `moorage.api` with the first sentence of its text."""
    rows = []
    for name in api.__all__:
        value = getattr(api, name)
        plain = not (inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value))
        text = "" if plain else (inspect.getdoc(value) or "").partition("\n")[0]
        rows.append((code(name), _constant(value) if plain else text))
    return (
        "A plugin imports `moorage.api` and nothing else of the server. Names are added with new releases; none leaves "
        f"while `API_VERSION` is {api.API_VERSION}.\n\n" + table(("name", ""), rows)
    )


def _constant(value: object) -> str:
    if isinstance(value, api.Dialect):
        return f"The dialect `{value.name}`."
    if isinstance(value, api.Access):
        return f"The access rule `{value.value}`."
    return f"`{value!r}`" if isinstance(value, int) else f"A constant of type `{type(value).__name__}`."


# -- included code ----------------------------------------------------------------------------------------------


def included(match: re.Match[str]) -> str:
    """An include's comment with its block filled anew."""
    path = ROOT / match["file"]
    text = path.read_text()
    if match["names"] is not None:
        names = [name.strip() for name in match["names"].split(",")]
        find = _toml_table if path.suffix == ".toml" else _symbol
        text = "\n".join(_joined([find(text, name, match["file"]) for name in names]))
    return f"{match[1]}```{match['kind']}\n{text.strip(chr(10))}\n```"


def _joined(parts: list[str]) -> Iterator[str]:
    """Parts with blank lines between them, but for one-liners that follow each other."""
    for index, part in enumerate(parts):
        if index and ("\n" in part or "\n" in parts[index - 1]):
            yield ""
        yield part


def _symbol(text: str, name: str, file: str) -> str:
    """The source of a constant, function, class or method."""
    nodes: list[ast.stmt] = ast.parse(text).body
    node: ast.stmt | None = None
    for step in name.split("."):
        node = next((one for one in nodes if _called(one) == step), None)
        if node is None:
            raise SystemExit(f"docs: there is no {name} in {file}")
        nodes = getattr(node, "body", [])
    assert node is not None
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(one.lineno for one in decorators)])
    return inspect.cleandoc("\n" + "\n".join(text.splitlines()[first - 1 : node.end_lineno]))


def _called(node: ast.stmt) -> str | None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    target = (
        node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
    )
    return target.id if isinstance(target, ast.Name) else None


def _toml_table(text: str, name: str, file: str) -> str:
    """A table from its header to the next blank line."""
    start = text.find(f"[{name}]\n")
    if start < 0:
        raise SystemExit(f"docs: there is no [{name}] in {file}")
    return text[start:].partition("\n\n")[0]


if __name__ == "__main__":
    sys.exit(main())
