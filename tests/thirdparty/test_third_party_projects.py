"""A third party's distribution passes its own tests and linters, installed as a wheel; the scaffold's begin.

What the scaffold makes is put to the same test by the guide's own commands, in `test_guide_for_plugins.py`.
"""

import re

import pytest
from click.testing import CliRunner
from moorage.cli.main import cli


@pytest.fixture(params=["hello", "guard"])
def project(request):
    """Each of the examples."""
    return request.getfixturevalue(request.param)


def test_its_own_tests_pass(project):
    said = project.python("-m", "pytest", "-q", "-p", "no:cacheprovider")
    passed = re.search(r"^(\d+) passed in", said, re.MULTILINE)
    assert passed, said
    assert int(passed[1]) > 20


def test_its_linter_and_formatter_are_content(project):
    project.python("-m", "ruff", "check", "--no-cache", ".")
    project.python("-m", "ruff", "format", "--no-cache", "--check", ".")


def test_its_types_are_strict_and_hold(project, mypy_cache):
    assert "no issues found" in project.python("-m", "mypy", "--strict", "--cache-dir", mypy_cache)


@pytest.mark.parametrize("name", ["hello", "guard", "scaffold"])
def test_it_imports_the_stable_surface_only(request, name):
    files = list((request.getfixturevalue(name).folder / "src").rglob("*.py"))
    assert files
    for file in files:
        found = re.findall(r"^\s*(?:from|import) (moorage(?:\.\w+)*)\b", file.read_text(), re.MULTILINE)
        assert set(found) <= {"moorage.api"}, file


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Weather", "no name for a plugin"),
        ("a--b", "no name for a plugin"),
        ("../evil", "no name for a plugin"),
        ("x" * 33, "at most 32"),
        ("core", "the server's own"),
        ("tmux", "installed already, by moorage"),
    ],
)
def test_the_scaffold_refuses_a_bad_name(tmp_path, monkeypatch, name, text):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["plugins", "new", name])
    assert done.exit_code == 1
    assert text in done.output
    assert not list(tmp_path.iterdir())


def test_the_scaffold_overwrites_nothing(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    done = CliRunner().invoke(cli, ["plugins", "new", "weather", "--dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "not empty" in done.output
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
