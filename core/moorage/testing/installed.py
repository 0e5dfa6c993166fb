"""Which plugins a server under test finds: the installed ones, and classes that a test hands over."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint

from moorage.plugin import Plugin
from moorage.plugins.discover import GROUP, Discovered, Find, discover


class _GivenPoint(EntryPoint):
    """An entry point that is not looked up anywhere."""

    target: type[Plugin]

    def load(self) -> type[Plugin]:
        """The class that was given."""
        return self.target


def given(plugin: type[Plugin]) -> Discovered:
    """A class as if a distribution had brought it."""
    manifest = plugin.manifest
    point = _GivenPoint(name=manifest.name, value=f"{plugin.__module__}:{plugin.__qualname__}", group=GROUP)
    vars(point)["target"] = plugin  # An entry point refuses to be changed in the ordinary way.
    return Discovered(manifest.name, point, "given by the test", manifest.version)


def finder(plugins: Iterable[type[Plugin]]) -> Find:
    """Find the installed plugins and these; a given class hides an installed plugin of its name."""
    mine = {plugin.manifest.name: given(plugin) for plugin in plugins}
    return lambda: {**discover(), **mine}
