"""What is found of plugins is kept while nothing is installed or removed, and no longer."""

from __future__ import annotations

import shutil
from importlib.metadata import EntryPoint
from pathlib import Path

import fakedist
import pytest
from moorage.plugins.discover import Discovered, discover
from moorage.plugins.loader import import_plugin


def test_a_plugin_that_comes_or_goes_is_seen_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = discover()
    monkeypatch.syspath_prepend(tmp_path)
    assert discover() == before

    fakedist.probe(tmp_path, "newcomer")
    found = discover()
    assert (found["newcomer"].distribution, found["newcomer"].version) == ("newcomer-dist", "1.0")
    assert found.keys() - {"newcomer"} == before.keys()

    shutil.rmtree(tmp_path / "newcomer_dist-1.0.dist-info")
    assert discover() == before
    found.clear()
    assert discover() == before, "a caller changed what others get"


def test_a_package_that_is_not_found_says_what_may_help() -> None:
    found = Discovered("late", EntryPoint("late", "late_package.plugin:Late", "moorage.plugins"), "late", "1")
    with pytest.raises(ModuleNotFoundError, match=r"'late_package'; .* restart the server"):
        import_plugin(found)
