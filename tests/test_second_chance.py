"""A test that is run again meets nothing of the run that failed; nor does the test after it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = """
import pytest

@pytest.fixture(scope="session")
def whole_run():
    yield
    print("\\nended whole_run")

@pytest.fixture(scope="module")
def shared(whole_run):
    made = []
    yield made
    print("\\nended shared", made)
"""
TESTS = """
import itertools
import time
import pytest

tries = itertools.count(1)

@pytest.fixture(scope="class")
def of_class(shared):
    return []

def test_before(shared):
    pass

@pytest.mark.timeout(3)
class TestOne:
    def test_that_fails_once(self, shared, of_class):
        assert (shared, of_class) == ([], [])
        shared.append("left behind")
        of_class.append("left behind")
        {body}
        shared.clear()

def test_after(shared):
    assert shared == []
"""
FLAWED = """
import itertools
import pytest

tries = itertools.count(1)

@pytest.fixture
def own(shared):
    shared.append(1)
    {setup}
    yield
    {end}

def test_it(own, shared):
    assert shared == [1]
"""
FAULTS = {
    "assertion": "assert next(tries) > 1, 'it is the first time'",
    "time-out": "next(tries) > 1 or time.sleep(50)",
    "nothing": "pass",
}


def run(folder: Path, *args: str, **files: str) -> tuple[int, str]:
    """What pytest says of a folder with these modules in it."""
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    (folder / "conftest.py").write_text(SHARED)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MOORAGE"))}
    env = {**kept, "PYTHONPATH": str(Path(__file__).parent / "support")}
    command = [sys.executable, "-m", "pytest", "-p", "secondchance", "-p", "no:moorage", "--timeout=60", "-sq", *args]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=200)
    return done.returncode, done.stdout + done.stderr


def two(fault: str) -> dict[str, str]:
    """Two modules, each with a test that fails once in this way."""
    text = TESTS.replace("{body}", FAULTS[fault])
    return {"test_one": text, "test_two": text}


@pytest.mark.parametrize(("fault", "workers"), [("assertion", "0"), ("time-out", "2")])
def test_a_failed_test_is_run_again_with_nothing_of_the_first_run(tmp_path: Path, fault: str, workers: str) -> None:
    code, said = run(tmp_path, "--reruns=2", f"-n{workers}", "--dist=loadfile", **two(fault))
    assert code == 0, said
    assert "6 passed, 2 rerun" in said
    reason = {"assertion": "AssertionError: it is the first time", "time-out": "Failed: Timeout"}[fault]
    for name in ("test_one.py", "test_two.py"):
        assert f"\nRERUN {name}::TestOne::test_that_fails_once (call): {reason}" in said


def test_what_is_shared_by_a_module_ends_with_a_failure_and_what_the_run_shares_does_not(tmp_path: Path) -> None:
    for fault, summary, ended in (("assertion", "2 failed, 4 passed", 4), ("nothing", "6 passed", 2)):
        _, said = run(tmp_path, **two(fault))
        assert summary in said
        assert said.count("ended shared []") == 2, said
        assert (said.count("ended shared"), said.count("ended whole_run")) == (ended, 1), said


def test_a_setup_or_an_end_that_fails_counts_too(tmp_path: Path) -> None:
    fails = "assert next(tries) > 1"
    in_setup, at_end = ({"setup": fails, "end": "pass"}, {"setup": "pass", "end": fails})
    code, said = run(tmp_path, "--reruns=1", test_one=FLAWED.format(**in_setup), test_two=FLAWED.format(**at_end))
    assert code == 0, said
    assert said.count("ended shared [1]") == 4, said
