"""Who asks: users, passwords, sessions, API keys, and the first owner."""

from moorage.accounts.actors import KeyInfo
from moorage.accounts.service import SWEEP_EVERY, Accounts
from moorage.accounts.shared import SYSTEM, ClientInfo, Login

__all__ = ["SWEEP_EVERY", "SYSTEM", "Accounts", "ClientInfo", "KeyInfo", "Login"]
