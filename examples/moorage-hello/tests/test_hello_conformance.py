"""What every plugin must do."""

from moorage.testing.conformance import Conformance


class TestConformance(Conformance):
    """The suite of the kit, for this plugin."""

    plugin = "hello"
    options = {"greeting": "Good day"}
