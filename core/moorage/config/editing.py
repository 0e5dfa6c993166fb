"""Changing the configuration file by machine: comments stay, and the file is old or new, never half."""

from __future__ import annotations

import contextlib
import copy
import fcntl
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from moorage.config import files
from moorage.config.lines import locate
from moorage.config.secret_files import reason_of
from moorage.config.sources import short_path
from moorage.config.text import key_text
from moorage.errors import ConfigError, StartError


def set_enabled(path: Path, plugin: str, enabled: bool) -> bool:
    """Write `[plugins.NAME] enabled`, making the file if there is none. False if it already says so.

    ConfigError when the file is not TOML, StartError when it cannot be written.
    """
    target = Path(os.path.realpath(path))
    with _one_editor(target):
        text = files.read_text(target, "") if target.exists() else ""
        data = files.parse(target, text)
        sections = data.get("plugins", {})
        section = sections.get(plugin, {}) if isinstance(sections, dict) else None
        if not isinstance(section, dict):
            wrong = "plugins" if section is None else key_text(("plugins", plugin))
            raise ConfigError([f"{short_path(path)}: {wrong}: must be a table, before it can be edited"])
        if section.get("enabled") is enabled:
            return False
        _replace(target, _with_enabled(path, text, data, plugin, enabled))
        return True


def put_back(path: Path, before: bytes, after: bytes) -> bool:
    """Undo an edit: `before` takes the place of `after`. False if the file has been changed meanwhile, and stays.

    StartError when it cannot be written.
    """
    target = Path(os.path.realpath(path))
    with _one_editor(target):
        if target.read_bytes() != after:
            return False
        _replace(target, before.replace(b"\r\n", b"\n").decode())
        return True


def _with_enabled(path: Path, text: str, data: dict[str, Any], plugin: str, enabled: bool) -> str:
    """The text with the one key set, proven to differ in nothing else."""
    wanted = copy.deepcopy(data)
    wanted.setdefault("plugins", {}).setdefault(plugin, {})["enabled"] = enabled
    for attempt in (_under_header, _edited, _appended):
        with contextlib.suppress(TOMLKitError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError):
            edited = attempt(text, plugin, enabled)
            if tomllib.loads(edited) == wanted:
                return edited
    key = key_text(("plugins", plugin, "enabled"))
    reason = f"is written in a way that a program cannot edit; set it to {_word(enabled)} by hand"
    raise ConfigError([f"{short_path(path)}: {key}: {reason}"])


def _word(enabled: bool) -> str:
    return "true" if enabled else "false"


def _under_header(text: str, plugin: str, enabled: bool) -> str:
    """The key as the first one of a section that has none yet: below the header, not behind the section's comments."""
    number = locate(text)["plugins", plugin]
    lines = text.split("\n")
    header = re.compile(rf"""\s*\[\s*plugins\s*\.\s*["']?{re.escape(plugin)}["']?\s*\]""")
    if not header.match(lines[number - 1]):
        raise ValueError("no header of its own")
    lines.insert(number, f"enabled = {_word(enabled)}")
    return "\n".join(lines)


def _edited(text: str, plugin: str, enabled: bool) -> str:
    document = tomlkit.parse(text)
    plugins = document["plugins"]
    if not isinstance(plugins, MutableMapping):
        raise TypeError("plugins is no table")
    if plugin in plugins:
        section = plugins[plugin]
        if not isinstance(section, MutableMapping):
            raise TypeError("the section is no table")
        section["enabled"] = enabled
    elif isinstance(plugins, InlineTable):
        inline = tomlkit.inline_table()
        inline["enabled"] = enabled
        plugins[plugin] = inline
    else:
        return _appended(text, plugin, enabled)
    return tomlkit.dumps(document)


def _appended(text: str, plugin: str, enabled: bool) -> str:
    """The section at the end of the file, where it disturbs nothing."""
    line = f"[{key_text(('plugins', plugin))}]\nenabled = {_word(enabled)}\n"
    if text and not text.endswith("\n"):
        text += "\n"
    return f"{text}\n{line}" if text else line


@contextlib.contextmanager
def _one_editor(target: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two commands do not undo each other's change."""
    try:
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _cannot_write(target, error) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _replace(target: Path, text: str) -> None:
    """Write beside the file, then put it in its place. Mode, owner and line ends stay."""
    temporary: str | None = None
    try:
        facts = target.stat() if target.exists() else None
        if facts is not None:
            if not os.access(target, os.W_OK):
                raise PermissionError(13, "permission denied")
            if b"\r\n" in target.read_bytes():
                text = text.replace("\n", "\r\n")
        fd, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".new")
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, facts.st_mode & 0o7777 if facts is not None else 0o666 & ~_umask())
            if facts is not None and (facts.st_uid, facts.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(fd, facts.st_uid, facts.st_gid)
            file.write(text.encode())
            file.flush()
            os.fsync(fd)
        Path(temporary).replace(target)
        temporary = None
        _sync_folder(target.parent)
    except OSError as error:
        raise _cannot_write(target, error) from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _cannot_write(target: Path, error: OSError) -> StartError:
    return StartError(f"{short_path(target)} cannot be written: {reason_of(error)}. Nothing was changed.")


def plugin_tables(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The sections of `[plugins]` that are tables."""
    plugins = data.get("plugins")
    if not isinstance(plugins, dict):
        return {}
    return {name: section for name, section in plugins.items() if isinstance(section, dict)}
