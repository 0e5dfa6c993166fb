"""The template: every key, its true default, and a line of why; the shipped file is the template."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moorage.config import load, template, validate_plugin
from moorage.config.schema import fields, item_model, submodel
from moorage.config.settings import PluginSection, RoleSettings, Settings
from moorage.plugin import PluginConfig
from moorage.plugins import shipped_manifests
from pydantic import BaseModel, Field, SecretStr

SHIPPED_FILE = Path(__file__).parents[2] / "config" / "moorage.toml"
KEY = re.compile(r"^#(?=(?:[a-z0-9_]+ = |\[))", re.M)


class Inner(BaseModel):
    depth: int = Field(3, description="How deep.")


class Source(BaseModel):
    env: str = Field(description="The variable.")


class Options(PluginConfig):
    name: str = Field('a"b', description="The name.")
    big_bytes: int = Field(2 * 1024 * 1024, description="How big.")
    token: SecretStr | None = Field(None, description="The secret.", examples=["abc"])
    needed: int = Field(description="What must be said.")
    maybe: bool | None = Field(None, description="Perhaps.")
    tags: list[str] = Field([], description="Marks.", examples=[["a", "b"]])
    inner: Inner = Field(default_factory=Inner, description="What is within.")
    source: Source | None = Field(None, description="Where it is.", examples=[{"env": "THIRD"}])


def shipped() -> str:
    return template({name: manifest.config for name, manifest in shipped_manifests().items()})


def keys(model: type[BaseModel], at: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of the settings, but for those of roles and plugins, with its field."""
    for name, info in fields(model).items():
        inner = submodel(info.annotation)
        if inner is not None:
            yield from keys(inner, f"{at}{name}.")
        elif item_model(info.annotation) is None:
            yield f"{at}{name}", info


def test_every_key_has_a_line_of_why() -> None:
    models = [Settings, PluginSection, RoleSettings, *(one.config for one in shipped_manifests().values())]
    assert not [f"{model.__name__}.{key}" for model in models for key, info in keys(model) if not info.description]


def test_every_key_is_in_the_template_once_at_its_default(tmp_path: Path) -> None:
    """All keys uncommented is a valid configuration, and, where there are defaults, the default one."""
    text = KEY.sub("", shipped())
    parsed = tomllib.loads(text)
    for key, info in keys(Settings):
        value: Any = parsed
        for step in key.split("."):
            assert step in value, key
            value = value[step]
        default = info.get_default(call_default_factory=True)
        if default is not None and key not in ("data_dir", "database.url"):
            assert value == default, key
    assert parsed["database"]["url"] == "sqlite://moorage.db"


def test_the_template_with_all_examples_is_a_configuration(tmp_path: Path) -> None:
    text = "\n".join(line for line in KEY.sub("", shipped()).splitlines() if not re.match(r"\w+_file = ", line))
    path = tmp_path / "m.toml"
    path.write_text(text)
    loaded = load(path, env={})
    assert loaded.settings.server.public_url == "https://moorage.example.org"
    assert loaded.settings.access.roles["builder"].includes == "viewer"


def test_the_template_as_it_stands_is_the_defaults_and_what_is_shipped(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(shipped())
    loaded = load(path, env={})
    assert (
        loaded.settings.model_copy(update={"plugins": {}})
        == load(None, env={"MOORAGE__DATA_DIR": str(tmp_path / "data")}).settings
    )
    tmux = loaded.settings.plugins["tmux"]
    assert (tmux.enabled, tmux.mount, tmux.options) == (True, ["/tmux", ":3000/"], {})
    assert set(loaded.settings.plugins) == set(shipped_manifests())
    for name, manifest in shipped_manifests().items():
        validate_plugin(manifest.config, name, loaded)


def test_plugin_models_of_any_shape() -> None:
    text = template({"third": Options})
    assert "[plugins.third]" in text
    for line in (
        "#enabled = false",
        '#name = "a\\"b"',
        "#big_bytes = 2097152  # 2 MiB",
        "# The secret. Unset; an example:",
        '#token = "abc"',
        '#token_file = "/run/secrets/plugins_third_token"',
        "# What must be said. It is needed; an example:",
        "#needed = 1",
        "#maybe = true",
        '#tags = []  # for example ["a", "b"]',
        "[plugins.third.inner]",
        "#depth = 3",
        "# Where it is. Unset; an example:",
        '#source = { env = "THIRD" }',
    ):
        assert line in text.splitlines(), line
    assert tomllib.loads(KEY.sub("", text))["plugins"]["third"]["inner"] == {"depth": 3}
    assert "source" not in tomllib.loads(text)["plugins"]["third"], "an empty table might be refused"


def test_the_shipped_file_is_the_template() -> None:
    assert SHIPPED_FILE.read_text() == shipped(), "write it again: moorage config template > config/moorage.toml"


def test_no_line_is_too_long() -> None:
    assert not [line for line in shipped().splitlines() if len(line) > 120]
