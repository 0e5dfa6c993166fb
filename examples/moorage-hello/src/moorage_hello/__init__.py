"""Greets, and keeps greetings: an example of a plugin that somebody else wrote."""

__version__ = "0.1.0"
