"""The hooks that this plugin offers to others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from moorage.api import hookspec

if TYPE_CHECKING:
    from moorage.api import Actor, ToolSet

    from moorage_chat.providers.base import Provider


class Specs:
    """Chat's hooks."""

    @hookspec
    def moorage_chat_providers(self) -> Iterable[Provider]:  # type: ignore[empty-body]
        """Providers of models of the plugin's own, beside those of chat's settings (sync).

        Called once in a life of the plugin, when providers are first needed after it has started. An id that is taken
        is refused and logged; an error is logged, and the plugin's providers are left out.

        :returns: objects of `moorage_chat.providers.base.Provider`; chat closes them when it or the plugin ends, after
            the answers that they have begun.

        .. versionadded:: 0.1
        """

    @hookspec
    async def moorage_chat_tools(self, actor: Actor) -> Iterable[ToolSet]:  # type: ignore[empty-body]
        """Tools that models may use for somebody who lets them (async, limit 5 s).

        Called when tools are listed and when an answer with tools begins. An error is logged, and the plugin's tools
        are left out.

        :param actor: on whose behalf: give only what they may use.
        :returns: sets of tools; those that the user has chosen for the conversation are used.

        .. versionadded:: 0.1
        """
