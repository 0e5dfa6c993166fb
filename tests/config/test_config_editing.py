"""Editing the file by machine: one key changes, all else stays as people wrote it."""

from __future__ import annotations

import difflib
import multiprocessing
import os
import stat
import tomllib
from pathlib import Path

import pytest
from moorage.config.editing import set_enabled
from moorage.errors import ConfigError, StartError


@pytest.mark.parametrize(
    ("before", "added", "removed"),
    [
        ("", ["[plugins.tmux]", "enabled = true"], []),
        ("# mine", ["", "[plugins.tmux]", "enabled = true"], []),
        (
            "[plugins.tmux]\n# why\nenabled = false # keep\n#required = false\n[server]\n",
            ["enabled = true # keep"],
            ["enabled = false # keep"],
        ),
        (
            '[plugins.tmux]\n# about the socket\nsocket_name = "x"\n\n# the log\n[log]\nlevel = "info"\n',
            ["enabled = true"],
            [],
        ),
        ("[ plugins . 'tmux' ]\n", ["enabled = true"], []),
        ('[plugins]\ntmux = {enabled = false, mount="/a"} # c\n', ['tmux = {enabled = true, mount="/a"} # c'],
         ['tmux = {enabled = false, mount="/a"} # c']),
        ("plugins.tmux.enabled = false\n[log]\n", ["plugins.tmux.enabled = true"], ["plugins.tmux.enabled = false"]),
        ('plugins.chat.enabled = true\n', ["", "[plugins.tmux]", "enabled = true"], []),
        ("plugins = {}\n", ["plugins = {tmux = {enabled = true}}"], ["plugins = {}"]),
        ("[plugins.tmux.deep]\nx = 1\n", ["[plugins.tmux]", "enabled = true", ""], []),
        ("[[plugins.tmux.hosts]]\nx = 1\n", ["[plugins.tmux]", "enabled = true"], []),
        ("[log]\n[plugins.chat]\n# c\n[server]\n[plugins.tmux]\n[redis]\n", ["enabled = true"], []),
        ('[plugins.tmux]\nenabled = "yes"\n', ["enabled = true"], ['enabled = "yes"']),
    ],
)  # fmt: skip
def test_one_key_changes_and_nothing_else(tmp_path: Path, before: str, added: list[str], removed: list[str]) -> None:
    path = tmp_path / "moorage.toml"
    path.write_text(before)
    assert set_enabled(path, "tmux", True) is True
    after = path.read_text()
    changes = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    assert [line[2:] for line in changes if line.startswith("+ ")] == added
    assert [line[2:] for line in changes if line.startswith("- ")] == removed
    assert tomllib.loads(after)["plugins"]["tmux"]["enabled"] is True
    assert set_enabled(path, "tmux", True) is False
    assert path.read_text() == after
    assert set_enabled(path, "tmux", False) is True
    assert tomllib.loads(path.read_text())["plugins"]["tmux"]["enabled"] is False


def test_line_ends_stay(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_bytes(b"# c\r\n[plugins.a]\r\nenabled = true\r\n")
    set_enabled(path, "a", False)
    assert path.read_bytes() == b"# c\r\n[plugins.a]\r\nenabled = false\r\n"


def test_the_mode_stays_and_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    real.write_text("[plugins.a]\n")
    real.chmod(0o640)
    link = tmp_path / "m.toml"
    link.symlink_to(real)
    set_enabled(link, "a", True)
    assert link.is_symlink()
    assert tomllib.loads(real.read_text()) == {"plugins": {"a": {"enabled": True}}}
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.toml", "real.toml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text("[plugins.a]\n")
    os.chown(path, 12345, 23456)
    set_enabled(path, "a", True)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plugins = 5\n", "plugins: must be a table"),
        ("plugins.a = true\n", "plugins.a: must be a table"),
        ("[plugins.a\n", "not valid TOML"),
    ],
)
def test_what_cannot_be_edited_is_left_alone(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=expected):
        set_enabled(path, "a", True)
    assert path.read_text() == text


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"cannot be written: no such file or directory\. Nothing was changed"):
        set_enabled(tmp_path / "none" / "m.toml", "a", True)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.toml"
    path.write_text("[plugins.a]\n")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StartError, match="no space left on device"):
        set_enabled(path, "a", True)
    assert path.read_text() == "[plugins.a]\n"
    assert [one.name for one in tmp_path.iterdir()] == ["m.toml"]


def test_editors_at_once_do_not_undo_each_other(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    names = [f"plugin{number}" for number in range(16)]
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(set_enabled, [(path, name, True) for name in names])
    assert sorted(tomllib.loads(path.read_text())["plugins"]) == sorted(names)
