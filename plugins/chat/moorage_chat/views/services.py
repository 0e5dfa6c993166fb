"""What the views call: one of each service."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.api import Hub

from moorage_chat.accounting import Accounting
from moorage_chat.config import ChatConfig
from moorage_chat.engine.service import Engine
from moorage_chat.engine.settings import Settings
from moorage_chat.engine.toolbox import Toolbox
from moorage_chat.engine.toolchoice import ToolChoice
from moorage_chat.limits import Limits
from moorage_chat.providers.registry import Providers
from moorage_chat.store.conversations import Conversations
from moorage_chat.store.idempotency import Idempotency
from moorage_chat.store.messages import Messages
from moorage_chat.store.portable import Portable
from moorage_chat.store.search import Search
from moorage_chat.store.shares import Shares


@dataclass(slots=True)
class Services:
    """The plugin's services, made once when it is loaded."""

    hub: Hub
    config: ChatConfig
    conversations: Conversations
    messages: Messages
    search: Search
    shares: Shares
    portable: Portable
    idempotency: Idempotency
    limits: Limits
    accounting: Accounting
    toolbox: Toolbox
    tool_choice: ToolChoice
    settings: Settings
    providers: Providers
    engine: Engine
