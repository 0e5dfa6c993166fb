"""A database of the first release, with people in it, under today's server: nobody notices."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import moorage.db.migrations
from argon2 import PasswordHasher
from moorage.access import Method
from moorage.access.service import Access
from moorage.accounts import Accounts, ClientInfo
from moorage.accounts.secrets import digest
from moorage.config.settings import AccountsSettings
from moorage.db import Database
from moorage.db.migrate import CORE, Source, upgrade
from moorage.events import EventBus
from moorage.observe.audit import Audit
from moorage.observe.models import AuditEvent

PASSWORD = "correct horse battery"
SESSION = "mses_" + "a" * 43
KEY = "mcp_0123abcd_" + "b" * 32
SHIPPED = Path(moorage.db.migrations.__path__[0])


def first_release(package: Any) -> Source:
    """The core as it was: the first migration alone."""
    files = {
        f"{dialect}/0001_init.py": (SHIPPED / dialect / "0001_init.py").read_text()
        for dialect in ("sqlite", "postgres")
    }
    return Source("core", CORE.models, package(files))


async def fill(database: Database) -> None:
    """Rows as that release wrote them."""
    now = datetime.now(UTC)
    rows = {
        "core_users": {
            "id": 1,
            "pid": "user_abcdefghijkl",
            "username": "Ann",
            "username_key": "ann",
            "email": "Ann@example.org",
            "email_key": "ann@example.org",
            "name": "Ann",
            "role": "owner",
            "active": True,
            "password_hash": PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD),
            "created_at": now,
            "updated_at": now,
        },
        "core_sessions": {
            "id": 1,
            "pid": "sess_abcdefghijkl",
            "user_id": 1,
            "token_hash": digest(SESSION),
            "kind": "cookie",
            "address": "192.0.2.1",
            "user_agent": "old",
            "created_at": now,
            "last_seen_at": now,
            "expires_at": now + timedelta(days=7),
        },
        "core_api_keys": {
            "id": 1,
            "pid": "key_abcdefghijkl",
            "user_id": 1,
            "name": "old",
            "prefix": "mcp_0123abcd",
            "key_hash": digest(KEY),
            "scopes": json.dumps(["core:key:read"]),
            "created_at": now,
        },
        "core_audit_events": {
            "id": 1,
            "at": now,
            "actor": "system",
            "method": "system",
            "action": "user.created",
            "address": "",
            "user_agent": "",
            "request_id": "",
            "data": json.dumps({}),
        },
    }
    connection = database.connection()
    postgres = database.dialect == "postgres"
    for table, row in rows.items():
        places = ", ".join(f"${n}" if postgres else "?" for n in range(1, len(row) + 1))
        values = [
            value.strftime("%Y-%m-%d %H:%M:%S.%f+00:00") if isinstance(value, datetime) and not postgres else value
            for value in row.values()
        ]
        await connection.execute_query(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", values)
        if postgres:
            await connection.execute_query(f"SELECT setval('{table}_id_seq', 1)")


async def test_accounts_of_the_first_release_go_on(url: str, data_dir: Path, package: Any) -> None:
    await upgrade(url, data_dir, [first_release(package)])
    old = Database(url, data_dir)
    await old.open({CORE.label: list(CORE.models)})
    try:
        with old.activate():
            await fill(old)
    finally:
        await old.close()

    await upgrade(url, data_dir, [CORE])
    database, bus = Database(url, data_dir), EventBus()
    settings = AccountsSettings(argon2_memory_kib=64, argon2_time=1)
    accounts = Accounts(settings, database, Audit(database, bus), bus, data_dir, Access({}))
    await database.open({CORE.label: list(CORE.models)})
    try:
        with database.activate():
            session, key = await accounts.authenticate(SESSION), await accounts.authenticate(KEY)
            assert session is not None
            assert (session.user.username, session.user.role, session.method) == ("Ann", "owner", Method.SESSION)
            assert session.credential.csrf, "a session of old can still make changes"
            assert key is not None
            assert key.credential.scopes == {"core:key:read"}
            login = await accounts.login("ann", PASSWORD, ClientInfo("192.0.2.1"))
            token, _ = await accounts.tokens.issue(login.actor)
            by_jwt = await accounts.authenticate(token)
            assert by_jwt is not None
            assert by_jwt.user == login.actor.user
            known = await accounts.users.details(1)
            assert (known.settings, known.nexusgate_user_id, known.has_password) == (None, None, True)
            assert [one.pid for one in await accounts.list_sessions(1)][-1] == "sess_abcdefghijkl"
            assert (await AuditEvent.get(id=1)).action == "user.created"
            bob = await accounts.create_user("bob", password=PASSWORD, by=login.actor)
            assert bob.id == 2
    finally:
        await accounts.close()
        await bus.close()
        await database.close()
