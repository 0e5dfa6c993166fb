"""Which file is read, what goes over what, and where each value is said to come from."""

from __future__ import annotations

from pathlib import Path

import limits
import pytest
from moorage.config import Loaded, load, parse_listen
from moorage.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_all_is_default(folder: Path) -> None:
    loaded = load(env={})
    assert loaded.path is None
    assert loaded.settings.server.listen == ["127.0.0.1:8000"]
    assert loaded.settings.data_dir == folder / "data"
    assert loaded.settings.database.url.get_secret_value() == "sqlite://moorage.db"
    assert loaded.sources == {}
    assert str(loaded.source("server.listen")) == "default"


def test_the_argument_goes_before_the_variable_and_that_before_the_folder(folder: Path) -> None:
    here = write(folder / "moorage.toml", 'log.level = "error"\n')
    named = write(folder / "named.toml", 'log.level = "warning"\n')
    given = write(folder / "given.toml", 'log.level = "debug"\n')
    env = {"MOORAGE_CONFIG": str(named)}
    assert load(given, env=env).path == given
    assert load(env=env).path == named
    assert load(env={}).path == here
    assert load(env={"MOORAGE_CONFIG": ""}).path == here
    assert [load(given, env=env).settings.log.level, load(env=env).settings.log.level] == ["debug", "warning"]


def test_relative_paths_start_at_the_file(folder: Path) -> None:
    (folder / "etc").mkdir()
    write(folder / "etc" / "m.toml", 'data_dir = "../var"\n[server]\ntls_cert = "c.pem"\ntls_key = "/k.pem"\n')
    settings = load(Path("etc/m.toml"), env={}).settings
    assert settings.data_dir == folder / "var"
    assert settings.server.tls_cert == folder / "etc" / "c.pem"
    assert settings.server.tls_key == Path("/k.pem")


def test_every_value_knows_its_place(folder: Path) -> None:
    write(
        folder / "moorage.toml",
        '# first\ndata_dir = "d"\n\n[server]\nlisten = [\n  "127.0.0.1:1",\n  "[::1]:2",\n]\n\n'
        '[plugins.tmux]\nenabled = true\nsocket_name = "x"\n[access.roles.r]\ngrants = "a:b:c"\n',
    )
    loaded = load(env={"MOORAGE__LOG__LEVEL": "debug", "HOME": "/"})
    told = {key: str(source) for key, source in loaded.sources.items()}
    assert told == {
        "data_dir": "moorage.toml:2",
        "server.listen": "moorage.toml:5",
        "plugins.tmux.enabled": "moorage.toml:11",
        "plugins.tmux.socket_name": "moorage.toml:12",
        "access.roles.r.grants": "moorage.toml:14",
        "log.level": "environment MOORAGE__LOG__LEVEL",
    }
    assert loaded.where("data_dir") == "moorage.toml:2"
    assert loaded.where("server.engine") == "moorage.toml:4"
    assert loaded.where("plugins.tmux") == "moorage.toml:10"
    assert loaded.where("redis.url") == "moorage.toml"


def test_a_plugin_section_keeps_options_apart(folder: Path) -> None:
    write(
        folder / "moorage.toml",
        '[plugins.tmux]\nenabled = true\nmount = "/t"\nsocket_name = "x"\n[plugins.tmux.deep]\na = 1\n',
    )
    section = load(env={}).settings.plugins["tmux"]
    assert (section.enabled, section.required, section.mount) == (True, False, ["/t"])
    assert section.options == {"socket_name": "x", "deep": {"a": 1}}


def test_an_absent_plugin_is_all_defaults(folder: Path) -> None:
    section = load(env={}).plugin("nobody")
    assert (section.enabled, section.mount, section.options) == (False, None, {})


# -- the environment ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "text", "path", "expected"),
    [
        ("MOORAGE__SERVER__LISTEN", '["127.0.0.1:9", "[::1]:9"]', "server.listen", ["127.0.0.1:9", "[::1]:9"]),
        ("MOORAGE__SERVER__LISTEN", "unix:/run/m.sock", "server.listen", ["unix:/run/m.sock"]),
        ("MOORAGE__SERVER__LISTEN", "127.0.0.1:9000", "server.listen", ["127.0.0.1:9000"]),
        ("MOORAGE__SERVER__LISTEN", "[::1]:9000", "server.listen", ["[::1]:9000"]),
        ("moorage__server__access_log", "no", "server.access_log", False),
        ("MOORAGE__SERVER__REQUEST_TIMEOUT", "5", "server.request_timeout", 5.0),
        ("MOORAGE__LOG__LEVEL", "WARNING", "log.level", "warning"),
        ("MOORAGE__LOG__LEVEL", '"error"', "log.level", "error"),
        ("MOORAGE__LIMITS__GENERAL", "10/second", "limits.general", "10/second"),
        ("MOORAGE__SERVER", '{ max_json_depth = 9, engine = "uvicorn" }', "server.max_json_depth", 9),
        ("MOORAGE__LIMITS__STORAGE", "", "limits.storage", "memory"),
    ],
)  # fmt: skip
def test_variables_are_toml_or_text(folder: Path, variable: str, text: str, path: str, expected: object) -> None:
    value: object = load(env={variable: text}).settings
    for step in path.split("."):
        value = getattr(value, step)
    assert value == expected


