"""`[accounts.providers.NAME]`: its mistakes are told with the mend, its secrets are read from files and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from moorage.config import load
from moorage.errors import ConfigError

TABLE = '[accounts.providers.{}]\nclient_id = "x"\nclient_secret = "hush-hush"\n'


def problem(folder: Path, text: str) -> str:
    (folder / "moorage.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(folder / "moorage.toml", env={})
    (line,) = caught.value.problems
    assert "hush-hush" not in line
    return line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TABLE.format("corp"), "needs `issuer`"),
        (TABLE.format("login") + 'kind = "github"', "choose another name"),
        (TABLE.format("sign-in") + 'kind = "google"', "choose another name"),
        (TABLE.format("corp") + 'kind = "github"\nrole = "owner"', "nobody becomes owner"),
        (TABLE.format("corp") + 'kind = "github"\nrole = "pirate"', "there are admin, operator, viewer"),
        (TABLE.format("corp") + 'issuer = "http://login.example.org"', "over https"),
        ('[accounts.providers.corp]\nkind = "github"\nclient_id = "x"\nclient_secret = ""', "is empty"),
        ('[accounts.providers.corp]\nkind = "github"\nclient_id = "x"', "client_secret: is needed"),
    ],
)
def test_one_problem(tmp_path, text, expected):
    assert expected in problem(tmp_path, text)


def test_the_secret_comes_from_a_file_or_the_environment(tmp_path):
    (tmp_path / "secret").write_text("from-the-file\n")
    (tmp_path / "secret").chmod(0o600)
    file = tmp_path / "moorage.toml"
    file.write_text('[accounts.providers.gh]\nkind = "github"\nclient_id = "x"\nclient_secret_file = "secret"\n')
    loaded = load(file, env={}).settings.accounts.providers["gh"]
    assert loaded.client_secret.get_secret_value() == "from-the-file"
    assert "from-the-file" not in repr(loaded)
    env = {"MOORAGE__ACCOUNTS__PROVIDERS__GH__CLIENT_SECRET": "from-outside"}
    assert load(file, env=env).settings.accounts.providers["gh"].client_secret.get_secret_value() == "from-outside"


def test_roles_of_ones_own_may_be_given(tmp_path):
    file = tmp_path / "moorage.toml"
    file.write_text(TABLE.format("gh") + 'kind = "github"\nrole = "builder"\n[access.roles.builder]\n')
    assert load(file, env={}).settings.accounts.providers["gh"].role == "builder"
