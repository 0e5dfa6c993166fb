"""What a reload is told: which plugins, which keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from moorage.config import ConfigDiff, Loaded, diff, load


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(text: str) -> Loaded:
    Path("m.toml").write_text(text)
    return load(Path("m.toml"), env={})


def test_the_same_differs_in_nothing() -> None:
    text = '[plugins.a]\nenabled = true\nx = 1\n[access.roles.r]\ngrants = ["a:b:c"]\n'
    changes = diff(loaded(text), loaded(f"# moved\n\n{text}"))
    assert changes == ConfigDiff()
    assert not changes


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "plugins.a.enabled = true", ConfigDiff(plugins_added=["a"])),
        ("plugins.a.enabled = false", "plugins.a.enabled = true", ConfigDiff(plugins_added=["a"])),
        ("plugins.a.enabled = true", "", ConfigDiff(plugins_removed=["a"])),
        ("plugins.a.enabled = true", "plugins.a.enabled = false", ConfigDiff(plugins_removed=["a"])),
        (
            "plugins.a = {enabled = true, x = {y = [1]}}",
            "plugins.a = {enabled = true, x = {y = [2]}}",
            ConfigDiff(plugins_changed=["a"]),
        ),
        (
            "plugins.a.enabled = true",
            'plugins.a = {enabled = true, mount = "/x"}',
            ConfigDiff(plugins_changed=["a"]),
        ),
        ("plugins.a.x = 1", "plugins.a.x = 2", ConfigDiff()),
        ('log.level = "debug"', "", ConfigDiff(core_changed=["log.level"])),
        (
            'limits.general = "1/minute"\nredis.url = "redis://:a@h"',
            'limits.general = "2/minute"\nredis.url = "redis://:b@h"',
            ConfigDiff(core_changed=["limits.general", "redis.url"]),
        ),
        (
            '[access.roles.r]\ngrants = "a:b:c"',
            '[access.roles.s]\nincludes = "viewer"',
            ConfigDiff(
                core_changed=[
                    "access.roles.r.denies",
                    "access.roles.r.grants",
                    "access.roles.s.denies",
                    "access.roles.s.grants",
                    "access.roles.s.includes",
                ]
            ),
        ),
    ],
)
def test_differences(old: str, new: str, expected: ConfigDiff) -> None:
    assert diff(loaded(old), loaded(new)) == expected


def test_a_secret_that_was_replaced_in_its_file_is_a_change(folder: Path) -> None:
    secret = folder / "token"
    secret.write_text("old")
    text = '[plugins.a]\nenabled = true\n[plugins.a.deep]\ntoken_file = "token"\n[plugins.b]\nenabled = true\n'
    before = loaded(text)
    assert not diff(before, loaded(text))
    secret.write_text("longer")
    assert diff(before, loaded(text)) == ConfigDiff(plugins_changed=["a"])
    secret.unlink()
    assert diff(before, loaded(text)) == ConfigDiff(plugins_changed=["a"])


def test_a_core_secret_that_was_replaced_in_its_file_is_a_change(folder: Path) -> None:
    (folder / "url").write_text("redis://a")
    before = loaded('redis.url_file = "url"')
    (folder / "url").write_text("redis://b")
    assert diff(before, loaded('redis.url_file = "url"')) == ConfigDiff(core_changed=["redis.url"])
