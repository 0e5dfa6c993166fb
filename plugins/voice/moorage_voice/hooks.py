"""The hooks that this plugin offers to others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from moorage.api import hookspec

if TYPE_CHECKING:
    from moorage_voice.engines.base import SpeechToText, TextToSpeech


class Specs:
    """Voice's hooks."""

    @hookspec
    def moorage_voice_stt(self) -> Iterable[SpeechToText]:  # type: ignore[empty-body]
        """Engines of the plugin's own that turn speech into text (sync).

        Called once in a life of the voice plugin, when an engine is first needed. A name that is taken is refused and
        logged; an error is logged, and the plugin's engines are left out.

        :returns: objects of `moorage_voice.engines.base.SpeechToText`; voice closes them when it ends.

        .. versionadded:: 0.1
        """

    @hookspec
    def moorage_voice_tts(self) -> Iterable[TextToSpeech]:  # type: ignore[empty-body]
        """Engines of the plugin's own that turn text into speech (sync).

        Called as `moorage_voice_stt` is.

        :returns: objects of `moorage_voice.engines.base.TextToSpeech`.

        .. versionadded:: 0.1
        """
