"""What must be read again is kept encrypted, what only proves something is signed: both from one secret."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from moorage.errors import StartError

FILE = "secret.key"


class WrongSecret(ValueError):
    """Something was sealed with another secret."""


class Seal:
    """Seals texts (Fernet: AES-CBC with HMAC-SHA256) and makes tokens that only this server can make.

    Each use has a key of its own, derived from the secret (HKDF-SHA256), so that none says anything of another.
    """

    def __init__(self, secret: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(_derived(secret, b"seal")))
        self._csrf = _derived(secret, b"csrf")
        self._codes = _derived(secret, b"codes")

    def seal(self, text: str) -> str:
        """`text` encrypted."""
        return self._fernet.encrypt(text.encode()).decode("ascii")

    def open(self, sealed: str) -> str:
        """What was sealed. WrongSecret when it was another secret that sealed it, or it was changed."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise WrongSecret from error

    def csrf_token(self, session_pid: str) -> str:
        """The CSRF token of a session: constant, and it says nothing about the session's token (HMAC-SHA256)."""
        mac = hmac.digest(self._csrf, session_pid.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def code_digest(self, code: str) -> str:
        """HMAC-SHA256 of a code in hex, as it is stored: people choose codes, and a plain digest of one is guessed."""
        return hmac.digest(self._codes, code.encode("utf-8", "surrogatepass"), "sha256").hex()


class PluginSeal:
    """Seals texts of one plugin, with a key that opens nobody else's."""

    def __init__(self, secret: str, plugin: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(_derived(secret, b"plugin " + plugin.encode())))

    def seal(self, text: str) -> str:
        """`text` encrypted."""
        return self._fernet.encrypt(text.encode()).decode("ascii")

    def open(self, sealed: str) -> str:
        """What was sealed. WrongSecret when it was another secret that sealed it, or it was changed."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise WrongSecret from error


def load_secret(configured: str | None, data_dir: Path) -> str:
    """The configured secret, or that of `data_dir/secret.key`, which is made (mode 0600) when it is not there.

    StartError when the file cannot be read or holds no secret.
    """
    if configured is not None:
        return configured
    path = data_dir / FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        try:
            # Only one of several that start at once makes it; a link to a whole file is never half there.
            fresh = data_dir / f".{FILE}.{secrets.token_hex(4)}"
            if not path.exists():
                with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
                    file.write(secrets.token_urlsafe(48) + "\n")
                os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink(missing_ok=True)
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"The secret in {path} cannot be read: {error}", exit_code=4) from error
    if len(text) < 32:
        raise StartError(
            f"The secret in {path} is too short. Put the right one back; if it is lost, remove the file: a new one "
            "is made, invite codes and JWTs end.",
            exit_code=4,
        )
    return text


def _derived(secret: str, use: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"moorage " + use).derive(secret.encode())
