"""What happens in sessions, as it happens: `/api/ws`, its events and its commands."""

from moorage_opencode.live.service import Events

__all__ = ["Events"]
