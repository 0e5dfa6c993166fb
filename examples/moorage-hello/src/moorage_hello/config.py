"""What can be set, and what can be allowed."""

from moorage.api import Permission, PluginConfig
from pydantic import Field


class HelloConfig(PluginConfig):
    """`[plugins.hello]`."""

    greeting: str = Field("Hello", min_length=1, max_length=100, description="The word that greets.")
    keep: int = Field(100, ge=1, description="Greetings that one user may keep.")


READ = Permission("hello:greeting:read", "See kept greetings", default="viewer", owned=True)
CREATE = Permission("hello:greeting:create", "Keep greetings", default="operator", owned=True)
DELETE = Permission("hello:greeting:delete", "Delete kept greetings", default="operator", owned=True)
