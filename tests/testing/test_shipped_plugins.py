"""The plugins that ship pass the suite that every plugin must pass."""

import os
import shutil
import subprocess

import pytest
from moorage.plugins import shipped_manifests
from moorage.testing.conformance import Conformance


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
class TestTmux(Conformance):
    plugin = "tmux"
    options = {"socket_name": f"moorage-conformance-{os.getpid()}"}

    @pytest.fixture(autouse=True)
    def _no_sessions_are_left(self):
        """Who may create sessions creates some when everything is tried."""
        yield
        subprocess.run(["tmux", "-L", self.options["socket_name"], "kill-server"], capture_output=True)


class TestChat(Conformance):
    plugin = "chat"


class TestMcp(Conformance):
    plugin = "mcp"


class TestMemories(Conformance):
    plugin = "memories"


class TestOpenCode(Conformance):
    plugin = "opencode"


class TestVoice(Conformance):
    plugin = "voice"


def test_none_is_forgotten():
    tested = {suite.plugin for suite in Conformance.__subclasses__() if suite.__module__ == __name__}
    assert shipped_manifests().keys() <= tested
