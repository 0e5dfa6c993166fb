"""Providers of models: what the plugin asks of one, those that it brings, and their choice."""
