"""The text of `config/moorage.toml`: every key with its default and a line of why, made from the models."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from moorage.config.schema import bare_types, fields, is_list, is_secret, item_model, submodel
from moorage.config.settings import AccessSettings, PluginSection, RoleSettings, Settings
from moorage.config.text import toml_text

SHIPPED: dict[str, dict[str, Any]] = {
    "chat": {"enabled": True, "mount": ["/"]},
    "mcp": {"enabled": True, "mount": ["/"]},
    "memories": {"enabled": True, "mount": ["/"]},
    "opencode": {"enabled": True, "mount": ["/"]},
    "tmux": {"enabled": True, "mount": ["/tmux", ":3000/"]},
    "voice": {"enabled": True, "mount": ["/"]},
}
"""What the shipped file sets for plugins, beside the defaults."""
EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "access.roles": ("builder", {"includes": "viewer", "grants": ["tmux:session:input"], "denies": []}),
    "accounts.providers": ("github", {"kind": "github", "label": "GitHub"}),
    "plugins.chat.limits": ("viewer", {"messages_per_day": 200, "tokens_per_day": 500_000}),
    "plugins.chat.providers": ("lmstudio", {"base_url": "http://127.0.0.1:1234/v1"}),
}
"""Tables of which there may be many: the name of the one that is shown, and what stands in it."""
ACTIVE = ("data_dir", "server.listen")
"""Defaults that stand in the file as settings, because everybody looks for them."""
WIDTH = 100

HEADER = """\
# Moorage's configuration, with every key that there is.
#
# A line that begins with "#" and no space is a key at its default (or an example, where it says so):
# take the "#" away and change the value.
#
# A running server reads the file again on SIGHUP (`kill -HUP`); `moorage config check` says beforehand
# whether it is right, `moorage config explain` where each value comes from.
#
# The environment goes before the file: MOORAGE__SERVER__LISTEN='["0.0.0.0:8000"]' (two underscores between
# the parts; TOML, or plain text). A secret may stand in a file of its own: instead of `url`, set `url_file`.
# Relative paths start at this file's folder.
#
# `moorage config template` wrote this text.
"""

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60))


def template(plugin_models: Mapping[str, type[BaseModel]]) -> str:
    """The whole text. plugin_models: name -> `Manifest.config` of the plugins to describe."""
    lines = [HEADER.rstrip("\n"), ""]
    sections: list[str] = []
    for name, info in fields(Settings).items():
        model = submodel(info.annotation)
        if name == "access":
            sections += _named("access.roles", RoleSettings, fields(AccessSettings)["roles"].description or "")
        elif model is not None:
            sections += _section(name, model, info.description or "")
        elif name != "plugins":
            lines += _entry(name, name, info)
    sections += _plugins(plugin_models)
    return "\n".join([*lines, *sections]).rstrip("\n") + "\n"


def _section(path: str, model: type[BaseModel], why: str, values: Mapping[str, Any] | None = None) -> list[str]:
    lines = [*_prose(why), f"[{path}]"]
    tables: list[str] = []
    for name, info in fields(model).items():
        inner = submodel(info.annotation)
        if inner is not None and item_model(info.annotation) is None and not _may_be_absent(info):
            tables += _section(f"{path}.{name}", inner, info.description or "")
        elif f"{path}.{name}" in EXAMPLES and (each := item_model(info.annotation)) is not None:
            tables += _named(f"{path}.{name}", each, info.description or "")
        else:
            lines += _entry(name, f"{path}.{name}", info, values)
    return [*lines, *tables]


def _may_be_absent(info: FieldInfo) -> bool:
    """A table that is unset by default: an empty one might be refused, so its example stands in one line."""
    return not info.is_required() and _default(info) is None and bool(info.examples)


def _named(path: str, model: type[BaseModel], why: str) -> list[str]:
    """Tables whose names the operator chooses: one of them as an example, all behind `#`."""
    name, values = EXAMPLES[path]
    lines = [*_prose(why), f"#[{path}.{name}]"]
    for key, info in fields(model).items():
        default = _default(info)
        unset = "" if default is not None or info.is_required() or key in values else "Unset; an example:"
        lines += _prose(" ".join(filter(None, [info.description, unset])))
        shown = values[key] if key in values else default if default is not None else _example(info)
        lines.append(f"#{key} = {toml_text(shown)}{'' if key in values else _aside(key, shown, info)}")
        if is_secret(info):
            lines.append(f'#{key}_file = "/run/secrets/{name}_{key}"')
        lines.append("")
    return lines


def _plugins(models: Mapping[str, type[BaseModel]]) -> list[str]:
    why = "Plugins, one table each. Nothing runs that is not enabled; `moorage plugins list` shows what is installed."
    lines = [*_prose(why)]
    core = {name: info for name, info in fields(PluginSection).items() if name != "options"}
    for plugin, model in sorted(models.items()):
        section = _section(f"plugins.{plugin}", model, "")
        head: list[str] = []
        for name, info in core.items():
            head += _entry(name, f"plugins.{plugin}.{name}", info, SHIPPED.get(plugin))
        lines += ["", section[0], *head, *section[1:]]
    return lines


def _entry(name: str, path: str, info: FieldInfo, values: Mapping[str, Any] | None = None) -> Iterator[str]:
    """One key: why, then the key as a setting or, at its default, behind a `#`."""
    default = _default(info)
    chosen = values is not None and name in values
    note = ""
    if default is None and not chosen:
        note = "It is needed; an example:" if info.is_required() else "Unset; an example:"
    yield from _prose(" ".join(filter(None, [info.description, note])))
    if values is not None and chosen:
        yield f"{name} = {toml_text(values[name])}"
    elif default is not None:
        mark = "" if path in ACTIVE else "#"
        yield f"{mark}{name} = {toml_text(default)}{_aside(name, default, info)}"
    else:
        yield f"#{name} = {toml_text(_example(info))}"
    if is_secret(info):
        yield f'#{name}_file = "/run/secrets/{path.replace(".", "_")}"'
    yield ""


def _default(info: FieldInfo) -> Any:
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return None
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _example(info: FieldInfo) -> Any:
    """What a value looks like: the field's own example, else one of its type."""
    if info.examples:
        return info.examples[0]
    kinds = list(bare_types(info.annotation))
    by_type: dict[Any, Any] = {bool: True, int: 1, float: 1.0, Path: "/path/to/it"}
    return [] if is_list(info) else by_type.get(kinds[0] if kinds else str, "text")


def _aside(name: str, value: Any, info: FieldInfo) -> str:
    """A large number once more in a unit that people read; an example for an empty list."""
    if value == [] and info.examples:
        return f"  # for example {toml_text(info.examples[0])}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if name.endswith("_bytes") and value % 1024 == 0:
        kib = int(value) // 1024
        return f"  # {kib // 1024} MiB" if kib % 1024 == 0 else f"  # {kib} KiB"
    if name.endswith("_seconds"):
        for unit, seconds in _UNITS:
            if value >= 2 * seconds and value % seconds == 0:
                return f"  # {int(value // seconds)} {unit}s"
    return ""


def _prose(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)]
