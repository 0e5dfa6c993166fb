"""The suite that every plugin must pass."""

from moorage.testing.conformance import Conformance


class TestConformance(Conformance):
    """The suite of the kit, for this plugin."""

    plugin = "guard"
    options = {"secrets": ["hunter2"]}
    others = {"tmux": {"socket_name": "moorage-guard-tests"}}
