"""Wrong configurations: every problem at once, each with its place, the reason and the mend, and no secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from moorage.config import load
from moorage.errors import ConfigError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(text: str | bytes, **env: str) -> list[str]:
    content = text.encode() if isinstance(text, str) else text
    Path("m.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(Path("m.toml"), env=env)
    assert caught.value.exit_code == 2
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # keys
        ('data_dri = "x"', 'm.toml:1: data_dri: unknown key; did you mean "data_dir"?'),
        ("[server]\n\nlisen = []", 'm.toml:3: server.lisen: unknown key; did you mean "listen"?'),
        ("server.maxBodyBytes = 1", 'm.toml:1: server.maxBodyBytes: unknown key; did you mean "max_body_bytes"?'),
        ("[sever]\nlisten = []", 'm.toml:1: sever: unknown key; did you mean "server"?'),
        (
            '[server]\ndata_dir = "x"',
            "m.toml:2: server.data_dir: unknown key here; data_dir stands at the top of the file, "
            "before the first [section]",
        ),
        ('[server]\npool_max = 3', "m.toml:2: server.pool_max: unknown key here; pool_max belongs into [database]"),
        ("[redis]\nzzz = 1", "m.toml:2: redis.zzz: unknown key; known are url, url_file"),
        ("[access.roles.a]\ngrant = []", 'm.toml:2: access.roles.a.grant: unknown key; did you mean "grants"?'),
        (
            "[access.roles.'a b']\n",
            'm.toml:1: access.roles."a b" = "a b": a name has small letters, digits, `-` and `_`, '
            "and begins with a letter",
        ),
        # types
        ('[server]\nmax_body_bytes = "ten"', 'm.toml:2: server.max_body_bytes = "ten": must be a whole number'),
        ("[server]\nmax_body_bytes = 0", "m.toml:2: server.max_body_bytes = 0: must be more than 0"),
        ("[server]\nmax_json_depth = 501", "m.toml:2: server.max_json_depth = 501: must be at most 500"),
        ("[server]\nrequest_timeout = nan", "m.toml:2: server.request_timeout = nan: must be a finite number"),
        ("[server]\naccess_log = 'maybe'", 'm.toml:2: server.access_log = "maybe": must be true or false'),
        ("[server]\nlisten = 8000", 'm.toml:2: server.listen = 8000: must be a list, as ["a", "b"]'),
        ("[server]\nlisten = [8000]", "m.toml:2: server.listen[0] = 8000: must be text in quotes"),
        ("data_dir = 1", "m.toml:1: data_dir = 1: must be a path in quotes"),
        ('server = "x"', "m.toml:1: server: must be a table: [server]"),
        ("plugins.tmux = true", "m.toml:1: plugins.tmux = true: must be a table: [plugins.tmux]"),
        ("[[plugins.tmux]]\n", "m.toml:1: plugins.tmux: must be a table: [plugins.tmux]"),
        (
            'server.engine = "gunicorn"',
            'm.toml:1: server.engine = "gunicorn": must be "hypercorn" or "uvicorn"',
        ),
        ('log.level = "loud"', 'm.toml:1: log.level = "loud": must be "debug", "info", "warning" or "error"'),
        # addresses
        (
            'server.listen = ":8000"',
            'm.toml:1: server.listen = ":8000": not host:port; write "127.0.0.1:8000" for this machine only, '
            '"0.0.0.0:8000" for every address',
        ),
        (
            'server.listen = ["127.0.0.1:1", "127.0.0.1:1"]',
            'm.toml:1: server.listen: "127.0.0.1:1" is given twice',
        ),
        (
            'server.listen = ["127.0.0.1:1", "0.0.0.0:1"]',
            'm.toml:1: server.listen: "0.0.0.0:1" already covers "127.0.0.1:1"; keep one of them',
        ),
        ("server.listen = []", 'm.toml:1: server.listen: at least one address is needed, as ["127.0.0.1:8000"]'),
        (
            'server.listen = "::1:80"',
            'm.toml:1: server.listen = "::1:80": an IPv6 address stands in brackets, as "[::1]:80"',
        ),
        (
            'server.listen = "127.0.0.1:99999"',
            'm.toml:1: server.listen = "127.0.0.1:99999": "99999" is not a port (0 to 65535)',
        ),
        (
            'server.listen = "127.0.0.300:80"',
            'm.toml:1: server.listen = "127.0.0.300:80": "127.0.0.300" is not an IPv4 address',
        ),
        (
            'server.listen = "http://127.0.0.1:80"',
            'm.toml:1: server.listen = "http://127.0.0.1:80": give the address alone, without a scheme, '
            'as "127.0.0.1:8000"',
        ),
        (
            'server.listen = "unix:moorage.sock"',
            'm.toml:1: server.listen = "unix:moorage.sock": a UNIX socket needs an absolute path, '
            'as "unix:/run/moorage.sock"',
        ),
        (
            '[server]\ntrusted_proxies = [\n "10.0.0.0/8",\n "10.0.0.1/8",\n]',
            'm.toml:4: server.trusted_proxies[1] = "10.0.0.1/8": the address has bits beyond its prefix; '
            'did you mean "10.0.0.0/8"?',
        ),
        (
            'server.trusted_proxies = "proxy"',
            'm.toml:1: server.trusted_proxies = "proxy": not an address or a network, '
            'as "10.0.0.0/8", "192.168.1.5" or "fd00::/8"',
        ),
        (
            'server.public_url = "moorage.example.org"',
            'm.toml:1: server.public_url = "moorage.example.org": write scheme and host, '
            'as "https://moorage.example.org"',
        ),
        (
            'server.public_url = "https://a.example/x?y"',
            'm.toml:1: server.public_url = "https://a.example/x?y": scheme, host and port only, as "https://a.example"',
        ),
        (
            'server.trusted_origins = "*"',
            'm.toml:1: server.trusted_origins = "*": "*" would let every web page act for your users; '
            "name each origin",
        ),
        # rates, mounts, urls
        (
            'limits.general = "lots"',
            'm.toml:1: limits.general = "lots": a rate is a count and a period, as "200/minute" or "10/30 seconds"',
        ),
        (
            'limits.authentication = "0/minute"',
            'm.toml:1: limits.authentication = "0/minute": the count and the period are at least 1 '
            "(limits are switched off by limits.enabled = false)",
        ),
        (
            '[plugins.x]\nmount = "tmux"',
            'm.toml:2: plugins.x.mount = "tmux": a mount is a path "/tmux", a port ":3000/" '
            'or a host "//term.example.org/"',
        ),
        ('[plugins.x]\nmount = ["/a", "/a/"]', 'm.toml:2: plugins.x.mount: "/a/" is given twice'),
        ('[plugins.x]\nmount = ":70000/"', 'm.toml:2: plugins.x.mount = ":70000/": "70000" is not a port (1 to 65535)'),
        (
            'database.url = "mysql://root:hunter2@db/x"',
            'm.toml:1: database.url = "********": write "sqlite://FILE" or "postgres://USER:PASSWORD@HOST:5432/NAME"',
        ),
        # keys that belong together
        (
            'server.tls_cert = "c.pem"',
            "m.toml:1: server.tls_cert: needs server.tls_key beside it",
        ),
        ('[server]\ntls_key = "c.pem"', "m.toml:2: server.tls_key: needs server.tls_cert beside it"),
        (
            '[limits]\nstorage = "redis"',
            'm.toml:2: limits.storage: is "redis", which needs redis.url (or redis.url_file)',
        ),
        ("[database]\npool_min = 3\npool_max = 2", "m.toml:2: database.pool_min: is more than database.pool_max (2)"),
        # not TOML at all
        ("a = 1\nb = hello\n", "m.toml:2:5: not valid TOML: Invalid value; text stands in double quotes"),
        ("b = True", "m.toml:1:5: not valid TOML: Invalid value; write true or false, in small letters"),
        ("[log]\nlevel =\n", "m.toml:2:8: not valid TOML: Invalid value; the key has none "
         "(delete the line to get the default)"),
        ("[log]\nlevel = 'info'\nlevel = 'info'\n", "m.toml:3:15: not valid TOML: this key is given already; "
         "keep one of the two"),
        ("[log]\n[server]\n[log]\n", "m.toml:3:5: not valid TOML: the table [log] is there already; "
         "put its keys together"),
        (b'a = "caf\xe9"\n', "m.toml:1:9: not UTF-8 text: byte 0xe9; save the file as UTF-8"),
        (
            "[plugins.x]\n" + ".".join("a" * 3000) + " = 1",
            "m.toml: plugins.x.a: tables are nested too deeply",
        ),
        ("a = " + "[" * 100_000, "m.toml: not valid TOML: nested too deeply"),
    ],
)  # fmt: skip
def test_one_problem(text: str | bytes, expected: str) -> None:
    assert problems(text) == [expected]


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = """
data_dri = "x"
[server]
listen = ["127.0.0.1:1", "nowhere"]
tls_cert = "c.pem"
max_body_bytes = -1
[limits]
storage = "redis"
[plugins.tmux]
enabled = "maybe"
"""
    told = problems(text, MOORAGE__LOG__LEVL="debug", MOORAGE__ACCOUNTS__LOCKOUT_THRESHOLD="0")
    assert [line.partition(": ")[0] for line in told] == [
        "m.toml:2", "m.toml:4", "m.toml:5", "m.toml:6", "m.toml:8", "m.toml:10",
        "environment MOORAGE__LOG__LEVL", "environment MOORAGE__ACCOUNTS__LOCKOUT_THRESHOLD",
    ]  # fmt: skip


def test_endless_problems_end() -> None:
    told = problems("\n".join(f"key{number} = 1" for number in range(500)))
    assert len(told) == 41
    assert told[-1] == "and 460 problems more"


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        (
            "MOORAGE__SERVER__LISEN",
            "x",
            "environment MOORAGE__SERVER__LISEN: there is no key server.lisen; did you mean MOORAGE__SERVER__LISTEN?",
        ),
        (
            "MOORAGE__SERVR__LISTEN",
            "x",
            "environment MOORAGE__SERVR__LISTEN: there is no key servr; did you mean MOORAGE__SERVER?",
        ),
        (
            "MOORAGE__SERVER____LISTEN",
            "x",
            "environment MOORAGE__SERVER____LISTEN: names no key; the form is MOORAGE__SECTION__KEY, "
            "with two underscores between",
        ),
        (
            "MOORAGE__LOG__LEVEL__X",
            "x",
            "environment MOORAGE__LOG__LEVEL__X: goes deeper than log.level, which holds one value",
        ),
        (
            "MOORAGE__SERVER__LISTEN",
            "[127.0.0.1:80]",
            'environment MOORAGE__SERVER__LISTEN: server.listen = "[127.0.0.1:80]": '
            "the text does not read as a TOML array; quote its items",
        ),
        (
            "MOORAGE__SERVER__MAX_JSON_DEPTH",
            "many",
            'environment MOORAGE__SERVER__MAX_JSON_DEPTH: server.max_json_depth = "many": must be a whole number',
        ),
    ],
)
def test_wrong_variables(variable: str, text: str, expected: str) -> None:
    assert problems("", **{variable: text}) == [expected]


def test_two_spellings_of_one_variable() -> None:
    told = problems("", MOORAGE__LOG__LEVEL="info", MOORAGE__LOG__level="debug")
    assert told == [
        "environment MOORAGE__LOG__level: sets the same key as MOORAGE__LOG__LEVEL; keep one of them",
    ]


@pytest.mark.parametrize("named_by", ["--config", "MOORAGE_CONFIG"])
def test_a_file_that_was_named_has_to_be_there(named_by: str) -> None:
    path = Path("none.toml")
    given, env = (path, {}) if named_by == "--config" else (None, {"MOORAGE_CONFIG": str(path)})
    with pytest.raises(ConfigError) as caught:
        load(given, env=env)
    assert caught.value.problems == [
        f"none.toml: no such file (named by {named_by}); "
        "`moorage config template > none.toml` writes one with every key"
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(folder: Path) -> None:
    path = folder / "m.toml"
    path.touch(mode=0o000)
    with pytest.raises(ConfigError, match=r"cannot read the configuration.*permission denied"):
        load(path, env={})


def test_a_path_that_is_no_path() -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load(Path("a\0b"), env={})
    Path("file").touch()
    with pytest.raises(ConfigError, match="not a directory"):
        load(Path("file/m.toml"), env={})


def test_a_file_without_end() -> None:
    with pytest.raises(ConfigError, match="larger than 4 MiB; that is no configuration"):
        load(Path("/dev/zero"), env={})


def test_passwords_are_in_no_error() -> None:
    told = problems(
        'database = "postgres://u:hunter2@h/d"\nserver.public_url = "https://u:hunter2@a"\n'
        'server.engine = "x://u:hun/ter2@h"\n[redis]\nurl = "http://:hunter2@h"\n'
    )
    assert len(told) == 4
    assert not [line for line in told if "hunter2" in line or "ter2" in line]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'server.trusted_proxies = ["0.0.0.0/0"]',
            'm.toml:1: server.trusted_proxies: "0.0.0.0/0" is everybody: any client can claim any address',
        ),
        (
            "[plugins.tmux]\nenable = true",
            'm.toml:2: plugins.tmux.enable: the plugin stays off; did you mean "enabled"?',
        ),
    ],
)
def test_warnings(text: str, expected: str) -> None:
    Path("m.toml").write_text(text)
    assert load(Path("m.toml"), env={}).warnings == (expected,)
