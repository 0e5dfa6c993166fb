"""The configuration: one TOML file, the environment over it, and where each value came from."""

from moorage.config.compare import ConfigDiff, diff
from moorage.config.explaining import ExplainedValue, explain
from moorage.config.loader import load
from moorage.config.plugin_options import validate_plugin
from moorage.config.settings import (
    AccessSettings,
    AccountsSettings,
    DatabaseSettings,
    LimitsSettings,
    LogSettings,
    PluginSection,
    RedisSettings,
    RoleSettings,
    ServerSettings,
    Settings,
)
from moorage.config.sources import Loaded, Source
from moorage.config.templating import template
from moorage.config.values import ConfigPath, Listen, parse_listen

__all__ = [
    "AccessSettings",
    "AccountsSettings",
    "ConfigDiff",
    "ConfigPath",
    "DatabaseSettings",
    "ExplainedValue",
    "LimitsSettings",
    "Listen",
    "Loaded",
    "LogSettings",
    "PluginSection",
    "RedisSettings",
    "RoleSettings",
    "ServerSettings",
    "Settings",
    "Source",
    "diff",
    "explain",
    "load",
    "parse_listen",
    "template",
    "validate_plugin",
]
