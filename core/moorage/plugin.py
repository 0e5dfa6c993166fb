"""What a plugin is: a frozen manifest and an object with hook implementations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from moorage.access.permissions import Permission
from moorage.foreign import json_object, sendable
from moorage.observe.redact import redact_text

if TYPE_CHECKING:
    from moorage.dialects import Dialect

API_VERSION = 1
"""The version of `moorage.api`. A plugin written for another major version is blocked, not run."""
DETAIL_LONGEST = 2000
"""Characters of a health report's detail that are kept."""


class PluginConfig(BaseModel):
    """The base of a plugin's settings: unknown keys are refused, values are frozen.

    Written out, as into a log, it does not show what its keys call secret.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """What `repr` and `str` show."""
        from moorage.config.text import field_sounds_secret, masked

        for name, value in super().__repr_args__():
            yield name, masked(value, name is not None and field_sounds_secret(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a plugin says of itself before any of its code runs for a request.

    name: the entry point's name and the key under `[plugins]`.
    api: the `API_VERSION` that it was written for.
    requires: plugins that must run before it; after: ones that start before it when they are on.
    mounts: where it is served unless the operator says otherwise ("/", "/tmux", ":3000/", "//host/").
    config: a `PluginConfig` subclass. models: a module with Tortoise models.
    migrations: a package with `sqlite/` and `postgres/` folders of migrations.
    modules: importable names that must be there (an extra of the distribution); extra says how to get them.
    commands: `moorage NAME …` of its own, while it is enabled: {name: ("module:click command", what it does)}. The
        module is imported when the command is asked for; `moorage.commands` is what it stands on.
    """

    name: str
    version: str
    summary: str
    api: int = API_VERSION
    requires: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ("/",)
    config: type[PluginConfig] = PluginConfig
    permissions: tuple[Permission, ...] = ()
    models: str | None = None
    migrations: str | None = None
    dialect: Dialect | None = None
    modules: tuple[str, ...] = ()
    extra: str | None = None
    commands: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class Plugin:
    """The base class. One instance lives from load to shutdown; hooks are methods marked `@hookimpl`.

    The constructor takes nothing and does nothing slow: work begins in `moorage_startup`.
    """

    manifest: ClassVar[Manifest]

    def __repr__(self) -> str:
        return f"<plugin {self.manifest.name} {self.manifest.version}>"


@dataclass(frozen=True, slots=True)
class Health:
    """What a health check says: status is "ok", "degraded" or "failed"; `detail` may be shown to admins."""

    status: str = "ok"
    detail: str = ""
    data: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.status not in ("ok", "degraded", "failed") or not isinstance(self.detail, str):
            raise ValueError(f"health is ok, degraded or failed, with a text, and not {self.status!r}, {self.detail!r}")
        if self.data is not None and json_object(self.data) is None:
            raise ValueError("a health report's data is an object of JSON")
        object.__setattr__(self, "detail", redact_text(sendable(self.detail[:DETAIL_LONGEST])))
