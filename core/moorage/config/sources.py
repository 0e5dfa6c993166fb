"""Where values come from: the file and line, the environment's variable, a secret's own file, or the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from moorage.config.schema import Loc
from moorage.config.settings import PluginSection, Settings


@dataclass(frozen=True, slots=True)
class Source:
    """One value's origin: the config file and line or the environment's variable, and the secret file they name."""

    file: Path | None = None
    line: int | None = None
    variable: str | None = None
    secret_file: Path | None = None

    def __str__(self) -> str:
        if self.secret_file is not None:
            return f"{self.secret_file} (named by {self._written})"
        return self._written

    @property
    def _written(self) -> str:
        if self.variable is not None:
            return f"environment {self.variable}"
        if self.file is not None:
            return f"{short_path(self.file)}:{self.line}" if self.line else short_path(self.file)
        return "default"

    @property
    def where(self) -> str:
        """The place to mend, as the beginning of an error's line; "" for a default."""
        return "" if self == DEFAULT else self._written


DEFAULT = Source()


def short_path(path: Path) -> str:
    """The path as a person in the working folder would write it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


@dataclass(slots=True)
class Provenance:
    """The sources of all given values by place; `texts` are the environment's own words."""

    file: Path | None = None
    lines: Mapping[Loc, int] = field(default_factory=dict)
    given: dict[Loc, Source] = field(default_factory=dict)
    texts: dict[Loc, str] = field(default_factory=dict, repr=False)

    def place(self, loc: Loc) -> Source:
        """Where to mend what is wrong at `loc`: the value itself, else what was given around or within it."""
        for length in range(len(loc), 0, -1):
            if (found := self.given.get(loc[:length])) is not None:
                if found.variable is None and found.secret_file is None:
                    return Source(self.file, self.line(loc))
                return found
        if (line := self.line(loc)) is not None:
            return Source(self.file, line)
        for length in range(len(loc) - 1, 0, -1):
            for given, source in self.given.items():
                if given[:length] == loc[:length]:
                    return source
        return DEFAULT

    def line(self, loc: Loc) -> int | None:
        """The line of `loc` in the file, or of the innermost thing around it."""
        for length in range(len(loc), 0, -1):
            if loc[:length] in self.lines:
                return self.lines[loc[:length]]
        return None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration as it was read.

    path: the file, or None when there was none. sources: dotted key -> origin, for every key that was given.
    warnings: one line each, for the operator. base: the folder that relative paths start at.
    stamps: (inode, size, mtime) of the files that plugin options `*_file` name, so that a reload sees a new secret.
    """

    settings: Settings
    path: Path | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    base: Path = field(default_factory=Path.cwd)
    stamps: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance, repr=False)

    def source(self, key: str) -> Source:
        """Where the value of a dotted key comes from."""
        return self.sources.get(key, DEFAULT)

    def where(self, key: str) -> str:
        """The place of a key, or of the table around it, for an error's text: "moorage.toml:12", or a variable."""
        source = self.sources.get(key) or self.provenance.place(tuple(key.split(".")))
        if found := source.where:
            return found
        return short_path(self.path) if self.path is not None else "configuration"

    def plugin(self, name: str) -> PluginSection:
        """The plugin's section; an absent one is all defaults."""
        return self.settings.plugins.get(name) or PluginSection()
