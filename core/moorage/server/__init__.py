"""The way in: listeners, lifecycle, gate, sites and router."""
