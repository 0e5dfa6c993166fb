"""What changed between two configurations, for a reload."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from moorage.config.schema import Loc
from moorage.config.settings import PluginSection
from moorage.config.sources import Loaded
from moorage.config.text import key_text


@dataclass(frozen=True, slots=True)
class ConfigDiff:
    """Plugin names and dotted keys of the core, each list sorted. A plugin that is off in both is in none."""

    plugins_added: list[str] = field(default_factory=list)
    plugins_removed: list[str] = field(default_factory=list)
    plugins_changed: list[str] = field(default_factory=list)
    core_changed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.plugins_added or self.plugins_removed or self.plugins_changed or self.core_changed)


def diff(old: Loaded, new: Loaded) -> ConfigDiff:
    """What a running server has to do to get from `old` to `new`. Reads nothing, changes nothing."""
    before, after = _enabled(old), _enabled(new)
    both = before.keys() & after.keys()
    was, is_now = dict(_core_values(old)), dict(_core_values(new))
    return ConfigDiff(
        plugins_added=sorted(after.keys() - both),
        plugins_removed=sorted(before.keys() - both),
        plugins_changed=sorted(
            name for name in both if before[name] != after[name] or _stamps(old, name) != _stamps(new, name)
        ),
        core_changed=sorted(key for key in was.keys() | is_now.keys() if was.get(key) != is_now.get(key)),
    )


def _enabled(loaded: Loaded) -> dict[str, PluginSection]:
    return {name: section for name, section in loaded.settings.plugins.items() if section.enabled}


def _stamps(loaded: Loaded, name: str) -> dict[str, tuple[int, ...]]:
    """A secret that was replaced in its file changes the plugin, though its options are the same."""
    within = key_text(("plugins", name)) + "."
    return {key: stamp for key, stamp in loaded.stamps.items() if key.startswith(within)}


def _core_values(loaded: Loaded) -> Iterator[tuple[str, Any]]:
    for name in type(loaded.settings).model_fields:
        if name != "plugins":
            yield from _leaves(getattr(loaded.settings, name), (name,))


def _leaves(value: Any, at: Loc) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves(getattr(value, name), (*at, name))
    elif isinstance(value, dict) and value:
        for name, one in value.items():
            yield from _leaves(one, (*at, name))
    else:
        yield key_text(at), value
