"""Finding and reading the configuration file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moorage.config.environ import FILE_VARIABLE
from moorage.config.secret_files import reason_of
from moorage.config.sources import short_path
from moorage.errors import ConfigError

CANDIDATES = (Path("moorage.toml"), Path("/etc/moorage/moorage.toml"))
MAX_BYTES = 4 * 1024 * 1024
_PLACE = re.compile(r" \((?:at line (?P<line>\d+), column (?P<column>\d+)|at end of document)\)$")


def find(path: Path | None, env: Mapping[str, str]) -> tuple[Path | None, str]:
    """The file to read (absolute) and who named it ("" = found by itself); None when there is no file."""
    if path is not None:
        return path.absolute(), "--config"
    if named := env.get(FILE_VARIABLE):
        return Path(named).expanduser().absolute(), FILE_VARIABLE
    for candidate in CANDIDATES:
        try:
            if candidate.exists():
                return candidate.absolute(), ""
        except OSError as error:
            raise ConfigError([f"{candidate}: cannot read the configuration: {reason_of(error)}"]) from None
    return None, ""


def parse(path: Path, text: str) -> dict[str, Any]:
    """The text's tables. ConfigError with line and column when it is not TOML; `path` is for that error."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax(path, text, str(error))]) from None
    except RecursionError:
        raise ConfigError([f"{short_path(path)}: not valid TOML: nested too deeply"]) from None


def read_text(path: Path, named_by: str) -> str:
    """The file's text with `\\n` line ends. ConfigError when it cannot be read or is no text."""
    name = short_path(path)
    by = f" (named by {named_by})" if named_by else ""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        mend = f"; `moorage config template > {name}` writes one with every key"
        raise ConfigError([f"{name}: no such file{by}{mend}"]) from None
    except (OSError, ValueError) as error:
        raise ConfigError([f"{name}: cannot read the configuration{by}: {reason_of(error)}"]) from None
    if len(content) > MAX_BYTES:
        raise ConfigError([f"{name}: larger than {MAX_BYTES // 1024 // 1024} MiB; that is no configuration{by}"])
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise ConfigError(
            [f"{name}:{line}:{column}: not UTF-8 text: byte 0x{content[error.start]:02x}; save the file as UTF-8"]
        ) from None


def _syntax(path: Path, text: str, message: str) -> str:
    match = _PLACE.search(message)
    reason = _PLACE.sub("", message)
    lines = text.split("\n")
    line = int(match["line"]) if match and match["line"] else len(text.rstrip().split("\n"))
    column = f":{match['column']}" if match and match["column"] else ""
    return f"{short_path(path)}:{line}{column}: not valid TOML: {_mend(reason, lines[line - 1])}"


def _mend(reason: str, line: str) -> str:
    value = line.partition("=")[2].strip()
    if reason == "Invalid value":
        if value.lower() in ("true", "false", "yes", "no", "on", "off"):
            return f"{reason}; write true or false, in small letters"
        if not value:
            return f"{reason}; the key has none (delete the line to get the default)"
        return f"{reason}; text stands in double quotes"
    if table := re.match(r"Cannot declare \((.*?),?\) twice", reason):
        name = table[1].replace("'", "").replace(", ", ".")
        return f"the table [{name}] is there already; put its keys together"
    if reason == "Cannot overwrite a value":
        return "this key is given already; keep one of the two"
    if reason.startswith("Expected '='"):
        return f"{reason}; a line is `key = value`, a `[section]` or a `# comment`"
    if reason.startswith("Unescaped '\\'"):
        return f"{reason}; single quotes take backslashes as they are"
    return reason
