"""What happens: the bus inside one server, the backplane between several, open sockets, background tasks."""

from moorage.events.backplane import Backplane, MemoryBackplane, MemoryExchange
from moorage.events.bus import EventBus, Handler, Unsubscribe
from moorage.events.redis import RedisBackplane
from moorage.events.registry import CLOSE_FORBIDDEN, CLOSE_UNAUTHORIZED, Live, SocketRegistry
from moorage.events.tasks import TaskSupervisor, repeat
from moorage.events.topics import Topic

__all__ = [
    "CLOSE_FORBIDDEN",
    "CLOSE_UNAUTHORIZED",
    "Backplane",
    "EventBus",
    "Handler",
    "Live",
    "MemoryBackplane",
    "MemoryExchange",
    "RedisBackplane",
    "SocketRegistry",
    "TaskSupervisor",
    "Topic",
    "Unsubscribe",
    "repeat",
]
