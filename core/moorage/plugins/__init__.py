"""Plugins: found by entry point, checked, ordered, loaded, started, and kept apart from one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.plugin import Manifest
from moorage.plugins.discover import Discovered, Find, discover
from moorage.plugins.loader import import_plugin
from moorage.plugins.states import PluginFailed, Record, State

if TYPE_CHECKING:
    from moorage.config import Loaded

__all__ = [
    "Discovered",
    "Find",
    "PluginFailed",
    "Record",
    "State",
    "discover",
    "load_manifests",
    "shipped_manifests",
]


def load_manifests(loaded: Loaded) -> dict[str, Manifest | Exception]:
    """The manifests of the enabled plugins, imported now; what cannot be imported is its exception.

    For commands that need permissions, settings or migrations; never for `plugins enable|disable|list`.
    """
    found = discover()
    manifests: dict[str, Manifest | Exception] = {}
    for name, section in sorted(loaded.settings.plugins.items()):
        if not section.enabled:
            continue
        try:
            if name not in found:
                raise PluginFailed(name, "discovery", "is not installed", State.BLOCKED)
            manifests[name] = import_plugin(found[name]).manifest
        except Exception as error:
            manifests[name] = error
    return manifests


def shipped_manifests() -> dict[str, Manifest]:
    """The manifests of the plugins that come in this distribution."""
    return {
        name: import_plugin(found).manifest for name, found in discover().items() if found.distribution == "moorage"
    }
