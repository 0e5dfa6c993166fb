"""How often: moving windows per address, user and key; in memory or shared through Redis."""

from moorage.limits.service import RateLimiter
from moorage.limits.state import UNLIMITED, LimitState

__all__ = ["UNLIMITED", "LimitState", "RateLimiter"]
