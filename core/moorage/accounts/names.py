"""Rules for usernames, e-mail addresses and display names, and the spelling by which two are the same."""

from __future__ import annotations

import unicodedata
from typing import NoReturn

from moorage.errors import ValidationFailed

MAX_USERNAME = 64
MAX_EMAIL = 254
MAX_NAME = 128
MAX_KEY = 255
"""Characters of the longest folded name; folding can lengthen a text, up to eighteen times."""

_ALIKE = {"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE"}


def folded(text: str) -> str:
    """The key of a name: NFKC and case folding, so that `Ann`, `ANN` and full-width `Ａｎｎ` are one."""
    # Folding can undo the normal form (U+0345, for one), so it is made normal again.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def check_username(text: str) -> str:
    """The username as it is stored (NFKC). ValidationFailed with the reason."""
    _check_storable("username", text)
    name = unicodedata.normalize("NFKC", text)
    if not 1 <= len(name) <= MAX_USERNAME:
        refuse("username", f"must have 1 to {MAX_USERNAME} characters")
    if not name[0].isalnum() or not all(_in_username(char) for char in name):
        refuse("username", "may hold letters, digits and . _ -, and begins with a letter or digit")
    if mixed(name):
        refuse("username", "may not mix alphabets whose letters look alike")
    return name


def mixed(name: str) -> bool:
    """Whether letters of several alphabets that look alike stand in a name: a Cyrillic one poses as a Latin one."""
    scripts = {unicodedata.name(char, "").partition(" ")[0] for char in name if char.isalpha()}
    return len(scripts & _ALIKE) > 1


def _in_username(char: str) -> bool:
    # Marks are parts of letters in many scripts.
    return char.isalnum() or char in "._-" or unicodedata.category(char) in ("Mn", "Mc")


def check_email(text: str) -> str:
    """The e-mail address as it is stored. ValidationFailed with the reason."""
    _check_storable("email", text)
    email = unicodedata.normalize("NFC", text)
    local, at, domain = email.rpartition("@")
    if len(email) > MAX_EMAIL:
        refuse("email", f"may have at most {MAX_EMAIL} characters")
    plain = all(char.isprintable() and not char.isspace() for char in email)
    labels = domain.split(".")
    if len(folded(email)) > MAX_KEY:
        refuse("email", "holds characters that stand for too many others")
    if not (at and local and plain) or "@" in local or not all(labels) or (len(labels) < 2 and domain != "localhost"):
        refuse("email", "is not an e-mail address")
    return email


def check_name(text: str) -> str:
    """A display name as it is stored: one line, trimmed. ValidationFailed with the reason."""
    _check_storable("name", text)
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


def storable(text: str) -> bool:
    """False for what no database takes as text: half a surrogate pair, a NUL."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _check_storable(field: str, text: str) -> None:
    if not storable(text):
        refuse(field, "is not valid Unicode text")
