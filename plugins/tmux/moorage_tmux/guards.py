"""What other plugins may change or forbid: filters of output, vetoes of input."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from moorage.api import Actor, Forbidden, HookFailed, Hub

from moorage_tmux.hooks import OutputFilter
from moorage_tmux.sessions import PaneInfo, SessionInfo

LOG_SECONDS = 60.0
"""From one line in the log about a pane's filter to the next."""
HIDDEN = "[hidden: a plugin that filters this terminal's output failed]"
"""What is shown of a pane whose filter failed."""
_NOTICE = f"\x18\x1b[0m\r\n{HIDDEN}\r\n"
_BLANK = f"\x1b[?1049l\x1bc\x1b[3J\x1b[H\x1b[2J{HIDDEN}\r\n"


class InputRefused(Forbidden):
    """A plugin vetoed what was to be typed; the message is its public reason."""

    code = "INPUT_REFUSED"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, details={"code": self.code})


class PaneFilter:
    """All plugins' filters of one pane, one after the other. Once one of them failed, nothing passes any more."""

    def __init__(self, filters: Sequence[tuple[str, OutputFilter]], failed: Callable[[str, Exception], None]) -> None:
        self.broken = False
        self._told = False
        self._filters = filters
        self._failed = failed

    def feed(self, text: str) -> str:
        """What of the stream may be shown now."""
        return self._stream(lambda: self._through(text))

    def flush(self) -> str:
        """What was held back, as it may be shown: nothing more came for a while, or the screen is drawn anew."""
        return self._stream(self._flushed)

    def snapshot(self, text: str) -> str:
        """A drawing of the whole pane as it may be shown."""
        return self._guarded(lambda: self._whole(text), _BLANK)

    def whole(self, text: str) -> str:
        """Any other text of the pane."""
        return self._guarded(lambda: self._whole(text), HIDDEN)

    def fail(self, plugin: str, error: Exception) -> None:
        """From now on nothing is shown."""
        self.broken = True
        self._failed(plugin, error)

    def _guarded(self, work: Callable[[], str], instead: str) -> str:
        text = "" if self.broken else work()
        return instead if self.broken else text

    def _stream(self, work: Callable[[], str]) -> str:
        text = "" if self.broken else work()
        if not self.broken:
            return text
        told, self._told = self._told, True
        return "" if told else _NOTICE

    def _through(self, text: str, first: int = 0) -> str:
        for name, each in self._filters[first:]:
            text = self._one(name, each.feed, text)
            if not text:
                break
        return text

    def _flushed(self) -> str:
        text = ""
        for name, each in self._filters:
            # What the ones before gave out passes here first; then this one has to give out the rest.
            text = (self._one(name, each.feed, text) if text else "") + self._one(name, each.flush)
        return text

    def _whole(self, text: str) -> str:
        for name, each in self._filters:
            text = self._one(name, each.whole, text)
        return text

    def _one(self, name: str, call: Callable[..., str], *arguments: str) -> str:
        if self.broken:
            return ""
        try:
            answer = call(*arguments)
            if not isinstance(answer, str):
                raise TypeError(f"it answered {type(answer).__name__}, and not str")
            # Half a surrogate pair cannot be sent.
            answer.encode()
        except (Exception, SystemExit) as error:
            self.fail(name, error if isinstance(error, Exception) else RuntimeError(repr(error)))
            return ""
        return answer


class Guards:
    """Asks the hooks of `hooks.Specs`. Without a plugin that has them it costs next to nothing."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._filtering: frozenset[str] = frozenset()
        self._logged: dict[tuple[str, str, str], float] = {}

    def start(self) -> None:
        """Note who filters; see `changed`."""
        self._filtering = frozenset(self._hub.hooks.implementers("tmux_output_filter"))

    def changed(self, plugin: str) -> bool:
        """Whether panes have to be filtered anew, since this plugin changed."""
        before, now = self._filtering, frozenset(self._hub.hooks.implementers("tmux_output_filter"))
        if plugin not in before | now:
            return False
        self._filtering = now
        self._logged.clear()
        return True

    def pane(self, session: SessionInfo, pane: str) -> PaneFilter | None:
        """The filter of a pane that somebody begins to watch; None when nobody filters it."""
        hooks = self._hub.hooks
        found: list[tuple[str, OutputFilter]] = []
        failures: list[tuple[str, Exception]] = []
        for name in hooks.implementers("tmux_output_filter"):
            try:
                made = hooks.call_one("tmux_output_filter", name, session=session, pane=pane)
            except HookFailed as error:
                failures.append((name, error))
            else:
                if made is not None:
                    found.append((name, made))
        if not found and not failures:
            return None

        guard = PaneFilter(found, lambda plugin, error: self._failed(session, pane, plugin, error))
        for name, failure in failures:
            guard.fail(name, failure)
        return guard

    def _failed(self, session: SessionInfo, pane: str, plugin: str, error: Exception) -> None:
        """Told to the operator, but not for each title and each capture anew."""
        key, now = (plugin, session.key, pane), time.monotonic()
        self._logged = {known: at for known, at in self._logged.items() if now < at + LOG_SECONDS}
        if key in self._logged:
            return
        self._logged[key] = now
        self._hub.log.error(
            "output filter failed: nothing of the pane is shown any more",
            plugin=plugin,
            session=session.name,
            pane=pane,
            exc_info=error,
        )

    def whole(self, session: SessionInfo, pane: str, text: str) -> str:
        """A complete text of a pane (a capture, history) as it may be shown."""
        guard = self.pane(session, pane)
        return text if guard is None else guard.whole(text)

    def veto(self, actor: Actor, session: SessionInfo, pane: str, keys: str) -> str | None:
        """Why these keys may not be typed; None when they may. A plugin that fails vetoes."""
        hooks = self._hub.hooks
        for name in hooks.implementers("tmux_input"):
            try:
                reason: Any = hooks.call_one("tmux_input", name, actor=actor, session=session, pane=pane, keys=keys)
            except HookFailed as error:
                self._hub.log.exception("input veto failed, so the answer is no", plugin=name, reason=str(error))
                return f"plugin {name} could not decide"
            if reason is not None:
                return str(reason)
        return None


def titled(
    guard: Callable[[SessionInfo, str], PaneFilter | None], session: SessionInfo, panes: Sequence[PaneInfo]
) -> list[PaneInfo]:
    """Panes with their titles as they may be shown: programs write them, as they write the rest."""
    found = []
    for pane in panes:
        filtered = guard(session, pane.id) if pane.title else None
        found.append(pane if filtered is None else replace(pane, title=filtered.whole(pane.title)))
    return found
