"""The database: engine, locks and migrations."""

from moorage.db.engine import Database
from moorage.db.lock import DataDirLock

__all__ = ["DataDirLock", "Database"]
