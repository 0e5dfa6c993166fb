"""Greets, and keeps greetings: an example of a plugin that somebody else wrote."""

from moorage_hello.plugin import HelloPlugin

__all__ = ["HelloPlugin"]
