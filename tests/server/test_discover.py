"""What is found of plugins is kept while nothing is installed or removed, and no longer."""

from __future__ import annotations

import shutil
from pathlib import Path

import fakedist
import pytest
from moorage.plugins.discover import discover


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
