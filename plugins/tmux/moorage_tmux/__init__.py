"""The tmux plugin."""
