"""Migrations made from models: both dialects together, applied in turn, and refused where data would be at risk."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from moorage.db import Database
from moorage.db.generate import NotExpressible, difference, make_migration
from moorage.db.migrate import Source, upgrade
from moorage.errors import StartError

MODELS = """
from tortoise import fields
from tortoise.models import Model


class Boat(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length={length})
    {more}

    class Meta:
        table = "harbour_boats"
"""


class Harbour:
    """A package with models that a test rewrites."""

    def __init__(self, package: str) -> None:
        self.source = Source("harbour", (f"{package}.models",), f"{package}.migrations")
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        self.folder = Path(spec.origin).parent

    def models(self, more: str = "", length: int = 40) -> None:
        (self.folder / "models.py").write_text(MODELS.format(more=more, length=length))

    def files(self) -> list[str]:
        return sorted(str(file.relative_to(self.folder / "migrations")) for file in self.folder.glob("migrations/*/*"))


@pytest.fixture
def harbour(package: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harbour:
    # For the subprocess that runs aerich.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    made = Harbour(package({"migrations/__init__.py": ""}))
    made.models()
    return made


def test_the_first_migration_makes_its_package(harbour: Harbour) -> None:
    (harbour.folder / "migrations" / "__init__.py").unlink()
    (harbour.folder / "migrations").rmdir()
    with pytest.raises(StartError, match="moorage db makemigration harbour"):
        difference(harbour.source, "sqlite")
    make_migration(harbour.source)
    assert harbour.files() == ["postgres/0001_init.py", "sqlite/0001_init.py"]
    assert importlib.util.find_spec(harbour.source.migrations).origin  # type: ignore[union-attr]


async def test_first_and_next(harbour: Harbour, postgres_url: str, data_dir: Path) -> None:
    source, urls = harbour.source, ("sqlite://moorage.db", postgres_url)
    written = make_migration(source, "ignored")
    assert [f"{path.parent.name}/{path.name}" for path in written] == ["sqlite/0001_init.py", "postgres/0001_init.py"]
    assert make_migration(source) == []
    for url in urls:
        assert len(await upgrade(url, data_dir, [source])) == 1

    harbour.models("colour = fields.CharField(max_length=10, null=True, db_index=True)")
    assert '"colour"' in difference(source, "sqlite")
    assert len(make_migration(source, "add_colour")) == 2
    for url in urls:
        assert [str(version) for version in await upgrade(url, data_dir, [source])] == ["harbour 0002_add_colour"]
        database = Database(url, data_dir)
        await database.open({"harbour": source.models})
        try:
            boat = importlib.import_module(source.models[0]).Boat
            with database.activate():
                await boat.create(name="Anna", colour="red")
                assert await boat.filter(colour="red").count() == 1
        finally:
            await database.close()


def test_what_one_dialect_cannot_express_is_left_to_a_hand(harbour: Harbour) -> None:
    make_migration(harbour.source)
    before = harbour.files()
    harbour.models(length=200)
    with pytest.raises(NotExpressible, match=r"No migration of harbour can be made for sqlite: .*--by-hand"):
        make_migration(harbour.source, "longer")
    assert harbour.files() == before

    sqlite, postgres = make_migration(harbour.source, "longer", by_hand=True)
    assert (sqlite.name, postgres.name) == ("0002_longer.py", "0002_longer.py")
    assert "VARCHAR(200)" in postgres.read_text()
    assert "VARCHAR" not in sqlite.read_text()
    # The empty file knows the new models, too.
    assert difference(harbour.source, "sqlite") == ""
    assert [path.name for path in make_migration(harbour.source, "data", by_hand=True)] == ["0003_data.py"] * 2


def test_a_relation_into_the_tables_of_others_is_refused(harbour: Harbour) -> None:
    harbour.models('owner = fields.ForeignKeyField("core.User", related_name=False)')
    with pytest.raises(StartError, match="No app with name 'core'"):
        make_migration(harbour.source)
    assert harbour.files() == []


def test_models_that_cannot_be_imported(harbour: Harbour) -> None:
    harbour.models("this is no Python")
    with pytest.raises(StartError, match=r"aerich failed for harbour on sqlite:[\s\S]*SyntaxError"):
        make_migration(harbour.source)


@pytest.mark.parametrize("name", ["", "Add Colour", "../x", "a" * 61])
def test_names(harbour: Harbour, name: str) -> None:
    with pytest.raises(StartError, match="is no name for a migration"):
        make_migration(harbour.source, name)


def test_without_the_driver_of_postgres(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(StartError, match="pip install 'moorage"):
        make_migration(harbour.source)
    assert harbour.files() == [], "both or none"
