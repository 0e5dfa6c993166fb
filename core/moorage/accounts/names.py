"""Rules for usernames, e-mail addresses and display names, and the spelling by which two are the same."""

from __future__ import annotations

import unicodedata
from typing import NoReturn

from moorage.errors import ValidationFailed

MAX_USERNAME = 64
MAX_EMAIL = 254
MAX_NAME = 128
MAX_LOGIN = 320
"""Characters of the longest text that is looked up as a login name."""


def folded(text: str) -> str:
    """The key of a name: NFKC and case folding, so that `Ann`, `ANN` and full-width `Ａｎｎ` are one."""
    # Folding can undo the normal form (U+0345, for one), so it is made normal again.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def check_username(text: str) -> str:
    """The username as it is stored (NFKC). ValidationFailed with the reason."""
    _check_encodable("username", text)
    name = unicodedata.normalize("NFKC", text)
    if not 1 <= len(name) <= MAX_USERNAME:
        refuse("username", f"must have 1 to {MAX_USERNAME} characters")
    if not name[0].isalnum() or not all(_in_username(char) for char in name):
        refuse("username", "may hold letters, digits and . _ -, and begins with a letter or digit")
    return name


def _in_username(char: str) -> bool:
    # Marks are parts of letters in many scripts.
    return char.isalnum() or char in "._-" or unicodedata.category(char) in ("Mn", "Mc")


def check_email(text: str) -> str:
    """The e-mail address as it is stored. ValidationFailed with the reason."""
    _check_encodable("email", text)
    email = unicodedata.normalize("NFC", text)
    local, at, domain = email.rpartition("@")
    if len(email) > MAX_EMAIL:
        refuse("email", f"may have at most {MAX_EMAIL} characters")
    plain = all(char.isprintable() and not char.isspace() for char in email)
    labels = domain.split(".")
    if not (at and local and plain) or "@" in local or not all(labels) or (len(labels) < 2 and domain != "localhost"):
        refuse("email", "is not an e-mail address")
    return email


def check_name(text: str) -> str:
    """A display name as it is stored: one line, trimmed. ValidationFailed with the reason."""
    _check_encodable("name", text)
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= MAX_NAME:
        refuse("name", f"must have 1 to {MAX_NAME} characters")
    # Controls, line ends and the marks that turn text around would let a name pose as something else.
    if any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") and char not in "\u200c\u200d" for char in name):
        refuse("name", "may not hold control characters")
    return name


def refuse(field: str, reason: str) -> NoReturn:
    """Raise ValidationFailed about one field."""
    raise ValidationFailed(f"{field} {reason}", problems=[{"field": field, "message": reason}])


def _check_encodable(field: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        refuse(field, "is not valid Unicode text")
    if "\x00" in text:
        refuse(field, "may not hold a NUL character")
