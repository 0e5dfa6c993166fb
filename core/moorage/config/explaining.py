"""Every value with its source: for `moorage config explain`, and for the console."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from moorage.config.hiding import hide
from moorage.config.plugin_options import read_options
from moorage.config.schema import Loc, fields, is_secret
from moorage.config.settings import CORE_PLUGIN_KEYS, PluginSection, Settings
from moorage.config.sources import DEFAULT, Loaded, Source
from moorage.config.text import (
    MASK,
    field_sounds_secret,
    key_text,
    mask_named,
    mask_url,
    masked,
    sounds_secret,
    toml_text,
)


@dataclass(frozen=True, slots=True)
class ExplainedValue:
    """One value, at `loc`. value_text: in TOML's spelling ("unset" for none); value: JSON-able; secrets are masked."""

    key: str
    value_text: str
    source_text: str
    secret: bool
    value: Any = None
    loc: Loc = ()


def explain(loaded: Loaded, plugin_models: Mapping[str, type[BaseModel]]) -> list[ExplainedValue]:
    """All values of the core, and of each plugin that has a section or a model, in the order of the file.

    plugin_models: name -> `Manifest.config`. Without its model, or with options that the model refuses, a plugin's
    options are shown as they were written, masked by what is known of the keys.
    """
    values: list[ExplainedValue] = []
    sources = loaded.provenance.given
    for name in fields(Settings):
        if name != "plugins":
            values += _model_value(Settings, loaded.settings, name, (), sources)
    for name in sorted({*loaded.settings.plugins, *plugin_models}):
        values += _plugin(loaded, name, plugin_models.get(name))
    return values


def _plugin(loaded: Loaded, name: str, model: type[BaseModel] | None) -> Iterator[ExplainedValue]:
    section = loaded.plugin(name)
    at: Loc = ("plugins", name)
    for key in CORE_PLUGIN_KEYS:
        yield from _model_value(PluginSection, section, key, at, loaded.provenance.given)
    reading = read_options(model, name, loaded) if model is not None else None
    if model is not None and reading is not None and reading.options is not None:
        for key in fields(model):
            yield from _model_value(model, reading.options, key, at, reading.provenance.given)
        return
    for key, value in section.options.items():
        shown = mask_named(key, value) if model is None else hide(model, value, (key,))
        yield from _value(shown, (*at, key), loaded.provenance.given, False)


def _model_value(
    model: type[BaseModel], instance: BaseModel, key: str, at: Loc, sources: Mapping[Loc, Source]
) -> Iterator[ExplainedValue]:
    """The value of one field, or the values within it when it is a table."""
    info = fields(model)[key]
    attribute = next(name for name, field in model.model_fields.items() if field is info)
    value, loc = getattr(instance, attribute), (*at, key)
    if attribute not in instance.model_fields_set:
        # A table's header alone gives nothing to the keys that may stand below it.
        sources = {}
    if is_secret(info) and value is not None:
        as_url = isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("mask") == "url"
        text = mask_url(value.get_secret_value()) if as_url else MASK
        yield ExplainedValue(key_text(loc), toml_text(text), _source(loc, sources), True, text, loc)
        return
    yield from _value(value, loc, sources, field_sounds_secret(key))


def _value(value: Any, loc: Loc, sources: Mapping[Loc, Source], secret: bool) -> Iterator[ExplainedValue]:
    """One value, or those within it. secret: what texts there are must not be seen, by the name of the key."""
    if isinstance(value, BaseModel):
        for key in fields(type(value)):
            yield from _model_value(type(value), value, key, loc, sources)
    elif isinstance(value, dict) and value:
        for key, one in value.items():
            yield from _entry(str(key), one, (*loc, str(key)), sources, secret)
    else:
        shown = masked(value, secret)
        yield _explained(shown, loc, sources)


def _entry(key: str, value: Any, loc: Loc, sources: Mapping[Loc, Source], around: bool) -> Iterator[ExplainedValue]:
    """What a table has under a key that no model declares."""
    if isinstance(value, BaseModel) or (isinstance(value, dict) and value):
        yield from _value(value, loc, sources, sounds_secret(key, around))
        return
    [(_, shown)] = masked({key: value}, around).items()
    yield _explained(shown, loc, sources)


def _explained(shown: Any, loc: Loc, sources: Mapping[Loc, Source]) -> ExplainedValue:
    text = toml_text(shown)
    return ExplainedValue(key_text(loc), text, _source(loc, sources), MASK in text, _plain(shown), loc)


def _source(loc: Loc, sources: Mapping[Loc, Source]) -> str:
    """The value's own source, or the one of the thing around it that was given as a whole."""
    for length in range(len(loc), 0, -1):
        if (found := sources.get(loc[:length])) is not None:
            return str(found)
    return str(DEFAULT)


def _plain(value: Any) -> Any:
    """A masked value for JSON."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case dict():
            return {str(key): _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
    return str(value)
