"""Passwords: what is accepted, and argon2id hashing in a bounded pool of threads, never on the event loop."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import threading
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from moorage.accounts.names import folded, refuse, storable
from moorage.config.settings import AccountsSettings
from moorage.errors import Unavailable

MAX_PASSWORD_BYTES = 1024
MAX_WAITING = 256
"""Logins that wait for a hash; beyond it they are told to come again."""
MAX_WAIT = 15.0
"""Seconds that a login waits for its turn."""
NICENESS = 5
"""How much nicer hashing threads are: about a third of a processor, where the event loop wants it as well."""

T = TypeVar("T")

_COMMON_TEXT = """
password passw0rd password1 password12 password123 password1234 password! p@ssword p@ssw0rd pa55word pass1234
12345678 123456789 1234567890 0123456789 123123123 11111111 00000000 87654321 987654321 12341234 11223344
1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qaz2wsx3edc qwertyui qwertyuiop qwerty12 qwerty123 qwerty1234 qwer1234 asdfghjk
asdfghjkl asdf1234 zxcvbnm1 zaq12wsx q1w2e3r4 abcd1234 abc12345 abcdefgh aa123456 a1b2c3d4 a1234567 iloveyou
iloveyou1 sunshine sunshine1 princess princess1 football football1 baseball baseball1 basketball superman
superman1 starwars trustno1 letmein1 letmein123 welcome1 welcome123 admin123 admin1234 administrator
changeme changeme1 changeme123 default1 secret123 test1234 testtest computer internet whatever michelle jennifer
michael1 charlie1 jordan23 dragon12 monkey123 shadow12 master12 killer12 corvette maverick mercedes midnight
jessica1 ashley12 nicole12 liverpool chelsea1 samantha benjamin victoria alexander november december september
hello123 helloworld freedom1 mustang1 access14 batman12 google123 linux123 ubuntu12 raspberry moorage1 moorage123
"""
_COMMON = frozenset(_COMMON_TEXT.split())


def normalized(password: str) -> str:
    """NFKC, so that one typed password is one password on every keyboard. Source: NIST SP 800-63B 5.1.1.2."""
    return unicodedata.normalize("NFKC", password)


def too_long(password: str) -> bool:
    """True for what may not even be hashed: the work must not grow with what strangers send."""
    # Normalising can multiply the length, so the raw text is measured as well.
    return len(password) > MAX_PASSWORD_BYTES or len(_bytes(normalized(password))) > MAX_PASSWORD_BYTES


def check_password(password: str, *, min_length: int, names: Iterable[str | None] = ()) -> None:
    """ValidationFailed unless `password` may become somebody's. `names`: what it must not be equal to."""
    if too_long(password):
        refuse("password", f"may have at most {MAX_PASSWORD_BYTES} bytes")
    if not storable(password):
        refuse("password", "is not valid Unicode text, or holds a NUL character")
    if len(normalized(password)) < min_length:
        refuse("password", f"must have at least {min_length} characters")
    plain = folded(password)
    if plain in _COMMON or len(set(plain)) == 1:
        refuse("password", "is one of the most common passwords")
    taken = {folded(name) for name in names if name} | {folded(name.split("@")[0]) for name in names if name}
    if plain in taken:
        refuse("password", "may not be the username or e-mail address")


class Passwords:
    """Hashes and verifies. `slot()` bounds how many logins are worked on at once, `close()` ends the threads."""

    def __init__(self, settings: AccountsSettings) -> None:
        hasher = Argon2Hasher(
            time_cost=settings.argon2_time,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_parallelism,
        )
        self._hasher = PasswordHash((hasher,))
        self._slots = asyncio.Semaphore(settings.argon2_threads)
        self._waiting = 0
        self._threads = ThreadPoolExecutor(
            settings.argon2_threads, thread_name_prefix="moorage-argon2", initializer=_step_back
        )
        self._dummy: str | None = None

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A turn at the hashing threads. Unavailable when too many wait, or after `MAX_WAIT` seconds."""
        if self._waiting >= MAX_WAITING:
            raise Unavailable("Too many logins at once", headers={"Retry-After": "5"})
        self._waiting += 1
        try:
            async with asyncio.timeout(MAX_WAIT):
                await self._slots.acquire()
        except TimeoutError:
            raise Unavailable("Too many logins at once", headers={"Retry-After": "5"}) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    async def hash(self, password: str) -> str:
        """The argon2id hash of a checked password. Call it inside of a `slot()`."""
        return await self._run(lambda: self._hasher.hash(_bytes(normalized(password))))

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """(does it match, a new hash if the stored one was made with other settings). Inside of a `slot()`.

        Without a stored hash it works as long, on a dummy, and says no.
        """
        if self._dummy is None:
            # Made before anybody is looked at, so that the first login tells no more than the others.
            self._dummy = await self.hash(secrets.token_urlsafe(16))
        target = stored if stored is not None else self._dummy
        data = _bytes(normalized(password))
        try:
            matches, renewed = await self._run(lambda: self._hasher.verify_and_update(data, target))
        except PwdlibError:
            # A hash of a kind that we do not know (imported by hand) matches nothing.
            return False, None
        return (matches, renewed) if stored is not None else (False, None)

    def close(self) -> None:
        """End the threads; hashes under way are finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _step_back() -> None:
    """Let the event loop go first: it serves everybody, and a login can wait some milliseconds longer."""
    # Linux has a niceness per thread; elsewhere this would be the whole process.
    if sys.platform == "linux":
        with suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
