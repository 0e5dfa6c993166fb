"""Chat: conversations and streamed answers over models of any provider: the `chat` plugin."""

from moorage_chat.plugin import ChatPlugin

__all__ = ["ChatPlugin"]
