"""A plugin as operators see it: its state, its permissions, and every setting with where its value comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typing_extensions import TypedDict

from moorage.access.permissions import Permission
from moorage.config import Loaded
from moorage.config.explaining import ExplainedValue, explain
from moorage.config.schema import Loc, field_at
from moorage.config.settings import PluginSection
from moorage.config.text import key_text
from moorage.events.registry import Live
from moorage.plugins.states import Record


class PluginRow(TypedDict):
    """A plugin, on or off. `reason` says why it does not run, or not as it should.

    enabled: the configuration wants it to run.
    """

    name: str
    version: str
    summary: str
    enabled: bool
    state: str
    reason: str | None
    mounts: list[str]
    required: bool


class SettingRow(TypedDict):
    """A setting. key: within the plugin's section. source: where the value comes from. secret: the value is masked."""

    key: str
    value: Any
    source: str
    secret: bool
    description: str


class PermissionRow(TypedDict):
    """A permission that the plugin brings. role: the lowest that holds it unless the configuration says otherwise;
    any_role: the lowest that holds it for everybody's objects, null where objects have no owners.
    """

    name: str
    summary: str
    role: str
    any_role: str | None


class InUse(TypedDict):
    """What is open of a plugin on this server: sockets and streams, and how many users hold them."""

    connections: int
    users: int


class PluginHealth(TypedDict):
    """What the plugin says of itself: "ok", "degraded" or "failed"."""

    status: str
    detail: str


class PluginDetail(PluginRow):
    """One plugin. kept: it runs with its former settings, since the new ones did not do.

    requires: plugins without which it does not run. needed_by: plugins that run, and do not run without it.
    in_use: what ends when it is switched off. health: null of one that does not run.
    """

    distribution: str
    kept: bool
    requires: list[str]
    needed_by: list[str]
    in_use: InUse
    health: PluginHealth | None
    settings: list[SettingRow]
    permissions: list[PermissionRow]


def row(record: Record) -> PluginRow:
    """A plugin as a line of the list."""
    return {
        "name": record.name,
        "version": record.version,
        "summary": record.manifest.summary if record.manifest is not None else "",
        "enabled": record.section.enabled,
        "state": record.state.value,
        "reason": record.reason,
        "mounts": list(record.mounts),
        "required": record.section.required,
    }


def in_use(entries: Iterable[Live]) -> InUse:
    """Of a plugin's open sockets and streams."""
    found = list(entries)
    return {"connections": len(found), "users": len({one.actor.user.id for one in found if one.actor.user})}


def needed_by(name: str, records: Iterable[Record]) -> list[str]:
    """Plugins that run and require `name`, directly or by another."""
    requires = {one.name: set(one.manifest.requires) for one in records if one.running and one.manifest is not None}
    found: set[str] = set()
    while more := {one for one, wanted in requires.items() if wanted & {name, *found}} - found:
        found |= more
    return sorted(found)


def detail(record: Record, loaded: Loaded, needed: list[str], use: InUse, health: PluginHealth | None) -> PluginDetail:
    """All of it. Reads files that settings name: not on the event loop."""
    manifest = record.manifest
    permissions = manifest.permissions if manifest is not None else ()
    return {
        **row(record),
        "distribution": record.distribution,
        "kept": record.kept,
        "requires": list(manifest.requires) if manifest is not None else [],
        "needed_by": needed,
        "in_use": use,
        "health": health,
        "settings": settings(record, loaded),
        "permissions": [permission_row(one) for one in permissions],
    }


def settings(record: Record, loaded: Loaded) -> list[SettingRow]:
    """The settings in the order of the file. Of a plugin that is off, only those that somebody has given."""
    model = record.manifest.config if record.manifest is not None else None
    models = {record.name: model} if model is not None else {}
    section = ("plugins", record.name)
    found = [one for one in explain(loaded, models) if one.loc[:2] == section]
    return [_setting(one, one.loc[2:], record) for one in found]


def _setting(one: ExplainedValue, at: Loc, record: Record) -> SettingRow:
    info = field_at(PluginSection, at[:1])
    if info is None and record.manifest is not None:
        info = field_at(record.manifest.config, at)
    description = info.description if info is not None else None
    return {
        "key": key_text(at),
        "value": one.value,
        "source": one.source_text,
        "secret": one.secret,
        "description": description or "",
    }


def permission_row(permission: Permission) -> PermissionRow:
    """A permission as operators see it."""
    return {
        "name": permission.name,
        "summary": permission.summary,
        "role": permission.default,
        "any_role": permission.default_any if permission.owned else None,
    }
