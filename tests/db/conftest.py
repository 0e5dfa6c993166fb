"""Databases of both kinds, fresh for each test, and sources of migrations made on the spot."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from moorage.db.migrate import Source

MODELS = """
from tortoise import fields
from tortoise.models import Model


class Place(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=40, unique=True)

    class Meta:
        table = "{label}_places"


class Boat(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=40)
    visits = fields.IntField(default=0)
    place = fields.ForeignKeyField("{label}.Place", related_name=False, null=True, on_delete=fields.CASCADE)

    class Meta:
        table = "{label}_boats"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """package(files) writes an importable package of a name of its own; the name."""
    root = tmp_path / "packages"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    made: list[str] = []

    def make(files: Mapping[str, str]) -> str:
        name = f"harbour_{uuid.uuid4().hex[:8]}"
        for path, text in {"__init__.py": "", **files}.items():
            file = root / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text))
        made.append(name)
        return name

    yield make
    for module in [m for m in sys.modules if m.partition(".")[0] in made]:
        del sys.modules[module]


@pytest.fixture
def models(package: Callable[..., str]) -> str:
    """A module with two models, label "harbour"."""
    return f"{package({'models.py': MODELS.replace('{label}', 'harbour')})}.models"


MIGRATION = '''
async def upgrade(db):
    return """{sql}"""
'''


@pytest.fixture
def source(package: Callable[..., str]) -> Callable[..., Source]:
    """source(label, {"0001_init": SQL or {"sqlite": SQL, "postgres": SQL}}) with that SQL for the dialects."""

    def make(label: str, versions: Mapping[str, str | Mapping[str, str]], models: tuple[str, ...] = ()) -> Source:
        files = {}
        for version, sql in versions.items():
            for dialect in ("sqlite", "postgres"):
                text = sql if isinstance(sql, str) else sql[dialect]
                files[f"{dialect}/{version}.py"] = text if "def upgrade" in text else MIGRATION.format(sql=text)
        return Source(label, models, package(files))

    return make


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder that is not there yet."""
    return tmp_path / "data"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database: the test runs once for each kind."""
    if request.param == "sqlite":
        return "sqlite://moorage.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def start_python(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """start_python(script, *arguments): a process with the made packages in reach, gone at the end of the test."""
    running: list[subprocess.Popen[str]] = []
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "packages"), "PYTHONWARNINGS": "error"}

    def start(script: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            **options,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


@pytest.fixture
def run_python(start_python: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """run_python(script, *arguments): what it wrote; an error when it failed."""

    def run(script: str, *arguments: object) -> str:
        process = start_python(script, *arguments)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out

    return run
