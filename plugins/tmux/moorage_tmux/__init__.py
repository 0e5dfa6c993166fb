"""Shared terminals over tmux: the `tmux` plugin."""

from moorage_tmux.plugin import TmuxPlugin

__all__ = ["TmuxPlugin"]