def test_the_environment_goes_before_the_file_key_by_key(folder: Path) -> None:
    write(folder / "moorage.toml", '[server]\nmax_json_depth = 9\nengine = "uvicorn"\n')
    server = load(env={"MOORAGE__SERVER": "{ max_json_depth = 12 }"}).settings.server
    assert (server.max_json_depth, server.engine) == (12, "uvicorn")


def test_variables_find_plugins_and_roles_as_the_file_writes_them(folder: Path) -> None:
    write(folder / "moorage.toml", '[plugins.my-notes]\ntoken = "a"\n[access.roles.build-er]\n')
    loaded = load(
        env={
            "MOORAGE__PLUGINS__MY_NOTES__ENABLED": "true",
            "MOORAGE__PLUGINS__MY_NOTES__TOKEN": "b",
            "MOORAGE__PLUGINS__MY_NOTES__DEEP__SIZE": "3",
            "MOORAGE__ACCESS__ROLES__BUILD_ER__INCLUDES": "viewer",
        }
    )
    assert list(loaded.settings.plugins) == ["my-notes"]
    assert loaded.settings.plugins["my-notes"].options == {"token": "b", "deep": {"size": 3}}
    assert loaded.settings.access.roles["build-er"].includes == "viewer"


def test_a_variable_with_one_underscore_is_pointed_out(folder: Path) -> None:
    env = {"MOORAGE_SERVER_LISTEN": "x", "MOORAGE_PORT_8000_TCP": "tcp://10.0.0.1:8000", "MOORAGE_TEST": "1"}
    assert load(env=env).warnings == (
        "environment MOORAGE_SERVER_LISTEN: is not read; the key server.listen is set by MOORAGE__SERVER__LISTEN",
    )


# -- addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("127.0.0.1:80", "127.0.0.1", 80, None),
        ("0.0.0.0:0", "0.0.0.0", 0, None),
        ("[::]:8000", "::", 8000, None),
        ("[0:0::1]:8000", "::1", 8000, None),
        ("Localhost:8000", "localhost", 8000, None),
        ("unix:/run/moorage.sock", "", 0, "/run/moorage.sock"),
    ],
)
def test_listen_addresses(text: str, host: str, port: int, path: str | None) -> None:
    listen = parse_listen(text)
    assert (listen.host, listen.port, listen.path) == (host, port, path)
    assert parse_listen(str(listen)) == listen


def test_free_ports_may_be_asked_for_twice(folder: Path) -> None:
    assert len(load(env={"MOORAGE__SERVER__LISTEN": '["127.0.0.1:0", "127.0.0.1:0"]'}).settings.server.listen) == 2


@pytest.mark.parametrize(
    ("given", "kept", "seconds"),
    [
        ("200/minute", "200/minute", 60),
        ("10 per second", "10/second", 1),
        ("200/min", "200/minute", 60),
        ("5/10 seconds", "5/10 seconds", 10),
        ("1/1h", "1/hour", 3600),
        ("3/days", "3/day", 86400),
    ],
)
def test_rates_are_brought_to_the_limiters_grammar(folder: Path, given: str, kept: str, seconds: int) -> None:
    rate = load(env={"MOORAGE__LIMITS__GENERAL": given}).settings.limits.general
    assert rate == kept
    assert limits.parse(rate).get_expiry() == seconds
    assert limits.parse(rate).amount == int(given.split("/")[0].split()[0])


# -- odd files ---------------------------------------------------------------------------------------------------


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm(folder: Path) -> None:
    (folder / "moorage.toml").write_bytes(b'\xef\xbb\xbf[log]\r\nlevel = "debug"\r\n')
    loaded = load(env={})
    assert loaded.settings.log.level == "debug"
    assert str(loaded.source("log.level")) == "moorage.toml:2"


def test_loading_twice_gives_the_same(folder: Path) -> None:
    write(folder / "moorage.toml", "[plugins.a]\nenabled = true\nx = [1]\n")
    first, second = load(env={}), load(env={})
    assert first.settings == second.settings
    assert isinstance(first, Loaded)


def test_settings_cannot_be_changed(folder: Path) -> None:
    settings = load(env={}).settings
    with pytest.raises(ValueError):
        settings.server.engine = "uvicorn"  # type: ignore[misc]


def test_an_empty_file_is_all_defaults(folder: Path) -> None:
    assert load(write(folder / "e.toml", ""), env={}).settings.log.level == "info"


def test_nobody_is_caught_by_a_file_that_cannot_be_read(folder: Path) -> None:
    (folder / "moorage.toml").mkdir()
    with pytest.raises(ConfigError, match=r"moorage\.toml: cannot read the configuration: is a directory"):
        load(env={})
