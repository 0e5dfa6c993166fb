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


def release(package: Any, *migrations: str) -> Source:
    """The core as it was, with these migrations; without any, of the first release."""
    files = {
        f"{dialect}/{name}.py": (SHIPPED / dialect / f"{name}.py").read_text()
        for dialect in ("sqlite", "postgres")
        for name in migrations or ("0001_init",)
    }
    return Source("core", CORE.models, package(files))


async def fill(database: Database, session: dict[str, Any] | None = None) -> None:
    """Rows as that release wrote them. session: more of the session's row."""
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
            **(session or {}),
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
    await upgrade(url, data_dir, [release(package)])
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


async def test_a_device_that_was_let_in_before_programs_were_goes_on(url: str, data_dir: Path, package: Any) -> None:
    await upgrade(url, data_dir, [release(package, "0001_init", "0002_accounts", "0003_audit_append_only")])
    old = Database(url, data_dir)
    await old.open({CORE.label: list(CORE.models)})
    try:
        with old.activate():
            await fill(old, {"kind": "bearer", "client_id": "cli", "scope": ""})
    finally:
        await old.close()

    await upgrade(url, data_dir, [CORE])
    database, bus = Database(url, data_dir), EventBus()
    settings = AccountsSettings(argon2_memory_kib=64, argon2_time=1)
    accounts = Accounts(settings, database, Audit(database, bus), bus, data_dir, Access({}))
    await database.open({CORE.label: list(CORE.models)})
    try:
        with database.activate():
            device = await accounts.authenticate(SESSION)
            assert device is not None
            assert (device.method, device.credential.scopes) == (Method.BEARER, None), "all of the user's rights"
            assert device.credential.resource is None, "at every address"
            (shown,) = await accounts.list_sessions(1)
            assert (shown.client_id, shown.client_name, shown.resource) == ("cli", None, None)
            registered = await accounts.authorization.register(
                {"redirect_uris": ["https://app.example/cb"]}, ClientInfo("192.0.2.1")
            )
            assert (await accounts.authorization.clients.find(registered.client.id)).name == "app.example"
    finally:
        await accounts.close()
        await bus.close()
        await database.close()
