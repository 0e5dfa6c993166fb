"""How answers and errors are spelled: one dialect per contract, and RFC 9457 as our own."""

from moorage.dialects.base import Dialect
from moorage.dialects.contracts import CHAT, CHROTE, DIALECTS, OCTO, OCTOPROX, ORBITAL, PROBLEM
from moorage.dialects.oauth import OAUTH
from moorage.dialects.openai import OPENAI

__all__ = ["CHAT", "CHROTE", "DIALECTS", "OAUTH", "OCTO", "OCTOPROX", "OPENAI", "ORBITAL", "PROBLEM", "Dialect"]
