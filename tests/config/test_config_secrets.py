"""Secrets from files of their own, and plugins' options through plugins' models."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moorage.config import ConfigPath, Loaded, explain, load, validate_plugin
from moorage.errors import ConfigError
from moorage.plugin import PluginConfig
from pydantic import BaseModel, Field, SecretStr


class Provider(BaseModel):
    model_config = {"extra": "forbid"}
    url: str
    api_key: SecretStr | None = None


class Options(PluginConfig):
    name: str = "x"
    size: int = Field(1, ge=1, le=9)
    ratio: float | None = None
    token: SecretStr | None = None
    folder: ConfigPath | None = None
    tags: list[str] = []
    provider: Provider | None = None
    providers: dict[str, Provider] = {}
    fallbacks: list[Provider] = []


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that everybody can enter (pytest's own cannot be)."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def loaded(text: str, **env: str) -> Loaded:
    Path("m.toml").write_text(text)
    return load(Path("m.toml"), env=env)


def refused(text: str, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate_plugin(Options, "x", loaded(text, **env))
    return caught.value.problems


def secret_file(text: str | bytes = "s3cret\n", name: str = "secret") -> Path:
    path = Path(name)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    return path


# -- the core's secrets ------------------------------------------------------------------------------------------


def test_a_secret_from_its_file() -> None:
    secret_file("postgres://u:pw@h/d\r\n", "db")
    found = loaded('# c\n[database]\nurl_file = "db"\n')
    assert found.settings.database.url.get_secret_value() == "postgres://u:pw@h/d"
    assert str(found.source("database.url")) == f"{Path.cwd()}/db (named by m.toml:3)"
    assert "database.url_file" not in found.sources
    assert found.warnings == ()


def test_only_one_line_end_is_cut_off() -> None:
    secret_file("redis://h \n\n")
    assert loaded('redis.url_file = "secret"').settings.redis.url == SecretStr("redis://h \n")


def test_a_secret_file_named_by_the_environment() -> None:
    secret_file("redis://:pw@h/0", "r")
    found = loaded('limits.storage = "redis"', MOORAGE__REDIS__URL_FILE="r")
    assert found.settings.redis.url == SecretStr("redis://:pw@h/0")
    assert str(found.source("redis.url")).endswith("/r (named by environment MOORAGE__REDIS__URL_FILE)")


def test_the_environment_goes_before_the_file_either_way() -> None:
    secret_file("redis://filed", "r")
    assert loaded('redis.url = "redis://a"', MOORAGE__REDIS__URL_FILE="r").settings.redis.url == SecretStr(
        "redis://filed"
    )
    found = loaded('redis.url_file = "gone"', MOORAGE__REDIS__URL="redis://b")
    assert found.settings.redis.url == SecretStr("redis://b")
    assert str(found.source("redis.url")) == "environment MOORAGE__REDIS__URL"


@pytest.mark.parametrize(
    ("text", "env", "expected"),
    [
        (
            '[redis]\nurl = "redis://h"\nurl_file = "secret"',
            {},
            "m.toml:2: redis.url: is given twice, also as redis.url_file (m.toml:3); keep one of them",
        ),
        (
            "",
            {"MOORAGE__REDIS__URL": "redis://h", "MOORAGE__REDIS__URL_FILE": "secret"},
            "environment MOORAGE__REDIS__URL: redis.url: is given twice, also as redis.url_file "
            "(environment MOORAGE__REDIS__URL_FILE); keep one of them",
        ),
        ('redis.url_file = "gone"', {}, "m.toml:1: redis.url_file: cannot read gone: no such file or directory"),
        ('redis.url_file = "."', {}, "m.toml:1: redis.url_file: cannot read .: is a directory"),
        ("redis.url_file = 5", {}, "m.toml:1: redis.url_file: must be a path in quotes"),
        ('redis.url_file = "empty"', {}, "m.toml:1: redis.url_file: empty is empty"),
        ('redis.url_file = "latin"', {}, "m.toml:1: redis.url_file: latin is not UTF-8 text"),
        (
            'redis.url_file = "/dev/zero"',
            {},
            "m.toml:1: redis.url_file: /dev/zero is larger than 64 KiB; that is no secret",
        ),
        (
            '[redis]\nurl_file = "wrong"',
            {},
            'm.toml:2: redis.url = "********": write "redis://HOST:6379/0", or "rediss://…" for TLS',
        ),
        (
            "",
            {"MOORAGE__REDIS__URL_FILE": "gone"},
            "environment MOORAGE__REDIS__URL_FILE: redis.url_file: cannot read gone: no such file or directory",
        ),
    ],
)
def test_wrong_secret_files(text: str, env: dict[str, str], expected: str) -> None:
    secret_file("redis://h")
    secret_file("\n", "empty")
    secret_file(b"caf\xe9", "latin")
    secret_file("hunter2", "wrong")
    with pytest.raises(ConfigError) as caught:
        loaded(f'limits.storage = "memory"\n{text}' if text.startswith("[limits") else text, **env)
    assert caught.value.problems == [expected]


def test_a_missing_secret_is_one_problem_even_where_it_is_needed() -> None:
    with pytest.raises(ConfigError) as caught:
        loaded('limits.storage = "redis"\nredis.url_file = "gone"')
    assert len(caught.value.problems) == 1


def test_a_secret_that_everybody_can_read_is_pointed_out(public_folder: Path) -> None:
    secret = public_folder / "db"
    secret.write_text("redis://:pw@h")
    secret.chmod(0o644)
    text = f'redis.url_file = "{secret}"'
    assert loaded(text).warnings == (f"redis.url_file: everybody on this machine can read {secret}; chmod 600 it",)
    secret.chmod(0o640)
    assert loaded(text).warnings == ()
    secret.chmod(0o644)
    public_folder.chmod(0o700)
    assert loaded(text).warnings == ()


def test_a_password_in_an_open_configuration_is_pointed_out(public_folder: Path) -> None:
    path = public_folder / "m.toml"
    path.write_text('[database]\nurl = "postgres://u:pw@h/d"\n[redis]\nurl = "redis://h"\n')
    path.chmod(0o644)
    assert load(path, env={}).warnings == (
        f"{path}:2: database.url: everybody on this machine can read this password; chmod 600 {path}, or use url_file",
    )
    path.chmod(0o600)
    assert load(path, env={}).warnings == ()


# -- a plugin's options ------------------------------------------------------------------------------------------


def test_options_are_the_plugins_model() -> None:
    found = loaded('[plugins.x]\nenabled = true\nname = "n"\nfolder = "f"\n[plugins.x.provider]\nurl = "u"\n')
    options = validate_plugin(Options, "x", found)
    assert isinstance(options, Options)
    assert (options.name, options.folder, options.provider) == ("n", Path.cwd() / "f", Provider(url="u"))
    assert validate_plugin(Options, "absent", found) == Options()


def test_secret_files_work_at_any_depth() -> None:
    secret_file("one", "1")
    secret_file("two", "2")
    secret_file("three", "3")
    secret_file("four", "4")
    found = loaded(
        """
