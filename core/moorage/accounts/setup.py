"""The first owner: a random one-time token in a private file, good only while there are no users."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

from moorage.access.ranks import OWNER
from moorage.accounts.attempts import Attempts, login_keys
from moorage.accounts.logins import Logins
from moorage.accounts.sessions import Sessions
from moorage.accounts.shared import ClientInfo, Login, Shared
from moorage.accounts.users import Users
from moorage.errors import Forbidden

FILE = "setup-token"


class Setup:
    """Keeps the token in `data_dir/run/setup-token`, mode 0600: whoever may read that file runs the server."""

    def __init__(
        self,
        shared: Shared,
        data_dir: Path,
        users: Users,
        sessions: Sessions,
        attempts: Attempts,
        logins: Logins,
    ) -> None:
        self._shared = shared
        self._file = data_dir / "run" / FILE
        self._users, self._sessions = users, sessions
        self._attempts, self._logins = attempts, logins

    async def issue(self) -> str | None:
        """A new token (an older one is void), or None when there are users."""
        if await self._users.count():
            self.finish()
            return None
        token = f"mset_{secrets.token_urlsafe(24)}"
        _write_private(self._file, token)
        return token

    async def redeem(
        self, token: str, username: str, password: str, client: ClientInfo, *, email: str | None = None
    ) -> Login:
        """Make the owner and log them in. Forbidden for a wrong token or once there are users; TooManyRequests."""
        keys = login_keys("", client.address)[1:]
        await self._attempts.check(keys)
        if await self._users.count():
            self.finish()
            raise _done()
        expected = _read(self._file)
        given = token.encode("utf-8", "surrogatepass")
        if not expected or not hmac.compare_digest(given, expected.encode()):
            await self._logins.wrong_secret(keys, "setup.failed")
            raise Forbidden("The setup token is wrong", code="INVALID_SETUP_TOKEN")
        row = await self._users.prepare(username, password=password, email=email, role=OWNER, name=None)
        async with self._shared.db.transaction() as connection:
            if self._shared.db.dialect == "postgres":
                # Two that found no user at the same moment must not both be first. SQLite has one writer anyway.
                await connection.execute_query("LOCK TABLE core_users IN EXCLUSIVE MODE")
            if await self._users.count():
                raise _done()
            row.last_login_at = self._shared.now()
            await self._users.insert(row)
            login = await self._sessions.create(row, client)
            data = {"username": row.username, "role": row.role}
            await self._shared.record("setup.completed", by=login.actor, target=f"user:{row.id}", data=data)
        self.finish()
        return login

    def finish(self) -> None:
        """Remove the token: there are users."""
        self._file.unlink(missing_ok=True)


def _done() -> Forbidden:
    return Forbidden("The server is set up already; log in", code="SETUP_DONE")


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Beside it and then in its place: there is no moment with half a token, or with another mode.
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(text + "\n")
    fresh.replace(path)
