"""Tools that one plugin lends to another: what a language model may use on somebody's behalf."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool. parameters: the JSON Schema of its arguments, an object. read_only: it changes nothing, as it says."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    title: str = ""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool said, as text for a model. is_error: it did not do what was asked, as the text explains."""

    text: str
    is_error: bool = False


class ToolSet(ABC):
    """Tools that belong together, as one user may use them.

    id: the same whenever the set is asked for, `[a-z]+:[A-Za-z0-9_-]+`; label: for people.
    """

    id: str
    label: str

    @abstractmethod
    async def tools(self) -> Sequence[Tool]:
        """The tools now. MoorageError where they cannot be had."""

    @abstractmethod
    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        """Use one. A tool's own fault is an answer with `is_error`; MoorageError: it was not used. May be cancelled."""