[plugins.x]
token_file = "1"
[plugins.x.provider]
url = "u"
api_key_file = "2"
[plugins.x.providers.local]
url = "u"
api_key_file = "3"
[[plugins.x.fallbacks]]
url = "u"
api_key_file = "4"
"""
    )
    options = validate_plugin(Options, "x", found)
    assert options.provider is not None
    secrets = [
        options.token,
        options.provider.api_key,
        options.providers["local"].api_key,
        options.fallbacks[0].api_key,
    ]
    assert [secret and secret.get_secret_value() for secret in secrets] == ["one", "two", "three", "four"]
    assert found.settings.plugins["x"].options["token_file"] == "1", "the configuration itself is left as it was"


def test_text_from_the_environment_stays_text() -> None:
    env = {"MOORAGE__PLUGINS__X__TOKEN": "0123", "MOORAGE__PLUGINS__X__NAME": "42", "MOORAGE__PLUGINS__X__SIZE": "7"}
    options = validate_plugin(Options, "x", loaded("", **env))
    assert (options.name, options.size) == ("42", 7)
    assert options.token == SecretStr("0123")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('nmae = "a"', 'm.toml:2: plugins.x.nmae: unknown key; did you mean "name"?'),
        ("enable = true", 'm.toml:2: plugins.x.enable: unknown key; did you mean "enabled"?'),
        ("size = 10", "m.toml:2: plugins.x.size = 10: must be at most 9"),
        ('ratio = "a"', 'm.toml:2: plugins.x.ratio = "a": must be a number'),
        ("token = 5", "m.toml:2: plugins.x.token: must be text in quotes"),
        ('tags = [\n"a",\n5\n]', "m.toml:4: plugins.x.tags[1] = 5: must be text in quotes"),
        ("[plugins.x.provider]\n", "m.toml:2: plugins.x.provider.url: is needed and has no default"),
        (
            '[[plugins.x.fallbacks]]\nurl = "a"\n[[plugins.x.fallbacks]]\nurl = "a"\napi_keys = "a"',
            'm.toml:6: plugins.x.fallbacks[1].api_keys: unknown key; did you mean "api_key"?',
        ),
        ('token_file = "gone"', "m.toml:2: plugins.x.token_file: cannot read gone: no such file or directory"),
    ],
)
def test_wrong_options(text: str, expected: str) -> None:
    assert refused(f"[plugins.x]\n{text}") == [expected]


def test_wrong_options_are_told_together() -> None:
    told = refused("[plugins.x]\nsize = 0\nnmae = 1", MOORAGE__PLUGINS__X__RATIO="a")
    assert [line.partition(": ")[0] for line in told] == [
        "m.toml:2",
        "m.toml:3",
        "environment MOORAGE__PLUGINS__X__RATIO",
    ]


def test_a_plugin_cannot_take_the_cores_keys() -> None:
    class Greedy(PluginConfig):
        enabled: bool = True

    with pytest.raises(ConfigError, match="the plugin declares 'enabled', a key that is the core's own"):
        validate_plugin(Greedy, "x", loaded("[plugins.x]\nenabled = true"))


# -- explained ---------------------------------------------------------------------------------------------------


def explained(found: Loaded, *, model: bool = True) -> dict[str, tuple[str, str]]:
    values = explain(found, {"x": Options} if model else {})
    assert len({value.key for value in values}) == len(values)
    return {value.key: (value.value_text, value.source_text) for value in values}


def test_every_value_is_explained_and_no_secret() -> None:
    secret_file("hunter2-filed")
    found = loaded(
        '[database]\nurl = "postgres://u:hunter2@h/d?password=hunter2&sslmode=require"\n'
        '[plugins.x]\nenabled = true\ntoken_file = "secret"\n[plugins.x.providers.a]\nurl = "u"\napi_key = "hunter2"\n',
        MOORAGE__LOG__LEVEL="debug",
    )
    told = explained(found)
    assert told["database.url"] == ('"postgres://u:********@h/d?password=********&sslmode=require"', "m.toml:2")
    assert told["plugins.x.token"] == ('"********"', f"{Path.cwd()}/secret (named by m.toml:5)")
    assert told["plugins.x.providers.a.api_key"] == ('"********"', "m.toml:8")
    assert told["plugins.x.size"] == ("1", "default")
    assert told["plugins.x.ratio"] == ("unset", "default")
    assert told["plugins.x.required"] == ("false", "default")
    assert told["log.level"] == ('"debug"', "environment MOORAGE__LOG__LEVEL")
    assert told["server.listen"] == ('["127.0.0.1:8000"]', "default")
    assert "hunter2" not in repr(explain(found, {"x": Options})) + repr(found)


def test_a_header_alone_sets_no_key_below_it() -> None:
    class Inner(BaseModel):
        size: int = 3
        more: dict[str, str] = {}

    class Outer(PluginConfig):
        inner: Inner = Inner()
        other: Inner = Inner()

    found = explain(loaded("[plugins.x]\n[plugins.x.inner]\n[plugins.x.other]\nmore = {}\n"), {"x": Outer})
    told = {one.key: one.source_text for one in found}
    assert told["plugins.x.inner.size"] == told["plugins.x.inner.more"] == "default"
    assert (told["plugins.x.other.size"], told["plugins.x.other.more"]) == ("default", "m.toml:4")


def test_options_without_their_model_are_shown_as_written_and_masked_by_name() -> None:
    found = loaded(
        '[plugins.x]\napi_key = "hunter2"\nurl = "http://u:hunter2@h"\nsize = 3\n[plugins.x.deep]\npassword = 5\n'
    )
    told = explained(found, model=False)
    assert told["plugins.x.api_key"] == ('"********"', "m.toml:2")
    assert told["plugins.x.url"] == ('"http://u:********@h"', "m.toml:3")
    assert told["plugins.x.size"] == ("3", "m.toml:4")
    assert "hunter2" not in repr(told)


def test_what_a_model_does_not_call_secret_is_masked_by_its_looks() -> None:
    class Place(BaseModel):
        url: str = "redis://:hunter2@h/0"
        password: str = "hunter2"
        token_url: str = "https://h/token"

    class Frank(PluginConfig):
        urls: list[str] = ["postgres://u:hunter2@h/d"]
        headers: dict[str, str] = {"Authorization": "Bearer hunter2hunter2", "X-Api-Key": "hunter2", "Accept": "a/b"}
        env: dict[str, str] = {"SOME_API_KEY": "hunter2", "HOME": "/home/u"}
        arguments: list[str] = ["--token", "hunter2", "--password=hunter2", "--verbose", "-k", "plain"]
        more: dict[str, dict[str, Any]] = {"a": {"options": {"apiKey": "hunter2", "deep": [{"secret": "hunter2"}]}}}
        places: list[Place] = [Place()]
        secrets: list[SecretStr] = [SecretStr("hunter2")]
        secret: str = "hunter2"
        max_tokens: int = 5

    found = explain(loaded("[plugins.x]\nenabled = true\n"), {"x": Frank})
    assert "hunter2" not in repr(found)
    told = {one.key.removeprefix("plugins.x."): one for one in found if one.key.startswith("plugins.x.")}
    assert told["urls"].value == ["postgres://u:********@h/d"]
    assert told["headers.Authorization"].secret
    assert told["headers.Accept"].value == "a/b"
    assert told["env.HOME"].value == "/home/u"
    assert told["arguments"].value == ["--token", "********", "--password=********", "--verbose", "-k", "plain"]
    assert told["places"].value[0] == {
        "url": "redis://:********@h/0",
        "password": "********",
        "token_url": "https://h/token",
    }
    assert told["max_tokens"].value == 5


def test_options_that_the_model_refuses_are_still_explained() -> None:
    told = explained(loaded('[plugins.x]\nsize = 99\ntoken = "hunter2"\n'))
    assert told["plugins.x.size"] == ("99", "m.toml:2")
    assert told["plugins.x.token"] == ('"********"', "m.toml:3")
